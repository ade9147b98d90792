"""Logistic regression that finds its own penalty, alone and as an expert."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler, TargetEncoder
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_moe import CrossValidatedLogistic, MixtureOfExpertsClassifier
from sklearn_moe._validation import last_step
from sklearn_moe._verdict import OneIsBetter
from sklearn_moe.linear import _cross_validated, _penalty, recognise
from sklearn_moe.linear._indicators import half_differences
from sklearn_moe.linear._labelled_table import make_labelled_table
from sklearn_moe.linear._logistic import solve_exactly, solve_left_out
from sklearn_moe.linear._search import Effort

pytestmark = pytest.mark.filterwarnings("ignore:EM did not settle")

QUICK = {"n_init": 1, "max_iter": 5, "random_state": 0}


class OneByOne(CrossValidatedLogistic):
    """The same, which is not recognised."""


class Grouped(TransformerMixin, BaseEstimator):
    """A step that could be given groups, for which nobody has asked."""

    def fit(self, X, y=None, groups=None):
        assert groups is None
        return self

    def transform(self, X):
        return X


class Other(CrossValidatedLogistic):
    """One that takes no groups."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(X, y, sample_weight)


@parametrize_with_checks([CrossValidatedLogistic()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def table(n_samples=240, n_features=4, n_classes=3, strength=1.0, seed=0):
    """Columns of different units, and classes drawn by a softmax of them."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n_samples, n_features))
    scores = Z @ np.random.default_rng(1).normal(size=(n_features, n_classes)) * strength
    scores += rng.gumbel(size=scores.shape)
    return Z * 10.0 ** (np.arange(n_features) % 4) + 50.0, scores.argmax(axis=1)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0, 5.0])
@pytest.mark.parametrize("n_features", [3, 40])
def test_new_rows_are_as_probable_as_under_the_best_penalty(strength, n_features):
    X, y = table(4240, n_features, strength=strength)
    X, y, new, found = X[:240], y[:240], X[240:], y[240:]
    losses = {
        C: log_loss(found, CrossValidatedLogistic(C=C).fit(X, y).predict_proba(new))
        for C in 10.0 ** np.arange(-5, 5, 0.5)
    }
    loss = log_loss(found, CrossValidatedLogistic().fit(X, y).predict_proba(new))
    assert loss < 1.05 * min(losses.values())


def test_what_cannot_be_learnt_is_shrunk_away():
    X, y = table(strength=0.0)
    model = CrossValidatedLogistic().fit(X, y)
    assert model.C_ < 0.01
    assert (model.predict_proba(X).max(axis=0) - model.predict_proba(X).min(axis=0)).max() < 0.1


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_under_a_given_penalty_it_is_scikit_learns_behind_a_scaler(n_classes, weighted):
    X, y = table(n_classes=n_classes)
    weight = np.random.default_rng(0).random(len(X)) if weighted else None
    model = CrossValidatedLogistic(C=0.3, tol=1e-12).fit(X, y, weight)
    scaler = StandardScaler().fit(X, sample_weight=weight)
    theirs = LogisticRegression(C=0.3, tol=1e-12, solver="newton-cholesky", max_iter=1000)
    theirs.fit(scaler.transform(X), y, weight)
    expected = theirs.predict_proba(scaler.transform(X))
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-7)
    assert model.coef_.shape == theirs.coef_.shape
    scores = model.decision_function(X)
    np.testing.assert_allclose(scores, theirs.decision_function(scaler.transform(X)), atol=1e-6)


def with_indicators(n_samples=240):
    """Numbers, and columns of two values, frequent and rare, one of which tells something."""
    X, y = table(n_samples, 2)
    rng = np.random.default_rng(2)
    columns = [rng.random(n_samples) < share for share in (0.5, 0.1)]
    rare = np.isin(np.arange(n_samples), [3, 90, 200])
    return np.column_stack([X, *columns, np.where(rare, 7.0, 4.0)]), np.where(rare, 0, y)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, sp.csc_matrix])
def test_indicators_are_columns_of_two_values(make):
    columns = {
        (0.0, 3.0, 0.0): 1.5,
        (-2.0, 3.0, 3.0): 2.5,
        (-2.0, 3.0, 0.0): 0.0,
        (5.0, 5.0, 5.0): 0.0,
        (0.0, 0.0, 0.0): 0.0,
        (0.0, 0.0, -4.0): 2.0,
        (1.0, 2.0, 3.0): 0.0,
    }
    X = np.array(list(columns)).T
    weight = np.array([2.0, 1.0, 0.5])
    center = np.average(X, axis=0, weights=weight)
    found = half_differences(make(X), center, np.full(7, 10.0), weight)
    np.testing.assert_allclose(10 * found, list(columns.values()), atol=1e-9)


def test_what_is_an_indicator_is_for_all_rows_to_say():
    """Not for those of one block."""
    X = np.tile([[0.0, 0.0], [2.0, 2.0]], (20_000, 1))
    X[0, 1] = 5.0
    found = half_differences(X, np.ones(2), np.ones(2), np.ones(len(X)))
    np.testing.assert_allclose(found, [1.0, 0.0])


def test_their_unit_is_half_their_difference():
    X, y = with_indicators()
    model = CrossValidatedLogistic(C=0.3, tol=1e-12).fit(X, y)
    units = np.array([*X[:, :2].std(axis=0), 0.5, 0.5, 1.5])
    Z = (X - X.mean(axis=0)) / units
    theirs = LogisticRegression(C=0.3, tol=1e-12, solver="newton-cholesky").fit(Z, y)
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(Z), rtol=1e-7)
    model = CrossValidatedLogistic().fit(X, y)
    again = CrossValidatedLogistic().fit(X * [1, 1, 100, 7, 0.01] + 3.0, y)
    assert pytest.approx(model.C_, rel=1e-9) == again.C_


def test_neither_units_nor_the_order_of_rows_matter():
    X, y = table()
    model = CrossValidatedLogistic().fit(X, y)
    moved, order = X * [1e-3, 1.0, 7.0, 1e5] + [1e3, 0.0, -5.0, 1e7], np.argsort(X[:, 1])
    for other, rows in ((moved, slice(None)), (X, order)):
        again = CrossValidatedLogistic().fit(other[rows], y[rows])
        assert pytest.approx(model.C_, rel=1e-9) == again.C_
        np.testing.assert_allclose(again.predict_proba(other), model.predict_proba(X), rtol=1e-6)


def test_weights_are_repeats_and_have_no_unit():
    X, y = table()
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    by_weight = CrossValidatedLogistic().fit(X, y, weight)
    repeated = CrossValidatedLogistic().fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(by_weight.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)
    tiny = CrossValidatedLogistic().fit(X, y, 1e-3 * weight)
    assert pytest.approx(1e3 * by_weight.C_, rel=1e-9) == tiny.C_
    np.testing.assert_allclose(tiny.predict_proba(X), by_weight.predict_proba(X), rtol=1e-6)


def repeated(n_groups=40, n_rows=8):
    """Rows of a group are near each other, and of one class that they have nothing to do with."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(n_groups), n_rows)
    X = rng.normal(size=(n_groups, 20))[groups] + 0.1 * rng.normal(size=(len(groups), 20))
    return X, rng.integers(0, 2, n_groups)[groups], np.array([f"g{group}" for group in groups])


def test_rows_of_a_group_do_not_judge_each_other():
    X, y, groups = repeated()
    fooled, alone = CrossValidatedLogistic().fit(X, y), CrossValidatedLogistic()
    assert fooled.C_ > 0.1
    assert alone.fit(X, y, groups=groups).C_ < 0.01
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    weighted = CrossValidatedLogistic().fit(X, y, weight, groups)
    parts = (np.repeat(part, weight, axis=0) for part in (X, y, groups))
    others = dict(zip(("X", "y", "groups"), parts, strict=True))
    assert pytest.approx(weighted.C_, rel=1e-9) == CrossValidatedLogistic().fit(**others).C_
    kept = MixtureOfExpertsClassifier(n_experts=1).fit(X, y, groups=groups)
    assert kept.experts_[0].C == alone.C_
    with sklearn.config_context(enable_metadata_routing=True):
        kept = MixtureOfExpertsClassifier(n_experts=1).fit(X, y, groups=groups)
    assert kept.experts_[0].C == alone.C_
    assert CrossValidatedLogistic().fit(X, y, groups=np.zeros(len(y))).C_ > 0  # nobody can judge
    weight = np.random.default_rng(0).integers(1, 3, len(y))
    behind = make_pipeline(StandardScaler(with_mean=False), CrossValidatedLogistic())
    for expert in (
        behind,
        make_pipeline(FunctionTransformer(), behind),
        make_pipeline(Grouped(), CrossValidatedLogistic()),
        make_pipeline(
            make_column_transformer((Grouped(), [0, 1]), remainder="passthrough"), behind
        ),
        make_pipeline(TargetEncoder(), CrossValidatedLogistic()),
    ):
        kept = MixtureOfExpertsClassifier(expert, n_experts=1).fit(X, y, groups=groups)
        assert pytest.approx(alone.C_, rel=1e-6) == last_step(kept.experts_[0]).C
        one = MixtureOfExpertsClassifier(expert, n_experts=1)
        assert last_step(one.fit(X, y, weight, groups=groups).experts_[0]).C < 0.02
    for other in (Other(), make_pipeline(StandardScaler(), Other())):  # it cannot be told
        kept = MixtureOfExpertsClassifier(other, n_experts=1).fit(X, y, groups=groups)
        assert pytest.approx(fooled.C_, rel=1e-6) == last_step(kept.experts_[0]).C
    with pytest.raises(ValueError, match="without a label"):
        alone.fit(X, y, groups=np.full(len(y), np.nan))


def test_groups_reach_whom_weights_reach_as_repeats():
    X, y, groups = repeated()
    expert = make_pipeline(
        FunctionTransformer(), make_pipeline(TargetEncoder(), CrossValidatedLogistic())
    )
    kept = MixtureOfExpertsClassifier(expert, n_experts=1).fit(X, y, groups=groups)
    assert kept.weight_modes_ == ["resample"]
    expected = CrossValidatedLogistic().fit(X, y, groups=groups).C_
    assert pytest.approx(expected, rel=1e-6) == last_step(kept.experts_[0]).C


def test_rows_of_weight_are_to_be_of_two_classes():
    X, y = table()
    with pytest.raises(ValueError, match=r"one class \(\[1\]\) in rows of positive weight"):
        CrossValidatedLogistic().fit(X, y, sample_weight=y == 1)


def test_the_solver_ends_where_it_is_told_to():
    X, y = table()
    with pytest.warns(ConvergenceWarning):
        assert CrossValidatedLogistic(C=1.0, max_iter=1).fit(X, y).n_iter_ == 1
    loose, tight = (CrossValidatedLogistic(C=1.0, tol=tol).fit(X, y) for tol in (1.0, 1e-10))
    assert loose.n_iter_ < tight.n_iter_


def test_a_constant_column_under_weights_is_no_trouble():
    X, y = table(300, 2)
    wider = np.column_stack([X, np.full(len(X), 0.1)])  # whose variance is rounded below zero
    weight = np.random.default_rng(0).random(len(y))
    expert = CrossValidatedLogistic(1.0).fit(wider, y, sample_weight=weight)
    assert np.abs(expert.coef_[:, 2]).max() < 1e-12
    without = CrossValidatedLogistic(1.0).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(expert.predict_proba(wider), without.predict_proba(X), atol=1e-6)
    MixtureOfExpertsClassifier(verdict=False, **QUICK).fit(wider, y, sample_weight=weight)


def test_sparse_is_dense():
    X, y = table(n_features=6)
    X = np.where(np.abs(X - 50.0) < 3.0, 0.0, X)
    dense = CrossValidatedLogistic().fit(X, y)
    sparse = CrossValidatedLogistic().fit(sp.csr_array(X), y)
    assert pytest.approx(dense.C_, rel=0.3) == sparse.C_  # folds go by content, which has a form
    X[:, 5] = X[:, 5] > 50.0
    given = [CrossValidatedLogistic(C=1.0).fit(form(X), y) for form in (np.array, sp.csr_array)]
    expected = given[0].predict_proba(X)
    np.testing.assert_allclose(given[1].predict_proba(sp.csr_array(X)), expected, rtol=1e-5)


def test_entries_of_sparse_tables_may_be_in_parts():
    X, y = with_indicators()
    whole = sp.csr_matrix(X)
    halves = sp.hstack([whole / 2, whole / 2]).tocsr()
    halves = sp.csr_matrix((halves.data, halves.indices % X.shape[1], halves.indptr), X.shape)
    assert halves.nnz == 2 * whole.nnz
    found = CrossValidatedLogistic(C=1.0).fit(halves, y)
    expected = CrossValidatedLogistic(C=1.0).fit(whole, y).predict_proba(whole)
    np.testing.assert_allclose(found.predict_proba(whole), expected, rtol=1e-6)
    assert halves.nnz == 2 * whole.nnz  # what was given is left as it is


def test_what_differs_by_rounding_is_constant():
    X, y = with_indicators()
    X = np.column_stack([X, np.where(X[:, 2] > 0, 0.3, 0.1 + 0.2), np.full(len(X), 5000.0)])
    table = make_labelled_table(X, y, 3)
    assert table.hands_out_numbers
    problem = recognise(CrossValidatedLogistic(C=1.0))
    found = solve_exactly([problem], table, np.ones((len(X), 1))).mean[:, 0]
    expected = CrossValidatedLogistic(C=1.0, tol=1e-12).fit(X[:, :-2], y).predict_proba(X[:, :-2])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_classes_of_few_rows_are_no_obstacle():
    X, y = table()
    for rare in (3, -1):  # the last class, the first
        labels = np.where(np.arange(len(y)) == 7, rare, y)
        model = CrossValidatedLogistic().fit(X, labels)
        assert model.classes_.tolist() == sorted([0, 1, 2, rare])
    assert CrossValidatedLogistic().fit(X[:3], [0, 1, 2]).coef_.shape == (3, 4)
    assert CrossValidatedLogistic().fit(X[:30], np.arange(30) == 3).C_ > 0
    with pytest.raises(ValueError, match="one class"):
        CrossValidatedLogistic().fit(X, y, y == 0)


def loss_of_folds(rows, folds, penalty):
    """What each fold loses under scikit-learn's regression on the others, summed."""
    loss = 0.0
    for fold in folds:
        shown = np.setdiff1d(np.arange(len(rows.codes)), fold)
        model = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=1000, solver="newton-cg")
        model.fit(*rows.take(shown))
        others = rows.take(fold[np.isin(rows.codes[fold], model.classes_)])
        own = np.searchsorted(model.classes_, others.codes)
        loss -= others.weight @ model.predict_log_proba(others.Z)[np.arange(len(own)), own]
    return loss


@pytest.mark.parametrize("kept", [2, 3])
@pytest.mark.parametrize("shape", [(150, 3), (1500, 40)])  # all at once, and in blocks of rows
@pytest.mark.parametrize("sparse", [False, True])
def test_penalties_are_judged_by_scikit_learns_losses(kept, shape, sparse, monkeypatch):
    monkeypatch.setattr(_penalty, "LAST_GAIN", 1e-12)
    monkeypatch.setattr(_penalty, "MOST_STEPS", 300)
    X, y = table(*shape)
    Z = StandardScaler().fit_transform(X[y < kept])
    y = np.where(np.arange(len(Z)) == 7, kept, y[y < kept])  # one fold is not shown the last class
    weight = np.random.default_rng(0).gamma(2.0, size=len(Z))
    rows = _penalty.Labelled(sp.csr_array(Z) if sparse else Z, y, weight)
    folds = [np.arange(fold, len(Z), 4) for fold in range(4)]
    regressions = _penalty.Regressions(rows, folds, len(Z))
    for penalty in (10.0, 1.0):  # each search goes on from the last
        expected = loss_of_folds(rows, folds, penalty)
        assert regressions.loss(penalty) == pytest.approx(expected, rel=1e-6)
    assert regressions.judging.sum() == pytest.approx(weight.sum() - weight[7])


def test_a_fold_that_is_shown_one_class_has_no_say():
    X, y = table(60)
    rows = _penalty.Labelled(X, (y == 2).astype(int), np.ones(60))
    others = np.flatnonzero(y != 2)
    all_of_one = np.concatenate([np.flatnonzero(y == 2), others[5:8]])
    regressions = _penalty.Regressions(rows, [all_of_one, others[:5]], 60)
    np.testing.assert_array_equal(regressions.judging.sum(axis=1), [0, 5])


@pytest.mark.parametrize("unit", [1e-200, 1e12])
def test_the_unit_of_weights_does_not_matter(unit):
    X, y = table(300, n_features=40, n_classes=6)
    weight = np.random.default_rng(0).gamma(1.0, size=300)
    found = [CrossValidatedLogistic().fit(X, y, weight * times).C_ * times for times in (1, unit)]
    assert found[0] == pytest.approx(found[1])


def test_folds_whose_probabilities_are_too_many_are_judged_one_by_one(monkeypatch):
    X, y = table()
    together = CrossValidatedLogistic().fit(X, y).C_
    monkeypatch.setattr(_penalty, "MOST_PROBABILITIES", 1)
    assert pytest.approx(together) == CrossValidatedLogistic().fit(X, y).C_


@pytest.mark.parametrize("part", [0.5, 0.02])
@pytest.mark.parametrize("strength", [0.1, 0.5, 2.0])
def test_a_search_that_ends_early_finds_what_a_full_one_finds(strength, part, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 6))
    score = strength * X.sum(axis=1) + rng.logistic(size=1500)
    y = score > np.quantile(score, 1 - part)
    early = CrossValidatedLogistic().fit(X, y)
    monkeypatch.setattr(_penalty, "LEAST_GAIN", -np.inf)
    full = CrossValidatedLogistic().fit(X, y)
    assert abs(np.log10(early.C_ / full.C_)) < 0.15


def test_weak_penalties_are_not_judged_by_losses_of_strong_ones(monkeypatch):
    rng = np.random.default_rng(1)
    level, parts = rng.normal(size=(300, 1)), rng.normal(size=(300, 12))
    X = level + 0.05 * parts
    y = (3 * parts[:, :4] + rng.gumbel(size=(300, 4))).argmax(axis=1)
    found = CrossValidatedLogistic().fit(X, y)
    monkeypatch.setattr(_penalty, "LAST_GAIN", 1e-12)
    monkeypatch.setattr(_penalty, "MOST_STEPS", 300)
    exact = CrossValidatedLogistic().fit(X, y)
    assert abs(np.log10(found.C_ / exact.C_)) < 0.15


def test_the_strongest_penalty_is_ten_for_each_row():
    rng = np.random.default_rng(0)
    model = CrossValidatedLogistic().fit(rng.normal(size=(200, 40)), np.arange(200) % 2)
    assert pytest.approx(1 / (10 * 200), rel=1e-6) == model.C_


def near_the_usual(X, y, new, found):
    """New rows are about as probable as under scikit-learn's penalty, and no gain is told."""
    usual = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    model = CrossValidatedLogistic().fit(X, y)
    expected = log_loss(found, usual.predict_proba(new))
    assert log_loss(found, model.predict_proba(new)) < 1.03 * expected
    mixture = MixtureOfExpertsClassifier(n_init=2, random_state=0).fit(X, y)
    assert abs(mixture.gain_) < 3 * mixture.gain_stderr_ + 1e-4


@pytest.mark.parametrize("n_features", [1, 2, 3])
def test_rows_of_the_same_features_may_contradict_each_other(n_features):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, (6000, n_features)).astype(float)
    y = (4 * X[:, 0] - 2 + rng.logistic(size=6000) > 0).astype(int)
    near_the_usual(X[:1000], y[:1000], X[1000:], y[1000:])


@pytest.mark.parametrize("part", [0.01, 0.005])
def test_a_rare_class_has_its_say(part):
    rng = np.random.default_rng(0)
    y = (rng.random(20_000) < part).astype(int)
    X = rng.normal(size=(20_000, 5))
    X[:, 0] += 2 * y
    near_the_usual(X[:6000], y[:6000], X[6000:], y[6000:])


def test_where_no_row_can_judge_the_usual_penalty_is_kept():
    X, y, groups = np.repeat([[0.0], [1.0]], 50, axis=0), np.repeat([0, 1], 50), np.zeros(100)
    assert CrossValidatedLogistic().fit(X, y, groups=groups).C_ == 1.0


def test_of_many_rows_some_are_enough(monkeypatch):
    X, y = table(3000)
    whole = CrossValidatedLogistic().fit(X, y).C_
    monkeypatch.setattr(_penalty, "PENALTY_ROWS", 500)
    assert pytest.approx(whole, rel=2.0) == CrossValidatedLogistic().fit(X, y).C_


@pytest.fixture
def searches(monkeypatch):
    """How many rows each search for a penalty has seen."""
    seen, search = [], _cross_validated.find_penalty

    def recorded(labelled, group):
        seen.append(len(labelled.codes))
        return search(labelled, group)

    monkeypatch.setattr(_cross_validated, "find_penalty", recorded)
    return seen


def switching(n_samples=300):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 3)) * [1.0, 100.0, 0.01]
    score = np.where(X[:, 0] > 0, X[:, 1] / 100, -X[:, 1] / 100)
    return X, (score + 0.3 * rng.logistic(size=n_samples) > 0).astype(int)


@pytest.mark.parametrize("options", [{}, {"n_experts": "auto"}, {"cv": None, "verdict": False}])
def test_a_mixture_searches_once(searches, options, capsys):
    X, y = switching()
    MixtureOfExpertsClassifier(**QUICK | options, verbose=1).fit(X, y)
    assert searches == [300]
    assert capsys.readouterr().out.count("] penalty of expert0: C=") == 1


def test_regions_are_not_shrunk_as_far_as_one_expert_that_learns_nothing():
    X, y = switching()
    assert CrossValidatedLogistic().fit(X, y).C_ < 0.01
    mixture = MixtureOfExpertsClassifier(random_state=0).fit(X, y)
    assert [expert.C for expert in mixture.experts_] == [1.0, 1.0]
    assert mixture.gain_ > 5 * mixture.gain_stderr_
    assert mixture.score(X, y) > 0.8


def test_regions_are_shrunk_as_far_as_one_expert_where_that_is_better():
    X, y = table(300, 30, strength=0.15)
    C = CrossValidatedLogistic().fit(X, y).C_
    assert C < 0.3
    mixture = MixtureOfExpertsClassifier(verdict=False, **QUICK).fit(X, y)
    assert [expert.C for expert in mixture.experts_] == [C, C]
    # The one that is kept alone, and that mixtures are judged by, is shrunk in any case.
    with pytest.warns(OneIsBetter):
        kept = MixtureOfExpertsClassifier(n_experts=4, random_state=0).fit(X, y)
    assert kept.experts_[0].C == C
    expected = CrossValidatedLogistic().fit(X, y).predict_proba(X)
    np.testing.assert_allclose(kept.experts_[0].predict_proba(X), expected, rtol=1e-6)


def test_less_penalty_than_usual_is_that_of_all_regions():
    X, y = table(strength=5.0)
    C = CrossValidatedLogistic().fit(X, y).C_
    assert C > 1.0
    mixture = MixtureOfExpertsClassifier(verdict=False, **QUICK).fit(X, y)
    assert [expert.C for expert in mixture.experts_] == [C, C]


def test_kinds_of_experts_search_once_each(searches):
    X, y = switching()
    experts = [
        ("a", CrossValidatedLogistic()),
        ("b", CrossValidatedLogistic()),
        ("tight", CrossValidatedLogistic(tol=1e-12)),
        ("given", CrossValidatedLogistic(C=2.0)),
    ]
    mixture = MixtureOfExpertsClassifier(experts, verdict=False, **QUICK).fit(X, y)
    assert searches == [300, 300]
    assert mixture.experts_[3].C == 2.0


def test_behind_other_steps_a_penalty_is_found_once(searches):
    X, y = switching()
    frame = pd.DataFrame(X, columns=list("abc")).assign(d=np.where(X[:, 0] > 0, "yes", "no"))
    encode = make_column_transformer((OneHotEncoder(), ["d"]), remainder="passthrough")
    expert = make_pipeline(encode, CrossValidatedLogistic())
    mixture = MixtureOfExpertsClassifier(expert, n_init=2, tol=9, random_state=0).fit(frame, y)
    assert searches == [300]
    assert [expert[-1].C for expert in mixture.experts_] == [1.0, 1.0]
    assert mixture.score(frame, y) > 0.8


def test_one_expert_is_the_estimator():
    X, y = switching()
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    mixture = MixtureOfExpertsClassifier(n_experts=1).fit(X, y, sample_weight=weight)
    alone = CrossValidatedLogistic().fit(X, y, weight)
    np.testing.assert_array_equal(mixture.predict_proba(X), alone.predict_proba(X))


@pytest.mark.parametrize("make", [switching, with_indicators])
@pytest.mark.parametrize("scaled", [False, True])
def test_all_at_once_is_one_by_one(scaled, make):
    X, y = make()
    params = QUICK | {"cv": None, "verdict": False, "init": "kmeans_x"}
    makers = [CrossValidatedLogistic(tol=1e-12), OneByOne(tol=1e-12)]
    if scaled:
        makers = [make_pipeline(StandardScaler(), maker) for maker in makers]
    fits = [MixtureOfExpertsClassifier(maker, **params).fit(X, y) for maker in makers]
    np.testing.assert_allclose(fits[0].predict_proba(X), fits[1].predict_proba(X), rtol=1e-5)
    last = fits[0].experts_[0][-1] if scaled else fits[0].experts_[0]
    assert last.tol == 1e-12
    assert last.n_iter_[0] > 0


def test_what_is_an_indicator_is_for_the_rows_of_a_fit_to_say():
    """A third value without weight in a region, or in the fold left out, does not count."""
    X, y = with_indicators()
    rows, others = np.arange(240), np.arange(240) % 3 == 0
    X[:, 2] = np.where(others, 2.0, X[:, 2])
    problem = recognise(CrossValidatedLogistic(0.3))
    table, weights = make_labelled_table(X, y, 3), np.ones((240, 2))
    weights[others, 1] = 0.0
    found = solve_exactly([problem, problem], table, weights)
    for k, weight in enumerate(weights.T):
        model = CrossValidatedLogistic(0.3, tol=1e-12).fit(X, y, weight)
        np.testing.assert_allclose(found.mean[:, k], model.predict_proba(X), rtol=1e-8)
    folds, effort = [rows[others], rows[~others]], Effort(300, 1e-9)
    found = solve_left_out([problem], table, np.ones((240, 1)), folds, None, effort)
    model = CrossValidatedLogistic(0.3, tol=1e-12).fit(X[~others], y[~others])
    np.testing.assert_allclose(found.mean[others, 0], model.predict_proba(X[others]), rtol=1e-8)


def test_only_what_is_given_its_penalty_is_a_plain_problem():
    assert recognise(CrossValidatedLogistic()) is None
    assert recognise(OneByOne(C=1.0)) is None
    problem = recognise(CrossValidatedLogistic(C=3.0))
    assert (problem.C, problem.scaled) == (3.0, True)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_usual_mixture_does_not_know_units(n_classes):
    X, y = table(300, n_classes=n_classes)
    moved = X * [1e-3, 1.0, 7.0, 1e5] + [1e3, 0.0, -5.0, 1e7]
    fits = [MixtureOfExpertsClassifier(**QUICK).fit(Z, y) for Z in (X, moved)]
    expected = fits[0].predict_proba(X)
    np.testing.assert_allclose(fits[1].predict_proba(moved), expected, rtol=1e-5, atol=1e-8)


def test_frames_workers_and_pickles():
    X, y = switching()
    frame = pd.DataFrame(X, columns=list("abc"))
    labels = np.array(["no", "yes"])[y]
    fits = [
        MixtureOfExpertsClassifier(n_jobs=n_jobs, **QUICK).fit(frame, labels)
        for n_jobs in (None, 2)
    ]
    assert fits[0].experts_[0].feature_names_in_.tolist() == list("abc")
    expected = fits[0].predict_proba(frame)
    np.testing.assert_allclose(fits[1].predict_proba(frame), expected, rtol=1e-9)
    stored = pickle.loads(pickle.dumps(fits[0]))
    np.testing.assert_array_equal(stored.predict_proba(frame), expected)


@pytest.mark.parametrize("options", [{"cv": 3}, {"cv": None, "verdict": False}, {"top_k": 1}])
def test_indicators_go_with_weights_folds_units_and_workers(options):
    X, y = with_indicators(300)
    times = np.random.default_rng(0).integers(1, 4, 300)
    units, shift = [1.0, 3.0, 50.0, 0.01, 2.0], [0.0, 1.0, 5.0, 0.0, -3.0]

    def proba(X, y, weight, new=None, **more):
        mixture = MixtureOfExpertsClassifier(n_experts=3, **QUICK | options | more)
        return mixture.fit(X, y, weight).predict_proba(X if new is None else new)

    expected = proba(X, y, times)
    others = {
        "repeats": proba(np.repeat(X, times, axis=0), np.repeat(y, times), None, X),
        "workers": proba(X, y, times, n_jobs=2),
        "units": proba(X * units + shift, y, times),
        "frame": proba(pd.DataFrame(X, columns=list("abcde")), y, times),
    }
    for name, found in others.items():
        np.testing.assert_allclose(found, expected, atol=1e-8, err_msg=name)


def test_parameters_are_counted():
    X, y = table()
    params = QUICK | {"verdict": False, "gate": None}
    found = MixtureOfExpertsClassifier(**params).fit(X, y).information_criteria(X, y)
    experts = make_pipeline(StandardScaler(), LogisticRegression())
    theirs = MixtureOfExpertsClassifier(experts, **params).fit(X, y).information_criteria(X, y)
    assert found.n_parameters == theirs.n_parameters


def test_rounding_of_constant_columns_has_no_root():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        Z = np.full((200, 1), rng.normal())
        center = np.average(Z, axis=0, weights=rng.uniform(size=200))
        found = half_differences(Z, center, np.ones(1), rng.uniform(size=200))
        assert found == pytest.approx(0.0, abs=1e-6)


def test_groups_are_dealt_where_a_rare_class_is_not_among_the_rows_that_judge(monkeypatch):
    monkeypatch.setattr("sklearn_moe.linear._penalty.PENALTY_ROWS", 200)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 4))
    y = np.where(X @ [3, -2, 1, 0] > 0, 2, 0)
    y[2] = 1
    found = CrossValidatedLogistic().fit(X, y, groups=np.arange(2000) // 10)
    assert found.C_ > 2
