"""The series in Tweedie's density, which for a given power is a function of one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicHermiteSpline
from scipy.special import gammaln

from .._numeric import Array

# Terms of the series below this part of the largest, in nats, are left out.
NEGLIGIBLE = 37.0
# The table of the series goes on to this many amounts, in steps that leave ten digits, as long as
# there are not too many of them: powers next to 1 make it long.
MOST_AMOUNTS, STEP, MOST_STEPS = 1e4, 0.02, 2**16
# Entries of a block of terms, which fits into the cache, and of a table of their constants.
AT_ONCE, LONGEST_TABLE = 2**16, 10**6


@dataclass(frozen=True)
class Series:
    """The sum of exp(j slope) / (j! Gamma(j shape)) over j = 1, 2, ..., read from a table.

    The table holds the logarithm of the sum, less what it tends to. Below the table the first term
    is the whole sum, above it terms are added up.
    """

    shape: float
    low: float
    high: float
    rest: CubicHermiteSpline

    def log_sum(self, slope: Array) -> Array:
        """Logarithm of the sum at each `slope`."""
        return self._read(
            slope,
            slope - gammaln(self.shape),
            lambda at: self.rest(at) + (1 + self.shape) * amounts_at(at, self.shape),
            lambda at: summed(at, self.shape)[0],
        )

    def mean_number(self, slope: Array) -> Array:
        """The mean of j where its probability is in proportion to its term."""
        return self._read(
            slope,
            np.ones_like(slope),
            lambda at: self.rest(at, 1) + amounts_at(at, self.shape),
            lambda at: summed(at, self.shape)[1],
        )

    def _read(
        self,
        slope: Array,
        below: Array,
        between: Callable[[Array], Array],
        above: Callable[[Array], Array],
    ) -> Array:
        found, is_above = np.array(below), slope > self.high
        inside = (slope > self.low) & ~is_above
        found[inside] = between(slope[inside])
        if is_above.any():
            found[is_above] = above(slope[is_above])
        return found


@lru_cache(maxsize=16)
def series_of(shape: float) -> Series:
    """The series of one shape."""
    # Here the second term is lost in the rounding of the first.
    low = np.log(2.0) + gammaln(2 * shape) - gammaln(shape) - NEGLIGIBLE
    high = (1 + shape) * np.log(MOST_AMOUNTS) + shape * np.log(shape)
    at = low + STEP * np.arange(min(int((high - low) / STEP), MOST_STEPS) + 1)
    log_sum, mean_number = summed(at, shape)
    amounts = amounts_at(at, shape)
    rest = CubicHermiteSpline(at, log_sum - (1 + shape) * amounts, mean_number - amounts)
    return Series(shape, low, at[-1], rest)


def amounts_at(slope: Array, shape: float) -> Array:
    """Nearly the number j at which the terms are largest."""
    return np.exp((slope - shape * np.log(shape)) / (1 + shape))


def summed(slope: Array, shape: float) -> tuple[Array, Array]:
    """Logarithm of the sum of the terms, and the mean of j under them.

    Terms rise to one peak and fall; those around it are summed, as many as the widest peak needs.
    """
    peak = np.maximum(amounts_at(slope, shape), 1.0)
    width = np.sqrt(2 * NEGLIGIBLE * peak / (1 + shape)) + 10
    first = np.maximum(np.rint(peak - width), 1.0)
    n_terms = int(np.max(np.rint(peak + width) - first)) + 1
    log_constant = _log_constants(first, n_terms, shape)
    largest = np.rint(peak) * slope - log_constant(np.rint(peak))
    total, moment = np.zeros_like(slope), np.zeros_like(slope)
    n_at_once = max(1, AT_ONCE // slope.size)
    for begin in range(0, n_terms, n_at_once):
        j = first + np.arange(begin, min(begin + n_at_once, n_terms)).reshape(-1, *[1] * first.ndim)
        terms = np.exp(j * slope - log_constant(j) - largest)
        total += terms.sum(axis=0)
        moment += (j * terms).sum(axis=0)
    return largest + np.log(total), moment / total


def _log_constants(first: Array, n_terms: int, shape: float) -> Callable[[Array], Array]:
    """Maps numbers j, from `first` on, to log(j! Gamma(j shape)): a table, if they are not many."""

    def at(j: Array) -> Array:
        return gammaln(j + 1) + gammaln(j * shape)

    start, end = first.min(), first.max() + n_terms
    if end - start > LONGEST_TABLE:
        return at
    table = at(np.arange(start, end))
    return lambda j: table[(j - start).astype(np.intp)]
