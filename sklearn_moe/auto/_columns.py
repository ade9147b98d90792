"""What candidates see of a table: numbers, similarities, categories."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.kernel_approximation import Nystroem

from .._design import (
    MAX_CATEGORIES,
    TabularEncoder,
    TextColumn,
    as_numbers,
    as_text,
    check_kind,
    frequent_categories,
    table_columns,
    time_columns,
)
from .._numeric import DECIMALS, Array, positions_among
from .._rows import column_names

# Categories of one column that boosting can tell apart; categories of all columns together that
# become indicators.
MOST_CATEGORIES, MOST_INDICATORS = 255, 400
# Distinct rows for each category, where there are many.
ROWS_PER_CATEGORY = 10
# The share of rows in categories that are not told apart above which users are warned.
MUCH = 0.05
# Rows for each coordinate: with more coordinates, experts would know a fold's rows by heart.
ROWS_PER_COMPONENT = 4


class KernelColumns(TransformerMixin, BaseEstimator):
    """The columns of a standardised table, and coordinates that stand for a Gaussian kernel.

    Its width is the root mean squared distance of the rows from their mean. A linear model of the
    coordinates is a smooth function of the columns (Williams and Seeger, 2001).

    Parameters
    ----------
    n_components : int, default=300
        Number of coordinates at most.

    Attributes
    ----------
    kernel_ : Nystroem
        The map to the coordinates.
    """

    def __init__(self, n_components: int = 300) -> None:
        self.n_components = n_components

    def fit(self, X: Array, y: Any = None) -> KernelColumns:
        """Choose the rows that others are compared with; copies of a row count once."""
        distinct = np.unique(X.round(DECIMALS), axis=0)
        n_components = min(self.n_components, max(1, len(distinct) // ROWS_PER_COMPONENT))
        gamma = 0.5 / max(1e-12, distinct.var(axis=0).sum())
        kernel = Nystroem(gamma=gamma, n_components=n_components, random_state=0)
        self.kernel_ = kernel.set_output(transform="default").fit(distinct)
        return self

    def transform(self, X: Array) -> Array:
        """The columns (n, p) and the coordinates, side by side.

        A kernel is nearly singular, and coordinates show rounding errors of a millionth. So they
        are made from rounded rows in an order of their own: they do not depend on the order of the
        rows of a table, and neither do contents and folds.
        """
        distinct, place = np.unique(X.round(DECIMALS), axis=0, return_inverse=True)
        return np.hstack([X, self.kernel_.transform(distinct)[place.ravel()]])


class CategoryColumns(TransformerMixin, BaseEstimator):
    """A pandas frame whose columns are numbers and categories, for estimators that take these.

    Parameters
    ----------
    max_categories : int, default=255
        Number of categories of a column that are told apart.

    Attributes
    ----------
    columns_ : dict
        How each column is read: None for numbers or, for text, its heaviest categories, all others
        being missing values. A column without a value in fit is missing whatever it holds later.
    n_categories_ : int
        Number of categories of the column that has most of them.
    are_times_ : list of bool
        Which columns hold dates or durations.
    """

    def __init__(self, max_categories: int = MOST_CATEGORIES) -> None:
        self.max_categories = max_categories

    def fit(self, X: Any, y: Any = None, sample_weight: Array | None = None) -> CategoryColumns:
        """Find columns of text, and what they hold."""
        weight = np.ones(len(X)) if sample_weight is None else sample_weight
        columns = zip(column_names(X), table_columns(X), strict=True)
        most = self.max_categories
        self.columns_ = {name: _categories(values, weight, most) for name, values in columns}
        self.are_times_ = time_columns(X)
        of_text = [known for known in self.columns_.values() if known is not None]
        self.n_categories_ = max(map(len, of_text), default=0)
        return self

    def transform(self, X: Any) -> Any:
        """The frame with numbers as they are and text as categories."""
        is_text = [known is not None for known in self.columns_.values()]
        columns = zip(self.columns_.items(), table_columns(X, is_text), strict=True)
        kinds = zip(self.are_times_, time_columns(X), strict=True)
        made = {
            name: _read(name, known, values, *kind)
            for ((name, known), values), kind in zip(columns, kinds, strict=True)
        }
        return pandas_frame(made, getattr(X, "index", None))


def pandas_frame(columns: dict[Any, Any], index: Any) -> Any:
    """A frame of columns that are numbers, or codes beside their categories."""
    import pandas as pd  # who has no pandas passes none of its frames

    made = {
        name: pd.Categorical.from_codes(*column) if isinstance(column, tuple) else column
        for name, column in columns.items()
    }
    return pd.DataFrame(made, index=index)


def most_categories(n_rows: int) -> int:
    """How many categories of a column are told apart in a table of so many distinct rows.

    If a column only names the rows, trees would know it by heart.
    """
    return max(MAX_CATEGORIES, min(MOST_CATEGORIES, n_rows // ROWS_PER_CATEGORY))


def indicators_each(X: Any, most: int) -> int:
    """How many of `most` categories of each text column become indicators: fewer if many do."""
    n_text = sum(values.dtype == object for values in table_columns(X))
    return max(MAX_CATEGORIES, min(most, MOST_INDICATORS // max(n_text, 1)))


def warn_of_rare(encoder: TabularEncoder) -> None:
    """Warn of columns of text that hold too many categories to tell them apart."""
    columns = zip(encoder.names_, encoder.columns_ or [], strict=True)  # tables are dense here
    rare = {name: c.rest for name, c in columns if isinstance(c, TextColumn) and c.rest > MUCH}
    if rare:
        shares = ", ".join(f"{name!r} ({rest:.0%} of the rows)" for name, rest in rare.items())
        text = (
            f"Columns of X hold more than the {encoder.max_categories} categories that are told "
            f"apart; many rows have another one, which counts as none: {shares}. Leave a column "
            "out if it only names the rows, or encode it by numbers."
        )
        warnings.warn(text, UserWarning, stacklevel=6)


def _categories(values: NDArray, weight: Array, most: int) -> NDArray | None:
    """The heaviest categories of a text column; None for numbers; empty where all is missing."""
    if values.dtype == object:
        return frequent_categories(values, weight, most)[0]
    return np.empty(0, dtype=str) if np.isnan(values.astype(np.float64)).all() else None


def _read(name: Any, known: NDArray | None, values: NDArray, was_time: bool, is_time: bool) -> Any:
    """Numbers as they are; of text the codes, -1 for what is not `known`, and the categories."""
    if known is None:
        check_kind(name, values, was_time, is_time)
        return as_numbers(name, values)
    if not known.size:
        return np.full(len(values), np.nan)
    text = as_text(values.astype(object))
    place, is_known = positions_among(text, known)
    return np.where(is_known, place, -1), known
