"""Checks of what users pass in. The only file that imports private names of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import is_classifier, is_regressor
from sklearn.metrics._scorer import _BaseScorer
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_array, get_tags
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
)
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.parallel import _get_threadpool_controller
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

try:
    from sklearn.base import _fit_context
except ImportError:  # pragma: no cover - moved in a later scikit-learn
    from sklearn.utils._param_validation import _fit_context

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:  # scikit-learn 1.6
    from sklearn.utils._estimator_html_repr import _VisualBlock

from ._numeric import Array, rows_of

__all__ = [
    "BaseComposition",
    "BaseScorer",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "VisualBlock",
    "check_consistent_length",
    "check_is_fitted",
    "fit_context",
    "get_tags",
    "threadpool_controller",
]

# Where no row weighs as much as this one, weights are no counts.
LEAST_COUNT = 0.1
# What rounding may leave of a sum that is to be one.
SUMS_TO_ONE = 1e-12

BaseComposition = _BaseComposition
BaseScorer = _BaseScorer
VisualBlock = _VisualBlock
fit_context = _fit_context
threadpool_controller = _get_threadpool_controller


def is_frame(X: Any) -> bool:
    """Whether `X` is a table with named columns (pandas, polars, ...)."""
    return hasattr(X, "columns") and hasattr(X, "__getitem__") and not sp.issparse(X)


def is_pandas(X: Any) -> bool:
    """Whether `X` is a frame of pandas."""
    return is_frame(X) and any(kind.__module__.split(".")[0] == "pandas" for kind in type(X).mro())


def last_step(estimator: Any) -> Any:
    """The estimator itself or, of a pipeline, what it ends in, be that within another one."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def column_names(X: Any) -> list:
    """Names of the columns of a frame, in order."""
    return list(X.columns)


def has_names(X: Any) -> bool:
    """Whether `X` is a frame all of whose columns have names that are strings."""
    return is_frame(X) and all(isinstance(name, str) for name in column_names(X))


def read_only(X: Any) -> Any:
    """The same table, not to be written to: many see it, and some work in place (`copy=False`)."""
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
    """The same pandas frame on read-only numbers, if it is one array of floats.

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
    if not isinstance(X, np.ndarray):
        return X if rows is None or X is None else _safe_indexing(X, rows)
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


def features_seen(shape: Any) -> dict[str, Any]:
    """What checks have recorded of the features on `shape`, a copy of the estimator."""
    return {name: value for name, value in vars(shape).items() if name.endswith("_in_")}


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


def check_weight(sample_weight: Any, X: Any) -> Array:
    """Sample weights as float64 (n,): ones if None, never negative, never all zero."""
    rows = np.empty((n_rows(X), 1))
    weight = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    if not weight.any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number; sample_weight is all zero."
        )
    return weight


def warn_of_shares(weight: Array) -> None:
    """Warn of sample weights (n,) that are shares, so that the whole table counts as a few rows."""
    if weight.max() < LEAST_COUNT:
        warnings.warn(
            f"No sample_weight is above {weight.max():.3g}, so {len(weight)} rows count as "
            f"{weight.sum():.3g}, and penalties of experts and gate as much as beside so few. If "
            f"they are shares, multiply them by {1 / weight.mean():.6g}.",
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


def check_parameters(estimator: Any) -> None:
    """Raise where parameters, each of the right type, do not make sense."""
    for name in ("n_experts", "top_k", "n_init", "max_iter"):
        if isinstance(value := getattr(estimator, name), bool | np.bool_):
            raise ValueError(f"{name}={value!r} must be a number, 1 or more.")
    check_experts(estimator)
    if estimator.ensemble and estimator.cv is None:
        raise ValueError(
            "ensemble=True needs experts of several folds, and cv is None. Use cv=5, or "
            "ensemble=False."
        )


def check_experts(estimator: Any) -> None:
    """Check the parameter `experts`: one estimator, or uniquely named ones."""
    experts = estimator.experts
    if isinstance(experts, list):
        _check_named(estimator, experts)
        experts = [expert for _, expert in experts if expert != "drop"]
    else:
        experts = [] if experts is None else [experts]
    parts = [("experts", expert) for expert in experts]
    if estimator.shared_expert is not None:
        parts.append(("shared_expert", estimator.shared_expert))
    for param, expert in parts:
        _check_predicts(param, expert)
        _check_kind(estimator, param, expert)


def check_named_parts(estimator: Any, params: dict[str, Any]) -> None:
    """Raise if `params` set a parameter of a part that has none: None, a name, a list."""
    usual = {"experts": f"{type(estimator._default_expert()).__name__}()", "gate": "SoftmaxGate()"}
    parts = estimator.get_params(deep=False)
    experts = params.get("experts", parts["experts"])
    if isinstance(experts, list):
        parts |= dict(pair for pair in experts if isinstance(pair, tuple) and len(pair) == 2)
    for name in params:
        part, _, within = name.partition("__")
        value = params.get(part, parts.get(part, estimator))
        if not within or hasattr(value, "set_params"):
            continue
        if part in usual and value is None:
            raise ValueError(
                f"{name} cannot be set: {part}=None stands for the default, which has no "
                f"parameters until it is named. Pass {part}={usual[part]}, or whatever is wanted."
            )
        listed = isinstance(value, list)
        remedy = f"Name one of the list: NAME__{within}" if listed else f"Pass another {part}"
        raise ValueError(
            f"{name} cannot be set: {part}={value!r} is no estimator, and has no parameters. "
            f"{remedy}."
        )


def _check_predicts(param: str, expert: Any) -> None:
    # Some that delegate (StackingRegressor) have no `predict` before they are fitted.
    predicts = hasattr(expert, "predict") or hasattr(expert, "estimators")
    if isinstance(expert, type) or not (hasattr(expert, "fit") and predicts):
        several = ", or a list of (name, instance)" if param == "experts" else ""
        raise TypeError(
            f"{param}={expert!r} is not an estimator with fit and predict. Pass an instance, such "
            f"as Ridge(){several}."
        )


def _check_kind(mixture: Any, param: str, expert: Any) -> None:
    needed, refused = ("classifiers", is_regressor)
    if is_regressor(mixture):
        needed, refused = ("regressors", is_classifier)
    if hasattr(expert, "__sklearn_tags__") and refused(expert):
        raise TypeError(
            f"{param}={expert!r} is of the wrong kind: {type(mixture).__name__} is made of "
            f"{needed}. Use another expert, or the mixture for this kind."
        )


def _check_named(estimator: Any, experts: list) -> None:
    pairs = all(isinstance(e, tuple) and len(e) == 2 and isinstance(e[0], str) for e in experts)
    if not pairs or all(expert == "drop" for _, expert in experts):
        raise ValueError(
            f"experts={experts!r} must be one estimator or a list of (name, estimator) with at "
            "least one that is not 'drop'."
        )
    names = [name for name, _ in experts]
    if {"gate", "splitter"} & set(names):
        raise ValueError(f"experts must not be named 'gate' or 'splitter'; got {names}.")
    estimator._validate_names(names)


def routed_params(estimator: Any, params: dict) -> dict[str, dict]:
    """Metadata of `fit` for each part: by routing, or `groups` to any splitter without it."""
    if not params:
        return {"splitter": {}}
    if get_config()["enable_metadata_routing"]:
        routed = process_routing(estimator, "fit", **params)
        named = {name: dict(routed[name]["fit"]) for name in _fit_parts(estimator, routed)}
        split = dict(routed["splitter"]["split"]) if "splitter" in routed else {}
        return {**named, "splitter": split}
    unknown = set(params) - {"groups"}
    if unknown:
        raise TypeError(
            f"fit got {sorted(unknown)}: metadata other than sample_weight and groups needs "
            "sklearn.set_config(enable_metadata_routing=True) and set_fit_request on the parts."
        )
    return {"splitter": {"groups": params["groups"]} if params.get("groups") is not None else {}}


def _fit_parts(estimator: Any, routed: Any) -> list[str]:
    names = [name for name, _ in estimator._named_experts()]
    return [name for name in [*names, "gate"] if name in routed]


def check_number(name: str, value: Any, kind: Any, least: int) -> None:
    """Raise if a parameter of a query is no number of a kind, or below the `least`."""
    if isinstance(value, bool) or not isinstance(value, kind) or not value >= least:
        noun = "a whole number" if kind is Integral else "a number"
        raise ValueError(f"{name}={value!r} should be {noun}, at least {least}.")
