"""Least squares for all experts and folds at once: the predictions of scikit-learn's own fits."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from single_fits import fit_weighted
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, LinearRegression, Ridge
from sklearn.model_selection import KFold, LeaveOneOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_moe import MixtureOfExpertsRegressor, _templates
from sklearn_moe._grams import weighted_grams
from sklearn_moe._predictions import predict_bank
from sklearn_moe._validation import last_step
from sklearn_moe.linear import _least_squares, _output_table, finite_numbers, predict_plain
from sklearn_moe.linear import recognise as recognise_any
from sklearn_moe.linear._least_squares import recognise, solve_left_out
from sklearn_moe.linear._least_squares_bank import LeastSquaresBank
from sklearn_moe.linear._output_table import make_output_table

ESTIMATORS = {
    "ridge": Ridge(),
    "weak": Ridge(1e-3, solver="svd"),
    "strong": Ridge(1e3),
    "least squares": LinearRegression(),
    "scaled ridge": make_pipeline(StandardScaler(), Ridge(2.0)),
    "scaled least squares": make_pipeline(StandardScaler(), LinearRegression()),
}


def regimes(n_samples=300, n_features=4, n_outputs=1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)) * 10.0 ** np.arange(n_features) + 50.0
    y = X @ rng.normal(size=(n_features, n_outputs)) + rng.normal(size=(n_samples, n_outputs))
    return X, y, rng.dirichlet([0.2, 0.2, 0.2], n_samples)


def by_estimator(estimator, X, y, weights, folds):
    """What `predict_left_out` is to return, by scikit-learn."""
    predicted = np.empty((len(X), weights.shape[1], y.shape[1]))
    for test in [np.arange(len(X))] if folds is None else folds:
        train = np.arange(len(X)) if folds is None else np.setdiff1d(np.arange(len(X)), test)
        for k, weight in enumerate(weights.T):
            fitted = fit_weighted(estimator, X[train], y[train], weight[train])
            predicted[test, k] = fitted.predict(X[test]).reshape(len(test), -1)
    return predicted


def by_grams(estimator, X, y, weights, folds):
    problems = [recognise(estimator)] * weights.shape[1]
    solution = solve_left_out(problems, make_output_table(X, y), weights, folds)
    return solution.mean, solution.solved


@pytest.mark.parametrize("width", [1, 2, 11, 30, 70])
@pytest.mark.parametrize("n_weights", [1, 4, 28, 40])
def test_gram_matrices(width, n_weights):
    rng = np.random.default_rng(width)
    Z, weights = rng.normal(size=(3000, width)), rng.uniform(size=(n_weights, 3000))
    found = weighted_grams(Z, weights)
    np.testing.assert_allclose(found, [(Z.T * w) @ Z for w in weights], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n_folds", [None, 2, 5])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("few", ["products", "weights", None])
def test_equals_the_estimator(name, n_outputs, n_folds, few, monkeypatch):
    """Of a small table all folds are one pass, unless they are many; else one after the other."""
    X, y, weights = regimes(n_outputs=n_outputs)
    assert make_output_table(X, y).is_small
    if few == "weights":
        monkeypatch.setattr(_least_squares, "FEW_WEIGHTS", 0)
    elif few is None:
        monkeypatch.setattr(_output_table, "FEW_PRODUCTS", 0)
    folds = n_folds and np.array_split(np.random.default_rng(1).permutation(len(X)), n_folds)
    predicted, solved = by_grams(ESTIMATORS[name], X, y, weights, folds)
    assert solved.all()
    expected = by_estimator(ESTIMATORS[name], X, y, weights, folds)
    np.testing.assert_allclose(predicted, expected, rtol=1e-8, atol=1e-8 * y.std())


def test_tables_are_sent_without_what_is_made_of_them():
    X, y, _ = regimes()
    table = make_output_table(X, y)
    sent = len(pickle.dumps(table))
    assert table.products.size > X.size
    assert len(pickle.dumps(table)) == sent
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(table)).products, table.products)


@pytest.mark.parametrize("n_folds", [None, 5])
def test_problems_solved_one_by_one_equal_all_together(monkeypatch, n_folds):
    X, y, weights = regimes(n_outputs=2)
    folds = None if n_folds is None else [np.arange(300)[i::n_folds] for i in range(n_folds)]
    problems = [recognise(Ridge(alpha)) for alpha in (0.1, 1.0, 10.0)]
    parts = problems, make_output_table(X, y), weights, folds
    together = solve_left_out(*parts)
    groups = []
    solve_group = _least_squares._coefficients
    monkeypatch.setattr(_least_squares, "AT_A_TIME", 1)
    monkeypatch.setattr(
        _least_squares, "_coefficients", lambda *part: groups.append(1) or solve_group(*part)
    )
    alone = solve_left_out(*parts)
    assert len(groups) == 3
    assert alone.solved.all()
    assert together.solved.all()
    np.testing.assert_allclose(alone.mean, together.mean, rtol=1e-12)
    np.testing.assert_allclose(alone.coef, together.coef, rtol=1e-10)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_folds_bring_the_solution_of_all_rows(name):
    X, y, weights = regimes()
    problems, table = [recognise(ESTIMATORS[name])] * weights.shape[1], make_output_table(X, y)
    folds = np.array_split(np.arange(len(X)), 4)
    found = solve_left_out(problems, table, weights, folds)
    kept, whole = found.without_predictions, solve_left_out(problems, table, weights, None)
    assert found.of_all_rows() is kept.of_all_rows()
    np.testing.assert_allclose(kept.of_all_rows().coef, whole.coef, rtol=1e-9, atol=1e-10)
    for each in (kept, LeastSquaresBank(table).solve_all_rows(problems, weights, found)):
        np.testing.assert_allclose(each.predict_new(X), whole.mean, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_light_estimator_is_as_if_fitted_to_all_rows(n_outputs, dtype):
    X, y, weights = regimes(n_outputs=n_outputs)
    X, target = X.astype(dtype), y if n_outputs > 1 else y.ravel()
    solution = solve_left_out([recognise(Ridge(2.0))], make_output_table(X, y), weights, None)
    whole = Ridge(2.0).fit(X, target, weights[:, 0])
    light = Ridge(2.0).fit(X[:1], target[:1])
    exact = Ridge(2.0).fit(X.astype(np.float64), target, weights[:, 0])
    solution.polish(light, 0)
    assert vars(light).keys() == vars(whole).keys()
    assert light.solver_ == whole.solver_
    for name, kind in (("coef_", dtype), ("intercept_", np.float64)):
        found, expected = getattr(light, name), getattr(whole, name)
        assert (np.shape(found), found.dtype) == (np.shape(expected), kind)
        digits = 1e-8 if dtype is np.float64 else 1e-6
        np.testing.assert_allclose(found, getattr(exact, name), rtol=digits)


def test_many_blocks_equal_one():
    X, y, weights = regimes(20_000)
    predicted, _ = by_grams(Ridge(), X, y, weights, np.array_split(np.arange(len(X)), 3))
    expected = by_estimator(Ridge(), X, y, weights, np.array_split(np.arange(len(X)), 3))
    np.testing.assert_allclose(predicted, expected, rtol=1e-8, atol=1e-8 * y.std())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_constant_column_changes_nothing(name):
    X, y, weights = regimes()
    wider = np.column_stack([X, np.full(len(X), 0.1)])
    predicted, solved = by_grams(ESTIMATORS[name], wider, y, weights, None)
    assert solved.all()
    without = by_grams(ESTIMATORS[name], X, y, weights, None)[0]
    np.testing.assert_allclose(predicted, without, rtol=1e-12)


@pytest.mark.parametrize(
    "estimator",
    [LinearRegression(), Ridge(1e-9), make_pipeline(StandardScaler(), LinearRegression())],
    ids=str,
)
def test_ill_conditioned_systems_are_not_solved(estimator):
    X, y, weights = regimes()
    X[:, 1] = X[:, 0] + 1e-9 * X[:, 1]
    assert not by_grams(estimator, X, y, weights, None)[1].any()


def test_what_is_lost_in_the_middle_of_a_region_is_not_solved():
    """Where a column hardly varies beside its distance from the middle of the table."""
    rng = np.random.default_rng(0)
    near = np.arange(200) < 100
    X = np.where(near, 3.0 + 1e-5 * rng.normal(size=200), rng.normal(-3.0, size=200))[:, None]
    weights = np.column_stack([near, ~near]).astype(float)
    solved = by_grams(LinearRegression(), X, X.copy(), weights, None)[1]
    np.testing.assert_array_equal(solved, [[False, True]])


def test_expert_without_rows_outside_the_fold_is_not_solved():
    X, y, weights = regimes()
    folds = np.array_split(np.arange(len(X)), 3)
    weights[:, 0] = 0.0
    weights[folds[1], 0] = 1.0
    solved = by_grams(Ridge(), X, y, weights, folds)[1]
    np.testing.assert_array_equal(solved[:, 0], [True, False, True])
    assert solved[:, 1:].all()
    problems, table = [recognise(Ridge())] * weights.shape[1], make_output_table(X, y)
    assert solve_left_out(problems, table, weights, folds[1:] + folds[:1]).whole.solved.all()


def test_weight_in_one_fold_costs_no_digits():
    X, y, weights = regimes()
    folds = np.array_split(np.arange(len(X)), 3)
    weights[folds[0]] *= 1e12
    predicted, solved = by_grams(Ridge(1e-3), X, y, weights, folds)
    expected = by_estimator(Ridge(1e-3), X, y, weights, folds)
    assert solved.all()
    np.testing.assert_allclose(predicted, expected, rtol=1e-8, atol=1e-8 * y.std())


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(positive=True),
        Ridge(solver="sag"),
        Ridge(alpha=np.array([1.0, 2.0])),
        Ridge(fit_intercept=False),
        LinearRegression(positive=True),
        LinearRegression(fit_intercept=False),
        ElasticNet(),
        TransformedTargetRegressor(Ridge()),
        make_pipeline(MinMaxScaler(), Ridge()),
        make_pipeline(StandardScaler(with_mean=False), Ridge()),
        make_pipeline(StandardScaler(with_std=False), Ridge()),
        make_pipeline(StandardScaler(), Ridge(), memory="cache"),
        make_pipeline(StandardScaler(), StandardScaler(), Ridge()),
        type("MyRidge", (Ridge,), {})(),
        make_pipeline(type("MyScaler", (StandardScaler,), {})(), Ridge()),
    ],
    ids=str,
)
def test_anything_else_is_left_to_the_estimator(estimator):
    assert recognise(estimator) is None


@pytest.mark.parametrize(
    "X",
    [
        csr_array((2, 201)),
        csr_array((2**17 + 1, 1)),
        csr_array([[1.0, np.nan]]),
        np.array([[1.0, np.nan]]),
        np.array([["1", "2"]]),
        np.array([[1.0, "a"]], dtype=object),
        pd.DataFrame({"a": [1.0], "b": pd.Categorical(["x"])}),
    ],
    ids=["wide", "large", "sparse missing", "missing", "text", "object", "category"],
)
def test_tables_that_are_more_than_numbers_are_left_to_the_estimator(X):
    assert make_output_table(X, np.ones((X.shape[0], 1))) is None


def test_small_sparse_tables_are_solved_as_dense_ones():
    X = np.where(np.random.default_rng(0).random((50, 4)) < 0.5, 0, 1.0)
    table, dense = (make_output_table(form, np.ones((50, 1))) for form in (csr_array(X), X))
    np.testing.assert_array_equal(table.X, dense.X)
    np.testing.assert_array_equal(table.x_center, dense.x_center)


# Whole fits: with and without the short cut.


@pytest.fixture
def both_ways(monkeypatch):
    """Fit a mixture as it comes, then with every expert fitted by scikit-learn."""

    def fit(*arguments, X, y, fit_params=None, **parameters):
        defaults = {"random_state": 0, "init": "principal", "n_init": 1, "max_iter": 10}
        mixtures = []
        for _ in range(2):
            mixture = MixtureOfExpertsRegressor(*arguments, **{**defaults, **parameters})
            mixtures.append(mixture.fit(X, y, **(fit_params or {})))
            monkeypatch.setattr(_templates, "recognise", lambda estimator: None)
        return mixtures

    return fit


def assert_same_fit(fast, slow, X):
    np.testing.assert_allclose(fast.lower_bounds_, slow.lower_bounds_, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(fast.predict(X), slow.predict(X), rtol=1e-8)
    np.testing.assert_allclose(fast.dispersions_, slow.dispersions_, rtol=1e-8)


TABLES = {
    "plain": lambda X: X,
    "frame": lambda X: pd.DataFrame(X, columns=[*"abcd"]),
    "integers": lambda X: np.rint(X).astype(int),
    "columns first": np.asfortranarray,
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # 10 iterations
@pytest.mark.parametrize(
    ("kind", "cv"), [("plain", KFold(3)), *[(kind, cv) for kind in TABLES for cv in (3, None)]]
)
def test_whole_fit_is_the_same(both_ways, kind, cv):
    X, y, _ = regimes(120)
    X = TABLES[kind](X)
    y = y[:, 0] * np.where(np.asarray(X)[:, 0] > 50, 1.0, -1.0)
    weight = np.random.default_rng(2).integers(0, 3, len(y))
    params = {"sample_weight": weight}
    init = "auto" if kind == "plain" else "principal"
    fast, slow = both_ways(Ridge(), 2, X=X, y=y, cv=cv, init=init, fit_params=params)
    assert_same_fit(fast, slow, X)
    np.testing.assert_allclose(fast.gain_, slow.gain_, rtol=1e-7, atol=1e-8)


def test_experts_that_are_not_solved_are_their_estimators(both_ways):
    """Of the last fits as well, where others are made like the first of their kind."""
    X, y, _ = regimes(120)
    X[:, 1] = X[:, 0] + 1e-7 * X[:, 1]
    experts = [
        ("singular", Ridge(1e-9, solver="svd")),
        ("by_svd", Ridge(solver="svd")),
        ("plain", Ridge()),
    ]
    fast, slow = both_ways(experts, X=X, y=y[:, 0], cv=3, max_iter=3, verdict=False, tol=1e9)
    for mine, theirs in zip(fast.experts_, slow.experts_, strict=True):
        assert mine.solver_ == theirs.solver_
        np.testing.assert_allclose(mine.predict(X), theirs.predict(X), rtol=1e-6)


@pytest.mark.parametrize(
    "expert", [Ridge(0.0), make_pipeline(StandardScaler(), Ridge()), LinearRegression()], ids=str
)
def test_experts_beside_light_ones_owe_the_table_more_than_coefficients(both_ways, expert):
    X, y, _ = regimes(120)
    experts = [("light", Ridge()), ("other", expert)]
    fast, slow = both_ways(experts, X=X, y=y[:, 0], cv=3, max_iter=3, verdict=False, tol=1e9)
    for mine, theirs in zip(fast.experts_, slow.experts_, strict=True):
        assert vars(last_step(mine)).keys() == vars(last_step(theirs)).keys()
        np.testing.assert_allclose(mine.predict(X), theirs.predict(X), rtol=1e-8)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # 10 iterations
def test_whole_fit_of_several_kinds_and_outputs_is_the_same(both_ways):
    X, y, _ = regimes(150, n_outputs=2)
    experts = [
        ("plain", LinearRegression()),
        ("scaled", make_pipeline(StandardScaler(), Ridge())),
        ("other", ElasticNet(1e-3)),
    ]
    fast, slow = both_ways(experts, X=X, y=y, cv=3)
    assert_same_fit(fast, slow, X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # 10 iterations
def test_leave_one_out(both_ways):
    X, y, _ = regimes(40, 2)
    fast, slow = both_ways(Ridge(), 2, X=X, y=y[:, 0], cv=LeaveOneOut(), verdict=False)
    assert_same_fit(fast, slow, X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # 10 iterations
def test_folds_that_leave_rows_out_are_respected(both_ways):
    """Training sides that are less than the rest of the table: no sum of the other folds."""
    X, y, _ = regimes(120)
    splits = [(train[::2], test) for train, test in KFold(3).split(X)]
    fast, slow = both_ways(Ridge(), 2, X=X, y=y[:, 0], cv=splits, verdict=False)
    assert_same_fit(fast, slow, X)
    whole = both_ways(Ridge(), 2, X=X, y=y[:, 0], cv=KFold(3), verdict=False)[0]
    assert not np.allclose(fast.lower_bound_, whole.lower_bound_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # 10 iterations
def test_request_of_the_user_about_weights_is_respected(both_ways):
    X, y, _ = regimes(120)
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
    fast, slow = both_ways(make_pipeline(scaler, Ridge(100.0)), 2, X=X, y=y[:, 0], cv=3)
    assert_same_fit(fast, slow, X)


def fitted_experts(estimator, n_outputs):
    X, y, weights = regimes(n_outputs=n_outputs)
    y = y if n_outputs > 1 else y.ravel()
    return [clone(estimator).fit(X, y, weight) for weight in weights.T], X


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("estimator", [Ridge(0.5), LinearRegression(fit_intercept=False)])
def test_one_product_says_what_each_expert_says(estimator, n_outputs):
    experts, X = fitted_experts(estimator, n_outputs)
    expected = np.stack([e.predict(X).reshape(len(X), -1) for e in experts], axis=1)
    said = predict_plain(experts, X)
    assert said is not None
    np.testing.assert_allclose(said, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(predict_plain(experts, csr_array(X)), said)
    np.testing.assert_array_equal(predict_bank(experts, X, None), said)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_experts_are_asked_where_a_product_will_not_do(n_outputs):
    experts, X = fitted_experts(Ridge(0.5), n_outputs)
    holed, huge = X.copy(), X.copy()
    holed[0, 0], huge[:2, 0] = np.nan, 1e308
    for other in (holed, X.astype(np.float32), X[:, :1], csr_array((300, 500))):
        assert predict_plain(experts, other) is None
    experts[0].coef_ = experts[0].coef_ * 1e3
    assert predict_plain(experts, huge) is None
    assert predict_plain(experts[:1], X) is None
    assert predict_plain([*experts, DummyRegressor().fit(X, X)], X) is None


def test_a_gap_is_seen_where_no_expert_uses_its_column():
    experts, X = fitted_experts(Ridge(0.5), 1)
    for expert in experts:
        expert.coef_ = expert.coef_ * (np.arange(X.shape[1]) > 0)
    for gap in (np.nan, np.inf):
        X[3, 0] = gap
        assert predict_plain(experts, X) is None
        assert predict_plain(experts, X[3:4]) is None


def test_kinds_of_their_own_are_asked():
    class Doubled(Ridge):
        def predict(self, X):
            return 2 * super().predict(X)

    X, y, _ = regimes()
    experts = [kind().fit(X, y.ravel()) for kind in (Ridge, Doubled)]
    assert predict_plain(experts, X) is None
    assert predict_plain(experts[:1] * 2, X) is not None


def test_parameters_that_would_be_refused_are_no_problem_of_a_solver():
    for refused in (Ridge(-1.0), make_pipeline(StandardScaler(), Ridge(-1.0))):
        assert recognise_any(refused) is None


def test_experts_that_are_made_like_the_first_are_whole():
    X, y, resp = regimes()
    frame = pd.DataFrame(X, columns=list("abcd"))
    named = [("one", Ridge(2.0)), ("other", Ridge(2.0)), ("strong", Ridge(1e3))]
    moe = MixtureOfExpertsRegressor(named, init=resp, max_iter=2, verdict=False, random_state=0)
    with pytest.warns(ConvergenceWarning):
        moe.fit(frame, y[:, 0])
    alone = Ridge(2.0, random_state=0).fit(frame, y[:, 0])
    assert all(vars(expert).keys() == vars(alone).keys() for expert in moe.experts_)
    assert [expert.alpha for expert in moe.experts_] == [2.0, 2.0, 1e3]
    assert len({expert.random_state for expert in moe.experts_}) == 3
    one, other, strong = moe.experts_
    other.feature_names_in_[0] = "z"
    assert list(one.feature_names_in_) == list(strong.feature_names_in_) == list("abcd")
    assert not np.allclose(one.coef_, other.coef_)


@pytest.mark.parametrize(("n_columns", "is_solved"), [(200, True), (300, False)])
def test_tables_of_many_more_columns_than_rows_are_left_to_the_estimators(n_columns, is_solved):
    rng = np.random.default_rng(0)
    table = make_output_table(rng.normal(size=(40, n_columns)), rng.normal(size=(40, 1)))
    folds = [np.arange(20), np.arange(20, 40)]
    found = LeastSquaresBank(table).solve_left_out([recognise(Ridge())], np.ones((40, 1)), folds)
    assert (found is not None) == is_solved


def test_columns_that_scikit_learn_cuts_off_are_cut_off_while_em_runs():
    rng = np.random.default_rng(2)
    table = rng.normal(size=(300, 2))
    y = np.where(table[:, 0] > 0, 3, -3) * table[:, 1] + 0.3 * rng.normal(size=300)
    for unit in (1.0, 3e6):
        scaled = table * [unit, 1.0]
        moe = MixtureOfExpertsRegressor(LinearRegression(), random_state=0).fit(scaled, y)
        assert moe.log_prob(scaled, y).mean() == pytest.approx(moe.calibrated_log_prob_, abs=0.1)


def test_truth_values_beside_numbers_are_numbers():
    """numpy would have a frame of both as objects."""
    frame = pd.DataFrame({"a": [0.5, 1.5], "b": [True, False], "c": [1, 2]})
    numbers = finite_numbers(frame)
    assert numbers.dtype == np.float64
    np.testing.assert_array_equal(numbers, [[0.5, 1, 1], [1.5, 0, 2]])
    assert finite_numbers(frame.assign(d=["x", "y"])) is None
    nullable = frame.convert_dtypes()
    np.testing.assert_array_equal(finite_numbers(nullable), numbers)
    assert finite_numbers(nullable.assign(a=pd.array([pd.NA, 1.5], dtype="Float64"))) is None
