"""Noise calibrated by rows that nobody has fitted: a factor for dispersions, and tails."""

import pickle
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.linear_model import PoissonRegressor, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor, _recalibration
from sklearn_moe._calibrated_noise import (
    _log_ratio_of_errors,
    _most_likely,
    calibrated,
    learning_left,
)
from sklearn_moe._conformal import Calibration
from sklearn_moe._expectation import MixtureExpectation
from sklearn_moe._forecasts import Forecast
from sklearn_moe._noise import Change, Noise
from sklearn_moe._witnesses import HeldOut, Witness, WitnessedModel, WitnessError
from sklearn_moe.families import Contaminated, Gaussian, Laplace, Poisson, RealFamily, StudentT
from sklearn_moe.predictive import MixtureDistribution

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 3))
MEAN = np.where(X[:, 0] > 0, 3.0, -3.0) * X[:, 1]
PLAIN = MEAN + 0.3 * RNG.normal(size=600)
HEAVY = MEAN + 0.3 * RNG.standard_t(3, size=600)
QUICK = {"n_init": 1, "max_iter": 8, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:EM did not settle")


def forecast(noise, variance, n_rows=4000, weight=None):
    """What two experts that know the means say of rows with that noise, of a claimed variance."""
    rng = np.random.default_rng(1)
    mean = np.tile([0.0, 9.0], (n_rows, 1))[..., None]
    label = rng.integers(2, size=n_rows)
    target = 9.0 * label[:, None] + noise(rng, n_rows)[:, None]
    weight = np.ones(n_rows) if weight is None else weight
    log_gate, law = np.full((n_rows, 2), np.log(0.5)), np.full((2, 1, 1), variance)
    return Forecast(np.arange(n_rows), target, weight, np.arange(n_rows), log_gate, mean, law)


def noise_for(family, told, own=None, left=1.0):
    """The noise that forecasts ask for."""
    return calibrated(family, told, own, left)


# Variances that mixtures claim, and of how many rows: their geometric mean is 1.
PARTS = ((1.21, 200), (1 / 1.1, 400))


def change_of(noise):
    """What is done to the only output."""
    (change,) = noise.changes
    return change


def normal(rng, n_rows):
    return rng.normal(size=n_rows)


def heavy(rng, n_rows):
    return rng.standard_t(4, size=n_rows)


def test_a_claim_that_holds_is_left_alone():
    noise = noise_for(Gaussian(), [forecast(normal, 1.0)])
    assert change_of(noise) == Change()
    assert noise.family == Gaussian()


@pytest.mark.parametrize("claimed", [0.5, 2.0])
def test_the_factor_mends_a_wrong_width(claimed):
    for family in (Gaussian(), Gaussian(shared=True)):
        noise = noise_for(family, [forecast(normal, claimed)])
        assert change_of(noise).factor == pytest.approx(1 / claimed, rel=0.06)
        assert change_of(noise).df is None
        np.testing.assert_allclose(noise.law_of(np.full((2, 1, 1), claimed)), 1.0, rtol=0.06)


def test_tails_are_found_and_make_the_forecast_likelier():
    told = [forecast(heavy, 2.0, 2000), forecast(heavy, 2.0, 3000)]
    noise = noise_for(Gaussian(), told)
    assert isinstance(noise.family, StudentT)
    assert noise.family.df == change_of(noise).df == pytest.approx(4, rel=0.2)
    assert 2.0 * change_of(noise).factor == pytest.approx(1, rel=0.1)
    assert noise.law_of(np.full((2, 1, 1), 2.0)).shape == (2, 1, 2)
    before = told[0].log_density(noise_for(Gaussian(), []))
    assert told[0].log_density(noise).mean() > before.mean() + 0.03


def test_it_is_the_most_likely_one():
    told = [forecast(heavy, 2.0)]
    noise = noise_for(Gaussian(), told)
    best = told[0].log_density(noise).mean()
    change = change_of(noise)
    for by in (0.95, 1.05):
        for other in (
            replace(change, factor=by * change.factor),
            replace(change, df=by * change.df),
        ):
            assert told[0].log_density(Noise(Gaussian(), (other,))).mean() < best


def test_what_is_learnt_late_is_less():
    told = [forecast(heavy, 4.0)]
    whole = change_of(noise_for(Gaussian(), told))
    assert whole.forecast_factor == 1.0
    learnt = change_of(_most_likely(Noise(Gaussian(), (Change(),)), Change(), told)).factor
    assert learnt == pytest.approx(0.5, rel=0.1)  # twice the variance of the noise was claimed
    late = noise_for(Gaussian(), told, left=learning_left(5))
    part = (1 / 4 - 1 / 5) / (1 / 3 - 1 / 4)  # of what is learnt between the parts of the rows
    assert change_of(late).factor == pytest.approx(whole.factor * learnt ** (part - 1))


@pytest.mark.parametrize(
    ("own", "learnt", "beyond"),
    [(0.9, 0.9, 1), (1.2, 1.2, 1), (0.3, 3 / 4, 0.4), (2.0, 4 / 3, 1)],
)
def test_forecasts_are_wider_by_what_they_have_still_to_learn(own, learnt, beyond):
    left = learning_left(5)
    assert [learning_left(n) for n in (2, 4, 5)] == [0.5, 0.5, pytest.approx(0.6)]
    told = [forecast(normal, v, n) for v, n in PARTS]
    late = forecast(normal, own)
    change = change_of(noise_for(Gaussian(), told, late, left))
    assert change.factor == 1.0
    assert change.df is None
    # What is learnt is at most as without noise, (1/4) / (1/3).
    assert change.forecast_factor == pytest.approx(learnt**0.4 * beyond)
    with_noise = noise_for(Gaussian(), told, late, left).of_forecasts()
    assert change_of(with_noise) == Change(factor=change.forecast_factor)


@pytest.mark.parametrize(
    ("error", "variance", "beyond"), [(0.0, 1.0, 1.0), (5.0, 0.26, 0.01 / (3 / 4))]
)
def test_a_fit_that_errs_less_may_be_as_narrow(error, variance, beyond):
    """It has found a better optimum; one that errs as much is too sure of itself."""
    told = forecast(normal, 26.0)
    truth = 9.0 * np.rint(told.target / 9.0)[:, None].repeat(2, axis=1)
    told = replace(told, mean=truth + 5.0)
    own = replace(forecast(normal, variance), mean=truth + error)
    found = change_of(noise_for(Gaussian(), [told], own, learning_left(5)))
    assert found.factor == 1.0
    assert found.forecast_factor == pytest.approx((3 / 4) ** 0.4 * beyond, rel=0.05)


def test_errors_are_compared_row_by_row_and_by_weight():
    def of_errors(rows, errors, weight):
        parts = rows, np.array(errors)[:, None], np.array(weight), rows
        zeros = np.zeros((len(rows), 1))
        return Forecast(*parts, log_gate=zeros, mean=zeros[..., None], law=np.ones((1, 1, 1)))

    own = of_errors(np.arange(3), [1.0, 2.0, 4.0], np.ones(3))
    told = of_errors(np.array([2, 0]), [4.0, 3.0], [1.0, 3.0])
    expected = (1 * np.log(4 / 4) + 3 * np.log(1 / 9)) / 4
    np.testing.assert_allclose(_log_ratio_of_errors(own, [told]), expected, rtol=1e-4)


def test_dispersions_that_differ_by_row_are_compared_too():
    told = forecast(normal, 1.0, 500)
    by_row = np.geomspace(0.5, 1.62, 500)[:, None, None, None] * np.ones((500, 2, 1, 1))
    own = replace(told, law=by_row, log_gate=np.log([[1.0, 1e-300]]).repeat(500, axis=0))
    change = change_of(noise_for(Gaussian(), [told], own, learning_left(5)))
    assert change.forecast_factor == pytest.approx(0.9**0.4, rel=1e-4)


def side_by_side(told, others):
    """Two forecasts as one of two outputs."""
    return Forecast(
        told.rows,
        np.hstack([told.target, others.target]),
        *(told.weight, told.clusters, told.log_gate),
        np.concatenate([told.mean, others.mean], axis=-1),
        np.concatenate([told.law, others.law], axis=1),
    )


def test_outputs_are_calibrated_each_by_itself():
    both = side_by_side(forecast(heavy, 2.0), forecast(normal, 1.0))
    noise = noise_for(Gaussian(), [both])
    assert noise.changes[0].df == pytest.approx(4, rel=0.25)
    assert noise.changes[1] == Change()
    assert noise.family.df is None
    law = noise.law_of(both.law)
    assert law.shape == (2, 2, 2)
    np.testing.assert_array_equal(law[:, 1], [[1.0, 1e6]] * 2)


@pytest.mark.parametrize("is_first", [False, True])
def test_another_output_tells_whose_error_it_is(is_first):
    """By its own targets the other expert would act, which would not err."""
    rng, acts = np.random.default_rng(0), np.arange(1000) % 2

    def output(label, apart):
        told = forecast(normal, 0.25, n_rows=1000)
        target = apart * label + 0.5 * rng.normal(size=1000)
        return replace(told, target=target[:, None], mean=told.mean * (apart / 9))

    outputs = [output(1 - acts, 1.0), output(acts, 100.0)]
    both = side_by_side(*(outputs if is_first else outputs[::-1]))
    wrong = noise_for(Gaussian(), [both]).changes[0 if is_first else 1]
    assert wrong.factor > 3


@pytest.mark.parametrize("n_outputs", [1, 2, 4])
def test_what_is_said_later_is_all_but_the_first_output(n_outputs):
    told = forecast(normal, 1.0, n_rows=50)
    for _ in range(n_outputs - 1):
        told = side_by_side(told, forecast(heavy, 2.0, n_rows=50))
    later = told.log_later(Gaussian())
    assert len(later) == n_outputs
    first = told.output(0).log_joint(Noise(Gaussian()))
    np.testing.assert_allclose(first + later[0], told.log_joint(Noise(Gaussian())), rtol=1e-12)
    assert not later[-1].any()


@dataclass(frozen=True, kw_only=True)
class Semicircle(RealFamily):
    """A law that rules values out."""

    is_location_scale = True

    def frozen(self, mean, *law):
        return scipy.stats.semicircular(mean, 2 * np.sqrt(law[0]))

    def fit_output(self, y, mean, weights):
        return (np.ones(weights.shape[1]),)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_an_expert_that_is_ruled_out_is_brought_back(n_outputs):
    """The likelier expert is too narrow for many rows, of which other outputs say nothing."""
    n_rows, noise = 600, np.zeros((600, n_outputs))
    noise[:, 0] = 2.8 * (2 * np.random.default_rng(1).beta(1.5, 1.5, size=n_rows) - 1)
    told = Forecast(
        *(np.arange(n_rows), noise, np.ones(n_rows), np.arange(n_rows)),
        log_gate=np.log(np.tile([0.05, 0.95], (n_rows, 1))),
        mean=np.zeros((n_rows, 2, n_outputs)),
        law=np.array([[[16.0]] + [[1.0]] * (n_outputs - 1), [[1.0]] * n_outputs]),
    )
    assert noise_for(Semicircle(), [told]).changes[0].factor == pytest.approx(1.974, abs=0.001)


def test_the_work_grows_with_the_number_of_outputs_and_not_with_its_square(monkeypatch):
    calls = []

    def counted(*parts):
        calls.append(parts)
        return density(*parts)

    density = Gaussian.log_density
    monkeypatch.setattr(Gaussian, "log_density", counted)
    n_calls = []
    for n_outputs in (3, 6):
        told = forecast(normal, 1.0, n_rows=50)
        for _ in range(n_outputs - 1):
            told = side_by_side(told, forecast(normal, 1.0, n_rows=50))
        calls.clear()
        noise_for(Gaussian(), [told])
        n_calls.append(len(calls))
    assert n_calls[1] == pytest.approx(2 * n_calls[0], rel=0.2)


def test_a_law_of_the_users_own_stays_what_it_is():
    class Mine(Gaussian):
        pass

    assert type(noise_for(Mine(), [forecast(heavy, 2.0)]).family) is Mine


def test_few_rows_change_nothing_unless_they_are_sure():
    assert noise_for(Gaussian(), [forecast(normal, 1.1, 30)]).changes == (Change(),)
    assert change_of(noise_for(Gaussian(), [forecast(normal, 50.0, 30)])).factor < 0.5


def test_weights_equal_repeats():
    times = np.arange(400) % 3
    weighted = forecast(heavy, 2.0, 400, times.astype(float))
    rows = np.repeat(np.arange(400), times)
    parts = (
        weighted.rows,
        weighted.target,
        np.ones(400),
        weighted.clusters,
        weighted.log_gate,
        weighted.mean,
    )
    repeated = Forecast(*(part[rows] for part in parts), weighted.law)
    assert noise_for(Gaussian(), [weighted]) == noise_for(Gaussian(), [repeated])


def test_other_laws_have_a_factor_or_nothing():
    assert change_of(noise_for(Laplace(), [forecast(normal, 9.0)])).factor < 0.5
    told = forecast(normal, 9.0)
    counts = Forecast(*(vars(told) | {"target": np.rint(np.abs(told.target))}).values())
    assert noise_for(Poisson(), [counts]).changes == ()


def test_gaussian_noise_is_as_em_found_it():
    moe = MixtureOfExpertsRegressor(**QUICK).fit(X, PLAIN)
    raw = MixtureOfExpertsRegressor(calibrate=None, **QUICK).fit(X, PLAIN)
    assert moe.dispersion_factor_ == 1.0
    assert moe.family_ == raw.family_
    np.testing.assert_array_equal(moe.dispersions_, raw.dispersions_)


def test_heavy_tails_are_known_and_means_stay():
    moe = MixtureOfExpertsRegressor(**QUICK).fit(X, HEAVY)
    raw = MixtureOfExpertsRegressor(calibrate=None, **QUICK).fit(X, HEAVY)
    assert moe.family_.df == moe.df_[0] < 6
    assert isinstance(raw.family_, Gaussian)
    np.testing.assert_array_equal(moe.predict(X), raw.predict(X))
    np.testing.assert_allclose(moe.dispersions_, moe.dispersion_factor_ * raw.dispersions_)
    fresh = np.random.default_rng(5)
    Z = fresh.normal(size=(3000, 3))
    y = np.where(Z[:, 0] > 0, 3, -3) * Z[:, 1] + 0.3 * fresh.standard_t(3, size=3000)
    assert moe.log_prob(Z, y).mean() > raw.log_prob(Z, y).mean() + 0.05
    assert raw.calibrated_log_prob_ == pytest.approx(raw.heldout_log_prob_, rel=1e-12)
    assert moe.heldout_log_prob_ == raw.heldout_log_prob_
    assert moe.calibrated_log_prob_ == pytest.approx(moe.log_prob(Z, y).mean(), abs=0.1)
    assert moe.calibrated_log_prob_ > raw.calibrated_log_prob_ + 0.05
    off = {}
    for name, mixture in (("calibrated", moe), ("raw", raw)):
        low, high = mixture.predict_interval(Z, 0.5).T
        off[name] = abs(np.mean((low <= y) & (y <= high)) - 0.5)
    assert off["calibrated"] < 0.5 * off["raw"]


FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
SETTINGS = {
    "trees": {"experts": DecisionTreeRegressor(max_depth=4)},
    "sparse": {"n_experts": 3, "top_k": 2, "balance": 0.5},
    "shared": {"shared_expert": Ridge()},
    "spread": {"dispersion_estimator": Ridge()},
    "without witnesses": {"verdict": False},
    "alone": {"n_experts": 1},
    "number": {"n_experts": "auto", "max_iter": 3, "verdict": False},
    "found law": {"family": "auto", "init": "auto"},
    "laplace": {"family": "laplace"},
    "conformal": {"calibrate": "conformal"},
}


@pytest.mark.parametrize(
    ("setting", "n_outputs"),
    [(name, n) for name in SETTINGS for n in (1, 2) if (name, n) != ("number", 2)],
)
def test_goes_with_all_else(setting, n_outputs):
    frame, heavy, weight = FRAME[:300], HEAVY[:300], 1.0 + np.arange(300) % 2
    y = heavy if n_outputs == 1 else np.column_stack([heavy, heavy[::-1]])
    options = QUICK | {"init": "principal", "cv": 3, "max_iter": 4} | SETTINGS[setting]
    moe = MixtureOfExpertsRegressor(**options).fit(frame, y, weight)
    dist = moe.predict_dist(frame)
    np.testing.assert_allclose(dist.logpdf(y), moe.log_prob(frame, y), rtol=1e-9)
    np.testing.assert_allclose(moe.responsibilities(frame, y).sum(axis=1), 1)
    assert np.isfinite(dist.var()).all()
    assert np.shape(moe.dispersion_factor_) == (() if n_outputs == 1 else (2,))
    assert np.all(moe.dispersion_factor_ > 0)
    assert (moe.df_ is not None) == isinstance(moe.family_, StudentT)
    raw = MixtureOfExpertsRegressor(**(options | {"calibrate": None})).fit(frame, y, weight)
    # The parts in which experts lean are ratios of dispersions, which noise has scaled.
    np.testing.assert_allclose(moe.predict(frame), raw.predict(frame), rtol=1e-12, atol=1e-14)
    other = MixtureOfExpertsRegressor(n_jobs=2, **options).fit(frame, y, weight)
    again = pickle.loads(pickle.dumps(other))
    np.testing.assert_allclose(again.predict_dist(frame).cdf(y), dist.cdf(y), rtol=1e-9)


def test_without_rows_that_are_out_of_fold_nothing_is_known():
    moe = MixtureOfExpertsRegressor(cv=None, **QUICK).fit(X, HEAVY)
    assert moe.dispersion_factor_ == 1.0
    assert isinstance(moe.family_, Gaussian)


def test_one_expert_in_sample_has_seen_all_rows():
    for moe in (
        MixtureOfExpertsRegressor(n_experts=1, cv=None),
        MixtureOfExpertsRegressor(cv=None),
    ):
        moe.fit(X[:40], HEAVY[:40])
        for figure in (moe.heldout_log_prob_, moe.calibrated_log_prob_, moe.gain_):
            assert np.isnan(figure)


@pytest.mark.parametrize("calibrate", ["noise", "conformal"])
def test_folds_of_which_no_row_is_asked(calibrate, monkeypatch):
    """Of small folds of a large table chance may draw none."""
    monkeypatch.setattr("sklearn_moe._forecasts.FORECAST_ROWS", 60)
    tests = [np.arange(100), np.arange(100, 200), *np.arange(200, 206)[:, None]]
    folds = [(np.setdiff1d(np.arange(206), test), test) for test in tests]
    moe = MixtureOfExpertsRegressor(cv=folds, calibrate=calibrate, **QUICK)
    moe.fit(X[:206], HEAVY[:206])
    assert np.isfinite(moe.calibrated_log_prob_)
    assert np.isfinite(moe.predict_interval(X, 0.9)).all()


def test_a_background_has_the_outliers_already():
    moe = MixtureOfExpertsRegressor(outlier_fraction=0.05, **QUICK).fit(X, HEAVY)
    assert isinstance(moe.family_, Contaminated)
    assert moe.dispersion_factor_ == 1.0


def test_one_expert_in_place_of_the_mixture_is_calibrated_too():
    rng = np.random.default_rng(3)
    Z = rng.normal(size=(400, 80))
    y = 3 * Z[:, 0] + rng.standard_t(4, size=400)
    moe = MixtureOfExpertsRegressor(n_experts=4, init="principal", max_iter=3, random_state=0)
    with pytest.warns(UserWarning, match="One expert explains unseen rows better"):
        moe.fit(Z, y)
    assert moe.n_experts_ == 1
    alone = MixtureOfExpertsRegressor(n_experts=1).fit(Z, y)
    assert isinstance(moe.family_, StudentT)
    assert moe.family_ == alone.family_
    np.testing.assert_allclose(moe.dispersions_, alone.dispersions_, rtol=1e-9)


def test_conformal_levels_are_of_the_noise_that_witnesses_have(monkeypatch):
    told = []
    monkeypatch.setattr(
        _recalibration, "calibrated", lambda *parts: told.append(parts) or calibrated(*parts)
    )
    tree = DecisionTreeRegressor(max_depth=5)
    moe = MixtureOfExpertsRegressor(tree, calibrate="conformal", **QUICK).fit(X, HEAVY)
    law, forecasts, own, left = told[0]  # then the one expert is calibrated, as the mixture's rival
    kept = calibrated(law, forecasts, own, left)
    assert change_of(kept).forecast_factor != 1.0
    assert moe.dispersion_factor_ == change_of(kept).factor
    noise = kept.of_forecasts()
    fell = []
    for one in forecasts:
        parts = noise.family, one.log_gate, one.mean, noise.law_of(one.law)
        fell.append(MixtureDistribution(*parts).cdf(one.target[:, 0]))
    np.testing.assert_array_equal(moe.calibration_.up_to[:, 0], np.concatenate(fell))


@pytest.mark.parametrize("family", ["poisson", "negative_binomial", "binomial"])
def test_conformal_intervals_of_counts_hold_those_of_less(family):
    """Where few counts have most of the probability, levels had crossed, and been exchanged."""
    rng = np.random.default_rng(0)
    Z = rng.uniform(-1, 1, size=(900, 2))
    y = rng.poisson(np.exp(-1.5 + Z[:, 0]))
    y = np.minimum(y, 1) if family == "binomial" else y
    params = {"family": family, "calibrate": "conformal", **QUICK}
    moe = MixtureOfExpertsRegressor(PoissonRegressor(), 2, **params).fit(Z[:300], y[:300])
    before = moe.predict_interval(Z[300:], 0.05)
    for coverage in np.arange(0.1, 1.0, 0.1):
        low, high = moe.predict_interval(Z[300:], coverage).T
        assert (low <= before[:, 0]).all()
        assert (before[:, 1] <= high).all()
        assert np.mean((low <= y[300:]) & (y[300:] <= high)) > coverage - 0.05
        before = np.column_stack([low, high])


def test_conformal_levels_are_order_statistics():
    """Of nine rows, the second from below and from above leave a fifth outside at each end."""
    fell = np.linspace(0.1, 0.9, 9)[:, None] ** 2
    calibration = Calibration(fell, fell, np.ones(9))
    for coverage, rank in ((0.6, 2), (0.59, 2), (0.4, 3), (0.05, 4)):
        low, high = calibration.levels(coverage)
        assert (low, high) == (fell[rank - 1], pytest.approx(fell[-rank]))
    assert [level.item() for level in calibration.levels(0.9)] == [0, 1]
    thrice = np.repeat(fell, 3, axis=0)
    repeats = Calibration(thrice, thrice, np.ones(27)).levels(0.8)
    np.testing.assert_array_equal(Calibration(fell, fell, np.full(9, 3.0)).levels(0.8), repeats)
    many = Calibration(fell, fell, np.full(9, 3e9)).levels(0.8)
    np.testing.assert_array_equal(many, repeats)


@pytest.mark.parametrize(
    ("n_rows", "weight", "coverage", "rank"),
    [(19, 1.0, 0.9, 1), (30, 0.1, 0.5, 10)],  # a twentieth of 20 is one; so are ten tenths
)
def test_rounding_moves_no_conformal_level(n_rows, weight, coverage, rank):
    fell = np.linspace(0.1, 0.9, n_rows)[:, None]
    low, high = Calibration(fell, fell, np.full(n_rows, weight)).levels(coverage)
    np.testing.assert_allclose([low, high], [fell[rank - 1], fell[-rank]])


def test_a_forecast_is_of_the_iteration_that_is_best_for_the_other_folds():
    expectation = MixtureExpectation(resp=np.zeros((2, 1)), members=(0,))
    data = SimpleNamespace(n_samples=2, sample_weight=np.ones(2))
    model = SimpleNamespace(data=data, conclude=lambda state: (state, expectation))
    folds = [object.__new__(Witness) for _ in range(2)]
    for row, fold in enumerate(folds):
        fold.test, fold.score_of_others = [row], -np.inf
    led = WitnessedModel(model, folds)
    for iteration, said in enumerate([(-1.0, -1.0), (5.0, -2.0), (-3.0, -3.0)]):
        for fold in folds:
            fold.latest, fold.expectation = HeldOut(said, iteration), iteration
        led.held_out = np.array(said)
        led.conclude(None)
    assert [fold.best for fold in folds] == [1, 1]
    assert [fold.held_out.forecast for fold in folds] == [
        0,
        1,
    ]  # the luck of the first fold is its own


@pytest.mark.parametrize("calibrate", ["noise", "conformal"])
def test_where_witnesses_fail_the_fit_speaks_for_itself(calibrate, monkeypatch):
    def fail(self, start):
        raise WitnessError("no.")

    monkeypatch.setattr(Witness, "begin", fail)
    moe = MixtureOfExpertsRegressor(calibrate=calibrate, **QUICK)
    with pytest.warns(UserWarning, match="No verdict: no."):
        moe.fit(X, HEAVY)
    led = MixtureOfExpertsRegressor(calibrate=calibrate, verdict=False, **QUICK).fit(X, HEAVY)
    assert isinstance(moe.family_, StudentT)
    np.testing.assert_array_equal(moe.predict_interval(X), led.predict_interval(X))


def test_is_reported(capsys):
    MixtureOfExpertsRegressor(verbose=1, **QUICK).fit(X, HEAVY)
    assert "noise: dispersions times 0." in capsys.readouterr().out


@pytest.mark.parametrize("expert", [DecisionTreeRegressor(), KNeighborsRegressor(3)], ids=str)
@pytest.mark.parametrize("family", ["gaussian", "student_t"])
def test_experts_that_are_never_wrong_have_noise_that_does_not_differ_by_row(expert, family):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = np.where(X[:, 0] > 0, 2 * X[:, 1] + 0.3 * rng.normal(size=200), 0.0)
    parts = {"family": family, "verdict": False, "n_init": 1, "max_iter": 3, "tol": 1.0}
    for cv in (None, 3):
        moe = MixtureOfExpertsRegressor(
            expert, 2, dispersion_estimator=Ridge(), cv=cv, random_state=0, **parts
        ).fit(X, y)
        assert np.isfinite(moe.lower_bounds_).all()
        mean, std = moe.predict(X, return_std=True)
        assert np.isfinite(mean).all()
        assert not np.isnan(std).any()  # tails may have no variance
        assert np.isfinite(moe.log_prob(X, y)).all()
