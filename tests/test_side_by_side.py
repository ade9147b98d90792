"""Runs of EM side by side are the runs one after the other, in fewer calls."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from sklearn_moe import _plans
from sklearn_moe._em import EMRule, run_em
from sklearn_moe._plans import follow, follow_here, run_merged, together
from sklearn_moe._training import make_training
from sklearn_moe.linear import LeftOut, make_bank, recognise
from sklearn_moe.linear._least_squares_bank import LeastSquaresBank
from sklearn_moe.starts import StartContext
from sklearn_moe.starts import _ladder as ladder

RULE = EMRule(max_iter=8, tol=1e-3)


def model_of(n_samples, n_features=3, n_experts=3):
    """The ladder's mixture for rows of opposite slopes, and first responsibilities of its rungs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, n_features))
    y = np.where(X[:, 0] > 0, 3, -3) * X[:, 1] + 0.3 * rng.normal(size=n_samples)
    data = make_training(X, y, y[:, None], np.ones(n_samples), None, None, {}, None, False).data
    context = StartContext(X, y[:, None] / y.std(), data, y, n_experts, seed=0)
    return ladder._linear_model(context), [rung(context) for rung in ladder.RUNGS]


def runs_of(model, begun):
    return [run_em(model, model.begin(resp), RULE) for resp in begun]


def side_by_side(runs):
    return follow(together(*runs), run_merged)


@pytest.fixture
def sizes(monkeypatch):
    """How many jobs have been done at once, each time."""
    found, at_once = [], _plans._at_once
    monkeypatch.setattr(_plans, "_at_once", lambda jobs: found.append(len(jobs)) or at_once(jobs))
    return found


def assert_the_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.lower_bounds, other.lower_bounds, rtol=1e-8)
        assert one.expectation.members == other.expectation.members
        np.testing.assert_allclose(one.expectation.resp, other.expectation.resp, atol=1e-7)


# Few rows have folds, more have none; many columns have no Gram matrices.
@pytest.mark.parametrize("shape", [(60, 3), (300, 3), (1500, 3), (60, 50)])
@pytest.mark.parametrize("n_experts", [1, 2, 4])
def test_runs_end_where_they_would_alone(shape, n_experts, sizes):
    model, begun = model_of(*shape, n_experts=n_experts)
    expected = [follow_here(run) for run in runs_of(model, begun)]
    assert_the_same(side_by_side(runs_of(model, begun)), expected)
    assert max(sizes) == 3


def test_runs_that_lose_experts_go_on_with_those_of_their_number(sizes):
    model, begun = model_of(60)
    begun[1][:, 0] *= 1e-9
    begun[1] /= begun[1].sum(axis=1, keepdims=True)
    whole, poor = (model.begin(resp) for resp in begun[:2])
    poor = replace(poor, last=replace(poor.last, reseeded=frozenset({0})))  # it had a second chance
    expected = [follow_here(run_em(model, at, RULE)) for at in (whole, poor)]
    assert [len(run.expectation.members) for run in expected] == [3, 2]
    found = side_by_side([run_em(model, at, RULE) for at in (whole, poor)])
    assert_the_same(found, expected)
    assert {1, 2} <= set(sizes)


def test_where_nothing_is_solved_together_each_goes_its_way(monkeypatch):
    model, begun = model_of(40)
    expected = [follow_here(run) for run in runs_of(model, begun)]
    asked = []
    monkeypatch.setattr(LeastSquaresBank, "solve_left_out", lambda *parts: asked.append(parts))
    assert_the_same(side_by_side(runs_of(model, begun)), expected)
    assert len(asked[0][1]) == 9


def test_jobs_of_labels_are_done_one_by_one():
    X, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    problem = recognise(LogisticRegression())
    bank = make_bank(type(problem), X, y, 2, 40)
    jobs = [LeftOut([problem] * 2, bank, np.ones((40, 2)), None, None) for _ in range(2)]
    assert jobs[0].kind is None
    for found in run_merged([(job, ()) for job in jobs]):
        np.testing.assert_array_equal(found.mean, jobs[0]().mean)


def test_jobs_of_other_tables_and_other_folds_are_not_one():
    rng = np.random.default_rng(0)
    problem, weights = recognise(Ridge()), rng.random(size=(40, 2))
    tables = [rng.normal(size=(40, 2)) for _ in range(2)]
    banks = [make_bank(type(problem), X, X[:, :1] ** 2, None, 40) for X in tables]
    halves, thirds = (np.array_split(rng.permutation(40), n_folds) for n_folds in (2, 3))
    jobs = [
        LeftOut([problem] * 2, bank, weights, folds, None)
        for bank in banks
        for folds in (None, halves, thirds)
    ]
    jobs += [replace(job, weights=rng.random(size=(40, 2))) for job in jobs]
    for found, job in zip(run_merged([(job, ()) for job in jobs]), jobs, strict=True):
        alone = job()
        np.testing.assert_allclose(found.mean, alone.mean, rtol=1e-12)
        whole, expected = (each.for_new_rows().coef for each in (found, alone))
        np.testing.assert_allclose(whole, expected, rtol=1e-12)


def test_other_jobs_are_done_one_by_one():
    jobs = [(divmod, (7, 2)), (pow, (2, 3)), (divmod, (7, 2))]
    assert run_merged(jobs) == [(3, 1), 8, (3, 1)]
