"""Start from local slopes: rows whose neighbourhoods follow the same linear law go together."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import pairwise_distances_argmin
from sklearn.neighbors import NearestNeighbors

from .._folds import Rows
from .._numeric import Array, soften
from ._base import StartContext, cluster

N_ANCHORS = 200


def local_coefficients(context: StartContext) -> Array:
    """Cluster the coefficients of ridge regressions around anchor rows.

    Distinct rows are counted once, whatever they weigh, so that neighbourhoods do not depend on
    how often a row is repeated.
    """
    rows = context.data.distinct
    order = rows[np.argsort(context.salted()[rows], kind="stable")]
    anchors = order[:N_ANCHORS]
    coefficients = _local_ridge(context, anchors, rows)
    priority = context.salted(salt=1)[anchors]
    groups = cluster(coefficients, np.ones(len(anchors)), priority, context.n_experts)
    nearest = pairwise_distances_argmin(context.Z, context.Z[anchors])
    return soften(groups[nearest], context.n_experts)


def _local_ridge(context: StartContext, anchors: Rows, rows: Rows) -> Array:
    """Coefficients (m, (d + 1) q) of a small ridge regression around each anchor."""
    width = context.Z.shape[1] + 1
    # A neighbourhood of most of the table would give every anchor the same coefficients.
    size = max(min(len(rows) // 4, max(3 * width, 20)), 1)
    neighbours = NearestNeighbors(n_neighbors=size, algorithm="brute").fit(context.Z[rows])
    near = rows[neighbours.kneighbors(context.Z[anchors], return_distance=False)]
    design = np.concatenate([context.Z[near], np.ones((*near.shape, 1))], axis=2)
    gram = np.einsum("msu,msv->muv", design, design, optimize=True) + np.eye(width)
    moment = np.einsum("msu,msq->muq", design, context.T[near], optimize=True)
    return np.linalg.solve(gram, moment).reshape(len(anchors), -1)
