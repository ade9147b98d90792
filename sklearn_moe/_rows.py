"""Tables whatever they are made of: arrays, sparse matrices, frames; their rows and columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._numeric import rows_of
from ._validation import safe_indexing

# Numbers that are made of the rows of a block, 32 MB, and its rows at the least.
MOST_ELEMENTS, ROWS_OF_BLOCK = 2**22, 1000


def is_frame(X: Any) -> bool:
    """Whether `X` is a table with named columns (pandas, polars, ...)."""
    return hasattr(X, "columns") and hasattr(X, "__getitem__") and not sp.issparse(X)


def is_pandas(X: Any) -> bool:
    """Whether `X` is a frame of pandas."""
    return is_frame(X) and any(kind.__module__.split(".")[0] == "pandas" for kind in type(X).mro())


def column_names(X: Any) -> list:
    """Names of the columns of a frame, in order."""
    return list(X.columns)


def has_names(X: Any) -> bool:
    """Whether `X` is a frame all of whose columns have names that are strings."""
    return is_frame(X) and all(isinstance(name, str) for name in column_names(X))


def read_only(X: Any) -> Any:
    """A table that cannot be written to: many see it, and some work in place (`copy=False`)."""
    if isinstance(X, np.ndarray):
        X = X.view()
        X.flags.writeable = False
    elif sp.issparse(X) and X.format == "csr":
        if not X.has_canonical_format:  # others would be sorted in place by whoever needs that
            X = X.copy()
            X.sum_duplicates()
        X = type(X)((read_only(X.data), X.indices, X.indptr), shape=X.shape)
    elif is_pandas(X):
        X = _read_only_frame(X)
    return X


def _read_only_frame(X: Any) -> Any:
    """A pandas frame on read-only numbers, if it is one array of floats.

    Only such a frame can be written to by those who take it for an array.
    """
    dtype, *others = {*X.dtypes} or {None}
    if others or not isinstance(dtype, np.dtype) or dtype.kind != "f" or not dtype.isnative:
        return X
    numbers = X.to_numpy()
    if not np.may_share_memory(numbers, X.iloc[:, 0].to_numpy()):
        return X
    # A flag could be set again, as scikit-learn does with those of frames; that of a buffer cannot.
    numbers = np.asarray(memoryview(numbers).toreadonly())
    return X._constructor(numbers, index=X.index, columns=X.columns, copy=False).__finalize__(X)


def take_rows(X: Any, rows: Any) -> Any:
    """Rows `rows` (all, if None) of an array, sparse matrix or frame; of an array read-only."""
    if sp.issparse(X) and rows is not None:
        return X.tocsr()[rows]  # not every sparse form has rows that can be taken
    if not isinstance(X, np.ndarray):
        return X if rows is None or X is None else safe_indexing(X, rows)
    if rows is not None:
        X = rows_of(X, rows) if np.asarray(rows).dtype.kind == "i" else X[rows]
    return read_only(X)


def take_params(params: dict, n_samples: int, rows: Any) -> dict:
    """Values of `params` that hold `n_samples` rows restricted to `rows`; others as they are."""
    return {name: _take_if_rows(value, n_samples, rows) for name, value in params.items()}


def _take_if_rows(value: Any, n_samples: int, rows: Any) -> Any:
    has_length = hasattr(value, "__len__") and not isinstance(value, dict | str)
    is_rowwise = sp.issparse(value) or (has_length and getattr(value, "shape", None) != ())
    if rows is None or not is_rowwise:
        return value
    length = value.shape[0] if hasattr(value, "shape") else len(value)
    return take_rows(value, rows) if length == n_samples else value


def n_rows(X: Any) -> int:
    """Number of rows of a table."""
    return X.shape[0] if hasattr(X, "shape") else len(X)


def in_blocks(answer: Callable[..., NDArray], width: int, X: Any, *parts: Any) -> NDArray:
    """What is answered for the rows of a checked table, and of what goes with them, in blocks.

    On the way, `width` numbers are made of each row. The answer for one must not hang on others.
    """
    size, total = max(ROWS_OF_BLOCK, MOST_ELEMENTS // width), n_rows(X)
    if total <= size:
        return answer(X, *parts)
    blocks = [slice(first, first + size) for first in range(0, total, size)]
    return np.concatenate(
        [answer(*(take_rows(part, rows) for part in (X, *parts))) for rows in blocks]
    )


def common_dtype(X: Any) -> np.dtype | None:
    """What numbers and truth values of a pandas frame are together; None for anything else.

    numpy would take them for objects.
    """
    dtypes = list(getattr(X, "dtypes", ())) if hasattr(X, "columns") else []
    if not dtypes or not all(isinstance(d, np.dtype) and d.kind in "fiub" for d in dtypes):
        return None
    return np.result_type(*dtypes)


def numbers_of_frame(X: Any) -> NDArray:
    """The values of a frame as an array; of a pandas one numbers and truth values are numbers.

    numpy would take those of several kinds, and those that may be missing, for objects.
    """
    dtype = common_dtype(X)
    kinds = [getattr(own, "kind", "O") for own in getattr(X, "dtypes", ())]
    if dtype is not None or not kinds or not set(kinds) <= set("fiub"):
        return np.asarray(X, dtype=dtype)
    return X.to_numpy(dtype=np.float64, na_value=np.nan)
