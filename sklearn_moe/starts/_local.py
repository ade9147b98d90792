"""Start from local slopes: rows whose neighbourhoods follow the same linear law go together."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from .._numeric import DECIMALS, Array, Rows
from ..logit import blocks_of
from ._base import StartContext, cluster, soften

N_ANCHORS = 200
# Number of distances that are held at once.
LARGEST = 2**21


def local_coefficients(context: StartContext) -> Array:
    """Cluster the coefficients of ridge regressions around anchor rows.

    Each distinct row counts once, whatever it weighs, so that neighbourhoods do not depend on how
    often a row is repeated.
    """
    rows = context.data.distinct
    order = rows[np.argsort(context.salted()[rows], kind="stable")]
    anchors = order[:N_ANCHORS]
    coefficients = _local_ridge(context, anchors, rows)
    priority = context.salted(salt=1)[anchors]
    groups = cluster(coefficients, np.ones(len(anchors)), priority, context.n_experts)
    nearest = _nearest_anchor(context.Z, context.Z[anchors])
    return soften(groups[nearest], context.n_experts)


def _local_ridge(context: StartContext, anchors: Rows, rows: Rows) -> Array:
    """Coefficients (m, (d + 1) q) of a small ridge regression around each anchor."""
    width = context.Z.shape[1] + 1
    # A neighbourhood of most of the table would give every anchor the same coefficients.
    size = max(min(len(rows) // 4, max(3 * width, 20)), 1)
    near = _neighbours(context.Z, anchors, rows, size)
    design = np.concatenate([context.Z[near], np.ones((*near.shape, 1))], axis=2)
    gram = np.einsum("msu,msv->muv", design, design, optimize=True) + np.eye(width)
    moment = np.einsum("msu,msq->muq", design, context.T[near], optimize=True)
    return np.linalg.solve(gram, moment).reshape(len(anchors), -1)


def _neighbours(Z: Array, anchors: Rows, rows: Rows, size: int) -> Rows:
    """The `size` of the rows that are nearest to each anchor (m, size).

    A search on several threads would break ties by their number, so there is none; nor may rounding
    errors decide.
    """
    points, step = Z[rows], max(1, LARGEST // len(rows))
    near = []
    for some in np.split(anchors, range(step, len(anchors), step)):
        distances = cdist(Z[some], points, "sqeuclidean").round(DECIMALS)
        near.append(np.argpartition(distances, size - 1, axis=1)[:, :size])
    return rows[np.concatenate(near)]


def _nearest_anchor(Z: Array, anchors: Array) -> Rows:
    """Position of the nearest anchor of each row, without the (n, m) table of distances."""
    lengths = (anchors**2).sum(axis=1)
    blocks = (Z[rows] for rows in blocks_of(Z, len(anchors)))
    distances = ((lengths - 2.0 * Z @ anchors.T).round(DECIMALS) for Z in blocks)
    return np.concatenate([np.argmin(some, axis=1) for some in distances])
