"""The models of other packages keep the contract of the command `tabular`; those that are here."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

ROOT = Path(__file__).resolve().parents[1]
N_ROWS = 120
BREAKING = {"weight [kg]": "x", '{"a": <b>}': "w"}
TASKS = ("regression", "classification")
NAMES = (
    *("lightgbm", "lightgbm linear", "xgboost", "catboost", "ngboost", "quantile forest"),
    *("realmlp", "deslib", "deskit", "cubist", "linear tree", "smt", "cgmm", "flexmix", "gmr"),
)
WITH_LAW = ("ngboost", "cgmm", "flexmix", "gmr")
# What a package says of its own use of numpy and scikit-learn is not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(autouse=True)
def _root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def table(task):
    """A frame of two numbers and a category, with gaps, and a target that they explain."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({name: rng.randn(N_ROWS) for name in BREAKING})
    level = rng.choice(["a", "b", "c"], N_ROWS)
    score = 100 + 10 * frame.iloc[:, 0] + 20 * (level == "a") + 0.5 * rng.randn(N_ROWS)
    frame["level"] = pd.Categorical(level)
    frame.iloc[3, 0], frame.iloc[4, 2] = np.nan, None
    if task == "regression":
        return frame, score.to_numpy()
    score += 8 * rng.randn(N_ROWS)  # NGBoost overflows where classes can be told apart for sure
    return frame, np.array(["low", "high", "mid"])[np.digitize(score, [100, 112])]


def peer(name, task):
    from benchmarks.peers import PEERS, is_here

    found = PEERS[name]
    if not is_here(found.package):
        pytest.skip(f"the package {found.package} is not installed")
    if task not in found.tasks:
        pytest.skip(f"{name} does no {task}")
    return clone(found.make(task, 0))


def test_the_names_are_those_of_the_registry():
    from benchmarks.peers import PEERS

    assert set(PEERS) == set(NAMES)
    assert all(set(found.tasks) <= set(TASKS) for found in PEERS.values())


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_predicted_better_than_by_their_mean(name):
    model, (X, y) = peer(name, "regression"), table("regression")
    predicted = model.fit(X[:90], y[:90]).predict(X[90:])
    assert predicted.shape == (30,)
    assert np.isfinite(predicted).all()
    assert np.mean((predicted - y[90:]) ** 2) < 0.7 * np.var(y[90:])
    assert hasattr(model, "law") == (name in WITH_LAW)


@pytest.mark.parametrize("name", WITH_LAW)
def test_a_law_is_around_the_prediction(name):
    model, (X, y) = peer(name, "regression"), table("regression")
    law = model.fit(X, y).law(X)
    low, middle, high = law.ppf([0.05, 0.5, 0.95]).T
    assert ((low < middle) & (middle < high)).all()
    assert np.mean((low < y) & (y < high)) > 0.75
    assert np.mean(law.crps(y)) < 0.25 * np.std(y)
    assert np.isfinite(law.logpdf(y)).all()
    moment = np.mean(law.ppf(np.linspace(0.0005, 0.9995, 1000)), axis=1)
    np.testing.assert_allclose(moment, model.predict(X), atol=0.02 * np.std(y))


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_are_in_the_order_of_the_classes(name):
    model, (X, y) = peer(name, "classification"), table("classification")
    proba = model.fit(X[:90], y[:90]).predict_proba(X[90:])
    assert list(model.classes_) == ["high", "low", "mid"]
    assert proba.shape == (30, 3)
    assert (proba >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    assert np.mean(model.classes_[proba.argmax(axis=1)] == y[90:]) > 0.6
    assert np.mean(model.predict(X[90:]) == y[90:]) > 0.6


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", NAMES)
def test_a_clone_fits_to_the_same(name, task):
    model, (X, y) = peer(name, task), table(task)
    says = "predict" if task == "regression" else "predict_proba"
    first = getattr(model.fit(X, y), says)(X)
    np.testing.assert_array_equal(getattr(clone(model).fit(X, y), says)(X), first)
