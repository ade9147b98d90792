"""What the solvers of linear experts take: plain estimators, and tables of finite numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler


def without_scaler(estimator: Any) -> tuple[Any, bool]:
    """The estimator behind a plain `StandardScaler`, and whether there is one."""
    if type(estimator) is Pipeline and len(estimator.steps) == 2 and estimator.memory is None:
        (_, scaler), (_, last) = estimator.steps
        if type(scaler) is StandardScaler and scaler.with_mean and scaler.with_std:
            return last, True
    return estimator, False


def finite_numbers(X: Any) -> NDArray | None:
    """The table as an array, not copied; None if there is more in it than finite dense numbers."""
    if sp.issparse(X):
        return None
    numbers = np.asarray(X)
    if numbers.dtype.kind not in "fiub" or not np.isfinite(numbers).all():
        return None
    return numbers


def has_valid_params(estimator: Any) -> bool:
    """Whether the estimator, or each step of its pipeline, would be fitted as it is."""
    try:
        for _, step in getattr(estimator, "steps", [("", estimator)]):
            if hasattr(step, "_parameter_constraints"):
                step._validate_params()
    except ValueError:
        return False
    return True
