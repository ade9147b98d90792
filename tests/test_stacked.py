"""Automatic mixtures that lean on other learners: the columns they are given, and by what folds."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import AutoMixtureRegressor, CrossFittedPredictions, MixtureOfExpertsRegressor
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
    expected = cross_val_predict(FOREST, X, Y, cv=FOLDS) * PULL / Y.std()
    np.testing.assert_allclose(made[:, 4], expected)
    seen = columns.predictions_.estimators_[1].predict(X) * PULL / Y.std()
    np.testing.assert_allclose(columns.transform(X)[:, 4], seen)
    np.testing.assert_array_equal(columns.transform(X)[:, :3], made[:, :3])


def test_the_unit_of_the_target_does_not_matter():
    made = stacked(cv=FOLDS).fit_transform(X, Y)
    np.testing.assert_allclose(stacked(cv=FOLDS).fit_transform(X, 2.0**20 * Y), made)


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
    np.testing.assert_array_equal(heard[0][1], weight)
    np.testing.assert_array_equal(heard[0][2], groups)


@pytest.mark.usefixtures("quick")
def test_folds_of_the_user_are_those_of_the_learners(heard):
    """By the numbers that rows have where some weigh nothing."""
    auto = AutoMixtureRegressor(["stacked"], cv=FOLDS, random_state=0)
    auto.fit(X, Y, np.arange(120) >= 20)
    for (train, test), expected in zip(heard[0][0], FOLDS, strict=True):
        for side, whole in ((train, expected[0]), (test, expected[1])):
            np.testing.assert_array_equal(side + 20, whole[whole >= 20])
    assert auto.best_estimator_[1].cv is auto.mixture_.cv


def test_weights_and_groups_reach_a_step_of_the_user(heard):
    trees = CrossFittedPredictions([("tree", DecisionTreeRegressor(max_depth=3))], cv=3)
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
