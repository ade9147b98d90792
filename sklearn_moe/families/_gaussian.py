"""Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import stats
from scipy.special import ndtr, ndtri

from .._numeric import Array, row_blocks
from ._real import RealFamily


@dataclass(frozen=True, kw_only=True)
class Gaussian(RealFamily):
    """Gaussian law around the expert's output; the dispersion is the variance.

    Suits experts that minimise squared error.

    Parameters
    ----------
    shared : bool, default=False
        Whether all experts have the same variance.
    """

    is_location_scale: ClassVar[bool] = True

    def frozen(self, mean: Array, *law: Array) -> Any:
        """The law as a frozen distribution of scipy."""
        return stats.norm(mean, np.sqrt(law[0]))

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log density of `y`."""
        squared = mean - y
        squared **= 2
        squared /= law[0]
        squared += np.log(2 * np.pi * law[0])
        squared *= -0.5
        return squared

    def cdf(self, y: Array, mean: Array, *law: Array) -> Array:
        """Probability of values up to `y`."""
        return ndtr((y - mean) / np.sqrt(law[0]))

    def ppf(self, level: Array, mean: Array, *law: Array) -> Array:
        """Quantile at `level`."""
        return mean + np.sqrt(law[0]) * ndtri(level)

    def variance(self, mean: Array, *law: Array) -> Array:
        """Variance around the mean."""
        return np.broadcast_to(law[0], mean.shape)

    def fit_output(self, y: Array, mean: Array, weights: Array) -> tuple[Array, ...]:
        """Weighted mean squared residual (K,)."""
        sums = np.zeros(mean.shape[1])
        for rows in row_blocks(*mean.shape):
            residual = mean[rows] - y[rows]
            sums += np.einsum("nk,nk,nk->k", weights[rows], residual, residual)
        return (np.maximum(sums / weights.sum(axis=0), self.floor),)
