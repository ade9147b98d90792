"""Ridge regression that finds its own penalty, alone and for all experts and folds at once."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_moe import EvidenceRidge, MixtureOfExpertsRegressor
from sklearn_moe.linear import predict_plain
from sklearn_moe.linear._evidence import LOWEST
from sklearn_moe.linear._least_squares import recognise
from sklearn_moe.linear._least_squares_bank import LeastSquaresBank
from sklearn_moe.linear._output_table import make_output_table

ESTIMATORS = {
    "bare": EvidenceRidge(),
    "scaled": make_pipeline(StandardScaler(), EvidenceRidge()),
}


class OneByOne(EvidenceRidge):
    """The same, which is not recognised."""


@parametrize_with_checks([EvidenceRidge()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def regimes(n_samples=300, n_features=4, n_outputs=1, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)) * 10.0 ** (np.arange(n_features) % 4) + 50.0
    y = X @ rng.normal(size=(n_features, n_outputs))
    y += noise * rng.normal(size=(n_samples, n_outputs))
    weights = rng.dirichlet([0.2, 0.2, 0.2], n_samples)
    return X, y, weights * (weights > 0.01)


def restricted_likelihood(X, y, penalty):
    """Log probability of all contrasts of `y` among rows, by matrices of the size of the table."""
    contrasts = np.linalg.svd(np.ones((1, len(X))))[2][1:]
    covariance = contrasts @ (np.eye(len(X)) + X @ X.T / penalty) @ contrasts.T
    residual = contrasts @ y
    square = residual @ np.linalg.solve(covariance, residual)
    return -0.5 * (np.linalg.slogdet(covariance)[1] + len(residual) * np.log(square))


@pytest.mark.parametrize("noise", [0.1, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("shape", [(60, 4), (20, 15), (15, 40)])
def test_no_other_penalty_makes_the_targets_more_probable(shape, noise):
    rng = np.random.default_rng(3)
    X = rng.normal(size=shape)
    y = X @ rng.normal(size=shape[1]) + noise * rng.normal(size=shape[0])
    best = EvidenceRidge().fit(X, y).penalty_
    reached = restricted_likelihood(X, y, best)
    for factor in (0.01, 0.5, 0.99, 1.01, 2.0, 100.0):
        assert restricted_likelihood(X, y, best * factor) < reached + 1e-7
    if best < 1e3:  # beyond, next to nothing changes any more
        for factor in (0.1, 10.0):
            assert restricted_likelihood(X, y, best * factor) < reached - 0.01


@pytest.mark.parametrize("noise", [0.3, 3.0, 30.0])
def test_outputs_share_the_penalty_that_suits_them_together(noise):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(40, 12))
    y = X @ rng.normal(size=(12, 3)) * [1.0, 0.1, 0.0] + noise * rng.normal(size=(40, 3))

    def together(penalty):
        return sum(restricted_likelihood(X, output, penalty) for output in y.T)

    best = EvidenceRidge().fit(X, y).penalty_
    for factor in (0.01, 0.5, 0.99, 1.01, 2.0, 100.0):
        assert together(best * factor) < together(best) + 1e-7


def test_coefficients_are_those_of_a_ridge_with_the_penalty():
    X, y, weights = regimes()
    fitted = EvidenceRidge().fit(X, y[:, 0], weights[:, 0])
    ridge = Ridge(fitted.penalty_).fit(X, y[:, 0], weights[:, 0])
    np.testing.assert_allclose(fitted.coef_, ridge.coef_, rtol=1e-9)
    np.testing.assert_allclose(fitted.intercept_, ridge.intercept_, rtol=1e-9)


def test_near_bayesian_ridge_where_rows_are_many():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 30))
    y = X @ rng.normal(size=30) + 5.0 * rng.normal(size=3000)
    other = BayesianRidge(tol=1e-8).fit(X, y)
    found = EvidenceRidge().fit(X, y).penalty_
    np.testing.assert_allclose(found, other.lambda_ / other.alpha_, rtol=0.01)


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("factor", [1e-9, 1e7])
def test_units_do_not_matter(factor, n_outputs):
    X, y, weights = regimes(n_outputs=n_outputs)
    usual = EvidenceRidge().fit(X, y, weights[:, 0])
    other = EvidenceRidge().fit(X, factor * y, weights[:, 0])
    np.testing.assert_allclose(other.predict(X), factor * usual.predict(X), rtol=1e-8)
    other = EvidenceRidge().fit(factor * X, y, weights[:, 0])
    np.testing.assert_allclose(other.predict(factor * X), usual.predict(X), rtol=1e-8)


def test_without_noise_nothing_is_held_back():
    X, y, _ = regimes(noise=0.0)
    X = X / X.std(axis=0)
    fitted = EvidenceRidge().fit(X, y[:, 0])
    np.testing.assert_allclose(fitted.predict(X), y[:, 0], rtol=1e-7, atol=1e-7 * y.std())
    assert fitted.penalty_ < 1.01 * 10.0**LOWEST * len(X)


@pytest.mark.parametrize("weight", [1e-3, 0.9])
def test_less_than_one_row_says_no_more_than_a_level(weight):
    X, y, _ = regimes(30)
    fitted = EvidenceRidge().fit(X, y[:, 0], np.full(30, weight / 30))
    np.testing.assert_allclose(fitted.predict(X), y.mean(), atol=1e-4 * y.std())


def test_constants():
    X, y, _ = regimes(40)
    level = EvidenceRidge().fit(X, np.full(40, 3.0))
    np.testing.assert_allclose(level.predict(X), 3.0, rtol=1e-12)
    flat = EvidenceRidge().fit(np.ones((40, 2)), y[:, 0])
    np.testing.assert_allclose(flat.predict(np.ones((1, 2))), y.mean(), rtol=1e-12)
    seen = np.arange(40) % 5 > 0  # rows of no weight do not say that an output varies
    level = EvidenceRidge().fit(X, np.where(seen, 0.1, 7.0), seen * np.linspace(0.1, 3, 40))
    np.testing.assert_array_equal(level.predict(X), 0.1)
    both = EvidenceRidge().fit(X, np.column_stack([y, np.full(40, 3.0)]))
    alone = EvidenceRidge().fit(X, y[:, 0])
    np.testing.assert_allclose(both.penalty_, alone.penalty_, rtol=1e-8)


def by_estimator(estimator, X, y, weights, folds):
    """Predictions (n, K, q) of each expert's own fits, out of fold."""
    predicted = np.empty((*weights.shape, y.shape[1]))
    steps = estimator.steps if hasattr(estimator, "steps") else [("", estimator)]
    names = [f"{name}__sample_weight" if name else "sample_weight" for name, _ in steps]
    for test in folds:
        train = np.setdiff1d(np.arange(len(X)), test) if len(folds) > 1 else test
        for k, weight in enumerate(weights.T):
            fitted = clone(estimator).fit(X[train], y[train], **dict.fromkeys(names, weight[train]))
            predicted[test, k] = fitted.predict(X[test]).reshape(len(test), -1)
    return predicted


@pytest.mark.parametrize("n_folds", [1, 5])
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("shape", [(300, 4), (80, 1), (40, 60)])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_all_at_once_equals_one_by_one(name, shape, n_outputs, n_folds):
    X, y, weights = regimes(*shape, n_outputs)
    if shape[1] > 1 and name != "scaled":  # there, scikit-learn itself warns
        X[:, 0] = 7.0
    folds = [np.arange(len(X))[fold::n_folds] for fold in range(n_folds)]
    problems = [recognise(ESTIMATORS[name])] * weights.shape[1]
    left_out = folds if n_folds > 1 else None
    solution = LeastSquaresBank(make_output_table(X, y)).solve_left_out(problems, weights, left_out)
    # With more columns than rows a small penalty leaves too few digits, and the estimator is asked.
    assert solution.solved.all() or shape[1] > shape[0]
    expected = by_estimator(ESTIMATORS[name], X, y, weights, folds)
    for fold, solved in zip(folds, solution.solved, strict=True):
        parts = (said[fold][:, solved] for said in (solution.mean, expected))
        np.testing.assert_allclose(*parts, rtol=1e-8, atol=1e-8 * y.std())


def test_a_constant_column_changes_nothing_behind_a_scaler():
    X, y, weights = regimes(80)
    problems = [recognise(ESTIMATORS["scaled"])] * weights.shape[1]
    with_it, without = (
        LeastSquaresBank(make_output_table(table, y)).solve_left_out(problems, weights, None)
        for table in (np.column_stack([X, np.full(80, 7.0)]), X)
    )
    assert with_it.solved.all()
    np.testing.assert_allclose(with_it.mean, without.mean, rtol=1e-9)


def test_penalties_of_several_kinds_go_side_by_side():
    X, y, weights = regimes()
    kinds = [Ridge(2.0), EvidenceRidge(), LinearRegression()]
    folds = [np.arange(len(X))[fold::4] for fold in range(4)]
    table, problems = make_output_table(X, y), [recognise(kind) for kind in kinds]
    solution = LeastSquaresBank(table).solve_left_out(problems, weights, folds)
    for k, kind in enumerate(kinds):
        expected = by_estimator(kind, X, y, weights[:, k : k + 1], folds)
        np.testing.assert_allclose(solution.mean[:, k : k + 1], expected, rtol=1e-8)


def test_no_closed_form_without_one_row():
    assert recognise(OneByOne()) is None
    assert recognise(Ridge()).leaves_one_out
    assert not recognise(EvidenceRidge()).leaves_one_out


def two_lines(n_samples=300):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n_samples, 3))
    y = np.where(X[:, 0] > 0, 3.0, -3.0) * X[:, 1] + 0.2 * rng.normal(size=n_samples)
    return X, y, rng.integers(1, 3, n_samples)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cv", [3, None])
@pytest.mark.parametrize("kinds", [[EvidenceRidge], [EvidenceRidge, Ridge, LinearRegression]])
def test_a_mixture_is_the_one_that_is_fitted_one_by_one(kinds, cv):
    X, y, weight = two_lines()
    fits = []
    for own in (EvidenceRidge, OneByOne):
        experts = [own() if kind is EvidenceRidge else kind() for kind in kinds]
        named = [(f"e{k}", expert) for k, expert in enumerate(experts)]
        params = {"n_experts": 2} if len(kinds) == 1 else {}
        mixture = MixtureOfExpertsRegressor(
            experts[0] if params else named, cv=cv, n_init=2, max_iter=8, random_state=0, **params
        )
        fits.append(mixture.fit(X, y, sample_weight=weight))
    together, alone = fits
    np.testing.assert_allclose(together.lower_bounds_, alone.lower_bounds_, rtol=1e-7)
    np.testing.assert_allclose(together.predict(X), alone.predict(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_weights_are_repeats(n_outputs):
    X, y, weight = two_lines()
    y = y if n_outputs == 1 else np.column_stack([y, X[:, 2] - y])
    params = {"n_init": 1, "random_state": 0, "max_iter": 30}
    weighted = MixtureOfExpertsRegressor(EvidenceRidge(), 2, **params)
    weighted.fit(X, y, sample_weight=weight)
    repeated = clone(weighted).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-7, atol=1e-7)


def test_frames_outputs_weights_workers_and_storage():
    X, y, weight = two_lines()
    X, y = pd.DataFrame(X, columns=list("abc")), np.column_stack([y, X[:, 2] - y])
    params = {"n_init": 1, "random_state": 0, "max_iter": 10}
    fits = [
        MixtureOfExpertsRegressor(EvidenceRidge(), 2, n_jobs=n_jobs, **params)
        for n_jobs in (None, 2)
    ]
    one, two = (mixture.fit(X, y, sample_weight=weight) for mixture in fits)
    assert one.experts_[0].feature_names_in_.tolist() == list("abc")
    assert one.experts_[0].coef_.shape == (2, 3)
    np.testing.assert_allclose(one.predict(X), two.predict(X), rtol=1e-9)
    stored = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(stored.predict(X), one.predict(X))


def test_one_expert_is_the_estimator():
    X, y, weight = two_lines()
    mixture = MixtureOfExpertsRegressor(EvidenceRidge(), n_experts=1)
    mixture.fit(X, y, sample_weight=weight)
    alone = EvidenceRidge().fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(mixture.predict(X), alone.predict(X))


def test_each_region_finds_its_penalty():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 20))
    loaded = X[:, 0] > 0
    exact, vague = X @ np.ones(20) + 0.05 * rng.normal(size=300), 2.0 * rng.normal(size=300)
    mixture = MixtureOfExpertsRegressor(EvidenceRidge(), 2, random_state=0)
    mixture.fit(X, np.where(loaded, exact, vague))
    order = np.argsort([expert.penalty_ for expert in mixture.experts_])
    assert mixture.experts_[order[0]].penalty_ < 0.1
    assert mixture.experts_[order[1]].penalty_ > 100
    found = mixture.gate_proba(X)[:, order[0]] > 0.5
    assert (found == loaded).mean() > 0.9
    said = predict_plain(mixture.experts_, X)
    expected = np.column_stack([expert.predict(X) for expert in mixture.experts_])
    np.testing.assert_allclose(said[..., 0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_more_experts_than_the_rows_can_feed():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 8))
    y = X[:, 0] + 0.5 * rng.normal(size=60)
    params = {"verdict": False, "n_init": 1, "max_iter": 10, "random_state": 0}
    mixture = MixtureOfExpertsRegressor(EvidenceRidge(), 8, **params).fit(X, y)
    assert all(expert.penalty_ > 0 for expert in mixture.experts_)
    X_new = rng.normal(size=(500, 8))
    assert np.sqrt(np.mean((mixture.predict(X_new) - X_new[:, 0]) ** 2)) < 1.0


@pytest.mark.parametrize("constant", [0.1, 0.3, 1.0, 5.7])
def test_a_constant_output_has_no_say(constant):
    rng = np.random.default_rng(0)
    table, weight = rng.normal(size=(100, 3)), rng.uniform(0.5, 2.0, size=100)
    y = table[:, 0] + rng.normal(size=100)
    alone = EvidenceRidge().fit(table, y[:, None], weight)
    both = np.column_stack([y, np.full(100, constant)])
    beside = EvidenceRidge().fit(table, both, weight)
    assert beside.penalty_ == pytest.approx(alone.penalty_, rel=1e-6)
    moe = MixtureOfExpertsRegressor(EvidenceRidge(), 1, cv=None).fit(table, both, weight)
    np.testing.assert_allclose(moe.predict(table), beside.predict(table), atol=1e-9)
