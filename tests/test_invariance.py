"""What may not matter: how rows are counted, their order, their units, and who does the work.

A weight of three is three rows. Neither the order of the rows nor the units of the columns nor the
number of workers changes an answer beyond rounding.
"""

import joblib
import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_moe import (
    ConstantGate,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    _parallel,
)

pytestmark = [
    # Trees do not maximise the likelihood in sample, and few iterations are enough to compare.
    pytest.mark.filterwarnings("ignore:In-sample EM:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"),
]
LOGISTIC = LogisticRegression(solver="newton-cholesky")
# Splits of a few rows would tie, and rounding would choose; a bound on the weight of a leaf, unlike
# one on its rows, does not ask how a row of weight two was counted.
LEAVES = {"max_depth": 3, "min_weight_fraction_leaf": 0.05, "random_state": 0}
EXPERTS = {
    "ridge": Ridge(),
    "tree": DecisionTreeRegressor(**LEAVES),
    "neighbours": KNeighborsRegressor(),
    "logistic": LOGISTIC,
    "tree classifier": DecisionTreeClassifier(**LEAVES),
}
FITTED = ("n_iter_", "lower_bound_", "gain_", "gain_stderr_", "heldout_log_prob_")


def build(kind, **params):
    """A mixture of two experts of the kind."""
    expert = EXPERTS.get(kind, kind) if isinstance(kind, str) else kind
    mixture = MixtureOfExpertsClassifier if is_classifier(expert) else MixtureOfExpertsRegressor
    defaults = {"n_init": 2, "max_iter": 4, "cv": 3, "random_state": 0}
    return mixture(expert, **{**defaults, **params})


def table(kind, n_samples=400):
    """Two regimes, told apart by the first of three features."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 3))
    y = np.where(X[:, 0] > 0, 3.0, -3.0) * X[:, 1] + 0.5 * rng.normal(size=n_samples)
    return X, np.array(["no", "yes"])[(y > 0).astype(int)] if "c" in kind else y


def assert_same_fit(one, other, X, tol):
    """The same experts, gate and record, up to rounding."""
    for name in FITTED:
        answers = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(*answers, rtol=0, atol=tol, err_msg=name)
    for query in ("gate_proba", "predict_experts"):
        answers = getattr(one, query)(X), getattr(other, query)(X)
        np.testing.assert_allclose(*answers, rtol=0, atol=tol, err_msg=query)


def assert_weights_equal_repeats(moe, X, y, weight, tol=1e-6):
    rows = np.repeat(np.arange(len(X)), weight)
    weighted = clone(moe).fit(X, y, sample_weight=weight)
    assert_same_fit(weighted, clone(moe).fit(X[rows], y[rows]), X, tol)


@pytest.mark.parametrize("low", [0, 1], ids=["some weights are zero", "all weights positive"])
@pytest.mark.parametrize("cv", [5, None])
@pytest.mark.parametrize("kind", ["ridge", "tree", "neighbours", "logistic", "tree classifier"])
def test_weights_equal_repeats(kind, cv, low):
    X, y = table(kind)
    weight = np.random.default_rng(1).integers(low, 4, size=len(X))
    assert_weights_equal_repeats(build(kind, cv=cv), X, y, weight)


@pytest.mark.parametrize("cv", [3, None])
def test_weights_equal_repeats_where_the_gate_has_many_coefficients(cv):
    """Copies do not decide in which way its steps are found."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 60))
    y = np.where(X[:, 0] > 0, 2 * X[:, 1], 1 - X[:, 1]) + 0.4 * rng.normal(size=600)
    weight = rng.integers(1, 5, size=600)
    moe = build("ridge", n_experts=4, cv=cv, verdict=False)
    assert_weights_equal_repeats(moe, X, y, weight)


@pytest.mark.parametrize("cv", [3, None])
@pytest.mark.parametrize(
    "init", ["ladder", "residual", "kmeans_xy", "tree", "random", "local", "kmeans_x", "principal"]
)
def test_weights_equal_repeats_from_every_start(init, cv):
    X, y = table("ridge")
    weight = np.random.default_rng(1).integers(0, 4, size=len(X))
    moe = build("ridge", init=init, cv=cv, max_iter=3, verdict=False, n_experts=3)
    assert_weights_equal_repeats(moe, X, y, weight)


def test_weights_equal_repeats_where_an_expert_is_seeded_anew():
    """The start gives the second expert nothing; it gets whole rows, with all their copies."""
    X, y = table("ridge")
    weight = np.random.default_rng(1).integers(0, 4, size=len(X))
    rows = np.repeat(np.arange(len(X)), weight)
    start = np.column_stack([np.ones(400), np.zeros(400)])
    weighted = build("ridge", cv=None, init=start).fit(X, y, sample_weight=weight)
    repeated = build("ridge", cv=None, init=start[rows]).fit(X[rows], y[rows])
    assert_same_fit(weighted, repeated, X, 1e-6)


def test_weights_equal_repeats_for_classifier_gate_and_constant_gate():
    X, y = table("ridge")
    weight = np.random.default_rng(1).integers(0, 4, size=len(X))
    for gate in (ConstantGate(), LOGISTIC, DecisionTreeClassifier(**LEAVES)):
        assert_weights_equal_repeats(build("ridge", gate=gate), X, y, weight)


@pytest.mark.parametrize("seed", range(3))
def test_weights_equal_repeats_where_experts_lose_and_regain_classes(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 3))
    left = X[:, 0] > 0
    score = 2 * left + np.where(left, X[:, 1], X[:, 2]) + 0.5 * rng.normal(size=60)
    y = np.digitize(score, np.quantile(score, [0.2, 0.4, 0.6, 0.8]))
    moe = build("logistic", cv=2, n_experts=3, top_k=2, max_iter=8, n_init=4, verdict=False)
    assert_weights_equal_repeats(moe, X, y, rng.integers(0, 4, size=60), tol=1e-9)


@pytest.mark.parametrize("seed", range(2))
def test_a_gate_of_neighbours_takes_equally_near_rows_in_the_order_of_their_content(seed):
    """Copies of a row that are labelled with several experts are as near as can be."""
    rng = np.random.default_rng(seed)
    X, y = (part[: 120 + seed] for part in table("ridge"))
    moe = build("ridge", gate=KNeighborsClassifier(7), n_init=1)
    order = rng.permutation(len(X))
    assert_same_fit(clone(moe).fit(X, y), clone(moe).fit(X[order], y[order]), X, 1e-8)
    assert_weights_equal_repeats(moe, X, y, rng.integers(1, 4, size=len(X)))


@pytest.mark.parametrize("n_experts", [1, 2])
def test_row_order_does_not_matter_to_neighbours_that_are_equally_near(n_experts):
    X, y = table("ridge", 120)
    X, order = X.round(), np.random.default_rng(1).permutation(len(X))
    moe = build("neighbours", n_experts=n_experts)
    assert_same_fit(clone(moe).fit(X, y), clone(moe).fit(X[order], y[order]), X, 1e-8)


@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_row_order_does_not_matter_to_witnesses_of_groups(kind):
    """Of two folds one is left to a witness, which is dealt anew."""
    X, y = table(kind, 200)
    groups, order = np.arange(200) // 4, np.random.default_rng(1).permutation(200)
    moe = build(kind, cv=2)
    one = clone(moe).fit(X, y, groups=groups)
    assert_same_fit(one, clone(moe).fit(X[order], y[order], groups=groups[order]), X, 1e-7)


def test_zero_weight_rows_may_hold_anything():
    """A row of weight zero could be far away, or the only one of its class."""
    X, y = table("logistic")
    far = np.vstack([X, [[50.0, -50.0, 50.0]]]), np.append(y, "maybe")
    weight = np.append(np.ones(len(X)), 0.0)
    one, other = build("logistic").fit(X, y), build("logistic").fit(*far, sample_weight=weight)
    assert list(other.classes_) == ["no", "yes"]
    assert_same_fit(one, other, X, 1e-8)


@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_weights_that_are_shares_are_warned_of(kind):
    X, y = table(kind)
    moe = build(kind, n_init=1, verdict=False, max_iter=1, tol=1e9)
    with pytest.warns(UserWarning, match=r"400 rows count as 1, .* see. .* multiply them by 400"):
        moe.fit(X, y, sample_weight=np.full(400, 1 / 400))
    moe.fit(X, y, sample_weight=np.full(400, 0.1))


def test_explicit_splits_number_the_rows_as_given():
    """Rows of weight zero stay in the numbering, and out of the fit."""
    X, y = table("ridge")
    weight = np.random.default_rng(1).integers(0, 2, size=len(X)).astype(float)
    fold = np.arange(len(X)) % 3
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(3)]
    kept = np.flatnonzero(weight)
    own = [(np.flatnonzero(fold[kept] != k), np.flatnonzero(fold[kept] == k)) for k in range(3)]
    one = build("ridge", cv=splits).fit(X, y, sample_weight=weight)
    assert_same_fit(one, build("ridge", cv=own).fit(X[kept], y[kept]), X, 1e-8)


@pytest.mark.parametrize("cv", [5, None])
@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_unpenalised_fit_does_not_ask_for_the_scale_of_weights(kind, cv):
    X, y = table(kind)
    free = LinearRegression() if kind == "ridge" else clone(LOGISTIC).set_params(C=np.inf)
    moe = build(free, gate=ConstantGate(), cv=cv, n_init=1, init="kmeans_x", verdict=False)
    one, two = clone(moe).fit(X, y), clone(moe).fit(X, y, sample_weight=np.full(len(X), 8.0))
    np.testing.assert_allclose(one.log_prob(X, y), two.log_prob(X, y), atol=1e-3)


@pytest.mark.parametrize("cv", [3, None])
@pytest.mark.parametrize("kind", ["ridge", "tree", "neighbours", "logistic"])
def test_row_order_does_not_matter(kind, cv):
    X, y = table(kind)
    order = np.random.default_rng(1).permutation(len(X))
    moe = build(kind, cv=cv)
    assert_same_fit(clone(moe).fit(X, y), clone(moe).fit(X[order], y[order]), X, 1e-8)


@pytest.mark.parametrize("cv", [3, None])
@pytest.mark.parametrize("gate", [DecisionTreeClassifier, DecisionTreeRegressor])
def test_row_order_does_not_matter_to_trees_as_gates(gate, cv):
    X, y = (part[:80] for part in table("ridge"))
    moe = build("ridge", gate=gate(min_samples_leaf=3, random_state=0), init="kmeans_xy", cv=cv)
    before = clone(moe).fit(X, y)
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(len(X))
        assert_same_fit(before, clone(moe).fit(X[order], y[order]), X, 1e-6)


@pytest.mark.parametrize("backend", ["threading", "loky"])
@pytest.mark.parametrize("kind", ["ridge", "forest", "logistic"])
def test_workers_do_not_matter(kind, backend, monkeypatch):
    monkeypatch.setattr(_parallel, "WORTH_SENDING", 0.0)
    X, y = table(kind, 150)
    expert = RandomForestRegressor(3) if kind == "forest" else kind
    gate, init = (clone(LOGISTIC), "principal") if kind == "forest" else (None, "auto")
    moe = build(expert, max_iter=3, n_init=1, gate=gate, init=init)
    alone = clone(moe).fit(X, y)
    with joblib.parallel_config(backend=backend):
        together = clone(moe).set_params(n_jobs=2).fit(X, y)
    assert_same_fit(alone, together, X, 0)


@pytest.mark.parametrize("cv", [3, None])
@pytest.mark.parametrize("kind", ["linear", "scaled ridge", "scaled logistic"])
def test_units_do_not_matter(kind, cv):
    X, y = table("logistic" if kind == "scaled logistic" else "ridge")
    expert = LOGISTIC if kind == "scaled logistic" else Ridge()
    scaled = make_pipeline(StandardScaler(), expert)
    moe = build(LinearRegression() if kind == "linear" else scaled, cv=cv, verdict=False)
    other_X = X * [1.8, 0.01, 1e2] + [32, 0, -7]
    other_y = y if kind == "scaled logistic" else y * 1000 - 5
    one, other = clone(moe).fit(X, y), clone(moe).fit(other_X, other_y)
    resp = other.responsibilities(other_X, other_y)
    np.testing.assert_allclose(one.responsibilities(X, y), resp, rtol=0, atol=1e-8)


def test_units_of_several_outputs_do_not_matter():
    X, y = table("ridge")
    Y = np.column_stack([y, X[:, 2] - y**2])
    one = build("ridge", verdict=False).fit(X, Y)
    other = build("ridge", verdict=False).fit(X, Y * [1e3, 1e-3] - [5, 0])
    resp = other.responsibilities(X, Y * [1e3, 1e-3] - [5, 0])
    np.testing.assert_allclose(one.responsibilities(X, Y), resp, rtol=0, atol=1e-8)


@pytest.mark.parametrize("kind", ["ridge", "logistic", "tree"])
def test_permuted_start_permutes_the_experts(kind):
    X, y = table(kind)
    resp = np.random.default_rng(1).dirichlet([0.3, 0.3, 0.3], size=len(X))
    moe = build(kind, n_experts=3, init=resp, verdict=False)
    permuted = clone(moe).set_params(init=resp[:, [2, 0, 1]]).fit(X, y)
    moe.fit(X, y)
    for query in ("gate_proba", "predict_experts"):
        ours, theirs = getattr(moe, query)(X), getattr(permuted, query)(X)
        np.testing.assert_allclose(ours[:, [2, 0, 1]], theirs, rtol=0, atol=1e-8, err_msg=query)


@pytest.mark.parametrize("kind", ["ridge", "forest"])
def test_same_seed_gives_the_same_fit(kind):
    X, y = table("ridge", 150)
    expert = RandomForestRegressor(3) if kind == "forest" else kind
    few = {"n_init": 1, "init": "random", "max_iter": 2}
    fits = [build(expert, random_state=s, **few).fit(X, y) for s in (0, 0, 1)]
    assert_same_fit(fits[0], fits[1], X, 0)
    assert np.abs(fits[0].predict_experts(X) - fits[2].predict_experts(X)).max() > 0
