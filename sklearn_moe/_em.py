"""The engine: iterate M-step and E-step until the score settles, and keep the best state.

It knows verbs and no statistics. EM raises the score of an expectation: the bound, or the score
that witnesses give. A run that rises steadily stops when one more iteration changes score and bound
by no more than `tol`; a run that wanders (tree experts do not maximise a likelihood), or has begun
to overfit, stops when `patience` iterations in a row have not raised the best score by `tol`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

# Digits of a bound that rounding leaves alone: runs that differ beyond these are level.
DIGITS = 9


class Expectation(Protocol):
    """Result of an E-step, as far as the engine looks into it.

    If it `is_fixed`, another iteration would change nothing.
    """

    @property
    def lower_bound(self) -> float: ...

    @property
    def score(self) -> float: ...

    @property
    def is_fixed(self) -> bool: ...


class Model(Protocol):
    """All that the engine sees of a model.

    An M-step is a plan: it may ask for jobs to be done. To conclude a state is to take the E-step;
    it returns what is to be kept of the state, and the expectation.
    """

    def m_step(self, expectation: Any) -> Generator[Any, Any, Any]: ...
    def conclude(self, state: Any) -> tuple[Any, Expectation]: ...


@dataclass(frozen=True)
class EMRule:
    """When to stop. `tol` is in nats per unit of sample weight."""

    max_iter: int
    tol: float
    patience: int = 5
    monotone: bool = False


@dataclass(frozen=True)
class EMResult:
    """The latest expectation of a run, its best state and the expectation of that, and how it went.

    A run that has not begun has only its first expectation.
    """

    last: Any
    state: Any = None
    expectation: Any = None
    lower_bounds: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    best_iter: int = 0
    converged: bool = False
    reason: str = "max_iter"

    @property
    def lower_bound(self) -> float:
        return self.expectation.lower_bound

    @property
    def n_iter(self) -> int:
        return len(self.lower_bounds)


def run_em(
    model: Model,
    result: EMResult,
    rule: EMRule,
    on_iteration: Callable[[EMResult], bool | None] = lambda result: None,
) -> Generator[Any, Any, EMResult]:
    """Run EM under `rule`, from the start, or the present place, of the run in `result`.

    `on_iteration` is called after each iteration; a true answer ends the run.
    """
    while result.n_iter < rule.max_iter and not result.last.is_fixed:
        state = yield from model.m_step(result.last)
        result = _settled(_append(result, *model.conclude(state)), rule)
        del state  # the parts that are not kept are as large as the table
        if on_iteration(result) and result.reason == "max_iter":
            result = replace(result, reason="callback")
        if result.reason != "max_iter":
            break
    return result


def _append(result: EMResult, state: Any, expectation: Expectation) -> EMResult:
    best = result.expectation
    longer = replace(
        result,
        last=expectation,
        lower_bounds=(*result.lower_bounds, expectation.lower_bound),
        scores=(*result.scores, expectation.score),
    )
    if best is None or round(expectation.score, DIGITS) > round(best.score, DIGITS):
        return replace(longer, state=state, expectation=expectation, best_iter=longer.n_iter)
    return longer


def _settled(result: EMResult, rule: EMRule) -> EMResult:
    scores = result.scores
    still = all(_is_still(values, rule.tol) for values in (scores, result.lower_bounds))
    if still or result.last.is_fixed:
        return replace(result, converged=True, reason="tol")
    early, late = scores[: -rule.patience], scores[-rule.patience :]
    if not early or max(late) >= max(early) + rule.tol:
        return result
    if rule.monotone and _settles(scores[-rule.patience - 1 :]):
        return result
    return replace(result, converged=not rule.monotone, reason="patience")


def _is_still(values: tuple[float, ...], tol: float) -> bool:
    return len(values) > 1 and abs(values[-1] - values[-2]) <= tol


def _settles(scores: tuple[float, ...]) -> bool:
    """Whether changes shrink: penalised experts slide past the peak, toward their fixed point."""
    changes = [abs(late - early) for early, late in pairwise(scores)]
    return changes[-1] < 0.5 * max(changes)


def failure_text(result: EMResult, tol: float) -> str:
    """Why a run did not converge, and what its user can do."""
    if result.reason == "patience":
        return (
            f"In-sample EM stopped rising after iteration {result.best_iter} of {result.n_iter}, "
            f"but still moved by more than tol={tol}: the experts do not maximise a likelihood. "
            "The best state is kept. Use cross-fitting (cv=5) for experts of this kind."
        )
    return (
        f"EM did not settle within max_iter={result.n_iter} iterations: the last one changed its "
        f"score or bound by more than tol={tol} per unit of weight. The best state, of iteration "
        f"{result.best_iter}, is kept. Raise max_iter or tol."
    )
