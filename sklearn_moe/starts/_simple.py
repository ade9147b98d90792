"""Starts that look at the geometry of the table or at the size of one expert's errors."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.tree import DecisionTreeRegressor

from .._numeric import DECIMALS, Array, quantile_groups
from ._base import StartContext, cluster, in_own_order, soften


def random_labels(context: StartContext) -> Array:
    """Random labels, the same for equal rows."""
    labels = (context.salted() * context.n_experts).astype(np.intp)
    return soften(labels, context.n_experts)


def kmeans_x(context: StartContext) -> Array:
    """Weighted k-means on the features."""
    labels = cluster(context.Z, context.weight, context.salted(), context.n_experts)
    return soften(labels, context.n_experts)


def kmeans_xy(context: StartContext) -> Array:
    """Weighted k-means on features and target; the target counts as much as all features.

    That is, as if each feature had unit variance: indicators of categories have less.
    """
    scale = np.sqrt(context.Z.shape[1] / context.T.shape[1])
    points = np.hstack([context.Z, scale * context.T])
    labels = cluster(points, context.weight, context.salted(), context.n_experts)
    return soften(labels, context.n_experts)


def noisy_gate(context: StartContext) -> Array:
    """Regions of k-means as a gate with noise would choose them (Shazeer et al., 2017).

    Rows near a border go either way, so experts that a sharp cut would leave with little are tried
    on rows of their neighbours.
    """
    labels = cluster(context.Z, context.weight, context.salted(), context.n_experts)
    members = np.eye(context.n_experts)[labels] * context.weight[:, None]
    mass = np.maximum(members.sum(axis=0), np.finfo(np.float64).tiny)
    centers = (members.T @ context.Z) / mass[:, None]
    uniform = np.column_stack([context.salted(k + 1) for k in range(context.n_experts)])
    noise = -np.log(-np.log(np.clip(uniform, 1e-12, 1 - 1e-12)))
    score = noise - cdist(context.Z, centers, "sqeuclidean") / context.Z.shape[1]
    return soften(score.argmax(axis=1), context.n_experts)


def principal(context: StartContext) -> Array:
    """Quantiles along the first principal direction of features and target.

    The direction is taken through the origin: the mean of numbers, but not of indicators.
    """
    points = np.hstack([context.Z, context.T])
    gram = (points * context.weight[:, None]).T @ points
    direction = np.linalg.eigh(gram)[1][:, -1]
    # The first of the largest entries fixes the sign: rounding errors must not.
    direction *= np.sign(direction[np.abs(direction).round(DECIMALS).argmax()])
    labels = quantile_groups(points @ direction, context.weight, context.n_experts)
    return soften(labels, context.n_experts)


def tree_leaves(context: StartContext) -> Array:
    """Leaves of a regression tree with as many leaves as experts."""
    tree = DecisionTreeRegressor(
        max_leaf_nodes=max(2, context.n_experts),
        min_weight_fraction_leaf=0.25 / context.n_experts,
        random_state=context.seed,
    )
    (Z, T), mass, place = in_own_order(context.salted(), context.weight, context.Z, context.T)
    leaves = tree.fit(Z, T, sample_weight=mass).apply(Z)
    labels = np.unique(leaves, return_inverse=True)[1][place]
    return soften(labels, context.n_experts)


def residual(context: StartContext) -> Array:
    """Quantiles of how badly one expert alone explains each row out of fold."""
    assert context.surprise is not None
    labels = quantile_groups(context.surprise, context.weight, context.n_experts)
    return soften(labels, context.n_experts)
