"""Laws of every fitted mixture: what must add up, and what EM promises.

Probabilities sum to one, predictions are gate-weighted averages, densities follow the formula,
which is written out here with numpy. The bound in sample never falls, and is what it says it is.
"""

import warnings

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import (
    ConstantGate,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SoftmaxGate,
)
from sklearn_moe._softmax_bank import SoftmaxBank

LOGISTIC = LogisticRegression(solver="newton-cholesky")
EXPERTS = {
    "ridge": Ridge(),
    "tree": DecisionTreeRegressor(max_depth=3, random_state=0),
    "logistic": LOGISTIC,
    "hard votes": RidgeClassifier(),
}


def build(kind, **params):
    """A mixture of two experts of the kind, from one start."""
    expert = EXPERTS.get(kind, kind) if isinstance(kind, str) else kind
    mixture = MixtureOfExpertsClassifier if is_classifier(expert) else MixtureOfExpertsRegressor
    return mixture(expert, **{"n_init": 1, "verdict": False, "random_state": 0, **params})


def table(kind, n_samples=300):
    """Two regimes, told apart by the first of three features."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 3))
    y = np.where(X[:, 0] > 0, 3.0, -3.0) * X[:, 1] + 0.5 * rng.normal(size=n_samples)
    return X, np.array(["no", "yes"])[(y > 0).astype(int)] if is_classifier(EXPERTS[kind]) else y


@pytest.fixture(scope="module", params=["ridge", "tree", "logistic", "hard votes"])
def fitted(request):
    """A fitted mixture with its table."""
    X, y = table(request.param)
    return (
        build(request.param, n_experts=3, init="principal", max_iter=50, tol=1e-2).fit(X, y),
        X,
        y,
    )


# What must add up.


def test_probabilities_sum_to_one(fitted):
    moe, X, y = fitted
    answers = [moe.gate_proba(X), moe.responsibilities(X, y)]
    answers += [moe.predict_proba(X)] if is_classifier(moe) else []
    for answer in answers:
        assert (answer >= 0).all()
        np.testing.assert_allclose(answer.sum(axis=1), 1, rtol=0, atol=1e-12)


def test_prediction_is_the_gate_weighted_average(fitted):
    moe, X, _ = fitted
    gate, said = moe.gate_proba(X), moe.predict_experts(X)
    if is_classifier(moe):
        share = moe.dispersions_[:, None]
        said = (1 - share) * said + share * moe.class_prior_
    average = sum(gate[:, k].reshape(-1, *[1] * (said.ndim - 2)) * said[:, k] for k in range(3))
    answer = moe.predict_proba(X) if is_classifier(moe) else moe.predict(X)
    np.testing.assert_allclose(answer, average, rtol=0, atol=1e-12)


def test_classes_follow_the_probabilities(fitted):
    moe, X, _ = fitted
    np.testing.assert_array_equal(moe.apply(X), moe.gate_proba(X).argmax(axis=1))
    if is_classifier(moe):
        most_likely = moe.classes_[moe.predict_proba(X).argmax(axis=1)]
        np.testing.assert_array_equal(moe.predict(X), most_likely)


def joint(moe, X, y):
    """Gate probability times density of the target, (n, K), by the book."""
    said = moe.predict_experts(X)
    if is_classifier(moe):
        own = np.stack([said[i, :, list(moe.classes_).index(y[i])] for i in range(len(y))])
        prior = np.array([moe.class_prior_[list(moe.classes_).index(label)] for label in y])
        density = (1 - moe.dispersions_) * own + moe.dispersions_ * prior[:, None]
    else:
        density = norm.pdf(y[:, None], said, np.sqrt(moe.dispersions_))
    return moe.gate_proba(X) * density


def test_log_prob_and_responsibilities_follow_the_formula(fitted):
    moe, X, y = fitted
    expected = joint(moe, X, y)
    # Rows whose density underflows in the formula (not in the code, which works in logs).
    rows = expected.sum(axis=1) > 1e-200
    assert rows.mean() > 0.9
    np.testing.assert_allclose(moe.log_prob(X, y)[rows], np.log(expected.sum(axis=1))[rows])
    share = expected[rows] / expected[rows].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(moe.responsibilities(X, y)[rows], share, atol=1e-10)


def test_hard_voting_counts_votes():
    X, y = table("logistic")
    moe = build("logistic", voting="hard").fit(X, y)
    votes = np.eye(2)[moe.predict_experts(X).argmax(axis=2)]
    expected = (moe.gate_proba(X)[:, :, None] * votes).sum(axis=1)
    np.testing.assert_allclose(moe.predict_proba(X), expected, atol=1e-12)


def test_densities_of_two_outputs_multiply():
    X, y = table("ridge")
    Y = np.column_stack([y, 2 * X[:, 2] - 0.5 * y])
    moe = build("ridge").fit(X, Y)
    assert moe.dispersions_.shape == (2, 2)
    log_prob = norm.logpdf(Y[:, None], moe.predict_experts(X), np.sqrt(moe.dispersions_))
    expected = logsumexp(np.log(moe.gate_proba(X)) + log_prob.sum(axis=2), axis=1)
    np.testing.assert_allclose(moe.log_prob(X, Y), expected)


def test_copied_output_finds_the_same_regimes():
    X, y = table("ridge")
    resp = build("ridge").fit(X, y).apply(X)
    twice = build("ridge").fit(X, np.column_stack([y, y])).apply(X)
    assert max((resp == twice).mean(), (resp != twice).mean()) > 0.95


# What EM promises.


@pytest.mark.parametrize("init", ["random", "principal", "local"])
@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_bound_never_falls_in_sample(kind, init):
    X, y = table(kind)
    if kind == "logistic":  # labels at random, else a region without errors has no optimum
        y = np.random.default_rng(1).permutation(y)
    free = LinearRegression() if kind == "ridge" else clone(LOGISTIC).set_params(C=np.inf, tol=1e-9)
    moe = build(free, gate=SoftmaxGate(alpha=1.0), cv=None, init=init, tol=1e-5, max_iter=500)
    bounds = moe.fit(X, y).lower_bounds_
    assert len(bounds) > 1
    assert np.diff(bounds).min() > -1e-8


@pytest.mark.parametrize("gate", [SoftmaxGate(alpha=2.0), ConstantGate(), LOGISTIC], ids=str)
@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_bound_in_sample_is_the_mean_log_likelihood_minus_the_penalty(kind, gate):
    X, y = table(kind)
    weight = np.random.default_rng(1).uniform(0.5, 2, size=len(X))
    moe = build(kind, gate=gate, cv=None, init="principal", tol=1e-3)
    moe.fit(X, y, sample_weight=weight)
    expected = weight @ moe.log_prob(X, y) - moe.gate_.penalty()
    np.testing.assert_allclose(moe.lower_bound_, expected / weight.sum(), rtol=1e-10)


@pytest.mark.parametrize("cv", [5, None])
def test_bound_kept_is_the_best(cv):
    X, y = table("tree")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        moe = build("tree", cv=cv, init="random", n_experts=3).fit(X, y)
    if cv is None:
        assert moe.lower_bound_ == max(moe.lower_bounds_)
    else:  # the dispersions were settled in the end
        assert moe.lower_bound_ > max(moe.lower_bounds_)
    assert len(moe.lower_bounds_) == moe.n_iter_
    assert set(moe.start_bounds_) == {"random"}
    assert moe.expert_mass_.sum() == pytest.approx(len(X))


@pytest.mark.parametrize("cv", [5, None])
def test_one_iteration_has_not_converged(cv):
    X, y = table("ridge")
    moe = build("ridge", cv=cv, max_iter=1, init="random")
    with pytest.warns(ConvergenceWarning, match="Raise max_iter or tol"):
        moe.fit(X, y)
    assert not moe.converged_
    assert moe.n_iter_ == 1


@pytest.mark.parametrize("cv", [5, None])
@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_warm_start_goes_on(kind, cv):
    X, y = table(kind)
    # In sample the bound rises as long as experts maximise the likelihood, so without a penalty.
    expert = Ridge(1e-8) if kind == "ridge" and cv is None else kind
    moe = build(expert, cv=cv, init="random", tol=1e-4, warm_start=True).fit(X, y)
    assert moe.converged_
    first, bound = moe.n_iter_, moe.lower_bound_
    moe.fit(X, y)
    assert list(moe.start_bounds_) == ["warm"]
    assert moe.n_iter_ < first
    assert moe.lower_bound_ > bound - (1e-3 if cv else 1e-9)


def test_gate_takes_whole_steps_once_a_start_is_chosen(monkeypatch):
    X, y = table("ridge")
    params = {"cv": None, "init": "random", "tol": 1e-6, "max_iter": 300}
    bold = build(Ridge(1e-8), **params).fit(X, y)
    monkeypatch.setattr(SoftmaxBank, "with_whole_steps", lambda bank: bank)
    cautious = build(Ridge(1e-8), **params).fit(X, y)
    assert bold.start_bounds_ == cautious.start_bounds_
    assert bold.n_iter_ < 0.7 * cautious.n_iter_
    assert bold.lower_bound_ == pytest.approx(cautious.lower_bound_, abs=1e-5)


def test_cold_start_begins_anew():
    X, y = table("ridge")
    moe = build("ridge", init="random").fit(X, y)
    first = moe.lower_bounds_
    assert moe.fit(X, y).lower_bounds_ == first
