"""Predictions of other estimators as columns: out of fold for the rows they were fitted to."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import get_tags

from sklearn_moe import (
    CrossFittedPredictions,
    EvidenceRidge,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)

rng = np.random.default_rng(3)
X = rng.normal(size=(150, 3))
Y = X[:, 0] * X[:, 1] + X[:, 2] + 0.1 * rng.normal(size=150)
LABELS = np.where(Y > 0.5, "high", np.where(Y < -0.5, "low", "mid"))
NEW = rng.normal(size=(20, 3))
FOLDS = list(KFold(4, shuffle=True, random_state=0).split(X))
TREE = DecisionTreeRegressor(max_depth=3, random_state=0)
LOGISTIC = LogisticRegression(tol=1e-9)


def two(**params):
    return CrossFittedPredictions([("line", Ridge()), ("tree", TREE)], **params)


# What is said.


def test_it_is_what_scikit_learn_says_out_of_fold_and_what_fits_to_all_rows_say_of_new_ones():
    columns = two(cv=FOLDS)
    expected = [cross_val_predict(each, X, Y, cv=FOLDS) for each in (Ridge(), TREE)]
    np.testing.assert_allclose(columns.fit_transform(X, Y), np.column_stack(expected), rtol=1e-8)
    expected = [clone(each).fit(X, Y).predict(NEW) for each in (Ridge(), TREE)]
    np.testing.assert_allclose(columns.transform(NEW), np.column_stack(expected), rtol=1e-8)
    assert list(columns.get_feature_names_out()) == ["line", "tree"]
    assert columns.named_estimators_["tree"] is columns.estimators_[1]


def test_a_row_has_no_say_in_its_own_columns():
    before, other = two(cv=FOLDS).fit_transform(X, Y), Y.copy()
    other[7] += 100.0
    after = two(cv=FOLDS).fit_transform(X, other)
    np.testing.assert_allclose(after[7], before[7], rtol=1e-12)
    assert np.abs(after - before).max() > 1


def test_of_two_classes_they_are_log_odds():
    labels = LABELS == "high"
    experts = {"logistic": LOGISTIC, "strict": clone(LOGISTIC).set_params(C=0.01)}
    columns = CrossFittedPredictions(list(experts.items()), cv=FOLDS)
    found = columns.fit_transform(X, labels)
    for column, expert in zip(found.T, experts.values(), strict=True):
        proba = cross_val_predict(expert, X, labels, cv=FOLDS, method="predict_proba")
        proba = 0.99 * proba + 0.005
        odds = proba[:, 1] / proba[:, 0]
        np.testing.assert_allclose(column, np.log(odds), rtol=1e-5, atol=1e-6)
    assert list(columns.get_feature_names_out()) == list(experts)


def test_of_more_classes_they_are_centred_logarithms():
    columns = CrossFittedPredictions([("bayes", GaussianNB()), ("logistic", LOGISTIC)])
    found = columns.fit_transform(X, LABELS).reshape(150, 2, 3)
    np.testing.assert_allclose(found.sum(axis=2), 0, atol=1e-12)
    said = np.exp(columns.transform(NEW).reshape(20, 2, 3))
    said /= said.sum(axis=2, keepdims=True)
    expected = 0.99 * GaussianNB().fit(X, LABELS).predict_proba(NEW) + 0.01 / 3
    np.testing.assert_allclose(said[:, 0], expected, rtol=1e-9)
    names = columns.get_feature_names_out()
    assert list(names[:4]) == ["bayes_high", "bayes_low", "bayes_mid", "logistic_high"]


def test_a_class_that_a_fold_has_not_seen_is_no_trouble():
    labels = np.where(np.arange(150) == 5, "once", LABELS)
    columns = CrossFittedPredictions([("bayes", GaussianNB())], cv=FOLDS)
    assert np.isfinite(columns.fit_transform(X, labels)).all()
    assert columns.transform(NEW).shape == (20, 4)


def test_several_outputs_are_columns_of_each():
    several = np.column_stack([Y, -Y])
    found = two(cv=FOLDS).fit(X, several)
    assert list(found.get_feature_names_out()) == ["line_0", "line_1", "tree_0", "tree_1"]
    np.testing.assert_allclose(found.transform(NEW)[:, 0], Ridge().fit(X, Y).predict(NEW))
    np.testing.assert_allclose(found.transform(NEW)[:, :2] @ [1, 1], 0, atol=1e-9)


def test_a_single_column_of_targets_is_one_output():
    np.testing.assert_array_equal(two().fit_transform(X, Y[:, None]), two().fit_transform(X, Y))


# Rows: weights, copies, groups.


def test_weights_are_repeats():
    weight = rng.integers(1, 4, size=150).astype(float)
    columns = CrossFittedPredictions([("line", Ridge()), ("evidence", EvidenceRidge())])
    found = columns.fit_transform(X, Y, sample_weight=weight)
    rows = np.repeat(np.arange(150), weight.astype(int))
    repeated = clone(columns).fit_transform(X[rows], Y[rows])
    np.testing.assert_allclose(found[rows], repeated, rtol=1e-8, atol=1e-10)


def test_rows_of_no_weight_are_new_rows():
    weight = np.ones(150)
    weight[[3, 60]] = 0
    columns = two()
    found = columns.fit_transform(X, Y, sample_weight=weight)
    np.testing.assert_array_equal(found[[3, 60]], columns.transform(X[[3, 60]]))
    others = np.delete(np.arange(150), [3, 60])
    np.testing.assert_allclose(found[others], two().fit_transform(X[others], Y[others]), rtol=1e-12)


def test_the_order_of_rows_does_not_matter():
    order = rng.permutation(150)
    found = two(random_state=0).fit_transform(X, Y)
    np.testing.assert_allclose(two(random_state=0).fit_transform(X[order], Y[order]), found[order])


@pytest.mark.parametrize("groups", [None, np.arange(150) // 3])
def test_nobody_has_seen_a_copy_or_one_of_the_group(groups):
    table = np.repeat(X[::3], 3, axis=0)
    target = np.repeat(Y[::3], 3) if groups is None else Y
    nearest = CrossFittedPredictions([("nearest", KNeighborsRegressor(1))])
    found = nearest.fit_transform(table, target, groups=groups)[:, 0]
    of_group = target.reshape(-1, 3)
    assert not (found.reshape(-1, 3)[:, :, None] == of_group[:, None, :]).any()
    seen = nearest.transform(table)[:, 0]
    assert (seen.reshape(-1, 3)[:, :, None] == of_group[:, None, :]).any(axis=2).all()


def test_the_number_of_jobs_does_not_matter():
    one, several = two(random_state=0, n_jobs=1), two(random_state=0, n_jobs=2)
    np.testing.assert_array_equal(one.fit_transform(X, Y), several.fit_transform(X, Y))


def test_forests_can_answer_out_of_bag():
    forest = ExtraTreesRegressor(50, bootstrap=True, random_state=0)
    columns = CrossFittedPredictions([("forest", forest)], cv="oob")
    expected = clone(forest).set_params(oob_score=True).fit(X, Y).oob_prediction_
    np.testing.assert_allclose(columns.fit_transform(X, Y)[:, 0], expected)


def test_folds_of_groups_may_be_a_splitters():
    groups = np.arange(150) // 3
    splitter, folds = GroupKFold(4), list(GroupKFold(4).split(X, Y, groups))
    found = two(cv=splitter).fit_transform(X, Y, groups=groups)
    np.testing.assert_array_equal(found, two(cv=folds).fit_transform(X, Y))
    np.testing.assert_array_equal(found, two(cv=iter(folds)).fit_transform(X, Y))


def test_a_class_of_no_weight_is_no_class():
    labels = np.where(np.arange(150) == 5, "none", LABELS)
    columns = CrossFittedPredictions([("bayes", GaussianNB())])
    found = columns.fit_transform(X, labels, sample_weight=np.arange(150) != 5)
    assert list(columns.classes_) == ["high", "low", "mid"]
    np.testing.assert_array_equal(found[5], columns.transform(X[5:6])[0])


def test_what_weighs_nothing_need_not_suit():
    table = np.where(np.arange(150)[:, None] == 5, np.nan, X)
    weight = (np.arange(150) != 5).astype(float)
    columns = two().fit(table, Y, weight)
    before = columns.transform(NEW)
    with pytest.raises(ValueError, match="contains NaN"):
        columns.fit_transform(np.hstack([table, table]), -Y, weight)
    np.testing.assert_array_equal(columns.transform(NEW), before)


def test_its_seed_is_that_of_all_who_have_none():
    forests = [(name, ExtraTreesRegressor(3)) for name in "ab"]
    first, second = (
        CrossFittedPredictions(forests, random_state=0).fit_transform(X, Y) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first[:, 0], first[:, 1])


# Tables.


def test_it_forgets_names_that_a_table_has_not():
    columns = two().fit(pd.DataFrame(X, columns=list("abc")), Y)
    with pytest.warns(UserWarning, match="does not have valid feature names") as heard:
        columns.transform(X)
    assert len(heard) == 1
    assert not hasattr(columns.fit(X, Y), "feature_names_in_")


def test_names_are_those_that_were_fitted():
    columns = two().fit(X, Y).set_params(estimators=[("other", Ridge())])
    assert list(columns.get_feature_names_out()) == ["line", "tree"]
    assert list(columns.named_estimators_) == ["line", "tree"]


def test_it_takes_what_its_estimators_take():
    frame = pd.DataFrame({"a": X[:, 0], "b": pd.Categorical(np.where(X[:, 1] > 0, "x", "y"))})
    frame.loc[3, "a"] = np.nan
    boosting = HistGradientBoostingRegressor(max_iter=5, categorical_features="from_dtype")
    columns = CrossFittedPredictions([("boosting", boosting)])
    assert columns.fit_transform(frame, Y).shape == (150, 1)
    assert list(columns.feature_names_in_) == ["a", "b"]
    lines = CrossFittedPredictions([("line", Ridge(tol=1e-10))], cv=FOLDS)
    sparse, dense = lines.fit_transform(sp.csr_array(X), Y), clone(lines).fit_transform(X, Y)
    np.testing.assert_allclose(sparse, dense, rtol=1e-6)


def test_a_target_of_one_column_is_one_output():
    columns = CrossFittedPredictions([("forest", RandomForestRegressor(2))], random_state=0)
    found = columns.fit_transform(X, Y[:, None])  # without the warning of a forest
    np.testing.assert_array_equal(found, columns.fit_transform(X, Y))


def test_several_outputs_are_no_labels():
    for forest, several in ((RandomForestRegressor(), True), (RandomForestClassifier(), False)):
        columns = CrossFittedPredictions([("forest", forest)])
        assert get_tags(columns).target_tags.multi_output is several
    mixed = CrossFittedPredictions([("line", Ridge()), ("vectors", SVR())])
    assert not get_tags(mixed).target_tags.multi_output  # one of them takes no more than one


def test_it_is_cloned_pickled_and_searched():
    columns = clone(two(cv=3)).set_params(line__alpha=5.0)
    assert columns.get_params()["line"].alpha == 5.0
    columns.fit(X, Y)
    again = pickle.loads(pickle.dumps(columns))
    np.testing.assert_array_equal(again.transform(NEW), columns.transform(NEW))


def test_it_hands_frames_to_those_who_ask():
    columns = two().set_output(transform="pandas")
    found = columns.fit_transform(pd.DataFrame(X, columns=list("abc"), index=range(7, 157)), Y)
    assert list(found.columns) == ["line", "tree"]
    assert found.index[0] == 7


# Mixtures of them.


def test_a_mixture_of_lines_on_them_follows_what_the_forest_has_found():
    forest = CrossFittedPredictions([("forest", ExtraTreesRegressor(30, random_state=0))])
    lines = MixtureOfExpertsRegressor(EvidenceRidge(), n_experts=2, random_state=0)
    union = FeatureUnion([("columns", "passthrough"), ("predictions", forest)])
    new = rng.normal(size=(500, 3))
    truth = new[:, 0] * new[:, 1] + new[:, 2]
    with_forest = make_pipeline(union, clone(lines)).fit(X, Y).score(new, truth)
    assert with_forest > 0.05 + clone(lines).set_params(n_experts=1).fit(X, Y).score(new, truth)


def test_weights_and_groups_reach_it_where_metadata_are_routed():
    with config_context(enable_metadata_routing=True):
        columns = two().set_fit_request(sample_weight=True)
        mixture = MixtureOfExpertsRegressor(Ridge(), 1).set_fit_request(sample_weight=True)
        model = make_pipeline(columns, mixture)
        weight, groups = rng.uniform(1, 2, 150), np.arange(150) // 2
        model.fit(X, Y, sample_weight=weight, groups=groups)
    expected = two().fit(X, Y, weight, groups)
    np.testing.assert_allclose(model[0].transform(NEW), expected.transform(NEW))
    unweighted = two().fit(X, Y).transform(NEW)
    assert np.abs(model[0].transform(NEW) - unweighted).max() > 1e-6


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_mixture_can_be_one_of_them():
    mixture = MixtureOfExpertsClassifier(LOGISTIC, 2, random_state=0, max_iter=3, n_init=1)
    columns = CrossFittedPredictions([("mixture", mixture)], cv=3)
    assert np.isfinite(columns.fit_transform(X, LABELS)).all()


# Bad input.


@pytest.mark.parametrize(
    ("estimators", "error", "message"),
    [
        ([], ValueError, "must be a list of .name, estimator."),
        ([Ridge()], ValueError, "must be a list of .name, estimator."),
        ([("a", Ridge()), ("a", TREE)], ValueError, "Names provided are not unique"),
        ([("a", Ridge)], TypeError, "not an estimator with fit and predict"),
        ([("a", Ridge()), ("b", LOGISTIC)], TypeError, "holds classifiers and others"),
        ([("a", Ridge()), ("b", KMeans(2))], TypeError, "holds one of kind 'clusterer'"),
    ],
)
def test_estimators_that_will_not_do(estimators, error, message):
    with pytest.raises(error, match=message):
        CrossFittedPredictions(estimators).fit(X, Y)


@pytest.mark.parametrize("cv", [1, None, "none", "loo", 0.5])
def test_folds_that_will_not_do(cv):
    with pytest.raises(ValueError, match="'cv' parameter"):
        two(cv=cv).fit(X, Y)


@pytest.mark.parametrize("cv", [16, LeaveOneOut()])
def test_folds_of_few_rows_give_targets_away(cv):
    """What is said of a row that is left out alone is a function of its target."""
    with pytest.raises(ValueError, match="150 distinct rows; more than 5 folds need 10 rows each"):
        two(cv=cv).fit(X, Y)
    assert two(cv=15).fit_transform(X, Y).shape == (150, 2)
    assert two(cv=5).fit_transform(X[:20], Y[:20]).shape == (20, 2)


def test_copies_of_rows_make_no_more_folds():
    with pytest.raises(ValueError, match="30 distinct rows"):
        two(cv=6).fit(np.tile(X[:30], (2, 1)), np.tile(Y[:30], 2))


def test_errors_are_those_of_estimators():
    with pytest.raises(ValueError, match=r"Estimator 'line' \(Ridge\) failed to fit") as found:
        two().fit(np.where(X > 2, np.nan, X), Y)
    assert not re.search("expert|mixture|region", str(found.value), re.IGNORECASE)
    assert "NaN" in str(found.value.__cause__)
    with pytest.raises(ValueError, match="MultiOutputRegressor"):
        CrossFittedPredictions([("line", SVR())]).fit(X, np.column_stack([Y, Y]))


@pytest.mark.parametrize(
    ("cv", "n_rows", "params"),
    [(1000, 150, {}), (5, 150, {"groups": np.zeros(150)}), (5, 1, {})],
)
def test_remedies_can_be_followed(cv, n_rows, params):
    with pytest.raises(ValueError, match="Use ") as found:
        two(cv=cv).fit(X[:n_rows], Y[:n_rows], **params)
    assert "None" not in str(found.value)


def test_a_failed_fit_leaves_it_as_it_was():
    columns = two().fit(X, Y)
    before = columns.transform(NEW)
    with pytest.raises(ValueError, match=r"'line' \(Ridge\) failed to fit"):
        columns.fit(np.where(X > 2, np.nan, X)[:, :2], Y)
    np.testing.assert_array_equal(columns.transform(NEW), before)
    assert columns.n_features_in_ == 3


def test_labels_are_refused_by_regressors():
    with pytest.raises(ValueError, match=r"could not convert|dtype"):
        CrossFittedPredictions([("line", LinearRegression())]).fit(X, LABELS)
