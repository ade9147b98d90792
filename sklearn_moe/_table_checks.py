"""Checks of the tables, weights and responsibilities that users pass."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from ._numeric import LARGEST, Array
from ._rows import column_names, has_names, is_frame, n_rows, read_only
from ._validation import check_sample_weight

# Beyond this weight squares of sums of weights would overflow.
MOST_WEIGHT = 1e100
# Where no row weighs as much as this one, weights are no counts.
LEAST_COUNT = 0.1
# What rounding may leave of a sum that is to be one.
SUMS_TO_ONE = 1e-12
# What finds the ends of a range, gaps aside.
ENDS = (np.fmin.reduce, np.fmax.reduce)


def check_training_table(estimator: Any, X: Any) -> tuple[Any, dict[str, Any]]:
    """Check a table to learn from; also the attributes that tell its features.

    They are not set yet: a failed fit leaves the estimator as it was.
    """
    recorder = copy.copy(estimator)
    X = check_table(recorder, X, reset=True)
    return X, {name: value for name, value in vars(recorder).items() if name.endswith("_in_")}


def check_range(X: Any) -> None:
    """Raise if a table holds finite numbers so large that sums of their squares overflow."""
    array = X.data if sp.issparse(X) else X
    columns = [X[name] for name in column_names(X)] if is_frame(X) else [array]
    floats = [np.asarray(column) for column in columns if _is_float(column.dtype)]
    known = [values for values in floats if values.dtype.kind == "f" and values.size]
    ends = [abs(float(end(values, axis=None))) for values in known for end in ENDS]
    largest = max((end for end in ends if np.isfinite(end)), default=0.0)
    if largest > LARGEST:
        raise ValueError(
            f"X holds {largest:.3g}, and sums of such squares overflow. Pass its column in another "
            "unit."
        )


def _is_float(dtype: Any) -> bool:
    """Whether a column of this type, that of an array or of any frame, holds real numbers."""
    return dtype.is_float() if hasattr(dtype, "is_float") else dtype.kind == "f"


def store(estimator: Any, attributes: dict[str, Any]) -> None:
    """Set all fitted attributes together, now that nothing can fail."""
    vars(estimator).pop("feature_names_in_", None)  # the new table may have none
    vars(estimator).update(attributes)


def check_table(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Check names and shape of `X`, and hand it on as it came (lists become arrays).

    Sparse input becomes CSR, the one sparse form whose rows can be taken cheaply. Values are
    judged where they are used: by the gate's encoder and by the experts.
    """
    _refuse_strange_frame(X)
    if not is_frame(X):
        given = X
        X = check_array(
            X,
            dtype=None,
            accept_sparse="csr" if get_tags(estimator).input_tags.sparse else False,
            ensure_all_finite="allow-nan",
            ensure_min_samples=1,
            estimator=estimator,
            input_name="X",
        )
        X = of_rows(given, X)
    elif X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(
            f"Found array with {X.shape[0]} sample(s) and {X.shape[1]} feature(s) "
            f"(shape={X.shape}) while a minimum of 1 is required by {type(estimator).__name__}."
        )
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return read_only(X)


def of_rows(given: Any, X: Any) -> Any:
    """The array `X` that rows have become; text beside numbers makes no text of these."""
    is_text = isinstance(given, list | tuple) and X.dtype.kind in "US"
    return np.asarray(given, dtype=object) if is_text else X


def _refuse_strange_frame(X: Any) -> None:
    """Raise if `X` is a table whose rows cannot be taken, or not as those of frames are."""
    remedy = None
    if hasattr(X, "collect") and not hasattr(X, "shape"):
        remedy = "X.collect()"
    elif hasattr(X, "to_pandas") and hasattr(X, "column_names"):
        remedy = "X.to_pandas()"
    elif hasattr(X, "to_native"):
        remedy = "X.to_native()"
    if remedy is not None:
        name = f"{type(X).__module__.split('.')[0]}.{type(X).__name__}"
        raise TypeError(
            f"X is a {name}, from which experts cannot take rows. Pass {remedy}, or an array."
        )


@contextmanager
def names_missed(estimator: Any, X: Any) -> Iterator[None]:
    """Parts say nothing of names that `X` has not: the fitted estimator itself has warned of it."""
    if has_names(X) or not hasattr(estimator, "feature_names_in_"):
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        yield


@contextmanager
def query_rows(estimator: Any, X: Any) -> Iterator[Any]:
    """The checked table of a query to a fitted estimator, whose parts say nothing of its names."""
    check_is_fitted(estimator)
    X = check_table(estimator, X, reset=False)
    with names_missed(estimator, X):
        yield X


def check_weight(sample_weight: Any, X: Any) -> Array:
    """Sample weights as float64 (n,): ones if None, never negative, never all zero."""
    rows = np.empty((n_rows(X), 1))
    if not len(rows):
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
    weight = check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number; sample_weight is all zero."
        )
    return weight


def check_fit_weight(sample_weight: Any, X: Any) -> Array:
    """Sample weights for a fit, none of which is so large that sums of squares overflow."""
    weight = check_weight(sample_weight, X)
    if weight.max() > MOST_WEIGHT:
        raise ValueError(
            f"sample_weight holds {weight.max():.3g}, which is above {MOST_WEIGHT:.0g}. A row of "
            "weight w counts as w rows: divide all weights by the same number."
        )
    return weight


def warn_of_shares(weight: Array) -> None:
    """Warn of sample weights (n,) that are shares, so that the whole table counts as a few rows."""
    if weight.max() < LEAST_COUNT:
        warnings.warn(
            f"No sample_weight is above {weight.max():.3g}, so {len(weight)} rows count as "
            f"{weight.sum():.3g}, and penalties of experts and gate weigh as if rows were so few, "
            "which is all that experts and gates without sample_weight see. "
            f"If the weights are shares, multiply them by {1 / weight.mean():.6g}.",
            UserWarning,
            stacklevel=5,
        )


def check_responsibilities(kind: str, resp: Any, n_samples: int, n_experts: int) -> Array:
    """User-given responsibilities as a row-normalised float64 array (n, K).

    They are the parameter `init` or, if its `kind` is "callable", what it has returned.
    """
    name = "what init(X, y, n_experts, seed) returns" if kind == "callable" else "init"
    if resp is None:
        raise ValueError(
            f"{name} must be responsibilities, an array (n_samples, n_experts), not None."
        )
    resp = check_array(resp, dtype=np.float64, ensure_2d=False, input_name=name)
    if resp.shape != (n_samples, n_experts):
        raise ValueError(
            f"{name} must have shape (n_samples, n_experts) = ({n_samples}, {n_experts}); "
            f"got {resp.shape}."
        )
    totals = resp.sum(axis=1, keepdims=True)
    if (resp < 0).any() or (totals <= 0).any():
        raise ValueError(
            f"{name} must hold responsibilities: no negative entry and a positive sum in each row."
        )
    return resp if np.allclose(totals, 1.0, rtol=0, atol=SUMS_TO_ONE) else resp / totals
