"""What a start may look at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from .._content import lowest_rows, uniform_by_content
from .._data import Data
from .._design import TabularEncoder
from .._numeric import DECIMALS, Array, quantile_groups, weighted_moments
from ..families._fences import held_within

MAX_WIDTH = 50
# Responsibility of the expert that is a row's label, besides its share of the rest.
CONFIDENCE = 0.9


@dataclass(frozen=True)
class StartContext:
    """The table as numbers: standardised features `Z` (n, d), standardised targets `T` (n, q).

    `surprise` (n,) is how badly one expert explains each row out of fold, None if unknown.
    """

    Z: Array
    T: Array
    data: Data
    surprise: Array | None
    n_experts: int
    seed: int

    @classmethod
    def of(
        cls,
        data: Data,
        surprise: Array | None,
        n_experts: int,
        seed: int,
        resists_outliers: bool = False,
    ) -> StartContext:
        """What a start may see of the rows of `data`, of which some may be outliers."""
        target = numeric_target(data, resists_outliers)
        return cls(numeric_features(data), target, data, surprise, n_experts, seed)

    @property
    def weight(self) -> Array:
        return self.data.sample_weight

    def salted(self, salt: int = 0) -> Array:
        """Numbers in [0, 1), one for each row, equal for equal rows, new for each seed and salt."""
        return uniform_by_content(self.data.hashes, self.seed + 1000003 * salt)

    def sample(self, n_rows: int) -> NDArray[np.intp] | None:
        """All copies of `n_rows` distinct rows; None if there are not twice as many to choose from.

        Which rows follows from their content and the seed.
        """
        return lowest_rows(self.salted(salt=2), self.data.distinct, n_rows)

    def take(self, rows: NDArray[np.intp]) -> StartContext:
        """What a start may see of some rows."""
        return replace(
            self,
            Z=self.Z[rows],
            T=self.T[rows],
            data=self.data.take(rows),
            surprise=None if self.surprise is None else self.surprise[rows],
        )


def numeric_features(data: Data) -> Array:
    """The encoded features, projected at random to fifty dimensions if there are more."""
    encoder = TabularEncoder().fit(data.X, sample_weight=data.sample_weight)
    Z = encoder.transform(data.X)
    if Z.shape[1] > MAX_WIDTH:
        directions = np.random.RandomState(0).standard_normal((Z.shape[1], MAX_WIDTH))
        return np.asarray(Z @ (directions / np.sqrt(MAX_WIDTH)))
    return Z.toarray() if sp.issparse(Z) else Z


def numeric_target(data: Data, resists_outliers: bool = False) -> Array:
    """The standardised target, held within fences if the law `resists_outliers`, or indicators."""
    target = data.target
    if data.classes is not None:
        target = np.eye(len(data.classes))[target]
    elif resists_outliers:
        target = held_within(target, data.sample_weight)
    mean, variance = weighted_moments(target, data.sample_weight)
    return (target - mean) / np.where(variance > 0, np.sqrt(variance), 1.0)


def soften(labels: NDArray[np.intp], n_experts: int) -> Array:
    """Responsibilities (n, K) that put `CONFIDENCE` on each row's label and spread the rest."""
    resp = np.full((len(labels), n_experts), (1.0 - CONFIDENCE) / n_experts)
    resp[np.arange(len(labels)), labels] += CONFIDENCE
    return resp


def in_own_order(
    priority: Array, weight: Array, *tables: Array
) -> tuple[list[Array], Array, NDArray[np.intp]]:
    """Rows of the tables, one for each content, with their weights, and where each row's is.

    They are in the order of `priority` (n,), and rounded: ties, such as rows that are equally near
    or splits that are equally good, are then broken in the same way whatever the order of the rows
    and the number of repeats.
    """
    _, first, place = np.unique(priority, return_index=True, return_inverse=True)
    mantissa, exponent = np.frexp(np.bincount(place, weight))
    mass = np.ldexp(mantissa.round(DECIMALS), exponent)
    return [table[first].round(DECIMALS) for table in tables], mass, place


def cluster(points: Array, weight: Array, priority: Array, n_clusters: int) -> NDArray[np.intp]:
    """Labels (n,) of weighted k-means that begins at the distinct points of lowest `priority`.

    If there are too few distinct points, the labels are arbitrary groups of equal size.
    """
    (points,), mass, place = in_own_order(priority, weight, points)
    candidates = points[: 20 * n_clusters]
    differs = np.unique(candidates, axis=0, return_index=True)[1]
    if len(differs) < n_clusters:
        return quantile_groups(priority, weight, n_clusters)
    centers = candidates[np.sort(differs)[:n_clusters]]
    kmeans = KMeans(n_clusters, init=centers, n_init=1, max_iter=50, tol=0.0, copy_x=False)
    return kmeans.fit(points, sample_weight=mass).labels_.astype(np.intp)[place]
