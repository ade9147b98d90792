"""Gates that were fitted before: their classes, or outputs, are the experts in order."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from sklearn_moe.gates import (
    ClassifierGate,
    GaussianGate,
    MLPGate,
    RegressorGate,
    SoftmaxGate,
    TreeGate,
)
from sklearn_moe.gates._resolve import keeping

RNG = np.random.default_rng(1)
X = RNG.normal(size=(200, 3))
Y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1] + 0.1 * RNG.normal(size=200)
# One region holds a single row, and its expert is lost.
REGION = np.where(X[:, 0] > 0, 1, 0)
REGION[0] = 2
CLASSIFIER = LogisticRegression().fit(X, REGION)
REGRESSOR = LinearRegression().fit(X, np.eye(3)[REGION])

GATES = {
    "classifier": FrozenEstimator(CLASSIFIER),
    "regressor": FrozenEstimator(REGRESSOR),
    "pipeline": make_pipeline(StandardScaler().fit(X), FrozenEstimator(CLASSIFIER)),
    "gate": ClassifierGate(FrozenEstimator(CLASSIFIER)),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cv", [3, None])
@pytest.mark.parametrize("name", GATES)
def test_experts_may_be_lost(name, cv):
    start = np.eye(3)[REGION]
    moe = MixtureOfExpertsRegressor(
        n_experts=3, gate=GATES[name], init=start, cv=cv, verdict=False, max_iter=4, random_state=0
    ).fit(X, Y)
    assert moe.n_experts_ == 2
    proba = moe.gate_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    left = np.abs(X[:, 0]) > 0.5
    np.testing.assert_array_equal(proba[left].argmax(axis=1), X[left, 0] > 0)


def test_those_that_are_left_keep_their_proportions():
    weights = np.full((len(X), 2), 0.5)
    for gate in (ClassifierGate(FrozenEstimator(CLASSIFIER)), RegressorGate(GATES["regressor"])):
        whole = gate.fit(X, np.full((len(X), 3), 1 / 3)).predict_proba(X)[:, [0, 2]]
        some = keeping(gate, (0, 2), 3).fit(X, weights).predict_proba(X)
        known = whole.sum(axis=1, keepdims=True)
        there = known[:, 0] > 0.2  # elsewhere the least that each of two experts gets shows
        assert there.sum() > 50
        np.testing.assert_allclose(some[there], (whole / known)[there], atol=0.01)


@pytest.mark.parametrize(
    "gate", [SoftmaxGate(), MLPGate(4), GaussianGate(), TreeGate(), CLASSIFIER]
)
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_the_gate_of_another_mixture_may_be_kept(gate, in_pipeline):
    params = {"n_init": 1, "max_iter": 4, "tol": 1.0, "verdict": False, "random_state": 0}
    first = MixtureOfExpertsRegressor(gate=gate, **params).fit(X, Y)
    known = FrozenEstimator(first.gate_)
    if in_pipeline:
        known = make_pipeline(FunctionTransformer(), known)
    second = MixtureOfExpertsRegressor(gate=known, init=first.gate_proba(X), **params).fit(X, Y)
    np.testing.assert_allclose(second.gate_proba(X), first.gate_proba(X), atol=0.01)
    assert counted(second.gate_) == counted(first.gate_)


def counted(gate):
    """The number of parameters, None if they cannot be counted."""
    try:
        return gate.count_parameters()
    except ValueError:
        return None


def test_a_gate_of_the_users_own_may_be_kept():
    class Own(SoftmaxGate):
        def fit(self, X, expert_weights):
            self.classes_ = ["left", "right"]
            return super().fit(X, expert_weights)

    own = Own().fit(X, np.eye(2)[np.arange(len(X)) % 2])
    known = FrozenEstimator(own)
    for frozen in (known, FrozenEstimator(make_pipeline(FunctionTransformer(), known))):
        gate = ClassifierGate(frozen).fit(X, np.full((len(X), 2), 0.5))
        np.testing.assert_allclose(gate.predict_proba(X), own.predict_proba(X), atol=0.01)


class OwnGate(ClassifierGate):
    """One with a parameter of its own."""

    def __init__(self, classifier, more=0):
        super().__init__(classifier)
        self.more = more


def test_gates_of_the_users_own_stay_what_they_are():
    free = OwnGate(LogisticRegression(), more=3)
    assert keeping(free, (0, 2), 3) is free
    frozen = OwnGate(FrozenEstimator(CLASSIFIER), more=3)
    kept = keeping(frozen, (0, 2), 3)
    assert (type(kept), kept.more) == (OwnGate, 3)
    assert frozen.classifier.estimator is CLASSIFIER


def test_other_numbers_of_experts_are_refused():
    for gate in (GATES["classifier"], GATES["regressor"]):
        with pytest.raises(TypeError, match=r"3 .*there are 2 experts"):
            MixtureOfExpertsRegressor(gate=gate, random_state=0).fit(X, Y)
    fitted = (ClassifierGate(CLASSIFIER), RegressorGate(REGRESSOR))
    within = [FrozenEstimator(gate.fit(X, np.eye(3)[REGION])) for gate in fitted]
    for gate in (*GATES.values(), *within):
        with pytest.raises(ValueError, match="n_experts='auto' is not for gates that were fitted"):
            MixtureOfExpertsClassifier(n_experts="auto", gate=gate).fit(X, Y > 0)


def test_a_frozen_gate_is_not_updated():
    sides = LogisticRegression().fit(X, X[:, 0] > 0)
    moe = MixtureOfExpertsRegressor(
        gate=FrozenEstimator(sides),
        init=sides.predict_proba(X),
        cv=3,
        verdict=False,
        random_state=0,
    ).fit(X, Y)
    before = moe.gate_proba(X)
    moe.update_gate(X[:20], -Y[:20])
    np.testing.assert_array_equal(moe.gate_proba(X), before)
