"""Dispersions of experts of which each has predicted the rows that it acts on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._numeric import Array
from ._routing import Slots
from .families import Family


def fit_dispersion(
    family: Family,
    target: NDArray,
    mean: Array,
    weights: Array,
    relative: Array | None,
    slots: Slots,
) -> Array:
    """Dispersions of all experts from predictions (n, S, ...) under `weights` (n, K).

    `relative` (n, K, q) says how they differ by row, if they do. An expert without any weight has
    the weights of all, unless all have one dispersion. One that acts on none of the rows it is
    responsible for takes the dispersion of all slots but those of an expert for zeros, which is a
    point mass even where all others have one dispersion.
    """
    if slots.index is None:
        has_none = weights.sum(axis=0) == 0
        if has_none.any() and not family.pools_dispersion:
            weights = np.where(has_none, weights.sum(axis=1, keepdims=True), weights)
        return family.fit_dispersion(target, mean, weights, relative)
    n_experts = weights.shape[1]
    slot_weights = slots.gather(weights, by_row=True)
    slot_relative = None if relative is None else slots.gather(relative, by_row=True)

    def law_of(place: tuple[Any, Any]) -> Array:
        near = None if slot_relative is None else slot_relative[place][:, None]
        predicted, weight = mean[place][:, None], slot_weights[place][:, None]
        return family.fit_dispersion(target[place[0]], predicted, weight, near)

    laws: dict[int, Array] = {}
    telling = family.telling_weights(target, slot_weights)
    for k in range(n_experts):
        place = slots.of_expert(k)
        is_for_zeros = family.has_point_mass and family.says_zero(mean[place]).all()
        if is_for_zeros and slot_weights[place].any():
            laws[k] = law_of(place)
            slot_weights[place] = 0.0  # a point mass has no dispersion to share
        elif telling[place].any() and not family.pools_dispersion:
            laws[k] = law_of(place)
    if len(laws) == n_experts:
        return np.concatenate([laws[k] for k in range(n_experts)])
    if not slot_weights.any():
        slot_weights = np.repeat(weights.sum(axis=1, keepdims=True), slot_weights.shape[1], axis=1)
    rows, experts = np.indices(slot_weights.shape).reshape(2, -1)
    typical = law_of((rows, experts))
    return np.concatenate([laws.get(k, typical) for k in range(n_experts)])
