"""What the solvers of linear experts take: plain estimators, and tables of finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from .._numeric import SMALL_TABLE, Array, exact_means
from .._rows import numbers_of_frame
from .._validation import last_step
from ..logit import FAR_FROM_ZERO
from ._evidence_ridge import EvidenceRidge

# Columns of a sparse table beyond which scikit-learn's sparse solvers have less work.
MOST_COLUMNS = 200
# Regressors whose predictions are one product for all of them.
PLAIN = (Ridge, LinearRegression, EvidenceRidge)
# A tolerance for an estimator's solver: any gradient is below it, in single precision as well.
ANY_TOLERANCE = 1e30
# The predictions of a solution that is kept without them.
NOTHING = np.empty((0, 0, 0))


def without_scaler(estimator: Any) -> tuple[Any, bool]:
    """The estimator behind a plain `StandardScaler`, and whether there is one."""
    if type(estimator) is Pipeline and len(estimator.steps) == 2 and estimator.memory is None:
        (_, scaler), (_, last) = estimator.steps
        if type(scaler) is StandardScaler and scaler.with_mean and scaler.with_std:
            return last, True
    return estimator, False


def without_steps(estimator: Any) -> Any:
    """The estimator, content with any solution: it will be replaced, or is not asked for."""
    last_step(estimator).set_params(tol=ANY_TOLERANCE)
    return estimator


def column_units(numbers: NDArray) -> tuple[Array, Array]:
    """Means (p,) and standard deviations (p,) of columns; of constant ones a safe unit."""
    (center, constant), spread = exact_means(numbers), numbers.std(axis=0, dtype=np.float64)
    # As `StandardScaler` has it: what differs by rounding alone is constant.
    constant |= spread <= len(numbers) * np.finfo(np.float64).eps * np.abs(center)
    return center, np.where(constant, np.maximum(1.0, np.abs(center) / FAR_FROM_ZERO), spread)


def finite_numbers(X: Any) -> NDArray | None:
    """The table as an array, not copied unless it is sparse and small.

    None if it holds anything but finite numbers, or too many to be made dense.
    """
    numbers = _dense(X)
    is_finite = numbers is not None and numbers.dtype.kind in "fiub" and np.isfinite(numbers).all()
    return numbers if is_finite else None


def _dense(X: Any) -> NDArray | None:
    """The table as an array, whatever is in it; None if it is sparse, and not small."""
    if not sp.issparse(X):
        return numbers_of_frame(X) if hasattr(X, "columns") else np.asarray(X)
    is_small = np.prod(X.shape) <= SMALL_TABLE and X.shape[1] <= MOST_COLUMNS
    return X.toarray() if is_small else None


def predict_plain(experts: Sequence[Any], X: Any) -> Array | None:
    """Outputs (n, K, q) of fitted plain regressors by one product for all of them.

    None if one of them is of another kind, or does not suit the table and has to say so itself. One
    expert alone is asked itself: its answer is to be the same to the last digit.
    """
    plain = all(type(expert) in PLAIN for expert in experts)
    if not plain or len(experts) == 1:
        return None
    numbers = _dense(X)
    if numbers is None or numbers.dtype != np.float64 or numbers.ndim != 2:
        return None
    coef = np.concatenate([np.atleast_2d(expert.coef_) for expert in experts])
    if coef.shape[1] != numbers.shape[1]:
        return None
    n_outputs = len(coef) // len(experts)
    level = [np.broadcast_to(expert.intercept_, n_outputs) for expert in experts]
    with np.errstate(over="ignore", invalid="ignore"):
        outputs = coef @ numbers.T
        outputs += np.concatenate(level)[:, None]
    # An entry of the table that is not finite shows in the outputs, which are fewer.
    if not np.isfinite(outputs).all():
        return None
    return np.moveaxis(outputs.reshape(len(experts), n_outputs, -1), -1, 0)


def has_valid_params(estimator: Any) -> bool:
    """Whether the estimator, or each step of its pipeline, would be fitted as it is."""
    try:
        for _, step in getattr(estimator, "steps", [("", estimator)]):
            if hasattr(step, "_parameter_constraints"):
                step._validate_params()
    except ValueError:
        return False
    return True
