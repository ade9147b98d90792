"""The race: starts of different kinds run a few iterations of EM each; the best one goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ._baseline import Baseline
from ._data import Data
from ._em import DIGITS, EMResult, EMRule, run_em
from ._expert_errors import PartError
from ._first_starts import Start
from ._mixture import MixtureModel
from ._numeric import Array, normalize
from ._plans import Plan, attempt, together
from ._progress import Session

RACE_LENGTH = 3
# Standard errors beyond which a start is surely ahead of one expert.
SURE = 2.0

T = TypeVar("T")
# Runs of EM by what they have begun from; in place of a run that has failed, its error.
Runs = dict[T, EMResult | PartError]


@dataclass(frozen=True)
class Raced:
    """The run that has won, its start and first responsibilities, and the bound of each start."""

    run: EMResult
    start: Start
    resp: Array
    bounds: dict[str, float]


def race(
    model: MixtureModel,
    baseline: Baseline,
    session: Session,
    starts: Sequence[Start],
    spares: Sequence[Start],
) -> Plan[Raced]:
    """The race of the starts or, if all of them fail, of one spare start after the other.

    Spare starts also race if linear experts have found nothing that one expert does not know.
    """
    spares = list(spares)
    raced = yield from attempt(_race(model, baseline, session, starts), PartError)
    while isinstance(raced, PartError):
        if not spares:
            raise raced
        starts = [spares.pop(0)]
        raced = yield from attempt(_race(model, baseline, session, starts), PartError)
    if spares and not _has_found_something(model, raced.run, baseline):
        more = yield from attempt(_race(model, baseline, session, spares), PartError)
        return raced if isinstance(more, PartError) else _better(raced, more)
    return raced


def _has_found_something(model: MixtureModel, run: EMResult, baseline: Baseline) -> bool:
    """Whether the run is surely ahead of one expert, or may yet be: flexible experts at the end."""
    if baseline.is_unknown or model.recipe.specialisation.loses_rows:
        return True
    delta, data = run.expectation.log_evidence - baseline.log_prob, model.data
    mean, stderr = data.mean_and_stderr(delta)
    return mean > SURE * stderr


def _better(one: Raced, other: Raced) -> Raced:
    """Two races as one: the better run, and the bounds of all starts."""
    best = by_bound({0: one.run, 1: other.run})[0]
    return replace((one, other)[best], bounds=one.bounds | other.bounds)


def _race(
    model: MixtureModel,
    baseline: Baseline,
    session: Session,
    starts: Sequence[Start],
) -> Plan[Raced]:
    """Run all starts for one iteration, the better half for a few more; the best of them wins.

    Starts under which an expert cannot be fitted are out; if all are, the first error is raised.
    """
    first, runs = yield from run_starts(model, starts, baseline.surprise, session.rule)
    for start, run in runs.items():
        if isinstance(run, PartError):
            session.reporter.failure(start.label, run)
        else:
            session.reporter.start(start.label, run)
    winner, run = winner_of(runs)
    bounds = {start.label: each.lower_bound for start, each in _sound(runs).items()}
    return Raced(run, winner, first[winner], bounds)


def run_starts(
    model: MixtureModel, starts: Sequence[Start], surprise: Array | None, rule: EMRule
) -> Plan[tuple[dict[Start, Array], Runs[Start]]]:
    """First responsibilities of each start, and its run in the race."""
    arguments = model.recipe, model.data, surprise
    made = yield [(start.responsibilities, arguments) for start in starts]
    first = dict(zip(starts, made, strict=True))
    begun = {start: model.begin(resp) for start, resp in first.items()}
    return first, (yield from run_heats(model, begun, rule))


def run_heats(model: MixtureModel, begun: dict[T, EMResult], rule: EMRule) -> Plan[Runs[T]]:
    """EM for one iteration from each beginning, and for a few more from the better half."""
    keys = list(begun)
    runs = yield from run_all(model, begun, replace(rule, max_iter=1))
    leaders = by_bound(_sound(runs))[: (len(runs) + 1) // 2]
    ahead = _sound({key: runs.pop(key) for key in leaders})
    short = replace(rule, max_iter=min(RACE_LENGTH, rule.max_iter))
    runs |= yield from run_all(model, ahead, short)
    return {key: runs[key] for key in keys}


def run_all(model: MixtureModel, begun: dict[T, EMResult], rule: EMRule) -> Plan[Runs[T]]:
    """EM from each beginning, all in step.

    `begun` is emptied, since each beginning is as large as the table.
    """
    starts = list(begun)
    runs = [attempt(run_em(model, at, rule), PartError) for at in begun.values()]
    begun.clear()
    return dict(zip(starts, (yield from together(*runs)), strict=True))


def by_bound(runs: dict[T, EMResult]) -> list[T]:
    """The keys by bound, the highest first; those level but for rounding stay in order."""
    return sorted(runs, key=lambda each: -round(float(runs[each].lower_bound), DIGITS))


def winner_of(runs: Runs[T]) -> tuple[T, EMResult]:
    """The key and the run of the highest bound; if all have failed, raise the first error."""
    sound = _sound(runs)
    if not sound:
        raise next(run for run in runs.values() if isinstance(run, PartError))
    best = by_bound(sound)[0]
    return best, sound[best]


def _sound(runs: Runs[T]) -> dict[T, EMResult]:
    """The runs that have not failed."""
    return {key: run for key, run in runs.items() if isinstance(run, EMResult)}


def assigned(
    model: MixtureModel, run: EMResult, data: Data, rows: NDArray[np.intp]
) -> Plan[Array | None]:
    """Responsibilities (n, K) for `data` by a run on some of its `rows`; None if experts are lost.

    All experts are asked, even if few act on a row.
    """
    at, recipe = run.expectation, replace(model.recipe, top_k=None)
    if len(at.members) < len(recipe.templates):
        return None
    everyone = replace(model, recipe=recipe)
    log_gate, mean, law = yield from everyone.predict_new(run.state, data.X)
    resp = normalize(log_gate + recipe.family.log_prob(data.target, mean, law))[0]
    resp[rows] = at.resp  # out of fold, if there are folds
    return resp
