"""Products with a design: an array, a sparse matrix, or rows standardised as they are read.

Only this module needs to know which of them it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._grams import weighted_grams
from .._numeric import Array, row_blocks, rows_of
from ._standardised import StandardisedRows


def blocks_of(
    Z: Any, n_columns: int, n_rows: int | None = None, fewest: int = 64
) -> Iterator[slice]:
    """Slices of rows of `Z` (`n_rows`, or all) so short that they and `n_columns` stay in a cache.

    Sparse rows are costly to cut, and come in one piece.
    """
    n_rows = Z.shape[0] if n_rows is None else n_rows
    if sp.issparse(Z):
        return iter([slice(0, n_rows)])
    return row_blocks(n_rows, max(Z.shape[1], n_columns), fewest)


def fold_blocks(
    design: Any, folds: Sequence[Any] | None, n_columns: int
) -> Iterator[tuple[int, Any, Any]]:
    """Fold, rows and design of blocks that stay in a core's cache, each of one fold (all rows)."""
    plain = isinstance(design, np.ndarray)
    for fold, own in enumerate(folds or [None]):
        n_rows = design.shape[0] if own is None else len(own)
        for place in blocks_of(design, n_columns, n_rows):
            rows = place if own is None else own[place]
            yield fold, rows, rows_of(design, rows) if plain else design[rows]


def whole(Z: Any) -> Any:
    """All rows of a design, made if they are not."""
    return Z.made() if isinstance(Z, StandardisedRows) else Z


def is_at_hand(Z: Any) -> bool:
    """Whether rows are standardised as they are read, and can be read at once without a copy."""
    return isinstance(Z, StandardisedRows) and Z.is_ready


def scores_of(Z: Any, weights: Array) -> Array:
    """Scores (..., B) of `B` rows under `weights` (..., d + 1), whose last column is the intercept.

    Experts come before rows: numpy is fast along the last axis, and there are few experts.
    """
    if isinstance(Z, StandardisedRows):
        Z, weights = Z.X, Z.weights_of_numbers(weights)
    flat = weights.reshape(-1, weights.shape[-1])
    scores = (Z @ flat[:, :-1].T).T if sp.issparse(Z) else flat[:, :-1] @ Z.T
    scores += flat[:, -1:]
    return scores.reshape(*weights.shape[:-1], -1)


def row_scores(Z: Any, weights: Array) -> Array:
    """Scores (B, K) of numbers under `weights` (K, d + 1), rows first: for many experts."""
    if sp.issparse(Z) or Z.shape[1] >= len(weights):
        scores = Z @ weights[:, :-1].T
        scores += weights[:, -1]
        return scores
    # A column of ones beside few features takes less time than intercepts added to many scores.
    rows = np.ones((len(Z), weights.shape[1]))
    rows[:, :-1] = Z
    return rows @ weights.T


def weights_of_numbers(design: Any, weights: Array) -> Array:
    """Weights under which the numbers of a design have the scores of its rows under `weights`.

    They are found once for a pass over many blocks, while `scores_of` would find them for each.
    """
    return design.weights_of_numbers(weights) if _hands_out_numbers(design) else weights


def sums_of_rows(design: Any, sums: Array) -> Array:
    """Weighted sums (..., d + 1) of the rows of a design from those of its numbers."""
    return design.sums_of_rows(sums) if _hands_out_numbers(design) else sums


def _hands_out_numbers(design: Any) -> bool:
    return isinstance(design, StandardisedRows) and design.hands_out_numbers


def numbers_of(Z: Any) -> Any:
    """The numbers behind some rows, if these are standardised as they are read."""
    return Z.X if isinstance(Z, StandardisedRows) else Z


def design_sums(Z: Any, values: Array) -> Array:
    """Sums (..., d + 1) over rows: `values` (..., B) times the rows of `Z` and, last, alone."""
    if isinstance(Z, StandardisedRows):
        return Z.sums_of_rows(design_sums(Z.X, values))
    flat = values.reshape(-1, values.shape[-1])
    sums = np.empty((len(flat), Z.shape[1] + 1))
    sums[:, :-1] = (Z.T @ flat.T).T if sp.issparse(Z) else flat @ Z
    sums[:, -1] = flat.sum(axis=1)
    return sums.reshape(*values.shape[:-1], -1)


def weighted_design_grams(Z: Any, weights: Array) -> Array:
    """Gram matrices (m, d + 1, d + 1) of `Z` with a column of ones appended, rows weighted by each
    row of `weights` (m, n)."""
    Z = whole(Z)
    width = Z.shape[1] + 1
    grams = np.empty((len(weights), width, width))
    if sp.issparse(Z):
        grams[:, :-1, :-1] = [(Z.T @ (sp.diags(weight) @ Z)).toarray() for weight in weights]
    else:
        grams[:, :-1, :-1] = weighted_grams(Z, weights)
    grams[:, -1] = grams[:, :, -1] = design_sums(Z, weights)
    return grams
