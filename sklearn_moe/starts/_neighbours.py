"""The order of experts where a tree of gates parts them: neighbours belong together."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage

from .._numeric import Array
from ._base import StartContext


def neighbours_together(resp: Array, context: StartContext) -> Array:
    """Responsibilities (n, K) whose columns are in the order of a tree of their regions.

    A gate over groups of experts can tell them apart only if a group lies together. Regions are
    told by the means of their rows in features and target, and joined by Ward's rule.
    """
    if resp.shape[1] < 3:
        return resp
    weights = resp * context.weight[:, None]
    mass = np.maximum(weights.sum(axis=0), np.finfo(np.float64).tiny)
    centers = weights.T @ np.hstack([context.Z, context.T]) / mass[:, None]
    tree = linkage(centers, method="ward", optimal_ordering=True)
    return resp[:, leaves_list(tree)]
