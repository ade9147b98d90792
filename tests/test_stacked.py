"""Automatic mixtures stacked on other learners: the columns they are given, and by what folds."""

from functools import wraps

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import TargetEncoder
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import AutoMixtureRegressor, CrossFittedPredictions, MixtureOfExpertsRegressor
from sklearn_moe._content import content_ids, row_hashes
from sklearn_moe.auto._stacked import PULL, StackedColumns

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(4)
X = rng.normal(size=(120, 3))
Y = np.sign(X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=120)
FOLDS = list(KFold(3, shuffle=True, random_state=0).split(X))
FOREST = ExtraTreesRegressor(5, random_state=0)
BOOSTING = HistGradientBoostingRegressor(max_iter=5)
QUICK = {"init": "principal", "n_init": 1, "max_iter": 3, "random_state": 0}


def stacked(**params):
    return StackedColumns([("forest", FOREST)], BOOSTING, **params)


def test_predictions_stand_beside_the_columns_in_spreads_of_the_target():
    columns = stacked(cv=FOLDS)
    made = columns.fit_transform(X, Y)
    np.testing.assert_allclose(made[:, :3], (X - X.mean(axis=0)) / X.std(axis=0))
    order = np.argsort(content_ids(row_hashes(X, Y)))
    place = np.argsort(order)
    folds = [(np.sort(place[train]), place[test]) for train, test in FOLDS]
    expected = cross_val_predict(FOREST, X[order], Y[order], cv=folds)[place] * PULL / Y.std()
    np.testing.assert_allclose(made[:, 4], expected)
    seen = columns.predictions_.estimators_[1].predict(X) * PULL / Y.std()
    np.testing.assert_allclose(columns.transform(X)[:, 4], seen)
    np.testing.assert_array_equal(columns.transform(X)[:, :3], made[:, :3])


@pytest.mark.usefixtures("quick_candidates")
@pytest.mark.parametrize(("n_rows", "cv", "is_one"), [(49, 5, False), (40, 4, True)])
def test_few_rows_are_not_stacked_unless_they_are_to_be(n_rows, cv, is_one):
    """What is said of folds of two rows lay on the other side of the mean, and was believed."""
    auto = AutoMixtureRegressor(cv=cv, random_state=0).fit(X[:n_rows], Y[:n_rows])
    assert ("stacked" in auto.log_probs_) is is_one
    named = AutoMixtureRegressor(["stacked"], cv=cv, random_state=0).fit(X[:20], Y[:20])
    assert list(named.log_probs_) == ["stacked"]


def test_the_unit_of_the_target_does_not_matter():
    made = stacked(cv=FOLDS).fit_transform(X, Y)
    np.testing.assert_allclose(stacked(cv=FOLDS).fit_transform(X, 2.0**20 * Y), made)


def test_spreads_of_target_and_columns_are_weighted():
    times = np.arange(120) % 3
    weighted = stacked(cv=3).fit(X, Y, times.astype(float))
    repeated = stacked(cv=3).fit(np.repeat(X, times, axis=0), np.repeat(Y, times))
    np.testing.assert_allclose(weighted.scale_, repeated.scale_)
    np.testing.assert_allclose(weighted.encoder_.transform(X), repeated.encoder_.transform(X))


def test_a_constant_target_is_no_trouble():
    assert np.isfinite(stacked().fit_transform(X, np.full(120, 3.0))).all()


def test_boosting_sees_categories_and_others_their_indicators():
    frame = pd.DataFrame({"n": X[:, 0], "kind": pd.Categorical(np.arange(120) % 3)})
    columns = stacked().fit(frame, Y)
    boosting, forest = columns.predictions_.estimators_
    assert boosting.is_categorical_.tolist() == [False, True]
    assert forest[-1].n_features_in_ == 4
    assert columns.transform(frame).shape == (120, 6)


def test_several_outputs_are_left_to_those_who_can():
    columns = stacked().fit(X, np.column_stack([Y, 1000 * Y]))
    assert [name for name, _ in columns.predictions_.estimators] == ["forest"]
    assert columns.scale_[0] == pytest.approx(1000 * columns.scale_[1])


@pytest.fixture
def heard(monkeypatch):
    """What learners are fitted by, of each fit: their folds and what goes with rows."""
    fits, usual = [], CrossFittedPredictions.fit_transform

    def fit_transform(self, X, y, sample_weight=None, groups=None):
        fits.append((self.cv, sample_weight, groups))
        return usual(self, X, y, sample_weight, groups)

    monkeypatch.setattr(CrossFittedPredictions, "fit_transform", fit_transform)
    return fits


def test_groups_reach_a_splitter(heard):
    stacked(cv=GroupKFold(3)).fit(X, Y, groups=np.arange(120) // 6)
    ((folds, _, groups),) = heard
    assert not any(np.isin(groups[train], groups[test]).any() for train, test in folds)


@pytest.fixture
def quick(monkeypatch):
    """Few trees and iterations."""
    made = MixtureOfExpertsRegressor(Ridge(), 2, **QUICK)
    monkeypatch.setattr("sklearn_moe.auto._usual.EvidenceRidge", lambda: made.experts)
    monkeypatch.setattr("sklearn_moe.auto._usual.REAL", {"max_iter": 3, "early_stopping": False})


@pytest.mark.usefixtures("quick")
def test_weights_and_groups_reach_the_learners(heard):
    weight, groups = rng.integers(1, 3, 120).astype(float), np.arange(120) // 2
    AutoMixtureRegressor(["stacked"], cv=3, random_state=0).fit(X, Y, weight, groups)
    assert all(cv == 3 for cv, *_ in heard)
    order = np.lexsort((weight, content_ids(row_hashes(X, Y))))
    np.testing.assert_array_equal(heard[0][1], weight[order])
    np.testing.assert_array_equal(heard[0][2], groups[order])


@pytest.mark.usefixtures("quick")
def test_folds_of_the_user_are_those_of_the_learners(heard):
    """By the numbers that rows have where some weigh nothing, in an order of their own."""
    auto = AutoMixtureRegressor(["stacked"], cv=FOLDS, random_state=0)
    auto.fit(X, Y, np.arange(120) >= 20)
    order = 20 + np.argsort(content_ids(row_hashes(X[20:], Y[20:])))
    for (train, test), expected in zip(heard[0][0], FOLDS, strict=True):
        for side, whole in ((train, expected[0]), (test, expected[1])):
            np.testing.assert_array_equal(np.sort(order[side]), whole[whole >= 20])
    np.testing.assert_array_equal(auto.best_estimator_[1].cv[0][1], FOLDS[0][1])


def test_folds_of_a_step_of_the_user_are_renumbered_too():
    trees = CrossFittedPredictions([("tree", DecisionTreeRegressor(max_depth=3))], cv=FOLDS)
    lines = MixtureOfExpertsRegressor(Ridge(), 2, cv=FOLDS, **QUICK)
    auto = AutoMixtureRegressor([("lines", make_pipeline(trees, lines))])
    auto.fit(X, Y, np.arange(120) >= 20)
    np.testing.assert_array_equal(auto.best_estimator_[0].cv[0][1], FOLDS[0][1])


@pytest.mark.parametrize("union", [False, True])
@pytest.mark.parametrize("own", [KFold(2), list(KFold(2).split(X))], ids=["splitter", "list"])
def test_a_step_of_the_user_has_folds_of_its_own(own, union, monkeypatch):
    sizes, fit = set(), DecisionTreeRegressor.fit

    @wraps(fit)
    def counted(self, X, *args, **kwargs):
        sizes.add(len(X))
        return fit(self, X, *args, **kwargs)

    monkeypatch.setattr(DecisionTreeRegressor, "fit", counted)
    trees = CrossFittedPredictions([("tree", DecisionTreeRegressor(max_depth=3))], cv=own)
    steps = FeatureUnion([("as", "passthrough"), ("trees", trees)]) if union else trees
    for cv in (KFold(4), 4):
        lines = MixtureOfExpertsRegressor(Ridge(), 2, cv=cv, verdict=True, **QUICK)
        auto = AutoMixtureRegressor([("lines", make_pipeline(steps, lines))])
        auto.fit(X, Y, sample_weight=np.arange(120) > 0)
        assert sizes == {59, 60, 119}
        assert str(auto.mixture_.cv) == str(cv)
        kept = auto.best_estimator_[0]
        kept = kept.transformer_list[1][1] if union else kept
        assert str(kept.cv) == str(own)


@pytest.mark.parametrize("seed", range(2))
def test_the_order_of_rows_does_not_matter(seed):
    order = np.random.default_rng(seed).permutation(120)
    first = AutoMixtureRegressor(["stacked"], cv=3, random_state=0).fit(X, Y)
    second = AutoMixtureRegressor(["stacked"], cv=3, random_state=0).fit(X[order], Y[order])
    np.testing.assert_allclose(first.predict(X), second.predict(X), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_tables_that_others_make_are_arrays_here(container):
    """Whatever scikit-learn is set to make of transformed tables."""
    expected = stacked().fit_transform(X, Y)
    with config_context(transform_output=container):
        np.testing.assert_array_equal(np.asarray(stacked().fit_transform(X, Y)), expected)


def test_targets_may_be_a_list():
    expected = stacked().fit(X, Y).transform(X)
    np.testing.assert_array_equal(stacked().fit(X, list(Y)).transform(X), expected)


def test_more_categories_than_usual_are_told_apart():
    frame = pd.DataFrame({"n": X[:, 0], "kind": pd.Categorical(np.arange(120) % 40)})
    forest = stacked().fit(frame, Y).predictions_.estimators_[1]
    assert forest[-1].n_features_in_ == 41


@pytest.mark.parametrize(
    "learner",
    [
        DecisionTreeRegressor(max_depth=3),
        make_pipeline(TargetEncoder(target_type="continuous"), Ridge()),
    ],
)
def test_weights_and_groups_reach_a_step_of_the_user(learner, heard):
    trees = CrossFittedPredictions([("tree", learner)], cv=3)
    lines = MixtureOfExpertsRegressor(Ridge(), 2, cv=3, **QUICK)
    union = FeatureUnion([("columns", "passthrough"), ("predictions", trees)])
    weight, groups = rng.integers(1, 3, 120).astype(float), np.arange(120) // 2
    for steps in (trees, union):
        heard.clear()
        auto = AutoMixtureRegressor([("mixture", make_pipeline(steps, lines))])
        auto.fit(X, Y, weight, groups)
        np.testing.assert_array_equal(heard[0][1], weight)
        np.testing.assert_array_equal(heard[0][2], groups)
        assert np.isfinite(auto.predict(X)).all()
