"""What an E-step returns, what becomes of it when experts are lost, and when EM ends."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import log_softmax, logsumexp
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe._em import EMResult, EMRule, run_em
from sklearn_moe._expectation import MixtureExpectation
from sklearn_moe._lost_experts import without
from sklearn_moe._mixture import MixtureModel
from sklearn_moe._numeric import IMPOSSIBLE, log_normalize, normalize
from sklearn_moe._plans import follow_here

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


# When EM ends.


def run_of(scores, bounds=None, **rule):
    """What becomes of a run whose iterations have these scores and bounds."""
    said = iter(
        SimpleNamespace(score=score, lower_bound=bound, is_fixed=False)
        for score, bound in zip(scores, bounds or scores, strict=True)
    )

    def m_step(_):
        return next(said)
        yield

    model = SimpleNamespace(m_step=m_step, conclude=lambda state: (state, state))
    rule = {"max_iter": len(scores), "tol": 0.1} | rule
    return follow_here(run_em(model, EMResult(SimpleNamespace(is_fixed=False)), EMRule(**rule)))


def test_no_more_iterations_are_made_than_there_may_be():
    run = run_of([0.0, 1.0, 2.0, 3.0], max_iter=3)
    assert (run.n_iter, run.reason, run.converged) == (3, "max_iter", False)


def test_of_two_iterations_as_good_the_first_is_kept():
    assert run_of([0.0, 3.0, 1.0, 3.0, 2.0]).best_iter == 2


def test_a_fixed_point_is_one_without_any_tolerance():
    run = run_of([0.0, 3.0, 3.0, 3.0], tol=0.0)
    assert (run.n_iter, run.reason, run.converged) == (3, "tol", True)


def test_score_and_bound_have_to_be_still():
    early, late = [0.0, 1.0, 1.01, 1.01], [0.0, 1.0, 2.0, 2.05]
    assert run_of(early, late).n_iter == run_of(late, early).n_iter == 4
    assert run_of(early, early).n_iter == 3


def test_a_run_that_rises_by_less_than_the_tolerance_loses_patience():
    run = run_of([1.0, 0.0, 1.01, 0.0, 1.02, 0.0], patience=2)
    assert (run.n_iter, run.reason, run.converged) == (3, "patience", True)


@pytest.mark.parametrize(
    ("monotone", "reason", "converged"), [(True, "tol", True), (False, "patience", True)]
)
def test_experts_that_slide_past_the_peak_are_waited_for(monotone, reason, converged):
    run = run_of([5.0, 4.0, 3.4, 3.1, 2.95, 2.87], patience=3, monotone=monotone)
    assert (run.reason, run.converged) == (reason, converged)


def test_a_fall_that_does_not_slow_down_is_no_convergence():
    run = run_of([5.0, 4.0, 3.0, 2.0, 1.0], patience=3, monotone=True)
    assert (run.reason, run.converged) == ("patience", False)


@pytest.mark.parametrize("top_k", [None, 1])
def test_a_target_that_no_expert_can_explain_says_nothing_of_who_has_produced_it(top_k):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1] + 0.1 * rng.normal(size=80)
    moe = MixtureOfExpertsRegressor(Ridge(), 3, top_k=top_k, max_iter=3, random_state=0).fit(X, y)
    y[:5] = 1e200
    proba, resp = moe.gate_proba(X), moe.responsibilities(X, y)
    np.testing.assert_allclose(resp[:5], proba[:5])
    assert np.isneginf(moe.log_prob(X, y)[:5]).all()
