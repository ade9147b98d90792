"""The gate of normal laws: densities, moments, and the Gaussian mixture that it amounts to."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import multivariate_normal
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe.gates import GaussianGate

X = np.random.default_rng(0).normal(size=(240, 3))


def targets(n_experts):
    """Responsibilities that follow the first column."""
    proba = np.exp(X[:, :1] * np.linspace(-3, 3, n_experts))
    return proba / proba.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_gaussian_gate_is_the_rule_of_bayes(kind):
    gate, weights = GaussianGate(kind, pseudo_count=0, reg_covar=0), targets(3)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    joint = np.empty((240, 3))
    for k, weight in enumerate(weights.T):
        spread = np.cov(Z.T, aweights=weight, bias=True)
        law = multivariate_normal(
            np.average(Z, axis=0, weights=weight),
            spread if kind == "full" else np.diag(np.diag(spread)),
        )
        joint[:, k] = weight.mean() * law.pdf(Z)
    found = gate.fit(X, weights)
    np.testing.assert_allclose(found.predict_proba(X), joint / joint.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found.log_density(X), np.log(joint.sum(axis=1)))


def localised(n_updates):
    """Ours and scikit-learn's mixture of normal laws of (x, y), after equally many M-steps."""
    rng = np.random.default_rng(0)
    label = rng.integers(2, size=200)
    X = rng.normal(size=(200, 2)) * [1.0, 2.0] + 1.5 * label[:, None]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    y = 2.0 * label + rng.normal(size=200)
    start = 0.7 * np.eye(2)[label] + 0.15
    joint, mass = np.column_stack([X, y]), start.sum(axis=0)
    means = start.T @ joint / mass[:, None]
    variances = start.T @ joint**2 / mass[:, None] - means**2
    reference = GaussianMixture(
        2,
        covariance_type="diag",
        reg_covar=0,
        tol=0,
        max_iter=n_updates,
        weights_init=mass / mass.sum(),
        means_init=means,
        precisions_init=1 / variances,
    )
    moe = MixtureOfExpertsRegressor(
        DummyRegressor(),
        2,
        gate=GaussianGate("diag", pseudo_count=0, reg_covar=0),
        cv=None,
        init=start,
        min_responsibility=0.0,
        tol=0,
        max_iter=1 + n_updates,
    )
    with pytest.warns(ConvergenceWarning):
        return X, y, moe.fit(X, y), reference.fit(joint)


@pytest.mark.filterwarnings("ignore:In-sample EM:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning")
def test_constant_experts_under_normal_laws_are_a_gaussian_mixture():
    """EM of both is the same, so the joint likelihood of features and target never falls."""
    likelihoods = []
    for n_updates in (1, 2, 3, 5, 10):
        X, y, moe, reference = localised(n_updates)
        gate, said = moe.gate_, [float(expert.constant_.item()) for expert in moe.experts_]
        means = np.column_stack([gate.means_, said])
        variances = np.column_stack([gate.covariances_, moe.dispersions_])
        np.testing.assert_allclose(gate.mixing_proportions_, reference.weights_, atol=1e-9)
        np.testing.assert_allclose(means, reference.means_, atol=1e-9)
        np.testing.assert_allclose(variances, reference.covariances_, atol=1e-9)
        likelihoods.append((moe.log_prob(X, y) + gate.log_density(X)).mean())
        assert likelihoods[-1] == pytest.approx(reference.score(np.column_stack([X, y])), abs=1e-9)
    assert np.diff(likelihoods).min() > 0


def test_pseudo_rows_pull_covariances_to_that_of_the_table():
    weights = targets(2)
    alone, pulled, all_pulled = (
        GaussianGate(pseudo_count=count, reg_covar=0).fit(X, weights) for count in (0, 10, 1e9)
    )
    whole, mass = np.corrcoef(X.T), weights.sum(axis=0)[:, None, None]
    expected = (mass * alone.covariances_ + 10 * whole) / (mass + 10)
    np.testing.assert_allclose(pulled.covariances_, expected, atol=1e-12)
    np.testing.assert_allclose(all_pulled.covariances_[0], whole, atol=1e-6)
    usual = GaussianGate(reg_covar=0).fit(X, weights)  # one row
    np.testing.assert_allclose(usual.covariances_, (mass * alone.covariances_ + whole) / (mass + 1))


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_what_is_added_to_variances_is_a_part_of_those_of_the_table(kind):
    """Indicators of categories have less than one; rows count by their weights."""
    mass = np.random.default_rng(1).uniform(0.1, 3, size=240)
    table = pd.DataFrame({"x": X[:, 0], "is": np.where(X[:, 1] > 1, "rare", "usual")})
    weights = targets(2) * mass[:, None]
    plain, raised = (GaussianGate(kind, reg_covar=r).fit(table, weights) for r in (0.25, 0.75))
    Z = plain.encoder_.transform(table)
    added = 0.5 * np.cov(Z.T, aweights=mass, ddof=0).diagonal()
    added = np.diag(added) if kind == "full" else added
    np.testing.assert_allclose(raised.covariances_ - plain.covariances_, [added] * 2, atol=1e-9)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_constant_columns_say_nothing(kind):
    wide = np.column_stack([np.full(240, 7.1), X, np.zeros(240)])
    one = GaussianGate(kind).fit(wide, targets(2))
    assert list(one.used_) == [1, 2, 3]
    other = GaussianGate(kind).fit(X, targets(2))
    np.testing.assert_allclose(one.predict_log_proba(wide), other.predict_log_proba(X), atol=1e-9)
    blind = one.fit(0 * wide, targets(2)).predict_proba(wide)
    np.testing.assert_allclose(blind, np.tile(targets(2).mean(axis=0), (240, 1)))


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_rows_beyond_all_squares_have_probabilities(kind):
    log_proba = GaussianGate(kind).fit(X, targets(3)).predict_log_proba(1e200 * X)
    assert np.isfinite(log_proba).all()
    np.testing.assert_allclose(np.exp(log_proba).sum(axis=1), 1.0)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_rows_beyond_all_squares_go_to_the_widest_law(kind):
    wide = np.abs(X[:, :1]) > 1
    gate = GaussianGate(kind).fit(X[:, :1], np.column_stack([~wide, wide]))
    for far in (-1e3, 1e200):
        np.testing.assert_allclose(gate.predict_proba([[far]]), [[0.0, 1.0]], atol=1e-12)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_law_of_no_row_is_that_of_the_table(kind):
    """Sparse columns are not centred, so the mean of the table is not zero."""
    weights = np.insert(targets(2), 1, 0.0, axis=1)
    gate = GaussianGate(kind, pseudo_count=0, reg_covar=0).fit(sp.csr_matrix(np.abs(X)), weights)
    Z = np.abs(X) / np.abs(X).std(axis=0)
    whole = np.corrcoef(Z.T) if kind == "full" else np.ones(3)
    np.testing.assert_allclose(gate.means_[1], Z.mean(axis=0))
    np.testing.assert_allclose(gate.covariances_[1], whole)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_law_without_spread_names_the_remedy(kind):
    flat = np.column_stack([X[:, 0] > 0, X[:, 0] <= 0]).astype(float)
    table = np.column_stack([X[:, 0] > 0, X[:, 1]])
    gate = GaussianGate(kind, pseudo_count=0, reg_covar=0).fit(X[:, :2], flat)
    before = {name: np.copy(value) for name, value in vars(gate).items()}
    with pytest.raises(ValueError, match="Raise reg_covar or pseudo_count"):
        gate.fit(table, flat)
    np.testing.assert_equal({name: np.copy(value) for name, value in vars(gate).items()}, before)
