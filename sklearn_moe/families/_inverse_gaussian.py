"""Positive amounts with a long tail: inverse Gaussian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import stats
from scipy.special import ndtri

from .._numeric import Array
from ._real import RELATIVE_FLOOR, PositiveFamily


@dataclass(frozen=True, kw_only=True)
class InverseGaussian(PositiveFamily):
    """Inverse Gaussian law around the expert's output; the variance is dispersion times mean cubed.

    Parameters
    ----------
    shared : bool, default=False
        Whether all experts have the same dispersion.
    """

    exact_ppf: ClassVar[bool] = False

    def frozen(self, mean: Array, *law: Array) -> Any:
        """The law as a frozen distribution of scipy."""
        return stats.invgauss(mean * law[0], scale=1.0 / law[0])

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log density of `y`."""
        deviance = (y - mean) ** 2 / (mean**2 * y)
        return -0.5 * (deviance / law[0] + np.log(2 * np.pi * law[0]) + 3 * np.log(y))

    def ppf(self, level: Array, mean: Array, *law: Array) -> Array:
        """Quantile at `level` of the log-normal law of the same moments: a rough one."""
        variance = np.log1p(law[0] * mean)
        return mean * np.exp(np.sqrt(variance) * ndtri(level) - 0.5 * variance)

    def fit_output(self, y: Array, mean: Array, weights: Array) -> tuple[Array, ...]:
        """The weighted mean deviance (K,)."""
        y = np.where(y > 0, y, mean)
        deviance = (y - mean) ** 2 / (mean**2 * y)
        found = (weights * deviance).sum(axis=0) / weights.sum(axis=0)
        return (np.maximum(found, RELATIVE_FLOOR / np.maximum(self.moments[0], 1e-300)),)
