"""Weights of mixtures that answer together, by what they say of unseen rows."""

from __future__ import annotations

import numpy as np

from .._numeric import Array, normalize, safe_log

# What weighs less than this is not worth a fit.
LEAST_WEIGHT = 0.05
# What takes the place of minus infinity.
LEAST_LOG_PROB = -1e300
# A change by which weights have settled, and steps that this may take.
SETTLED, MOST_STEPS = 1e-6, 1000


def stacking_weights(log_probs: Array, sample_weight: Array) -> Array:
    """Weights (M,) under which the pool of M densities explains unseen rows best; few are tiny.

    `log_probs` (n, M) are log densities; rows of which one is unknown have no say. Where there are
    no others, weights are equal.
    """
    heard = ~np.isnan(log_probs).any(axis=1)
    said, row_weight = np.maximum(log_probs[heard], LEAST_LOG_PROB), sample_weight[heard]
    members = np.arange(said.shape[1])
    weights = _settled(said, row_weight)
    while weights.min() < min(LEAST_WEIGHT, weights.max()):
        kept = weights >= min(LEAST_WEIGHT, weights.max())
        members, weights = members[kept], _settled(said[:, members[kept]], row_weight)
    found = np.zeros(log_probs.shape[1])
    found[members] = weights
    return found


def _settled(said: Array, row_weight: Array) -> Array:
    """The weights by EM, whose bound has one maximum."""
    weights = np.full(said.shape[1], 1 / said.shape[1])
    for _ in range(MOST_STEPS if len(said) else 0):
        before = weights
        weights = row_weight @ normalize(said + safe_log(weights))[0] / row_weight.sum()
        if np.abs(weights - before).max() < SETTLED:
            break
    return weights
