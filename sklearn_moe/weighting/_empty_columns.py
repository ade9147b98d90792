"""Columns that have no value among the rows of a region, which boosting cannot be fitted to."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from .._times import no_value
from ._learners import inner_predictors, is_mixture


def without_empty_columns(estimator: Any, X: Any) -> Any:
    """The table `X` for a fit of `estimator`: if it boosts, constants for columns without a value.

    A constant says as little.
    """
    if isinstance(X, np.ndarray) and not _is_missing(X[:1]).any():
        return X  # a column without a value lacks the first
    if not _holds_boosting(estimator):
        return X
    if hasattr(X, "fillna"):
        return _filled_pandas(X)
    if hasattr(X, "with_columns"):
        return _filled_polars(X)
    return _filled_array(X) if isinstance(X, np.ndarray) else X


def _filled_pandas(X: Any) -> Any:
    is_number = [d.kind in "fiubO" and d.name != "category" for d in X.dtypes]
    empty = [place for place in np.flatnonzero(is_number) if X.iloc[:, place].isna().all()]
    filled = X.copy(deep=False) if empty else X
    for place in empty:  # objects stay such, for what encodes text that other regions have
        holds_objects = X.dtypes.iloc[place].kind == "O"
        filled.isetitem(place, np.full(len(X), 0.0, dtype=object if holds_objects else float))
    return filled


def _filled_polars(X: Any) -> Any:
    columns = X.get_columns()
    numbers = [each for each in columns if each.dtype.is_numeric() or str(each.dtype) == "Boolean"]
    bare = [each.fill_nan(None) if each.dtype.is_float() else each for each in numbers]
    return X.with_columns(each.fill_null(0) for each in bare if each.null_count() == len(each))


def _filled_array(X: np.ndarray) -> np.ndarray:
    empty = _is_missing(X).all(axis=0)
    return np.where(empty, X.dtype.type(0), X) if empty.any() else X


def _is_missing(X: np.ndarray) -> NDArray[np.bool_]:
    if X.dtype.kind == "O":
        return np.frompyfunc(_is_gap, 1, 1)(X).astype(bool)
    return np.isnan(X) if X.dtype.kind == "f" else np.zeros(X.shape, dtype=bool)


def _is_gap(value: Any) -> bool:
    return no_value(type(value)) or (isinstance(value, Real) and value != value)


def _holds_boosting(estimator: Any) -> bool:
    """Whether boosting by histograms learns from the table: the estimator, or one within it."""
    if is_mixture(estimator):
        return False
    boosting = HistGradientBoostingRegressor | HistGradientBoostingClassifier
    return isinstance(estimator, boosting) or any(map(_holds_boosting, inner_predictors(estimator)))
