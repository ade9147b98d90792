"""Starts: each returns first responsibilities (n, K) from a `StartContext`.

All are functions of the weighted data and a seed: they do not depend on the order of rows, on
repetition in place of weights, or on the units of columns.
"""

from ._base import StartContext
from ._branches import branches_apart
from ._ladder import ladder
from ._local import local_coefficients
from ._simple import (
    kmeans_x,
    kmeans_xy,
    noisy_gate,
    principal,
    random_labels,
    residual,
    tree_leaves,
)

STARTS = {
    "ladder": ladder,
    "residual": residual,
    "kmeans_xy": kmeans_xy,
    "tree": tree_leaves,
    "random": random_labels,
    "local": local_coefficients,
    "kmeans_x": kmeans_x,
    "noisy": noisy_gate,
    "principal": principal,
}
__all__ = [
    "STARTS",
    "StartContext",
    "branches_apart",
]
