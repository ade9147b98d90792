"""Penalties of problems in the units of a table, whatever units the problems have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array, Rows, row_blocks, rows_of, sums_of_others
from ..logit import StandardisedRows
from ._indicators import FOURTH, squared_half_differences, sums_of_powers

# The highest power of columns that variances need.
SECOND = 2
# A penalty per unit of weight under which a coefficient is zero to eight digits; a larger one would
# cost the other coefficients digits.
LARGEST_RIDGE = 1e8
# The part of a column's variance in the whole table below which it is rounding.
SMALLEST_VARIANCE = 1e-10


class Penalised(Protocol):
    """A problem that may have its features `scaled` under its weights, and `halves` indicators."""

    @property
    def scaled(self) -> bool: ...

    @property
    def halves(self) -> bool: ...


def ridges(
    problems: Sequence[Penalised],
    costs: Array,
    table: StandardisedRows,
    weights: Array,
    folds: Sequence[Rows] | None,
) -> Array:
    """Penalties (F, K, p + 1) in the units of the table, finite ones; none for the intercept.

    `costs` (F, K), or (1, K), are what squared coefficients cost in the units of the problems.
    """
    n_folds = len(folds or [None])
    ridge = np.zeros((n_folds, len(problems), table.shape[1] + 1))
    with np.errstate(over="ignore", divide="ignore"):  # of columns in units next to nothing
        ridge[..., :-1] = costs[..., None] / table.scale**2
    scaled = [k for k, problem in enumerate(problems) if problem.scaled]
    if scaled:
        halves = np.array([[problems[k].halves] for k in scaled])
        units = _squared_units(table, weights[:, scaled], folds, halves)
        ridge[:, scaled, :-1] = np.broadcast_to(costs, ridge.shape[:2])[:, scaled, None] * units
    return np.minimum(ridge, LARGEST_RIDGE * weights.sum(axis=0)[:, None])


def _squared_units(
    table: StandardisedRows, weights: Array, folds: Sequence[Rows] | None, halves: NDArray[np.bool_]
) -> Array:
    """Squares (F, K, p) of the units of columns outside each fold, in those of the table.

    They are variances or, of indicators and problems (K, 1) that `halves` them, half differences.
    """
    parts: Sequence[Rows | None] = [None] if folds is None else folds
    highest = FOURTH if halves.any() else SECOND
    inside = np.array([_sums_of_powers(table, weights, rows, highest) for rows in parts])
    sums = np.moveaxis(inside if folds is None else sums_of_others(inside), 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        total, first, second = sums[:3]
        variance = np.nan_to_num(second / total - (first / total) ** 2)
    units = variance
    if halves.any():
        squares = squared_half_differences(sums)
        units = np.where(halves & (squares > 0), squares, variance)
    # A column that is constant in a region gets no coefficient under any penalty.
    return np.where(variance > SMALLEST_VARIANCE, units, 1.0)


def _sums_of_powers(
    table: StandardisedRows, weights: Array, rows: Rows | None, highest: int
) -> Array:
    """Weighted sums (highest + 1, K, p) of powers of columns over some rows (all, if None)."""
    sums = np.zeros((highest + 1, weights.shape[1], table.shape[1]))
    for place in row_blocks(table.shape[0] if rows is None else len(rows), table.shape[1]):
        piece = place if rows is None else rows[place]
        Z, weight = table.standardised(rows_of(table.X, piece)), rows_of(weights, piece).T
        sums += sums_of_powers(Z, weight, highest)
    return sums
