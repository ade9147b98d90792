"""Races are run with smaller copies of ensembles; what is fitted in the end is whole."""

import numpy as np
import pytest
from sklearn.ensemble import (
    BaggingRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe._light import lighter
from sklearn_moe._recipe import Recipe

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 2))
Y = np.where(X[:, 0] > 0, 3, -3) * X[:, 1] + 0.3 * RNG.normal(size=120)
FOREST = RandomForestRegressor(40, max_depth=3)
QUICK = {"n_experts": 2, "cv": 3, "max_iter": 2, "verdict": False, "random_state": 0}


@pytest.mark.parametrize(
    ("estimator", "size", "expected"),
    [
        (HistGradientBoostingRegressor(), "max_iter", 25),
        (HistGradientBoostingClassifier(max_iter=50), "max_iter", 12),
        (RandomForestRegressor(), "n_estimators", 25),
        (GradientBoostingRegressor(n_estimators=40), "n_estimators", 10),
    ],
)
def test_copies_have_a_quarter_of_the_members(estimator, size, expected):
    smaller = lighter(estimator)
    assert smaller is not estimator
    assert smaller.get_params() == estimator.get_params() | {size: expected}
    inner = lighter(make_pipeline(StandardScaler(), make_pipeline(estimator)))
    assert getattr(inner[-1][-1], size) == expected


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(),
        BaggingRegressor(),
        MLPRegressor(max_iter=500),
        RandomForestRegressor(39),
        make_pipeline(StandardScaler(), "passthrough"),
    ],
)
def test_others_have_no_copies(estimator):
    assert lighter(estimator) is estimator


@pytest.fixture
def sizes(monkeypatch):
    """Sizes of the forests that are fitted."""
    fitted, fit = [], RandomForestRegressor.fit

    def recorded(self, X, y, sample_weight=None):
        fitted.append(self.n_estimators)
        return fit(self, X, y, sample_weight)

    monkeypatch.setattr(RandomForestRegressor, "fit", recorded)
    return fitted


def test_race_and_trials_are_light_and_all_else_is_whole(sizes):
    moe = MixtureOfExpertsRegressor(FOREST, n_init=2, init="kmeans_xy", **QUICK).fit(X, Y)
    # Two starts for an iteration, one for another, the trial of pooling as far: of 6 fits each.
    assert sizes.count(10) == 6 * (2 + 1 + 2)
    # One to see of what kind it is, two iterations, and the last fits.
    assert sizes.count(40) == len(sizes) - sizes.count(10) == 1 + 6 * 2 + 2
    assert [len(expert.estimators_) for expert in moe.experts_] == [40, 40]


def test_nothing_is_light_where_there_is_nothing_to_choose(sizes):
    halves = np.column_stack([X[:, 0] > 0, X[:, 0] <= 0]).astype(float)
    MixtureOfExpertsRegressor(FOREST, init=halves, pooling=0.0, **QUICK).fit(X, Y)
    assert set(sizes) == {40}


def test_fit_from_the_same_start_is_the_same(monkeypatch):
    moe = MixtureOfExpertsRegressor(FOREST, n_init=1, pooling="auto", **QUICK)
    quick = moe.fit(X, Y).predict(X)
    pooling = moe.pooling_
    monkeypatch.setattr(Recipe, "light", lambda self: self)
    moe.fit(X, Y)
    np.testing.assert_array_equal(moe.pooling_, pooling)
    np.testing.assert_array_equal(moe.predict(X), quick)
