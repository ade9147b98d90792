"""What an E-step returns, and what becomes of it when experts are lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import log_softmax, logsumexp
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe._expectation import MixtureExpectation
from sklearn_moe._lost_experts import without
from sklearn_moe._mixture import MixtureModel
from sklearn_moe._numeric import IMPOSSIBLE, log_normalize, normalize

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
TABLES = arrays(
    float, array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.floats(-1e4, 1e4)
)


@given(TABLES)
def test_normalized_rows(log_joint):
    proba, log_total = normalize(log_joint.copy())
    np.testing.assert_allclose(proba, np.exp(log_softmax(log_joint, axis=1)), atol=1e-15, rtol=1e-9)
    np.testing.assert_allclose(log_total, logsumexp(log_joint, axis=1), rtol=1e-12, atol=1e-12)


def test_rows_of_an_expert_that_is_removed_go_to_the_others():
    resp = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [0.2, 0.8, 0.0]])
    left = without(MixtureExpectation(resp=resp, members=(4, 5, 6)), 0)
    assert left.members == (5, 6)
    np.testing.assert_allclose(left.resp, [[0.6, 0.4], [0.5, 0.5], [1.0, 0.0]])


@pytest.mark.parametrize("top_k", [None, 2])
@pytest.mark.parametrize("expert", [Ridge(), DecisionTreeRegressor(max_depth=3)])
def test_written_over_the_gate_or_not(expert, top_k, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 3))
    y = np.abs(X[:, 0]) + 0.1 * rng.normal(size=5000)
    e_step, n_written = MixtureModel.e_step, []

    def both(self, state, overwrite=False):
        apart = e_step(self, state)
        found = e_step(self, state, overwrite)
        np.testing.assert_array_equal(apart.resp, found.resp)
        np.testing.assert_array_equal(apart.log_evidence, found.log_evidence)
        np.testing.assert_allclose(found.resp.sum(axis=1), 1.0, atol=1e-6)
        n_written.append(overwrite)
        return found

    monkeypatch.setattr(MixtureModel, "e_step", both)
    params = {"top_k": top_k, "n_init": 1, "init": "kmeans_x", "verdict": False}
    MixtureOfExpertsRegressor(expert, 3, max_iter=3, tol=0.0, random_state=0, **params).fit(X, y)
    assert n_written.count(True) == (3 if isinstance(expert, Ridge) else 0)


@pytest.mark.parametrize("in_place", [True, False])
def test_what_is_impossible_everywhere_is_so_unlikely_however_many_columns_there_are(in_place):
    log_joint = np.log(np.array([[0.1, 0.3], [1.0, 1.0], [0.2, 0.2]]))
    log_joint[1] = -np.inf
    kept = log_joint.copy()
    log_proba, log_total = log_normalize(log_joint, overwrite=in_place)
    np.testing.assert_allclose(np.exp(log_proba), [[0.25, 0.75], [0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_allclose(log_total, [np.log(0.4), IMPOSSIBLE, np.log(0.4)])
    if not in_place:
        np.testing.assert_array_equal(log_joint, kept)
    proba, total = normalize(kept.copy())
    np.testing.assert_allclose(proba, np.exp(log_proba))
    np.testing.assert_allclose(total, log_total)
