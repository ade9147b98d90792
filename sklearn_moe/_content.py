"""What a row holds, as a number: identities and an order that do not depend on the row order.

Two rows have the same identity if their entries are the same. Identities follow from the position
of each entry between the extremes of its column, so they survive a change of units, of row order,
of a dense table to a sparse one, and the repetition or deletion of other copies. Folds, random
labels and systematic samples are functions of them; this is what makes a weight of three the same
as three rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._design import as_text, check_finite, table_columns

# Not a fraction with a small denominator, so that evenly spaced values do not fall on the edges of
# the rounding grid.
GRID = 1e6 * np.pi
ROUNDING = 1e-12
# Entries that are hashed at once.
AT_ONCE = 20_000
Hash = NDArray[np.uint64]


def feature_hashes(X: Any) -> Hash:
    """A 64-bit hash of each row of the table `X`."""
    return _sparse_hash(X) if sp.issparse(X) else _dense_hash(table_columns(X))


def with_target(features: Hash, y: np.ndarray) -> Hash:
    """Hashes of rows with their targets `y`."""
    return _mix(features + _mix(_dense_hash(list(y.reshape(len(y), -1).T)) + np.uint64(1)))


def row_hashes(X: Any, y: np.ndarray) -> Hash:
    """A 64-bit hash of each row of the table `X` with its target `y`."""
    return with_target(feature_hashes(X), y)


def salted(hashes: Hash, numbers: NDArray[np.intp]) -> Hash:
    """Other hashes, by a number for each."""
    return _mix(hashes + _mix(numbers.astype(np.uint64)))


def content_ids(hashes: Hash) -> NDArray[np.intp]:
    """Dense integers, equal for equal rows, in an order that is arbitrary but fixed by content."""
    return np.unique(hashes, return_inverse=True)[1]


def group_ids(labels: NDArray[np.intp], hashes: Hash) -> NDArray[np.intp]:
    """Dense integers for groups of rows, in an order fixed by what they hold, whatever their names.

    `labels` (n,) are dense integers already; copies of a row within a group count once.
    """
    held = np.unique(np.column_stack([labels.astype(np.uint64), hashes]), axis=0)
    total = np.zeros(labels.max() + 1, dtype=np.uint64)
    np.add.at(total, held[:, 0].astype(np.intp), held[:, 1])
    number = np.empty(len(total), dtype=np.intp)
    number[np.argsort(total, kind="stable")] = np.arange(len(total))
    return number[labels]


def uniform_by_content(hashes: Hash, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each row, the same for equal rows, fixed by `seed`."""
    mixed = _mix(hashes ^ _mix(np.full(1, seed, dtype=np.uint64)))
    return mixed.astype(np.float64) / 2.0**64


def lowest_rows(
    priority: NDArray, distinct: NDArray[np.intp], n_rows: int
) -> NDArray[np.intp] | None:
    """All copies of the `n_rows` distinct rows of lowest `priority` (n,), the same for copies.

    None if there are not twice as many to choose from. `distinct` holds one row of each content.
    """
    if len(distinct) < 2 * n_rows:
        return None
    return np.flatnonzero(priority < np.partition(priority[distinct], n_rows)[n_rows])


def _mix(values: Hash) -> Hash:
    """Finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _dense_hash(columns: list[np.ndarray]) -> Hash:
    total = np.zeros(len(columns[0]), dtype=np.uint64)
    at_once = max(1, AT_ONCE // len(total))
    for first in range(0, len(columns), at_once):
        codes = np.stack([_codes(values) for values in columns[first : first + at_once]])
        position = np.arange(first, first + len(codes), dtype=np.uint64)
        total += _mix(codes + _mix(position)[:, None]).sum(axis=0, dtype=np.uint64)
    return total


def _sparse_hash(X: Any) -> Hash:
    """The hashes of the dense table, from the nonzero entries and one zero of each column."""
    (n_rows, n_columns), entries = X.shape, sp.coo_matrix(X)
    check_finite(entries.data, allow_nan=False)
    is_there = entries.data != 0  # a zero is one, stored or not
    row, column, values = (part[is_there] for part in (entries.row, entries.col, entries.data))
    with_zeros = np.flatnonzero(np.bincount(column, minlength=n_columns) < n_rows)
    columns = np.concatenate([column, with_zeros])
    place = _sparse_places(columns, np.append(values, np.zeros(len(with_zeros))), X.shape)
    hashes = _mix(place.astype(np.int64).view(np.uint64) + _mix(columns.astype(np.uint64)))
    of_zero = np.zeros(n_columns, dtype=np.uint64)
    of_zero[with_zeros] = hashes[len(row) :]
    total = np.full(n_rows, of_zero.sum(dtype=np.uint64))
    np.add.at(total, row, hashes[: len(row)] - of_zero[column])
    return total


def _sparse_places(
    column: NDArray[np.intp], values: NDArray, shape: tuple[int, int]
) -> NDArray[np.float64]:
    """`_places` of the values of each column; zeros that are not stored are in `values` once."""
    n_rows, n_columns = shape
    low, high = np.full(n_columns, np.inf), np.full(n_columns, -np.inf)
    np.minimum.at(low, column, 0.5 * values)
    np.maximum.at(high, column, 0.5 * values)
    span = np.where(high > low, high - low, 1.0)
    place = np.rint((0.5 * values - low[column]) / span[column] * GRID)
    order = np.lexsort((values, column))
    ordered, home = values[order], column[order]
    begins = np.r_[True, np.diff(home) != 0]
    steps = ~begins
    steps[1:] &= _are_apart(ordered)
    moves = ~begins & np.r_[False, np.diff(place[order]) != 0]
    n_moves, n_steps = (np.bincount(home[are], minlength=n_columns) for are in (moves, steps))
    is_crowded = (2 * n_moves < n_rows - 1) & (2 * n_moves < n_steps)
    if is_crowded.any():
        number = np.cumsum(steps)
        # Numbered from zero in each column.
        number -= number[begins][np.cumsum(begins) - 1]
        place[order] = np.where(is_crowded[home], number, place[order])
    return place


def _codes(values: np.ndarray) -> Hash:
    if values.dtype.kind not in "fiub":
        return np.unique(as_text(values), return_inverse=True)[1].astype(np.uint64)
    values = values.astype(np.float64)
    check_finite(values)
    missing = np.isnan(values)
    place = np.full(len(values), np.rint(-GRID))
    known = ~missing if missing.any() else slice(None)
    if not missing.all():
        place[known] = _places(values[known])
    return place.astype(np.int64).view(np.uint64)


def _places(values: np.ndarray) -> np.ndarray:
    """Where numbers lie between the smallest and the largest, rounded to a grid."""
    low, high = 0.5 * values.min(), 0.5 * values.max()
    place = np.rint((0.5 * values - low) / ((high - low) or 1.0) * GRID)
    n_steps = np.count_nonzero(np.diff(np.sort(place)))
    if 2 * n_steps >= len(values) - 1:
        return place
    distinct = np.unique(values)
    steps = _are_apart(distinct)
    if 2 * n_steps < steps.sum():
        # Most different values would share a place: values far out take all the room on the grid.
        place = np.concatenate([[0.0], np.cumsum(steps)])[np.searchsorted(distinct, values)]
    return place


def _are_apart(ordered: np.ndarray) -> NDArray[np.bool_]:
    """Whether each value differs from the one before, by more than rounding."""
    with np.errstate(over="ignore"):  # an infinite step is one
        return np.diff(ordered) > ROUNDING * np.maximum(abs(ordered[1:]), abs(ordered[:-1]))
