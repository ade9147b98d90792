"""Weights of mixtures that answer together, found on unseen rows."""

from __future__ import annotations

import numpy as np

from .._numeric import Array, normalize, safe_log

# A mixture of less weight is not worth a fit.
LEAST_WEIGHT = 0.05
# This stands for minus infinity.
LEAST_LOG_PROB = -1e300
# Nats that are left to gain when weights have settled, and steps that this may take.
SETTLED, MOST_STEPS = 1e-6, 5000


def stacking_weights(log_probs: Array, sample_weight: Array) -> Array:
    """Weights (M,) under which the pool of M densities explains rows best; none of them tiny.

    `log_probs` (n, M) are log densities. The mixture of least weight is left out until no weight is
    too small.
    """
    clipped = np.maximum(log_probs, LEAST_LOG_PROB)
    members, weights = np.arange(clipped.shape[1]), _settled(clipped, sample_weight)
    while len(members) > 1 and weights.min() < LEAST_WEIGHT:
        members = np.delete(members, weights.argmin())
        weights = _settled(clipped[:, members], sample_weight)
    found = np.zeros(clipped.shape[1])
    found[members] = weights / weights.sum()
    return found


def _settled(clipped: Array, sample_weight: Array) -> Array:
    """The weights by EM, whose bound has one maximum."""
    weights = np.full(clipped.shape[1], 1 / clipped.shape[1])
    for _ in range(MOST_STEPS):
        before = weights
        weights = sample_weight @ normalize(clipped + safe_log(weights))[0] / sample_weight.sum()
        # The log density is concave in the weights, so this bounds what is left to gain.
        if (weights <= before * (1 + SETTLED)).all():
            break
    return weights
