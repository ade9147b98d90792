"""Runs of EM on one table side by side, whose linear algebra is done for all of them at once.

On few rows numpy's calls cost more than its numbers, and on many rows one pass serves all runs.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import pairwise
from typing import Any

import numpy as np

from .._plans import Job, Plan, follow, run_here, together
from .._softmax_bank import step
from ..linear import solve_left_out


def side_by_side(*plans: Plan[Any]) -> list[Any]:
    """Results of plans that are followed in step, here."""
    return follow(together(*plans), run_merged)


def run_merged(jobs: list[Job]) -> list[Any]:
    """Results of the jobs; those of one kind are one call."""
    results: list[Any] = [None] * len(jobs)
    alike: dict[Hashable, list[int]] = {}
    for place, job in enumerate(jobs):
        alike.setdefault(kind_of(job, place), []).append(place)
    for places in alike.values():
        for place, result in zip(places, merged([jobs[at] for at in places]), strict=True):
            results[place] = result
    return results


def kind_of(job: Job, place: int) -> Hashable:
    """What jobs have in common that can be done at once; the job's own `place` if nothing."""
    function, arguments = job
    if function is solve_left_out:
        _, table, _, folds, _ = arguments
        return solve_left_out, id(table), id(folds)
    if function is step:
        bank, weights, previous = arguments
        if not bank.takes_whole_steps(previous):
            return id(bank), weights.shape, previous is None
    return place


def merged(jobs: list[Job]) -> list[Any]:
    """Results of jobs that can be done at once."""
    function = jobs[0][0]
    if len(jobs) == 1:
        return run_here(jobs)
    if function is solve_left_out:
        return solved([arguments for _, arguments in jobs])
    banks, weights, previous = zip(*(arguments for _, arguments in jobs), strict=True)
    return banks[0].steps(weights, None if previous[0] is None else previous)


def solved(asked: list[tuple]) -> list[Any]:
    """Solutions of the linear experts of several runs."""
    _, table, _, folds, start = asked[0]
    problems = [problem for each in asked for problem in each[0]]
    weights = np.hstack([each[2] for each in asked])
    whole: Any = solve_left_out(problems, table, weights, folds, start)
    if whole is None:
        return [None] * len(asked)
    ends = np.cumsum([len(each[0]) for each in asked]).tolist()
    return [whole.of(slice(*ends)) for ends in pairwise([0, *ends])]
