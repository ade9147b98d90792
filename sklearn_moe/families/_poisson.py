"""Counts whose variance is their mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import gammaincc, gammaln, ndtri, xlogy

from .._numeric import Array
from ._real import LARGE_COUNT, UndispersedFamily


@dataclass(frozen=True, kw_only=True)
class Poisson(UndispersedFamily):
    """Poisson law around the expert's output; it has no dispersion, which is reported as one."""

    def frozen(self, mean: Array, *law: Array) -> Any:
        """The law as a frozen distribution of scipy."""
        return stats.poisson(np.broadcast_to(mean, np.broadcast_shapes(mean.shape, law[0].shape)))

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log probability of `y`."""
        found = xlogy(y, mean) - mean - gammaln(y + 1)
        is_large = y > LARGE_COUNT
        if not is_large.any():
            return found
        # By Stirling's series, so that no large terms cancel (Loader, 2000).
        count = np.maximum(y, 1.0)
        change = (mean - count) / count
        near = np.log1p(np.maximum(change, -0.5))
        log_ratio = np.where(np.abs(change) < 0.5, near, np.log(mean) - np.log(count))
        series = 0.5 * np.log(2 * np.pi * count) + 1.0 / (12.0 * count)
        return np.where(is_large, count * (log_ratio - change) - series, found)

    def cdf(self, y: Array, mean: Array, *law: Array) -> Array:
        """Probability of values up to `y`."""
        return np.where(y < 0, 0.0, gammaincc(np.floor(np.maximum(y, 0.0)) + 1.0, mean))

    def ppf(self, level: Array, mean: Array, *law: Array) -> Array:
        """Quantile at `level`."""
        found = super().ppf(level, mean, *law)
        # From about 1e11 on scipy has no quantile. There the first terms of the expansion by
        # Cornish and Fisher are off by less than a count.
        lacks = np.isnan(found)
        score = ndtri(np.where(lacks, level, 0.5))
        return np.where(lacks, np.rint(mean + np.sqrt(mean) * score + (score**2 - 1) / 6), found)
