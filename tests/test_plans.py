"""Plans: several are followed in step, and are told of jobs that fail."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor, _parallel
from sklearn_moe._plans import attempt, do, follow, follow_here, run_here, together


def countdown(n):
    """A plan of `n` rounds of one job each, that adds up what they return."""
    total = 0
    for i in range(n):
        total += yield from do(abs, -i)
    return total


def test_plans_that_go_together_send_one_list_a_round():
    lists = []

    def run(jobs):
        lists.append(len(jobs))
        return run_here(jobs)

    assert follow(together(countdown(4), countdown(0), countdown(2)), run) == [6, 0, 1]
    assert lists == [2, 2, 1, 1]


class Large:
    """What a job returns; the living ones are counted."""

    living = 0

    def __init__(self):
        Large.living += 1

    def __del__(self):
        Large.living -= 1


@pytest.mark.parametrize(
    "beside", [lambda plan: plan, together, lambda plan: attempt(plan, ValueError)]
)
def test_results_are_let_go_once_they_are_handed_over(beside):
    def forgets():
        yield from do(Large)
        return (yield from do(lambda: Large.living))

    assert follow_here(beside(forgets())) in (0, [0])


def test_nothing_to_do_together():
    assert follow_here(together()) == []


def test_plan_that_hears_of_a_failed_job_may_go_on():
    def careful():
        try:
            yield from together(countdown(2), do(int, "no number"))
        except ValueError:
            return (yield from countdown(3))

    assert follow_here(careful()) == 3


def test_attempt_that_fails_leaves_the_others_alone():
    def fails_itself():
        yield from countdown(1)
        raise ValueError("of its own")

    attempts = countdown(3), do(int, "no number"), fails_itself()
    whole, job, own = follow_here(together(*(attempt(plan, ValueError) for plan in attempts)))
    assert whole == 3
    assert "no number" in str(job)
    assert str(own) == "of its own"
    with pytest.raises(ValueError, match="no number"):
        follow_here(attempt(do(int, "no number"), ZeroDivisionError))


def test_attempts_nest():
    def within():
        tries = do(int, "no number"), do(int, "3")
        return (yield from together(*(attempt(plan, ValueError) for plan in tries)))

    error, number = follow_here(attempt(attempt(within(), ValueError), Exception))
    assert isinstance(error, ValueError)
    assert number == 3


def test_attempt_may_recover_by_itself():
    def careful():
        try:
            yield from do(int, "no number")
        except ValueError:
            return (yield from countdown(3))

    assert follow_here(attempt(careful(), ValueError)) == 3


def test_failed_job_ends_a_plan_that_does_not_care():
    closed = []

    def plan():
        try:
            yield from do(int, "no number")
        finally:
            closed.append(True)

    with pytest.raises(ValueError, match="no number"):
        follow_here(plan())
    assert closed == [True]


def test_starts_witnesses_experts_and_folds_are_one_list(monkeypatch):
    """With 2 experts, 3 folds and 4 starts: the jobs of a round are all sent at once."""
    lists = []

    def noted(self, jobs):
        lists.append(len(jobs))
        return run_here(jobs)

    monkeypatch.setattr(_parallel.Workers, "_run", noted)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2))
    MixtureOfExpertsRegressor(
        DecisionTreeRegressor(max_depth=2), cv=3, pooling=0, max_iter=4, tol=0, random_state=0
    ).fit(X, X[:, 0] * X[:, 1])
    # Each start asks for six fits of experts and a step of its gate, and so does the fit; a witness
    # for four fits and a gate.
    assert 4 * (2 * 3 + 1) in lists
    assert (2 * 3 + 1) + 3 * (2 * 2 + 1) in lists
