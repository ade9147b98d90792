"""Indicators: columns of two values, and the unit in which their coefficients are penalised.

A rare indicator has a small standard deviation. In units of that, its coefficient, of which few
rows tell, would cost less than that of a frequent one. In units of half the difference of its
values, which is the deviation if both are equally frequent, all indicators are shrunk alike, and
like numbers in units of their deviations (Gelman).

The moments show that there are two values: the kurtosis is then one more than the square of the
skewness, and otherwise larger (Pearson). So this depends on the weights of rows, as a deviation
does, and a value of next to no weight does not count.

A. Gelman, "Scaling regression inputs by dividing by two standard deviations", Statistics in
Medicine 27(15), 2008. K. Pearson, "Mathematical contributions to the theory of evolution XIX",
Philosophical Transactions A 216, 1916.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from .._numeric import Array, row_blocks

# The highest power of columns that is needed to tell whether they have two values.
FOURTH = 4
# What rounding leaves of zero, beside the product of the second moment and the fourth.
ROUNDING = 1e-9


def sums_of_powers(Z: Array, weights: Array, highest: int = FOURTH) -> Array:
    """Weighted sums (highest + 1, K, p) of ones, values, squares, ... of the rows `Z` (B, p).

    `weights` are (K, B).
    """
    sums, power = np.empty((highest + 1, len(weights), Z.shape[1])), Z
    sums[0] = weights.sum(axis=1)[:, None]
    for k in range(1, highest + 1):
        sums[k] = weights @ power
        power = power * Z if k < highest else power
    return sums


def squared_half_differences(sums: Array) -> Array:
    """Squares (..., p) of half the difference of the two values of columns; zero for others.

    `sums` (5, ..., p) are weighted sums of the columns' powers, from the zeroth to the fourth.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second, third, fourth = sums[1:] / sums[0]
        variance = second - first**2
        skewed = third - 3 * first * second + 2 * first**3
        tailed = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
        beyond = tailed * variance - skewed**2 - variance**3
        # For constant columns rounding leaves something, which may be below zero.
        has_two = (variance > 0) & (tailed > 0) & (beyond <= ROUNDING * tailed * variance)
        return np.where(has_two, 0.25 * (tailed / variance + 3 * variance), 0.0)


def half_differences(X: Any, center: Array, scale: Array, weight: Array) -> Array:
    """Half the difference (p,) of the two values of columns of weighted rows `X`; zero for others.

    In the units of `scale` (p,), about the `center` (p,): both are the table's own.
    """
    if sp.issparse(X):
        sums = _sparse_sums(sp.csc_matrix(X), center, scale, weight)
    else:
        sums = np.zeros((FOURTH + 1, X.shape[1]))
        for rows in row_blocks(*X.shape):
            sums += sums_of_powers((X[rows] - center) / scale, weight[None, rows])[:, 0]
    return np.sqrt(squared_half_differences(sums))


def _sparse_sums(X: sp.csc_matrix, center: Array, scale: Array, weight: Array) -> Array:
    """The `sums_of_powers` of a sparse table, whose zeros are not stored."""
    n_columns = X.shape[1]
    column = np.repeat(np.arange(n_columns), np.diff(X.indptr))
    stored, part = (X.data - center[column]) / scale[column], weight[X.indices]
    left = weight.sum() - np.bincount(column, part, minlength=n_columns)
    sums = np.empty((FOURTH + 1, n_columns))
    for k in range(FOURTH + 1):
        sums[k] = np.bincount(column, part * stored**k, minlength=n_columns)
        sums[k] += left * (-center / scale) ** k
    return sums
