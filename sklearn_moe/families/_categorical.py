"""Class labels: an expert's probabilities, smoothed toward the class rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array, safe_log
from ._base import Family

N_STEPS = 30


@dataclass(frozen=True)
class Categorical(Family):
    """Categorical law of class codes.

    The dispersion (K,) of an expert is the share of its probability that is moved to the global
    class rates `class_prior` (C,). It is the share under which the given predictions are most
    likely, so an expert that is sure and wrong (deep trees, hard votes) pays what its own
    out-of-fold record says it must, and no probability is zero. Predictions for the very rows of
    the fit tell nothing of the kind: in sample the share stays at its floor.
    """

    class_prior: Array
    in_sample: bool = False

    def log_prob(self, y: Array, mean: Array, dispersion: Array) -> Array:
        """Log probability (n, K) of each label under each smoothed expert."""
        own = _own(y, mean)
        return safe_log((1 - dispersion) * own + dispersion * self.class_prior[y][:, None])

    def fit_dispersion(self, y: Array, mean: Array, expert_weights: Array) -> Array:
        """Most likely smoothing shares (K,), kept above zero.

        The log-likelihood is concave in the share; the bisection of its slope is vectorised over
        experts.
        """
        mass = expert_weights.sum(axis=0)
        own = _own(y, mean)
        prior = self.class_prior[y][:, None]
        # An expert never wrong in n rows may still err once in about n tables of n rows.
        lowest = (1.0 + mass) ** -2.0
        if self.in_sample:
            return lowest
        low, high = lowest.copy(), np.ones_like(mass)
        for _ in range(N_STEPS):
            share = 0.5 * (low + high)
            slope = expert_weights * (prior - own) / ((1 - share) * own + share * prior)
            rising = slope.sum(axis=0) > 0
            low, high = np.where(rising, share, low), np.where(rising, high, share)
        return np.maximum(0.5 * (low + high), lowest)

    def attributes(self, dispersion: Array) -> dict[str, Any]:
        """Smoothing shares (K,)."""
        return {"dispersions_": dispersion}

    def adjust(self, mean: Array, dispersion: Array) -> Array:
        """Smoothed class probabilities (n, K, C)."""
        share = dispersion[:, None]
        return (1 - share) * mean + share * self.class_prior


def _own(y: NDArray, mean: Array) -> Array:
    """What each expert (n, K) gives the class that each row has."""
    by_class = np.moveaxis(mean, 0, -1).reshape(mean.shape[1], -1)
    return np.take(by_class, y * len(y) + np.arange(len(y)), axis=1).T
