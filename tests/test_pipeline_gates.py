"""Pipelines that end in a gate: who sees which weights, and where the gate's search begins."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    PolynomialFeatures,
    StandardScaler,
)

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe.gates import HierarchicalGate, MLPGate, SoftmaxGate, TreeGate
from sklearn_moe.gates._resolve import fit_gate
from sklearn_moe.gates._table import GateTable

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
COUNTS = RNG.integers(1, 4, size=120)
RESP = 1 / (1 + np.exp(-2 * X[:, :1] * [[1.0, -1.0]]))
STEPS = {
    "flat": [StandardScaler()],
    "two": [FunctionTransformer(), StandardScaler()],
    "columns": [make_column_transformer((StandardScaler(), [0, 2]), remainder="passthrough")],
    "union": [make_union(StandardScaler(), FunctionTransformer())],
    "unweighted": [make_column_transformer(("passthrough", [0, 1]))],
    "none": [],
}


def fitted(gate, X, expert_weights, start=None, brief=False):
    """The gate as a mixture fits it."""
    table = GateTable(X, expert_weights.sum(axis=1))
    return fit_gate(gate, table, expert_weights, start, brief)


@pytest.mark.parametrize("name", STEPS)
def test_weights_are_repeats_for_all_steps(name):
    gate, repeats = make_pipeline(*STEPS[name], SoftmaxGate()), np.repeat(np.arange(120), COUNTS)
    weighted = fitted(gate, X, COUNTS[:, None] * RESP)
    repeated = fitted(gate, X[repeats], RESP[repeats])
    expected = repeated.predict_log_proba(X)
    np.testing.assert_allclose(weighted.predict_log_proba(X), expected, rtol=1e-6, atol=1e-8)


def test_weights_are_repeats_where_a_search_may_go_on():
    """Rows of a rare value are looked at, wherever they stand."""
    table = np.column_stack([X, np.arange(120) % 10 == 7])
    gate, repeats = (
        make_pipeline(StandardScaler(), SoftmaxGate()),
        np.repeat(np.arange(120), COUNTS),
    )
    start = fitted(gate, table[:100], RESP[:100])
    weighted = fitted(gate, table, COUNTS[:, None] * RESP, start, brief=True)
    repeated = fitted(gate, table[repeats], RESP[repeats], start, brief=True)
    np.testing.assert_allclose(weighted[-1].coef_, repeated[-1].coef_, rtol=1e-9)


def test_step_that_is_to_have_no_weights_has_none():
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
    gate = fitted(make_pipeline(scaler, SoftmaxGate()), X, COUNTS[:, None] * RESP)
    np.testing.assert_allclose(gate[0].mean_, X.mean(axis=0))


@pytest.mark.parametrize("name", STEPS)
def test_search_goes_on_from_the_start(name):
    gate = make_pipeline(*STEPS[name], SoftmaxGate())
    start = fitted(gate, X, RESP)
    again = fitted(gate, X, RESP, start, brief=True)
    assert start[-1].n_iter_ > 1
    assert again[-1].n_iter_ == 0
    np.testing.assert_allclose(again[-1].coef_, start[-1].coef_, rtol=1e-6)


# Without noise two thirds of the rows know far more than a third does.
@pytest.mark.filterwarnings("ignore:Witnesses have missed:UserWarning")
@pytest.mark.parametrize("gate", [SoftmaxGate(), TreeGate(), MLPGate(4, random_state=0)])
@pytest.mark.parametrize("cv", [None, 3])
def test_pipeline_of_one_step_is_the_gate(gate, cv):
    y = np.where(X[:, 0] > 0, X[:, 1], -X[:, 1])
    bare, alone = (
        MixtureOfExpertsRegressor(n_experts=2, gate=form, cv=cv, random_state=0)
        for form in (gate, Pipeline([("gate", gate)]))
    )
    expected = bare.fit(X, y).predict(X)
    np.testing.assert_allclose(alone.fit(X, y).predict(X), expected, atol=0.005 * np.std(expected))


def test_scaler_of_other_rows_is_no_reason_to_begin_anew():
    gate = make_pipeline(StandardScaler(), SoftmaxGate())
    start = fitted(gate, X[:100], RESP[:100])
    assert fitted(gate, X, RESP, start, brief=True)[-1].n_iter_ == 1


@pytest.mark.parametrize(
    "step",
    [
        KMeans(6, n_init=1, random_state=0),
        Nystroem(n_components=6, random_state=0),
        make_pipeline(KMeans(6, n_init=1, random_state=0), FunctionTransformer(csr_array)),
    ],
)
def test_search_begins_anew_where_the_columns_are_others(step):
    gate = make_pipeline(step, SoftmaxGate())
    start = fitted(gate, X[60:], RESP[60:])
    found, anew = fitted(gate, X, RESP, start, brief=True), fitted(gate, X, RESP)
    np.testing.assert_allclose(found[-1].coef_, anew[-1].coef_, rtol=1e-9)


def test_witnesses_of_gates_on_clusters_are_believed():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(500, 3))
    inside = rows[:, 0] ** 2 + rows[:, 1] ** 2 < 1.2
    y = np.where(inside, 3 * rows[:, 2], 2 - 3 * rows[:, 2]) + 0.3 * rng.normal(size=500)
    gate = make_pipeline(KMeans(12, n_init=1, random_state=0), SoftmaxGate())
    mixture = MixtureOfExpertsRegressor(Ridge(), 2, gate=gate, random_state=2).fit(rows, y)
    assert mixture.n_experts_ == 2
    assert mixture.gain_ > 1


def test_steps_that_are_kept_in_memory_are_those_of_the_gate(tmp_path):
    steps = [("a", StandardScaler()), ("b", PolynomialFeatures(2)), ("gate", SoftmaxGate())]
    plain, kept = Pipeline(steps), Pipeline(steps, memory=str(tmp_path))
    expected = fitted(plain, X, RESP).predict_log_proba(X)
    for _ in range(2):
        np.testing.assert_array_equal(fitted(kept, X, RESP).predict_log_proba(X), expected)


@pytest.mark.parametrize("kind", [Pipeline, type("Other", (Pipeline,), {})])
def test_gate_within_pipelines_is_that_of_one_pipeline(kind):
    steps, weights = [StandardScaler(), PolynomialFeatures(2)], COUNTS[:, None] * RESP
    flat = make_pipeline(*steps, SoftmaxGate())
    nested = make_pipeline(steps[0], kind([("powers", steps[1]), ("gate", SoftmaxGate())]))
    expected = fitted(flat, X, weights).predict_log_proba(X)
    np.testing.assert_allclose(fitted(nested, X, weights).predict_log_proba(X), expected)


@pytest.mark.filterwarnings("ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("gate", [SoftmaxGate(), HierarchicalGate([1, 1])])
def test_mixture_by_a_gate_within_pipelines(gate):
    y, params = np.where(X[:, 0] > 0, X[:, 1], -X[:, 1]), {"n_init": 1, "max_iter": 3, "cv": 3}
    flat, nested = (
        MixtureOfExpertsRegressor(n_experts=2, gate=form, verdict=False, random_state=0, **params)
        for form in (
            make_pipeline(StandardScaler(), PolynomialFeatures(2), gate),
            make_pipeline(StandardScaler(), make_pipeline(PolynomialFeatures(2), gate)),
        )
    )
    flat.fit(X, y), nested.fit(X, y)
    np.testing.assert_allclose(nested.predict(X), flat.predict(X), rtol=1e-6)
    rows = slice(0, 60)
    updated = [moe.update_gate(X[rows], -y[rows]).predict(X) for moe in (flat, nested)]
    np.testing.assert_allclose(*updated, rtol=1e-6)


def test_search_goes_on_within_pipelines():
    gate = make_pipeline(StandardScaler(), make_pipeline(PolynomialFeatures(2), SoftmaxGate()))
    again = fitted(gate, X, RESP, fitted(gate, X, RESP), brief=True)
    assert again[-1][-1].n_iter_ == 0


class Announced(Pipeline):
    """A pipeline with a `fit` of its own."""

    def fit(self, X, y=None, **params):
        self.rows_ = len(X)
        return super().fit(X, y, **params)


def test_pipeline_of_another_kind_fits_itself():
    gate = Announced([("scale", StandardScaler()), ("gate", SoftmaxGate())])
    assert fitted(gate, X, RESP).rows_ == 120


UNSOUND = {
    "'alpha' parameter of SoftmaxGate .* Got -1.0": make_pipeline(
        StandardScaler(), SoftmaxGate(-1.0)
    ),
    "ntermediate steps should be transformers": make_pipeline(Ridge(), SoftmaxGate()),
    "'tol' parameter of SoftmaxGate": make_pipeline(
        StandardScaler(), make_pipeline(StandardScaler(), SoftmaxGate(tol=-1.0))
    ),
    "not unique": Pipeline([("a", StandardScaler()), ("a", SoftmaxGate())]),
}


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("message", UNSOUND)
def test_steps_and_parameters_are_checked(message, within):
    gate = HierarchicalGate([2, 1], within=UNSOUND[message]) if within else UNSOUND[message]
    with pytest.raises((TypeError, ValueError), match=f"(?s){message}"):
        MixtureOfExpertsRegressor(n_experts=3, gate=gate).fit(X, X[:, 0])


def test_steps_that_fail_are_those_of_the_gate():
    gate = make_pipeline(make_column_transformer((StandardScaler(), [7])), SoftmaxGate())
    with pytest.raises(ValueError, match=r"(?s)gate=Pipeline.*failed to fit its steps"):
        MixtureOfExpertsRegressor(Ridge(), gate=gate, n_init=1).fit(np.eye(40, 3), np.arange(40.0))


def test_new_rows_without_weight_do_not_move_steps_that_take_none():
    y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1]
    gate = make_pipeline(PCA(2), SoftmaxGate())
    moe = MixtureOfExpertsRegressor(gate=gate, n_init=1, max_iter=5, random_state=0).fit(X, y)
    far, weight = X.copy(), np.ones(120)
    far[:50] += 1.0
    weight[:50] = 0.0
    with_them = pickle.loads(pickle.dumps(moe)).update_gate(far, y, weight)
    without = moe.update_gate(X[50:], y[50:])
    np.testing.assert_allclose(with_them.gate_proba(X), without.gate_proba(X), atol=1e-9)
