"""What each start finds where it is plain to see, and what it makes of weights."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist, pdist
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe._training import make_training
from sklearn_moe.starts import STARTS, _ladder, _local
from sklearn_moe.starts._base import CONFIDENCE, StartContext

RNG = np.random.default_rng(0)


def context_of(X, y, weight=None, n_experts=2, seed=0, surprise=None, resists=False, classes=None):
    weight = np.ones(len(y)) if weight is None else weight
    target = y[:, None] if classes is None else y
    data = make_training(X, y, target, weight, classes, None, {}, None, False).data
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


@pytest.mark.parametrize("name", STARTS)
def test_weights_are_repeats_and_have_no_unit_or_order(name):
    weight = np.random.default_rng(1).integers(1, 5, size=len(X)).astype(float)
    rows, skewed = np.repeat(np.arange(len(X)), weight.astype(int)), SLOPES + np.exp(2 * X[:, 0])
    expected = STARTS[name](context_of(X, skewed, weight, n_experts=3, resists=True))
    repeated = STARTS[name](context_of(X[rows], skewed[rows], n_experts=3, resists=True))
    np.testing.assert_allclose(repeated, expected[rows], atol=1e-6)
    order = np.random.default_rng(2).permutation(len(X))
    moved = STARTS[name](
        context_of(X[order], skewed[order], weight[order], n_experts=3, resists=True)
    )
    np.testing.assert_allclose(moved, expected[order], atol=1e-6)
    for unit in (
        (1e-15, 1e15) if name != "ladder" else ()
    ):  # whose ridges shrink less with more rows
        found = STARTS[name](context_of(X, skewed, unit * weight, n_experts=3, resists=True))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_some_rows_are_what_they_were_among_all():
    context, rows = context_of(X, SLOPES, 1.0 + SIDE, surprise=X[:, 1]), np.arange(7, 300, 9)
    part = context.take(rows)
    for name in ("Z", "T", "surprise", "weight"):
        np.testing.assert_array_equal(getattr(part, name), getattr(context, name)[rows])
    np.testing.assert_array_equal(part.salted(), context.salted()[rows])


def test_a_wide_table_is_seen_at_the_same_distances():
    wide = np.random.default_rng(1).normal(size=(100, 400))
    Z = context_of(wide, wide[:, 0]).Z
    assert Z.shape == (100, 50)
    ratio = pdist(Z, "sqeuclidean") / pdist(wide, "sqeuclidean")
    assert abs(ratio.mean() - 1.0) < 0.1
    assert ratio.std() < 0.3


def test_a_sparse_table_of_few_columns_is_seen_whole():
    thin, y = np.zeros((70_000, 2)), np.zeros(70_000)
    thin[::300], y[:100] = X[:234], 1.0
    dense, sparse = (context_of(form, y).Z for form in (thin, csr_array(thin)))
    np.testing.assert_allclose(sparse - sparse[0], dense - dense[0], atol=1e-12)


def test_a_constant_target_says_nothing():
    for constant in (0.25, 0.3):  # of which rounding leaves nothing, and something
        np.testing.assert_array_equal(np.ptp(context_of(X, np.full(400, constant)).T), 0.0)


def test_the_numbers_of_classes_do_not_matter():
    codes = np.digitize(SLOPES, [-1.0, 1.0])
    members = np.eye(3)[codes]
    found = context_of(X, codes, classes=np.array(["a", "b", "c"])).T
    np.testing.assert_allclose(found, (members - members.mean(axis=0)) / members.std(axis=0))


@pytest.mark.parametrize("seed", range(5))
def test_clusters_begin_at_points_that_differ(seed):
    """Most rows have equal features; of one point alone the parts are as large as each other."""
    two = np.where(np.arange(200) % 5, 0.0, 1.0)
    found = labels_of("kmeans_x", two[:, None], SLOPES[:200], seed=seed)
    assert same_parts(found, two)
    found = labels_of("kmeans_x", np.zeros((200, 1)), SLOPES[:200], seed=seed)
    np.testing.assert_array_equal(np.bincount(found), [100, 100])


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


def test_clusters_are_where_the_weight_is():
    along = np.linspace(0, 1, 400)
    cuts = [
        along[labels_of("kmeans_x", along[:, None], SLOPES, weight) == part].max()
        for weight in (np.ones(400), np.where(along < 0.3, 20.0, 1.0))
        for part in (0, 1)
    ]
    assert min(cuts[:2]) == pytest.approx(0.5, abs=0.02)
    assert min(cuts[2:]) < 0.45


def test_local_slopes_are_those_of_the_nearest_rows(monkeypatch):
    """By some anchors at once, of which the last may be alone."""
    monkeypatch.setattr(_local, "LARGEST", 20 * len(X))
    context, anchors, rows = context_of(X, SLOPES), np.arange(3, 66, 3), np.arange(1, len(X), 2)
    distances = cdist(context.Z[anchors], context.Z)
    found = _local._local_ridge(context, anchors, rows)
    assert len(found) == len(anchors) == 21
    for slopes, distance in zip(found, distances[:, rows], strict=True):
        near = rows[distance.argsort()[:20]]
        design = np.column_stack([context.Z[near], np.ones(20)])
        ridge = Ridge(1.0, fit_intercept=False).fit(design, context.T[near, 0])
        np.testing.assert_allclose(slopes, ridge.coef_, atol=1e-9)
    nearest = _local._nearest_anchor(context.Z, context.Z[anchors])
    np.testing.assert_array_equal(nearest, distances.argmin(axis=0))


@pytest.mark.parametrize("n_copies", [1, 9])
def test_rows_that_ridges_could_learn_by_heart_are_held_out_of_the_ladder(n_copies):
    for n_rows, is_held_out in ((59, True), (60, False)):  # two experts of three coefficients
        rows = np.repeat(np.arange(n_rows), n_copies)
        model = _ladder._linear_model(context_of(X[rows], SLOPES[rows]))
        assert (model.splits is not None) is is_held_out


def test_the_ladder_assigns_rows_that_it_has_not_seen(monkeypatch):
    monkeypatch.setattr(_ladder, "LADDER_ROWS", 150)
    seen, run_em = [], _ladder.run_em

    def spied(model, *parts):
        seen.append(model.data.n_samples)
        return run_em(model, *parts)

    monkeypatch.setattr(_ladder, "run_em", spied)
    context = context_of(X, 1000.0 + SLOPES)
    found = STARTS["ladder"](context)
    assert seen == 3 * [150]
    assert max(np.mean(found[np.arange(400), side] > 0.5) for side in (SIDE, 1 - SIDE)) > 0.995
    limited = replace(context, data=replace(context.data, limits=np.array([[1000.0], [1001.0]])))
    np.testing.assert_array_equal(STARTS["ladder"](limited), found)  # those of other units


def test_neighbours_are_few_among_few_rows():
    few = np.arange(28)
    side, along = few % 2, np.random.default_rng(0).uniform(-1, 1, 28)
    apart = np.column_stack([4.0 * side, along])
    y = np.where(side, 3.0, -3.0) * along
    assert same_parts(labels_of("local", apart, y), side)
    assert np.isfinite(STARTS["local"](context_of(apart[:3], y[:3]))).all()


def test_rows_whose_neighbours_follow_the_same_line_go_together():
    apart = X + np.outer(2.0 * SIDE, [1.0, 0.0])
    found = labels_of("local", apart, np.where(SIDE, 3.0, -3.0) + 0.1 * SLOPES)
    assert max(np.mean(found == SIDE), np.mean(found != SIDE)) > 0.95


def test_rows_that_follow_the_same_line_go_together():
    found = labels_of("ladder", X, SLOPES)
    assert max(np.mean(found == SIDE), np.mean(found != SIDE)) > 0.85


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_rows_does_not_say_which_of_level_rungs_wins(seed):
    """Experts that are unlike each other would be handed each other's regions."""
    generator = np.random.default_rng(10)
    side = generator.choice([-3, 3], 60) + 0.3 * generator.normal(size=60)
    X = np.column_stack([side, generator.normal(size=60)])
    y = np.where(X[:, 0] > 0, 10 + X[:, 1], -10 - X[:, 1]) + 0.1 * generator.normal(size=60)
    unlike = [("line", Ridge()), ("neighbours", KNeighborsRegressor(5))]
    moe = MixtureOfExpertsRegressor(unlike, init="ladder", random_state=0)
    expected = moe.fit(X, y).predict(X)
    order = np.random.default_rng(seed).permutation(60)
    np.testing.assert_allclose(moe.fit(X[order], y[order]).predict(X), expected, atol=1e-8)
