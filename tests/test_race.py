"""The race of the starts on a sample of a large table."""

from itertools import product

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from sklearn_moe import _fitting as fitting
from sklearn_moe._training import make_training
from sklearn_moe.gates import MLPGate, SoftmaxGate
from sklearn_moe.starts import STARTS
from sklearn_moe.starts import _ladder as ladder
from sklearn_moe.starts import _local as local
from sklearn_moe.starts._base import StartContext, cluster
from sklearn_moe.starts._local import local_coefficients

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 3))
Y = np.where(X[:, 0] > 0, 3, -3) * X[:, 1] + 0.3 * RNG.normal(size=400)
MIXTURES = {
    "ridge": MixtureOfExpertsRegressor(Ridge(), random_state=0),
    "in sample": MixtureOfExpertsRegressor(Ridge(), cv=None, random_state=0),
    "tree": MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=4), random_state=0),
    "labels": MixtureOfExpertsClassifier(DecisionTreeClassifier(max_depth=4), random_state=0),
}


@pytest.fixture
def racing(monkeypatch):
    """Sizes of the tables on which starts have raced."""
    sizes, race = [], fitting.race

    def recorded(model, *rest):
        sizes.append(model.data.n_samples)
        return race(model, *rest)

    monkeypatch.setattr(fitting, "race", recorded)
    monkeypatch.setattr(fitting, "RACE_ROWS", 150)
    return sizes


@pytest.mark.parametrize("name", MIXTURES)
def test_starts_race_on_a_sample_whose_winner_sees_all_rows(racing, name):
    y = np.sign(Y) if name == "labels" else Y
    mixture = MIXTURES[name].fit(X, y)
    assert racing == [150]
    assert len(mixture.start_bounds_) == 4
    assert mixture.expert_mass_.sum() == pytest.approx(400)


@pytest.mark.parametrize("name", ["ridge", "in sample"])
def test_weights_equal_repeats_on_a_sample(racing, name):
    by_weight = MIXTURES[name].fit(X, Y, np.full(400, 2.0)).log_prob(X, Y)
    repeated = MIXTURES[name].fit(np.repeat(X, 2, axis=0), np.repeat(Y, 2)).log_prob(X, Y)
    assert racing == [150, 300]
    np.testing.assert_allclose(by_weight, repeated, rtol=1e-6, atol=1e-6)


def test_sample_is_not_taken_from_folds_of_a_splitter_or_for_one_start(racing):
    resp = RNG.dirichlet([1, 1], 400)
    for options in ({"cv": KFold(3)}, {"init": resp}):
        MixtureOfExpertsRegressor(random_state=0, **options).fit(X, Y)
    assert racing == [400, 400]


def test_metadata_is_cut_to_the_sample(racing):
    groups = np.arange(400) // 4
    MixtureOfExpertsRegressor(random_state=0).fit(X, Y, groups=groups)
    assert racing == [150]


def regimes_of_many_rows():
    X = RNG.normal(size=(3000, 3))
    regime = (X[:, 0] > 0).astype(int)
    y = np.where(regime, 3.0, -3.0) * X[:, 1] + 0.3 * RNG.normal(size=3000)
    return X, y, regime


def training_data(X, y):
    return make_training(X, y, y[:, None], np.ones(len(y)), None, None, {}, None, False).data


NO_LADDER = ["kmeans_xy", "residual", "tree", "principal"]
LADDER = ["ladder", "residual", "kmeans_xy", "tree"]


@pytest.mark.filterwarnings("ignore")  # one iteration settles nothing
@pytest.mark.parametrize(
    ("mixture", "expected"),
    [
        (MixtureOfExpertsClassifier(), NO_LADDER),
        (MixtureOfExpertsClassifier(gate=SoftmaxGate(0.5), cv=None), NO_LADDER),
        (MixtureOfExpertsClassifier(gate="auto"), LADDER),
        (MixtureOfExpertsClassifier(gate=MLPGate(4)), LADDER),
        (MixtureOfExpertsClassifier(DecisionTreeClassifier(max_depth=3)), LADDER),
        (MixtureOfExpertsRegressor(), LADDER),
    ],
    ids=["labels", "in sample", "found gate", "network", "trees", "numbers"],
)
def test_linear_experts_of_labels_race_without_a_ladder(mixture, expected):
    mixture.set_params(max_iter=1, verdict=False, random_state=0)
    y = Y > 0 if isinstance(mixture, MixtureOfExpertsClassifier) else Y
    assert list(mixture.fit(X[:120], y[:120]).start_bounds_) == expected
    assert list(mixture.set_params(n_init=1).fit(X[:120], y[:120]).start_bounds_) == expected[:1]


@pytest.fixture
def few_rows(monkeypatch):
    """The ladder climbs on a few hundred rows; the sizes of the tables that it sees."""
    sizes, make = [], ladder._linear_model

    def recorded(context):
        sizes.append(context.data.n_samples)
        return make(context)

    monkeypatch.setattr(ladder, "_linear_model", recorded)
    monkeypatch.setattr(ladder, "LADDER_ROWS", 300)
    return sizes


def test_ladder_assigns_the_rows_that_it_has_not_seen(few_rows):
    X, y, regime = regimes_of_many_rows()
    context = StartContext(X, y[:, None] / y.std(), training_data(X, y), y, 2, seed=0)
    resp = ladder.ladder(context)
    assert few_rows == [300]
    agree = (resp.argmax(axis=1) == regime).mean()
    assert max(agree, 1 - agree) > 0.9


def test_ladder_on_a_sample_sees_weights_as_repeats(few_rows):
    X, y, _ = regimes_of_many_rows()
    twice = np.repeat(np.arange(3000), 1 + np.arange(3000) % 2)
    order = RNG.permutation(len(twice))
    fit = MixtureOfExpertsRegressor(Ridge(), init="ladder", n_init=1, verdict=False, random_state=0)
    by_weight = fit.fit(X, y, 1.0 + np.arange(3000) % 2).log_prob(X, y)
    repeated = fit.fit(X[twice][order], y[twice][order]).log_prob(X, y)
    assert few_rows[0] == 300 < few_rows[1] < 600
    np.testing.assert_allclose(by_weight, repeated, rtol=1e-6, atol=1e-6)


def test_local_start_takes_the_same_of_equals_on_any_number_of_threads():
    X = RNG.integers(0, 3, size=(1500, 4)).astype(float)
    y = X[:, 0] * X[:, 1] + 0.1 * RNG.normal(size=1500)
    context = StartContext(X, y[:, None], training_data(X, y), y, 2, seed=0)
    found = []
    for n_threads in (1, 4):
        with threadpool_limits(n_threads):
            found.append(local_coefficients(context))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("seed", [22, 44, 48])
def test_local_start_takes_the_same_of_equals_in_any_order(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(90, 3)).round()
    y = np.where(X[:, 0] > 1, 2, -2) * X[:, 1] + 0.5 * rng.normal(size=90)
    order = rng.permutation(90)
    found = []
    for rows in (np.arange(90), order):
        data = training_data(X[rows], y[rows])
        found.append(local_coefficients(StartContext.of(data, lambda: y, 2, seed=0)))
    np.testing.assert_array_equal(found[0][order], found[1])


def start_of(name, X, y, weight, n_experts, seed):
    data = make_training(X, y, y[:, None], weight, None, None, {}, None, False).data
    return STARTS[name](StartContext.of(data, lambda: y, n_experts, seed))


@pytest.mark.parametrize("name", ["kmeans_x", "kmeans_xy", "noisy", "principal"])
def test_starts_tell_equals_apart_by_what_rows_hold(name):
    """Of zeros and ones many are equally far from two centers; one column has no up or down."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X = rng.integers(0, 2, size=(96, 4)).astype(float)
        X = rng.integers(0, 9, size=(96, 1)).astype(float) if name == "principal" else X
        y = (rng.normal(size=96) - 2 * X[:, -1]).round()
        weight = rng.integers(1, 4, size=96)
        rows = rng.permutation(np.repeat(np.arange(96), weight))
        weighted = start_of(name, X, y, weight.astype(float), 4, seed)
        repeated = start_of(name, X[rows], y[rows], np.ones(len(rows)), 4, seed)
        np.testing.assert_allclose(weighted[rows], repeated, atol=1e-9)


def test_a_tree_tells_equal_splits_apart_by_what_rows_hold():
    """In a balanced design a split by either of two columns that only work together is as good."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = np.repeat(np.array(list(product([-1.0, 1.0], repeat=4))), 6, axis=0)
        y = 0.1 * X[:, 0] * X[:, 1] + 0.3 + (0.1 * rng.normal(size=96).round() if seed % 2 else 0)
        rows = rng.permutation(np.repeat(np.arange(96), 2))
        weighted = start_of("tree", X, y, np.full(96, 2.0), 3, seed)
        repeated = start_of("tree", X[rows], y[rows], np.ones(192), 3, seed)
        np.testing.assert_array_equal(weighted[rows], repeated)


def test_rows_of_next_to_no_weight_are_clustered_too():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        points, weight = rng.normal(size=(80, 3)), 10.0 ** rng.uniform(-30, 0, 80)
        priority = rng.random(80)
        labels = cluster(points, weight, priority, 12)
        assert np.isin(np.arange(12), labels).all()
        np.testing.assert_array_equal(cluster(points, 2.0**600 * weight, priority, 12), labels)


def test_local_start_finds_the_same_neighbours_in_pieces(monkeypatch):
    X, y, _ = regimes_of_many_rows()
    context = StartContext(X, y[:, None], training_data(X, y), y, 2, seed=0)
    whole = local_coefficients(context)
    monkeypatch.setattr(local, "LARGEST", 10_000)
    np.testing.assert_array_equal(local_coefficients(context), whole)


@pytest.mark.parametrize("kind", ["local", "kmeans_x"])
def test_starts_that_rounding_tells_apart_are_in_order(kind):
    rng = np.random.default_rng(0)
    side = rng.integers(0, 2, 100)
    table = np.column_stack([side * 6 + rng.normal(size=100), rng.normal(size=100)])
    y = np.where(side, 2, -2) * table[:, 1] + 8 * side + rng.normal(size=100)
    gains = []
    for order in (np.arange(100), *(rng.permutation(100) for _ in range(3))):
        moe = MixtureOfExpertsRegressor(init=kind, random_state=0)
        gains.append(moe.fit(table[order], y[order]).gain_)
    assert gains == pytest.approx([gains[0]] * 4, rel=1e-6)


class OfFewRows(Ridge):
    """One that cannot be fitted to many rows."""

    def fit(self, X, y, sample_weight=None):
        if len(X) > 200:
            raise ValueError("too many")
        return super().fit(X, y, sample_weight)


def test_an_expert_that_fails_on_all_rows_is_named(racing):
    mixture = MixtureOfExpertsRegressor(OfFewRows(), cv=3, verdict=False, random_state=0)
    with pytest.raises(ValueError, match=r"OfFewRows.*failed to fit on .*: too many"):
        mixture.set_params(init="kmeans_x").fit(X, Y)
    assert racing == [150]
