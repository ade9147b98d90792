"""A table as a standardised numeric matrix: what the default gate and the starts look at.

Numeric columns are centred and scaled by weighted moments, with missing values put at the mean and
marked by an indicator; text and categorical columns, be they of digits, become one indicator per
frequent category. What a column is does not change after `fit`, whichever rows are asked for.
Sparse input is scaled, not centred, and stays sparse unless it is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from ._numeric import SMALL_TABLE, Array, weighted_moments
from ._rows import column_names, has_names, is_frame, is_pandas, n_rows
from ._table_checks import of_rows
from ._times import TIMES, holds_times, in_days, no_value, of_times
from .logit import StandardisedRows

MAX_CATEGORIES = 30
MISSING = "nan"
NUMBERS = (Real, Decimal, np.bool_)
DATES = "dates or durations"
CONTAINERS = (
    "X holds containers: each argument must be a string or a real number. Spread them over columns."
)


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers, standardised; what is missing is at the mean.

    Missing values are also marked if the column `has_gaps`. Dates (`is_time`) count days. Of a
    column that `is_empty` nothing is known, whatever it holds later.
    """

    mean: float = 0.0
    scale: float = np.inf
    has_gaps: bool = False
    is_empty: bool = False
    is_time: bool = False

    def names(self, name: Any) -> list[str]:
        """Names of what it is encoded as."""
        return [str(name), f"{name}_missing"][: 1 + self.has_gaps]

    def encode(self, name: Any, values: np.ndarray, out: Array) -> None:
        """Write the values (n,) of the column `name` over zeros `out` (n, width)."""
        if self.is_empty:
            return
        values = as_numbers(name, values)
        check_finite(values)
        np.divide(values - self.mean, self.scale, out=out[:, 0])
        missing = np.isnan(out[:, 0])
        out[missing, 0] = 0.0
        if self.has_gaps:
            out[:, 1] = missing


@dataclass(frozen=True, eq=False)
class TextColumn:
    """A column of text or categories: an indicator for each of the frequent ones.

    Other categories hold the share `rest` of the weight.
    """

    categories: np.ndarray
    rest: float = 0.0

    def names(self, name: Any) -> list[str]:
        """Names of what it is encoded as."""
        return [f"{name}_{category}" for category in self.categories]

    def encode(self, name: Any, values: np.ndarray, out: Array) -> None:
        """Write the values (n,) of the column over zeros `out` (n, width)."""
        out[:] = as_text(values.astype(object))[:, None] == self.categories


class TabularEncoder(BaseEstimator):
    """Encode a table as a standardised float64 matrix; all statistics are weighted.

    Parameters
    ----------
    max_categories : int, default=30
        Largest number of indicators that a column of text becomes.

    Attributes
    ----------
    columns_ : list of NumberColumn and TextColumn, or None
        How each input column is encoded; None for sparse input.
    scale_ : ndarray
        Weighted standard deviation of each column (sparse input only).
    n_outputs_ : int
        Number of columns of the encoded matrix.
    names_ : list
        Names of the input columns, `x0`, `x1`, ... where they have none.
    is_named_ : bool
        Whether they were columns of a frame, under names that are strings.
    """

    def __init__(self, max_categories: int = MAX_CATEGORIES) -> None:
        self.max_categories = max_categories

    def fit(self, X: Any, y: Any = None, sample_weight: Array | None = None) -> TabularEncoder:
        """Learn moments and categories of `X` (n, p) under `sample_weight` (n,), if it is given."""
        sample_weight = np.ones(n_rows(X)) if sample_weight is None else sample_weight
        self.is_named_ = has_names(X)
        self.names_ = column_names(X) if is_frame(X) else [f"x{j}" for j in range(np.shape(X)[1])]
        if sp.issparse(X):
            self.columns_ = None
            self.scale_ = _sparse_scale(X.tocsr(), sample_weight)
            self.n_outputs_ = X.shape[1]
            return self
        most = self.max_categories
        columns = zip(table_columns(X), time_columns(X), strict=True)
        self.columns_ = [_describe(*column, sample_weight, most) for column in columns]
        self.n_outputs_ = sum(len(column.names("")) for column in self.columns_)
        return self

    def transform(self, X: Any) -> Any:
        """Return the encoded matrix (n, n_outputs_), dense or CSR as `X` is."""
        self._check_columns(X)
        if sp.issparse(X) and self.columns_ is None:
            rows = sp.csr_matrix(X, dtype=np.float64)
            check_finite(rows.data, allow_nan=False)
            scaled = rows @ sp.diags(1.0 / self.scale_)
            return scaled.toarray() if np.prod(X.shape) <= SMALL_TABLE else scaled
        X = X.toarray() if sp.issparse(X) else X
        if self.columns_ is None:
            X = np.asarray(X, dtype=np.float64)
            check_finite(X, allow_nan=False)
            return X / self.scale_
        if self._only_scales(X):
            return _without_gaps(X, self._scaled(X).made())
        encoded = np.zeros((len(X), self.n_outputs_))
        start = 0
        names = column_names(X) if is_frame(X) else self.names_
        is_text = [isinstance(column, TextColumn) for column in self.columns_]
        for name, column, values, is_time in zip(
            names, self.columns_, table_columns(X, is_text), time_columns(X), strict=True
        ):
            if isinstance(column, NumberColumn) and not column.is_empty:
                check_kind(name, values, column.is_time, is_time)
            stop = start + len(column.names(name))
            column.encode(name, values, encoded[:, start:stop])
            start = stop
        return encoded

    def by_block(self, X: Any, unchecked: bool = False) -> Any:
        """The encoded table, where possible without a copy: block by block, as it is read.

        If `unchecked`, gaps and infinities may be left in it.
        """
        plain = not sp.issparse(X) and self._only_scales(X)
        return self._scaled(X) if plain and (unchecked or _has_finite_sum(X)) else self.transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names (n_outputs_,) of the encoded columns, from those of the input columns."""
        given = self.names_ if input_features is None else list(input_features)
        if len(given) != len(self.names_):
            raise ValueError(
                f"input_features holds {len(given)} names; there are {len(self.names_)} columns."
            )
        columns = self.columns_ or [NumberColumn()] * len(given)
        names = [column.names(name) for name, column in zip(given, columns, strict=True)]
        return np.concatenate(names).astype(object)

    def _check_columns(self, X: Any) -> None:
        """Raise if `X` has other columns than the table of the fit, as far as names can tell."""
        if np.shape(X)[1:] != (len(self.names_),):
            raise ValueError(f"X has shape {np.shape(X)}, but fit saw {len(self.names_)} columns.")
        if self.is_named_ and has_names(X) and column_names(X) != self.names_:
            raise ValueError(
                f"X has the columns {column_names(X)}; those of fit were {self.names_}. Pass the "
                "same columns in the same order."
            )

    def _only_scales(self, X: Any) -> bool:
        """Whether all there is to do for a dense table is to standardise its columns."""
        is_numbers = isinstance(X, np.ndarray) and X.dtype.kind in "fiub"
        columns = self.columns_ or []
        alike = all(
            isinstance(c, NumberColumn) and not (c.has_gaps or c.is_empty or c.is_time)
            for c in columns
        )
        return is_numbers and X.shape[1:] == (len(columns),) and alike

    def _scaled(self, X: np.ndarray) -> StandardisedRows:
        numbers = [column for column in self.columns_ or [] if isinstance(column, NumberColumn)]
        center = np.array([column.mean for column in numbers])
        return StandardisedRows(X, center, np.array([column.scale for column in numbers]))


def as_numbers(name: Any, values: np.ndarray) -> Array:
    """Values of a column that held numbers, or dates as numbers of days, in fit."""
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"Column {name!r} of X held numbers in fit, or dates, and now something else: {error}. "
            "Pass the same here (dates by pandas.to_datetime), or pass text in fit already."
        ) from error


def table_columns(X: Any, is_text: Sequence[bool] | None = None) -> list[np.ndarray]:
    """The columns of a dense table as 1-D arrays: of numbers where numeric, else object.

    Objects of a column that is known to be text stay what they are, whichever rows are asked for.
    """
    is_text = [False] * np.shape(X)[1] if is_text is None else is_text
    if is_frame(X) and not _is_one_array(X):
        columns = zip(column_names(X), is_text, strict=True)
        return [_as_column(X[name], text) for name, text in columns]
    X = of_rows(X, np.asarray(X))
    if X.dtype.kind in "fiub":
        return list(X.T)
    return [_as_column(values, text) for values, text in zip(X.T, is_text, strict=True)]


def time_columns(X: Any) -> list[bool]:
    """Which columns of a dense table hold dates or durations."""
    if is_frame(X) and not _is_one_array(X):
        return [holds_times(X[name]) for name in column_names(X)]
    X = of_rows(X, np.asarray(X))
    return [holds_times(values) for values in X.T]


def check_kind(name: Any, values: np.ndarray, was_time: bool, is_time: bool) -> None:
    """Raise if a column of dates has become one of numbers, or the other way round.

    A column whose `values` are all missing has no kind.
    """
    if was_time != is_time and not np.isnan(as_numbers(name, values)).all():
        before, after = (DATES, "numbers") if was_time else ("numbers", DATES)
        raise ValueError(
            f"Column {name!r} of X held {before} in fit, and now holds {after}. Pass "
            "the same here (dates by pandas.to_datetime)."
        )


def _is_one_array(X: Any) -> bool:
    """Whether a frame is of numbers of one type, which need not be taken column by column."""
    first, *others = {*X.dtypes} if is_pandas(X) and X.shape[1] else {None}
    return not others and isinstance(first, np.dtype) and first.kind in "fiub"


def _has_finite_sum(X: np.ndarray) -> bool:
    """Whether the numbers are surely finite; those whose sum overflows may be."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(X.sum(dtype=np.float64)))


def _without_gaps(X: np.ndarray, encoded: Array) -> Array:
    """Standardised numbers `X`, in which missing ones are at the mean."""
    if not np.isfinite(encoded).all():
        check_finite(X)
        encoded[np.isnan(encoded)] = 0.0
    return encoded


def check_finite(values: np.ndarray, allow_nan: bool = True) -> None:
    """Raise if the numeric `values` hold an infinity (or NaN where it has no meaning)."""
    if np.isinf(values).any():
        raise ValueError(
            "Input X contains infinity or a value too large for dtype('float64'). "
            "Replace such entries, by NaN where the experts take missing values."
        )
    if not allow_nan and np.isnan(values).any():
        raise ValueError(
            "Input X contains NaN. A gate of sparse rows takes no missing values: impute them."
        )


def _as_column(column: Any, is_text: bool) -> np.ndarray:
    if str(column.dtype).startswith("period"):
        column = column.dt.to_timestamp()
    has_zone = getattr(column.dtype, "tz", None) is not None
    values = np.asarray(column, dtype="datetime64[us]" if has_zone else None)
    if values.dtype.kind in "mM":
        return in_days(values)
    if values.dtype.kind == "c":
        raise ValueError("Complex data not supported: pass real columns in X.")
    if values.ndim != 1:
        raise TypeError(CONTAINERS)
    is_category = getattr(column.dtype, "name", None) == "category"
    if values.dtype.kind in "fiub" and not is_category:
        return values
    values = values.astype(object)
    return values if is_category or is_text else _of_objects(values)


def _of_objects(values: np.ndarray) -> np.ndarray:
    """Objects as numbers, if all are numbers, dates or durations; else as they are."""
    kinds = {kind for kind in set(map(type, values)) if not no_value(kind)}
    if all(issubclass(kind, NUMBERS) for kind in kinds):
        without = np.array([no_value(type(value)) for value in values], dtype=bool)
        return np.where(without, np.nan, values).astype(np.float64)
    for types, dtype in TIMES.items():
        if all(issubclass(kind, (*types, float)) for kind in kinds):
            return of_times(values, types, dtype)
    return values


def _describe(
    values: np.ndarray, is_time: bool, weight: Array, most: int
) -> NumberColumn | TextColumn:
    """How a column is encoded, by its mean, scale and gaps, or by `most` categories."""
    if values.dtype == object:
        return TextColumn(*frequent_categories(values, weight, most))
    values = values.astype(np.float64, copy=False)
    check_finite(values)
    counts = weight > 0
    seen = counts & ~np.isnan(values)
    if not seen.any():
        return NumberColumn(is_empty=True)
    mean, variance = weighted_moments(values[seen], weight[seen])
    # A constant column has a variance of rounding noise, which must not be blown up: it is zero.
    spread = np.sqrt(variance) if variance > (1e-12 * mean) ** 2 else np.inf
    has_gaps = bool((seen < counts).any())
    return NumberColumn(float(mean), float(spread or np.inf), has_gaps, is_time=is_time)


def frequent_categories(values: np.ndarray, weight: Array, most: int) -> tuple[np.ndarray, float]:
    """The `most` heaviest categories of a text column, sorted, and the share of all others."""
    counts = weight > 0
    names, codes = np.unique(as_text(values[counts]), return_inverse=True)
    mass = np.bincount(codes, weights=weight[counts])
    share = mass / mass.sum()
    order = np.lexsort((names, -np.round(share, 9)))
    return np.sort(names[order[:most]]), float(share[order[most:]].sum())


def as_text(values: np.ndarray) -> np.ndarray:
    """Categories as strings, so that any mixture of types can be sorted."""
    if any(
        issubclass(kind, dict | list | set | tuple | np.ndarray) for kind in set(map(type, values))
    ):
        raise TypeError(CONTAINERS)
    spelled = {value: _spelled(value) for value in set(values)}
    return np.array([spelled[value] for value in values], dtype=str)


def _spelled(value: Any) -> str:
    """A number is spelled by its value, whether a batch holds it as an integer or a float."""
    if no_value(type(value)) or value != value:
        return MISSING
    if isinstance(value, Integral | np.bool_):
        return str(int(value))
    if not isinstance(value, NUMBERS):
        return str(value)
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)


def _sparse_scale(X: Any, weight: Array) -> Array:
    """Standard deviations of columns, infinite for constant ones, as those of dense tables."""
    check_finite(X.data, allow_nan=False)
    rows = np.flatnonzero(weight)
    far, weight = sp.csr_matrix(X, dtype=np.float64)[rows], weight[rows]
    far.sum_duplicates()
    constant = far.max(axis=0).toarray().ravel() == far.min(axis=0).toarray().ravel()
    total, mean = weight.sum(), (far.T @ weight) / weight.sum()
    stored = sp.csr_matrix((np.ones_like(far.data), far.indices, far.indptr), far.shape)
    far.data = (far.data - mean[far.indices]) ** 2
    absent, noise = total - stored.T @ weight, len(rows) * np.finfo(np.float64).eps
    absent[absent <= noise * total] = 0.0  # which would be multiplied by the mean
    variance = (far.T @ weight + absent * mean**2) / total
    constant |= variance <= (noise * mean) ** 2
    return np.where(constant, np.inf, np.sqrt(variance))
