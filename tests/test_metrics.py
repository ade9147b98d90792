"""Measures of distributions and intervals: their definitions, weights, and use by searches."""

import pickle

import numpy as np
import pytest
import sklearn
from scipy import stats
from scipy.integrate import trapezoid
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe.metrics import (
    calibration_error,
    calibration_error_scorer,
    crps,
    crps_scorer,
    interval_coverage,
    interval_score,
    log_score,
    log_score_scorer,
    make_distribution_scorer,
    make_interval_scorer,
    pit_values,
)

RNG = np.random.default_rng(0)
N = 400
LOC = RNG.normal(size=N)
SCALE = RNG.uniform(0.5, 2.0, size=N)
Y = LOC + SCALE * RNG.normal(size=N)
RATE = RNG.uniform(0.3, 4.0, size=N)
COUNTS = RNG.poisson(RATE).astype(float)
ROWS = np.arange(N)
X = RNG.normal(size=(N, 2))
TARGET = X[:, 0] + 0.5 * RNG.normal(size=N)
SCORERS = [log_score_scorer, crps_scorer, calibration_error_scorer]


class Normal:
    """Independent normal laws of rows and outputs, with what the measures ask of a distribution."""

    is_discrete = False

    def __init__(self, loc, scale):
        self.laws = stats.norm(loc, scale)
        self.scale = scale

    def mean(self):
        return self.laws.mean()

    def cdf(self, y):
        return self.laws.cdf(y)

    def logpdf(self, y):
        return self.laws.logpdf(y).reshape(len(y), -1).sum(axis=1)

    def interval(self, coverage):
        return np.stack(self.laws.interval(coverage), axis=-1)

    def crps(self, y):
        z = (y - self.mean()) / self.scale
        density, probability = stats.norm.pdf(z), stats.norm.cdf(z)
        return self.scale * (z * (2 * probability - 1) + 2 * density - 1 / np.sqrt(np.pi))


class Counts:
    """Poisson laws."""

    is_discrete = True

    def __init__(self, rate):
        self.laws = stats.poisson(rate)

    def mean(self):
        return self.laws.mean()

    def cdf(self, y):
        return self.laws.cdf(y)

    def logpdf(self, y):
        return self.laws.logpmf(y)


class NormalRegressor(RegressorMixin, BaseEstimator):
    """Least squares with a given spread."""

    def __init__(self, spread=1.0):
        self.spread = spread

    def fit(self, X, y, sample_weight=None):
        self.line_ = LinearRegression().fit(X, y, sample_weight)
        return self

    def predict(self, X):
        return self.line_.predict(X)

    def predict_dist(self, X):
        mean = self.predict(X)
        return Normal(mean, np.full(mean.shape, self.spread))


TRUTH = Normal(LOC, SCALE)
INTERVAL = TRUTH.interval(0.8)
MEASURES = {
    "log_score": lambda y, loc, scale, w: log_score(y, Normal(loc, scale), sample_weight=w),
    "crps": lambda y, loc, scale, w: crps(y, Normal(loc, scale), sample_weight=w),
    "calibration_error": lambda y, loc, scale, w: calibration_error(
        y, Normal(loc, scale), sample_weight=w
    ),
    "interval_score": lambda y, loc, scale, w: interval_score(
        y, Normal(loc, scale).interval(0.8), coverage=0.8, sample_weight=w
    ),
    "interval_coverage": lambda y, loc, scale, w: interval_coverage(
        y, Normal(loc, scale).interval(0.8), sample_weight=w
    ),
}


# Definitions.


def test_log_score_is_the_mean_negative_log_density():
    expected = -stats.norm.logpdf(Y, LOC, SCALE).mean()
    assert log_score(Y, TRUTH) == pytest.approx(expected, rel=1e-12)
    assert log_score(Y, stats.norm(LOC, SCALE)) == pytest.approx(expected, rel=1e-12)
    expected = -stats.poisson.logpmf(COUNTS, RATE).mean()
    assert log_score(COUNTS, Counts(RATE)) == pytest.approx(expected, rel=1e-12)


def test_log_score_of_several_outputs_is_joint():
    two = np.column_stack([Y, LOC])
    expected = log_score(Y, TRUTH) - stats.norm.logpdf(LOC, 0, 1).mean()
    dist = Normal(np.column_stack([LOC, 0 * LOC]), np.column_stack([SCALE, np.ones(N)]))
    assert log_score(two, dist) == pytest.approx(expected, rel=1e-12)


def test_log_score_is_infinite_where_the_density_is_zero():
    dist = stats.uniform(np.zeros(3), 1)
    assert log_score([0.5, 0.5, 2.0], dist) == np.inf
    assert log_score([0.5, 0.5, 2.0], dist, sample_weight=[1, 1, 0]) == 0.0


def test_crps_is_the_squared_distance_of_distribution_functions():
    grid = np.linspace(-12, 12, 200_001)
    for y, loc, scale in [(0.3, 0.0, 1.0), (2.0, -0.5, 0.7)]:
        squared = (stats.norm.cdf(grid, loc, scale) - (y <= grid)) ** 2
        found = crps([y], Normal(np.array([loc]), np.array([scale])))
        assert found == pytest.approx(trapezoid(squared, grid), rel=1e-3)


def test_interval_score_is_width_and_fines():
    expected = 0.0
    for y, (lower, upper) in zip(Y, INTERVAL, strict=True):
        expected += upper - lower
        expected += 10 * (lower - y) if y < lower else 0
        expected += 10 * (y - upper) if y > upper else 0
    assert interval_score(Y, INTERVAL, coverage=0.8) == pytest.approx(expected / N, rel=1e-12)


def test_intervals_without_ends_have_no_nan():
    everywhere, beyond = [-np.inf, np.inf], [np.inf, np.inf]
    assert interval_score([1.0], [everywhere], coverage=0.9) == np.inf
    assert interval_score([1.0, 2.0], [beyond, [0.0, 3.0]], coverage=0.9) == np.inf


def test_interval_coverage_counts_the_ends():
    interval = np.array([[0.0, 1.0]] * 4)
    assert interval_coverage([0.0, 1.0, 0.5, 1.1], interval) == 0.75
    assert interval_coverage(Y, INTERVAL) == pytest.approx(0.8, abs=0.06)
    assert interval_coverage([1.0, 2.0], [[-np.inf, np.inf]] * 2) == 1.0


@pytest.mark.parametrize("name", MEASURES)
def test_outputs_count_equally(name):
    halves = [MEASURES[name](Y[rows], LOC[rows], SCALE[rows], None) for rows in np.split(ROWS, 2)]
    table = [np.reshape(part, (2, -1)).T for part in (Y, LOC, SCALE)]
    expected = sum(halves) if name == "log_score" else np.mean(halves)
    assert MEASURES[name](*table, None) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", [name for name in MEASURES if name != "interval_coverage"])
def test_the_truth_is_best(name):
    best = MEASURES[name](Y, LOC, SCALE, None)
    for wrong in ((LOC, SCALE / 2), (LOC, 2 * SCALE), (LOC + 1, SCALE)):
        assert best < MEASURES[name](Y, *wrong, None)


@pytest.mark.parametrize("name", MEASURES)
def test_weights_equal_repeats(name):
    weight = np.random.default_rng(1).integers(0, 4, size=N)
    repeated = [np.repeat(part, weight) for part in (Y, LOC, SCALE)]
    expected = MEASURES[name](*repeated, None)
    assert MEASURES[name](Y, LOC, SCALE, weight) == pytest.approx(expected, rel=1e-12)
    assert MEASURES[name](Y, LOC, SCALE, weight / 7) == pytest.approx(expected, rel=1e-12)


def test_vectors_and_columns_are_one_output():
    expected = log_score(Y, TRUTH)
    assert log_score(Y[:, None], TRUTH) == expected
    assert log_score(Y, Normal(LOC[:, None], SCALE[:, None])) == expected
    assert interval_coverage(Y[:, None], INTERVAL) == interval_coverage(Y, INTERVAL[:, None])


def test_targets_may_be_of_any_kind_of_numbers():
    pandas = pytest.importorskip("pandas")
    expected = crps(Y, TRUTH)
    assert crps(list(Y), TRUTH) == expected
    assert crps(pandas.Series(Y, index=ROWS + 7), TRUTH) == expected
    assert log_score(COUNTS.astype(int), Counts(RATE)) == log_score(COUNTS, Counts(RATE))


# Calibration.


def is_uniform(values):
    """True for all but a thousandth of uniform samples."""
    return stats.kstest(values, "uniform").pvalue > 1e-3


def test_transforms_are_uniform_under_the_truth():
    values = pit_values(Y, TRUTH)
    np.testing.assert_allclose(values, stats.norm.cdf(Y, LOC, SCALE), rtol=1e-12)
    assert is_uniform(values)
    assert not is_uniform(pit_values(Y, Normal(LOC, SCALE / 2)))
    two = pit_values(np.column_stack([Y, Y]), Normal(np.c_[LOC, LOC], np.c_[SCALE, SCALE]))
    np.testing.assert_array_equal(two, np.column_stack([values, values]))


def test_transforms_of_counts_are_drawn():
    rng = np.random.default_rng(2)
    rate = rng.uniform(0.3, 4.0, size=20_000)
    counts, dist = rng.poisson(rate), Counts(rate)
    values = pit_values(counts, dist, random_state=0)
    assert is_uniform(values)
    assert not is_uniform((dist.cdf(counts) + dist.cdf(counts - 1)) / 2)
    assert (dist.cdf(counts - 1) <= values).all()
    assert (values <= dist.cdf(counts)).all()
    np.testing.assert_array_equal(values, pit_values(counts, dist, random_state=0))
    assert (values != pit_values(counts, dist, random_state=1)).any()


def test_between_two_counts_there_is_no_probability():
    dist = Counts(np.ones(2))
    between = pit_values(np.array([0.5, 1.5]), dist, random_state=0)
    np.testing.assert_array_equal(between, dist.cdf(np.array([0.5, 1.5])))


class Rain:
    """Dry with probability `dry`, else exponential with mean `amount`."""

    is_discrete = False

    def __init__(self, dry, amount):
        self.dry, self.amount = dry, amount

    def mean(self):
        return (1 - self.dry) * self.amount

    def cdf(self, y):
        wet = stats.expon.cdf(y / self.amount)
        return np.where(y < 0, 0.0, self.dry + (1 - self.dry) * wet)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_transforms_of_a_zero_with_probability_are_drawn(unit):
    rng = np.random.default_rng(3)
    dry, amount = rng.uniform(0.1, 0.9, size=(2, 20_000))
    y = unit * amount * np.where(rng.uniform(size=20_000) < dry, 0.0, rng.exponential(size=20_000))
    dist = Rain(dry, unit * amount)
    values = pit_values(y, dist, random_state=0)
    assert is_uniform(values)
    np.testing.assert_array_equal(values[y > 0], dist.cdf(y)[y > 0])
    assert calibration_error(y, dist) < 0.01


def test_a_seed_that_is_none_is_told_whether_it_is_needed_or_not():
    with pytest.raises(ValueError, match="'a' cannot be used to seed"):
        pit_values(Y, TRUTH, random_state="a")


def test_no_draw_is_made_without_need():
    generator = np.random.RandomState(0)
    pit_values(Y, TRUTH, random_state=generator)
    assert generator.uniform() == np.random.RandomState(0).uniform()


def test_calibration_error_is_large_where_the_spread_is_wrong():
    assert calibration_error(Y, TRUTH) < 0.04
    assert calibration_error(Y, Normal(LOC, SCALE / 2)) > 0.15
    assert calibration_error(Y, Normal(LOC, SCALE * 2)) > 0.15
    assert calibration_error(COUNTS, Counts(RATE)) < 0.04
    assert calibration_error(COUNTS, Counts(RATE + 2)) > 0.15


def test_calibration_error_at_one_level_is_that_of_coverage():
    for level in (0.5, 0.8):
        inside = interval_coverage(Y, TRUTH.interval(level))
        found = calibration_error(Y, TRUTH, levels=level)
        assert found == pytest.approx(abs(inside - level), abs=1e-12)


def test_ends_of_central_intervals_are_inside():
    laws = stats.uniform(np.zeros(4), 1.0)
    assert calibration_error([0.1, 0.25, 0.75, 0.9], laws, levels=[0.5]) == 0.0


def test_targets_are_not_taken_for_those_of_other_rows():
    with pytest.raises(ValueError, match=r"y_true has shape \(4,\), but .* has shape \(2, 2\)"):
        pit_values(np.zeros(4), stats.norm(np.zeros((2, 2)), 1.0))


def test_targets_that_are_none_are_refused():
    for metric in (pit_values, calibration_error):
        for nothing in (None, 3.0):
            with pytest.raises(ValueError, match="y_true must hold finite numbers"):
                metric(nothing, stats.norm(np.zeros(3), 1.0))


def test_calibration_error_of_counts_is_the_mean_over_draws():
    dist, levels = Counts(RATE), np.array([0.2, 0.6])
    inside = np.zeros(2)
    for seed in range(400):
        off_centre = np.abs(pit_values(COUNTS, dist, random_state=seed) - 0.5)
        inside += (off_centre[:, None] <= levels / 2).mean(axis=0) / 400
    found = calibration_error(COUNTS, dist, levels=levels)
    assert found == pytest.approx(np.abs(inside - levels).mean(), abs=3e-3)
    assert found == calibration_error(COUNTS, dist, levels=levels)


def test_outputs_do_not_make_up_for_each_other():
    loc, y = np.zeros((1000, 2)), stats.norm.ppf(np.linspace(0.0005, 0.9995, 1000))
    scale = np.tile([0.5, 2.0], (1000, 1))
    both = [calibration_error(y, Normal(loc[:, k], scale[:, k])) for k in (0, 1)]
    found = calibration_error(np.column_stack([y, y]), Normal(loc, scale))
    assert found == pytest.approx(np.mean(both), rel=1e-12)


# Scorers.


@pytest.mark.parametrize("scorer", SCORERS, ids=repr)
def test_search_finds_the_spread(scorer):
    search = GridSearchCV(NormalRegressor(), {"spread": [0.1, 0.5, 2.0]}, scoring=scorer)
    search.fit(X, TARGET)
    assert search.best_params_ == {"spread": 0.5}
    assert search.score(X, TARGET) == scorer(search.best_estimator_, X, TARGET)
    assert scorer(search, X, TARGET) == search.score(X, TARGET)
    assert search.best_score_ < 0
    assert clone(search).fit(X, TARGET).best_score_ == search.best_score_


def test_scores_are_the_losses_of_the_folds():
    scoring = {
        "log": log_score_scorer,
        "crps": crps_scorer,
        "width": make_interval_scorer(interval_score, coverage=0.9),
        "inside": make_interval_scorer(interval_coverage, coverage=0.9, greater_is_better=True),
        "r2": "r2",
    }
    found = cross_validate(
        NormalRegressor(0.5), X, TARGET, cv=3, scoring=scoring, return_estimator=True
    )
    model, test = found["estimator"][0], slice(0, 134)
    dist = model.predict_dist(X[test])
    assert found["test_log"][0] == -log_score(TARGET[test], dist)
    assert found["test_crps"][0] == -crps(TARGET[test], dist)
    interval = dist.interval(0.9)
    assert found["test_width"][0] == -interval_score(TARGET[test], interval, coverage=0.9)
    assert found["test_inside"][0] == interval_coverage(TARGET[test], interval)
    assert found["test_r2"][0] == model.score(X[test], TARGET[test])


def test_pipelines_and_searches_are_seen_through():
    model = NormalRegressor(0.5)
    inner = GridSearchCV(model, {"spread": [0.5]}, scoring=log_score_scorer)
    expected = log_score_scorer(clone(model).fit(X, TARGET), X, TARGET)
    scaled = make_pipeline(StandardScaler(), model)
    for estimator in (
        make_pipeline(model),
        scaled,
        make_pipeline("passthrough", model),
        make_pipeline(StandardScaler(), scaled),
        make_pipeline(StandardScaler(), inner),
        GridSearchCV(scaled, {"normalregressor__spread": [0.5]}, scoring=log_score_scorer),
        FrozenEstimator(clone(scaled).fit(X, TARGET)),
    ):
        fitted = clone(estimator).fit(X, TARGET)
        assert log_score_scorer(fitted, X, TARGET) == pytest.approx(expected, rel=1e-12)
    scores = cross_validate(scaled, X, TARGET, scoring={"a": log_score_scorer, "b": crps_scorer})
    assert (scores["test_a"] < 0).all()


def test_frames_keep_their_names_through_a_pipeline():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b"])
    model = Pipeline([("scale", StandardScaler().set_output(transform="pandas"))])
    model.steps.append(("last", NormalRegressor(0.5)))
    assert (cross_val_score(model, frame, TARGET, scoring=log_score_scorer) < 0).all()


def test_estimators_without_distribution_are_refused():
    for model in (LinearRegression(), make_pipeline(StandardScaler(), DummyRegressor())):
        with pytest.raises(TypeError, match=r"no predict_dist.*Pipeline that ends in one"):
            log_score_scorer(model.fit(X, TARGET), X, TARGET)
    search = GridSearchCV(
        NormalRegressor(), {"spread": [0.5]}, scoring=log_score_scorer, refit=False
    )
    with pytest.raises(TypeError, match="refit=True"):
        log_score_scorer(search.fit(X, TARGET), X, TARGET)


def test_labels_are_scored_otherwise():
    model = DummyClassifier().fit(X, Y > 0)
    with pytest.raises(TypeError, match=r"is a classifier.*scoring='neg_log_loss'"):
        log_score_scorer(model, X, Y > 0)


@pytest.mark.parametrize("scorer", SCORERS, ids=repr)
def test_scorers_can_be_sent_away(scorer):
    model = NormalRegressor().fit(X, TARGET)
    sent = pickle.loads(pickle.dumps(scorer))
    assert sent(model, X, TARGET) == scorer(model, X, TARGET)
    assert repr(sent) == repr(scorer) == repr(clone(scorer, safe=False))


def test_scorers_say_what_they_are():
    assert repr(log_score_scorer) == "make_distribution_scorer(log_score)"
    scorer = make_interval_scorer(interval_coverage, coverage=0.5, greater_is_better=True)
    expected = "make_interval_scorer(interval_coverage, greater_is_better=True, coverage=0.5)"
    assert repr(scorer) == expected


def test_scorers_take_arguments_of_the_metric():
    model = NormalRegressor(0.4).fit(X, TARGET)
    scorer = make_distribution_scorer(calibration_error, levels=[0.9])
    dist = model.predict_dist(X)
    assert scorer(model, X, TARGET) == -calibration_error(TARGET, dist, levels=[0.9])
    own = make_distribution_scorer(lambda y, dist: float(np.mean(dist.cdf(y))))
    assert own(model, X, TARGET) == -pit_values(TARGET, dist).mean()


class Calibrated(NormalRegressor):
    """Says wider intervals than its laws have."""

    def predict_interval(self, X, coverage=0.9):
        return 2 * self.predict_dist(X).interval(coverage)


def test_interval_scorers_take_the_intervals_that_users_get():
    scorer, model = make_interval_scorer(interval_score, coverage=0.9), Calibrated(0.4)
    for estimator in (model, make_pipeline("passthrough", model)):
        estimator.fit(X, TARGET)
        interval = model.predict_interval(X, 0.9)
        expected = -interval_score(TARGET, interval, coverage=0.9)
        assert scorer(estimator, X, TARGET) == expected


def test_scorers_weigh_rows():
    model, weight = (
        NormalRegressor(0.4).fit(X, TARGET),
        np.random.default_rng(4).integers(0, 3, size=N),
    )
    rows = np.repeat(ROWS, weight)
    for scorer in (*SCORERS, make_interval_scorer(interval_score, coverage=0.9)):
        weighted = scorer(model, X, TARGET, sample_weight=weight)
        assert weighted == pytest.approx(scorer(model, X[rows], TARGET[rows]), rel=1e-12)


@pytest.mark.parametrize("maker", ["distribution", "interval"])
def test_weights_are_routed(maker):
    if maker == "distribution":
        scorer = make_distribution_scorer(log_score)
    else:
        scorer = make_interval_scorer(interval_score, coverage=0.9)
    weight = np.random.default_rng(5).integers(1, 4, size=N)
    params = {"cv": 3, "params": {"sample_weight": weight}}
    with sklearn.config_context(enable_metadata_routing=True):
        scorer.set_score_request(sample_weight=True)
        model = NormalRegressor().set_fit_request(sample_weight=True)
        found = cross_validate(
            model, X, TARGET, scoring={"a": scorer}, return_estimator=True, **params
        )
        search = GridSearchCV(
            model, {"spread": [0.5, 1.0]}, scoring=clone(scorer, safe=False), cv=3
        )
        search.fit(X, TARGET, sample_weight=weight)
    test = slice(0, 134)
    expected = scorer(found["estimator"][0], X[test], TARGET[test], sample_weight=weight[test])
    assert found["test_a"][0] == pytest.approx(expected, rel=1e-12)
    assert search.cv_results_["split0_test_score"][1] == pytest.approx(expected, rel=1e-12)


# Mixtures.

SIDES = np.random.default_rng(6).uniform(-1, 1, size=(600, 2))
NOISE = np.random.default_rng(7).normal(size=600)
UNEVEN = SIDES[:, 0] + np.where(SIDES[:, 0] > 0, 1.0, 0.1) * NOISE
QUICK = {"random_state": 0, "n_init": 1, "verdict": False}


def test_scores_of_one_expert_are_those_of_a_normal_law():
    model = MixtureOfExpertsRegressor(n_experts=1, calibrate=None).fit(SIDES, UNEVEN)
    scale = np.full(600, np.sqrt(model.dispersions_[0]))
    dist, normal = model.predict_dist(SIDES), Normal(model.predict(SIDES), scale)
    for measure in (log_score, crps, calibration_error):
        assert measure(UNEVEN, dist) == pytest.approx(measure(UNEVEN, normal), rel=1e-9)
    np.testing.assert_allclose(pit_values(UNEVEN, dist), pit_values(UNEVEN, normal), rtol=1e-9)
    np.testing.assert_allclose(dist.interval(0.9), normal.interval(0.9), rtol=1e-8)


def test_log_score_is_that_of_the_mixture():
    model = MixtureOfExpertsRegressor(**QUICK).fit(SIDES, UNEVEN)
    expected = -model.log_prob(SIDES, UNEVEN).mean()
    assert log_score(UNEVEN, model.predict_dist(SIDES)) == pytest.approx(expected, rel=1e-12)


def test_search_finds_that_two_experts_know_their_noise():
    model = make_pipeline(StandardScaler(), MixtureOfExpertsRegressor(**QUICK))
    grid = {"mixtureofexpertsregressor__n_experts": [1, 2]}
    scoring = {
        "log_score": log_score_scorer,
        "crps": crps_scorer,
        "calibration": calibration_error_scorer,
        "interval": make_interval_scorer(interval_score, coverage=0.9),
    }
    search = GridSearchCV(model, grid, scoring=scoring, refit="log_score", cv=3)
    search.fit(SIDES, UNEVEN)
    for name in scoring:
        one, two = search.cv_results_[f"mean_test_{name}"]
        assert one < two


@pytest.mark.parametrize("family", ["gaussian", "poisson", "tweedie"])
def test_draws_of_a_mixture_are_calibrated(family):
    rng = np.random.default_rng(8)
    mean = np.exp(SIDES[:, 0] + 0.5 * SIDES[:, 1])
    y = {
        "gaussian": UNEVEN,
        "poisson": rng.poisson(mean),
        "tweedie": mean * rng.choice([0, 1], 600) * rng.gamma(2.0, size=600),
    }
    model = MixtureOfExpertsRegressor(family=family, max_iter=2, tol=1.0, **QUICK)
    dist = model.fit(SIDES, y[family]).predict_dist(SIDES)
    drawn = dist.sample(1, random_state=0)[:, 0]
    assert is_uniform(pit_values(drawn, dist, random_state=1))
    assert calibration_error(drawn, dist) < 0.04


def test_measures_of_several_outputs_of_a_mixture():
    y = np.column_stack([UNEVEN, -2 * UNEVEN])
    model = MixtureOfExpertsRegressor(**QUICK).fit(SIDES, y)
    dist = model.predict_dist(SIDES)
    assert log_score(y, dist) == pytest.approx(-model.log_prob(SIDES, y).mean(), rel=1e-12)
    assert crps(y, dist) == pytest.approx(dist.crps(y).mean(), rel=1e-12)
    assert pit_values(y, dist).shape == (600, 2)
    assert interval_coverage(y, dist.interval(0.8)) == pytest.approx(0.8, abs=0.06)
    assert crps_scorer(model, SIDES, y) == -crps(y, dist)


# What is refused.


BAD = {
    "dist is predictions": (lambda: log_score(Y, LOC), TypeError, "ndarray.*predict_dist"),
    "dist lacks crps": (lambda: crps(Y, stats.norm(LOC, SCALE)), TypeError, "crps"),
    "other rows": (lambda: log_score(Y[:5], TRUTH), ValueError, r"\(5,\).*\(400,\).*rows"),
    "other outputs": (
        lambda: crps(np.column_stack([Y, Y]), TRUTH),
        ValueError,
        r"\(400, 2\).*\(400,\)",
    ),
    "no joint density": (
        lambda: log_score(np.c_[Y, Y], stats.norm(np.c_[LOC, LOC], 1.0)),
        ValueError,
        "logpdf one for each row",
    ),
    "target is missing": (lambda: pit_values([np.nan], stats.norm([0])), ValueError, "y_true"),
    "target is text": (lambda: pit_values(["a"], stats.norm([0])), ValueError, "y_true must"),
    "few weights": (lambda: crps(Y, TRUTH, sample_weight=[1, 2]), ValueError, "sample_weight"),
    "negative weight": (lambda: crps(Y, TRUTH, sample_weight=-SCALE), ValueError, "sample_weight"),
    "no weight": (lambda: crps(Y, TRUTH, sample_weight=0 * Y), ValueError, "[Ss]ample.weight"),
    "no weight for levels": (
        lambda: calibration_error(Y, TRUTH, sample_weight=0 * Y),
        ValueError,
        "[Ss]ample.weight",
    ),
    "level in percent": (
        lambda: calibration_error(Y, TRUTH, levels=[50, 90]),
        ValueError,
        r"levels=\[50, 90\].*0.9 for 90%",
    ),
    "no levels": (lambda: calibration_error(Y, TRUTH, levels=[]), ValueError, "levels"),
    "level is text": (lambda: calibration_error(Y, TRUTH, levels="a"), ValueError, "levels='a'"),
    "coverage in percent": (
        lambda: interval_score(Y, INTERVAL, coverage=90),
        ValueError,
        "coverage=90.*0.9 for 90%",
    ),
    "coverage is 1": (lambda: interval_score(Y, INTERVAL, coverage=1.0), ValueError, "coverage"),
    "coverage is None": (
        lambda: interval_score(Y, INTERVAL, coverage=None),
        ValueError,
        "coverage=None",
    ),
    "two coverages": (
        lambda: make_interval_scorer(interval_score, coverage=[0.5, 0.9]),
        ValueError,
        "one number",
    ),
    "interval is a pair": (lambda: interval_coverage(Y, INTERVAL.T), ValueError, r"stack"),
    "interval of others": (lambda: interval_coverage(Y[:5], INTERVAL), ValueError, r"\(5,\)"),
    "ends swapped": (
        lambda: interval_coverage([1.0, 1.0], [[0, 2], [2, 0]]),
        ValueError,
        "row 1 is .2.0, 0.0.",
    ),
    "end is missing": (
        lambda: interval_score([1.0], [[0, np.nan]], coverage=0.9),
        ValueError,
        "NaN",
    ),
    "metric is a name": (lambda: make_distribution_scorer("crps"), TypeError, "metric='crps'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, error, match = BAD[case]
    with pytest.raises(error, match=match):
        call()
