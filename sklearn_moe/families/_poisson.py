"""Counts whose variance is their mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import gammaincc, gammaln, ndtri, xlogy

from .._numeric import Array
from ._real import UndispersedFamily


@dataclass(frozen=True, kw_only=True)
class Poisson(UndispersedFamily):
    """Poisson law around the expert's output; it has no dispersion, which is reported as one."""

    def frozen(self, mean: Array, *law: Array) -> Any:
        """The law as a frozen distribution of scipy."""
        return stats.poisson(np.broadcast_to(mean, np.broadcast_shapes(mean.shape, law[0].shape)))

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log probability of `y`."""
        return xlogy(y, mean) - mean - gammaln(y + 1)

    def cdf(self, y: Array, mean: Array, *law: Array) -> Array:
        """Probability of values up to `y`."""
        return np.where(y < 0, 0.0, gammaincc(np.floor(np.maximum(y, 0.0)) + 1.0, mean))

    def ppf(self, level: Array, mean: Array, *law: Array) -> Array:
        """Quantile at `level`."""
        found = super().ppf(level, mean, *law)
        # From some 1e11 on scipy has none. There the first terms of the expansion by Cornish and
        # Fisher leave less than a count.
        lacks = np.isnan(found)
        score = ndtri(np.where(lacks, level, 0.5))
        return np.where(lacks, np.rint(mean + np.sqrt(mean) * score + (score**2 - 1) / 6), found)
