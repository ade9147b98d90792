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
from sklearn.preprocessing import FunctionTransformer

from ._rows import common_dtype

# Packages whose classes and functions look at a table as an array, but for those below. Numbers,
# words and the lists that hold parts are of Python itself.
KNOWN = ("builtins", "numpy", "sklearn")
# The first may ask for a name, the second hands on the frame itself, the last has seen names.
BY_NAME = (ColumnTransformer, FunctionTransformer, FrozenEstimator)
# Parameters of searches, whose candidates are not listed among their parts.
CANDIDATES = ("param_grid", "param_distributions")
# Parameters that may be names of columns, unless they are a word that says how to find these.
COLUMNS = ("categorical_features", "monotonic_cst")
# From here on, not every whole number is one in double precision.
LARGEST_WHOLE = 2.0**53


def is_nameless(estimator: Any) -> bool:
    """Whether no part of an estimator can tell columns by their names."""
    params = estimator.get_params(deep=True)
    parts = [estimator, *params.values()]
    if any(_home(part) not in KNOWN or isinstance(part, BY_NAME) for part in parts):
        return False
    return not any(_may_name(name.rpartition("__")[2], value) for name, value in params.items())


def _home(part: Any) -> str:
    """The package that a function, a class, or the class of an object comes from."""
    owner = part if isroutine(part) or isinstance(part, type) else type(part)
    return str(owner.__module__).split(".")[0]


def _may_name(name: str, value: Any) -> bool:
    return name in CANDIDATES or (name in COLUMNS and not isinstance(value, str | None))


def bare_numbers(X: Any) -> NDArray | None:
    """The numbers of a pandas frame, read-only, if all of its columns hold numbers.

    Estimators read a frame as an array of the same type. Those that encode column by column would
    see large whole numbers otherwise than in the frame: then there are none.
    """
    dtype = common_dtype(X)
    if dtype is None:
        return None
    numbers = X.to_numpy(dtype=dtype).view()
    whole = [own.kind in "iu" and own.itemsize == 8 for own in X.dtypes]
    if numbers.dtype.kind == "f" and np.abs(numbers[:, whole]).max(initial=0.0) >= LARGEST_WHOLE:
        return None
    # All fits share them, and some estimators work in place.
    numbers.flags.writeable = False
    return numbers
