"""Positive amounts with a constant coefficient of variation: gamma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import digamma, gammainc, gammaincinv, gammaln, polygamma

from .._numeric import Array
from ._real import RELATIVE_FLOOR, PositiveFamily

N_STEPS = 30


@dataclass(frozen=True, kw_only=True)
class Gamma(PositiveFamily):
    """Gamma law around the expert's output; the variance is dispersion times squared mean.

    Parameters
    ----------
    shared : bool, default=False
        Whether all experts have the same dispersion.
    """

    def frozen(self, mean: Array, *law: Array) -> Any:
        """The law as a frozen distribution of scipy."""
        return stats.gamma(1.0 / law[0], scale=mean * law[0])

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log density of `y`."""
        shape = 1.0 / law[0]
        log_ratio = np.log(y) - np.log(mean)
        return shape * (log_ratio - y / mean + np.log(shape)) - gammaln(shape) - np.log(y)

    def cdf(self, y: Array, mean: Array, *law: Array) -> Array:
        """Probability of values up to `y`."""
        return gammainc(1.0 / law[0], np.maximum(y, 0.0) / (mean * law[0]))

    def ppf(self, level: Array, mean: Array, *law: Array) -> Array:
        """Quantile at `level`."""
        return mean * law[0] * gammaincinv(1.0 / law[0], level)

    def fit_output(self, y: Array, mean: Array, weights: Array) -> tuple[Array, ...]:
        """The most likely dispersion (K,): Newton's method on the logarithm of the shape."""
        ratio = np.where(y > 0, y, mean) / mean
        excess = (weights * (ratio - 1 - np.log(ratio))).sum(axis=0) / weights.sum(axis=0)
        excess = np.maximum(excess, RELATIVE_FLOOR)
        # A classical approximation of the root of log(shape) - digamma(shape) = excess.
        shape = (3 - excess + np.sqrt((excess - 3) ** 2 + 24 * excess)) / (12 * excess)
        for _ in range(N_STEPS):
            slope = 1.0 - shape * polygamma(1, shape)
            shape = shape * np.exp(-(np.log(shape) - digamma(shape) - excess) / slope)
        return (np.maximum(1.0 / shape, RELATIVE_FLOOR),)
