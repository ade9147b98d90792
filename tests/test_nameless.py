"""Frames of numbers go to experts without their names while EM runs, where that changes nothing."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    StackingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import Lasso, LassoCV, Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, _data, _experts
from sklearn_moe._nameless import bare_numbers, is_nameless
from sklearn_moe._templates import make_template
from sklearn_moe._training import make_training

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "length": RNG.normal(size=160),
        "count": RNG.integers(0, 9, size=160),
        "is_new": RNG.random(160) < 0.5,
        "width": RNG.normal(size=160).astype(np.float32),
    },
    index=RNG.permutation(160),
)
Y = np.where(FRAME["is_new"], FRAME["length"], -FRAME["width"]) + 0.1 * RNG.normal(size=160)


# Few iterations are enough to compare them.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


FEW = {"init": "principal", "n_init": 1, "max_iter": 2, "cv": 3, "random_state": 0}


class Mine(RegressorMixin, BaseEstimator):
    """An expert of a user's own, who wants a frame."""

    def fit(self, X, y, sample_weight=None):
        self.mean_ = np.average(y + 0 * X["length"], weights=sample_weight)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


class Doubled(TransformerMixin, BaseEstimator):
    """A step of a user's own, who wants one too."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.assign(twice=2 * X["length"])


class Chosen:
    """A class that is used as a function."""

    def __new__(cls, distances):
        return np.ones_like(distances)


class Splitter(KFold):
    """Folds of a user's own."""


NAMELESS = {
    "tree": DecisionTreeRegressor(max_depth=3),
    "neighbours": KNeighborsRegressor(),
    "forest": RandomForestRegressor(5),
    "kernel": GaussianProcessRegressor(RBF()),
    "pipeline": make_pipeline(StandardScaler(), SVR()),
    "boosting": HistGradientBoostingRegressor(max_iter=5),
    "team": StackingRegressor([("tree", DecisionTreeRegressor(max_depth=2))], Ridge(), cv=2),
}
NAMED = {
    "columns": make_pipeline(
        make_column_transformer((StandardScaler(), ["length"])), KNeighborsRegressor()
    ),
    "function": make_pipeline(FunctionTransformer(lambda X: X[["width"]]), KNeighborsRegressor()),
    "squares": make_pipeline(FunctionTransformer(np.square), KNeighborsRegressor()),
    "class": KNeighborsRegressor(weights=Chosen),
    "mine": Mine(),
    "step": make_pipeline(Doubled(), KNeighborsRegressor()),
    "order": HistGradientBoostingRegressor(max_iter=5, monotonic_cst={"length": 1}),
    "kinds": HistGradientBoostingRegressor(max_iter=5, categorical_features=["count"]),
    "frozen": FrozenEstimator(DecisionTreeRegressor(max_depth=2).fit(FRAME, Y)),
    "search": GridSearchCV(
        make_pipeline(StandardScaler(), KNeighborsRegressor()),
        {"standardscaler": [Doubled(), StandardScaler()]},
        cv=2,
    ),
    "folds": LassoCV(cv=Splitter(2)),
}


@pytest.mark.parametrize("name", NAMELESS)
def test_who_knows_no_names(name):
    assert is_nameless(NAMELESS[name])


@pytest.mark.parametrize("name", NAMED)
def test_who_may_know_some(name):
    assert not is_nameless(NAMED[name])


def test_numbers_are_those_that_estimators_read():
    numbers = bare_numbers(FRAME)
    assert numbers.dtype == np.float64
    seen = KNeighborsRegressor().fit(FRAME, Y)._fit_X
    np.testing.assert_array_equal(numbers, seen)
    assert bare_numbers(FRAME[["width"]]).dtype == np.float32


@pytest.mark.parametrize(
    "table",
    [
        FRAME.to_numpy(),
        FRAME.assign(kind="a"),
        FRAME.assign(kind=pd.Categorical(["a"] * 160)),
        FRAME.convert_dtypes(),
        FRAME.assign(day=pd.Timestamp("2020-01-01")),
        pytest.param(FRAME.assign(count=2**60 + FRAME["count"]), id="large whole numbers"),
        pytest.param([[1.0]], id="list"),
    ],
)
def test_other_tables_stay_what_they_are(table):
    assert bare_numbers(table) is None


def test_whole_numbers_alone_may_be_large():
    numbers = bare_numbers(FRAME[["count"]] + 2**60)
    assert numbers.dtype == np.int64
    assert not numbers.flags.writeable


@pytest.mark.parametrize(
    "expert",
    [Lasso(0.01, copy_X=False), make_pipeline(StandardScaler(copy=False), Lasso(0.01))],
    ids=["expert", "step"],
)
def test_experts_that_work_in_place_leave_it_as_it_is(expert, monkeypatch):
    found, kinds = fitted(expert, monkeypatch, bare=True)
    usual, _ = fitted(expert, monkeypatch, bare=False)
    assert np.ndarray in kinds
    np.testing.assert_allclose(found.lower_bounds_, usual.lower_bounds_, rtol=1e-9)
    assert found.n_experts_ == 2


def fitted(expert, monkeypatch, bare, **params):
    """A mixture of the expert, and the kinds of tables that experts were fitted to."""
    kinds, original = [], _experts.fit_weighted

    def fit_weighted(expert, X, *args, **kwargs):
        kinds.append(type(X))
        return original(expert, X, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(_experts, "fit_weighted", fit_weighted)
        if not bare:
            patch.setattr(_data, "bare_numbers", lambda X: None)
        model = MixtureOfExpertsRegressor(expert, 2, **(FEW | params))
        return model.fit(FRAME, Y), kinds


def test_held_out_rows_are_numbers_that_nobody_writes_to():
    """They may be those of the user's own frame."""
    frame = pd.DataFrame(RNG.normal(size=(60, 2)), columns=["a", "b"])
    data = make_training(frame, Y[:60], Y[:60, None], np.ones(60), None, 3, {}, None, False).data
    template = replace(make_template("it", Ridge(), 0, {}), nameless=True)
    experts = _experts.WeightedExperts(data, [template], np.ones((60, 1)))
    held_out = experts.running(0)[2](frame)
    np.testing.assert_array_equal(held_out, frame)
    assert not held_out.flags.writeable


@pytest.mark.parametrize("name", NAMELESS)
def test_the_fit_is_that_with_names(name, monkeypatch):
    found, kinds = fitted(NAMELESS[name], monkeypatch, bare=True)
    usual, with_names = fitted(NAMELESS[name], monkeypatch, bare=False)
    assert kinds.count(np.ndarray) > kinds.count(pd.DataFrame) > 0
    if name != "boosting":  # whose table is in bins
        assert set(with_names) == {pd.DataFrame}
    np.testing.assert_allclose(found.lower_bounds_, usual.lower_bounds_, rtol=1e-9)
    np.testing.assert_allclose(
        found.predict_experts(FRAME), usual.predict_experts(FRAME), rtol=1e-7, atol=1e-9
    )
    for expert in found.experts_:
        assert list(expert.feature_names_in_) == list(FRAME)


@pytest.mark.parametrize("name", NAMED)
def test_who_asks_for_names_finds_them(name, monkeypatch):
    found, kinds = fitted(NAMED[name], monkeypatch, bare=True)
    assert set(kinds) == {pd.DataFrame}
    assert np.isfinite(found.predict(FRAME)).all()


@pytest.mark.parametrize("params", [{"cv": "oob"}, {"ensemble": True}, {"cv": None}])
def test_it_goes_with_other_ways_to_fit(params, monkeypatch):
    forest, params = RandomForestRegressor(20, max_depth=2), {**params, "verdict": False}
    found, kinds = fitted(forest, monkeypatch, bare=True, **params)
    usual, _ = fitted(forest, monkeypatch, bare=False, **params)
    np.testing.assert_array_equal(found.predict(FRAME), usual.predict(FRAME))
    in_sample = "cv" in params and params["cv"] is None  # all that are fitted there may be kept
    assert (np.ndarray in kinds) is not in_sample


def test_it_goes_with_weights_labels_routing_and_workers():
    labels = np.array(["low", "mid", "high"])[np.digitize(Y, [-0.5, 0.5])]
    weight = np.arange(160) % 3
    experts = [("tree", DecisionTreeClassifier(max_depth=3)), ("near", KNeighborsClassifier())]
    model = MixtureOfExpertsClassifier(experts, top_k=1, verdict=False, **FEW)
    one = clone(model).fit(FRAME, labels, weight)
    two = clone(model).set_params(n_jobs=2).fit(FRAME, labels, weight)
    repeated = FRAME.iloc[np.repeat(np.arange(160), weight)]
    again = clone(model).fit(repeated, np.repeat(labels, weight))
    np.testing.assert_array_equal(one.predict_proba(FRAME), two.predict_proba(FRAME))
    np.testing.assert_allclose(one.predict_proba(FRAME), again.predict_proba(FRAME), atol=1e-7)


def test_it_goes_with_outputs_weights_routing_to_few_and_pickles(monkeypatch):
    model = MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=3), 3, top_k=2, **FEW)
    arguments = FRAME, np.column_stack([Y, -Y]), np.arange(160) % 3
    found = pickle.loads(pickle.dumps(clone(model).set_params(n_jobs=2).fit(*arguments)))
    monkeypatch.setattr(_data, "bare_numbers", lambda X: None)
    usual = clone(model).fit(*arguments)
    assert found.predict(FRAME).shape == (160, 2)
    np.testing.assert_allclose(found.predict(FRAME), usual.predict(FRAME), atol=1e-9)
    np.testing.assert_allclose(found.log_prob(*arguments[:2]), usual.log_prob(*arguments[:2]))


def test_gaps_go_with_it(monkeypatch):
    frame = FRAME.assign(length=FRAME["length"].mask(FRAME["length"] > 1))
    model = MixtureOfExpertsRegressor(ExtraTreesRegressor(5), 2, **FEW)
    found = clone(model).fit(frame, Y).predict(frame)
    monkeypatch.setattr(_data, "bare_numbers", lambda X: None)
    np.testing.assert_array_equal(found, clone(model).fit(frame, Y).predict(frame))
