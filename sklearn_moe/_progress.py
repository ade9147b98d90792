"""What a long fit says while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from ._em import EMResult


class Reporter:
    """Prints a line for each start and trial (`verbose` 1 or more) and iteration (2 or more)."""

    def __init__(self, owner: str, verbose: int) -> None:
        self.owner = owner
        self.verbose = verbose
        self.begun = perf_counter()

    def start(self, name: str, result: EMResult) -> None:
        """Report the bound that a start has reached in the race."""
        if self.verbose >= 1:
            print(f"[{self.owner}] start {name}: bound {result.lower_bound:.5f}", flush=True)

    def trial(self, name: str, result: EMResult, wins: bool) -> None:
        """Report the bound that the winner of the race has reached with something else."""
        if self.verbose >= 1:
            outcome = "kept" if wins else "not kept"
            print(f"[{self.owner}] {name}: bound {result.lower_bound:.5f}, {outcome}", flush=True)

    def iteration(self, result: EMResult) -> None:
        """Report the bound of the latest iteration."""
        if self.verbose >= 2:
            bound = result.lower_bounds[-1]
            print(f"[{self.owner}] iteration {result.n_iter}: bound {bound:.5f}", flush=True)

    def number(self, n_experts: int, gain: float, stderr: float) -> None:
        """Report how much better than one expert a number of experts explains unseen rows."""
        if self.verbose >= 1:
            print(
                f"[{self.owner}] {n_experts} experts: gain {gain:.4f} +- {stderr:.4f}", flush=True
            )

    def noise(self, changes: Sequence[tuple[float, float | None]]) -> None:
        """Report how unseen rows have changed the noise of the outputs, if they have."""
        for factor, df in changes:
            if self.verbose >= 1 and (factor != 1.0 or df is not None):
                tails = "" if df is None else f", Student-t tails of {df:.1f} degrees of freedom"
                print(f"[{self.owner}] noise: dispersions times {factor:.2f}{tails}", flush=True)

    def end(self, result: EMResult) -> None:
        """Report how the run ended."""
        if self.verbose >= 1:
            print(
                f"[{self.owner}] {result.n_iter} iterations, {perf_counter() - self.begun:.1f} s, "
                f"stopped by {result.reason}, best bound {result.lower_bound:.5f} at iteration "
                f"{result.best_iter}",
                flush=True,
            )
