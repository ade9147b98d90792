"""Checks of the targets that users pass in."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, check_array, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from ._numeric import LARGEST, Array, positions_among

# Those of pandas are derived from the first two.
DATE_TYPES = (date, timedelta, np.datetime64, np.timedelta64)
# Sums of squares of less are lost.
SMALLEST = 1e-150


def check_real_target(estimator: Any, X: Any, y: Any) -> np.ndarray:
    """A finite numeric target, (n,) or (n, n_outputs), of the length of `X`."""
    _require_target(estimator, y)
    refuse_dates("y", y)
    rules = {"ensure_2d": False, "ensure_min_features": 0, "dtype": "numeric", "input_name": "y"}
    y = check_array(y, **rules, estimator=estimator)
    if 0 in y.shape[1:]:
        raise ValueError(f"y has shape {y.shape}, without a column. Pass one for each output.")
    if y.ndim == 2 and y.shape[1] == 1 and not get_tags(estimator).target_tags.multi_output:
        y = column_or_1d(y, warn=True)
    check_consistent_length(X, y)
    y = y.astype(np.float64) if y.dtype.kind not in "f" else y
    _check_size(y)
    return y


def check_label_target(estimator: Any, X: Any, y: Any) -> np.ndarray:
    """Class labels (n,) of the length of `X`."""
    _require_target(estimator, y)
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y", estimator_name=type(estimator).__name__)
    if y.dtype.kind in "mM" and np.isnat(y).any():
        raise ValueError("Input y contains NaT, which is no label. Leave these rows out.")
    check_classification_targets(y)
    check_consistent_length(X, y)
    return y


def classes_of(y: NDArray, weight: Array) -> tuple[NDArray[np.intp], NDArray]:
    """Positions (n,) of labels `y` among the classes, and these.

    A class whose rows all weigh nothing is no class, as if its rows were not there.
    """
    classes = np.unique(y[weight > 0])
    return positions_among(y, classes)[0], classes


def outputs_of(y: NDArray) -> Array:
    """Real targets as outputs (n, q)."""
    return y.reshape(len(y), -1).astype(np.float64, copy=False)


def real_numbers(y: Any) -> Array:
    """Targets of a query as float64, whatever their shape."""
    refuse_dates("y", y)
    try:
        return np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"y must hold real numbers, one for each row and output: {error}"
        ) from error


def _check_size(y: Array) -> None:
    """Raise if squares of the targets overflow, or those of their differences are lost."""
    low, high = (np.asarray(end, dtype=np.float64) for end in (y.min(axis=0), y.max(axis=0)))
    largest, spread = float(np.maximum(-low, high).max()), high - low
    if largest > LARGEST:
        raise ValueError(f"y holds {largest:.3g}, whose square overflows. Pass y in another unit.")
    if ((spread > 0) & (spread < SMALLEST)).any():
        raise ValueError(
            f"Values of y differ by {spread[spread > 0].min():.3g} at most, whose square is too "
            "small. Pass y in another unit."
        )


def refuse_dates(name: str, y: Any) -> None:
    """Raise if a target holds dates or durations.

    As numbers they depend on the unit that they are stored in, and a missing one would be the least
    of all.
    """
    values = np.asarray(y)
    kinds = set(map(type, values.ravel())) if values.dtype == object else {values.dtype.type}
    if any(issubclass(kind, DATE_TYPES) for kind in kinds):
        raise ValueError(
            f"{name} holds dates or durations, and should hold real numbers. Choose a unit: (y - "
            "y.min()) / np.timedelta64(1, 'D') for days from the first date, y / "
            "np.timedelta64(1, 'D') for durations."
        )


def _require_target(estimator: Any, y: Any) -> None:
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None."
        )
