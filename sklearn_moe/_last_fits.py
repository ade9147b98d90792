"""The experts that are kept once EM has ended: fitted to all rows, and with the folds if asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ._ensembles import EnsembleClassifier, EnsembleRegressor
from ._experts import WeightedExperts, fit_expert, solve_plain
from ._folds import Splits
from ._plans import Job, Plan, together
from ._templates import Template
from .linear import Solution, without_steps

# The part of an even share of its weight that an expert must have outside a fold: with less, a fit
# without the fold is not the same expert.
LEAST_PART = 0.5


def fit_last(
    experts: WeightedExperts, previous: Solution | None, splits: Splits | None, ensemble: bool
) -> Plan[list[Any]]:
    """The experts that are kept."""
    if ensemble and splits is not None:
        return (yield from fit_ensembles(experts, previous, splits))
    return (yield from fit_all_rows(experts, previous))


def fit_all_rows(experts: WeightedExperts, previous: Solution | None = None) -> Plan[list[Any]]:
    """Experts fitted to all rows.

    Coefficients of plain linear experts are set from their solution. If an estimator takes nothing
    else from the table, one of its kind is fitted to a single row and the others are made like it.
    """
    data, templates, weights = experts.data, experts.templates, experts.weights
    solved = yield from _last_solution(experts, previous)
    first = _first_light(templates, solved)
    jobs: dict[int, Job] = {}
    for k, template in enumerate(templates):
        if k in first:
            if first[k] == k:
                jobs[k] = fit_expert, (data, template, data.sample_weight, np.zeros(1, int))
        elif k in solved:
            idle = replace(template, estimator=without_steps(template.fresh()))
            jobs[k] = fit_expert, (data, idle, weights[:, k], None)
        else:
            jobs[k] = fit_expert, (data, template, weights[:, k], None)
    fitted = dict(zip(jobs, (yield list(jobs.values())), strict=True))
    kept = [
        fitted[k] if k in fitted else _alike(fitted[first[k]], template)
        for k, template in enumerate(templates)
    ]
    for k, set_coefficients in solved.items():
        set_coefficients(kept[k])
    return kept


def _first_light(templates: Sequence[Template], solved: dict[int, Any]) -> dict[int, int]:
    """For each solved expert that takes nothing else from the table: the first one of its kind."""
    light = [k for k in solved if (problem := templates[k].problem) and problem.is_light]
    firsts = {templates[k].kind: k for k in reversed(light)}
    return {k: firsts[templates[k].kind] for k in light}


def _alike(fitted: Any, template: Template) -> Any:
    """The template's expert, with what a fitted one of its kind has besides parameters."""
    expert = template.fresh()
    found = {name: copy(value) for name, value in vars(fitted).items() if name not in vars(expert)}
    vars(expert).update(found)
    return expert


def _last_solution(
    experts: WeightedExperts, previous: Solution | None
) -> Plan[dict[int, Callable[[Any], None]]]:
    """What sets the coefficients of each expert whose solution is known."""
    problems = {k: t.problem for k, t in enumerate(experts.templates) if t.problem is not None}
    wanted = {k for k, problem in problems.items() if problem.is_loose or problem.is_light}
    # One expert alone is fitted by its estimator, to be the same to the last digit.
    if len(experts.templates) == 1 or not wanted:
        return {}
    solution = previous and previous.of_all_rows()
    if solution is None:
        solution = yield from solve_plain(experts, None, previous)
    if solution is None:
        return {}
    solved = solution.solved[0]
    places = {k: i for i, k in enumerate(experts.solvable) if k in wanted and solved[i]}
    return {k: partial(solution.polish, problem=i) for k, i in places.items()}


def fit_ensembles(
    experts: WeightedExperts, previous: Solution | None, splits: Splits
) -> Plan[list[Any]]:
    """Each expert fitted to all rows, in an ensemble with its fits without one fold each."""
    whole, left_out = yield from together(
        fit_all_rows(experts, previous), _fit_left_out(experts, splits)
    )
    pairs = [(one, others or [one]) for one, others in zip(whole, left_out, strict=True)]
    data = experts.data
    if data.classes is not None:
        return [EnsembleClassifier(*pair, data.classes) for pair in pairs]
    return [EnsembleRegressor(*pair, np.shape(data.y)[1:]) for pair in pairs]


def _fit_left_out(experts: WeightedExperts, splits: Splits) -> Plan[list[list[Any]]]:
    """The fits of each template without one fold each.

    A fit that would lose most of its expert's region with the fold is not made.
    """
    templates, weights = experts.templates, experts.weights
    trains, masses = [train for train, _ in splits], weights.sum(axis=0)
    least = LEAST_PART * (1 - 1 / len(splits)) * masses
    kept = [np.flatnonzero(weights[train].sum(axis=0) >= least) for train in trains]
    jobs: dict[tuple[int, int], Job] = {
        (k, fold): (fit_expert, (experts.data, templates[k], weights[:, k], trains[fold]))
        for fold, ks in enumerate(kept)
        for k in ks.tolist()
    }
    fitted = dict(zip(jobs, (yield list(jobs.values())), strict=True))
    return [[fit for (k, _), fit in fitted.items() if k == own] for own in range(len(templates))]
