"""Weighted Gram matrices: sums over rows of the products of every two columns, many at once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ._numeric import Array, row_blocks

# Columns of which the products of every two still fit a cache, and rows that make these, or a pass
# over larger Gram matrices, worth it.
MOST_FACTORS, GRAM_ROWS = 64, 512


def weighted_grams(Z: Array, weights: Array) -> Array:
    """Gram matrices (m, p, p) of `Z` (n, p) with rows weighted by each row of `weights` (m, n).

    Block by block, so that the rows stay in a core's cache while all weights use them.
    """
    if Z.shape[1] > MOST_FACTORS:
        return _wide_grams(Z, weights)
    if len(weights) > Z.shape[1] / 2:
        return _grams_of_products(Z, weights)
    grams = np.zeros((len(weights), Z.shape[1], Z.shape[1]))
    for rows in row_blocks(*Z.shape):
        block = Z[rows]
        for gram, weight in zip(grams, weights[:, rows], strict=True):
            gram += (block * weight[:, None]).T @ block
    return grams


@lru_cache
def column_pairs(width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and second of every two columns, each with itself too."""
    return np.triu_indices(width)


def products_of_pairs(columns: Array) -> Array:
    """Products (p (p + 1) / 2, n) of every two of `columns` (p, n), as `column_pairs` has them."""
    width, n_samples = columns.shape
    products, start = np.empty((width * (width + 1) // 2, n_samples)), 0
    for first in range(width):
        end = start + width - first
        np.multiply(columns[first:], columns[first], out=products[start:end])
        start = end
    return products


def _wide_grams(Z: Array, weights: Array) -> Array:
    """`weighted_grams` of many columns: half the work, by symmetry, and fewer large results."""
    grams = np.zeros((len(weights), Z.shape[1], Z.shape[1]))
    for rows in row_blocks(len(Z), Z.shape[1], GRAM_ROWS):
        block, roots = Z[rows], np.sqrt(weights[:, rows])
        for gram, root in zip(grams, roots, strict=True):
            scaled = block * root[:, None]
            gram += scaled.T @ scaled
    return grams


def _grams_of_products(Z: Array, weights: Array) -> Array:
    """`weighted_grams` from the products of every two columns, made once for all weights.

    Cheaper where there are at least half as many weights as columns.
    """
    width = Z.shape[1]
    n_pairs = width * (width + 1) // 2
    sums = np.zeros((len(weights), n_pairs))
    for rows in row_blocks(len(Z), n_pairs, GRAM_ROWS):
        products = products_of_pairs(np.ascontiguousarray(Z[rows].T))
        sums += weights[:, rows] @ products.T
    return symmetric(sums, width)


def symmetric(pairs: Array, width: int) -> Array:
    """Symmetric matrices (..., p, p) from entries (..., pairs), as `column_pairs` has them."""
    first, second = column_pairs(width)
    matrices = np.empty((*pairs.shape[:-1], width, width))
    matrices[..., first, second] = matrices[..., second, first] = pairs
    return matrices
