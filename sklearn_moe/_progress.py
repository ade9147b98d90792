"""What a long fit says while it runs: in print, and to callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Protocol

from ._callbacks import Tasks
from ._em import EMResult, EMRule, Expectation


@dataclass(frozen=True)
class Session:
    """How the runs of a fit go: when EM stops, and who hears of it."""

    rule: EMRule
    reporter: Reporter

    def was_ended(self, result: EMResult) -> bool:
        """Whether a callback has ended a run, or wants no other."""
        return self.reporter.was_last_run or result.reason == "callback"

    def left_after(self, result: EMResult) -> int:
        """How many iterations a run has left."""
        return self.rule.max_iter - result.n_iter

    def within(self, max_iter: int) -> Session:
        """The session with fewer iterations."""
        return replace(self, rule=replace(self.rule, max_iter=max_iter))


class HasResult(Protocol):
    """A run of EM, under way or finished."""

    @property
    def result(self) -> EMResult: ...


class Reporter:
    """Prints a line for each start and trial (`verbose` 1 or more) and iteration (2 or more).

    Callbacks hear of the `tasks`; `attributes_of` are those of an estimator fitted as far as a run
    has come.
    """

    def __init__(
        self,
        owner: str,
        verbose: int,
        tasks: Tasks,
        attributes_of: Callable[[Any], dict[str, Any]],
    ) -> None:
        self.owner = owner
        self.verbose = verbose
        self.tasks = tasks
        self.attributes_of = attributes_of
        self.begun = perf_counter()
        self.was_last_run = False

    def _say(self, text: str, level: int = 1) -> None:
        if self.verbose >= level:
            print(f"[{self.owner}] {text}", flush=True)

    def penalty(self, name: str, C: float) -> None:
        """Report the penalty that an expert of all rows has found for those like it."""
        self._say(f"penalty of {name}: C={C:.3g}, found by one expert of all rows")

    @contextmanager
    def race(self, starts: Sequence[str]) -> Iterator[None]:
        """Report a race of starts, which tells of itself only when all have run."""
        self._say(f"racing starts: {', '.join(starts)}")
        with self.tasks.task("race"):
            yield

    def start(self, name: str, result: EMResult) -> None:
        """Report the bound that a start has reached in the race."""
        self._say(f"start {name}: bound {result.lower_bound:.5f}")

    def failure(self, name: str, error: Exception) -> None:
        """Report a start or a trial under which an expert could not be fitted."""
        self._say(f"{name}: failed, {error}")

    def trial(self, name: str, result: EMResult | Expectation, wins: bool) -> None:
        """Report the bound that something else has brought, and whether it is kept."""
        outcome = "kept" if wins else "not kept"
        self._say(f"{name}: bound {result.lower_bound:.5f}, {outcome}")

    def missed(self, folds: Sequence[int]) -> None:
        """Report that the witnesses of some folds begin again."""
        self._say(f"witnesses of folds {list(folds)} have missed what the fit has found: they race")

    @contextmanager
    def run(self, max_iter: int) -> Iterator[None]:
        """Report a run of EM; `was_last_run` is whether a callback then wants no other."""
        with self.tasks.task("EM", max_iter):
            self.tasks.begin("iteration")
            yield
        self.was_last_run |= self.tasks.was_last

    def iteration(self, run: HasResult, max_iter: int) -> bool:
        """Report the latest iteration of a run; whether a callback wants it to be the last."""
        result = run.result
        bound, score = result.lower_bounds[-1], result.scores[-1]
        # A run that goes on from where a witness has come has no scores of its own.
        has_witnesses = len(result.scores) == len(result.lower_bounds) and score != bound
        unseen = f", of witnesses {score:.5f}" if has_witnesses else ""
        self._say(f"iteration {result.n_iter}: bound {bound:.5f}{unseen}", level=2)
        is_last = self.tasks.end(lambda: self.attributes_of(run))
        if not is_last and result.reason == "max_iter" and result.n_iter < max_iter:
            self.tasks.begin("iteration")
        return is_last

    def number(self, n_experts: int, gain: float, stderr: float) -> None:
        """Report how much better than one expert a number of experts explains unseen rows."""
        self._say(f"{n_experts} experts: gain {gain:.4f} +- {stderr:.4f}")

    def noise(self, changes: Sequence[tuple[float, float | None]]) -> None:
        """Report how unseen rows have changed the noise of the outputs, if they have."""
        for factor, df in changes:
            if factor != 1.0 or df is not None:
                tails = "" if df is None else f", Student-t tails of {df:.1f} degrees of freedom"
                self._say(f"noise: dispersions times {factor:.2f}{tails}")

    def end(self, result: EMResult, n_experts: int) -> None:
        """Report how the run ended, and how many experts are kept."""
        self._say(
            f"{result.n_iter} iterations, {perf_counter() - self.begun:.1f} s, stopped by "
            f"{result.reason}; iteration {result.best_iter} kept, bound {result.lower_bound:.5f}, "
            f"{n_experts} experts"
        )
