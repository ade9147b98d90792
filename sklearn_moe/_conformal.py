"""Conformal levels: which quantiles to ask for, so that intervals hold what they promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
        ranks = np.arange(0.5 * (1 - coverage) * (self.weight.sum() + 1) + ROUNDING, step=1.0)
        pairs = [
            _levels_of_ranks(*column, self.weight, ranks)
            for column in zip(self.below.T, self.up_to.T, strict=True)
        ]
        low, high = np.transpose(pairs)
        # Where values have probabilities themselves, a target is inside if what is below it is not
        # above the level: the quantile just beyond the level.
        jumps = (self.below != self.up_to).any(axis=0)
        return low, np.where(jumps, np.minimum(high + BEYOND, 1.0), high)


def _levels_of_ranks(
    below: Array, up_to: Array, weight: Array, ranks: Array
) -> tuple[float, float]:
    """The levels of the last of the `ranks`, from below and from above, that do not cross."""
    low, high = _of_ranks(up_to, weight, ranks), 1 - _of_ranks(1 - below, weight, ranks)
    last = np.flatnonzero(low <= high)[-1]
    return low[last], high[last]


def _of_ranks(values: Array, weight: Array, ranks: Array) -> Array:
    """Those among `values` (n,), which count `weight` (n,) each, of some ranks; 0 for rank 0."""
    order = np.argsort(values, kind="stable")
    places = np.searchsorted(np.cumsum(weight[order]), ranks - ROUNDING)
    return np.where(ranks < 1, 0.0, values[order[np.minimum(places, len(order) - 1)]])


def check_coverage(coverage: Any) -> float:
    """A nominal coverage as a float."""
    if np.ndim(coverage):
        raise ValueError(f"coverage={coverage!r} must be one number, such as 0.9 for 90%.")
    return float(check_shares("coverage", coverage)[0])


def check_shares(name: str, values: Any) -> Array:
    """Numbers strictly between 0 and 1 as an array (m,)."""
    shares = np.atleast_1d(np.asarray(values))
    is_vector = shares.dtype.kind in "fiu" and shares.ndim == 1 and len(shares) > 0
    if not (is_vector and ((shares > 0) & (shares < 1)).all()):
        raise ValueError(f"{name}={values!r} must be strictly between 0 and 1: 0.9 for 90%.")
    return shares.astype(np.float64)
