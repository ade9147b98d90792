"""Gates that search for their solution: where they start, go on, and what the network minimises."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from sklearn_moe import SoftmaxGate
from sklearn_moe._folds import fold_splits
from sklearn_moe._gate_bank import make_gate_bank
from sklearn_moe._plans import follow_here
from sklearn_moe._softmax_bank import FEW, FIRST_OF_MANY
from sklearn_moe._training import make_training
from sklearn_moe.gates import MLPGate
from sklearn_moe.gates._mlp import BRIEF, FIRST, SoftNetwork
from sklearn_moe.gates._table import GateTable
from sklearn_moe.logit import FoldedLogits

X = np.random.default_rng(0).normal(size=(240, 3))


def targets(n_experts):
    """Responsibilities that follow the first column."""
    proba = np.exp(X[:, :1] * np.linspace(-3, 3, n_experts))
    return proba / proba.sum(axis=1, keepdims=True)


SEARCHING = {"softmax": SoftmaxGate(), "network": MLPGate(8, random_state=0)}


@pytest.mark.parametrize("name", SEARCHING)
def test_first_partial_fit_is_a_fit(name):
    one = clone(SEARCHING[name]).fit(X, targets(3)).predict_log_proba(X)
    other = clone(SEARCHING[name]).partial_fit(X, targets(3)).predict_log_proba(X)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", SEARCHING)
def test_partial_fit_learns_new_rows_from_the_present_solution(name):
    gate = clone(SEARCHING[name]).fit(X[:120], targets(3)[:120])
    encoder, steps = gate.encoder_, gate.n_iter_
    new, wanted = X[120:], targets(3)[120:, ::-1]

    def objective():
        return gate.penalty() - (wanted * gate.predict_log_proba(new)).sum()

    before = objective()
    gate.partial_fit(new, wanted)
    assert objective() < 0.8 * before
    assert gate.encoder_ is encoder
    gate.partial_fit(new, wanted)
    assert gate.n_iter_ < 0.5 * steps
    with pytest.raises(ValueError, match="2 columns, but the gate is for 3 experts"):
        gate.partial_fit(X, targets(2))


@pytest.mark.parametrize("name", SEARCHING)
def test_search_begins_anew_where_the_start_is_of_another_shape(name):
    gate, table = SEARCHING[name], GateTable(X, np.ones(240))
    alone = clone(gate).fit(X, targets(3)).predict_log_proba(X)
    for start in (clone(gate).fit(X, targets(2)), clone(gate).fit(X[:, :2], targets(3))):
        found = clone(gate).fit_table(table, targets(3), start).predict_log_proba(X)
        np.testing.assert_allclose(found, alone, atol=1e-9)


def test_brief_search_from_nothing_is_a_whole_one():
    table, alone = GateTable(X, np.ones(240)), SoftmaxGate().fit(X, targets(3))
    brief = SoftmaxGate().fit_table(table, targets(3), None, brief=True)
    np.testing.assert_allclose(brief.coef_, alone.coef_, atol=1e-9)


@pytest.mark.parametrize("brief", [False, True])
@pytest.mark.parametrize("name", SEARCHING)
def test_limit_of_steps_holds(name, brief):
    gate = clone(SEARCHING[name]).set_params(max_iter=3, tol=0.0)
    assert gate.fit_table(GateTable(X, np.ones(240)), targets(3), None, brief).n_iter_ == 3


@pytest.mark.parametrize("name", SEARCHING)
def test_search_ends_where_it_is_told_to(name):
    sharp, loose = (clone(SEARCHING[name]).set_params(tol=tol) for tol in (1e-8, 0.1))
    assert loose.fit(X, targets(3)).n_iter_ < 0.5 * sharp.fit(X, targets(3)).n_iter_


@pytest.mark.parametrize("name", SEARCHING)
def test_unit_of_weights_does_not_matter_if_the_penalty_follows(name):
    alpha = SEARCHING[name].alpha
    said = [
        clone(SEARCHING[name]).set_params(alpha=unit * alpha).fit(X, unit * targets(3))
        for unit in (1.0, 2.0**-10)
    ]
    np.testing.assert_allclose(*(gate.predict_log_proba(X) for gate in said), atol=1e-9)


def test_penalty_is_what_the_coefficients_of_the_softmax_were_found_under():
    """No multiple of them is better."""
    gate = SoftmaxGate(2.0).fit(X, targets(3))
    coef, objective = gate.coef_, []
    for factor in (0.99, 1.0, 1.01):
        gate.coef_ = factor * coef
        objective.append((targets(3) * gate.predict_log_proba(X)).sum() - gate.penalty())
    assert objective[1] > max(objective[0], objective[2])


def bank_of(gate):
    """A bank over three folds of the rows, and its data."""
    y = X[:, 0]
    training = make_training(X, y, y[:, None], np.ones(240), None, 3, {}, None, False)
    splits = fold_splits(np.arange(240) % 3)
    return make_gate_bank(gate, training.data, splits, 0, {}, 2), splits


def test_gates_of_folds_go_on_and_learn_from_no_other_rows():
    bank, splits = bank_of(MLPGate(8, tol=0.0))
    weights = targets(2)
    first, _ = follow_here(bank.fit_predict(weights, None))
    again, _ = follow_here(bank.fit_predict(weights[:, ::-1], first))
    assert {gate.n_iter_ for gate in first} == {FIRST}
    assert {gate.n_iter_ for gate in again} == {BRIEF}
    train, test = splits[0]
    other = weights.copy()
    other[test] = 0.5
    bank, _ = bank_of(MLPGate(8, tol=0.0))
    start, _ = follow_here(bank.fit_predict(other, None))
    then, _ = follow_here(bank.fit_predict(other[:, ::-1], start))
    said = again[0].predict_log_proba(X[train]), then[0].predict_log_proba(X[train])
    np.testing.assert_array_equal(*said)


def test_gates_of_many_experts_take_fewer_steps_from_nothing(monkeypatch):
    steps, step = [], FoldedLogits.step
    monkeypatch.setattr(FoldedLogits, "step", lambda *parts: steps.append(1) or step(*parts))
    taken = {}
    for n_experts in (FEW, FEW + 1):
        directions = np.random.default_rng(1).normal(size=(3, n_experts))
        weights = np.eye(n_experts)[(X @ directions).argmax(axis=1)]
        bank, _ = bank_of(SoftmaxGate(1e-4))
        steps.clear()
        state, _ = follow_here(bank.fit_predict(weights, None))
        taken[n_experts] = len(steps)
        follow_here(bank.fit_predict(weights, state))
        assert len(steps) == taken[n_experts] + 1
    assert taken[FEW] > FIRST_OF_MANY
    assert taken[FEW + 1] == FIRST_OF_MANY


def test_last_gate_starts_at_that_of_the_first_fold():
    bank, _ = bank_of(MLPGate(8))
    gates, _ = follow_here(bank.fit_predict(targets(2), None))
    last, alone = bank.finish(gates, targets(2)), clone(bank.template).fit(X, targets(2))
    apart = [np.abs(gate.hidden_coef_ - gates[0].hidden_coef_).mean() for gate in (last, alone)]
    assert apart[0] < 0.5 * apart[1]
    np.testing.assert_allclose(last.encoder_.transform(X), alone.encoder_.transform(X))


# The network.


@pytest.mark.parametrize("sparse", [False, True])
def test_derivatives_of_the_network_are_those_of_its_objective(sparse):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(50, 3)) * (rng.random((50, 3)) < 0.7)
    problem = SoftNetwork(sp.csr_matrix(Z) if sparse else Z, rng.gamma(1.0, size=(4, 50)), 5, 0.7)
    layers = [rng.normal(size=shape) for shape in problem.shapes]
    _, *slopes = problem.evaluate(*layers)
    for layer, slope in zip(layers, slopes, strict=True):
        for position in np.ndindex(layer.shape):
            middle, ends = layer[position], []
            for step in (1e-5, -1e-5):
                layer[position] = middle + step
                ends.append(problem.evaluate(*layers)[0])
            layer[position] = middle
            assert slope[position] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-6)


def test_objective_of_the_network_is_the_penalised_cross_entropy():
    gate, wanted = MLPGate(5, alpha=0.7, random_state=0), targets(3)
    gate.fit(X, wanted)
    problem = SoftNetwork(gate.encoder_.transform(X), wanted.T, 5, 0.7)
    cost = gate.penalty() - (wanted * gate.predict_log_proba(X)).sum()
    assert problem.evaluate(*gate._layers())[0] == pytest.approx(cost, rel=1e-12)


def test_network_begins_as_its_random_state_says():
    one, again, other = (MLPGate(5, max_iter=1, random_state=seed) for seed in (1, 1, 2))
    first, same, apart = (gate.fit(X, targets(2)).hidden_coef_ for gate in (one, again, other))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - apart).max() > 0.1


def test_order_of_rows_does_not_matter_to_a_long_search():
    wanted = np.random.default_rng(1).dirichlet(np.ones(3), size=240)
    gates = [MLPGate(8, alpha=0.01, tol=0.0, max_iter=200, random_state=0) for _ in range(2)]
    said = [gates[0].fit(X, wanted), gates[1].fit(X[::-1], wanted[::-1])]
    np.testing.assert_allclose(*(gate.predict_log_proba(X) for gate in said), atol=1e-6)


def test_network_finds_a_circle_that_a_plane_cannot():
    inside = (X[:, :2] ** 2).sum(axis=1) < 1.4
    wanted = np.column_stack([inside, ~inside]).astype(float)
    new = np.random.default_rng(1).normal(size=(1000, 3))
    is_in = (new[:, :2] ** 2).sum(axis=1) < 1.4
    right = [
        (gate.fit(X, wanted).predict_proba(new).argmax(axis=1) == ~is_in).mean()
        for gate in (MLPGate(random_state=0), SoftmaxGate())
    ]
    assert right[0] > 0.9 > 0.8 > right[1]
