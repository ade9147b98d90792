"""Indicators: columns of two values, and the unit in which their coefficients are penalised.

A rare one has a small standard deviation. In units of that its coefficient, which few rows tell of,
would cost less than that of a frequent one. In units of half the difference of its values, the
deviation that it would have if both were as frequent, all indicators are shrunk alike, and like
numbers in units of theirs.

A. Gelman, "Scaling regression inputs by dividing by two standard deviations", Statistics in
Medicine 27(15), 2008.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._numeric import Array, row_blocks


def half_differences(X: Any) -> Array:
    """Half the difference (p,) of the two values of a column of `X` (n, p); zero if it has more."""
    if sp.issparse(X):
        lowest, highest = (part.toarray().ravel() for part in (X.min(axis=0), X.max(axis=0)))
        has_two = _have_two(sp.csc_matrix(X), lowest, highest)
    else:
        lowest, highest = X.min(axis=0), X.max(axis=0)
        has_two = highest > lowest
        for rows in row_blocks(*X.shape):
            left = np.flatnonzero(has_two)
            part = X[rows][:, left]
            has_two[left] = ((part == lowest[left]) | (part == highest[left])).all(axis=0)
    difference = np.subtract(highest, lowest, dtype=np.float64)
    return np.where(has_two, 0.5 * difference, 0.0)


def _have_two(X: sp.csc_matrix, lowest: Array, highest: Array) -> NDArray[np.bool_]:
    """Whether a column of a sparse table has no value between its lowest and its highest."""
    n_rows, stored = X.shape[0], np.diff(X.indptr)
    column = np.repeat(np.arange(X.shape[1]), stored)
    others = (X.data != lowest[column]) & (X.data != highest[column])
    n_others = np.bincount(column, others, minlength=X.shape[1])
    zero_is_one = (stored == n_rows) | (lowest == 0) | (highest == 0)
    return (highest > lowest) & (n_others == 0) & zero_is_one
