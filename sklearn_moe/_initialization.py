"""The race: starts of different kinds, a few iterations of EM each, the best one goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ._em import EMResult, EMRule, run_em
from ._mixture import MixtureExpectation, MixtureModel
from .starts import STARTS, StartContext

RACE_LENGTH = 3
# Chosen by benchmarks/starts.py; see docs/user_guide/starts.md.
PORTFOLIO = ("ladder", "residual", "kmeans_xy", "tree")

OnStart = Callable[[str, EMResult], Any]


@dataclass(frozen=True)
class Race:
    """The winning run, the name of its start, and the bound that each start reached."""

    winner: EMResult
    name: str
    bounds: dict[str, float]


def start_kinds(init: str, n_init: int) -> list[tuple[str, int]]:
    """(kind, round) of each start: the portfolio in turn, or `n_init` rounds of one kind."""
    kinds = PORTFOLIO if init == "auto" else (init,)
    return [(kinds[i % len(kinds)], i // len(kinds)) for i in range(n_init)]


def prepared_starts(
    context: StartContext, kinds: list[tuple[str, int]], model: MixtureModel
) -> Iterator[tuple[str, MixtureExpectation]]:
    """Named starting expectations, each computed when its turn comes."""
    for kind, again in kinds:
        name = kind if again == 0 else f"{kind}-{again + 1}"
        resp = STARTS[kind](replace(context, seed=context.seed + again))
        yield name, model.expect(resp)


def race(
    model: MixtureModel,
    starts: Iterator[tuple[str, MixtureExpectation]],
    rule: EMRule,
    on_start: OnStart = lambda name, result: None,
) -> Race:
    """Run each start for a few iterations; the one with the highest bound wins."""
    short = replace(rule, max_iter=min(RACE_LENGTH, rule.max_iter))
    winner, winning_name, bounds = None, "", {}
    for name, start in starts:
        result = run_em(model, start, short)
        bounds[name] = result.lower_bound
        on_start(name, result)
        if winner is None or result.lower_bound > winner.lower_bound:
            winner, winning_name = result, name
    return Race(winner, winning_name, bounds)
