"""Counts whose variance is their mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import gammaincc, gammaln, xlogy

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
