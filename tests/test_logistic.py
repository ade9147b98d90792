"""Logits for all experts and folds at once: the solutions of one fit for each."""

import functools
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.special
from scipy.sparse import csr_array
from single_fits import fit_weighted, random_folds
from sklearn.base import clone
from sklearn.linear_model import (
    GammaRegressor,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_moe import CrossValidatedLogistic, MixtureOfExpertsClassifier, _templates
from sklearn_moe.linear import _labelled_table, _logistic, _logistic_bank, make_bank
from sklearn_moe.linear import recognise as recognise_any
from sklearn_moe.linear._labelled_table import make_labelled_table, recognise
from sklearn_moe.linear._logistic import (
    GOING_ON,
    NEARLY,
    solve_exactly,
    solve_left_out,
    solve_nearly,
    solve_one,
)
from sklearn_moe.linear._logistic_bank import LogisticBank
from sklearn_moe.linear._search import ONE_STEP, SETTLE, Effort
from sklearn_moe.logit import (
    FoldedLogits,
    SoftLogit,
    _curvature,
    among_present,
    proba_columns,
    softmax_columns,
    solve,
    sum_zero_basis,
)
from sklearn_moe.logit._few_rows import FewRows

TIGHT = {"solver": "newton-cholesky", "tol": 1e-12, "max_iter": 1000}
ESTIMATORS = {
    "plain": LogisticRegression(**TIGHT),
    "weak": LogisticRegression(C=2.0, **TIGHT),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression(C=0.5, **TIGHT)),
}


def labelled(n_classes, n_samples=300, n_features=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)) * [1.0, 3.0, 0.2] + [0.0, 5.0, 0.0]
    scores = 0.5 * X @ rng.normal(size=(n_features, n_classes))
    codes = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    return X, codes, rng.dirichlet([0.4, 0.4], n_samples)


def exactly(problems, table, weights, folds=None):
    if folds is None:
        return solve_exactly(problems, table, weights)
    return solve_left_out(problems, table, weights, folds, None, Effort(300, 1e-9))


@pytest.mark.parametrize("n_folds", [None, 2, 5])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_equals_the_estimator(name, n_classes, n_folds):
    X, codes, weights = labelled(n_classes)
    estimator, folds = ESTIMATORS[name], n_folds and random_folds(len(X), n_folds)
    table = make_labelled_table(X, codes, n_classes)
    solution = exactly([recognise(estimator)] * 2, table, weights, folds)
    assert solution.solved.all()
    for test in [np.arange(len(X))] if folds is None else folds:
        train = np.arange(len(X)) if folds is None else np.setdiff1d(np.arange(len(X)), test)
        for k, weight in enumerate(weights.T):
            fitted = fit_weighted(estimator, X[train], codes[train], weight[train])
            expected = fitted.predict_proba(X[test])
            np.testing.assert_allclose(solution.mean[test, k], expected, atol=2e-7)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_solution_of_all_rows_is_found_from_those_of_the_folds(n_classes):
    X, codes, weights = labelled(n_classes)
    problems = [recognise(ESTIMATORS["scaled"])] * 2
    table = make_labelled_table(X, codes, n_classes)
    whole = exactly(problems, table, weights)
    folded = exactly(problems, table, weights, random_folds(len(X), 3)).without_predictions
    assert folded.of_all_rows() is None
    assert whole.without_predictions.of_all_rows().theta is whole.theta
    found = LogisticBank(table).solve_all_rows(problems, weights, folded)
    np.testing.assert_allclose(found.predict_new(X), whole.mean, atol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_solution_of_all_rows_goes_on_from_that_of_the_iteration_before(n_classes):
    X, codes, weights = labelled(n_classes)
    problems, folds = [recognise(ESTIMATORS["scaled"])] * 2, random_folds(len(X), 3)
    table = make_labelled_table(X, codes, n_classes)
    whole = exactly(problems, table, weights)
    behind = solve_left_out(problems, table, weights, folds, None, ONE_STEP)
    found = LogisticBank(table).solve_all_rows(
        problems, weights, behind, replace(behind, whole=whole)
    )
    np.testing.assert_allclose(found.theta, whole.theta, atol=1e-6)
    by_folds = LogisticBank(table).solve_all_rows(problems, weights, behind)
    assert np.abs(by_folds.theta - whole.theta).max() > np.abs(found.theta - whole.theta).max()
    ready = replace(behind, whole=found).without_predictions
    assert ready.for_new_rows() is found
    assert ready.of_all_rows() is None  # nearly is not exactly


def test_solutions_do_not_carry_the_rows_to_and_from_workers():
    X, codes, weights = labelled(3, n_samples=9000)
    folds = random_folds(len(X), 3)
    for target, n_classes, estimator in (
        (codes, 3, LogisticRegression()),
        (X[:, :1], None, Ridge()),
        (np.exp(X[:, :1]), None, GammaRegressor()),
    ):
        problems, bank = (
            [recognise_any(estimator)] * 2,
            make_bank(type(recognise_any(estimator)), X, target, n_classes, len(X)),
        )
        solution = bank.solve_left_out(problems, weights, folds).without_predictions
        assert len(pickle.dumps(solution)) < 10_000 < X.nbytes
        whole = pickle.loads(pickle.dumps(bank.solve_all_rows(problems, weights, solution)))
        assert np.isfinite(whole.predict_new(X)).all()


@pytest.mark.filterwarnings("ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning")
def test_witnesses_go_on_from_where_they_were_on_all_rows(monkeypatch):
    began, solve = [], _logistic_bank.solve_nearly

    def spied(problems, table, weights, start, effort, predicts):
        found = solve(problems, table, weights, start, effort, predicts)
        began.append((start, effort, found))
        return found

    monkeypatch.setattr(_logistic_bank, "solve_nearly", spied)
    X, codes, _ = labelled(3)
    params = {"n_init": 1, "cv": 3, "max_iter": 3, "tol": 0.0, "random_state": 0}
    MixtureOfExpertsClassifier(LogisticRegression(), 2, init="kmeans_x", **params).fit(X, codes)
    assert [effort for _, effort, _ in began] == 3 * [NEARLY] + 6 * [GOING_ON]
    for earlier, later in zip(began, began[3:], strict=False):
        assert later[0] is earlier[2].theta
    for start, _, found in began[:3]:
        assert len(start) == 2  # of the folds
        assert found.mean.size == 0


def test_a_problem_rests_when_it_has_settled():
    """On a small table it comes to the same whatever is solved beside it."""
    X, codes, weights = labelled(3)
    table, folds = make_labelled_table(X, codes, 3), random_folds(len(X), 3)
    problems = [recognise(LogisticRegression(C=C)) for C in (1e-4, 1e4)]
    both = solve_left_out(problems, table, weights, folds, None, SETTLE)
    np.testing.assert_allclose(both.mean, exactly(problems, table, weights, folds).mean, atol=5e-3)
    for k, problem in enumerate(problems):
        alone = solve_left_out([problem], table, weights[:, [k]], folds, None, SETTLE)
        np.testing.assert_allclose(both.theta[:, [k]], alone.theta, rtol=1e-12, atol=1e-14)


def test_witnesses_score_logistic_experts_that_have_seen_all_of_their_rows():
    """Means of coefficients without a third of the rows had said less of unseen ones."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 8))
    y = (X @ rng.normal(size=(8, 3)) + rng.gumbel(size=(90, 3))).argmax(axis=1)
    params = {"n_init": 1, "cv": 3, "max_iter": 3, "tol": 1.0, "random_state": 0}
    by_all, one_by_one = (
        MixtureOfExpertsClassifier(expert, 2, **params).fit(X, y).heldout_log_probs_[0]
        for expert in (LogisticRegression(tol=1e-8), OwnLogistic(tol=1e-8))
    )
    assert by_all == pytest.approx(one_by_one, abs=2e-3)


class OwnLogistic(LogisticRegression):
    """The same, but fitted by itself."""


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_polished_estimator_has_the_solution(name, n_classes):
    X, codes, weights = labelled(n_classes)
    table = make_labelled_table(X, codes, n_classes)
    solution = exactly([recognise(ESTIMATORS[name])] * 2, table, weights)
    loose = clone(ESTIMATORS[name])
    loose.set_params(**{key: 0.1 for key in loose.get_params() if key.endswith("tol")})
    fitted = fit_weighted(loose, X, codes, weights[:, 1])
    assert not np.allclose(fitted.predict_proba(X), solution.mean[:, 1], atol=1e-6)
    solution.polish(fitted, 1)
    np.testing.assert_allclose(fitted.predict_proba(X), solution.mean[:, 1], atol=1e-12)
    np.testing.assert_allclose(solution.predict_new(X[:9])[:, 1], solution.mean[:9, 1], atol=1e-12)


def test_goes_on_from_an_earlier_solution():
    X, codes, weights = labelled(3)
    table, folds = make_labelled_table(X, codes, 3), random_folds(len(X), 3)
    problems = [recognise(LogisticRegression())] * 2
    exact = exactly(problems, table, weights, folds)
    near = solve_left_out(problems, table, weights, folds, exact.theta + 1e-4, ONE_STEP)
    np.testing.assert_allclose(near.mean, exact.mean, atol=1e-4)
    for _ in range(6):
        near = solve_left_out(problems, table, weights, folds, near.theta, ONE_STEP)
    np.testing.assert_allclose(near.mean, exact.mean, atol=1e-6)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("n_classes", [3, 4])
@pytest.mark.parametrize("missing", [0, 2])
def test_a_class_without_weight_is_one_that_the_estimator_never_saw(name, n_classes, missing):
    """Outside the first fold, which has its only three rows, and for the second expert anywhere."""
    X, codes, weights = labelled(n_classes)
    codes[np.flatnonzero(codes == missing)[3:]] = 1
    weights[codes == (missing + 2) % 4 % n_classes, 1] = 0.0
    rare, rest = np.flatnonzero(codes == missing), np.flatnonzero(codes != missing)
    folds = [np.append(rare, rest[::3]), rest[1::3], rest[2::3]]
    table = make_labelled_table(X, codes, n_classes)
    problems = [recognise(ESTIMATORS[name])] * 2
    solution = exactly(problems, table, weights, folds)
    has_one = [[n_classes == 3 and fold == 0 and k == 1 for k in (0, 1)] for fold in range(3)]
    np.testing.assert_array_equal(solution.solved, ~np.array(has_one))
    for fold, k in np.argwhere(solution.solved):
        test, train = folds[fold], np.setdiff1d(np.arange(len(X)), folds[fold])
        train = train[weights[train, k] > 0]
        fitted = fit_weighted(ESTIMATORS[name], X[train], codes[train], weights[train, k])
        expected = np.zeros((len(test), n_classes))
        expected[:, fitted.classes_] = fitted.predict_proba(X[test])
        np.testing.assert_allclose(solution.mean[test, k], expected, atol=2e-7)
        assert not solution.mean[test, k][expected == 0].any()


@pytest.mark.parametrize("n_classes", [3, 4])
def test_polished_estimator_knows_no_class_without_weight(n_classes):
    X, codes, weights = labelled(n_classes)
    weights[codes == 0, 1] = 0.0
    table, rows = make_labelled_table(X, codes, n_classes), codes != 0
    solution = exactly([recognise(ESTIMATORS["plain"])] * 2, table, weights)
    fitted = fit_weighted(LogisticRegression(tol=0.1), X[rows], codes[rows], weights[rows, 1])
    solution.polish(fitted, 1)
    np.testing.assert_allclose(fitted.predict_proba(X), solution.mean[:, 1, 1:], atol=1e-12)
    np.testing.assert_allclose(solution.predict_new(X)[:, 1], solution.mean[:, 1], atol=1e-12)


@pytest.mark.parametrize("affordable", [0.0, 2e8], ids=["products", "grams"])
def test_one_expert_says_out_of_fold_what_it_will_say_of_new_rows(affordable, monkeypatch):
    """Classes far apart: steps that end early had been as sure of nothing as a strong penalty."""
    monkeypatch.setattr(_labelled_table, "AFFORDABLE", affordable)
    _, codes, weights = labelled(4)
    rng = np.random.default_rng(0)
    X = 20 * rng.normal(size=(300, 12)) + 15 * rng.normal(size=(4, 12))[codes]
    estimator, folds = ESTIMATORS["weak"], random_folds(len(X), 5)
    weight = weights[:, :1] + 0.1
    table, problem = make_labelled_table(X, codes, 4), recognise(estimator)
    solution = LogisticBank(table).solve_left_out([problem], weight, folds)
    early = solve_left_out([problem], table, weight, folds, None, SETTLE)
    assert solution.solved.shape == (5, 1)
    said = np.empty(len(X))
    for test in folds:
        train = np.setdiff1d(np.arange(len(X)), test)
        fitted = fit_weighted(estimator, X[train], codes[train], weight[train, 0])
        said[test] = fitted.predict_log_proba(X[test])[np.arange(len(test)), codes[test]]
    nearly, stopped = (np.log(each.mean[np.arange(len(X)), 0, codes]) for each in (solution, early))
    assert abs(nearly.mean() - said.mean()) < 0.05 * abs(said.mean())
    assert stopped.mean() > said.mean() + 0.2 * abs(said.mean())
    np.testing.assert_allclose(
        LogisticBank(table)
        .solve_all_rows([problem], weight, solution)
        .predict_new(X[:9])
        .sum(axis=2),
        1.0,
    )


def test_who_goes_on_from_others_begins_with_what_they_say():
    """Classes that they have not seen included."""
    X, codes, weights = labelled(3)
    weights[codes == 0, 1] = 0.0
    problems = [recognise(LogisticRegression(C=C)) for C in (1.0, 2.0)]
    table, heirs = make_labelled_table(X, codes, 3), np.array([1, 0, 1])
    left_out = exactly(problems, table, weights, random_folds(len(X), 3))
    whole = exactly(problems, table, weights)
    begun = replace(left_out, whole=whole).handed_on(heirs)
    assert begun.problems == [problems[k] for k in heirs]
    np.testing.assert_array_equal(begun.theta, left_out.theta[:, heirs])
    np.testing.assert_array_equal(begun.absent, left_out.absent[:, heirs])
    left_out.solved[:, 1] = False
    np.testing.assert_array_equal(left_out.handed_on(heirs).solved, left_out.solved[:, heirs])
    for handed in (begun.for_new_rows(), whole.handed_on(heirs)):
        assert handed.is_far
        np.testing.assert_allclose(handed.predict_new(X), whole.mean[:, heirs], atol=1e-12)


def test_an_iteration_goes_a_step_further_and_settles_from_elsewhere():
    X, codes, weights = labelled(3)
    problems, folds = [recognise(ESTIMATORS["plain"])] * 2, random_folds(len(X), 3)
    table = make_labelled_table(X, codes, 3)
    first = solve_left_out(problems, table, weights, folds, None, ONE_STEP)
    begun = first.theta.copy()
    for previous, effort in (
        (None, SETTLE),
        (replace(first, is_far=True), SETTLE),
        (first, ONE_STEP),
    ):
        start = previous and previous.theta
        found = LogisticBank(table).solve_left_out(problems, weights, folds, previous)
        expected = solve_left_out(problems, table, weights, folds, start, effort)
        np.testing.assert_array_equal(found.theta, expected.theta)
    one, weight = first.handed_on(np.array([0])), weights[:, :1]
    found = LogisticBank(table).solve_left_out(problems[:1], weight, folds, one)
    expected = solve_left_out(problems[:1], table, weight, folds, one.theta, SETTLE)
    np.testing.assert_array_equal(found.theta, expected.theta)
    np.testing.assert_array_equal(first.theta, begun)  # who goes on from it leaves it as it is


def test_what_does_not_settle_is_not_solved(monkeypatch):
    X, codes, weights = labelled(3)
    table, problems = make_labelled_table(X, codes, 3), [recognise(ESTIMATORS["plain"])] * 2
    monkeypatch.setattr(_logistic, "EXACTLY", Effort(2, 1e-9))
    assert not exactly(problems, table, weights).solved.any()


def test_problems_without_weight_are_left_out():
    """Of an expert that no row is left to, or outside of a fold that holds all of its rows."""
    X, codes, weights = labelled(3)
    table, problem = make_labelled_table(X, codes, 3), recognise(ESTIMATORS["plain"])
    alone = solve_exactly([problem], table, weights[:, :1])
    weights[:, 1] = 0.0
    for solve_all in (solve_exactly, lambda *parts: solve_nearly(*parts, None)):
        both = solve_all([problem] * 2, table, weights)
        np.testing.assert_array_equal(both.solved, [[True, False]])
        np.testing.assert_allclose(both.theta[:, :1], alone.theta, atol=1e-2)
    within = (np.arange(300) < 100)[:, None].astype(float)
    folds = [np.arange(100), np.arange(100, 200), np.arange(200, 300)]
    one = solve_one(problem, table, within, folds)
    np.testing.assert_array_equal(one.solved, [[False], [True], [True]])


def test_a_class_may_lose_its_weight_and_gain_it_back():
    X, codes, with_it = labelled(3)
    without_it = with_it * (codes != 2)[:, None]
    table, folds = make_labelled_table(X, codes, 3), random_folds(len(X), 3)
    problems, start = [recognise(LogisticRegression())] * 2, None
    for weights in (with_it, without_it, with_it):
        exact = exactly(problems, table, weights, folds)
        near = solve_left_out(problems, table, weights, folds, start, Effort(100, 1e-8))
        start = near.theta
        np.testing.assert_allclose(near.mean, exact.mean, atol=1e-6)


def test_a_single_class_outside_a_fold_is_left_to_others():
    X, codes, weights = labelled(2)
    folds = [np.flatnonzero(codes == 1), np.flatnonzero(codes != 1)]
    table = make_labelled_table(X, codes, 2)
    assert exactly([recognise(LogisticRegression())] * 2, table, weights, folds) is None
    last = [*folds[:1], *np.array_split(folds[1], 2)]
    solved = exactly([recognise(LogisticRegression())] * 2, table, weights, last).solved
    np.testing.assert_array_equal(solved, [[False, False], [True, True], [True, True]])
    whole = exactly([recognise(LogisticRegression())] * 2, table, weights).solved
    assert whole.all()


def test_column_that_is_constant_in_a_region_has_no_say():
    X, codes, weights = labelled(2)
    X[:, 2] = np.where(weights[:, 0] > 0.5, 0.0, X[:, 2])
    weights[X[:, 2] != 0.0, 0] = 0.0
    table = make_labelled_table(X, codes, 2)
    solution = exactly([recognise(ESTIMATORS["scaled"])] * 2, table, weights)
    rows = weights[:, 0] > 0
    fitted = fit_weighted(ESTIMATORS["scaled"], X[rows], codes[rows], weights[rows, 0])
    np.testing.assert_allclose(solution.mean[:, 0], fitted.predict_proba(X), atol=2e-7)


def test_units_of_columns_are_those_of_each_problem():
    """Of its own kind, and in its own region, where a column may vary far less than elsewhere."""
    X, codes, weights = labelled(3)
    rng = np.random.default_rng(1)
    X = np.column_stack([X, rng.random(300) < 0.2])
    weights = np.column_stack([weights, weights[:, ::-1]])
    weights[np.abs(X[:, 0]) > 0.4, 3] = 0.0
    halved = CrossValidatedLogistic(C=0.5, tol=1e-12)
    estimators = [ESTIMATORS["plain"], ESTIMATORS["scaled"], halved, ESTIMATORS["scaled"]]
    table = make_labelled_table(X, codes, 3)
    solution = exactly([recognise(each) for each in estimators], table, weights)
    for k, estimator in enumerate(estimators):
        expected = fit_weighted(estimator, X, codes, weights[:, k]).predict_proba(X)
        np.testing.assert_allclose(solution.mean[:, k], expected, atol=1e-6)


def test_units_of_columns_are_those_of_all_rows():
    """Not of the last of several blocks, where columns vary more."""
    X, codes, _ = labelled(2, n_samples=12_000)
    X[11_000:] *= 9.0
    estimator = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, **TIGHT))
    table, weights = make_labelled_table(X, codes, 2), np.ones((12_000, 1))
    solution = exactly([recognise(estimator)], table, weights)
    expected = estimator.fit(X, codes).predict_proba(X)
    np.testing.assert_allclose(solution.mean[:, 0], expected, atol=1e-6)


@pytest.mark.parametrize("n_folds", [None, 3])
def test_a_column_in_units_of_next_to_nothing_has_no_say(n_folds):
    X, codes, weights = labelled(3)
    tiny, folds = X * [1e-15, 1.0, 1.0], n_folds and random_folds(len(X), n_folds)
    means = [
        exactly([recognise(ESTIMATORS["plain"])] * 2, table, weights, folds).mean
        for table in (make_labelled_table(each, codes, 3) for each in (tiny, X[:, 1:]))
    ]
    np.testing.assert_allclose(*means, atol=1e-7)


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(class_weight="balanced"),
        LogisticRegression(fit_intercept=False),
        LogisticRegression(solver="saga"),
        LogisticRegression(solver="liblinear"),  # which penalises the intercept
        LogisticRegression(warm_start=True),
        LogisticRegression(penalty=None),
        LogisticRegression(C=np.inf),
        LogisticRegression(l1_ratio=0.5, solver="saga"),
        LogisticRegressionCV(),
        make_pipeline(MinMaxScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(with_mean=False), LogisticRegression()),
    ],
    ids=str,
)
def test_others_are_not_taken_for_plain(estimator):
    assert recognise(estimator) is None


@pytest.mark.parametrize("table", ["sparse", "missing", "text", "wide"])
def test_tables_that_do_not_suit(table):
    X, codes, _ = labelled(2)
    tables = {
        "sparse": csr_array((300, 500)),
        "missing": np.where(X > 6, np.nan, X),
        "text": pd.DataFrame({"a": ["x", "y"] * 150}),
        "wide": np.ones((300, 5000)),
    }
    assert make_labelled_table(tables[table], codes, 2) is None


def test_copies_of_rows_do_not_count_where_an_exact_solution_is_afforded(monkeypatch):
    X, codes, _ = labelled(3)
    monkeypatch.setattr(_labelled_table, "AFFORDABLE", 300 * 2 * 3 * 4**2)
    rows = np.repeat(np.arange(300), 2)
    table, copies = make_labelled_table(X, codes, 3), make_labelled_table(X[rows], codes[rows], 3)
    known = make_labelled_table(X[rows], codes[rows], 3, n_distinct=300)
    afforded = [each.affords_hessians(2) for each in (table, known, copies)]
    assert afforded == [True, True, False]


@pytest.mark.parametrize("kind", ["plain", "scaled", "frame", "weights"])
def test_whole_fit_ends_where_single_fits_end(kind, monkeypatch):
    X, codes, _ = labelled(2, seed=3)
    codes = np.where(X[:, 0] > 0, codes, 1 - codes)
    params, fit_params = {"cv": 3, "init": "principal", "n_init": 1, "tol": 1e-7}, {}
    X = {"float32": X.astype(np.float32), "frame": pd.DataFrame(X, columns=list("abc"))}.get(
        kind, X
    )
    if kind == "weights":
        fit_params = {"sample_weight": np.random.default_rng(0).integers(1, 4, len(X))}
    expert = LogisticRegression(tol=1e-5, max_iter=1000)
    expert = make_pipeline(StandardScaler(), expert) if kind == "scaled" else expert
    moes = []
    for solver in (recognise, lambda estimator: None):
        monkeypatch.setattr(_templates, "recognise", solver)
        moe = MixtureOfExpertsClassifier(
            expert, 2, random_state=0, max_iter=500, verdict=False, **params
        )
        moes.append(moe.fit(X, codes, **fit_params))
    fast, slow = moes
    np.testing.assert_allclose(fast.lower_bound_, slow.lower_bound_, atol=1e-4)
    np.testing.assert_allclose(fast.predict_proba(X), slow.predict_proba(X), atol=5e-3)


def test_many_coefficients_move_together_and_end_as_single_fits_do(monkeypatch):
    """Beyond Hessians: steps by products while EM runs, the user's own estimators at its end."""
    monkeypatch.setattr(_labelled_table, "EXACT_LIMIT", 250)
    X, codes = many_columns()
    expert, calls, fit = LogisticRegression(C=0.05, max_iter=1000), [], LogisticRegression.fit

    def counted(self, *args, **params):
        calls.append(len(args[0]))
        return fit(self, *args, **params)

    moes, n_fits = [], []
    for solver in (recognise, lambda estimator: None):
        monkeypatch.setattr(_templates, "recognise", solver)
        params = {"cv": 3, "init": "kmeans_x", "n_init": 1, "verdict": False, "max_iter": 30}
        moe = MixtureOfExpertsClassifier(expert, 2, random_state=0, tol=1e-5, **params)
        with monkeypatch.context() as patch:
            patch.setattr(LogisticRegression, "fit", functools.wraps(fit)(counted))
            moes.append(moe.fit(X, codes))
        n_fits.append(len(calls))
        calls.clear()
    together, single = moes
    assert n_fits[0] == 2 < 50 < n_fits[1]
    np.testing.assert_allclose(together.lower_bound_, single.lower_bound_, atol=3e-3)
    # Both stop where the bound no longer rises; some rows at the border go either way.
    assert np.abs(together.predict_proba(X) - single.predict_proba(X)).mean() < 5e-3
    assert make_labelled_table(X, codes, 8).has_hessians is False


@pytest.mark.filterwarnings("ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("params", [{}, {"ensemble": True}, {"cv": None}], ids=str)
def test_many_coefficients_go_with_a_rare_class_and_weights(params):
    X, codes = many_columns()
    codes[0] = 8  # no fold that holds it can learn it
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    weight[0] = 1
    rows = np.repeat(np.arange(len(X)), weight)
    few = {"cv": 3, "init": "kmeans_x", "n_init": 1, "verdict": False, "max_iter": 4}
    kind, few = MixtureOfExpertsClassifier, few | {"random_state": 0} | params
    weighted = kind(LogisticRegression(C=0.05, tol=1e-8, max_iter=1000), 2, **few)
    repeated = clone(weighted).fit(X[rows], codes[rows])
    weighted.fit(X, codes, sample_weight=weight)
    said = weighted.predict_proba(X)
    assert said.shape == (400, 9)
    np.testing.assert_allclose(said.sum(axis=1), 1.0)
    np.testing.assert_allclose(said, repeated.predict_proba(X), atol=1e-3)


def many_columns():
    """Eight classes and forty columns, two of which tell regions: 287 coefficients."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 40))
    X[:, :2] += np.where(np.arange(400) % 2, 4.0, -4.0)[:, None]
    scores = X[:, 2:10] * np.where(X[:, :1] > 0, 2.0, -2.0)
    return X, (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)


def test_float32_is_as_good_as_its_numbers():
    X, codes, _ = labelled(2)
    X = X.astype(np.float32)
    moe = MixtureOfExpertsClassifier(n_experts=2, init="kmeans_x", verdict=False, random_state=0)
    narrow = moe.fit(X, codes).lower_bounds_
    np.testing.assert_allclose(narrow, moe.fit(X.astype(float), codes).lower_bounds_, atol=1e-6)


# The steps that all folds take together.


@pytest.mark.parametrize("scale", [1.0, 290.0, 310.0, 1e5])
def test_softmax_of_columns_of_any_size(scale):
    given = scale * np.array([[[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]]])
    scores, proba, log_sum = softmax_columns(given.copy())
    np.testing.assert_allclose(proba, scipy.special.softmax(given, axis=1), atol=1e-15)
    np.testing.assert_array_equal(proba_columns(given.copy()), proba)
    expected = scipy.special.log_softmax(given, axis=1)
    np.testing.assert_allclose(scores - log_sum[:, None], expected, rtol=1e-12)


def folded(n_classes, sparse=False, n_problems=2, n_folds=3):
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((200, 4)) * (rng.random((200, 4)) < 0.6)
    targets = rng.gamma(0.5, size=(200, n_problems, n_classes))
    folds = None if n_folds is None else random_folds(200, n_folds)
    ridge = np.full((n_folds or 1, n_problems, 5), 0.7)
    ridge[..., -1] = 0.0
    return FoldedLogits(csr_array(Z) if sparse else Z, folds, ridge), targets


@pytest.mark.parametrize("by", ["grams", "products", "products with rows read anew"])
@pytest.mark.parametrize("n_folds", [None, 3])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_steps_lead_to_the_solution_of_each_fold(n_classes, sparse, n_folds, by, monkeypatch):
    if by != "grams":
        monkeypatch.setattr(_curvature, "LARGEST_GRAMS", 0)
    if by == "products with rows read anew":
        monkeypatch.setattr(_curvature, "LARGEST_COPY", 0)
    logits, targets = folded(n_classes, sparse, n_folds=n_folds)

    def some(rows):
        target = np.moveaxis(targets[rows], 0, 2)
        return target, target.sum(axis=1)

    theta = np.zeros((n_folds or 1, 2, n_classes - 1, 5))
    for _ in range(60):
        theta, moved = logits.step(theta, some)
    assert moved.max() < 1e-9
    np.testing.assert_allclose(np.exp(logits.log_proba(theta)).sum(axis=1), 1.0)
    for fold, (problem, rows) in enumerate((m, r) for r in logits.folds or [[]] for m in (0, 1)):
        kept = np.setdiff1d(np.arange(200), rows)
        alone = SoftLogit(logits.design[kept], targets[kept, problem], 0.7)
        expected = solve(alone, None, 100, 1e-12)[0]
        np.testing.assert_allclose(theta[fold // 2, problem], expected, atol=1e-8)


@pytest.mark.parametrize("n_folds", [None, 3])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_products_with_curvature_lead_where_hessians_do(n_classes, n_folds, monkeypatch):
    """As many of them as it takes; whatever the penalty of each problem outside each fold."""
    logits, targets = folded(n_classes, n_folds=n_folds)
    some = functools.partial(some_of, np.moveaxis(targets, 0, 2))
    rng = np.random.default_rng(0)
    logits = replace(logits, ridge=logits.ridge * rng.uniform(1, 99, (n_folds or 1, 2, 1)))
    theta = 0.3 * rng.normal(size=(n_folds or 1, 2, n_classes - 1, 5))
    by_hessians = logits.step(theta, some)[0]
    monkeypatch.setattr(_curvature, "LARGEST_GRAMS", 0)
    assert np.abs(logits.step(theta, some)[0] - by_hessians).max() > 1e-4
    monkeypatch.setattr(_curvature, "FORCING", 1e-12)
    for limit in ("MAX_PRODUCTS", "FEWEST_PRODUCTS"):
        monkeypatch.setattr(_curvature, limit, 5 * n_classes)  # a few more than coefficients
    np.testing.assert_allclose(logits.step(theta, some)[0], by_hessians, rtol=1e-7, atol=1e-9)


def test_products_leave_a_tenth_of_each_gradient_whatever_is_beside():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(2, 3, 8, 8)) * np.geomspace(1, 20, 8)
    systems = factors @ factors.swapaxes(-1, -2) + np.eye(8)
    right = rng.normal(size=(2, 3, 2, 4)) * np.geomspace(1e-3, 1e3, 3)[:, None, None]
    right[1, 2] = 0.0  # of a problem without weight

    def solve_some(systems, right):
        def multiply(at):
            return (systems @ at.reshape(*at.shape[:2], 8, 1)).reshape(at.shape)

        found = _curvature.conjugate_gradients(multiply, right, 100)
        return found, np.linalg.norm(right - multiply(found), axis=(2, 3))

    found, left = solve_some(systems, right)
    assert (left <= 0.1 * np.linalg.norm(right, axis=(2, 3))).all()
    for f, m in np.ndindex(2, 3):
        alone, _ = solve_some(systems[f : f + 1, m : m + 1], right[f : f + 1, m : m + 1])
        np.testing.assert_allclose(found[f, m], alone[0, 0], rtol=1e-9)


def test_copies_of_rows_do_not_count_where_curvature_is_chosen(monkeypatch):
    rng = np.random.default_rng(0)
    Z, target = rng.normal(size=(100, 10)), rng.gamma(0.5, size=(1, 4, 100))
    rows = np.repeat(np.arange(100), 3)
    monkeypatch.setattr(_curvature, "CHEAP_PRODUCTS", 2 * 100 * 6 * 11**2)
    logits = FoldedLogits(Z, None, np.ones((1, 1, 11)))
    copies = replace(logits, design=Z[rows], n_distinct=100)
    theta = np.zeros((1, 1, 3, 11))
    weighted = logits.step(theta, functools.partial(some_of, 3 * target))[0]
    repeated = copies.step(theta, functools.partial(some_of, target[..., rows]))[0]
    np.testing.assert_allclose(repeated, weighted, atol=1e-12)


@pytest.mark.parametrize("few", [False, True])
def test_scores_of_classes_that_are_there_move_as_far_as_is_said(few):
    """And no others: a logit may have lost a class that it had, with a long way to go."""
    rng = np.random.default_rng(0)
    kind, n_samples = (FewRows, 300) if few else (FoldedLogits, 15_000)
    Z, folds = rng.normal(size=(n_samples, 3)), random_folds(n_samples, 3)
    Z[folds[1][0]] *= 30.0  # far out, in the first of several blocks
    absent = np.zeros((3, 2, 4), dtype=bool)
    absent[:, 0, 2] = absent[0, 1, 0] = True
    target = rng.gamma(0.5, size=(2, 4, n_samples)) * ~absent.all(axis=0)[..., None]
    target[1, 0, np.concatenate(folds[1:])] = 0.0
    ridge = np.full((3, 2, 4), 5.0)
    logits = kind(Z, folds, ridge, absent=absent)
    theta = sum_zero_basis(4).T @ np.where(absent[..., None], 50.0, rng.normal(size=(3, 2, 4, 4)))
    moved, largest = logits.step(theta, functools.partial(some_of, target))
    for fold, m in np.ndindex(3, 2):
        weights = sum_zero_basis(4)[~absent[fold, m]] @ (moved - theta)[fold, m]
        change = weights[:, :-1] @ Z[folds[fold]].T + weights[:, -1:]
        furthest = np.ptp(change, axis=0).max()
        np.testing.assert_allclose(furthest, np.log1p(largest[fold, m]))  # it was damped


def test_nothing_is_said_of_classes_that_are_absent():
    rng = np.random.default_rng(0)
    absent = np.zeros((2, 1, 4), dtype=bool)
    absent[0, 0, 1] = absent[1, 0, 2:] = True
    theta = rng.normal(size=(2, 1, 3, 5))
    found = among_present(theta, absent)
    np.testing.assert_allclose((sum_zero_basis(4) @ found)[absent], 0.0, atol=1e-14)
    for fold in range(2):
        weights = (sum_zero_basis(4) @ np.stack([theta, found]))[:, fold, 0, ~absent[fold, 0]]
        before, after = weights - weights[:, :1]
        np.testing.assert_allclose(after, before, atol=1e-14)
    assert among_present(theta, None) is theta


@pytest.mark.parametrize("n_folds", [None, 3])
def test_every_step_is_a_descent(n_folds):
    logits, targets = folded(3, n_problems=1, n_folds=n_folds)
    targets = np.eye(3)[targets.argmax(axis=2)] * 50.0  # sharp

    def some(rows):
        target = np.moveaxis(targets[rows], 0, 2)
        return target, target.sum(axis=1)

    theta = np.zeros((n_folds or 1, 1, 2, 5))
    losses = []
    for _ in range(12):
        losses.append([loss(logits, targets, theta[f, 0], f) for f in range(n_folds or 1)])
        theta = logits.step(theta, some)[0]
    assert np.diff(losses, axis=0).max() <= 1e-9


@pytest.mark.parametrize("by", ["grams", "products"])
def test_whole_steps_are_descents_to_the_solution(by, monkeypatch):
    if by == "products":
        monkeypatch.setattr(_curvature, "LARGEST_GRAMS", 0)
    logits, targets = folded(3, n_problems=1, n_folds=None)
    target = targets[:, 0].T[None]
    alone = SoftLogit(logits.design, targets[:, 0], 0.7)
    theta, gain, losses, gains = np.zeros((1, 1, 2, 5)), np.inf, [], []
    while gain > 1e-8 and len(losses) < 10:
        losses.append(alone.evaluate(theta[0, 0])[0])
        theta, log_proba, gain = logits.whole_step(theta, lambda rows: some_of(target, rows))
        gains.append(gain)
        np.testing.assert_array_equal(log_proba, logits.log_proba(theta))
    assert gain <= 1e-8
    assert np.diff(losses).max() < 0
    np.testing.assert_allclose(gains[:-1], -np.diff(losses) / target.sum(), rtol=0, atol=1e-14)
    np.testing.assert_allclose(theta[0, 0], solve(alone, None, 100, 1e-12)[0], atol=1e-4)


def test_a_whole_step_that_overshoots_is_damped():
    # Both rows are on the wrong side by so much that Newton's step would send them far beyond.
    logits = FoldedLogits(np.array([[-1.0], [1.0]]), None, np.array([[[1e-3, 0.0]]]))
    target = np.array([[[0.9, 0.1], [0.1, 0.9]]])
    alone = SoftLogit(logits.design, target[0].T, 1e-3)
    start = np.array([[[[-6.0, 0.0]]]])
    direction, before = logits._direction(start, lambda rows: some_of(target, rows))
    assert before == pytest.approx(alone.evaluate(start[0, 0])[0])
    assert alone.evaluate((start + direction)[0, 0])[0] > before
    theta, _, gain = logits.whole_step(start, lambda rows: some_of(target, rows))
    after = alone.evaluate(theta[0, 0])[0]
    assert 0 < gain == pytest.approx((before - after) / target.sum())


def test_a_step_that_overshoots_by_a_little_is_damped_alone():
    """It makes no other problem's step shorter, and of the gains the largest counts."""
    Z, ridge = np.array([[-1.0], [1.0]]), np.full((1, 2, 2), [1e-3, 0.0])
    target = np.full((2, 2, 2), [[0.9, 0.1], [0.1, 0.9]])
    start = np.array([-2.38, -1.7]).reshape(1, 2, 1, 1) * [1.0, 0.0]
    some = functools.partial(some_of, target)
    direction, before = FoldedLogits(Z, None, ridge)._direction(start, some)
    after = [SoftLogit(Z, target[0].T, 1e-3).evaluate(theta)[0] for theta in (start + direction)[0]]
    assert before[0] < after[0] < 1.01 * before[0]
    assert after[1] < before[1]

    def stepped(order):
        logits, some = FoldedLogits(Z, None, ridge), functools.partial(some_of, target[order])
        moved, _, gain = replace(logits, ridge=ridge[:, order]).whole_step(start[:, order], some)
        return moved, gain

    alone = [stepped([0]), stepped([1])]
    assert 0 < alone[0][1] != alone[1][1] > 0
    for order in ([0, 1], [1, 0]):
        moved, gain = stepped(order)
        expected = np.concatenate([alone[k][0] for k in order], axis=1)
        np.testing.assert_allclose(moved, expected, rtol=1e-12)
        assert gain == pytest.approx(max(gain for _, gain in alone))


def some_of(target, rows):
    return target[..., rows], target[..., rows].sum(axis=1)


def loss(logits, targets, theta, fold):
    rows = [] if logits.folds is None else logits.folds[fold]
    kept = np.setdiff1d(np.arange(200), rows)
    return SoftLogit(logits.design[kept], targets[kept, 0], 0.7).evaluate(theta)[0]


def test_basis_penalises_two_classes_as_one_vector_of_differences():
    theta = np.array([[1.0, 2.0, 0.0]])
    weights = sum_zero_basis(2) @ theta
    difference = weights[1] - weights[0]
    assert (difference**2).sum() == pytest.approx(2 * (theta**2).sum())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_that_are_kept_take_no_steps_of_their_own(name, monkeypatch):
    X, codes, _ = labelled(4)
    params = {"n_init": 1, "verdict": False, "max_iter": 3, "tol": 1.0, "random_state": 0}
    moe = MixtureOfExpertsClassifier(ESTIMATORS[name], 2, **params)
    probas, n_steps = [], []
    for solve_last in (solve_exactly, lambda *args: None):
        monkeypatch.setattr(_logistic_bank, "solve_exactly", solve_last)
        probas.append(moe.fit(X, codes).predict_proba(X))
        lasts = [expert[-1] if name == "scaled" else expert for expert in moe.experts_]
        assert {last.tol for last in lasts} == {TIGHT["tol"]}
        n_steps.append([last.n_iter_.item() for last in lasts])
    np.testing.assert_allclose(*probas, atol=2e-7)
    assert min(n_steps[0]) > 3  # of its own there was one
