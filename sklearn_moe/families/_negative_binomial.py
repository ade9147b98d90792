"""Counts that vary more than a Poisson law allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import betaln, digamma, gammaincinv, gammaln, log_expit, xlog1py, xlogy

from .._maximise import top_of
from .._numeric import Array
from ._real import LARGE_COUNT, CountFamily

LEAST, MOST = 1e-6, 1e3
LARGE = 1e9


@dataclass(frozen=True, kw_only=True)
class NegativeBinomial(CountFamily):
    """Negative binomial law around the expert's output.

    The variance is mean plus dispersion times squared mean (NB2). As the dispersion falls to its
    smallest value, 1e-6, the law becomes Poisson's.

    Parameters
    ----------
    shared : bool, default=False
        Whether all experts have the same dispersion.
    """

    def frozen(self, mean: Array, *law: Array) -> Any:
        """The law as a frozen distribution of scipy."""
        return stats.nbinom(1.0 / law[0], 1.0 / (1.0 + law[0] * mean))

    def ppf(self, level: Array, mean: Array, *law: Array) -> Array:
        """Quantile at `level`."""
        # Up to large counts scipy takes seconds, or never ends, and a gamma law is near enough.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # of a mean of zero
            share = law[0] + 1.0 / mean
            amount = share * mean * gammaincinv(1.0 / share, level)
        is_large = (mean > LARGE) | (amount > LARGE)
        found = super().ppf(np.where(is_large, 0.5, level), np.where(is_large, 1.0, mean), *law)
        return np.where(is_large, np.rint(amount), found)

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log probability of `y`."""
        size, odds = 1.0 / law[0], law[0] * mean
        log_odds = xlogy(y, odds) - xlog1py(y + size, odds)
        found = gammaln(y + size) - gammaln(size) - gammaln(y + 1.0) + log_odds
        is_large = y > LARGE_COUNT
        if not is_large.any():
            return found
        # Logarithms of factorials, and of odds, leave few digits of the sum, or none.
        with np.errstate(divide="ignore", invalid="ignore"):  # of zeros beside large counts
            log_odds = y * log_expit(np.log(odds)) - size * np.log1p(odds)
        return np.where(is_large, log_odds - betaln(size, y + 1.0) - np.log(y + size), found)

    def fit_output(self, y: Array, mean: Array, weights: Array) -> tuple[Array, ...]:
        """The most likely dispersion (K,)."""
        counts, mass = _mass_of_counts(y, weights)

        def slope(log_dispersion: Array) -> Array:
            size = np.exp(-log_dispersion)
            rise = np.log1p(mean / size) + (y - mean) / (mean + size)
            rest = mass * (digamma(size) - digamma(counts + size))
            return (weights * rise).sum(axis=0) + rest.sum(axis=0)

        ends = np.log(np.outer([LEAST, MOST], np.ones(weights.shape[1])))
        return (np.exp(top_of(slope, *ends)),)


def _mass_of_counts(y: Array, weights: Array) -> tuple[Array, Array]:
    """The counts (U, 1) among targets (n, 1), and their total `weights` (U, K).

    Different counts are few, so special functions take less time.
    """
    counts, place = np.unique(y, return_inverse=True)
    masses = [np.bincount(place.ravel(), weight, len(counts)) for weight in weights.T]
    return counts[:, None], np.column_stack(masses)
