"""Trees are given the table in single precision, made and checked once."""

from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from sklearn_moe import (
    CrossFittedPredictions,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    _predictions,
)
from sklearn_moe._ensembles import EnsembleRegressor
from sklearn_moe._predictions import ExpertTable, predict_bank

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
Y = X[:, 0] * X[:, 1] + 0.1 * RNG.normal(size=300)
LABELS = np.digitize(Y, [-0.5, 0.5])
NEW = RNG.normal(size=(200, 4))


class Watched(DecisionTreeRegressor):
    """A tree of a user's own, which may see its rows otherwise."""

    def predict(self, X):
        return np.full(len(X), 7.0)


@contextmanager
def monitored(tree):
    """What `predict` of a fitted tree is given beside the table, call by call."""
    told, original = [], type(tree).predict

    def predict(X, **options):
        told.append(options)
        return original(tree, X, **options)

    tree.predict = predict
    yield told
    del tree.predict


@pytest.mark.parametrize("tree", [DecisionTreeRegressor, ExtraTreeRegressor])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_regressors_say_the_same(tree, dtype):
    fitted, new = tree(random_state=0).fit(X, Y), (10 * NEW).astype(dtype)
    table = ExpertTable(new)
    assert table.single is not None
    np.testing.assert_array_equal(table.predict(fitted, None)[:, 0], fitted.predict(new))
    rows = np.array([5, 3, 190])
    np.testing.assert_array_equal(
        table.predict(fitted, None, rows)[:, 0], fitted.predict(new[rows])
    )


@pytest.mark.parametrize("tree", [DecisionTreeClassifier, ExtraTreeClassifier])
def test_classifiers_say_the_same(tree):
    fitted = tree(max_depth=3, random_state=0).fit(X[LABELS > 0], LABELS[LABELS > 0])
    found = ExpertTable(NEW).predict(fitted, np.arange(3))
    np.testing.assert_array_equal(found[:, 1:], fitted.predict_proba(NEW))
    assert not found[:, 0].any()


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(NEW).convert_dtypes(),
        sp.csr_array(NEW),
        np.where(NEW > 2, np.nan, NEW),
        NEW.astype(object),
    ],
)
def test_other_tables_go_to_trees_as_they_are(table):
    fitted = DecisionTreeRegressor().fit(X, Y)
    seen = ExpertTable(table)
    assert seen.single is None
    np.testing.assert_array_equal(seen.predict(fitted, None)[:, 0], fitted.predict(table))


def test_frames_of_numbers_are_taken_where_their_columns_are_those_of_the_fit():
    frame, names = pd.DataFrame(NEW, columns=list("abcd")), ["a", "b", "c", "d"]
    fitted = DecisionTreeRegressor().fit(pd.DataFrame(X, columns=names), Y)
    with monitored(fitted) as options:
        np.testing.assert_array_equal(
            ExpertTable(frame).predict(fitted, None)[:, 0], fitted.predict(frame)
        )
    assert options == [{"check_input": False}, {}]
    with pytest.raises(ValueError, match="feature names"):
        ExpertTable(frame[["b", "a", "c", "d"]]).predict(fitted, None)
    X_fit, options = ExpertTable(frame).for_fit(DecisionTreeRegressor(), None)
    assert X_fit is frame  # a tree that is kept has to know the names
    assert not options


def test_numbers_too_large_for_single_precision_are_refused_as_by_the_tree():
    fitted = DecisionTreeRegressor().fit(X, Y)
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="too large"):
        predict_bank([fitted], np.full((3, 4), 1e300), None)


def test_only_trees_are_given_it():
    ridge, tree, other = Ridge().fit(X, Y), DecisionTreeRegressor().fit(X, Y), Watched().fit(X, Y)
    for expert in (ridge, other):
        table = ExpertTable(NEW).for_fit(expert, None)[0]
        assert np.shares_memory(table, NEW)
        assert table.dtype == NEW.dtype
        assert not table.flags.writeable
    found = predict_bank([ridge, tree, other], NEW, None)[..., 0]
    np.testing.assert_array_equal(found[:, 0], ridge.predict(NEW))
    np.testing.assert_array_equal(found[:, 1], tree.predict(NEW))
    np.testing.assert_array_equal(found[:, 2], 7.0)


@pytest.mark.parametrize("n_columns", [3, 5])
def test_a_table_of_another_width_is_refused(n_columns):
    tree = DecisionTreeRegressor().fit(X, Y)
    with pytest.raises(ValueError, match="features"):
        EnsembleRegressor(tree, [tree]).predict(np.zeros((2, n_columns)))


def test_several_outputs():
    tree = DecisionTreeRegressor().fit(X, np.column_stack([Y, -Y]))
    np.testing.assert_array_equal(predict_bank([tree], NEW, None)[:, 0], tree.predict(NEW))


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("tree", [DecisionTreeRegressor, ExtraTreeRegressor])
def test_they_grow_the_same_from_it(tree, weighted, monkeypatch):
    def grown():
        model = MixtureOfExpertsRegressor(
            tree(max_depth=3), 2, n_init=1, random_state=0, verdict=False
        )
        return model.fit(X, Y, np.arange(300) % 3 if weighted else None)

    found = grown()
    monkeypatch.setattr(_predictions, "TREES", ())
    usual = grown()
    np.testing.assert_array_equal(found.predict_experts(NEW), usual.predict_experts(NEW))
    assert found.lower_bounds_ == usual.lower_bounds_
    assert [vars(e).keys() for e in found.experts_] == [vars(e).keys() for e in usual.experts_]


def test_classifiers_grow_the_same_from_it(monkeypatch):
    def grown():
        tree = DecisionTreeClassifier(max_depth=3, class_weight="balanced")
        model = MixtureOfExpertsClassifier(tree, 2, n_init=1, random_state=0, verdict=False)
        return model.fit(X, np.array(["low", "mid", "high"])[LABELS])

    found = grown()
    monkeypatch.setattr(_predictions, "TREES", ())
    np.testing.assert_array_equal(found.predict_proba(NEW), grown().predict_proba(NEW))


def test_a_fit_does_not_check_it_again(monkeypatch):
    told = []

    def fit(self, X, y, sample_weight=None, check_input=True):
        told.append((X.dtype, check_input))
        return original(self, X, y, sample_weight, check_input)

    original = DecisionTreeRegressor.fit
    monkeypatch.setattr(DecisionTreeRegressor, "fit", fit)
    MixtureOfExpertsRegressor(DecisionTreeRegressor(), 2, n_init=1, random_state=0).fit(X, Y)
    assert set(told) == {(np.dtype(np.float32), False)}


def test_what_a_tree_refuses_is_refused():
    tree = DecisionTreeRegressor(criterion="poisson")
    with pytest.raises(ValueError, match="negative"):
        MixtureOfExpertsRegressor(tree, 2, n_init=1).fit(X, Y)


def test_class_probabilities_are_in_double_precision():
    single = X.astype(np.float32)
    moe = MixtureOfExpertsClassifier(n_init=1, cv=3, verdict=False, random_state=0)
    moe.fit(single, LABELS)
    assert moe.predict_experts(single).dtype == np.float64
    np.testing.assert_allclose(moe.predict_proba(single).sum(axis=1), 1.0, atol=1e-14)
    columns = CrossFittedPredictions([("lines", LogisticRegression())], cv=3)
    assert columns.fit_transform(single, LABELS).dtype == np.float64
    assert columns.transform(single).dtype == np.float64
