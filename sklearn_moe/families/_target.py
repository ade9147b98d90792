"""What a law of real targets takes from the target it is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._numeric import Array, weighted_moments

# Values that differ by less than these parts of the range of the middle half of a target's values
# (extremes may be far out), or of the whole range, differ by rounding alone.
NO_DISTANCE, ROUNDING = 1e-6, 1e-12


@dataclass(frozen=True, eq=False)
class Target:
    """Weighted mean and variance (q,) of a target, and the step (q,) of the grid it was rounded to.

    A step of zero says that there is no grid.
    """

    mean: Array
    variance: Array
    step: Array

    @classmethod
    def of(cls, y: Array, weight: Array) -> Target:
        """What is known of a target (n, q), rows of no weight left out."""
        step = [_step(output) for output in y[weight > 0].T]
        return cls(*weighted_moments(y, weight), np.array(step))

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Target) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    @property
    def _content(self) -> tuple[tuple[float, ...], ...]:
        """The fields as tuples of numbers: arrays cannot be compared as a whole."""
        return tuple(tuple(part.tolist()) for part in (self.mean, self.variance, self.step))

    def take(self, outputs: Any) -> Target:
        """What is known of some of the outputs."""
        return Target(self.mean[outputs], self.variance[outputs], self.step[outputs])


def _step(values: Array) -> float:
    """The largest number of which all differences of values (n,) are multiples (Euclid)."""
    marks = np.unique(values)
    first, last = len(marks) // 4, 3 * (len(marks) - 1) // 4
    least = max(NO_DISTANCE * (marks[last] - marks[first]), ROUNDING * np.ptp(marks))
    gaps = np.diff(marks)
    gaps = gaps[gaps > least]
    step = 0.0
    while gaps.size:
        step = float(gaps.min())
        remainders = np.abs(gaps - step * np.rint(gaps / step))
        left = remainders[remainders > least]
        gaps = np.append(left, step) if left.size else left
    return step
