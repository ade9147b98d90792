"""Experts that lean on one expert of all rows, as far as unseen rows say that they should."""

import pickle
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor, _recalibration
from sklearn_moe._calibrated_noise import calibrated
from sklearn_moe._ensembles import EnsembleRegressor
from sklearn_moe._forecasts import Forecast
from sklearn_moe._noise import Change, Noise
from sklearn_moe._spread import relative_dispersion
from sklearn_moe.families import Gaussian, StudentT
from sklearn_moe.leaning import LeaningMeans, find_leaning
from sklearn_moe.leaning._means import _best, _record, drawn_toward
from sklearn_moe.predictive import MixtureDistribution

TREE = DecisionTreeRegressor(min_samples_leaf=3)
QUICK = {"init": "principal", "n_init": 1, "max_iter": 4, "cv": 3, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:EM did not settle")


def loud_and_quiet(n_rows=250, seed=0):
    """One smooth rule; where the noise is loud, an expert of that region alone knows little."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_rows, 3))
    rule = np.sin(3 * X[:, 1]) + X[:, 2]
    return X, rule, rule + np.where(X[:, 0] > 0.3, 1.0, 0.05) * rng.normal(size=n_rows)


X, RULE, Y = loud_and_quiet()


def lean_variance(noise, forecasts, baseline):
    """The variances of all outputs, infinite where experts stand upright."""
    found = find_leaning(noise, forecasts, baseline)
    return np.full(baseline.shape[1], np.inf) if found is None else found.variance


def forecast(error, variance=(0.01, 1.0), n_rows=2000):
    """Two experts, each with half of the rows, who err by `error` beside their noise."""
    rng = np.random.default_rng(0)
    loud, truth = np.arange(n_rows) % 2, rng.normal(size=n_rows)
    law = np.array(variance).reshape(2, 1, 1)
    target = truth + np.sqrt(np.array(variance))[loud] * rng.normal(size=n_rows)
    mean = truth[:, None] + np.asarray(error) * rng.normal(size=(n_rows, 2))
    law = law + (np.asarray(error) ** 2).reshape(2, 1, 1)
    log_gate = np.log(np.where(np.eye(2)[loud] > 0, 1.0, 1e-12))
    rows = np.arange(n_rows)
    parts = target[:, None], np.ones(n_rows), rows, log_gate, mean[..., None], law
    return Forecast(rows, *parts), truth[:, None]


def test_experts_that_err_lean_on_one_that_does_not():
    told, truth = forecast(error=[0.1, 1.0])
    (variance,) = lean_variance(Noise(Gaussian()), [told], truth)
    part = told.law[:, 0, 0] / (told.law[:, 0, 0] + variance)
    assert part[1] > 0.9
    assert part[0] < part[1]
    leant = LeaningMeans(None, np.array([variance])).leaned_forecast(told, truth)
    assert leant.squared_error(0).mean() < 0.8


def test_experts_that_know_their_region_stay_what_they_are():
    told, truth = forecast(error=[0.0, 0.0])
    wrong = truth + np.random.default_rng(1).normal(size=truth.shape)
    assert lean_variance(Noise(Gaussian()), [told], wrong) == np.inf


def chosen(records, clusters=None):
    """Which of records (mean, spread of log densities, error) is taken for eight rows."""
    signs = np.tile([1.0, -1.0], 4)
    told, _ = forecast(error=[0.1, 1.0], n_rows=8)
    told = replace(told, clusters=np.arange(8) if clusters is None else clusters)
    return _best([(mean + spread * signs, error) for mean, spread, error in records], [told])


def test_the_error_of_the_mean_is_not_raised_for_the_sake_of_density():
    assert chosen([(0.0, 0.0, 1.0), (9.0, 0.0, 1.1), (1.0, 0.0, 0.9)]) == 2
    assert chosen([(0.0, 0.0, 1.0), (9.0, 0.0, 1.1)]) == 0


def test_density_has_to_rise_by_more_than_a_standard_error():
    assert chosen([(0.0, 0.0, 1.0), (0.5, 1.0, 0.9)]) == 1
    assert chosen([(0.0, 0.0, 1.0), (0.3, 1.0, 0.9)]) == 0
    # Rows that are of one group are one.
    assert chosen([(0.0, 0.0, 1.0), (0.5, 1.0, 0.9)], clusters=np.arange(8) % 2) == 0


def test_weights_equal_repeats():
    told, truth = forecast(error=[0.1, 1.0], n_rows=400)
    times = np.arange(400) // 2 % 3
    rows = np.repeat(np.arange(400), times)
    weighted = replace(told, weight=times.astype(float))
    parts = (told.rows, told.target, told.weight, told.clusters, told.log_gate, told.mean)
    repeated = Forecast(*(part[rows] for part in parts), told.law)
    noise = Noise(Gaussian())
    expected = lean_variance(noise, [repeated], truth)
    np.testing.assert_allclose(lean_variance(noise, [weighted], truth), expected, rtol=1e-10)
    assert np.isfinite(expected).all()


def test_squared_errors_count_by_weight():
    told, _ = forecast(error=[0.1, 1.0], n_rows=8)
    told = replace(told, weight=np.arange(8.0))
    _, error = _record(Noise(Gaussian()), [told], 0)
    assert error == pytest.approx(told.squared_error(0) @ told.weight)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_variances_have_the_scale_of_the_target(scale):
    told, truth = forecast(error=[0.1, 1.0])
    wide = replace(
        told, target=scale * told.target, mean=scale * told.mean, law=scale**2 * told.law
    )
    noise = Noise(Gaussian())
    expected = scale**2 * lean_variance(noise, [told], truth)
    np.testing.assert_allclose(lean_variance(noise, [wide], scale * truth), expected, rtol=1e-10)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_each_output_leans_by_itself(order):
    told, truth = forecast(error=[0.1, 1.0])
    sure, _ = forecast(error=[0.0, 0.0])
    both = replace(
        told,
        target=np.hstack([sure.target, told.target])[:, order],
        mean=np.concatenate([sure.mean, told.mean], axis=2)[:, :, order],
        law=np.concatenate([sure.law, told.law], axis=1)[:, order],
    )
    wrong = truth + np.random.default_rng(1).normal(size=truth.shape)
    found = lean_variance(Noise(Gaussian()), [both], np.hstack([wrong, truth])[:, order])
    ours, theirs = found[order]
    assert ours == np.inf
    np.testing.assert_allclose(theirs, lean_variance(Noise(Gaussian()), [told], truth), rtol=0.7)


def test_an_infinite_variance_moves_nothing():
    told, truth = forecast(error=[0.1, 1.0])
    np.testing.assert_array_equal(
        drawn_toward(told.mean, told.law, truth, np.array([np.inf])), told.mean
    )


def test_calibrated_noise_leaves_the_parts_as_they_are():
    noise = Noise(Gaussian(), (Change(factor=2.0, df=4.0),))
    law, mean = np.array([0.5, 2.0]).reshape(2, 1, 1), np.zeros((3, 2, 1))
    before = drawn_toward(mean, law, np.ones((3, 1)), np.array([0.3]))
    after = LeaningMeans(None, np.array([0.3])).under(noise).variance
    np.testing.assert_allclose(
        drawn_toward(mean, noise.law_of(law), np.ones((3, 1)), after), before
    )


@pytest.fixture(scope="module")
def mixture():
    return MixtureOfExpertsRegressor(TREE, **QUICK).fit(X, Y)


def upright(moe, table):
    """What the experts say by themselves, (n, K, q)."""
    said = [expert.predict(table).reshape(len(table), -1) for expert in moe.experts_]
    return np.stack(said, axis=1)


def parts(moe, table):
    """The parts (K, q) or (n, K, q) of the baseline in what the experts say."""
    dispersion = moe.dispersions_.reshape(moe.n_experts_, -1)
    if moe.dispersion_experts_ is not None:
        logs = [e.predict(table).reshape(len(table), -1) for e in moe.dispersion_experts_]
        dispersion = dispersion * relative_dispersion(np.stack(logs, axis=1))
    return dispersion / (dispersion + moe.lean_variance_)


def by_hand(moe, table):
    """Predictions of experts moved toward the baseline."""
    said, part = upright(moe, table), parts(moe, table)
    if moe.shrinkage_ is not None:
        said += moe.shrinkage_[:, None] * (said[:, -1:] - said)
    one = moe.baseline_.predict(table).reshape(len(table), 1, -1)
    return said + part * (one - said)


def test_predictions_are_those_of_experts_moved_toward_the_baseline(mixture):
    moved = by_hand(mixture, X)[..., 0]
    np.testing.assert_allclose(mixture.predict_experts(X), moved, rtol=1e-12, atol=1e-14)
    expected = (mixture.gate_proba(X) * moved).sum(axis=1)
    np.testing.assert_allclose(mixture.predict(X), expected, rtol=1e-12)
    np.testing.assert_allclose(mixture.predict_dist(X).mean(), expected, rtol=1e-12)
    part = parts(mixture, X)
    assert part.max() > 0.5 > part.min()


def test_forecasts_lean_before_noise_is_calibrated(monkeypatch):
    asked, found = [], []
    monkeypatch.setattr(
        _recalibration, "calibrated", lambda *given: asked.append(given) or calibrated(*given)
    )
    monkeypatch.setattr(
        _recalibration, "find_leaning", lambda *given: found.append(given) or find_leaning(*given)
    )
    moe = MixtureOfExpertsRegressor(TREE, calibrate="conformal", **QUICK).fit(X, Y)
    # The one expert is calibrated as well, as the mixture's rival.
    first, last = (given for given in asked if given[1][0].mean.shape[1] > 1)
    ((noise, told, one),) = found
    assert noise == calibrated(*first).of_forecasts()
    assert told is first[1]
    kept = calibrated(*last)
    assert moe.dispersion_factor_ == kept.changes[0].factor
    variance = np.atleast_1d(moe.lean_variance_ / moe.dispersion_factor_)
    fallen = []
    for raw, leant in zip(told, last[1], strict=True):
        expected = drawn_toward(raw.mean, raw.law, one[raw.rows], variance)
        np.testing.assert_allclose(leant.mean, expected, rtol=1e-12)
        law = kept.of_forecasts().law_of(leant.law)
        law = MixtureDistribution(kept.family, leant.log_gate, leant.mean, law)
        fallen.append(law.cdf(leant.target[:, 0]))
    np.testing.assert_allclose(moe.calibration_.up_to[:, 0], np.concatenate(fallen), rtol=1e-12)


def test_leaning_brings_predictions_nearer_to_the_rule(mixture):
    """A mixture that does not lean is the same, but for its experts: see the test below."""
    errors, (new, rule, _) = [], loud_and_quiet(2000, 99)
    for seed in range(3):
        train, _, y = loud_and_quiet(seed=seed)
        moe = clone(mixture).set_params(init="tree").fit(train, y)
        stands = (moe.gate_proba(new) * upright(moe, new)[..., 0]).sum(axis=1)
        errors.append([np.mean((said - rule) ** 2) for said in (moe.predict(new), stands)])
    leans, stands = np.mean(errors, axis=0)
    assert leans < 0.9 * stands


def test_em_knows_nothing_of_it(mixture):
    other = MixtureOfExpertsRegressor(TREE, lean=False, **QUICK).fit(X, Y)
    assert other.baseline_ is None
    assert other.lean_variance_ == np.inf
    for name in ("lower_bounds_", "heldout_log_prob_", "n_iter_"):
        assert getattr(other, name) == getattr(mixture, name)
    assert mixture.gain_ > other.gain_  # it is that of what is kept
    np.testing.assert_array_equal(other.predict_experts(X), upright(mixture, X)[..., 0])
    np.testing.assert_array_equal(other.gate_proba(X), mixture.gate_proba(X))


@pytest.mark.parametrize(
    "params",
    [
        {"lean": False},
        {"verdict": False},
        {"n_experts": 1},
        {"family": "poisson"},
        {"outlier_fraction": 0.05},
        {"experts": [("ridge", Ridge()), ("tree", TREE)]},
    ],
)
def test_where_experts_do_not_lean(params):
    y = np.abs(np.rint(Y))
    moe = MixtureOfExpertsRegressor(**({"experts": TREE} | QUICK | params)).fit(X, y)
    assert moe.baseline_ is None
    assert moe.lean_variance_ == np.inf


def test_experts_with_coefficients_lean_only_if_told_to():
    rng = np.random.default_rng(1)
    table = rng.normal(size=(150, 12))
    noise = np.where(table[:, 0] > 0, 3.0, 0.1) * rng.normal(size=150)
    y = table @ rng.normal(size=12) + noise
    moe = MixtureOfExpertsRegressor(Ridge(), **QUICK | {"cv": 5})
    assert moe.fit(table, y).baseline_ is None
    moe.set_params(lean=True).fit(table, y)
    np.testing.assert_allclose(moe.baseline_.coef_, Ridge().fit(table, y).coef_, rtol=1e-9)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cv": None}, "needs witnesses; got cv=None"),
        ({"verdict": False}, "needs witnesses; got .* verdict=False"),
        ({"family": "gamma"}, "needs a law with is_location_scale; got family='gamma'"),
        ({"outlier_fraction": 0.1}, "needs a law with .* outlier_fraction=0.1"),
    ],
)
def test_what_cannot_be_is_refused(params, message):
    with pytest.raises(ValueError, match=f"lean=True {message}"):
        MixtureOfExpertsRegressor(TREE, lean=True, **params).fit(X, np.abs(Y))


def test_branches_lean_as_the_whole_does():
    branch = MixtureOfExpertsRegressor(TREE, lean=False)
    with pytest.raises(ValueError, match="has lean=False"):
        MixtureOfExpertsRegressor([("branch", branch), ("tree", TREE)]).fit(X, Y)


SETTINGS = {
    "plain": {},
    "ensemble": {"ensemble": True},
    "conformal": {"calibrate": "conformal"},
    "sparse": {"n_experts": 3, "top_k": 2},
    "spread": {"dispersion_estimator": Ridge()},
    "shared": {"shared_expert": Ridge()},
    "student": {"family": "student_t"},
    "auto": {"family": "auto", "gate": "auto"},
    "kinds": {"experts": [("leaf", DecisionTreeRegressor(max_depth=1)), ("tree", TREE)]},
    "boosting": {"experts": HistGradientBoostingRegressor(max_iter=10), "max_iter": 3},
}


FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
WEIGHT = 1.0 + np.arange(len(X)) % 2


@cache
def fitted(setting, n_outputs=1):
    """A mixture of a setting, its target, and how it was made."""
    y = Y if n_outputs == 1 else np.column_stack([Y, RULE + 0.3 * np.roll(Y, 7)])
    options = {"experts": TREE} | QUICK | SETTINGS[setting]
    return MixtureOfExpertsRegressor(**options).fit(FRAME, y, WEIGHT), y, options


@pytest.mark.parametrize(
    ("setting", "n_outputs"),
    [(name, n) for name in SETTINGS for n in (1, 2) if (name, n) != ("boosting", 2)],
)
def test_goes_with_all_else(setting, n_outputs):
    moe, y, options = fitted(setting, n_outputs)
    moe, frame, weight = deepcopy(moe), FRAME, WEIGHT
    assert np.shape(moe.lean_variance_) == (() if n_outputs == 1 else (2,))
    assert (moe.baseline_ is None) == np.isinf(moe.lean_variance_).all()
    if moe.baseline_ is not None:
        moved = by_hand(moe, frame)
        said = moe.predict_experts(frame).reshape(moved.shape)
        np.testing.assert_allclose(said, moved, rtol=1e-9, atol=1e-12)
        assert isinstance(moe.baseline_, EnsembleRegressor) == (setting == "ensemble")
        one = getattr(moe.baseline_, "estimator", moe.baseline_)
        again = clone(one).fit(frame, y, sample_weight=weight)
        np.testing.assert_array_equal(one.predict(frame), again.predict(frame))
    dist = moe.predict_dist(frame)
    np.testing.assert_allclose(dist.mean(), moe.predict(frame), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(dist.logpdf(y), moe.log_prob(frame, y), rtol=1e-9)
    np.testing.assert_allclose(moe.responsibilities(frame, y).sum(axis=1), 1)
    other = MixtureOfExpertsRegressor(n_jobs=2, **options).fit(frame, y, weight)
    again = pickle.loads(pickle.dumps(other))
    np.testing.assert_allclose(again.predict(frame), moe.predict(frame), rtol=1e-9)
    moe.update_gate(frame, y)
    assert np.isfinite(moe.log_prob(frame, y)).all()


def test_several_of_these_lean():
    """The test above would prove little of mixtures that stand upright."""
    names = ("plain", "ensemble", "student", "sparse", "spread", "kinds")
    leaning = [name for name in names if fitted(name)[0].baseline_ is not None]
    assert len(leaning) >= 4, leaning


def test_the_baseline_is_of_the_best_kind():
    moe = MixtureOfExpertsRegressor(**(QUICK | SETTINGS["kinds"])).fit(X, Y)
    assert moe.baseline_.min_samples_leaf == 3


def test_information_criteria_count_the_baseline():
    moe = MixtureOfExpertsRegressor(Ridge(), **QUICK).fit(X, Y)
    before = moe.information_criteria(X, Y).n_parameters
    moe.baseline_, moe.lean_variance_ = Ridge().fit(X, Y), 1.0
    assert moe.information_criteria(X, Y).n_parameters == before + 4 + 1


def test_a_student_law_leans_by_its_squared_scale():
    told, truth = forecast(error=[0.1, 1.0])
    law = np.concatenate([told.law, np.full((2, 1, 1), 5.0)], axis=2)
    told = replace(told, law=law)
    assert lean_variance(Noise(StudentT()), [told], truth) < np.inf
