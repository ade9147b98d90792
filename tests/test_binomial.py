"""Mixtures under binomial noise: against EM by hand, and against labels with weights."""

import numpy as np
import pytest
from scipy import stats
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from sklearn_moe.families import Binomial
from sklearn_moe.gates import ConstantGate

N_TRIALS, N_STEPS = 12, 8
RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, size=(400, 2))
CHANCE = np.where(X[:, 0] > 0, 0.1, 0.7) + 0.2 * X[:, 1] * (X[:, 0] < 0)
Y = RNG.binomial(N_TRIALS, CHANCE).astype(float)
TRIALS = Binomial(n_trials=N_TRIALS)
START = np.where(X[:, :1] > 0, [0.8, 0.2], [0.2, 0.8])


def in_sample(**options):
    """A mixture of constants fitted in sample from a known start."""
    settings = {"cv": None, "init": START, "family": TRIALS, "tol": 0, "max_iter": N_STEPS}
    return MixtureOfExpertsRegressor(DummyRegressor(), **{**settings, **options}).fit(X, Y)


@pytest.mark.filterwarnings("ignore:EM did not settle")
def test_constants_are_found_as_by_hand():
    moe = in_sample(gate=ConstantGate())
    resp, bounds = START, []
    for _ in range(N_STEPS):
        shares, chances = resp.mean(axis=0), resp.T @ Y / resp.sum(axis=0) / N_TRIALS
        joint = shares * stats.binom.pmf(Y[:, None], N_TRIALS, chances)
        bounds.append(np.log(joint.sum(axis=1)).mean())
        resp = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(moe.lower_bounds_, bounds, atol=1e-9)
    assert np.diff(moe.lower_bounds_).min() > -1e-10


def test_one_expert_has_the_likelihood_of_as_many_labels():
    counts = MixtureOfExpertsRegressor(DummyRegressor(), 1, family=TRIALS, cv=None).fit(X, Y)
    labels = np.repeat([1, 0], len(X))
    weights = np.concatenate([Y, N_TRIALS - Y])
    one = DummyClassifier().fit(np.vstack([X, X]), labels, weights)
    each = one.predict_log_proba(X)
    by_label = Y * each[:, 1] + (N_TRIALS - Y) * each[:, 0]
    orders = stats.binom.logpmf(Y, N_TRIALS, 0.5) - N_TRIALS * np.log(0.5)
    np.testing.assert_allclose(counts.log_prob(X, Y), by_label + orders, rtol=1e-9)


def test_two_regimes_are_found_and_what_it_says_stays_within_the_trials():
    moe = MixtureOfExpertsRegressor(LinearRegression(), family=TRIALS, random_state=0).fit(X, Y)
    far = np.array([[-1.0, 40.0], [-1.0, -40.0], [1.0, 0.0]])
    proba = moe.gate_proba(X)
    assert np.corrcoef(proba[:, 0], X[:, 0] > 0)[0, 1] ** 2 > 0.9
    law = moe.predict_dist(far)
    assert ((law.mean() > 0) & (law.mean() < N_TRIALS)).all()
    assert law.pdf(np.full(3, N_TRIALS + 1.0)).max() == 0
    np.testing.assert_allclose(law.cdf(np.full(3, float(N_TRIALS))), 1)
    assert law.ppf(1.0).max() <= N_TRIALS
    assert np.isfinite(moe.log_prob(far, [0, 12, 12])).all()
    assert moe.log_prob(far, np.full(3, N_TRIALS + 2.5)).max() < -700  # beyond the trials
    assert moe.heldout_log_prob_ > moe.heldout_log_prob_ - moe.gain_


@pytest.mark.filterwarnings("ignore:EM did not settle")
def test_yes_or_no_is_the_classifier_of_two_classes():
    yes = (np.random.default_rng(1).uniform(size=len(X)) < CHANCE).astype(float)
    options = {"cv": None, "init": START, "verdict": False, "tol": 0, "max_iter": N_STEPS}
    moe = MixtureOfExpertsRegressor(DummyRegressor(), family="binomial", **options).fit(X, yes)
    labels = MixtureOfExpertsClassifier(DummyClassifier(strategy="prior"), **options)
    labels.fit(X, yes.astype(int))
    # Labels leave a share of (1 + rows)^-2 to the class rates, so that none is impossible; here up
    # to 1e-4 for an expert of a hundred rows.
    np.testing.assert_allclose(moe.lower_bound_, labels.lower_bound_, atol=1e-5)
    np.testing.assert_allclose(moe.predict(X), labels.predict_proba(X)[:, 1], atol=1e-3)


def test_certain_targets_stay_finite():
    moe = MixtureOfExpertsRegressor(DummyRegressor(), 1, family=TRIALS, cv=None)
    moe.fit(X, np.full(len(X), float(N_TRIALS)))
    assert moe.log_prob(X[:2], [N_TRIALS, N_TRIALS]) == pytest.approx([0, 0], abs=1e-9)
    assert np.isfinite(moe.log_prob(X[:1], [0.0])).all()


def test_each_output_is_left_a_part_of_its_own_failures():
    law = Binomial(n_trials=10).prepared(np.array([[9.0, 4.0]]), np.ones(1))
    found = law.adjust(np.full((1, 1, 2), 10.0), np.ones((1, 2, 1)))
    np.testing.assert_allclose(found, [[[10 - 1e-3, 10 - 6e-3]]], rtol=1e-9)


@pytest.mark.filterwarnings("ignore:EM did not settle")
def test_several_outputs_weights_and_any_expert():
    targets = np.column_stack([Y, N_TRIALS - Y])
    times = np.arange(len(X)) % 3
    options = {"family": TRIALS, "cv": 3, "random_state": 0, "max_iter": 3, "n_init": 1}
    moe = MixtureOfExpertsRegressor(LinearRegression(), **options)
    moe.fit(X, targets, times)
    rows = np.repeat(np.arange(len(X)), times)
    again = MixtureOfExpertsRegressor(LinearRegression(), **options).fit(X[rows], targets[rows])
    np.testing.assert_allclose(moe.predict(X), again.predict(X), rtol=1e-6)
    np.testing.assert_allclose(moe.predict(X).sum(axis=1), N_TRIALS, rtol=1e-2)
    boosted = HistGradientBoostingRegressor(loss="poisson", max_iter=10)
    one = MixtureOfExpertsRegressor(boosted, calibrate="conformal", **options).fit(X, Y)
    ends = one.predict_interval(X, 0.8)
    assert ((ends >= 0) & (ends <= N_TRIALS)).all()
    assert np.mean((ends[:, 0] <= Y) & (ends[:, 1] >= Y)) > 0.7
