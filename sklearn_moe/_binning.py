"""Tables in bins, as histogram gradient boosting sees them, found once for a whole fit.

`HistGradientBoosting` sorts each column into bins before it grows trees. Under weights scikit-learn
searches for every edge of every bin anew, which on small tables takes ten times as long as the
trees. Trees ask of a number only on which side of an edge it lies; so while EM runs, they are given
the numbers of bins whose edges are weighted quantiles of the whole table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from ._design import as_text, table_columns
from ._numeric import Array
from ._validation import column_names, is_frame, is_sparse


def bins_of(estimator: Any) -> int | None:
    """How many bins `estimator` sorts a column into; None if it does not, or treats some apart."""
    if type(estimator) not in (HistGradientBoostingRegressor, HistGradientBoostingClassifier):
        return None
    by_name = isinstance(estimator.monotonic_cst, dict)
    if by_name or not isinstance(estimator.categorical_features, str | None):
        return None
    valid = isinstance(estimator.max_bins, int) and 2 <= estimator.max_bins <= 255
    return estimator.max_bins if valid and not estimator.warm_start else None


@dataclass(frozen=True)
class NumberBins:
    """The upper edges of all bins of a numeric column but the last."""

    edges: Array

    def codes(self, values: NDArray) -> Array:
        """The number of each value's bin; NaN stays NaN."""
        values = values.astype(np.float64, copy=False)
        return np.where(np.isnan(values), np.nan, np.searchsorted(self.edges, values))


@dataclass(frozen=True)
class CategoryBins:
    """The categories of a column, sorted."""

    names: NDArray

    def codes(self, values: NDArray) -> Array:
        """The position of each value; NaN for missing values and unknown ones."""
        texts = as_text(values)
        codes = np.searchsorted(self.names, texts).clip(max=len(self.names) - 1)
        return np.where(is_missing(values) | (self.names[codes] != texts), np.nan, codes)


@dataclass(frozen=True)
class Binner:
    """The bins of all columns of a table."""

    columns: list[NumberBins | CategoryBins]

    @property
    def categorical(self) -> list[bool] | None:
        """Which columns hold categories; None if none does."""
        found = [isinstance(column, CategoryBins) for column in self.columns]
        return found if any(found) else None

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The numbers of the bins of a table (n, p)."""
        codes = np.empty((len(X), len(self.columns)), dtype=np.float32)
        for j, (column, values) in enumerate(zip(self.columns, table_columns(X), strict=True)):
            codes[:, j] = column.codes(values)
        return codes


def make_binner(X: Any, weight: Array, max_bins: int) -> Binner | None:
    """Bins for a table of numbers and pandas categories, or None if there is more in it."""
    if is_sparse(X):
        return None
    columns: list[NumberBins | CategoryBins] = []
    for values, is_category in zip(table_columns(X), _are_categories(X), strict=True):
        if is_category:
            names = np.unique(as_text(values[~is_missing(values)]))
            if not 0 < len(names) <= max_bins:
                return None
            columns.append(CategoryBins(names))
        elif values.dtype == object or np.isinf(values).any():
            return None
        else:
            columns.append(NumberBins(_edges(values, weight, max_bins)))
    return Binner(columns)


def is_missing(values: NDArray) -> NDArray[np.bool_]:
    """Where a column holds None or NaN."""
    return np.array([value is None or value != value for value in values], dtype=bool)


def _are_categories(X: Any) -> list[bool]:
    if not is_frame(X):
        return [False] * X.shape[1]
    return [getattr(X[name].dtype, "name", None) == "category" for name in column_names(X)]


def _edges(values: NDArray, weight: Array, max_bins: int) -> Array:
    """Edges halfway between neighbouring values: all of them, or weighted quantiles."""
    seen = ~np.isnan(values)
    distinct, place = np.unique(values[seen].astype(np.float64), return_inverse=True)
    last = np.arange(len(distinct) - 1)
    if len(distinct) > max_bins:
        share = np.cumsum(np.bincount(place, weight[seen]))
        wanted = np.arange(1, max_bins) / max_bins
        # The slack keeps a share that is a quantile but for rounding on one side of it.
        last = np.unique(np.searchsorted(share / share[-1], wanted - 1e-9))
        last = last[last < len(distinct) - 1]
    return 0.5 * (distinct[last] + distinct[last + 1])
