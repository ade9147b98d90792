"""Log-space and weighted arithmetic: free functions of arrays that know no model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
# Weights that are multiples of 1 / WEIGHT_GRID sum without rounding, in any order.
WEIGHT_GRID = 2.0**24
# Elements in one block of rows: 256 kB.
BLOCK_ELEMENTS = 2**15
MANY_COLUMNS = 10
# Decimals, in units of standard deviations of columns, beyond which there is nothing but rounding.
DECIMALS = 9
# The log of what is taken for a probability of zero where there has to be one.
IMPOSSIBLE = float(np.log(np.finfo(np.float64).tiny))
# Entries up to which a sparse table is cheaper as a dense one.
SMALL_TABLE = 2**17
# Millions of squares of less can be summed.
LARGEST = 1e150


def on_weight_grid(weights: Array) -> Array:
    """Weights rounded to a grid on which sums are exact."""
    rounded = weights * WEIGHT_GRID
    np.rint(rounded, out=rounded)
    rounded /= WEIGHT_GRID
    return rounded


def rows_of(table: NDArray, rows: slice | NDArray[np.intp]) -> NDArray:
    """Rows of an array: a view for a slice; else a copy, four times as fast as by indexing."""
    if isinstance(rows, slice) or not table.flags.c_contiguous:  # of which `take` copies all first
        return table[rows]
    return np.take(table, rows, axis=0)


def row_blocks(n_samples: int, width: int, fewest: int = 64) -> Iterator[slice]:
    """Slices of rows so short that a table of `width` columns stays in a core's cache."""
    size = max(fewest, BLOCK_ELEMENTS // max(width, 1))
    for first in range(0, n_samples, size):
        yield slice(first, min(first + size, n_samples))


def experts_first(n_samples: int, *shape: int) -> Array:
    """An empty array (n, ...) in whose memory the rows come last.

    Numpy is fast along the rows, of which there are many, and slow along experts, which are few.
    """
    return np.moveaxis(np.empty((*shape, n_samples)), -1, 0)


def columns_of(table: NDArray, columns: slice | NDArray[np.intp]) -> NDArray:
    """Columns of an array: a view for a slice, else a copy."""
    if isinstance(columns, slice) or not table.flags.c_contiguous:
        return table[:, columns]
    return np.take(table, columns, axis=1)


def row_max(values: Array) -> Array:
    """Largest value of each row of `values` (n, K, ...).

    Column by column where these are few: numpy reduces short rows ten times more slowly.
    """
    if values.shape[1] > MANY_COLUMNS:
        return values.max(axis=1)
    highest = values[:, 0].copy()
    for column in np.moveaxis(values, 1, 0)[1:]:
        np.maximum(highest, column, out=highest)
    return highest


def row_sum(values: Array) -> Array:
    """Sum of each row of `values` (n, K)."""
    return values @ np.ones(values.shape[1])


def log_normalize(log_joint: Array, overwrite: bool = False) -> tuple[Array, Array]:
    """Normalise each row of `log_joint` (n, K) in log space; in its own memory if allowed.

    Returns the normalised rows (n, K) and the log of what they summed to (n,). A row of nothing but
    -inf is shared equally, and sums to the smallest number.
    """
    highest = row_max(log_joint)
    if (lost := np.isneginf(highest)).any():
        log_joint = log_joint if overwrite else log_joint.copy()
        log_joint[lost] = highest[lost] = IMPOSSIBLE - np.log(log_joint.shape[1])
    shifted = np.subtract(log_joint, highest[:, None], out=log_joint if overwrite else None)
    log_total = np.empty(len(highest))
    for rows in row_blocks(*log_joint.shape):
        log_total[rows] = row_sum(np.exp(shifted[rows]))
    np.log(log_total, out=log_total)
    shifted -= log_total[:, None]
    return shifted, highest + log_total


def normalize(log_joint: Array) -> tuple[Array, Array]:
    """Normalise the exponential of each row of `log_joint` (n, K), in its own memory.

    Returns the probabilities (n, K) and the log of what the rows summed to (n,). A row of
    nothing but -inf is shared equally, and sums to the smallest number.
    """
    log_total = row_max(log_joint)
    if (lost := np.isneginf(log_total)).any():
        log_joint[lost] = log_total[lost] = IMPOSSIBLE - np.log(log_joint.shape[1])
    log_joint -= log_total[:, None]
    proba = np.exp(log_joint, out=log_joint)
    total = row_sum(proba)
    proba /= total[:, None]
    log_total += np.log(total)
    return proba, log_total


def log_sum(log_values: Array) -> Array:
    """Log of the sum over the second axis of exponentials, -inf where there is nothing."""
    highest = row_max(log_values)
    floor = np.where(np.isfinite(highest), highest, 0.0)
    total = np.zeros_like(floor)
    for column in np.moveaxis(log_values, 1, 0):
        total += np.exp(column - floor)
    with np.errstate(divide="ignore"):
        return floor + np.log(total)


def sums_of_others(parts: Array) -> Array:
    """For each of the arrays `parts` (m, ...) the sum of all others.

    Not the total less the part: an expert may have nearly all of its weight in one fold.
    """
    before, after = np.zeros_like(parts), np.zeros_like(parts)
    for k in range(1, len(parts)):  # `cumsum` would go across them, with long strides
        np.add(before[k - 1], parts[k - 1], out=before[k])
        np.add(after[-k], parts[-k], out=after[-k - 1])
    before += after
    return before


def next_count(count: Array) -> Array:
    """One more; where numbers have no digit for one, the next number."""
    return np.maximum(count + 1.0, np.nextafter(count, np.inf))


def effective_rows(weight: Array) -> float:
    """How many rows of equal weight tell as much as rows of these weights (n,) (Kish, 1965)."""
    share = weight / weight.max()  # squares of tiny weights, or of huge ones, are no numbers
    return float(share.sum() ** 2 / (share**2).sum())


def positions_among(
    labels: NDArray, classes: NDArray
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where among the `classes` each label is, and whether it is there."""
    place = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    return place, classes[place] == labels


def safe_log(probability: Array) -> Array:
    """Logarithm with 0 mapped to the log of the smallest positive float, never to -inf."""
    return np.log(np.maximum(probability, np.finfo(np.float64).tiny))


def weighted_mean(values: Array, weight: Array) -> Array:
    """Mean over rows of `values` (n, ...) under `weight` (n,)."""
    return np.tensordot(weight, values, axes=(0, 0)) / weight.sum()


def mean_of_known(values: Array, weight: Array) -> float:
    """Weighted mean of the values that are not NaN; NaN if there are none."""
    known = ~np.isnan(values)
    return float(weighted_mean(values[known], weight[known])) if known.any() else np.nan


def exact_means(columns: NDArray) -> tuple[Array, NDArray[np.bool_]]:
    """Means (p,) of columns (n, p), those of constant ones without rounding; and which are."""
    constant = columns.min(axis=0) == columns.max(axis=0)
    return np.where(constant, columns[0], columns.mean(axis=0, dtype=np.float64)), constant


def weighted_moments(values: Array, weight: Array) -> tuple[Array, Array]:
    """Mean and variance over rows of `values` (n, ...) under `weight` (n,)."""
    mean = weighted_mean(values, weight)
    return mean, weighted_mean((values - mean) ** 2, weight)


def quantile_groups(score: Array, weight: Array, n_groups: int) -> NDArray[np.intp]:
    """Cut rows into `n_groups` of equal weight along `score`; equal scores stay together."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    share = np.cumsum(weight[order]) / weight.sum()
    ranks = np.searchsorted(share, np.arange(1, n_groups) / n_groups - 1e-9)
    edges = ordered[np.minimum(ranks, len(score) - 1)]
    # The shift keeps copies of a row, whose scores may differ by rounding, on one side of an edge.
    slack = 1e-9 * (ordered[-1] - ordered[0])
    return np.searchsorted(edges, score - slack, side="right")


def mean_and_stderr(
    values: Array, weight: Array, clusters: NDArray[np.intp]
) -> tuple[float, float]:
    """Weighted mean of `values` (n,), and its error if rows are independent between `clusters`.

    Values that are NaN are left out.
    """
    known = ~np.isnan(values)
    if not known.all():
        values, weight, clusters = values[known], weight[known], clusters[known]
    mean = float(weighted_mean(values, weight))
    totals = np.bincount(clusters, weights=weight / weight.sum() * (values - mean))
    return mean, float(np.sqrt((totals**2).sum()))
