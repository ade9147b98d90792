"""Conformal levels: which quantiles to ask for, so that intervals hold what they promise."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._numeric import Array

# More than the rounding error of a probability, less than the probability of any count; and what
# rounding may add to a sum of weights.
BEYOND = ROUNDING = 1e-9


@dataclass(frozen=True)
class Calibration:
    """Where targets fell in distributions of unseen rows: probabilities up to and below each.

    `below` and `up_to` (n, q) are equal where the target is continuous. Weights count as repeats.
    """

    below: Array
    up_to: Array
    weight: Array

    def levels(self, coverage: float) -> tuple[Array, Array]:
        """Levels (q,) of quantiles between which a new target falls with probability `coverage`.

        They are order statistics, each with half of the remaining probability outside: were the new
        row scored like those at hand, then of n + 1 exchangeable rows it would have any rank with
        equal chance. If there are too few rows for that, the levels are 0 and 1. If few values have
        most of the probability, the levels may cross; then those of the smallest coverage for which
        they do not are taken, so that intervals contain those of smaller coverage.
        """
        rank = int(0.5 * (1 - coverage) * (self.weight.sum() + 1) + ROUNDING)
        pairs = [
            _levels_of_rank(_by_rank(up_to, self.weight), _by_rank(1 - below, self.weight), rank)
            for below, up_to in zip(self.below.T, self.up_to.T, strict=True)
        ]
        low, high = np.transpose(pairs)
        # If values have probabilities of their own, a target is inside if the probability below it
        # does not exceed the level: hence the quantile just beyond the level.
        jumps = (self.below != self.up_to).any(axis=0)
        return low, np.where(jumps, np.minimum(high + BEYOND, 1.0), high)


def _by_rank(values: Array, weight: Array) -> Callable[[int], float]:
    """A function from a rank to its value among `values` (n,) of `weight` (n,); 0 at rank 0."""
    order = np.argsort(values, kind="stable")
    ranks = np.cumsum(weight[order])

    def value_of(rank: int) -> float:
        place = min(int(np.searchsorted(ranks, rank - ROUNDING)), len(order) - 1)
        return float(values[order[place]]) if rank else 0.0

    return value_of


def _levels_of_rank(
    low: Callable[[int], float], high: Callable[[int], float], rank: int
) -> tuple[float, float]:
    """The levels of a rank from below and from above; if they cross, the last that do not."""
    n_apart = bisect_left(range(rank + 1), True, key=lambda at: low(at) > 1 - high(at))
    return low(n_apart - 1), 1 - high(n_apart - 1)
