"""`gate="auto"`: a network and a tree are tried after the softmax gate, and the bound decides."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, SoftmaxGate
from sklearn_moe import _fitting as fitting
from sklearn_moe.gates import HierarchicalGate, MLPGate, TreeGate
from sklearn_moe.gates._resolve import FEW_UNITS

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 2))
NOISE = 0.3 * RNG.normal(size=300)
INSIDE = (X**2).sum(axis=1) < 1.4
# The border of the first is as blurred as a linear gate draws it.
RULES = {
    "line": 2 * X[:, 0] + RNG.logistic(size=300) > 0,
    "circle": INSIDE,
    "corner": (X > -0.3).all(axis=1),
}
GATES = {"line": SoftmaxGate(), "circle": MLPGate(FEW_UNITS), "corner": TreeGate()}
FEW = {"gate": "auto", "cv": 3, "max_iter": 20, "random_state": 0}
QUICK = {"max_iter": 4, "verdict": False, "random_state": 0}


def target(rule):
    """One linear rule where `rule` holds, another elsewhere."""
    return np.where(RULES[rule], 3, -3) * X[:, 1] + NOISE


def start(rule):
    """Responsibilities that know the rule."""
    return np.where(np.column_stack([RULES[rule], ~RULES[rule]]), 0.9, 0.1)


@pytest.mark.parametrize("rule", RULES)
def test_rule_decides(rule):
    moe = MixtureOfExpertsRegressor(Ridge(), 2, **FEW).fit(X, target(rule))
    assert type(moe.gate_) is type(GATES[rule])


@pytest.mark.parametrize("rule", ["line", "circle"])
def test_rule_of_labels_decides(rule):
    moe = MixtureOfExpertsClassifier(LogisticRegression(), 2, **FEW).fit(X, target(rule) > 0)
    assert isinstance(moe.gate_, SoftmaxGate) == (rule == "line")


@pytest.mark.parametrize("rule", RULES)
def test_what_is_kept_is_as_if_it_had_been_asked_for(rule):
    options = {"init": start(rule), **QUICK}
    fits = {
        name: MixtureOfExpertsRegressor(Ridge(), 2, gate=gate, **options).fit(X, target(rule))
        for name, gate in [*GATES.items(), ("auto", "auto")]
    }
    np.testing.assert_array_equal(fits["auto"].predict(X), fits[rule].predict(X))
    assert fits["auto"].lower_bounds_ == fits[rule].lower_bounds_
    assert max(GATES, key=lambda name: fits[name].lower_bounds_[2]) == rule


def test_nothing_is_tried_without_folds_or_with_one_expert():
    """In sample the richer gate always looks better."""
    for options in ({"cv": None, "n_experts": 2}, {"n_experts": 1}):
        fits = [
            MixtureOfExpertsRegressor(Ridge(), gate=gate, **options, **QUICK).fit(
                X, target("circle")
            )
            for gate in ("auto", None)
        ]
        assert type(fits[0].gate_) is type(fits[1].gate_)
        np.testing.assert_array_equal(*[fit.predict(X) for fit in fits])


def test_pooling_is_tried_before_and_both_may_be_kept():
    tree = DecisionTreeRegressor(max_depth=4)
    y = np.where(INSIDE, 4, 0) + np.abs(X).sum(axis=1) + NOISE
    moe = MixtureOfExpertsRegressor(tree, 2, init=start("circle"), **QUICK)
    bounds = {}
    for pooling in (0.0, 0.2):
        for gate in (None, MLPGate(FEW_UNITS)):
            moe.set_params(pooling=pooling, gate=gate, max_iter=3).fit(X, y)
            bounds[pooling, type(gate)] = moe.lower_bounds_[-1]
    moe.set_params(pooling="auto", gate="auto").fit(X, y)
    softmax = {pooling: bounds[pooling, type(None)] for pooling in (0.0, 0.2)}
    pooling = max(softmax, key=lambda at: softmax[at])
    kind = MLPGate if bounds[pooling, MLPGate] > softmax[pooling] else SoftmaxGate
    assert moe.pooling_.tolist() == [pooling, pooling]
    assert type(moe.gate_) is kind
    assert moe.lower_bounds_[-1] == bounds[pooling, MLPGate if kind is MLPGate else type(None)]


def test_number_of_experts_grows_under_the_gate_that_was_kept():
    moe = MixtureOfExpertsRegressor(Ridge(), "auto", gate="auto", cv=3, max_iter=20, random_state=0)
    moe.fit(X, target("circle"))
    assert moe.n_experts_ >= 2
    assert type(moe.gate_) is MLPGate


def test_large_table_tries_on_a_sample(monkeypatch):
    monkeypatch.setattr(fitting, "RACE_ROWS", 100)
    moe = MixtureOfExpertsRegressor(Ridge(), 2, gate="auto", **QUICK).fit(X, target("circle"))
    assert type(moe.gate_) is MLPGate
    assert len(moe.gate_.hidden_coef_) == FEW_UNITS


@pytest.mark.parametrize("options", [{"top_k": 1}, {"shared_expert": Ridge()}, {"n_jobs": 2}])
def test_other_wishes_hold(options):
    moe = MixtureOfExpertsRegressor(Ridge(), 2, gate="auto", init=start("circle"), **QUICK)
    moe.set_params(**options).fit(X, target("circle"))
    assert type(moe.gate_) is MLPGate
    if "n_jobs" in options:
        alone = clone(moe).set_params(n_jobs=1).fit(X, target("circle"))
        np.testing.assert_array_equal(moe.predict(X), alone.predict(X))
    np.testing.assert_allclose(moe.gate_proba(X).sum(axis=1), 1.0)


def test_table_may_be_sparse():
    moe = MixtureOfExpertsRegressor(Ridge(), 2, gate="auto", **QUICK)
    moe.fit(sp.csr_matrix(X), target("circle"))
    assert type(moe.gate_) is MLPGate


def test_gate_over_branches_is_found():
    branch = MixtureOfExpertsRegressor(Ridge(), 2)
    moe = MixtureOfExpertsRegressor([("a", branch), ("b", Ridge())], gate="auto", **QUICK)
    init = np.column_stack([start("circle")[:, :1] / 2] * 2 + [start("circle")[:, 1:]])
    moe.set_params(init=init).fit(X, target("circle"))
    assert isinstance(moe.gate_, HierarchicalGate)
    assert type(moe.gate_.top_) is MLPGate


def test_branches_have_gates():
    branch = MixtureOfExpertsRegressor(Ridge(), 2, gate="auto")
    with pytest.raises(
        ValueError, match=r"'a' is a mixture with gate='auto'.* Give this branch a gate"
    ):
        MixtureOfExpertsRegressor([("a", branch), ("b", Ridge())]).fit(X, target("line"))


def test_other_words_are_refused():
    with pytest.raises(ValueError, match=r"'gate' parameter .*'auto'"):
        MixtureOfExpertsRegressor(gate="best").fit(X, target("line"))


def test_mixture_can_be_cloned_shown_and_stored():
    moe = clone(MixtureOfExpertsRegressor(Ridge(), 2, gate="auto", **QUICK))
    assert moe.get_params()["gate"] == "auto"
    assert "SoftmaxGate" in moe._repr_html_()
    many = MixtureOfExpertsRegressor(n_experts=100_000)._repr_html_()  # clones are drawn once
    assert "n_experts=100000" in many
    assert len(many) < 3 * len(moe._repr_html_())
    moe.fit(X, target("circle"))
    again = pickle.loads(pickle.dumps(moe))
    np.testing.assert_array_equal(again.predict(X), moe.predict(X))


@pytest.mark.parametrize(
    ("gate", "rule", "kind"),
    [("auto", "circle", MLPGate), (MLPGate(4), "circle", MLPGate), ("auto", "corner", TreeGate)],
)
def test_weights_are_repeats_in_any_order(gate, rule, kind):
    """Through all of EM, though L-BFGS doubles rounding errors and trees break ties by them."""
    weight = RNG.integers(1, 4, 300)
    moe = MixtureOfExpertsRegressor(Ridge(), 2, gate=gate, random_state=0, verdict=False)
    moe.fit(X, target(rule), sample_weight=weight.astype(float))
    assert type(moe.gate_) is kind
    expected, n_iter = moe.predict(X), moe.n_iter_
    rows = RNG.permutation(np.repeat(np.arange(300), weight))
    moe.fit(X[rows], target(rule)[rows])
    assert moe.n_iter_ == n_iter > 3
    np.testing.assert_allclose(moe.predict(X), expected, rtol=1e-9, atol=1e-10)


def test_trials_are_reported(capsys):
    moe = MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=3), 2, verbose=1, **QUICK)
    moe.set_params(gate="auto", family="auto", init=start("circle")).fit(X, target("circle"))
    lines = [line.split("] ")[1].split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines[:4] == ["racing starts", "start array", "pooling", "Gaussian"]
    assert lines[4:6] == ["MLPGate", "TreeGate"]
