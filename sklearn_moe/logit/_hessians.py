"""Hessians of logits, from the Gram matrices of all pairs of experts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array
from ._basis import kept, sum_zero_basis
from ._products import weighted_design_grams

# From this many experts on, Hessians are put together by way of blocks for all of them: the table
# that does so at once grows with their fourth power. Results are the same but for rounding.
MANY = 20


def pair_grams(Z: Any, proba: Array, total: Array) -> Array:
    """Gram matrices (pairs, d + 1, d + 1) of the rows, weighted by the product of two experts'
    probabilities `proba` (K, n) and by `total` (n,)."""
    first, second = expert_pairs(len(proba))
    return weighted_design_grams(Z, proba[first] * proba[second] * total)


def assemble_hessians(grams: Array, n_experts: int, ridge: Array) -> Array:
    """Hessians (..., s, s) over the s = (K - 1) (d + 1) flattened coefficients.

    They are made from the Gram matrices (..., pairs, d + 1, d + 1) of all pairs of experts. The
    curvature of a pair is minus its Gram matrix; that of an expert with itself makes its row of
    blocks sum to zero. `ridge` (..., d + 1) is the penalty of each column.
    """
    if n_experts < MANY:
        blocks = np.tensordot(grams, shares_of_pairs(n_experts), axes=(-3, 0))
        blocks = np.moveaxis(blocks, (-2, -1), (-4, -2))
    else:
        blocks = np.moveaxis(_blocks_of_many(grams, n_experts), -3, -2)
    size = (n_experts - 1) * ridge.shape[-1]
    hessians = blocks.reshape(*ridge.shape[:-1], size, size)
    diagonal = np.arange(size)
    hessians[..., diagonal, diagonal] += np.tile(ridge, n_experts - 1)
    return hessians


def _blocks_of_many(grams: Array, n_experts: int) -> Array:
    """Blocks (..., K - 1, K - 1, d + 1, d + 1) of Hessians, from blocks for all K experts."""
    lead, shape, itself = grams.shape[:-3], grams.shape[-2:], np.arange(n_experts)
    blocks = np.zeros((*lead, n_experts, n_experts, *shape))
    first, second = expert_pairs(n_experts)
    blocks[..., first, second, :, :] = blocks[..., second, first, :, :] = -grams
    blocks[..., itself, itself, :, :] = -blocks.sum(axis=-3)
    inward = sum_zero_basis(n_experts).T
    half = inward @ blocks.reshape(*lead, n_experts, -1)
    both = inward @ half.reshape(*lead, n_experts - 1, n_experts, -1)
    return both.reshape(*both.shape[:-1], *shape)


@lru_cache
def expert_pairs(n_experts: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and second of each pair of experts."""
    first, second = np.triu_indices(n_experts, 1)
    return kept(first), kept(second)


@lru_cache
def shares_of_pairs(n_experts: int) -> Array:
    """What the Gram of each pair of experts adds to each block (pairs, K - 1, K - 1) of a Hessian.

    The table grows as fast as K^4.
    """
    first, second = expert_pairs(n_experts)
    difference = sum_zero_basis(n_experts)[first] - sum_zero_basis(n_experts)[second]
    return kept(difference[:, :, None] * difference[:, None, :])
