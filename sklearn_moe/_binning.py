"""Tables in bins, as histogram gradient boosting sees them, found once for a whole fit.

`HistGradientBoosting` sorts each column into bins before it grows trees. Under weights scikit-learn
searches for every edge of every bin anew, which on small tables takes ten times as long as the
trees. Trees ask of a number only on which side of an edge it lies; so while EM runs, they are given
the numbers of bins whose edges are weighted quantiles of the whole table or, at the end of a
pipeline, of what its steps have made of the rows of the fit.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

from ._numeric import Array
from ._rows import column_names, is_frame, n_rows

# The name of the step before boosting.
STEP = "numbers of bins"

# Types of truth values in a column of objects, and of what stands for a missing one.
TRUTH = {bool, np.bool_, float, type(None)}


def bins_of(estimator: Any) -> int | None:
    """How many bins `estimator` sorts a column into; None if it does not, or treats some apart."""
    max_bins = _max_bins(estimator)
    given = None if max_bins is None else estimator.categorical_features
    return max_bins if isinstance(given, str) and given == "from_dtype" else None


def _max_bins(estimator: Any) -> int | None:
    """How many bins `estimator` sorts a column into; None if it does not, or goes by names."""
    if type(estimator) not in (HistGradientBoostingRegressor, HistGradientBoostingClassifier):
        return None
    if isinstance(estimator.monotonic_cst, dict) or estimator.warm_start:
        return None
    valid = isinstance(estimator.max_bins, int) and 2 <= estimator.max_bins <= 255
    return estimator.max_bins if valid else None


def _apart(boosting: Any) -> tuple[int, ...] | None:
    """Places of the columns that boosting is told to hold categories; None if told their names."""
    given = boosting.categorical_features
    if given is None or (isinstance(given, str) and given == "from_dtype"):
        return ()
    places = np.asarray(given)
    if places.dtype == bool:
        places = np.flatnonzero(places)
    return tuple(places.tolist()) if places.dtype.kind in "iu" else None


def with_bins(estimator: Any) -> Pipeline | None:
    """A pipeline that ends in boosting, and sorts into bins before; None if that changes more.

    Its parts are those of the `estimator`, not clones of them. Bare boosting that treats no column
    apart has the bins of the whole table (`bins_of`), and needs none of its own.
    """
    pipeline = estimator if type(estimator) is Pipeline else Pipeline([("boosting", estimator)])
    # A cache would be filled with tables in bins, which are others in each fit.
    has_more = getattr(pipeline, "transform_input", None) or pipeline.memory is not None
    if has_more or STEP in dict(pipeline.steps):
        return None
    *steps, last = pipeline.steps
    max_bins = _max_bins(last[1])
    if max_bins is None or (apart := _apart(last[1])) is None or bins_of(estimator) is not None:
        return None
    pipeline = copy(pipeline)
    pipeline.steps = [*steps, (STEP, Bins(max_bins, apart)), last]
    return pipeline


class Bins(BaseEstimator):
    """A step that puts numbers of bins in place of values, but for the columns that are `apart`.

    Tables with anything but numbers stay as they are.
    """

    def __init__(self, max_bins: int, apart: tuple[int, ...] = ()) -> None:
        self.max_bins = max_bins
        self.apart = apart

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Bins:
        """Find the edges."""
        weight = np.ones(n_rows(X)) if sample_weight is None else sample_weight
        binner = make_binner(X, weight, self.max_bins)
        # Categories would have to be told to the boosting, which knows them by their type.
        self.binner_ = None if binner is None or binner.categorical else binner
        return self

    def transform(self, X: Any) -> Any:
        """The numbers of the bins (n, p)."""
        if self.binner_ is None:
            return X
        codes, values = self.binner_.transform(X), list(_columns(X))
        for place in self.apart:
            if place < len(values):  # else boosting will say so
                codes[:, place] = values[place]
        return codes


@dataclass(frozen=True)
class NumberBins:
    """The upper edges of all bins of a numeric column but the last."""

    edges: Array

    def codes(self, values: Any) -> Array:
        """The number of each value's bin; NaN stays NaN."""
        numbers = np.asarray(_numbers(values), dtype=np.float64)
        return np.where(np.isnan(numbers), np.nan, np.searchsorted(self.edges, numbers))


@dataclass(frozen=True)
class CategoryBins:
    """The categories of a pandas column."""

    names: Any

    def codes(self, values: Any) -> Array:
        """The position of each value; NaN for missing values and unknown ones."""
        codes = np.asarray(values.cat.set_categories(self.names).cat.codes, dtype=np.float64)
        return np.where(codes < 0, np.nan, codes)


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
        for j, (column, values) in enumerate(zip(self.columns, _columns(X), strict=True)):
            codes[:, j] = column.codes(values)
        return codes


def make_binner(X: Any, weight: Array, max_bins: int) -> Binner | None:
    """Bins for a table of numbers and pandas categories, or None if there is more in it."""
    if not is_frame(X) and not (isinstance(X, np.ndarray) and X.ndim == 2):
        return None
    columns = [_bins(values, weight, max_bins) for values in _columns(X)]
    known = [column for column in columns if column is not None]
    return Binner(known) if len(known) == len(columns) else None


def _columns(X: Any) -> list[Any]:
    return [X[name] for name in column_names(X)] if is_frame(X) else list(X.T)


def _bins(values: Any, weight: Array, max_bins: int) -> NumberBins | CategoryBins | None:
    """The bins of one column, or None if boosting refuses it or it is of another kind."""
    if getattr(values.dtype, "name", None) == "category":
        names = values.cat.categories
        return CategoryBins(names) if 0 < len(names) <= max_bins else None
    numbers = _numbers(values)
    if numbers.dtype.kind not in "fiub" or np.isinf(numbers).any():
        return None
    return NumberBins(_edges(numbers, weight, max_bins))


def _numbers(values: Any) -> NDArray:
    """A column as an array, of numbers if boosting sees some: truth values may be missing."""
    numbers = np.asarray(values)
    if numbers.dtype != object:
        return numbers
    if getattr(values.dtype, "kind", "") == "b":  # boolean to pandas, which marks gaps by its own
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    kinds = set(map(type, numbers))
    is_truth = kinds <= TRUTH and kinds != {type(None)}  # which may be categories to polars
    return numbers.astype(np.float64) if is_truth else numbers


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
