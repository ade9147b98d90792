"""Mixtures that answer together: their weights, their pool, and what they are weighed by."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_moe import (
    AutoMixtureClassifier,
    AutoMixtureRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from sklearn_moe._forecasts import Forecast, joined
from sklearn_moe._noise import Noise
from sklearn_moe.auto import _search
from sklearn_moe.auto._candidate import Candidate
from sklearn_moe.auto._sample import Sample
from sklearn_moe.auto._search import Judge, Judged
from sklearn_moe.auto._stacking import LEAST_WEIGHT, stacking_weights
from sklearn_moe.auto._width import width_of_pool
from sklearn_moe.families import Contaminated, Gamma, Gaussian, Laplace, LogNormal, StudentT
from sklearn_moe.predictive import MixtureDistribution
from sklearn_moe.predictive._pool import family_of_pool, pooled

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Experts .* lost their rows"),
]

QUICK = {"init": "principal", "n_init": 1, "max_iter": 4, "cv": 3, "random_state": 0}
rng = np.random.default_rng(8)
X = rng.uniform(-2, 2, size=(240, 2))
Y = np.sin(2 * X[:, 0]) + X[:, 1] + 0.2 * rng.normal(size=240)
LABELS = np.where(Y > 0.4, "high", np.where(Y < -0.4, "low", "mid"))
NEW = rng.uniform(-2, 2, size=(60, 2))


def twice(expert):
    """Two of a kind, whose number a search leaves as it is."""
    return [("left", expert), ("right", expert)]


def lines(**params):
    return MixtureOfExpertsRegressor(**{"experts": twice(Ridge()), **QUICK, **params})


def trees(**params):
    return MixtureOfExpertsRegressor(
        twice(DecisionTreeRegressor(max_depth=3)), **{**QUICK, **params}
    )


def regressors(**params):
    return [("lines", lines(**params)), ("trees", trees(**params))]


def classifiers():
    logistic = MixtureOfExpertsClassifier(twice(LogisticRegression()), **QUICK)
    grown = MixtureOfExpertsClassifier(twice(DecisionTreeClassifier(max_depth=4)), **QUICK)
    return [("logistic", logistic), ("trees", grown)]


@pytest.fixture(scope="module")
def pool():
    return AutoMixtureRegressor(regressors()).fit(X, Y)


@pytest.fixture(scope="module")
def label_pool():
    return AutoMixtureClassifier(classifiers()).fit(X, LABELS)


# What unseen rows say, one by one.


@pytest.mark.parametrize(
    "mixture",
    [
        lines(),
        lines(experts=Ridge(), n_experts=1),
        trees(calibrate=None, lean=False),
        classifiers()[0][1],
    ],
)
def test_the_score_is_the_mean_of_what_is_said_of_rows(mixture):
    y = LABELS if isinstance(mixture, MixtureOfExpertsClassifier) else Y
    weight = np.arange(240) % 3.0
    mixture.fit(X, y, sample_weight=weight)
    said = mixture.calibrated_log_probs_
    assert np.array_equal(np.isnan(said), weight == 0)
    mean = np.average(said[weight > 0], weights=weight[weight > 0])
    assert mixture.calibrated_log_prob_ == pytest.approx(mean, rel=1e-12)


def test_without_calibration_they_are_what_witnesses_said():
    mixture = trees(calibrate=None, lean=False).fit(X, Y)
    assert mixture.calibrated_log_probs_.mean() == pytest.approx(
        mixture.heldout_log_prob_, rel=1e-12
    )
    assert mixture.calibrated_log_probs_.std() > 0.1


def test_of_one_expert_that_the_verdict_keeps_they_are_its_own():
    wide, y = np.random.default_rng(0).normal(size=(200, 20)), np.arange(200) % 2
    wide[:, 0] += y
    mixture = MixtureOfExpertsClassifier(LogisticRegression(), 4, lean=False, **{**QUICK, "cv": 5})
    with pytest.warns(UserWarning, match="One expert explains"):
        mixture.fit(wide, y)
    said = mixture.calibrated_log_probs_.mean()
    assert said == pytest.approx(mixture.heldout_log_prob_ - mixture.gain_, rel=1e-12)
    assert said == pytest.approx(mixture.calibrated_log_prob_, rel=1e-12)


def test_without_witnesses_nothing_is_said():
    mixture = lines(verdict=False).fit(X, Y)
    assert np.isnan(mixture.calibrated_log_probs_).all()
    assert np.isnan(mixture.calibrated_log_prob_)


# Weights.


def densities(n_rows=200, n_members=3):
    return np.random.default_rng(1).normal(-1, 1, size=(n_rows, n_members))


def test_weights_make_unseen_rows_most_likely():
    log_probs = densities()
    weight = np.random.default_rng(2).uniform(0.1, 2, size=200)

    def loss(scores):
        return -np.average(logsumexp(log_probs + scores, axis=1), weights=weight) + logsumexp(
            scores
        )

    best = minimize(loss, np.zeros(3), tol=1e-10).x
    expected = np.exp(best - logsumexp(best))
    np.testing.assert_allclose(stacking_weights(log_probs, weight), expected, atol=1e-3)


def test_weights_of_rows_are_repeats():
    log_probs, times = densities(60), np.arange(60) % 3
    repeated = stacking_weights(log_probs.repeat(times, axis=0), np.ones(times.sum()))
    np.testing.assert_allclose(stacking_weights(log_probs, times.astype(float)), repeated)


def test_small_weights_go_to_others():
    log_probs = densities()
    log_probs[:, 2] -= 8.0
    weights = stacking_weights(log_probs, np.ones(200))
    assert weights[2] == 0.0
    np.testing.assert_allclose(weights[:2], stacking_weights(log_probs[:, :2], np.ones(200)))


def test_many_that_are_small_by_themselves_are_not_all_left_out():
    generator = np.random.default_rng(0)
    usual = generator.normal(-1, 1, size=300)
    rival = usual + np.where(generator.uniform(size=300) < 0.12, 3.0, -0.45)
    copies = rival[:, None] + 1e-6 * generator.normal(size=(300, 6))
    weights = stacking_weights(np.column_stack([usual, copies]), np.ones(300))
    assert 0.1 < weights[1:].sum() < 0.3
    assert weights[weights > 0].min() >= LEAST_WEIGHT
    alike = stacking_weights(1e-9 * generator.normal(size=(50, 25)), np.ones(50))
    assert alike[alike > 0].min() >= LEAST_WEIGHT
    assert alike.sum() == pytest.approx(1.0)
    assert np.count_nonzero(alike) >= 10


def test_of_two_the_better_one_is_found_though_they_are_alike():
    log_probs = np.random.default_rng(0).normal(size=(300, 2))
    log_probs[:, 1] = log_probs[:, 0] - 0.02
    np.testing.assert_array_equal(stacking_weights(log_probs, np.ones(300)), [1.0, 0.0])


def test_what_is_impossible_to_one_is_left_to_others():
    log_probs = np.zeros((100, 2))
    log_probs[:10, 0] = -np.inf
    log_probs[:5, 1] = -np.inf
    weights = stacking_weights(log_probs, np.ones(100))
    assert np.isfinite(weights).all()
    assert weights[1] > weights[0]


# Who answers.


def judge_of(weight=None, **columns):
    """A judge who has heard candidates of these log densities."""
    n_rows = len(next(iter(columns.values())))
    weight = np.ones(n_rows) if weight is None else weight
    rows = np.arange(n_rows)
    judge = Judge(Sample({}, np.zeros(n_rows), weight, None, rows, rows), print)
    for name, said in columns.items():
        candidate = Candidate(name, None)
        score = np.average(said, weights=weight)
        judge.judged[name] = Judged(candidate, score=score, log_probs=said, pools_with="soft")
    return judge


def test_rows_that_one_was_not_asked_about_have_no_say():
    log_probs = densities()
    gaps = log_probs.copy()
    gaps[:100, 0] = np.nan
    judge = judge_of(a=gaps[:, 0], b=gaps[:, 1], c=gaps[:, 2])
    known = stacking_weights(log_probs[100:], np.ones(100))
    found = judge.weights(Candidate("a", None))
    assert found == dict(zip("abc", known.tolist(), strict=True))
    gaps[:160, 1] = np.nan
    assert judge.weights(Candidate("a", None)) == {"a": 1.0}  # forty rows are too few


def test_one_that_was_never_asked_does_not_keep_others_from_answering():
    first, second, _ = densities().T
    judge = judge_of(a=first, lost=np.full(200, np.nan), b=second)
    assert set(judge.weights(Candidate("a", None))) == {"a", "b"}
    assert judge.weights(Candidate("lost", None)) == {"lost": 1.0}


def test_the_same_does_not_answer_twice():
    first, second, _ = densities().T
    judge = judge_of(a=first, b=second, again=first.copy())
    assert set(judge.weights(Candidate("a", None))) == {"a", "b"}
    assert set(judge.weights(Candidate("again", None))) == {"again", "b"}


def test_weights_of_rows_have_a_say():
    first, second, _ = densities().T
    weight = np.where(first > second, 1.0, 3.0)
    plain = judge_of(a=first, b=second).weights(Candidate("a", None))
    heavy = judge_of(weight, a=first, b=second)
    found = heavy.weights(Candidate("a", None))
    assert found["b"] > plain["b"] + 0.1
    said = logsumexp(np.column_stack([first, second]), axis=1, b=[found["a"], found["b"]])
    assert heavy.together(found) == pytest.approx(np.average(said, weights=weight))


def in_five_folds(**params):
    """Candidates whose fits to all rows are others than those that they are judged by."""
    params = {**QUICK, "cv": 5, **params}
    stumps = MixtureOfExpertsRegressor(twice(DecisionTreeRegressor(max_depth=2)), **params)
    return [("lines", lines(**params)), ("stumps", stumps)]


def said_of(auto):
    """Log densities (n, M) of unseen rows by those that answer, as they are fitted to all rows."""
    models = auto.named_estimators_.values()
    return np.column_stack([model[-1].calibrated_log_probs_ for model in models])


@pytest.mark.parametrize("max_rows", [3000, 80])
def test_those_who_answer_are_weighed_by_their_fits_to_all_rows(max_rows):
    auto = AutoMixtureRegressor(in_five_folds(), max_rows=max_rows).fit(X, Y)
    said = said_of(auto)
    assert said.shape == (240, 2)
    found = stacking_weights(said, np.ones(240))
    assert list(auto.weights_.values()) == pytest.approx(found.tolist())
    scores = {name: said[:, place].mean() for place, name in enumerate(auto.weights_)}
    assert auto.best_name_ == max(scores, key=scores.get)
    assert auto.pooled_log_prob_ >= logsumexp(said, axis=1, b=found).mean() - 1e-12


def test_if_nobody_judges_fits_to_all_rows_the_search_weighs():
    auto = AutoMixtureRegressor(in_five_folds(verdict=False)).fit(X, Y)
    again = AutoMixtureRegressor(in_five_folds(cv=3)).fit(X, Y)
    assert auto.weights_ == again.weights_
    assert np.isnan(said_of(auto)).all()
    assert auto.pooled_log_prob_ == again.pooled_log_prob_


def test_votes_do_not_answer_together():
    candidates = [
        (name, model.set_params(voting="hard", max_iter=2)) for name, model in classifiers()
    ]
    auto = AutoMixtureClassifier(candidates).fit(X, LABELS)
    assert auto.weights_ == {auto.best_name_: 1.0}


def test_one_that_cannot_be_fitted_to_all_rows_is_out():
    able = ("trees", trees(cv=3))
    unable = ("lines", lines(cv=None, calibrate="conformal"))
    with pytest.warns(UserWarning, match="'lines' cannot be fitted to all rows") as heard:
        auto = AutoMixtureRegressor([unable, able]).fit(X, Y)
    assert auto.weights_ == {"trees": 1.0}
    assert {warning.filename for warning in heard if "all rows" in str(warning.message)} == {
        __file__
    }


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_warnings_of_what_is_kept_point_to_who_has_called():
    with pytest.warns(ConvergenceWarning) as heard:
        AutoMixtureRegressor([("lines", lines(max_iter=1, init="random"))]).fit(X, Y)
    assert {warning.filename for warning in heard} == {__file__}


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_nobody_is_warned_of_those_who_do_not_answer(monkeypatch):
    weights = iter([np.array([0.5, 0.5]), np.array([1.0, 0.0])])  # by the search, by the last fits
    monkeypatch.setattr(_search, "stacking_weights", lambda *asked: next(weights))
    with pytest.warns(ConvergenceWarning) as heard:
        auto = AutoMixtureRegressor(in_five_folds(max_iter=1, init="random")).fit(X, Y)
    assert list(auto.named_estimators_) == [auto.best_name_]
    assert [warning.filename for warning in heard] == [__file__]


def test_a_background_has_no_part_in_the_mean():
    far = Y.copy()
    far[:10] += 30
    mixture = lines(outlier_fraction=0.05)
    auto = AutoMixtureRegressor([("lines", mixture)]).fit(X, far)
    mean, std = auto.predict(NEW, return_std=True)
    np.testing.assert_array_equal(mean, auto.predict(NEW))
    assert (std > 0).all()


# The pool of real targets.


def test_all_answer_in_proportion(pool):
    assert set(pool.weights_) == {"lines", "trees"}
    assert sum(pool.weights_.values()) == pytest.approx(1.0)
    means = {name: model.predict(NEW) for name, model in pool.named_estimators_.items()}
    expected = sum(weight * means[name] for name, weight in pool.weights_.items())
    np.testing.assert_allclose(pool.predict(NEW), expected)
    assert pool.best_estimator_ is pool.named_estimators_[pool.best_name_]
    again = pickle.loads(pickle.dumps(pool))
    np.testing.assert_array_equal(again.predict(NEW), expected)


def narrowed(distribution, factor):
    """The same with its dispersions multiplied by a factor."""
    law = distribution.law.copy()
    law[..., 0] *= factor
    parts = distribution.family, distribution.log_weights, distribution.means, law
    return MixtureDistribution(*parts, distribution.target_shape)


def test_the_density_is_the_mean_of_narrower_densities(pool):
    y = pool.predict(NEW)
    said = [model[-1].predict_dist(NEW) for model in pool.named_estimators_.values()]
    parts = [narrowed(each, pool.dispersion_factor_).pdf(y) for each in said]
    distribution = pool.predict_dist(NEW)
    expected = np.average(parts, axis=0, weights=list(pool.weights_.values()))
    np.testing.assert_allclose(distribution.pdf(y), expected, rtol=1e-5)
    mean, std = pool.predict(NEW, return_std=True)
    np.testing.assert_allclose(mean, y)
    np.testing.assert_allclose(std, distribution.std())
    interval = pool.predict_interval(NEW, 0.8)
    inside = distribution.cdf(interval[:, 1]) - distribution.cdf(interval[:, 0])
    np.testing.assert_allclose(inside, 0.8, atol=1e-8)


def test_all_queries_are_answered_by_the_pool(pool):
    distribution, y = pool.predict_dist(NEW), pool.predict(NEW)
    expected = distribution.logpdf(y + 1.0)
    np.testing.assert_array_equal(pool.log_prob(NEW, y + 1.0), expected)
    np.testing.assert_array_equal(pool.log_prob(NEW, (y + 1.0)[:, None].tolist()), expected)
    crps = distribution.crps(y + 1.0)
    np.testing.assert_array_equal(distribution.crps((y + 1.0)[:, None]), crps)
    with pytest.raises(ValueError, match="y must have the shape"):
        pool.log_prob(NEW, y[1:])
    np.testing.assert_array_equal(pool.predict_var(NEW), distribution.var())
    np.testing.assert_array_equal(pool.predict_quantiles(NEW, 0.3), distribution.ppf(0.3))
    np.testing.assert_array_equal(pool.sample_y(NEW, 2, 0), distribution.sample(2, 0))


def test_unseen_rows_like_the_pool_better_than_the_best(pool):
    said = np.column_stack(
        [mixture.set_params(cv=3).fit(X, Y).calibrated_log_probs_ for _, mixture in regressors()]
    )
    weights = [pool.weights_[name] for name in ("lines", "trees")]
    together = logsumexp(said, axis=1, b=weights).mean()
    assert pool.dispersion_factor_ < 0.95
    assert pool.pooled_log_prob_ > together + 0.005
    assert together > max(pool.log_probs_.values()) + 0.01


def test_the_best_alone_answers_if_that_is_asked(pool):
    alone = AutoMixtureRegressor(regressors(), stacking=False).fit(X, Y)
    assert alone.weights_ == {alone.best_name_: 1.0}
    assert alone.log_probs_ == pool.log_probs_
    assert alone.dispersion_factor_ == 1.0
    assert alone.pooled_log_prob_ == alone.log_probs_[alone.best_name_]
    np.testing.assert_array_equal(alone.predict(NEW), pool.best_estimator_.predict(NEW))


def test_a_law_of_another_kind_does_not_answer():
    auto = AutoMixtureRegressor([("lines", lines()), ("trees", trees(family="laplace"))]).fit(X, Y)
    assert set(auto.log_probs_) == {"lines", "trees"}
    assert auto.weights_ == {auto.best_name_: 1.0}


def test_conformal_intervals_are_those_of_the_only_one():
    params = {"calibrate": "conformal"}
    candidates = [("lines", lines(**params))]
    auto = AutoMixtureRegressor(candidates).fit(X, Y)
    expected = lines(**params).fit(X, Y).predict_interval(NEW)
    np.testing.assert_array_equal(auto.predict_interval(NEW), expected)


def test_several_outputs_and_rows_that_weigh_nothing():
    several = np.column_stack([Y, -2 * Y])
    weight = (np.arange(240) % 4 > 0).astype(float)
    auto = AutoMixtureRegressor(regressors()).fit(X, several, sample_weight=weight)
    kept = AutoMixtureRegressor(regressors()).fit(X[weight > 0], several[weight > 0])
    assert len(auto.weights_) == 2
    assert auto.weights_ == pytest.approx(kept.weights_)
    assert auto.dispersion_factor_.shape == (2,)
    np.testing.assert_allclose(auto.dispersion_factor_, kept.dispersion_factor_)
    np.testing.assert_allclose(auto.dispersion_factor_[0], auto.dispersion_factor_[1])
    np.testing.assert_allclose(auto.predict(NEW), auto.predict_dist(NEW).mean())
    assert auto.predict_interval(NEW).shape == (60, 2, 2)


# Pools of distributions.


@pytest.mark.parametrize("other", [{"family": "student_t"}, {"dispersion_estimator": Ridge()}])
def test_gaussian_laws_go_with_heavier_tails_and_laws_that_differ_by_row(other):
    first = lines(calibrate=None).fit(X, Y).predict_dist(NEW)
    second = trees(calibrate=None, **other).fit(X, Y).predict_dist(NEW)
    both = pooled([first, second], [0.25, 0.75], np.ones(1))
    at = first.mean() + 0.3
    expected = 0.25 * first.pdf(at) + 0.75 * second.pdf(at)
    np.testing.assert_allclose(both.pdf(at), expected, rtol=1e-5)
    np.testing.assert_allclose(both.weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(both.mean(), 0.25 * first.mean() + 0.75 * second.mean())
    drawn = both.sample(4000, 0).mean(axis=1)
    np.testing.assert_allclose(drawn, both.mean(), atol=0.1)
    assert len(both[:5]) == 5


def test_a_pool_is_no_surer_of_a_rounded_target_than_its_parts_may_be():
    law = Gaussian().prepared(np.arange(10.0)[:, None], np.ones(10))
    least = np.full((1, 1, 1), law.floor)
    part = MixtureDistribution(law, np.zeros((1, 1)), np.zeros((1, 1, 1)), least)
    both = pooled([part, part], [0.5, 0.5], factors=np.array([0.5]))
    np.testing.assert_array_equal(both.law[:, 0, 0], np.repeat(law.floor, 2))


class Rounder(Gaussian):
    """A Gaussian law with formulas of its own."""


def test_laws_that_can_be_pooled():
    assert family_of_pool(Rounder()) != family_of_pool(StudentT())
    gaussian = family_of_pool(Gaussian(shared=True))
    assert gaussian == family_of_pool(StudentT(df=5.0))
    assert gaussian == family_of_pool(Contaminated(clean=Gaussian(), fraction=0.1))
    assert gaussian != family_of_pool(Laplace())
    assert family_of_pool(Gamma()) != family_of_pool(LogNormal())
    said_mean, said_median = LogNormal(), LogNormal(expert_says="median")
    assert family_of_pool(said_mean) == family_of_pool(said_median)


# Their width.


def forecast_of(known, target, dispersion=1.0, order=slice(None)):
    """One expert that says what it knows of the targets."""
    n_rows = len(target)
    rows = np.arange(n_rows)[order]
    return Forecast(
        rows=rows,
        target=target[rows, None],
        weight=np.ones(n_rows),
        clusters=rows,
        log_gate=np.zeros((n_rows, 1)),
        mean=known[rows, None, None],
        law=np.full((n_rows, 1, 1, 1), dispersion),
    )


def test_two_who_know_different_halves_are_too_wide_together():
    known = np.random.default_rng(3).normal(size=(2, 4000))
    target, order = known.sum(axis=0), np.random.default_rng(4).permutation(4000)
    told = [forecast_of(known[0], target), forecast_of(known[1], target, order=order)]
    (factor,), gain = width_of_pool([Gaussian(), Gaussian()], told, [0.5, 0.5])

    def score(factor):
        parts = [stats.norm.pdf(target, each, np.sqrt(factor)) for each in known]
        return np.log(np.mean(parts, axis=0)).mean()

    best = minimize_scalar(lambda t: -score(np.exp(t)), bounds=(-3, 1), method="bounded")
    assert factor == pytest.approx(np.exp(best.x), abs=0.02)
    assert factor < 0.9
    assert gain == pytest.approx(score(factor) - score(1.0), rel=1e-9)


def test_who_is_as_wide_as_need_be_stays_so():
    target = np.random.default_rng(5).normal(size=500)
    told = [forecast_of(np.full(500, shift), target) for shift in (0.0, 0.05)]
    factors, gain = width_of_pool([Gaussian(), Gaussian()], told, [0.5, 0.5])
    assert factors.tolist() == [1.0]
    assert gain == 0.0


def test_each_output_has_its_own_width():
    known, other = np.random.default_rng(3).normal(size=(2, 4000)), np.zeros((2, 4000))
    target, calm = known.sum(axis=0), np.random.default_rng(7).normal(size=4000)
    told = []
    for each, idle in zip(known, other, strict=True):
        first, second = forecast_of(each, target), forecast_of(idle, calm)
        parts = {
            "target": np.column_stack([target, calm]),
            "mean": np.concatenate([first.mean, second.mean], axis=2),
            "law": np.concatenate([first.law, second.law], axis=2),
        }
        told.append(replace(first, **parts))
    alone = [forecast_of(each, target) for each in known]
    both, _ = width_of_pool([Gaussian(), Gaussian()], told, [0.5, 0.5])
    one, _ = width_of_pool([Gaussian(), Gaussian()], alone, [0.5, 0.5])
    assert both.tolist() == [one[0], 1.0]
    units = np.array([1e-3, 1e3])  # the floor of the one is far above the dispersions of the other
    families = [Gaussian().prepared(told[0].target * units, np.ones(4000))] * 2
    told = [
        replace(f, target=f.target * units, mean=f.mean * units, law=f.law * units[:, None] ** 2)
        for f in told
    ]
    assert width_of_pool(families, told, [0.5, 0.5])[0].tolist() == both.tolist()


def test_laws_without_a_scale_keep_their_width():
    counts = np.random.default_rng(6).poisson(np.exp(np.sin(2 * X[:, 0]) + 0.5 * X[:, 1]))
    auto = AutoMixtureRegressor(regressors(family="poisson")).fit(X, counts)
    assert len(auto.weights_) == 2
    assert auto.dispersion_factor_ == 1.0


# The pool of labels.


def test_probabilities_are_means(label_pool):
    parts = [model.predict_proba(NEW) for model in label_pool.named_estimators_.values()]
    assert len(parts) == 2
    expected = np.average(parts, axis=0, weights=list(label_pool.weights_.values()))
    proba = label_pool.predict_proba(NEW)
    np.testing.assert_allclose(proba, expected)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.exp(label_pool.predict_log_proba(NEW)), expected)
    labels = label_pool.classes_[expected.argmax(axis=1)]
    np.testing.assert_array_equal(label_pool.predict(NEW), labels)


def test_the_probability_of_a_label_is_the_mean_of_theirs(label_pool):
    mixtures = [model[-1] for model in label_pool.named_estimators_.values()]
    said = [model.log_prob(NEW, LABELS[: len(NEW)]) for model in mixtures]
    expected = np.log(np.average(np.exp(said), axis=0, weights=list(label_pool.weights_.values())))
    np.testing.assert_allclose(label_pool.log_prob(NEW, LABELS[: len(NEW)]), expected)
    with pytest.raises(ValueError, match="labels"):
        label_pool.log_prob(NEW[:1], ["never seen"])


def test_votes_are_those_of_the_only_one():
    voting = MixtureOfExpertsClassifier(
        twice(DecisionTreeClassifier(max_depth=4)), voting="hard", **QUICK
    )
    auto = AutoMixtureClassifier([("votes", voting)]).fit(X, LABELS)
    np.testing.assert_array_equal(auto.predict(NEW), auto.mixture_.predict(NEW))


def test_forecasts_of_lost_experts_are_joined():
    known, target = np.random.default_rng(9).normal(size=(2, 30))
    one = forecast_of(known[:20], target[:20])
    two = forecast_of(known[20:], target[20:])
    two = replace(
        two,
        rows=two.rows + 20,
        log_gate=np.log(np.full((10, 2), 0.5)),
        mean=np.repeat(two.mean, 2, axis=1),
        law=np.repeat(two.law, 2, axis=1),
    )
    noise = Noise(Gaussian())
    expected = np.concatenate([one.log_density(noise), two.log_density(noise)])
    np.testing.assert_allclose(joined([one, two]).log_density(noise), expected)
