"""One output of a mixture distribution: densities and probabilities at many points of every row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array, log_sum
from ..families import PositiveFamily, RealFamily
from ..families._base import without_points

# Entries (rows x components x points) that are worked on at once: 8 MB for each temporary.
CHUNK = 2**20
# Counts above the first are not summed one by one; rows whose counts stay below the second are not
# told apart by size.
MOST_COUNTS, FEW_COUNTS = 10_000, 64


@dataclass(frozen=True, eq=False)
class Marginal:
    """Mixture of components (n, J) of one law; each parameter of the law is (n, J) or (1, J).

    Points are (n, M), as many in each row, or (1, M), the same in all; answers are (n, M). A
    component whose dispersion is zero is a point mass at zero.
    """

    family: RealFamily
    weights: Array
    means: Array
    law: tuple[Array, ...]

    def __len__(self) -> int:
        return len(self.weights)

    def take(self, rows: Any) -> Marginal:
        """The mixture of some rows."""
        law = tuple(value if len(value) == 1 else value[rows] for value in self.law)
        part = replace(self, weights=self.weights[rows], means=self.means[rows], law=law)
        if "last_counts" in vars(self):  # which take long to find
            vars(part)["last_counts"] = self.last_counts[rows]
        return part

    @cached_property
    def points(self) -> NDArray[np.bool_]:
        """Which components (n, J) are point masses at zero."""
        return np.broadcast_to(self.law[0] == 0, self.means.shape)

    @cached_property
    def has_points(self) -> bool:
        """Whether there are any."""
        return bool((self.law[0] == 0).any())

    @property
    def starts_at_zero(self) -> bool:
        """Whether the target is never negative, so that zero may have a probability of its own."""
        return isinstance(self.family, PositiveFamily)

    @cached_property
    def live(self) -> tuple[Array, ...]:
        """The law, harmless where a component is a point mass."""
        if not self.has_points:
            return self.law
        return tuple(without_points(value, self.law[0] == 0) for value in self.law)

    @cached_property
    def live_means(self) -> Array:
        """The means, harmless where a component is a point mass."""
        return without_points(self.means, self.points) if self.has_points else self.means

    @cached_property
    def last_counts(self) -> Array:
        """A count for each row that is hardly ever exceeded."""
        last = self.component_quantiles(np.array([[1 - 1e-12]]))[..., 0]
        return np.where(self.weights > 0, last, 0.0).max(axis=1)

    @cached_property
    def counts_singly(self) -> bool:
        """Whether the target is a count that is never so large that integrals will do for sums."""
        return self.family.is_discrete and float(self.last_counts.max()) < MOST_COUNTS

    def log_pdf(self, y: Array) -> Array:
        """Log density, or log probability of counts and of a zero that has one."""
        with np.errstate(divide="ignore"):
            return log_sum(self.log_components(y) + np.log(self.weights)[..., None])

    def log_components(self, y: Array) -> Array:
        """Log density, or log probability, of each component, (n, J, M)."""
        with np.errstate(over="ignore"):  # of values beyond all numbers
            log_density = self._at(self.family.log_density, y)
        if self.starts_at_zero:
            log_density = np.where(np.isfinite(log_density), log_density, -np.inf)
            log_density[np.broadcast_to(y[:, None] < 0, log_density.shape)] = -np.inf
        if self.family.is_discrete:
            log_density[
                np.broadcast_to(y[:, None] != np.rint(y[:, None]), log_density.shape)
            ] = -np.inf
        if self.has_points:
            point = np.where(y[:, None] == 0, 0.0, -np.inf)
            log_density = np.where(self.points[..., None], point, log_density)
        return np.where(np.isnan(y[:, None]), np.nan, log_density)

    def cdf(self, y: Array) -> Array:
        """Probability of values up to `y`."""
        return self._below(self.family.cdf, y)

    def rough_cdf(self, y: Array) -> Array:
        """Probability of values up to `y` to 1e-6, faster where there are many points."""
        return self._below(self.family.rough_cdf, y)

    def _below(self, cdf: Callable[..., Array], y: Array) -> Array:
        below = self._at(cdf, y)
        if self.has_points:
            below = np.where(self.points[..., None], y[:, None] >= 0, below)
        return np.minimum((self.weights[..., None] * below).sum(axis=1), 1.0)

    def cdf_below(self, y: Array) -> Array:
        """Probability of values below `y`."""
        if self.family.is_discrete:
            return self.cdf(np.ceil(y) - 1.0)
        below = self.cdf(y)
        return np.where(y == 0, 0.0, below) if self.starts_at_zero else below

    def at_zero(self) -> Array:
        """Probability (n,) of zero itself, where the law is not one of counts."""
        if self.family.is_discrete or not self.starts_at_zero:
            return np.zeros(len(self))
        return self.cdf(np.zeros((len(self), 1)))[:, 0]

    def component_quantiles(self, levels: Array) -> Array:
        """Quantiles (n, J, M), maybe rough, of each component at `levels` (n or 1, M)."""
        found = self._at(self.family.ppf, levels)
        return np.where(self.points[..., None], 0.0, found) if self.has_points else found

    def variances(self) -> Array:
        """Variance (n, J) of each component."""
        found = self.family.variance(self.live_means, *self.live)
        return np.where(self.points, 0.0, found)

    def _at(self, function: Callable[..., Array], y: Array) -> Array:
        """A function of the family for each component and point, (n, J, M)."""
        law = [value[..., None] for value in self.live]
        with np.errstate(divide="ignore", invalid="ignore"):
            found = function(y[:, None], self.live_means[..., None], *law)
        return np.require(found, requirements="W")


def by_size(function: Callable[..., Array], marginal: Marginal, *arrays: Array) -> Array:
    """`function(marginal, *arrays)` for rows of counts that are about as large, one after another.

    All rows of a piece are summed as far as the largest count; those too large for that are a piece
    of their own. What is found in fewer pieces is filled up with NaN.
    """
    if not marginal.family.is_discrete:
        return function(marginal, *arrays)
    last = marginal.last_counts
    octave = np.where(last < MOST_COUNTS, np.ceil(np.log2(np.maximum(last, FEW_COUNTS))), np.inf)
    pieces = [np.flatnonzero(octave == one) for one in np.unique(octave)]
    return _part_by_part(function, marginal, pieces, arrays)


def by_rows(
    function: Callable[..., Array], marginal: Marginal, n_points: int, *arrays: Array
) -> Array:
    """`function(marginal, *arrays)` for the rows in pieces that fit into memory.

    Each of the `arrays` has a row for each row; `n_points` says how many points the function looks
    at in one.
    """
    size = max(1, CHUNK // max(1, n_points * marginal.means.shape[1]))
    if size >= len(marginal):
        return function(marginal, *arrays)
    pieces = [slice(first, first + size) for first in range(0, len(marginal), size)]
    return _part_by_part(function, marginal, pieces, arrays)


def _part_by_part(
    function: Callable[..., Array], marginal: Marginal, parts: list[Any], arrays: tuple[Array, ...]
) -> Array:
    """`function` of each part of the rows; what is found in fewer pieces is filled up with NaN."""
    found = [function(marginal.take(rows), *(array[rows] for array in arrays)) for rows in parts]
    shape = np.max([part.shape[1:] for part in found], axis=0)
    whole = np.full((len(marginal), *shape.astype(int)), np.nan)
    for rows, part in zip(parts, found, strict=True):
        place: tuple[Any, ...] = (rows, *map(slice, part.shape[1:]))
        whole[place] = part
    return whole
