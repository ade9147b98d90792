"""What each start finds where it is plain to see, and what it makes of weights."""

import numpy as np
import pytest

from sklearn_moe._training import make_training
from sklearn_moe.starts import STARTS
from sklearn_moe.starts._base import CONFIDENCE, StartContext

RNG = np.random.default_rng(0)


def context_of(X, y, weight=None, n_experts=2, seed=0, surprise=None, resists=False):
    weight = np.ones(len(X)) if weight is None else weight
    data = make_training(X, y, y[:, None], weight, None, None, {}, None, False).data
    return StartContext.of(data, y if surprise is None else surprise, n_experts, seed, resists)


def labels_of(name, *parts, **more):
    return STARTS[name](context_of(*parts, **more)).argmax(axis=1)


def same_parts(found, wanted):
    """Whether the labels tell the same parts apart, by whatever numbers."""
    pairs = {*zip(found.tolist(), wanted.tolist(), strict=True)}
    return len(pairs) == len({*found.tolist()}) == len({*wanted.tolist()})


CENTERS = np.repeat([0, 1, 2], 40)
CLUSTERS = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])[CENTERS] + RNG.normal(size=(120, 2))
X = RNG.uniform(-1, 1, size=(400, 2))
SIDE = (X[:, 0] > 0).astype(int)
SLOPES = np.where(SIDE, 3.0, -3.0) * X[:, 1] + 0.05 * RNG.normal(size=400)


@pytest.mark.parametrize("name", STARTS)
def test_a_start_puts_most_on_one_expert_and_shares_out_the_rest(name):
    resp = STARTS[name](context_of(X, SLOPES, n_experts=3))
    np.testing.assert_allclose(resp.sum(axis=1), 1.0)
    assert (resp > 0).all()
    if name != "ladder":
        np.testing.assert_allclose(np.unique(resp.round(12)), [0.1 / 3, CONFIDENCE + 0.1 / 3])


def test_random_numbers_are_new_for_each_seed_and_salt_and_equal_for_equal_rows():
    rows = np.repeat(np.arange(200), 2)
    context, other = (context_of(X[rows], SLOPES[rows], seed=seed) for seed in (0, 1))
    for numbers in (context.salted(), context.salted(1), other.salted()):
        np.testing.assert_array_equal(numbers[::2], numbers[1::2])
        assert abs(numbers.mean() - 0.5) < 0.1
    assert abs(np.corrcoef(context.salted(), context.salted(1))[0, 1]) < 0.2
    assert abs(np.corrcoef(context.salted(), other.salted())[0, 1]) < 0.2


def test_outliers_are_held_where_the_law_resists_them():
    y = np.append(1e6, SLOPES[1:])
    plain, held = (context_of(X, y, resists=resists).T[:, 0] for resists in (False, True))
    assert plain[1:].std() < 1e-3
    assert held[1:].std() > 0.5


def test_clusters_of_features_are_found():
    y = RNG.normal(size=120)
    assert same_parts(labels_of("kmeans_x", CLUSTERS, y, n_experts=3), CENTERS)
    noisy = labels_of("noisy", CLUSTERS, y, n_experts=3)
    leaders = [np.bincount(noisy[center == CENTERS], minlength=3) for center in range(3)]
    assert sorted(np.argmax(leaders, axis=1)) == [0, 1, 2]
    assert np.max(leaders, axis=1).min() > 25  # of forty: rows near a border go either way


def test_clusters_of_the_target_count_as_much_as_those_of_all_features():
    columns, side = RNG.normal(size=(200, 16)), np.arange(200) % 2
    y = 5.0 * side + 0.1 * RNG.normal(size=200)
    assert same_parts(labels_of("kmeans_xy", columns, y), side)


@pytest.mark.parametrize("heavy", [1.0, 5.0])
def test_cuts_along_the_main_direction_leave_each_part_as_much_weight(heavy):
    along = RNG.normal(size=300)
    table = np.column_stack([along, along, along]) + 0.1 * RNG.normal(size=(300, 3))
    weight = np.where(along > 0, heavy, 1.0)
    found = labels_of("principal", table, along, weight, n_experts=3)
    np.testing.assert_allclose(np.bincount(found, weight) / weight.sum(), 1 / 3, atol=0.02)
    spread = [along[found == part].std() for part in range(3)]
    assert max(spread) < 0.8 * along.std()


def test_rows_that_one_expert_explains_worst_are_the_last_part():
    surprise, weight = RNG.gamma(1.0, size=400), RNG.uniform(0.1, 2.0, size=400)
    weight[surprise > 1.5] *= 5.0
    found = labels_of("residual", X, SLOPES, weight, n_experts=2, surprise=surprise)
    assert surprise[found == 0].max() <= surprise[found == 1].min()
    np.testing.assert_allclose(weight[found == 1].sum() / weight.sum(), 0.5, atol=0.02)


def test_a_tree_has_a_leaf_for_each_expert():
    steps = np.digitize(X[:, 0], [-0.5, 0.0, 0.5])
    assert same_parts(labels_of("tree", X, 10.0 * steps, n_experts=4), steps)


def test_rows_whose_neighbours_follow_the_same_line_go_together():
    apart = X + np.outer(2.0 * SIDE, [1.0, 0.0])
    found = labels_of("local", apart, np.where(SIDE, 3.0, -3.0) + 0.1 * SLOPES)
    assert max(np.mean(found == SIDE), np.mean(found != SIDE)) > 0.95


def test_rows_that_follow_the_same_line_go_together():
    found = labels_of("ladder", X, SLOPES)
    assert max(np.mean(found == SIDE), np.mean(found != SIDE)) > 0.85
