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
        return -0.5 * (_deviance(y, mean) / law[0] + np.log(2 * np.pi * law[0]) + 3 * np.log(y))

    def ppf(self, level: Array, mean: Array, *law: Array) -> Array:
        """Quantile at `level` of the log-normal law of the same moments: a rough one."""
        variance = np.log1p(law[0] * mean)
        return mean * np.exp(np.sqrt(variance) * ndtri(level) - 0.5 * variance)

    def fit_output(self, y: Array, mean: Array, weights: Array) -> tuple[Array, ...]:
        """The weighted mean deviance (K,)."""
        y = np.where(y > 0, y, mean)
        found = (weights * _deviance(y, mean)).sum(axis=0) / weights.sum(axis=0)
        return (np.maximum(found, RELATIVE_FLOOR / np.maximum(self.moments[0], 1e-300)),)


def _deviance(y: Array, mean: Array) -> Array:
    """Deviance by dispersion; the cube of a tiny amount would be lost."""
    deviance: Array = ((y - mean) / mean) ** 2 / y
    return deviance
