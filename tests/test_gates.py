"""What holds for every gate, and for those with a search, a law or a regressor of their own."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, StackingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import get_tags

from sklearn_moe import ConstantGate, MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from sklearn_moe import SoftmaxGate as Softmax
from sklearn_moe._design import TabularEncoder
from sklearn_moe._numeric import WEIGHT_GRID
from sklearn_moe.gates import (
    ClassifierGate,
    GaussianGate,
    HierarchicalGate,
    MLPGate,
    RegressorGate,
    TreeGate,
)
from sklearn_moe.gates._resolve import fit_gate, log_proba_of, resolve_gate
from sklearn_moe.gates._table import GateTable

LEAVES = {"max_depth": 3, "min_weight_fraction_leaf": 0.05, "random_state": 0}
GATES = {
    "softmax": Softmax(),
    "network": MLPGate(8, random_state=0),
    "gaussian": GaussianGate(),
    "diagonal": GaussianGate("diag"),
    "thresholds": TreeGate(),
    "constant": ConstantGate(),
    "tree": DecisionTreeClassifier(**LEAVES),
    "logistic": LogisticRegression(),
    "neighbours": KNeighborsClassifier(15),
    "neighbours regressor": RegressorGate(KNeighborsRegressor(15)),
    "tree regressor": DecisionTreeRegressor(**LEAVES),
    "hierarchical": HierarchicalGate,
    "pipeline": make_pipeline(StandardScaler(), Softmax()),
    "regressor pipeline": make_pipeline(StandardScaler(), DecisionTreeRegressor(**LEAVES)),
}
ENCODED = ["softmax", "network", "gaussian", "diagonal", "thresholds", "hierarchical"]
# Regions that both sides of a neighbourhood share are drawn, not weighed.
SAMPLED = ["neighbours", "neighbours regressor"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(240, 3))
Y = np.where(X[:, 0] > 0, 3.0, -3.0) * X[:, 1] + 0.3 * RNG.normal(size=240)


def build(name, n_experts):
    """The resolved gate; the tree of gates needs to know how many experts there are."""
    if name == "hierarchical":
        first = (n_experts + 1) // 2
        return HierarchicalGate([size for size in (first, n_experts - first) if size])
    return resolve_gate(GATES[name])


def targets(n_experts, X=X):
    """Responsibilities that follow the first column."""
    scores = X[:, :1] * np.linspace(-3, 3, n_experts) if n_experts > 1 else X[:, :1]
    proba = np.exp(scores)
    return proba / proba.sum(axis=1, keepdims=True)


def fitted(name, X, expert_weights):
    """The gate as a mixture fits it."""
    table = GateTable(X, expert_weights.sum(axis=1))
    return fit_gate(build(name, expert_weights.shape[1]), table, expert_weights, None, False)


def assert_probabilities(log_proba, shape):
    assert log_proba.shape == shape
    assert np.isfinite(log_proba).all()
    np.testing.assert_allclose(np.exp(log_proba).sum(axis=1), 1.0, rtol=1e-9)


def assert_probabilities_of(gate, table, n_experts):
    """Those of the gate, asked for their logarithms and for themselves."""
    log_proba = gate.predict_log_proba(table)
    assert_probabilities(log_proba, (240, n_experts))
    np.testing.assert_allclose(gate.predict_proba(table), np.exp(log_proba), atol=1e-12)


# All gates.


@pytest.mark.parametrize("form", ["coo_matrix", "bsr_array", "lil_array"])
@pytest.mark.parametrize("name", ["logistic", "neighbours regressor", "softmax", "gaussian"])
def test_sparse_tables_of_any_form(name, form):
    weights = targets(2) * (np.arange(len(X)) > 3)[:, None]
    table = sp.csr_matrix(X)
    expected = build(name, 2).fit(table, weights).predict_proba(table)
    found = build(name, 2).fit(getattr(sp, form)(table), weights).predict_proba(table)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("n_experts", [1, 2, 3, 5])
@pytest.mark.parametrize("name", GATES)
def test_probabilities(name, n_experts):
    gate = fitted(name, X, targets(n_experts))
    for table in (X, 1e6 * X, 1e30 * X):
        assert_probabilities_of(gate, table, n_experts)


def test_leaves_of_a_tree_are_pulled_to_the_nodes_above():
    weights = targets(3) * RNG.uniform(0.5, 2.0, size=(240, 1))
    gate = TreeGate(64, min_leaf_weight=25.0, pseudo_count=4.0).fit(X, weights)
    paths = gate.tree_.decision_path(gate.encoder_.transform(X))
    mass = paths.T @ weights
    assert (mass.sum(axis=1) >= 25.0).all()
    assert TreeGate(3).fit(X, weights).tree_.get_n_leaves() == 3
    expected = np.empty((240, 3))
    for i in range(240):
        expected[i] = weights.sum(axis=0) / weights.sum()
        for node in paths[i].indices[1:]:
            expected[i] = (mass[node] + 4.0 * expected[i]) / (mass[node].sum() + 4.0)
    # Shares are on a grid.
    np.testing.assert_allclose(gate.predict_proba(X), expected, rtol=0, atol=1e-7)


def test_leaves_weigh_as_much_as_they_must_and_need_no_more():
    few = np.arange(4.0)[:, None]
    assert TreeGate().fit(few, np.repeat(np.eye(2), 2, axis=0)).tree_.get_n_leaves() == 1
    for n_samples in range(20, 320):  # a tenth of 147, 281 or 294 is no tenth, but for rounding
        side = np.arange(n_samples) < 10
        gate = TreeGate().fit(1.0 * side[:, None], 1.0 * np.column_stack([side, ~side]))
        assert gate.tree_.get_n_leaves() == 2


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_thresholds_hold_beyond_single_precision(form):
    gate = TreeGate().fit(form(X), targets(3))
    found = gate.predict_proba(form(np.sign(X) * 1e60))
    np.testing.assert_array_equal(found, gate.predict_proba(form(np.sign(X) * 1e6)))


@pytest.mark.parametrize("name", GATES)
def test_gate_of_one_expert_is_sure(name):
    gate = build(name, 1).fit(X, targets(1))
    assert_probabilities_of(gate, X, 1)
    if hasattr(gate, "partial_fit"):
        assert_probabilities_of(gate.partial_fit(X, targets(1)), X, 1)


@pytest.mark.parametrize("method", ["predict_log_proba", "log_proba_encoded"])
def test_gate_that_answers_otherwise_is_asked(method):
    def halves(self, X):
        return np.full((X.shape[0], 2), np.log(0.5))

    gate = type("Undecided", (Softmax,), {method: halves})().fit(X, targets(2))
    assert (gate.predict_proba(X) == 0.5).all()
    table = GateTable(X, np.ones(240), gate.encoder_)
    assert (log_proba_of(gate, table) == np.log(0.5)).all()


@pytest.mark.parametrize("name", [name for name in GATES if name != "constant"])
def test_gate_follows_its_targets(name):
    wanted = targets(3)
    found = np.exp(fitted(name, X, wanted).predict_log_proba(X))
    assert ((found - wanted) ** 2).mean() < 0.2 * wanted.var(axis=0).mean()


@pytest.mark.parametrize("name", GATES)
def test_expert_without_weight_gets_next_to_no_probability(name):
    log_proba = fitted(name, X, np.insert(targets(2), 1, 0.0, axis=1)).predict_log_proba(X)
    assert_probabilities(log_proba, (240, 3))
    assert np.exp(log_proba[:, 1]).max() < 0.01


def variants():
    """The same table with holes, with text, and as a sparse matrix, by the tag that allows it."""
    holes = X.copy()
    holes[::7, 1] = np.nan
    text = X.astype(object)
    text[:, 2] = np.where(X[:, 2] > 0, "high", "low")
    return {"allow_nan": holes, "string": text, "sparse": sp.csr_matrix(X)}


TAGGED = [
    (name, tag)
    for name in GATES
    for tag in variants()
    if getattr(get_tags(build(name, 3)).input_tags, tag)
]


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("name", ["softmax", "gaussian", "diagonal", "constant", "hierarchical"])
def test_without_columns_there_are_the_shares_of_the_weight(name, frame):
    table = pd.DataFrame(index=range(240)) if frame else X[:, :0]
    gate = build(name, 3).fit(table, np.tile([0.2, 0.3, 0.5], (240, 1)))
    np.testing.assert_allclose(gate.predict_proba(table[:2]), [[0.2, 0.3, 0.5]] * 2, atol=1e-8)


@pytest.mark.parametrize("name", [*ENCODED, "constant"])
def test_gates_that_take_all_kinds_of_tables(name):
    assert {(name, tag) for tag in variants()} <= set(TAGGED)
    assert get_tags(build(name, 3)).input_tags.categorical


@pytest.mark.parametrize(("name", "tag"), TAGGED)
def test_tables_that_the_tags_allow(name, tag):
    table = variants()[tag]
    assert_probabilities_of(fitted(name, table, targets(3)), table, 3)


@pytest.mark.parametrize("name", [name for name in GATES if name not in SAMPLED])
def test_weights_equal_repeats(name):
    weight = np.random.default_rng(1).integers(0, 4, size=240)
    rows = np.repeat(np.arange(240), weight)
    wanted = targets(3)
    weighted = fitted(name, X, wanted * weight[:, None]).predict_log_proba(X)
    repeated = fitted(name, X[rows], wanted[rows]).predict_log_proba(X)
    np.testing.assert_allclose(np.exp(weighted), np.exp(repeated), atol=1e-6)


@pytest.mark.parametrize("name", [name for name in GATES if name != "neighbours"])
def test_order_of_rows_does_not_matter(name):
    order = np.random.default_rng(2).permutation(240)
    weights = targets(3) * np.random.default_rng(3).uniform(0.5, 1.5, size=(240, 1))
    one = fitted(name, X, weights).predict_log_proba(X)
    other = fitted(name, X[order], weights[order]).predict_log_proba(X)
    np.testing.assert_allclose(np.exp(one), np.exp(other), atol=1e-6)


@pytest.mark.parametrize("name", [n for n in GATES if n not in [*SAMPLED, "logistic"]])
def test_units_of_the_columns_do_not_matter(name):
    moved = X * [1e-3, 7.0, 1e4] + [5.0, -1e3, 0.1]
    one = fitted(name, X, targets(3)).predict_log_proba(X)
    other = fitted(name, moved, targets(3)).predict_log_proba(moved)
    np.testing.assert_allclose(np.exp(one), np.exp(other), atol=1e-6)


@pytest.mark.parametrize("name", GATES)
def test_copies_and_stored_gates_are_the_same(name):
    gate = build(name, 3)
    parameters = gate.get_params(deep=False)
    assert repr(clone(gate).set_params(**parameters)) == repr(gate)
    one = clone(gate).fit(X, targets(3))
    other = pickle.loads(pickle.dumps(clone(gate).fit(X, targets(3))))
    np.testing.assert_array_equal(one.predict_log_proba(X), other.predict_log_proba(X))


def mixture_of(name, kind, **params):
    mixture = {"real": MixtureOfExpertsRegressor, "labels": MixtureOfExpertsClassifier}[kind]
    few = {"n_init": 1, "max_iter": 8, "cv": 3, "verdict": False, "random_state": 0}
    gate = build(name, 2) if name == "hierarchical" else GATES[name]
    return mixture(n_experts=2, gate=gate, **{**few, **params})


@pytest.mark.filterwarnings("ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["real", "labels"])
@pytest.mark.parametrize("name", [name for name in GATES if name != "constant"])
def test_mixture_finds_two_regions(name, kind):
    """Which expert acts is told by the first column, also where the rows are new."""
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(500, 3)), rng.normal(size=(500, 3))
    y = np.where(old[:, 0] > 0, 3.0, -3.0) * old[:, 1] + 0.3 * rng.normal(size=500)
    y = y if kind == "real" else (y > 0).astype(int)
    starts = {} if kind == "real" else {"init": "residual"}
    moe = mixture_of(name, kind, **starts).fit(old, y)
    right = (moe.gate_proba(new).argmax(axis=1) == (new[:, 0] > 0)).mean()
    assert max(right, 1 - right) > 0.8


@pytest.mark.filterwarnings("ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", GATES)
def test_two_workers_find_the_same(name):
    one = mixture_of(name, "real", max_iter=2).fit(X, Y)
    other = mixture_of(name, "real", max_iter=2, n_jobs=2).fit(X, Y)
    np.testing.assert_array_equal(one.gate_proba(X), other.gate_proba(X))


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (MLPGate(0), "'hidden_units' parameter of MLPGate"),
        (MLPGate(alpha=-1), "'alpha' parameter of MLPGate"),
        (MLPGate(max_iter=0), "'max_iter' parameter of MLPGate"),
        (MLPGate(random_state="x"), "'random_state' parameter of MLPGate"),
        (GaussianGate("tied"), "'covariance_type' parameter of GaussianGate"),
        (GaussianGate(pseudo_count=-1), "'pseudo_count' parameter of GaussianGate"),
        (GaussianGate(reg_covar=-1), "'reg_covar' parameter of GaussianGate"),
        (TreeGate(1), "'max_leaf_nodes' parameter of TreeGate"),
        (TreeGate(min_leaf_weight=-1), "'min_leaf_weight' parameter of TreeGate"),
        (TreeGate(pseudo_count=0), "'pseudo_count' parameter of TreeGate"),
        (RegressorGate("x"), "'regressor' parameter of RegressorGate"),
        (ClassifierGate("x"), "'classifier' parameter of ClassifierGate"),
        (Softmax(alpha=-1), "'alpha' parameter of SoftmaxGate"),
    ],
)
def test_bad_parameters_are_named(gate, message):
    with pytest.raises(ValueError, match=message):
        gate.fit(X, targets(2))


@pytest.mark.parametrize("name", [*ENCODED, "neighbours regressor"])
def test_targets_must_be_weights(name):
    with pytest.raises(ValueError, match="expert_weights must be"):
        build(name, 2).fit(X, -targets(2))


@pytest.mark.parametrize("query", ["predict_log_proba", "predict_proba"])
@pytest.mark.parametrize("name", GATES)
def test_gate_without_a_fit_says_so(name, query):
    with pytest.raises(NotFittedError):
        getattr(clone(build(name, 2)), query)(X)


@pytest.mark.parametrize("name", [name for name in GATES if "pipeline" not in name])
def test_fitted_gate_knows_the_number_of_experts(name):
    assert build(name, 3).fit(X, targets(3)).n_experts_ == 3


def test_what_predicts_nothing_is_no_gate():
    with pytest.raises(TypeError, match="cannot give probabilities"):
        resolve_gate(StandardScaler())


class Mute(LogisticRegression):
    """A classifier that does not know, of rows beyond a limit."""

    limit = -np.inf

    def predict_proba(self, X):
        return np.where(X[:, :1] > self.limit, np.nan, super().predict_proba(X))


@pytest.mark.parametrize("top_k", [None, 1])
@pytest.mark.parametrize("cv", [3, None])
def test_gate_that_says_nan_is_named(cv, top_k, monkeypatch):
    mixture = MixtureOfExpertsRegressor(n_experts=2, gate=Mute(), cv=cv, top_k=top_k, max_iter=2)
    mixture.set_params(n_init=1, verdict=False, tol=1e9)
    told = r"gate=ClassifierGate\(classifier=Mute.* returned NaN.* impute"
    with pytest.raises(ValueError, match=told):
        mixture.fit(X, Y)
    monkeypatch.setattr(Mute, "limit", np.inf)
    mixture.fit(X, Y)
    monkeypatch.setattr(Mute, "limit", 1.0)
    for query in (mixture.predict, mixture.gate_proba, mixture.predict_var):
        with pytest.raises(ValueError, match=told):
            query(X)


@pytest.mark.parametrize("estimator", [Ridge(), make_pipeline(StandardScaler(), LinearSVC())])
def test_what_has_no_probabilities_is_refused_by_name(estimator):
    with pytest.raises(TypeError, match=r"(?s)gate=.*(Ridge|SVC).* no predict_proba"):
        ClassifierGate(estimator).fit(X, targets(2))


def test_classifier_may_have_probabilities_once_it_is_fitted():
    stack = StackingClassifier([("tree", DecisionTreeClassifier(**LEAVES))])
    assert not hasattr(stack, "predict_proba")
    assert_probabilities_of(ClassifierGate(stack).fit(X, targets(2)), X, 2)
    assert isinstance(resolve_gate(stack), ClassifierGate)


@pytest.mark.parametrize("sides", [(-1, 1), ("left", "right"), (False, True), (1, 0)])
def test_a_classifier_that_was_fitted_before_divides_as_it_did(sides):
    known = LogisticRegression().fit(X, np.where(X[:, 0] > 0, *sides))
    gate = ClassifierGate(FrozenEstimator(known)).fit(X, targets(2))
    np.testing.assert_allclose(gate.predict_proba(X), known.predict_proba(X), atol=0.01)


def test_a_frozen_classifier_is_the_gate_of_a_whole_fit():
    known = LogisticRegression().fit(X, np.where(X[:, 0] > 0, "right", "left"))
    params = {"init": known.predict_proba(X), "cv": 3, "random_state": 0, "n_jobs": 2}
    moe = MixtureOfExpertsRegressor(n_experts=2, gate=FrozenEstimator(known), **params).fit(X, Y)
    moe = pickle.loads(pickle.dumps(moe))
    np.testing.assert_allclose(moe.gate_proba(X), known.predict_proba(X), atol=0.01)
    assert moe.gain_ > 2 * moe.gain_stderr_
    slopes = [expert.coef_[1] for expert in moe.experts_]
    np.testing.assert_allclose(slopes, [-3.0, 3.0], atol=0.3)  # left and right, in order


@pytest.mark.parametrize(
    ("frozen", "message"),
    [
        (LogisticRegression().fit(X, np.arange(240) % 2 + 1), r"2 classes apart, \[1, 2\].* 3 exp"),
        (LogisticRegression().fit(X, np.arange(240) % 4), "4 classes apart.* 3 experts"),
        (Softmax().fit(X, np.eye(2)[np.arange(240) % 2]), r"2 classes apart, \[0, 1\].* 3 exp"),
        (Ridge().fit(X, np.arange(240)), "no predict_proba, or no classes"),
    ],
    ids=["fewer", "more", "a gate of fewer", "a regressor"],
)
def test_a_classifier_that_knows_other_experts_is_refused(frozen, message):
    with pytest.raises(TypeError, match=rf"(?s)gate=FrozenEstimator.*{message}"):
        ClassifierGate(FrozenEstimator(frozen)).fit(X, targets(3))


@pytest.mark.parametrize(
    "gate",
    [
        ClassifierGate(KNeighborsClassifier(7)),
        ClassifierGate(LogisticRegression()),
        RegressorGate(KNeighborsRegressor(5)),
        RegressorGate(DecisionTreeRegressor(**LEAVES)),
    ],
    ids=repr,
)
def test_rows_of_no_weight_have_no_say_in_a_gate_by_itself(gate):
    weights = targets(2) * np.random.default_rng(1).uniform(0.2, 3, size=(240, 1))
    far = X[:, 0].argmax()
    weights[far] = 0
    kept = np.arange(240) != far
    with_it, without = clone(gate).fit(X, weights), clone(gate).fit(X[kept], weights[kept])
    np.testing.assert_array_equal(with_it.predict_proba(X), without.predict_proba(X))


def test_small_responsibilities_are_learnt_as_well():
    gate = ClassifierGate(LogisticRegression()).fit(X, np.tile([0.97, 0.03], (240, 1)))
    expected = (1 - gate.floor_) * 0.03 + gate.floor_ / 2
    np.testing.assert_allclose(gate.predict_proba(X)[:, 1], expected, atol=1e-4)


# Regressors.


def test_neighbours_say_the_mean_of_their_responsibilities():
    wanted = targets(3)
    gate = RegressorGate(KNeighborsRegressor(15)).fit(X, wanted)
    near = np.argsort(((X[:7, None] - X) ** 2).sum(axis=2), axis=1)[:, :15]
    floor = 1 / (1 + 240)
    expected = (wanted[near].mean(axis=1) + floor / 3) / (1 + floor)
    on_grid = 1.0 / WEIGHT_GRID  # where sums of shares are exact
    np.testing.assert_allclose(gate.predict_proba(X[:7]), expected, atol=on_grid)


def test_linear_regressor_is_clipped():
    gate = RegressorGate(Ridge()).fit(X, targets(2))
    assert_probabilities(gate.predict_log_proba(100 * X), (240, 2))
    assert gate.regressor_.predict(100 * X).min() < 0


def test_regressor_for_one_output_is_fitted_for_each_expert():
    gate = RegressorGate(HistGradientBoostingRegressor(max_iter=5)).fit(X, targets(3))
    assert len(gate.regressor_.estimators_) == 3
    assert_probabilities(gate.predict_log_proba(X), (240, 3))


def test_regressor_that_fails_is_named():
    with pytest.raises(ValueError, match=r"gate=KNeighborsRegressor.*failed to fit"):
        RegressorGate(KNeighborsRegressor(algorithm="x")).fit(X, targets(2))


def test_equal_proportions_are_equal_to_the_last_digit():
    """Which of them act under `top_k` must not hang on the order of sums."""
    share = np.random.default_rng(0).random(20)
    weights = np.column_stack([share, share[::-1], np.sort(share)])
    assert len(set(weights.sum(axis=0))) > 1
    gate = ConstantGate().fit(np.zeros((20, 1)), weights)
    assert gate.mixing_proportions_[0] == gate.mixing_proportions_[1] == gate.mixing_proportions_[2]
    assert gate.mixing_proportions_.sum() == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("name", ENCODED)
def test_holes_in_columns_that_had_none(name):
    gate, holed, filled = build(name, 3).fit(X, targets(3)), X.copy(), X.copy()
    holed[::7, 1], filled[::7, 1] = np.nan, X[:, 1].mean()
    expected = gate.predict_proba(filled)
    np.testing.assert_allclose(gate.predict_proba(holed), expected, rtol=1e-9)
    np.testing.assert_allclose(np.exp(gate.predict_log_proba(holed)), expected, rtol=1e-9)
    holed[3, 2] = -np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        gate.predict_proba(holed)


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_gate_of_sparse_rows_takes_no_hole_in_dense_ones(name, hole):
    gate = build(name, 3).fit(sp.csr_matrix(X), targets(3))
    for table in (np.array([[0.0, hole, 1.0]]), sp.csr_matrix([[0.0, hole, 1.0]])):
        with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
            gate.predict_proba(table)


@pytest.mark.parametrize(
    "weights",
    [np.full((6, 2), np.nan), np.zeros((6, 2)), -np.ones((6, 2)), np.full((6, 2), np.inf)],
)
@pytest.mark.parametrize(
    "gate", [Softmax(), MLPGate(), GaussianGate(), TreeGate(), HierarchicalGate([1, 1])]
)
def test_weights_that_say_nothing_are_refused(gate, weights):
    with pytest.raises(ValueError, match=r"expert_weights must be .* finite numbers"):
        gate.fit(np.arange(6.0)[:, None], weights)


@pytest.mark.parametrize("name", [name for name in GATES if "pipeline" not in name])
def test_tables_that_do_not_fit_are_named(name):
    with pytest.raises(ValueError, match="expert_weights has 20 rows, but X has 240"):
        build(name, 3).fit(X, targets(3)[:20])
    if name in ENCODED:
        gate = build(name, 3).fit(X, targets(3))
        with pytest.raises(ValueError, match=r"X has shape \(240, 1\), but fit saw 3 columns"):
            gate.predict_proba(X[:, :1])


@pytest.mark.parametrize("name", ENCODED)
def test_columns_are_those_of_fit(name):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    gate = build(name, 3).fit(frame, targets(3))
    for other in (frame[["b", "a", "c"]], frame.rename(columns={"c": "d"})):
        with pytest.raises(ValueError, match=r"those of fit were \['a', 'b', 'c'\]"):
            gate.predict_proba(other)
    np.testing.assert_allclose(gate.predict_proba(X), gate.predict_proba(frame), rtol=1e-12)
    if name != "hierarchical":
        assert gate.n_features_in_ == 3
        assert gate.feature_names_in_.tolist() == ["a", "b", "c"]
        assert not hasattr(clone(gate), "n_features_in_")
        assert not hasattr(gate.fit(X, targets(3)), "feature_names_in_")


class OfTwo(Ridge):
    """Cannot be fitted to more than two columns of responsibilities."""

    def fit(self, X, y, sample_weight=None):
        if y.shape[1:] > (2,):
            raise ValueError("too many")
        return super().fit(X, y, sample_weight)


class OfTwoClasses(LogisticRegression):
    """Cannot be fitted to more than two experts."""

    def fit(self, X, y, sample_weight=None):
        if len(np.unique(y)) > 2:
            raise ValueError("too many")
        return super().fit(X, y, sample_weight)


ALONE = np.eye(3)[np.minimum(np.arange(240), 2)]


@pytest.mark.parametrize(
    ("gate", "weights"),
    [
        (ClassifierGate(OfTwoClasses()), targets(3)),
        (RegressorGate(OfTwo()), targets(3)),
        (GaussianGate(pseudo_count=0, reg_covar=0), ALONE),
        (HierarchicalGate([1, 2], within=GaussianGate(pseudo_count=0, reg_covar=0)), ALONE),
    ],
    ids=["classifier", "regressor", "gaussian", "hierarchical"],
)
def test_a_failed_fit_leaves_a_gate_as_it_was(gate, weights):
    few = targets(3) if isinstance(gate, HierarchicalGate) else targets(2)
    before = gate.fit(X, few).predict_proba(X)
    with pytest.raises(ValueError, match=r"too many|without an inverse"):
        gate.fit(X, weights)
    np.testing.assert_array_equal(gate.predict_proba(X), before)


@pytest.mark.parametrize(
    "gate", [Softmax(), GaussianGate(), TreeGate(), MLPGate(4, random_state=0)]
)
def test_rows_of_no_weight_have_no_say_in_the_encoding(gate):
    gap, full = np.full((1, 3), np.nan), np.column_stack([X, np.full(240, np.nan)])
    weights = np.vstack([targets(2), np.zeros((1, 2))])
    more = np.vstack([full, np.append(gap[0], 1.0)])
    fitted = clone(gate).fit(more, weights)
    assert fitted.encoder_.n_outputs_ == 4
    expected = clone(gate).fit(full, targets(2)).predict_proba(full)
    np.testing.assert_allclose(fitted.predict_proba(full), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "gate", [Softmax(), GaussianGate(), TreeGate(), MLPGate(4, random_state=0)]
)
def test_entries_of_a_sparse_table_may_come_in_pieces(gate):
    whole = sp.csr_matrix(X)
    pieces = np.repeat(whole.data / 2, 2), np.repeat(whole.indices, 2), 2 * whole.indptr
    broken = sp.csr_matrix(pieces, shape=X.shape)
    expected = clone(gate).fit(whole, targets(2)).predict_proba(whole)
    found = clone(gate).fit(broken, targets(2)).predict_proba(broken)
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_spread_of_a_sparse_column_is_not_what_rounding_leaves(seed):
    """One row of next to no weight does without an entry that all others have."""
    table = np.column_stack([X[:, 0], np.full(len(X), 7.0)])
    weight = np.random.default_rng(seed).random(len(X))
    table[0, 1], weight[0] = 0.0, 1e-20
    spread = TabularEncoder().fit(sp.csr_matrix(table), None, weight).scale_
    far = X[:, 0] - np.average(X[:, 0], weights=weight)
    np.testing.assert_allclose(spread, [np.sqrt(np.average(far**2, weights=weight)), np.inf])


def test_order_of_equal_rows_does_not_matter_to_a_regressor_without_weights():
    rng = np.random.default_rng(0)
    table = rng.integers(0, 4, size=(120, 1)).astype(float)
    weights, order = rng.dirichlet([1.0, 1.0], size=120) / 2, rng.permutation(120)
    gates = [
        RegressorGate(KNeighborsRegressor(5)).fit(table[rows], weights[rows])
        for rows in (np.arange(120), order)
    ]
    values = np.arange(4.0)[:, None]
    np.testing.assert_allclose(gates[0].predict_proba(values), gates[1].predict_proba(values))


def test_an_expert_of_little_weight_may_be_in_no_sample():
    """Neighbours take no weights: of ten rows of a hundredth each, none is drawn."""
    table, weights = (
        np.arange(10.0)[:, None],
        np.column_stack([np.full(10, 0.99), np.full(10, 0.01)]),
    )
    gate = ClassifierGate(KNeighborsClassifier(3)).fit(table, weights)
    np.testing.assert_allclose(gate.predict_proba(table)[:, 1], gate.floor_ / 2)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(60, 3))
        y = np.where(rows[:, 0] > 0, rows[:, 1], -rows[:, 2]) + 0.3 * rng.normal(size=60)
        params = {"cv": 3, "verdict": False, "max_iter": 4, "tol": 1.0, "random_state": 0}
        moe = MixtureOfExpertsRegressor(Ridge(), 4, gate=KNeighborsClassifier(5), **params)
        proba = moe.fit(rows, y).gate_proba(rows)
        np.testing.assert_allclose(proba.sum(axis=1), 1.0)


class Unusual(ConstantGate):
    """A gate that answers in its own way."""

    def __init__(self, answer=None):
        self.answer = answer

    def predict_log_proba(self, X):
        return self.answer(super().predict_log_proba(X))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda log_proba: log_proba + 1, "exponentials sum to one in each row.*sum to 2.718"),
        (
            lambda log_proba: log_proba[:, :1],
            r"shape \(40, 2\).*and shape \(40, 1\)",
        ),
        (lambda log_proba: log_proba.tolist(), "returned a list"),
        (lambda log_proba: log_proba.astype(object), "returned one of object"),
    ],
)
def test_what_a_gate_says_has_to_be_log_probabilities(answer, message):
    rng = np.random.default_rng(0)
    rows, y = rng.normal(size=(80, 2)), rng.normal(size=80)
    moe = MixtureOfExpertsRegressor(Ridge(), 2, gate=Unusual(answer), cv=2, verdict=False)
    with pytest.raises((ValueError, TypeError), match=f"gate=Unusual.*{message}"):
        moe.fit(rows, y)
