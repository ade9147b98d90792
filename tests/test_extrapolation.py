"""What experts predict is held to a range somewhat wider than the target's."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import GammaRegressor, LinearRegression, PoissonRegressor, Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe._experts import WeightedExperts, fit_predict_new
from sklearn_moe._plans import follow_here
from sklearn_moe._predictions import clipped, limits_of
from sklearn_moe._spread import _each_alone
from sklearn_moe._templates import make_template
from sklearn_moe._training import make_training

RNG = np.random.default_rng(0)
X = RNG.normal(size=(240, 3))
Y = np.where(X[:, 0] > 0, 3, -3) * X[:, 1] + 0.3 * RNG.normal(size=240)
# Rows of which a linear expert has seen nothing like.
FAR = np.vstack([X[:40], 1e3 * X[:40]])
FOREST = RandomForestRegressor(50, max_depth=3)
QUICK = {"init": "residual", "n_init": 1, "cv": 3, "random_state": 0}
FEW = QUICK | {"max_iter": 4}


def reach(extrapolation, y=Y):
    """The limits, by hand."""
    room = extrapolation * np.ptp(y, axis=0)
    return np.array([y.min(axis=0) - room, y.max(axis=0) + room])


@pytest.mark.parametrize("extrapolation", [0.0, 0.5, 2.0])
def test_experts_predict_within_the_limits_and_reach_them(extrapolation):
    moe = MixtureOfExpertsRegressor(extrapolation=extrapolation, **QUICK).fit(X, Y)
    low, high = reach(extrapolation)
    np.testing.assert_allclose(moe.prediction_limits_, [low, high], rtol=1e-12)
    said = moe.predict_experts(FAR)
    assert (said.min(), said.max()) == (low, high)
    free = np.column_stack([expert.predict(FAR) for expert in moe.experts_])
    np.testing.assert_allclose(said, np.clip(free, low, high), rtol=1e-9)
    assert (np.abs(moe.predict(FAR)) <= max(abs(low), abs(high))).all()


def test_without_limits_they_say_what_they_please():
    moe = MixtureOfExpertsRegressor(extrapolation=None, **QUICK).fit(X, Y)
    assert moe.prediction_limits_ is None
    free = np.column_stack([expert.predict(FAR) for expert in moe.experts_])
    np.testing.assert_allclose(moe.predict_experts(FAR), free, rtol=1e-9)
    assert np.abs(moe.predict(FAR)).max() > 100 * np.abs(Y).max()


def test_where_nothing_is_far_limits_change_nothing():
    moe = MixtureOfExpertsRegressor(extrapolation=2.0, **QUICK).fit(X, Y)
    free = MixtureOfExpertsRegressor(extrapolation=None, **QUICK).fit(X, Y)
    np.testing.assert_array_equal(moe.predict(X), free.predict(X))
    assert moe.lower_bounds_ == free.lower_bounds_
    assert moe.heldout_log_probs_ == free.heldout_log_probs_


def test_a_few_rows_with_a_slip_in_them_cost_little():
    """One number in thirty with its point in the wrong place, as in tables that people fill in."""
    table, new = X.copy(), RNG.normal(size=(900, 3))
    rule = np.where(new[:, 0] > 0, 3, -3) * new[:, 1]
    new[::30, 1] *= 100
    errors = {}
    for extrapolation in (0.5, None):
        moe = MixtureOfExpertsRegressor(extrapolation=extrapolation, **QUICK).fit(table, Y)
        errors[extrapolation] = np.sqrt(np.mean((moe.predict(new) - rule) ** 2))
    assert errors[0.5] < 0.1 * errors[None]


def test_each_output_has_its_limits():
    y = np.column_stack([Y, 100 + 10 * X[:, 2]])
    moe = MixtureOfExpertsRegressor(**QUICK).fit(X, y)
    np.testing.assert_allclose(moe.prediction_limits_, reach(0.5, y), rtol=1e-12)
    said = moe.predict_experts(FAR)
    np.testing.assert_array_equal(said.min(axis=(0, 1)), moe.prediction_limits_[0])
    np.testing.assert_array_equal(said.max(axis=(0, 1)), moe.prediction_limits_[1])


def test_units_of_the_target_do_not_matter():
    moe = MixtureOfExpertsRegressor(**QUICK).fit(X, Y)
    scaled = MixtureOfExpertsRegressor(**QUICK).fit(X, 1e6 * Y + 1e7)
    np.testing.assert_allclose(scaled.predict(FAR), 1e6 * moe.predict(FAR) + 1e7, rtol=1e-6)


def test_rows_of_no_weight_have_no_say():
    far = np.r_[Y, 1e5]
    table = np.vstack([X, X[:1]])
    moe = MixtureOfExpertsRegressor(**QUICK).fit(table, far, np.r_[np.ones(240), 0.0])
    np.testing.assert_allclose(moe.prediction_limits_, reach(0.5), rtol=1e-12)


def test_one_expert_is_held_as_well():
    moe = MixtureOfExpertsRegressor(n_experts=1, **QUICK).fit(X, Y)
    alone = Ridge(tol=1e-10).fit(X, Y)
    np.testing.assert_allclose(moe.predict(X), alone.predict(X))
    np.testing.assert_allclose(moe.predict(FAR), np.clip(alone.predict(FAR), *reach(0.5)))


def test_what_experts_lean_on_is_held():
    moe = MixtureOfExpertsRegressor(**QUICK).fit(X, Y)
    moe.baseline_, moe.lean_variance_ = Ridge().fit(X, 100 * Y), 0.1
    low, high = moe.prediction_limits_
    said = moe.predict_experts(FAR)
    assert (said.min(), said.max()) == (pytest.approx(low), pytest.approx(high))


def test_out_of_fold_predictions_are_held():
    """A row far out is predicted out of fold by experts that have not seen it."""
    table, y = X.copy(), Y.copy()
    table[0, 1] = 1e6
    bounds = {}
    for extrapolation in (0.5, None):
        moe = MixtureOfExpertsRegressor(
            LinearRegression(), extrapolation=extrapolation, calibrate=None, verdict=False, **QUICK
        ).fit(table, y)
        bounds[extrapolation] = moe.dispersions_.max()
    assert bounds[0.5] < np.ptp(Y) ** 2 < 1e3 * bounds[0.5] < bounds[None]


def test_a_part_of_a_table_has_the_limits_of_the_whole():
    data = make_training(X, Y, Y[:, None], np.ones(240), None, 3, {}, None, False).data
    assert data.limits is None
    limited = replace(data, limits=limits_of(data.target, 0.5))
    np.testing.assert_allclose(limited.limits[:, 0], reach(0.5))
    np.testing.assert_array_equal(limited.take(np.arange(9)).limits, limited.limits)
    alone = _each_alone(limited, None, np.zeros((240, 2, 1)), np.ones((240, 2)))
    assert [each.data.limits for each in alone] == [None, None]


def test_the_verdict_holds_all_to_the_same():
    """All large targets lie in one fold: who has not seen them is right about them all the same."""
    table = X.copy()
    table[:10, 1] = RNG.uniform(20, 24, size=10)
    y = np.where(table[:, 0] > 0, 3, -3) * table[:, 1] + 0.3 * RNG.normal(size=240)
    figures = {}
    for extrapolation in (0.5, None):
        moe = MixtureOfExpertsRegressor(
            extrapolation=extrapolation, **(QUICK | {"cv": KFold(5)})
        ).fit(table, y)
        assert moe.n_experts_ == 2
        assert moe.gain_ > 1.0
        figures[extrapolation] = [moe.gain_, moe.heldout_log_prob_, moe.dispersion_factor_]
    np.testing.assert_allclose(figures[0.5], figures[None], rtol=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_in_sample_the_bound_never_falls(seed):
    rng = np.random.default_rng(seed)
    table = rng.standard_t(2, size=(150, 2))
    y = np.where(table[:, 0] > 0, 3, -3) * table[:, 1] + rng.normal(size=150)
    held_to = MixtureOfExpertsRegressor(
        LinearRegression(), 2, extrapolation=0.0, cv=None, n_init=1, tol=1e-6, random_state=seed
    ).fit(table, y)
    assert np.diff(held_to.lower_bounds_).min() > -1e-9
    free = clone(held_to).set_params(extrapolation=None).fit(table, y)
    assert held_to.lower_bounds_ == free.lower_bounds_
    np.testing.assert_allclose(held_to.prediction_limits_, reach(0.0, y))
    assert free.predict_experts(table).max() > y.max() >= held_to.predict_experts(table).max()


@pytest.mark.parametrize("expert", [Ridge(), make_pipeline(Ridge())], ids=["solved", "fitted"])
def test_what_witnesses_hear_is_held(expert):
    """They ask experts, fitted to all of their rows, about those of the fold left out."""
    data = make_training(X, Y, Y[:, None], np.ones(240), None, 3, {}, None, False).data
    templates, weights = [make_template("expert", expert, 0, {})], np.ones((240, 1))
    free = follow_here(fit_predict_new(WeightedExperts(data, templates, weights), FAR))
    limited = replace(data, limits=limits_of(data.target, 0.5))
    told = follow_here(fit_predict_new(WeightedExperts(limited, templates, weights), FAR))
    np.testing.assert_allclose(told[..., 0], np.clip(free[..., 0], *reach(0.5)))
    assert np.abs(free).max() > 10 * np.abs(told).max()


def test_what_lies_within_is_handed_on():
    said, limits = RNG.uniform(size=(5, 2, 2)), np.array([[0.0, -1.0], [1.0, 2.0]])
    assert clipped(said, limits) is said
    assert clipped(said, None) is said
    assert clipped(said[:0], limits).size == 0
    np.testing.assert_array_equal(clipped(2 * said, limits), np.minimum(2 * said, [1.0, 2.0]))


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize(
    "params",
    [
        {"n_experts": 3, "top_k": 2},
        {"shared_expert": Ridge()},
        {"lean": True},
        {"ensemble": True},
        {"dispersion_estimator": Ridge()},
        {"outlier_fraction": 0.05},
        {"family": "student_t", "calibrate": "conformal"},
        {"family": "gamma"},
        {"cv": None},
        {"cv": "loo"},
        {"cv": "oob", "experts": FOREST, "init": "tree", "max_iter": 2, "verdict": False},
        {"n_experts": "auto", "init": "auto", "max_iter": 3},
        {"experts": [("ridge", Ridge()), ("least", LinearRegression())]},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:EM did not settle")
def test_goes_with_all_else(params, n_outputs):
    y = np.exp(0.3 * Y) if params.get("family") == "gamma" else Y
    y = y if n_outputs == 1 else np.column_stack([y, y[::-1]])
    frame, far = (pd.DataFrame(table, columns=["a", "b", "c"]) for table in (X, FAR))
    weight = 1.0 + np.arange(240) % 2
    moe = MixtureOfExpertsRegressor(**(FEW | params)).fit(frame, y, weight)
    low, high = moe.prediction_limits_
    said = moe.predict_experts(far)
    slack = 1e-12 * np.abs(high)  # of a mean of two
    assert (said >= low - slack).all()
    assert (said <= high + slack).all()
    dist = moe.predict_dist(far)
    if not moe.outlier_proba(far.iloc[:80], y[:80]).any():  # the background has a mean of its own
        np.testing.assert_allclose(dist.mean(), moe.predict(far), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(dist.logpdf(y[:80]), moe.log_prob(far, y[:80]), rtol=1e-9)
    other = pickle.loads(pickle.dumps(clone(moe).set_params(n_jobs=2).fit(frame, y, weight)))
    np.testing.assert_allclose(other.predict(far), moe.predict(far), rtol=1e-9)


@pytest.mark.filterwarnings("ignore:EM did not settle")
def test_rates_do_not_explode():
    """An expert whose mean is an exponential is off by powers of ten."""
    counts = RNG.poisson(np.exp(0.5 * X[:, 0]))
    moe = MixtureOfExpertsRegressor(PoissonRegressor(), family="poisson", **FEW)
    assert moe.fit(X, counts).predict(0.05 * FAR).max() <= 1.5 * counts.max() + 1e-9


def test_what_is_done_after_the_fit_keeps_to_the_limits():
    moe = MixtureOfExpertsRegressor(**QUICK).fit(X, Y)
    low, high = moe.prediction_limits_
    for other in (moe.with_top_k(1), moe.update_gate(X, Y)):
        said = other.predict_experts(FAR)
        assert (said.min(), said.max()) == (low, high)
    moe.set_params(warm_start=True).fit(X, 10 * Y)
    np.testing.assert_allclose(moe.prediction_limits_, [10 * low, 10 * high])


def test_branches_are_held_with_the_whole():
    branch = MixtureOfExpertsRegressor(Ridge())
    moe = MixtureOfExpertsRegressor([("branch", branch), ("ridge", Ridge())], **QUICK).fit(X, Y)
    said = moe.predict_experts(FAR)
    assert said.shape == (80, 3)
    assert (said.min(), said.max()) == tuple(moe.prediction_limits_)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="'extrapolation' parameter"):
        MixtureOfExpertsRegressor(extrapolation=-0.1).fit(X, Y)
    branch = MixtureOfExpertsRegressor(extrapolation=0.0)
    with pytest.raises(ValueError, match=r"has extrapolation=0\.0"):
        MixtureOfExpertsRegressor([("branch", branch), ("ridge", Ridge())]).fit(X, Y)


@pytest.mark.parametrize("expert", [PoissonRegressor(alpha=1e-2), GammaRegressor(alpha=1e-2)])
def test_what_grows_beyond_numbers_is_held_as_well(expert):
    y = np.exp(0.8 * np.where(X[:, 0] > 0, 1, -1) * X[:, 1] + 1)
    far = np.vstack([X[:2], [[0, 1e5, 0], [-1, -1e5, 0]]])
    moe = MixtureOfExpertsRegressor(expert, cv=3, verdict=False, random_state=0).fit(X, y)
    predicted = moe.predict_experts(far)
    assert predicted.max() == moe.prediction_limits_[1]
    assert np.isfinite(moe.predict(far)).all()
    moe.set_params(extrapolation=None).fit(X, y)
    with pytest.raises(ValueError, match=r"an expert predicted infinity.*extrapolation"):
        moe.predict(far)
