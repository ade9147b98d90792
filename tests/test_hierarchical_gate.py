"""A gate of gates: what it must be equal to, how it is pruned, and what it finds."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import get_tags

from sklearn_moe import ConstantGate, MixtureOfExpertsRegressor, SoftmaxGate
from sklearn_moe._templates import seeded_clone
from sklearn_moe.gates import GaussianGate, HierarchicalGate, MLPGate, TreeGate
from sklearn_moe.gates._resolve import fit_gate
from sklearn_moe.gates._table import GateTable

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3))
WEIGHTS = RNG.dirichlet(np.ones(4), size=300) * RNG.uniform(0.5, 2.0, size=(300, 1))
FLAT = {
    "softmax": SoftmaxGate(),
    "network": MLPGate(4, random_state=0),
    "gaussian": GaussianGate(),
    "thresholds": TreeGate(),
    "tree": DecisionTreeClassifier(max_depth=3, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), SoftmaxGate()),
}


def said(gate, weights=WEIGHTS):
    return gate.fit(X, weights).predict_log_proba(X)


# Laws.


@pytest.mark.parametrize("name", FLAT)
def test_groups_of_one_are_the_flat_gate(name):
    flat = HierarchicalGate([4], within=FLAT[name])
    np.testing.assert_allclose(said(HierarchicalGate([1] * 4, FLAT[name])), said(flat), atol=1e-9)


@pytest.mark.parametrize("groups", [[1, 1, 1, 1], [4]])
def test_trees_without_depth_are_the_softmax_gate(groups):
    tree, flat = HierarchicalGate(groups).fit(X, WEIGHTS), SoftmaxGate().fit(X, WEIGHTS)
    np.testing.assert_allclose(tree.predict_log_proba(X), flat.predict_log_proba(X), atol=1e-12)
    assert tree.penalty() == pytest.approx(flat.penalty())


def test_penalty_of_a_tree_is_that_of_the_gates_at_the_ends_of_its_pipelines():
    tree = HierarchicalGate([2, 2], FLAT["pipeline"], FLAT["pipeline"]).fit(X, WEIGHTS)
    ends = [gate[-1].penalty() for gate in (tree.top_, *tree.within_)]
    assert tree.penalty() == pytest.approx(sum(ends))


@pytest.mark.parametrize("place", ["top", "within"])
def test_a_tree_takes_what_all_of_its_gates_take(place):
    tree = HierarchicalGate([2, 2], **{place: LogisticRegression()})
    assert get_tags(HierarchicalGate([2, 2])).input_tags.allow_nan
    assert not get_tags(tree).input_tags.allow_nan


@pytest.mark.parametrize("groups", [[2, 2], [1, 3], [3, 1]])
def test_constant_gates_multiply_to_a_constant_gate(groups):
    tree = HierarchicalGate(groups, ConstantGate(), ConstantGate())
    np.testing.assert_allclose(said(tree), said(ConstantGate()), atol=1e-12)


def test_parts_learn_from_sums_and_members():
    tree = HierarchicalGate([3, 1], SoftmaxGate(2.0), SoftmaxGate(0.3)).fit(X, WEIGHTS)
    sums = np.column_stack([WEIGHTS[:, :3].sum(axis=1), WEIGHTS[:, 3]])
    top = SoftmaxGate(2.0).fit(X, sums)
    proba = tree.predict_proba(X)
    np.testing.assert_allclose(proba[:, 3], top.predict_proba(X)[:, 1], atol=1e-12)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, atol=1e-12)
    assert tree.within_[1] is None
    assert tree.penalty() == pytest.approx(top.penalty() + tree.within_[0].penalty())
    assert tree.within_[0].encoder_ is tree.top_.encoder_ is tree.encoder_


def test_group_without_weight_knows_nothing_of_its_members():
    weights = WEIGHTS * [1, 1, 0, 0]
    proba = np.exp(said(HierarchicalGate([2, 2], within=DecisionTreeClassifier()), weights))
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba[:, 2], proba[:, 3])
    assert proba[:, 2:].max() < 1e-6


def test_regular_tree():
    tree = HierarchicalGate.of_depth(3, 2, SoftmaxGate(0.5))
    assert tree.groups == [4, 4]
    assert tree.within.groups == [2, 2]
    assert tree.within.within is tree.top
    weights = np.random.default_rng(1).dirichlet(np.ones(8), size=300)
    proba = np.exp(said(tree, weights))
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, atol=1e-12)
    pairs = proba.reshape(300, 4, 2).sum(axis=2)
    shallow = HierarchicalGate.of_depth(2, 2, SoftmaxGate(0.5))
    sums = weights.reshape(300, 4, 2).sum(axis=2)
    np.testing.assert_allclose(pairs, np.exp(said(shallow, sums)), atol=1e-6)
    with pytest.raises(ValueError, match="depth=0"):
        HierarchicalGate.of_depth(0)
    with pytest.raises(ValueError, match=r"depth=2\.5 should be a whole number"):
        HierarchicalGate.of_depth(2.5)


# Composition.


def test_parameters_at_depth():
    listed = [MLPGate(3), HierarchicalGate([1, 1], SoftmaxGate(5.0))]
    tree = HierarchicalGate([2, 2], SoftmaxGate(), listed)
    assert tree.get_params()["within1__top__alpha"] == 5.0
    copy = clone(tree).set_params(within0__alpha=9.0, within1__top__alpha=7.0, top__alpha=3.0)
    assert (copy.within[0].alpha, copy.within[1].top.alpha, copy.top.alpha) == (9.0, 7.0, 3.0)
    assert (listed[0].alpha, listed[1].top.alpha) == (MLPGate().alpha, 5.0)
    tree.set_params(within0=None)
    assert tree.within[0] is None
    assert isinstance(listed[0], MLPGate)
    for deep in (False, True):
        assert repr(clone(copy).set_params(**copy.get_params(deep))) == repr(copy)


def test_random_states_are_seeded_at_depth():
    tree = HierarchicalGate(
        [2, 2], MLPGate(), [RandomForestClassifier(), HierarchicalGate([1, 1], MLPGate())]
    )
    seeded = seeded_clone(tree, 0)
    states = [seeded.top, seeded.within[0], seeded.within[1].top]
    assert all(isinstance(part.random_state, int) for part in states)
    assert tree.within[0].random_state is None
    np.testing.assert_array_equal(said(clone(seeded)), said(clone(seeded)))


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (HierarchicalGate([2, 3]), r"groups=\[2, 3\] .* there are 4"),
        (HierarchicalGate([4, 0]), r"groups=\[4, 0\] .* at least 1"),
        (HierarchicalGate([2.0, 2.0]), r"groups=\[2.0, 2.0\] must be sizes"),
        (HierarchicalGate(4), "'groups' parameter of HierarchicalGate"),
        (HierarchicalGate([2, 2], within=[None]), "within has 1 gates, but there are 2 groups"),
        (HierarchicalGate([2, 2], SoftmaxGate(-1)), "'alpha' parameter of SoftmaxGate"),
        (HierarchicalGate([2, 2], None, MLPGate(0)), "'hidden_units' parameter of MLPGate"),
    ],
)
def test_bad_trees_are_refused(gate, message):
    with pytest.raises(ValueError, match=message):
        gate.fit(X, WEIGHTS)


def test_partial_fit_is_there_if_all_parts_have_one():
    assert not hasattr(HierarchicalGate([2, 2], ConstantGate()), "partial_fit")
    assert not hasattr(HierarchicalGate([2, 2], None, DecisionTreeClassifier()), "partial_fit")
    gate = HierarchicalGate([2, 2], within=HierarchicalGate([1, 1], MLPGate(3, random_state=0)))
    gate.partial_fit(X, WEIGHTS)
    np.testing.assert_array_equal(gate.predict_log_proba(X), said(clone(gate)))
    before, encoder = gate.predict_log_proba(X), gate.encoder_
    gate.partial_fit(X, WEIGHTS[:, ::-1])
    assert gate.encoder_ is encoder
    wanted = WEIGHTS[:, ::-1]
    assert (wanted * gate.predict_log_proba(X)).sum() > (wanted * before).sum()
    with pytest.raises(ValueError, match="3 columns, but the gate is for 4 experts"):
        gate.partial_fit(X, WEIGHTS[:, :3])


def test_gates_of_a_tree_go_on_from_where_they_are():
    step = SoftmaxGate(max_iter=1)
    tree = HierarchicalGate([2, 2], step, step)
    for _ in range(10):
        tree.partial_fit(X, WEIGHTS)
    np.testing.assert_allclose(tree.predict_log_proba(X), said(HierarchicalGate([2, 2])), atol=1e-9)


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_group_that_new_rows_say_nothing_of_stays_as_it_was(goes_on):
    """Also where the new rows, in other units, are encoded anew."""
    tree, weights = HierarchicalGate([2, 2]).fit(X, WEIGHTS), WEIGHTS * [1, 1, 0, 0]
    before = tree.predict_proba(X)[:, 2:]
    if goes_on:
        after = tree.partial_fit(X, weights)
    else:
        table = GateTable(3 * X + 1, weights.sum(axis=1))
        after = fit_gate(clone(tree), table, weights, tree, False)
    proba = after.predict_proba(X)[:, 2:]
    shares = [each / each.sum(axis=1, keepdims=True) for each in (before, proba)]
    np.testing.assert_allclose(*shares)


def test_a_tree_may_begin_after_another_one():
    tree, other = HierarchicalGate([2, 2]), HierarchicalGate([1, 1, 2]).fit(X, WEIGHTS)
    table = GateTable(X, WEIGHTS.sum(axis=1))
    found = fit_gate(tree, table, WEIGHTS, other, False).predict_log_proba(X)
    np.testing.assert_allclose(found, said(tree), atol=1e-9)


def test_a_group_of_one_needs_no_gate_that_can_go_on():
    assert hasattr(HierarchicalGate([1, 3]).keeping((0, 1, 2), 4), "partial_fit")
    parts = [DecisionTreeClassifier(), None]
    assert hasattr(HierarchicalGate([1, 2], within=parts), "partial_fit")
    assert not hasattr(HierarchicalGate([2, 1], within=parts), "partial_fit")


# Experts that are lost.


def test_pruned_tree_keeps_what_is_left():
    tree = HierarchicalGate.of_depth(3, gate=SoftmaxGate(0.5))
    assert tree.keeping(tuple(range(8)), 8) is tree
    pruned = tree.keeping((0, 2, 3, 4), 8)
    assert pruned.groups == [3, 1]
    assert pruned.within[0].groups == [1, 2]
    weights = np.random.default_rng(1).dirichlet(np.ones(4), size=300)
    expected = HierarchicalGate(
        [3, 1], SoftmaxGate(0.5), HierarchicalGate([1, 2], SoftmaxGate(0.5), SoftmaxGate(0.5))
    )
    expected.set_params(within=[expected.within, None])
    np.testing.assert_allclose(said(pruned, weights), said(expected, weights), atol=1e-12)
    assert tree.keeping((6, 7), 8).groups == [2]
    with pytest.raises(ValueError, match="there are 5"):
        tree.keeping((0, 1), 5)


@pytest.mark.parametrize("name", ["tree", "pipeline"])
def test_mixture_prunes_the_tree_when_an_expert_is_lost(name):
    gate = HierarchicalGate([2, 1], ConstantGate())
    gate = gate if name == "tree" else make_pipeline(StandardScaler(), gate)
    start = np.column_stack([X[:, 0] > 0, np.full(300, 1e-9), X[:, 0] <= 0])
    start = start / start.sum(axis=1, keepdims=True)
    y = np.where(X[:, 0] > 0, 1.0, -1.0)  # an exact fit leaves the third expert nothing to explain
    moe = MixtureOfExpertsRegressor(
        LinearRegression(), 3, gate=gate, init=start, cv=None, verdict=False, max_iter=5
    )
    with pytest.warns(UserWarning, match="were removed"):
        moe.fit(X, y + 1e-3 * X[:, 1])
    last = moe.gate_ if name == "tree" else moe.gate_[-1]
    assert last.groups == [1, 1]
    np.testing.assert_allclose(moe.gate_proba(X).sum(axis=1), 1.0)


# What it finds.


def test_mixture_recovers_a_hierarchical_problem():
    """Left and right differ by the first column; within each the border is another."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(1500, 2))
    region = np.where(X[:, 0] > 0, 2 + (X[:, 1] > 0.4), X[:, 1] > -0.4)
    slopes = np.array([[3.0, 0.0], [-3.0, 1.0], [0.0, 3.0], [1.0, -4.0]])
    y = (X * slopes[region]).sum(axis=1) + np.array([0.0, 2.0, -2.0, 1.0])[region]
    y += 0.1 * rng.normal(size=1500)
    moe = MixtureOfExpertsRegressor(
        LinearRegression(),
        4,
        gate=HierarchicalGate([2, 2]),
        init=0.7 * np.eye(4)[region] + 0.075,
        verdict=False,
    ).fit(X, y)
    new = rng.uniform(-1, 1, size=(2000, 2))
    truth = np.where(new[:, 0] > 0, 2 + (new[:, 1] > 0.4), new[:, 1] > -0.4)
    assert (moe.gate_proba(new).argmax(axis=1) == truth).mean() > 0.97
    flat = clone(moe).set_params(gate=SoftmaxGate()).fit(X, y)
    assert moe.lower_bound_ > flat.lower_bound_


def test_parameters_of_a_new_list_can_be_set_with_it():
    gate = HierarchicalGate([1, 2], None, [None, GaussianGate()])
    gate.set_params(within=[None, SoftmaxGate()], within1__alpha=5.0)
    assert gate.within[1].alpha == 5.0
