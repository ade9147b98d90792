"""Exact references: what other programs, closed forms and derivatives say the answers must be.

Against R's flexmix (`golden/make_flexmix.py` made the files). flexmix fits the same model, a
softmax gate over linear Gaussian experts, by the same EM, with one difference: in every iteration
it inflates each variance by n / (n - p), p being the number of an expert's coefficients. So its
fixed point is not the maximum of the likelihood, and its parameters must not equal ours. Three
statements are exact all the same:

- The likelihood of its parameters is not above ours, and below it only by what the variances cost:
  n / 2 * (log c + 1 / c - 1) with c = n / (n - p), about p^2 / 4n, when nothing else moves. Twice
  that is the bar, since the rest does move a little.
- EM of ours that starts at its posteriors ends at the optimum that ours from the common start does:
  both programs climb the same hill.
- Given the posteriors, the M-step of experts and gate does not depend on the variances. One M-step
  of ours at its posteriors therefore gives back its coefficients, and its variances once ours are
  multiplied by n / (n - p). What remains is its gate: nnet stops when the cross-entropy changes by
  less than 1e-8 of itself, which leaves 1e-4 in the coefficients. So the cross-entropies are
  compared, and ours must be the lower one.

Against scikit-learn: constant experts under a constant gate are a Gaussian mixture of the target;
a softmax gate on hard labels is a logistic regression; a mixture of one expert is the expert.
"""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import log_softmax, logsumexp
from scipy.stats import norm
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.validation import has_fit_parameter

from sklearn_moe import (
    ConstantGate,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SoftmaxGate,
)
from sklearn_moe.logit import SoftLogit, _hessians, _problem, solve, sum_zero_basis

# flexmix: in-sample EM of linear experts.

GOLDEN = sorted((Path(__file__).parent / "golden").glob("flexmix_*.json.gz"))


@pytest.fixture(scope="module", params=GOLDEN, ids=lambda path: path.name.split(".")[0])
def golden(request):
    """A table, a start, and flexmix's parameters."""
    stored = json.loads(gzip.decompress(request.param.read_bytes()))
    return {name: np.array(values) for name, values in stored.items()}


@pytest.fixture(scope="module")
def fitted(golden):
    """Our mixture, fitted from the start that flexmix was given."""
    return fit_linear(golden, start_of(golden))


def fit_linear(golden, resp, **params):
    """Maximum likelihood, in sample, from the responsibilities `resp`, to full precision."""
    moe = MixtureOfExpertsRegressor(
        LinearRegression(), resp.shape[1], gate=SoftmaxGate(alpha=0), cv=None, init=resp
    )
    moe.set_params(**{"tol": 1e-12, "max_iter": 2000, **params})
    return moe.fit(golden["X"], golden["y"])


def start_of(golden):
    n_experts = len(golden["sigma"])
    return 0.9 * np.eye(n_experts)[golden["labels"]] + 0.1 / n_experts


def log_joint(golden, parameters):
    """log gate + log density (n, K) of a mixture of linear experts, from the textbook."""
    X, y = golden["X"], golden["y"]
    gate = log_softmax(X @ parameters["gate_coef"] + parameters["gate_intercept"], axis=1)
    mean = X @ parameters["expert_coef"] + parameters["expert_intercept"]
    return gate + norm.logpdf(y[:, None], mean, parameters["sigma"])


def log_likelihood(golden, parameters):
    return logsumexp(log_joint(golden, parameters), axis=1).sum()


def posteriors(golden):
    """Responsibilities under flexmix's parameters."""
    joint = log_joint(golden, golden)
    return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


def parameters_of(moe, n_features):
    """The parameters of a mixture of ours in flexmix's form: raw features, first expert at zero."""
    corners = np.vstack([np.zeros(n_features), np.eye(n_features)])
    log_gate = moe.gate_.predict_log_proba(corners)
    log_odds = log_gate - log_gate[:, :1]
    return {
        "expert_coef": np.column_stack([expert.coef_ for expert in moe.experts_]),
        "expert_intercept": np.array([expert.intercept_ for expert in moe.experts_]),
        "gate_coef": log_odds[1:] - log_odds[0],
        "gate_intercept": log_odds[0],
        "sigma": np.sqrt(moe.dispersions_),
    }


def test_golden_files_are_there():
    assert len(GOLDEN) >= 6


def test_textbook_formula_is_that_of_flexmix(golden):
    assert log_likelihood(golden, golden) == pytest.approx(golden["log_likelihood"], abs=1e-8)


def test_log_prob_follows_the_textbook_formula(golden, fitted):
    X, y = golden["X"], golden["y"]
    joint = log_joint(golden, parameters_of(fitted, X.shape[1]))
    np.testing.assert_allclose(fitted.log_prob(X, y), logsumexp(joint, axis=1), atol=1e-10)
    assert fitted.lower_bound_ == pytest.approx(fitted.log_prob(X, y).mean(), abs=1e-12)


def test_in_sample_bound_never_falls(fitted):
    assert fitted.converged_
    assert len(fitted.lower_bounds_) > 5
    assert np.diff(fitted.lower_bounds_).min() >= -1e-10


def test_penalised_in_sample_bound_never_falls(golden):
    moe = fit_linear(golden, start_of(golden), gate=SoftmaxGate(alpha=10.0))
    assert np.diff(moe.lower_bounds_).min() >= -1e-10


def test_likelihood_is_not_below_that_of_flexmix(golden, fitted):
    n, width = len(golden["y"]), golden["X"].shape[1] + 1
    gain = fitted.log_prob(golden["X"], golden["y"]).sum() - log_likelihood(golden, golden)
    assert -1e-6 <= gain <= 2 * width**2 / (4 * n)


def test_common_start_and_flexmix_lead_to_one_optimum(golden, fitted):
    X, y = golden["X"], golden["y"]
    from_flexmix = fit_linear(golden, posteriors(golden))
    assert from_flexmix.converged_
    ours, theirs = (moe.log_prob(X, y).sum() for moe in (fitted, from_flexmix))
    assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.fixture(scope="module")
def one_step(golden):
    """Our mixture after one M-step at flexmix's posteriors."""
    with pytest.warns(ConvergenceWarning, match="max_iter=1 "):
        return fit_linear(golden, posteriors(golden), max_iter=1)


def test_m_step_at_flexmix_posteriors_returns_its_experts(golden, one_step):
    n, n_features = golden["X"].shape
    ours = parameters_of(one_step, n_features)
    ours["sigma"] = ours["sigma"] * np.sqrt(n / (n - n_features - 1))
    for name in ("expert_coef", "expert_intercept", "sigma"):
        np.testing.assert_allclose(ours[name], golden[name], atol=1e-7, err_msg=name)


def test_m_step_at_flexmix_posteriors_returns_its_gate(golden, one_step):
    X = golden["X"]
    ours = one_step.gate_.predict_log_proba(X)
    theirs = log_softmax(X @ golden["gate_coef"] + golden["gate_intercept"], axis=1)
    np.testing.assert_allclose(np.exp(ours), np.exp(theirs), atol=1e-4)
    excess = (posteriors(golden) * (ours - theirs)).sum()
    assert -1e-9 <= excess <= 1e-5


# Gaussian mixture: constant experts under a constant gate.


def two_or_three_humps(n_experts, seed=0):
    """Targets from well-separated normal laws, and rough responsibilities for them."""
    rng = np.random.default_rng(seed)
    label = rng.integers(n_experts, size=200)
    y = 2.5 * label + rng.normal(size=200) * (0.5 + 0.3 * label)
    noisy = np.where(rng.random(200) < 0.7, label, rng.integers(n_experts, size=200))
    return y, 0.8 * np.eye(n_experts)[noisy] + 0.2 / n_experts


def gaussian_mixture(y, resp, n_updates):
    """scikit-learn's mixture after `n_updates` iterations from the moments under `resp`."""
    mass = resp.sum(axis=0)
    mean = resp.T @ y / mass
    variance = (resp * (y[:, None] - mean) ** 2).sum(axis=0) / mass
    start = {
        "weights_init": mass / mass.sum(),
        "means_init": mean[:, None],
        "precisions_init": 1 / variance[:, None, None],
    }
    mixture = GaussianMixture(resp.shape[1], reg_covar=0, tol=0, max_iter=n_updates, **start)
    with pytest.warns(ConvergenceWarning):
        return mixture.fit(y[:, None])


def mixture_of_constants(y, resp, n_updates, sample_weight=None):
    # Our first M-step finds the moments that the Gaussian mixture is told.
    moe = MixtureOfExpertsRegressor(
        DummyRegressor(),
        resp.shape[1],
        gate=ConstantGate(),
        cv=None,
        init=resp,
        min_responsibility=0.0,
    )
    moe.set_params(tol=0, max_iter=1 + n_updates)
    with pytest.warns(ConvergenceWarning):
        return moe.fit(np.arange(len(y))[:, None], y, sample_weight=sample_weight)


def assert_same_mixture(moe, mixture, y):
    said = np.array([float(expert.constant_.item()) for expert in moe.experts_])
    np.testing.assert_allclose(moe.gate_.mixing_proportions_, mixture.weights_, atol=1e-10)
    np.testing.assert_allclose(said, mixture.means_[:, 0], atol=1e-10)
    np.testing.assert_allclose(moe.dispersions_, mixture.covariances_[:, 0, 0], atol=1e-10)
    X = np.zeros((len(y), 1))
    np.testing.assert_allclose(moe.log_prob(X, y), mixture.score_samples(y[:, None]), atol=1e-10)


@pytest.mark.parametrize("n_experts", [2, 3])
@pytest.mark.parametrize("n_updates", [1, 2, 3, 10, 30])
def test_constant_experts_are_a_gaussian_mixture(n_experts, n_updates):
    y, resp = two_or_three_humps(n_experts)
    moe = mixture_of_constants(y, resp, n_updates)
    assert_same_mixture(moe, gaussian_mixture(y, resp, n_updates), y)


def test_weighted_constant_experts_are_a_gaussian_mixture_of_repeats():
    y, resp = two_or_three_humps(2, seed=1)
    weight = np.random.default_rng(2).integers(0, 4, size=len(y))
    moe = mixture_of_constants(y, resp, 10, sample_weight=weight)
    rows = np.repeat(np.arange(len(y)), weight)
    assert_same_mixture(moe, gaussian_mixture(y[rows], resp[rows], 10), y)


# Logistic regression: the softmax gate on hard labels.


def labelled(n_experts, n_features=3, seed=0):
    """Features of different scales, and labels that overlap too much to be separable."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((150, n_features)) * 10.0 ** rng.integers(-2, 3, n_features)
    scores = (X / X.std(axis=0)) @ rng.standard_normal((n_features, n_experts))
    return X, (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)


def logistic_regression(X, labels, C, sample_weight=None):
    """scikit-learn's probabilities, with the features standardised as the gate does."""
    Z = StandardScaler().fit(X, sample_weight=sample_weight).transform(X)
    model = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    return Z, model.fit(Z, labels, sample_weight=sample_weight)


def equivalent_C(alpha, n_experts):
    """The `C` that makes both objectives one.

    The gate pays alpha / 2 * |coef|^2 over the coefficients of all experts. So does the logistic
    regression with C = 1 / alpha for three classes or more. For two it has one vector w, which is
    the difference of the gate's two: coef = (-w / 2, w / 2) and |coef|^2 = |w|^2 / 2, so that
    C = 2 / alpha.
    """
    if alpha == 0:
        return np.inf
    return (2 if n_experts == 2 else 1) / alpha


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0, 50.0])
@pytest.mark.parametrize("n_experts", [2, 3, 4])
def test_gate_on_hard_labels_is_logistic_regression(n_experts, alpha):
    X, labels = labelled(n_experts)
    gate = SoftmaxGate(alpha).fit(X, np.eye(n_experts)[labels])
    Z, reference = logistic_regression(X, labels, equivalent_C(alpha, n_experts))
    np.testing.assert_allclose(gate.predict_proba(X), reference.predict_proba(Z), atol=1e-7)


@pytest.mark.parametrize("n_experts", [2, 3])
def test_gate_on_soft_targets_is_logistic_regression_on_expanded_rows(n_experts):
    X, _ = labelled(n_experts)
    targets = np.random.default_rng(3).gamma(1.0, size=(len(X), n_experts))
    gate = SoftmaxGate(alpha=2.0).fit(X, targets)
    rows, labels = np.indices(targets.shape).reshape(2, -1)
    C = equivalent_C(2.0, n_experts)
    Z, reference = logistic_regression(X[rows], labels, C, targets.ravel())
    proba = gate.predict_proba(X[rows])
    np.testing.assert_allclose(proba, reference.predict_proba(Z), atol=1e-7)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_gate_does_not_depend_on_the_units_of_the_features(alpha):
    X, labels = labelled(3)
    targets = np.eye(3)[labels]
    factor, shift = np.array([1e-3, 7.0, 1e4]), np.array([5.0, -1e3, 0.1])
    proba = SoftmaxGate(alpha).fit(X, targets).predict_proba(X)
    moved = X * factor + shift
    other = SoftmaxGate(alpha).fit(moved, targets).predict_proba(moved)
    np.testing.assert_allclose(proba, other, atol=1e-8)


# The gate's objective and its solvers.


def soft_problem(n_experts, sparse=False, alpha=0.7):
    rng = np.random.default_rng(n_experts)
    Z = rng.standard_normal((60, 4)) * (rng.random((60, 4)) < 0.5)
    targets = rng.gamma(0.5, size=(60, n_experts))
    return SoftLogit(sp.csr_matrix(Z) if sparse else Z, targets, alpha)


def central_differences(function, theta, step=1e-5):
    """Derivative of `function` along each entry of `theta`, in the order of `theta.ravel()`."""
    moves = step * np.eye(theta.size).reshape(-1, *theta.shape)
    slopes = [(function(theta + move) - function(theta - move)) / (2 * step) for move in moves]
    return np.array(slopes)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("n_experts", [2, 3, 5, _hessians.MANY])
def test_gate_derivatives_are_those_of_its_objective(n_experts, sparse):
    problem = soft_problem(n_experts, sparse)
    theta = np.random.default_rng(0).standard_normal(problem.shape)
    _, gradient, proba = problem.evaluate(theta)
    slope = central_differences(lambda at: problem.evaluate(at)[0], theta)
    np.testing.assert_allclose(gradient.ravel(), slope, rtol=1e-7, atol=1e-7)
    curvature = central_differences(lambda at: problem.evaluate(at)[1].ravel(), theta)
    np.testing.assert_allclose(problem.hessian(proba), curvature, rtol=1e-7, atol=1e-7)


def test_gate_objective_is_the_penalised_cross_entropy():
    problem = soft_problem(3)
    theta = np.random.default_rng(0).standard_normal(problem.shape)
    coef = sum_zero_basis(3) @ theta
    log_proba = log_softmax(problem.Z @ coef[:, :-1].T + coef[:, -1], axis=1)
    penalty = 0.35 * (coef[:, :-1] ** 2).sum()
    expected = -(problem.targets * log_proba).sum() + penalty
    assert problem.evaluate(theta)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("n_experts", [2, 4])
def test_newton_and_lbfgs_agree(n_experts, alpha, monkeypatch):
    X, labels = labelled(n_experts)
    targets = 0.8 * np.eye(n_experts)[labels] + 0.2 / n_experts
    by_newton = SoftmaxGate(alpha).fit(X, targets).predict_proba(X)
    monkeypatch.setattr(_problem, "NEWTON_LIMIT", 0)
    monkeypatch.setattr(_problem, "_newton", None)  # proof that the other path was taken
    by_lbfgs = SoftmaxGate(alpha).fit(X, targets).predict_proba(X)
    np.testing.assert_allclose(by_newton, by_lbfgs, atol=1e-6)


@pytest.mark.parametrize("limit", [0, 250], ids=["lbfgs", "newton"])
def test_the_unit_of_weight_does_not_say_when_a_gate_is_solved(limit, monkeypatch):
    monkeypatch.setattr(_problem, "NEWTON_LIMIT", limit)
    problem, unit = soft_problem(3), 2.0**-30
    small = SoftLogit(problem.Z, problem.targets * unit, problem.alpha * unit)
    theta, n_iter = solve(problem, None, 100, 1e-6)
    found, n_found = solve(small, None, 100, 1e-6)
    assert n_found == n_iter > 1
    np.testing.assert_allclose(found, theta, rtol=1e-9)


def test_a_gate_is_solved_from_anywhere():
    """Both rows are on the wrong side by so much that Newton's step goes far beyond."""
    targets = np.array([[0.9, 0.1], [0.1, 0.9]])
    problem = SoftLogit(np.array([[-1.0], [1.0]]), targets, 1e-3)
    theta, n_iter = solve(problem, None, 100, 1e-12)
    assert n_iter > 1
    found, _ = solve(problem, np.array([[-6.0, 0.0]]), 100, 1e-12)
    np.testing.assert_allclose(found, theta, atol=1e-9)
    assert solve(problem, theta, 100, 1e-12)[1] == 0
    once, n_once = solve(problem, None, 1, 1e-12)
    assert n_once == 1
    assert problem.evaluate(once)[0] < problem.evaluate(0 * once)[0]


def test_curvature_of_a_gate_is_that_of_all_rows():
    """Of rows that come in several blocks."""
    rng = np.random.default_rng(0)
    Z, targets = rng.normal(size=(20_000, 2)), rng.dirichlet([1.0, 1.0], 20_000)
    problem = SoftLogit(Z, targets, 0.7)
    proba = problem.evaluate(rng.normal(size=problem.shape))[2]
    design = np.column_stack([Z, np.ones(len(Z))])
    expected = 2 * (design.T * proba.prod(axis=1)) @ design + np.diag([0.7, 0.7, 0.0])
    np.testing.assert_allclose(problem.hessian(proba), expected, rtol=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_dense_and_sparse_gate_agree(alpha):
    X, labels = labelled(3)
    X[np.abs(X) < X.std(axis=0)] = 0.0
    targets = np.eye(3)[labels]
    dense = SoftmaxGate(alpha).fit(X, targets)
    sparse = SoftmaxGate(alpha).fit(sp.csr_matrix(X), targets)
    np.testing.assert_allclose(
        dense.predict_proba(X), sparse.predict_proba(sp.csr_matrix(X)), atol=1e-8
    )
    np.testing.assert_allclose(sparse.predict_proba(X), dense.predict_proba(X), atol=1e-8)


# One expert alone.

REGRESSORS = [
    Ridge(),
    LinearRegression(),
    DecisionTreeRegressor(max_depth=4, random_state=0),
    RandomForestRegressor(10, random_state=0),
    KNeighborsRegressor(),
    GaussianProcessRegressor(alpha=0.1),
]
CLASSIFIERS = [
    LogisticRegression(solver="newton-cholesky"),
    GaussianNB(),
    DecisionTreeClassifier(max_depth=4, random_state=0),
    RandomForestClassifier(10, random_state=0),
    KNeighborsClassifier(),
    GaussianProcessClassifier(random_state=0),
]


def takes_weights(experts):
    return [expert for expert in experts if has_fit_parameter(expert, "sample_weight")]


def table(seed=0):
    """Features, targets, three text labels and weights; the last 20 rows are for queries."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((100, 3))
    y = np.sin(2 * X[:, 0]) + X[:, 1] + 0.2 * rng.standard_normal(100)
    labels = np.array(["low", "middle", "high"])[np.digitize(y, [-0.5, 0.5])]
    return X, y, labels, rng.uniform(0.5, 2.0, size=100)


@pytest.mark.parametrize("cv", [5, None])
@pytest.mark.parametrize("expert", REGRESSORS, ids=lambda expert: type(expert).__name__)
def test_one_regressor_is_itself(expert, cv):
    X, y, _, _ = table()
    moe = MixtureOfExpertsRegressor(expert, 1, cv=cv).fit(X[:80], y[:80])
    alone = clone(expert).fit(X[:80], y[:80])
    np.testing.assert_allclose(moe.predict(X), alone.predict(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("cv", [5, None])
@pytest.mark.parametrize(
    "expert", takes_weights(REGRESSORS), ids=lambda expert: type(expert).__name__
)
def test_one_weighted_regressor_is_itself(expert, cv):
    X, y, _, weight = table()
    moe = MixtureOfExpertsRegressor(expert, 1, cv=cv)
    moe.fit(X[:80], y[:80], sample_weight=weight[:80])
    alone = clone(expert).fit(X[:80], y[:80], sample_weight=weight[:80])
    np.testing.assert_allclose(moe.predict(X), alone.predict(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("cv", [5, None])
@pytest.mark.parametrize("expert", CLASSIFIERS, ids=lambda expert: type(expert).__name__)
def test_one_classifier_is_itself(expert, cv):
    X, _, labels, _ = table()
    moe = MixtureOfExpertsClassifier(expert, 1, cv=cv).fit(X[:80], labels[:80])
    alone = clone(expert).fit(X[:80], labels[:80])
    np.testing.assert_allclose(moe.predict_proba(X), alone.predict_proba(X), rtol=0, atol=1e-12)
    assert (moe.classes_ == alone.classes_).all()
    assert (moe.predict(X) == alone.predict(X)).all()


@pytest.mark.parametrize("cv", [5, None])
@pytest.mark.parametrize(
    "expert", takes_weights(CLASSIFIERS), ids=lambda expert: type(expert).__name__
)
def test_one_weighted_classifier_is_itself(expert, cv):
    X, _, labels, weight = table()
    moe = MixtureOfExpertsClassifier(expert, 1, cv=cv)
    moe.fit(X[:80], labels[:80], sample_weight=weight[:80])
    alone = clone(expert).fit(X[:80], labels[:80], sample_weight=weight[:80])
    np.testing.assert_allclose(moe.predict_proba(X), alone.predict_proba(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("cv", [5, None])
def test_one_regressor_of_two_outputs_is_itself(cv):
    X, y, _, weight = table()
    Y = np.column_stack([y, X[:, 2] - y])
    moe = MixtureOfExpertsRegressor(Ridge(), 1, cv=cv).fit(X, Y, sample_weight=weight)
    alone = Ridge().fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(moe.predict(X), alone.predict(X), rtol=0, atol=1e-12)


def test_one_expert_has_the_variance_of_its_residuals():
    X, y, _, weight = table()
    moe = MixtureOfExpertsRegressor(Ridge(), 1, cv=None).fit(X, y, sample_weight=weight)
    predicted = Ridge().fit(X, y, sample_weight=weight).predict(X)
    variance = np.average((y - predicted) ** 2, weights=weight)
    assert moe.dispersions_ == pytest.approx([variance], rel=1e-12)
    expected = norm.logpdf(y, predicted, np.sqrt(variance))
    np.testing.assert_allclose(moe.log_prob(X, y), expected, atol=1e-12)


def test_one_cross_fitted_expert_has_the_variance_of_its_out_of_fold_residuals():
    X, y, _, _ = table()
    moe = MixtureOfExpertsRegressor(Ridge(), 1, cv=KFold(4)).fit(X, y)
    left_out = cross_val_predict(Ridge(), X, y, cv=KFold(4))
    variance = np.mean((y - left_out) ** 2)
    assert moe.dispersions_ == pytest.approx([variance], rel=1e-12)
    expected = norm.logpdf(y, left_out, np.sqrt(variance)).mean()
    assert moe.lower_bound_ == pytest.approx(expected, abs=1e-12)
