"""Where a number could be noise, a clamp or another model's: limits that must hold exactly."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import GammaRegressor, LinearRegression, PoissonRegressor, Ridge
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe._routing import route
from sklearn_moe._shrinkage import fit_shrinkage
from sklearn_moe._verdict import Verdict
from sklearn_moe.families import Gamma, Gaussian, Poisson
from sklearn_moe.families._target import Target

pytestmark = [
    pytest.mark.filterwarnings("ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Experts .* lost:sklearn.exceptions.ConvergenceWarning"),
]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 2))
COUNTS = RNG.poisson(np.exp(np.where(X[:, 0] > 0, 1, 0) + 0.3 * X[:, 1])).astype(float)
FEW = {"n_init": 1, "max_iter": 4, "random_state": 0, "verdict": False}


def step_of(values):
    return Target.of(np.reshape(values, (-1, 1)), np.ones(len(values))).step[0]


@pytest.mark.parametrize("far", [1e3, 1e5, 1e9, -1e7])
def test_a_value_far_out_makes_no_step_of_the_others(far):
    """None that would count beside the least part of the target's own variance."""
    values = np.append(RNG.normal(size=400), far)
    assert step_of(values) < 1e-5 * values.std()


@pytest.mark.parametrize("far", [1e3, -1e5])
def test_a_value_far_out_hides_no_step(far):
    marks = np.round(RNG.normal(size=400), 2)
    assert step_of(np.append(marks, far)) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0.3, 0.1 + 0.2, 1.0], 0.7),
        ([1.0, 1.0 + 1e-13, 2.0], 1.0),
        (np.append(1e-15 * RNG.normal(size=50), [1.0, 2.0, 5.0]), 1.0),
        ([0.0, 2.0, 6.0], 2.0),
        ([7.0], 0.0),
    ],
)
def test_rounding_errors_make_no_step(values, step):
    assert step_of(values) == pytest.approx(step, rel=1e-6)


def test_a_value_far_out_does_not_blur_the_noise_of_robust_laws():
    y = np.abs(X[:, 0]) + 0.1 * RNG.normal(size=200)
    y[0] = 99_999.0
    for params in ({"family": "student_t"}, {"outlier_fraction": 0.05}):
        moe = MixtureOfExpertsRegressor(n_init=1, max_iter=10, random_state=0, **params).fit(X, y)
        assert np.median(moe.log_prob(X[1:], y[1:])) > -2


def test_density_of_impossible_targets_is_that_of_the_distribution():
    moe = MixtureOfExpertsRegressor(PoissonRegressor(), 2, family="poisson", **FEW).fit(X, COUNTS)
    targets = np.array([-1.0, 0.5, 2.0, 1e5])
    found = moe.log_prob(X[:4], targets)
    np.testing.assert_allclose(found, moe.predict_dist(X[:4]).logpdf(targets))
    assert np.isneginf(found[:2]).all()
    assert np.isfinite(moe.responsibilities(X[:4], targets)).all()
    before = moe.gate_
    with pytest.raises(ValueError, match="without a finite log density"):
        moe.update_gate(X, -1.0 - COUNTS)
    assert moe.gate_ is before
    assert moe.information_criteria(X[:2], targets[:2]).aic == np.inf


@pytest.mark.parametrize("expert", [PoissonRegressor(), GammaRegressor()])
def test_targets_that_a_law_does_not_allow_are_refused_before_experts_see_them(expert):
    moe = MixtureOfExpertsRegressor(expert, 2, family="poisson", **FEW)
    with pytest.raises(ValueError, match="The Poisson law is for targets that are not negative"):
        moe.fit(X, COUNTS - 1)


def test_one_expert_predicts_the_mean_of_its_law():
    moe = MixtureOfExpertsRegressor(Ridge(), 1, family="poisson", **FEW).fit(3 * X, COUNTS)
    assert moe.predict_experts(3 * X).min() < 0
    np.testing.assert_allclose(moe.predict(3 * X), moe.predict_dist(3 * X).mean())


def test_an_expert_for_zeros_does_not_lean_on_the_shared_one():
    amounts = np.where(RNG.uniform(size=200) < 1 / (1 + np.exp(-4 * X[:, 0])), COUNTS + 0.5, 0)
    zero = DummyRegressor(strategy="constant", constant=0)
    for seed in range(3):
        moe = MixtureOfExpertsRegressor(
            [("zero", zero), ("amount", Ridge())],
            family="gamma",
            shared_expert=Ridge(),
            **{**FEW, "random_state": seed, "n_init": 4},
        ).fit(X, amounts)
        assert moe.shrinkage_[0] == 0
        assert moe.dispersions_[0] == 0
        assert np.isfinite(moe.log_prob(X, amounts)).all()


@pytest.mark.parametrize("family", [Gaussian(), Gamma(), Poisson()])
def test_experts_that_differ_by_rounding_have_no_part_in_each_other(family):
    target, shared = RNG.gamma(2, size=(50, 1)), RNG.gamma(2, size=(50, 1, 1))
    mean = np.concatenate([shared * (1 + 1e-15 * RNG.normal(size=shared.shape)), shared], axis=1)
    routing = route(np.log(np.full((50, 2), 0.5)), None, shared=True)
    assert (fit_shrinkage(target, mean, np.full((50, 2), 0.5), routing.slots, family) == 0).all()


@pytest.mark.parametrize("seed", [3, 6, 9, 12])
def test_an_update_of_the_gate_keeps_the_best_for_the_experts_that_act(seed):
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(300, 2))
    y = np.where(places[:, 0] > 0, 3, -3) * places[:, 1] + 0.3 * rng.normal(size=300)
    moe = MixtureOfExpertsRegressor(Ridge(), 4, top_k=1, **{**FEW, "max_iter": 10}).fit(places, y)
    before = moe.log_prob(places, y).mean()
    assert moe.update_gate(places, y).log_prob(places, y).mean() >= before - 1e-9


def test_a_row_of_no_weight_does_not_count_for_the_criteria():
    moe = MixtureOfExpertsRegressor(LinearRegression(), 2, cv=None, **FEW).fit(X, X[:, 0])
    y, weight = X[:, 0].copy(), np.ones(200)
    y[0], weight[0] = 1e200, 0
    assert moe.information_criteria(X, y, weight) == moe.information_criteria(X[1:], y[1:])


def test_a_gain_of_rounding_is_no_verdict():
    assert not Verdict(log_prob=0.0, gain=-1e-13, stderr=0.0).is_against
    assert Verdict(log_prob=0.0, gain=-1e-3, stderr=0.0).is_against


@pytest.mark.parametrize("verdict", [True, False])
def test_one_expert_is_fitted_once_to_each_fold_and_to_all_rows(verdict):
    sizes = []

    class Counted(DecisionTreeRegressor):
        def fit(self, X, y, sample_weight=None, check_input=True):
            sizes.append(len(y))
            return super().fit(X, y, sample_weight=sample_weight, check_input=check_input)

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 2)), rng.normal(size=90)
    MixtureOfExpertsRegressor(Counted(max_depth=2), 1, cv=3, verdict=verdict).fit(X, y)
    assert sizes == [60, 60, 60, 90]


@pytest.mark.parametrize("expert", [Ridge(), LinearRegression(), PoissonRegressor()], ids=str)
def test_one_expert_is_the_estimator_to_the_last_digit(expert):
    rng = np.random.default_rng(0)
    table = rng.normal([0.0, 5.0, 100.0], size=(200, 3))
    y = rng.poisson(np.exp(0.5 * table[:, 0])).astype(float)
    moe = MixtureOfExpertsRegressor(expert, n_experts=1, random_state=0).fit(table, y)
    alone = clone(expert).fit(table, y, sample_weight=np.ones(200))
    np.testing.assert_array_equal(moe.experts_[0].coef_, alone.coef_)
    assert moe.experts_[0].intercept_ == alone.intercept_
