"""Measures of predictive intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._numeric import Array
from .._validation import check_coverage
from ._rows import mean_over_rows, rows_like


def interval_score(
    y_true: ArrayLike,
    interval: ArrayLike,
    *,
    coverage: float,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Mean width of the intervals plus a penalty for each target outside; lower is better.

    The penalty is ``2 / (1 - coverage)`` times the distance to the interval. The expected score is
    least for the central interval of that coverage under the true law, so that intervals which are
    narrow but miss, or cover all but are wide, do not pay. For several outputs, it is the mean.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    interval : array-like of shape (n_samples, 2) or (n_samples, n_outputs, 2)
        Lower and upper ends.
    coverage : float
        Nominal coverage of the intervals, strictly between 0 and 1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, none negative.

    Returns
    -------
    score : float
        Weighted mean in the unit of the target.

    Raises
    ------
    ValueError
        If shapes do not agree, a target or weight is not finite, an end is NaN or a lower one above
        its upper one, or `coverage` is not a coverage.

    References
    ----------
    R. L. Winkler, "A decision-theoretic approach to interval estimation", Journal of the American
    Statistical Association 67(337), 1972. T. Gneiting and A. E. Raftery, "Strictly proper scoring
    rules, prediction, and estimation", Journal of the American Statistical Association 102(477),
    2007, section 6.2.

    Examples
    --------
    >>> from sklearn_moe.metrics import interval_score
    >>> print(f"{interval_score([1.0, 5.0], [[0, 4], [0, 4]], coverage=0.9):.1f}")
    14.0
    """
    fine = 2.0 / (1.0 - check_coverage(coverage))
    y, lower, upper = _check_interval(y_true, interval)
    outside = np.maximum(lower - y, 0.0) + np.maximum(y - upper, 0.0)
    # Equal infinite ends would have a difference of NaN.
    width = np.subtract(upper, lower, out=np.zeros_like(outside), where=upper != lower)
    return mean_over_rows(width + fine * outside, sample_weight)


def interval_coverage(
    y_true: ArrayLike, interval: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Share of the targets inside their intervals, ends included; best near the nominal coverage.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    interval : array-like of shape (n_samples, 2) or (n_samples, n_outputs, 2)
        Lower and upper ends.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, none negative.

    Returns
    -------
    coverage : float
        Weighted share over rows and outputs, between 0 and 1.

    Raises
    ------
    ValueError
        If shapes do not agree, a target or weight is not finite, or an end is NaN or a lower one
        above its upper one.

    Examples
    --------
    >>> from sklearn_moe.metrics import interval_coverage
    >>> interval_coverage([1.0, 5.0, 4.0, 2.0], [[0, 4]] * 4)
    0.75
    """
    y, lower, upper = _check_interval(y_true, interval)
    return mean_over_rows(((lower <= y) & (y <= upper)).astype(np.float64), sample_weight)


def _check_interval(y_true: ArrayLike, interval: ArrayLike) -> tuple[Array, Array, Array]:
    """Targets, lower ends and upper ends, all of one shape."""
    ends = np.asarray(interval, dtype=np.float64)
    if ends.ndim not in (2, 3) or ends.shape[-1] != 2:
        raise ValueError(
            f"interval has shape {ends.shape}, not (n_samples, 2) or (n_samples, n_outputs, 2). "
            "Stack lower and upper ends along the last axis: np.stack([lower, upper], axis=-1)."
        )
    lower, upper = ends[..., 0], ends[..., 1]
    if not (lower <= upper).all():
        row = int(np.argwhere(~(lower <= upper))[0, 0])
        raise ValueError(
            f"interval has a NaN, or a lower end above its upper end: row {row} is "
            f"{ends[row].tolist()}. Give each as (lower, upper)."
        )
    return rows_like(y_true, lower.shape), lower, upper
