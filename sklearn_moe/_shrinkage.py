"""Experts shrunk toward the shared one, as far as their own record says they should be.

The predictions of a routed expert are averaged with those of the shared expert. The part of the
shared one is that under which the out-of-fold predictions of the pair explain the expert's rows
best, so an expert of few rows is shrunk much, and one that knows better is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._maximise import top_of
from ._numeric import Array, weighted_moments
from ._routing import Slots
from .families import Categorical, Family
from .families._categorical import own_class

# A part below the tolerance of its search counts as zero.
N_STEPS, NEGLIGIBLE = 30, 1e-8
# Standard deviations by which a pair must differ: if they differ by less, noise would decide.
ALIKE = 1e-9
TINY = np.finfo(np.float64).tiny
# The least probability of a class: over it, times a row's weight, slopes are no more than numbers.
IMPOSSIBLE = 1e-150


@dataclass(frozen=True)
class Pairs:
    """Every expert's predictions beside those of the shared one, the last that acts on each row.

    `experts` (n, S) are the experts in the slots; `weights` (n, S) are the weights of rows for
    these.
    """

    experts: NDArray[np.intp]
    weights: Array
    n_experts: int

    def totals(self, values: Array) -> Array:
        """Weighted sums (K,) of values (n, S) over the rows of each expert."""
        weighted = (self.weights * values).ravel()
        return np.bincount(self.experts.ravel(), weighted, minlength=self.n_experts).astype(float)


def fit_shrinkage(
    target: NDArray, mean: Array, weights: Array, slots: Slots, family: Family
) -> Array:
    """The part (K,) of the shared expert in what each expert says; zero for the shared one.

    `mean` (n, S, q) or (n, S, C) are predictions, `weights` (n, K) responsibilities times sample
    weights. For real targets the parts are least squares ones, else most likely ones. An expert for
    zeros, if the `family` knows such experts, is not shrunk.
    """
    n_experts = weights.shape[1]
    own = np.arange(n_experts) if slots.index is None else slots.index
    experts = np.broadcast_to(own, mean.shape[:2])
    pairs = Pairs(experts, slots.gather(weights, by_row=True), n_experts)
    fit = _most_likely if isinstance(family, Categorical) else _least_squares
    shrinkage = fit(target, mean, pairs)
    if family.has_point_mass:
        shrinkage[pairs.totals((~family.says_zero(mean)).any(axis=2).astype(float)) == 0] = 0.0
    shrinkage[shrinkage < NEGLIGIBLE] = 0.0
    shrinkage[-1] = 0.0
    return shrinkage


def shrunk(mean: Array, shrinkage: Array, slots: Slots) -> Array:
    """Predictions (n, S, ...) after each expert is shrunk toward the shared one, by its part."""
    part = slots.gather(shrinkage)[..., None]
    return (1.0 - part) * mean + part * mean[:, -1:]


def _least_squares(target: Array, mean: Array, pairs: Pairs) -> Array:
    """Parts (K,) of least squared error, every output in units of its own variance."""
    unit = weighted_moments(target, pairs.weights.sum(axis=1))[1]
    unit = np.where(unit > 0, unit, 1.0)
    toward = mean[:, -1:] - mean
    toward = np.where(np.abs(toward) > ALIKE * np.sqrt(unit), toward, 0.0)
    product = (toward * (target[:, None] - mean) / unit).sum(axis=2)
    square = (toward**2 / unit).sum(axis=2)
    return np.clip(pairs.totals(product) / np.maximum(pairs.totals(square), TINY), 0.0, 1.0)


def _most_likely(target: NDArray, mean: Array, pairs: Pairs) -> Array:
    """Parts (K,) of highest likelihood, which is concave in them."""
    own = own_class(target, mean)
    toward = own[:, -1:] - own

    def slope(part: Array) -> Array:
        return pairs.totals(toward / np.maximum(own + part[pairs.experts] * toward, IMPOSSIBLE))

    ends = np.zeros(pairs.n_experts), np.ones(pairs.n_experts)
    return top_of(slope, *ends, N_STEPS)
