"""What candidates see of a table: numbers, similarities, categories."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.kernel_approximation import Nystroem

from .._design import as_text, frequent_categories, table_columns
from .._numeric import Array
from .._validation import column_names

# Similarities to more rows than a quarter of them would tell a fold's rows by heart.
ROWS_PER_COMPONENT = 4


class KernelColumns(TransformerMixin, BaseEstimator):
    """The columns of a standardised table, and coordinates that stand for a Gaussian kernel.

    A linear model of them is a smooth function of the columns (Williams and Seeger, 2001).

    Parameters
    ----------
    n_components : int, default=300
        Number of coordinates at most.
    width : float, default=1.0
        Width of the kernel in mean distances of two rows.

    Attributes
    ----------
    kernel_ : Nystroem
        The map to the coordinates.
    """

    def __init__(self, n_components: int = 300, width: float = 1.0) -> None:
        self.n_components = n_components
        self.width = width

    def fit(self, X: Array, y: Any = None) -> KernelColumns:
        """Choose the rows that others are compared with; copies of a row do not count."""
        distinct = np.unique(X, axis=0)
        n_components = min(self.n_components, max(1, len(distinct) // ROWS_PER_COMPONENT))
        gamma = 0.5 / (self.width**2 * max(1e-12, distinct.var(axis=0).sum()))
        self.kernel_ = Nystroem(gamma=gamma, n_components=n_components, random_state=0)
        self.kernel_.fit(distinct)
        return self

    def transform(self, X: Array) -> Array:
        """The columns (n, p) and the coordinates, side by side."""
        return np.hstack([X, self.kernel_.transform(X)])


class CategoryColumns(TransformerMixin, BaseEstimator):
    """A pandas frame whose columns are numbers and categories, for those who can take these.

    Attributes
    ----------
    categories_ : dict
        The categories of each column of text, the heaviest of them; others are missing values.
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Array | None = None) -> CategoryColumns:
        """Find columns of text, and what they hold."""
        weight = np.ones(len(X)) if sample_weight is None else sample_weight
        columns = zip(column_names(X), table_columns(X), strict=True)
        self.categories_ = {
            name: frequent_categories(values, weight)
            for name, values in columns
            if values.dtype == object
        }
        return self

    def transform(self, X: Any) -> Any:
        """The frame with numbers as they are and text as categories."""
        import pandas as pd  # X is a frame of pandas

        made = {}
        for name, values in zip(column_names(X), table_columns(X), strict=True):
            known = self.categories_.get(name)
            text = values if known is None else as_text(values.astype(object))
            made[name] = values if known is None else pd.Categorical(text, categories=known)
        return pd.DataFrame(made, index=X.index)
