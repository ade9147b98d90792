"""Gaussian noise, one variance for each expert and output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._numeric import Array, weighted_moments
from ._base import Family

RELATIVE_FLOOR = 1e-8


@dataclass(frozen=True)
class Gaussian(Family):
    """Gaussian law; `dispersion` (K, q) is the variance, never below `floor` (q,)."""

    floor: Array

    def log_prob(self, y: Array, mean: Array, dispersion: Array) -> Array:
        """Log density (n, K), summed over independent outputs."""
        total = np.log(2 * np.pi * dispersion).sum(axis=1)
        for output in range(y.shape[1]):
            squared = mean[..., output] - y[:, output, None]
            squared **= 2
            squared /= dispersion[:, output]
            squared += total
            total = squared
        total *= -0.5
        return total

    def fit_dispersion(self, y: Array, mean: Array, expert_weights: Array) -> Array:
        """Weighted mean squared residuals (K, q)."""
        residual = mean - y[:, None, :]
        sums = np.einsum("nk,nkq,nkq->kq", expert_weights, residual, residual)
        return np.maximum(sums / expert_weights.sum(axis=0)[:, None], self.floor)


def gaussian_for(y: Array, sample_weight: Array) -> Gaussian:
    """The Gaussian law for a target `y` (n, q), with floors relative to its spread."""
    mean, variance = weighted_moments(y, sample_weight)
    rounding = (np.finfo(np.float64).eps * np.abs(mean)) ** 2
    floor = np.maximum(RELATIVE_FLOOR * variance, rounding)
    return Gaussian(np.where(floor > 0, floor, np.finfo(np.float64).eps))
