"""Pooling: every row gives a part of its weight to each expert."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe._numeric import WEIGHT_GRID

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
FEW = {"n_experts": 2, "max_iter": 2, "n_init": 1, "random_state": 0, "verdict": False}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 2))
Y = np.where(X[:, 0] > 0, 3, -3) * X[:, 1] + 0.3 * RNG.normal(size=200)
HALVES = np.column_stack([X[:, 0] > 0, X[:, 0] <= 0]).astype(float)


@pytest.mark.parametrize("cv", [5, None])
def test_experts_are_fitted_under_pooled_weights(cv):
    moe = MixtureOfExpertsRegressor(Ridge(), cv=cv, init=HALVES, pooling=0.3, **FEW)
    moe.set_params(max_iter=1).fit(X, Y)
    for k in range(2):
        alone = Ridge().fit(X, Y, 0.7 * HALVES[:, k] + 0.3)
        np.testing.assert_allclose(moe.experts_[k].coef_, alone.coef_, rtol=1e-9)
    assert moe.pooling_.tolist() == [0.3, 0.3]


def test_what_raises_the_bound_is_kept():
    """Between two rules pooling harms; where experts lack rows for one rule, it helps."""
    tree = DecisionTreeRegressor(max_depth=5)
    tables = {0.0: (X, Y), 0.2: (X, np.abs(X).sum(axis=1) + RNG.normal(size=200))}
    for kept, table in tables.items():
        moe = MixtureOfExpertsRegressor(tree, init=HALVES, **FEW)
        bounds = {p: moe.set_params(pooling=p).fit(*table).lower_bound_ for p in (0.0, 0.2)}
        assert max(bounds, key=lambda p: bounds[p]) == kept
        assert moe.set_params(pooling="auto").fit(*table).pooling_.tolist() == [kept, kept]
        assert moe.lower_bound_ == bounds[kept]


@pytest.mark.parametrize(
    ("expert", "options"),
    [
        (Ridge(), {}),
        (DecisionTreeRegressor(), {"cv": None}),
        (DecisionTreeRegressor(), {"min_responsibility": 0.0}),
    ],
)
def test_nothing_is_pooled_where_it_is_not_tried(expert, options):
    moe = MixtureOfExpertsRegressor(expert, **FEW, **options).fit(X, Y)
    assert moe.pooling_.tolist() == [0.0, 0.0]


def test_experts_of_a_list_pool_by_kind():
    experts = [("line", Ridge()), ("tree", DecisionTreeRegressor(max_depth=3))]
    moe = MixtureOfExpertsRegressor(experts, **FEW).fit(X, Y)
    assert moe.pooling_[0] == 0.0


def test_part_beyond_one_is_refused():
    with pytest.raises(ValueError, match="'pooling' parameter"):
        MixtureOfExpertsRegressor(pooling=1.0).fit(X, Y)


def test_order_and_repeats_of_rows_change_nothing():
    """Trees break ties by the last digit, so pooled weights must add up exactly too."""
    moe = MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=4), pooling=0.2, **FEW)
    moe.set_params(init="kmeans_xy", cv=3)
    weight = np.where(np.arange(200) % 2 == 0, 3.0, 1.0)
    expected = moe.fit(X, Y, sample_weight=weight).predict(X)
    order = RNG.permutation(200)
    again = moe.fit(X[order], Y[order], sample_weight=weight[order]).predict(X)
    np.testing.assert_allclose(again, expected, rtol=1e-9, atol=1e-12)
    rows = np.repeat(order, weight[order].astype(int))
    np.testing.assert_allclose(
        moe.fit(X[rows], Y[rows]).predict(X), expected, rtol=1e-9, atol=1e-12
    )


class Listener(DecisionTreeRegressor):
    """A tree that keeps the weights it was given."""

    def fit(self, X, y, sample_weight=None):
        self.heard_ = sample_weight
        return super().fit(X, y, sample_weight)


def test_weights_of_trees_add_up_exactly():
    """They are multiples of one part in 2^24, pooled or not, so the order of a sum is no matter."""
    moe = MixtureOfExpertsRegressor(Listener(max_depth=4), pooling=0.2, **FEW).fit(X, Y)
    parts = moe.experts_[0].heard_ * WEIGHT_GRID
    assert np.ptp(parts) > 0
    np.testing.assert_array_equal(parts, np.rint(parts))
