"""Penalties found from Gram matrices: those of scikit-learn's `BayesianRidge`."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe.linear import _evidence, leaves_one_out, predict_plain
from sklearn_moe.linear._evidence import Spectrum, find_penalties, recognise
from sklearn_moe.linear._least_squares import make_table, solve_left_out
from sklearn_moe.linear._least_squares import recognise as recognise_problem

pytestmark = pytest.mark.skipif(
    not _evidence._counts_weights(), reason="before version 1.7 weights were not counted"
)
OTHER = BayesianRidge(max_iter=40, tol=1e-9, alpha_1=0.1, alpha_2=0.2, lambda_1=0.3, lambda_2=0.4)
ESTIMATORS = {
    "default": BayesianRidge(),
    "two steps": BayesianRidge(max_iter=2),
    "one step": BayesianRidge(max_iter=1, alpha_init=3.0, lambda_init=0.2),
    "other priors": OTHER,
    "scaled": make_pipeline(StandardScaler(), BayesianRidge()),
}


class OneByOne(BayesianRidge):
    """The same, which is not recognised."""


def regimes(n_samples=300, n_features=4, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)) * 10.0 ** (np.arange(n_features) % 4) + 50.0
    y = X @ rng.normal(size=n_features) + noise * rng.normal(size=n_samples)
    weights = rng.dirichlet([0.2, 0.2, 0.2], n_samples)
    return X, y, weights * (weights > 0.01)


def by_estimator(estimator, X, y, weights, folds):
    """Predictions (n, K) of scikit-learn's own fits, out of fold."""
    predicted = np.empty(weights.shape)
    steps = estimator.steps if hasattr(estimator, "steps") else [("", estimator)]
    names = [f"{name}__sample_weight" if name else "sample_weight" for name, _ in steps]
    for test in folds:
        train = np.setdiff1d(np.arange(len(X)), test) if len(folds) > 1 else test
        for k, weight in enumerate(weights.T):
            given = dict.fromkeys(names, weight[train])
            predicted[test, k] = clone(estimator).fit(X[train], y[train], **given).predict(X[test])
    return predicted


@pytest.mark.parametrize("n_folds", [1, 5])
@pytest.mark.parametrize("shape", [(300, 4), (80, 1), (40, 60)])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_equals_the_estimator(name, shape, n_folds):
    X, y, weights = regimes(*shape)
    if shape[1] > 1 and name != "scaled":  # there, scikit-learn itself warns
        X[:, 0] = 7.0
    folds = [np.arange(len(X))[fold::n_folds] for fold in range(n_folds)]
    problems = [recognise_problem(ESTIMATORS[name])] * weights.shape[1]
    left_out = folds if n_folds > 1 else None
    solution = solve_left_out(problems, make_table(X, y[:, None]), weights, left_out)
    # With more columns than rows a small penalty leaves too few digits, and the estimator is asked.
    assert solution.solved.all() or shape[1] > shape[0]
    expected = by_estimator(ESTIMATORS[name], X, y, weights, folds)
    for fold, solved in zip(folds, solution.solved, strict=True):
        parts = (said[fold][:, solved] for said in (solution.mean[..., 0], expected))
        np.testing.assert_allclose(*parts, rtol=1e-8, atol=1e-8 * y.std())


def test_penalty_is_that_of_the_estimator():
    X, y, weights = regimes()
    for weight in weights.T:
        fitted = BayesianRidge().fit(X, y, sample_weight=weight)
        center, level = np.average(X, axis=0, weights=weight), np.average(y, weights=weight)
        around, rest = X - center, y - level
        scaled = around.T * weight
        parts = scaled @ around, scaled @ rest, (weight * rest) @ rest
        spectrum = Spectrum.of(*(np.asarray(part)[None] for part in parts))
        search = recognise(BayesianRidge())
        found = find_penalties([search], spectrum, weight.sum(keepdims=True))
        np.testing.assert_allclose(found, fitted.lambda_ / fitted.alpha_, rtol=1e-8)


def test_searches_of_several_kinds_go_side_by_side():
    X, y, weights = regimes()
    kinds = [Ridge(2.0), OTHER, BayesianRidge(max_iter=3)]
    folds = [np.arange(len(X))[fold::4] for fold in range(4)]
    problems = [recognise_problem(kind) for kind in kinds]
    solution = solve_left_out(problems, make_table(X, y[:, None]), weights, folds)
    for k, kind in enumerate(kinds):
        expected = by_estimator(kind, X, y, weights[:, k : k + 1], folds)
        np.testing.assert_allclose(solution.mean[:, k], expected, rtol=1e-8)


@pytest.mark.parametrize("noise", [0.0, 1e-6])
def test_a_target_without_noise(noise):
    X, y, weights = regimes(noise=noise)
    problems = [recognise_problem(BayesianRidge())] * weights.shape[1]
    solution = solve_left_out(problems, make_table(X, y[:, None]), weights, None)
    assert solution.solved.all()
    expected = by_estimator(BayesianRidge(), X, y, weights, [np.arange(len(X))])
    np.testing.assert_allclose(solution.mean[..., 0], expected, rtol=1e-7)


@pytest.mark.parametrize(
    "estimator",
    [OneByOne(), BayesianRidge(fit_intercept=False), BayesianRidge(verbose=True)],
)
def test_others_are_not_recognised(estimator):
    assert recognise(estimator) is None


def test_weights_that_are_not_counted_are_left_to_the_estimator(monkeypatch):
    monkeypatch.setattr(_evidence, "_counts_weights", lambda: False)
    assert recognise(BayesianRidge()) is None


def test_no_closed_form_without_one_row():
    assert leaves_one_out(recognise_problem(Ridge()))
    assert not leaves_one_out(recognise_problem(BayesianRidge()))


def two_lines(n_samples=300):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n_samples, 3))
    y = np.where(X[:, 0] > 0, 3.0, -3.0) * X[:, 1] + 0.2 * rng.normal(size=n_samples)
    return X, y, rng.integers(1, 3, n_samples)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cv", [3, None])
@pytest.mark.parametrize("kinds", [[BayesianRidge], [BayesianRidge, Ridge, LinearRegression]])
def test_a_mixture_is_the_one_that_is_fitted_one_by_one(kinds, cv):
    X, y, weight = two_lines()
    fits = []
    for own in (BayesianRidge, OneByOne):
        experts = [own() if kind is BayesianRidge else kind() for kind in kinds]
        named = [(f"e{k}", expert) for k, expert in enumerate(experts)]
        params = {"n_experts": 2} if len(kinds) == 1 else {}
        mixture = MixtureOfExpertsRegressor(
            experts[0] if params else named, cv=cv, n_init=2, max_iter=8, random_state=0, **params
        )
        fits.append(mixture.fit(X, y, sample_weight=weight))
    together, alone = fits
    np.testing.assert_allclose(together.lower_bounds_, alone.lower_bounds_, rtol=1e-7)
    np.testing.assert_allclose(together.predict(X), alone.predict(X), rtol=1e-6, atol=1e-6)


def test_weights_are_repeats():
    X, y, weight = two_lines()
    params = {"n_init": 1, "random_state": 0, "max_iter": 30}
    weighted = MixtureOfExpertsRegressor(BayesianRidge(), 2, **params)
    weighted.fit(X, y, sample_weight=weight)
    repeated = clone(weighted).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-7, atol=1e-7)


def test_one_expert_is_the_estimator():
    X, y, weight = two_lines()
    mixture = MixtureOfExpertsRegressor(BayesianRidge(), n_experts=1)
    mixture.fit(X, y, sample_weight=weight)
    alone = BayesianRidge().fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(mixture.predict(X), alone.predict(X))


def test_experts_are_whole():
    X, y, _ = two_lines()
    mixture = MixtureOfExpertsRegressor(BayesianRidge(), 2, n_init=1, random_state=0).fit(X, y)
    for expert in mixture.experts_:
        mean, deviation = expert.predict(X, return_std=True)
        assert np.isfinite(mean).all()
        assert (deviation > 0).all()
    said = predict_plain(mixture.experts_, X)
    expected = np.column_stack([expert.predict(X) for expert in mixture.experts_])
    np.testing.assert_allclose(said[..., 0], expected, rtol=1e-12, atol=1e-12)


def test_two_outputs_are_refused_by_the_estimator():
    X, y, _ = two_lines()
    mixture = MixtureOfExpertsRegressor(BayesianRidge(), 2)
    with pytest.raises(ValueError, match="BayesianRidge"):
        mixture.fit(X, np.column_stack([y, y]))
    assert not hasattr(mixture, "experts_")
