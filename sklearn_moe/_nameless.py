"""Frames of numbers as bare arrays, for experts that look at columns by their place alone.

To take rows of a frame, and to have an estimator check them, takes longer than many a fit to some
hundred rows. So while EM runs, experts that cannot ask for a column by its name are given the
numbers alone. Those that are kept are fitted to the frame.
"""

from __future__ import annotations

from inspect import isroutine
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator

# The homes of classes and functions that are known to do as said here.
KNOWN = ("builtins", "numpy", "sklearn")
# The first may ask for a name, the other has seen some.
BY_NAME = (ColumnTransformer, FrozenEstimator)
# What a search will try is not among its parts.
UNTOLD = ("param_grid", "param_distributions")
# These may name columns; a word says how to find them.
PICKS = ("categorical_features", "monotonic_cst")


def is_nameless(estimator: Any) -> bool:
    """Whether no part of an estimator can tell columns by their names."""
    params = estimator.get_params(deep=True)
    parts = [estimator, *params.values()]
    if any(_home(part) not in KNOWN or isinstance(part, BY_NAME) for part in parts):
        return False
    return not any(_may_name(name.rpartition("__")[2], value) for name, value in params.items())


def _home(part: Any) -> str:
    """The package that a function, or the class of an object, comes from."""
    return str((part if isroutine(part) else type(part)).__module__).split(".")[0]


def _may_name(name: str, value: Any) -> bool:
    return name in UNTOLD or (name in PICKS and not isinstance(value, str | None))


def bare_numbers(X: Any) -> NDArray | None:
    """The numbers of a pandas frame, all of whose columns hold numbers, as estimators read them."""
    dtypes = list(getattr(X, "dtypes", [])) if hasattr(X, "columns") else []
    if not dtypes or not all(isinstance(dtype, np.dtype) for dtype in dtypes):
        return None
    if not all(dtype.kind in "fiub" for dtype in dtypes):
        return None
    return X.to_numpy(dtype=np.result_type(*dtypes))
