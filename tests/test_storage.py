"""A mixture that was stored and loaded gives the same answers, and needs no trust in strangers."""

import io
import pickle

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
FEW = {"max_iter": 3, "n_init": 1, "cv": 3, "init": "principal", "random_state": 0}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
Y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1] + 0.1 * RNG.normal(size=120)


def regressor(experts=None, **params):
    return MixtureOfExpertsRegressor(experts, **{**FEW, **params})


STORED = {
    "ridge": regressor(verdict=True),
    "tree": regressor([("line", Ridge()), ("tree", DecisionTreeRegressor())]),
    "gate": regressor(gate=LogisticRegression()),
    "neighbours": regressor(make_pipeline(StandardScaler(), KNeighborsRegressor())),
    "classifier": MixtureOfExpertsClassifier(**FEW),
    "boosting": regressor(HistGradientBoostingRegressor(max_iter=3)),
}
# What the experts need beyond this package.
OWN_NEEDS = {
    "tree": ("sklearn.tree.",),
    "neighbours": ("sklearn.metrics.", "sklearn.neighbors."),
    "boosting": ("sklearn.ensemble.", "sklearn._loss.", "numpy."),
}


def through_skops(moe, needs):
    data = skops.io.dumps(moe)
    unknown = skops.io.get_untrusted_types(data=data)
    assert all(name.startswith(("sklearn_moe.", *needs)) for name in unknown), unknown
    return skops.io.loads(data, trusted=unknown)


def through_joblib(moe):
    file = io.BytesIO()
    joblib.dump(moe, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize("way", ["pickle", "joblib", "skops"])
@pytest.mark.parametrize("kind", STORED)
def test_stored_mixture_answers_the_same(kind, way):
    y = np.where(Y > 0, "yes", "no") if kind == "classifier" else Y
    moe = clone(STORED[kind]).fit(X, y)
    if way == "skops":
        loaded = through_skops(moe, OWN_NEEDS.get(kind, ()))
    else:
        loaded = pickle.loads(pickle.dumps(moe)) if way == "pickle" else through_joblib(moe)
    np.testing.assert_array_equal(loaded.predict(X), moe.predict(X))
    np.testing.assert_array_equal(loaded.log_prob(X, y), moe.log_prob(X, y))


@pytest.mark.parametrize("params", [{"cv": None}, {"verdict": True}], ids=["in sample", "verdict"])
def test_numbers_that_are_kept_are_plain_ones(params):
    """They print as numbers, and any format takes them."""
    moe = regressor(**params).fit(X, Y)
    kept = [moe.lower_bound_, *moe.lower_bounds_, *moe.start_bounds_.values(), moe.gain_]
    kept += [moe.gain_stderr_, moe.heldout_log_prob_, *moe.heldout_log_probs_]
    kept += [moe.gate_entropy_, moe.gate_information_]
    assert {type(number) for number in kept} == {float}
