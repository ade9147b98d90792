"""Who shares a branch with whom under a tree of gates."""

from itertools import combinations, permutations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe._training import make_training
from sklearn_moe.gates import HierarchicalGate, SoftmaxGate
from sklearn_moe.starts import StartContext, branches_apart
from sklearn_moe.starts import _branches as branches

RNG = np.random.default_rng(0)
PLACES = RNG.uniform(-1, 1, size=(900, 2))
SLOPES = np.array([[3.0, 1.0], [-2.0, 3.0], [0.0, -3.0], [2.0, -1.0]])


def soil(X):
    """West and east of a river, and on each bank south and north of another line."""
    return np.where(X[:, 0] < 0, X[:, 1] > 0.4, 2 + (X[:, 1] > -0.4))


SOIL = soil(PLACES)
Y = (PLACES * SLOPES[SOIL]).sum(axis=1) + RNG.normal(0, 0.3, size=900)


def context(X, weight=None):
    weight = np.ones(len(X)) if weight is None else weight
    data = make_training(X, X[:, 0], X[:, :1], weight, None, None, {}, None, False).data
    return StartContext(X, X[:, :1], data, X[:, 0], 4, seed=0)


def ordered(resp, gate, X=PLACES, weight=None):
    """The columns of one-hot responsibilities, as they are ordered: each one's first row."""
    return branches_apart(resp, context(X, weight), gate)


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_who_lies_on_one_bank_shares_a_branch(order):
    found = ordered(np.eye(4)[SOIL][:, order], HierarchicalGate([2, 2]))
    on_branch = [set(SOIL[found[:, pair].any(axis=1)]) for pair in ([0, 1], [2, 3])]
    assert sorted(map(sorted, on_branch)) == [[0, 1], [2, 3]]


@pytest.mark.parametrize("order", [[3, 6, 0, 5, 2, 7, 1, 4], [6, 5, 7, 2, 1, 4, 0, 3]])
def test_a_branch_is_divided_where_it_lies(order):
    """Eight stripes in disorder: halves, then quarters, whatever the gates within are."""
    stripe = np.clip(((PLACES[:, 0] + 1) * 4).astype(int), 0, 7)
    resp = np.eye(8)[stripe][:, order]
    deep = ordered(resp, HierarchicalGate.of_depth(3)).argmax(axis=1)
    for level, size in ((1, 4), (2, 2)):
        parts = [set(stripe[deep // size == part]) for part in range(8 // size)]
        assert all(max(part) - min(part) == size - 1 for part in parts), level
    shallow = ordered(resp, HierarchicalGate([4, 4], within=SoftmaxGate())).argmax(axis=1)
    assert {frozenset(stripe[shallow // 4 == half]) for half in (0, 1)} == {
        frozenset(range(4)),
        frozenset(range(4, 8)),
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sizes", [[3, 3], [2, 4], [1, 5]])
def test_no_other_way_to_share_two_branches_is_told_apart_better(sizes, seed):
    """By weighted least squares of the membership of a branch, all ways tried."""
    rng = np.random.default_rng(seed)
    mass = rng.exponential(size=300)
    member = rng.dirichlet(np.full(6, 0.3), size=300)
    Z = np.column_stack([member @ rng.normal(size=(6, 2)), rng.normal(size=300)])
    design = np.sqrt(mass)[:, None] * np.column_stack([np.ones(300), Z])

    def share(first):
        target = member[:, first].sum(axis=1)
        target = np.sqrt(mass) * (target - np.average(target, weights=mass))
        left = np.linalg.lstsq(design, target, rcond=None)[1][0]
        return 1 - left / (target @ target)

    found = np.flatnonzero(branches._told_apart(Z, mass[:, None] * member, sizes) == 0)
    assert len(found) == sizes[0]
    best = max(share(list(first)) for first in combinations(range(6), sizes[0]))
    assert share(found) == pytest.approx(best, abs=1e-5)


def test_what_a_swap_changes_is_what_summing_again_finds():
    form = (half := RNG.normal(size=(6, 6))) @ half.T
    branch = np.array([0, 1, 2, 1, 0, 1])
    for first, second in np.ndindex(6, 6):
        swapped = branch.copy()
        swapped[[first, second]] = branch[[second, first]]
        expected = form[swapped[:, None] == swapped].sum()
        assert branches._after_swaps(form, branch)[first, second] == pytest.approx(expected)


def test_weights_equal_repeats_and_rows_may_come_in_any_order():
    resp = RNG.dirichlet(np.full(4, 0.3), size=900)
    times, gate = RNG.integers(1, 4, size=900), HierarchicalGate([2, 2])
    whole = ordered(resp, gate, weight=times.astype(float))
    copies = np.repeat(np.arange(900), times)
    repeated = ordered(resp[copies], gate, PLACES[copies])
    np.testing.assert_array_equal(repeated, whole[copies])
    mixed = RNG.permutation(900)
    shuffled = ordered(resp[mixed], gate, PLACES[mixed], times[mixed].astype(float))
    np.testing.assert_array_equal(shuffled, whole[mixed])


@pytest.mark.parametrize(("heavy", "pair"), [(0, {0, 2}), (1, {0, 1})])
def test_rows_say_by_their_weight_who_shares_a_branch(heavy, pair):
    """West and east lie apart among some rows, south and north among the others."""
    part = np.arange(900) % 2
    mixed = np.random.default_rng(0).random(900) < 0.4
    east, north = (PLACES > 0).T ^ (mixed & (part == np.array([[0], [1]])))
    label = 2 * east + north
    found = ordered(
        np.eye(4)[label], HierarchicalGate([2, 2]), weight=np.where(part == heavy, 9.0, 1)
    )
    shared = set(label[found[:, :2].any(axis=1)])
    assert pair in (shared, {0, 1, 2, 3} - shared)


def test_experts_without_rows_and_columns_without_variance_are_in_nobodys_way():
    resp = np.zeros((900, 4))
    resp[:, 0] = 1.0
    for gate in (HierarchicalGate([2, 2]), HierarchicalGate.of_depth(2)):
        np.testing.assert_array_equal(ordered(resp, gate), resp)
    flat = np.ones_like(PLACES)
    same = ordered(np.eye(4)[SOIL], HierarchicalGate([2, 2]), flat)
    np.testing.assert_array_equal(same, np.eye(4)[SOIL])


@pytest.mark.parametrize("seed", range(20))
def test_branches_that_would_be_the_same_everywhere_are_not_chosen(seed):
    """Sums that cancel are noise, whose ratio may be anything and hangs on the order of rows."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(60, 2))
    first, second = 1 / (1 + np.exp(-3 * Z.T))
    pairs = np.column_stack([first, 1 - first, second, 1 - second])
    weights = pairs * rng.exponential(size=60)[:, None]
    branch, mixed = branches._told_apart(Z, weights, [2, 2]), rng.permutation(60)
    assert branch[0] != branch[1]
    assert branch[2] != branch[3]
    np.testing.assert_array_equal(branches._told_apart(Z[mixed], weights[mixed], [2, 2]), branch)
    halves = np.zeros((60, 4))
    halves[np.arange(60), rng.permutation(4)[:2][(Z[:, 0] > 0).astype(int)]] = rng.uniform(size=60)
    full = np.flatnonzero(halves.any(axis=0))
    assert len(set(branches._told_apart(Z, halves, [2, 2])[full])) == 2


def test_a_branch_of_one_needs_no_gate_that_suits_it():
    tree = HierarchicalGate([1, 4], within=HierarchicalGate([2, 2]))
    assert tree.keeping((0, 1, 3), 5).groups == [1, 2]
    mixture = MixtureOfExpertsRegressor(
        Ridge(), 4, gate=tree, shared_expert=Ridge(), verdict=False, random_state=0
    ).fit(PLACES, Y)
    assert mixture.gate_.groups == [1, 4]


@pytest.mark.parametrize(
    ("within", "message"),
    [
        (HierarchicalGate([3, 2]), r"groups=\[3, 2\] .* there are 4"),
        (HierarchicalGate([5, -1]), r"groups=\[5, -1\] must be sizes"),
        ([HierarchicalGate([2, 2], within=[None]), None], "within has 1 gates, but there are 2"),
    ],
)
def test_a_tree_within_that_does_not_fit_its_branch_is_named(within, message):
    gate = HierarchicalGate([4, 4], within=within)
    with pytest.raises(ValueError, match=message):
        MixtureOfExpertsRegressor(Ridge(), 8, gate=gate, random_state=0).fit(PLACES, Y)


def test_a_large_table_is_ordered_by_a_sample_of_it(monkeypatch):
    monkeypatch.setattr(branches, "BRANCH_ROWS", 200)
    resp = np.eye(4)[SOIL][:, [0, 2, 1, 3]]
    found = ordered(resp, HierarchicalGate([2, 2]))
    assert set(SOIL[found[:, :2].any(axis=1)]) in ({0, 1}, {2, 3})


@pytest.mark.parametrize("seed", range(3))
def test_a_tree_of_gates_finds_the_banks_by_itself(seed):
    tree = MixtureOfExpertsRegressor(
        Ridge(), 4, gate=HierarchicalGate([2, 2]), verdict=False, random_state=seed
    ).fit(PLACES, Y)
    new = np.random.default_rng(9).uniform(-1, 1, size=(2000, 2))
    branch = tree.gate_proba(new).argmax(axis=1) // 2
    on_west = branch == np.round(branch[new[:, 0] < 0].mean())
    assert (on_west == (new[:, 0] < 0)).mean() > 0.97
    flat = MixtureOfExpertsRegressor(Ridge(), 4, verdict=False, random_state=seed).fit(PLACES, Y)
    assert tree.lower_bound_ > flat.lower_bound_


def test_a_shared_expert_keeps_its_place_at_the_end_of_the_tree():
    mixture = MixtureOfExpertsRegressor(
        DecisionTreeRegressor(max_depth=3),
        4,
        gate=HierarchicalGate([2, 3]),
        shared_expert=Ridge(),
        verdict=False,
        random_state=0,
    ).fit(PLACES, Y)
    assert mixture.expert_names_[-1] == "shared_expert"
    assert mixture.score(PLACES, Y) > 0.8
