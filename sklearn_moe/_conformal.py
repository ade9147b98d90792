"""Conformal levels: which quantiles to ask for, so that intervals hold what they promise."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._numeric import Array

# Further than the rounding of a probability, less than that of any count; and what rounding may add
# to a sum of weights.
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
        row scored like those at hand, of n + 1 exchangeable rows it would have any rank with equal
        chance. Where there are too few rows for that, the levels are 0 and 1. Where few values have
        most of the probability, the levels may cross; those of the smallest coverage for which they
        do not are taken then, so that intervals hold those of less.
        """
        rank = int(0.5 * (1 - coverage) * (self.weight.sum() + 1) + ROUNDING)
        pairs = [
            _levels_of_rank(_by_rank(up_to, self.weight), _by_rank(1 - below, self.weight), rank)
            for below, up_to in zip(self.below.T, self.up_to.T, strict=True)
        ]
        low, high = np.transpose(pairs)
        # Where values have probabilities themselves, a target is inside if what is below it is not
        # above the level: the quantile just beyond the level.
        jumps = (self.below != self.up_to).any(axis=0)
        return low, np.where(jumps, np.minimum(high + BEYOND, 1.0), high)


def _by_rank(values: Array, weight: Array) -> Callable[[int], float]:
    """What finds the one of a rank among `values` (n,), which count `weight` (n,) each; 0 for 0."""
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
