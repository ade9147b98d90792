"""What every measure does with its rows: checks them, and takes the mean of their losses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from .._numeric import Array, weighted_mean
from .._table_checks import check_weight
from .._targets import refuse_dates


def target_of(y_true: ArrayLike, dist: Any, method: str) -> Array:
    """Targets in the shape of `dist`, which must have `method`."""
    if not (hasattr(dist, method) and hasattr(dist, "mean")):
        raise TypeError(
            f"dist must be a distribution with the methods {method} and mean; got an object of "
            f"type {type(dist).__name__}. Pass what predict_dist(X) returns."
        )
    return rows_like(y_true, np.shape(dist.mean()))


def rows_like(y_true: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Targets as finite floats of `shape`; one output may be a vector here and a column there."""
    y = _finite_numbers(y_true)
    one_output = {(len(y),), (len(y), 1)}
    if y.shape != shape and not {y.shape, shape} <= one_output:
        raise ValueError(
            f"y_true has shape {y.shape}, but what is predicted has shape {shape}. Predict for the "
            "rows and outputs of y_true."
        )
    return y.reshape(shape)


def _finite_numbers(y_true: ArrayLike) -> Array:
    refuse_dates("y_true", y_true)
    try:
        y = check_array(y_true, ensure_2d=False, dtype="numeric", input_name="y_true")
    except (TypeError, ValueError) as error:
        raise ValueError(
            "y_true must hold finite numbers, (n_samples,) or (n_samples, n_outputs). "
            f"Convert it or drop its rows: {error}"
        ) from error
    return y.astype(np.float64)


def of_shape(shape: tuple[int, ...], values: ArrayLike, method: str) -> Array:
    """What `method` of a distribution gave, held to its `shape`."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(
            f"dist.{method} gave an array of shape {array.shape}, not {shape}. It must give one "
            "value for each row and output; logpdf one for each row, of all outputs together."
        )
    return array


def mean_over_rows(losses: Array, sample_weight: ArrayLike | None) -> float:
    """Weighted mean over rows of the mean over outputs."""
    weight = check_weight(sample_weight, losses)
    # A row of no weight does not count, even if its loss is infinite.
    rows = weight > 0
    by_row = losses.reshape(len(losses), -1).mean(axis=1)
    return float(weighted_mean(by_row[rows], weight[rows]))
