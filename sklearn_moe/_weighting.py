"""How weights reach an estimator, whatever its nesting and whatever scikit-learn's configuration.

An estimator is weighted in one of two ways. `"sample_weight"`: its `fit`, or that of the final
predictors it forwards to, takes the weights. `"resample"`: it cannot be weighted (neighbours,
Gaussian processes, discriminant analysis, ...), and sees each row as many times as a systematic
sample of the weights picks it. Systematic sampling draws no random number and goes through the
rows in the order of their content, so the order of the table does not matter, and a row of weight
three is the same as three rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from ._numeric import Array
from ._validation import take_params, take_rows

WEIGHTED = "sample_weight"
RESAMPLED = "resample"


def weight_mode(estimator: Any) -> str:
    """`"sample_weight"` if every final predictor within `estimator` takes weights."""
    return WEIGHTED if _takes_weights(estimator) else RESAMPLED


def fit_weighted(
    estimator: Any,
    X: Any,
    y: Any,
    weight: Array,
    rank: NDArray[np.intp],
    params: dict[str, Any] | None = None,
) -> Any:
    """Fit `estimator`, a clone of our own, to rows that count `weight` (n,) each; return it.

    `rank` (n,) orders the rows by content. Rows of zero weight are never seen; weights that are
    all one are not passed at all, so that the fit is the one the user would have made.
    """
    params = params or {}
    if weight_mode(estimator) == RESAMPLED:
        rows = None if (weight == 1.0).all() else systematic_sample(weight, rank)
        params = take_params(params, len(weight), rows)
        return estimator.fit(take_rows(X, rows), take_rows(y, rows), **params)
    rows = None if (weight > 0).all() else np.flatnonzero(weight)
    params = take_params(params, len(weight), rows)
    X, y, weight = (take_rows(part, rows) for part in (X, y, weight))
    if (weight == 1.0).all():
        return estimator.fit(X, y, **params)
    return _fit_with_weights(estimator, X, y, weight, params)


def systematic_sample(weight: Array, rank: NDArray[np.intp]) -> NDArray[np.intp]:
    """Row indices in which each row appears about `weight` times, rows taken in order of `rank`."""
    order = np.lexsort((np.arange(len(rank)), rank))
    cumulative = np.cumsum(weight[order])
    # The slack keeps a total of rounding-noisy ones on the side of the whole number it stands for.
    stops = np.floor(cumulative + 0.5 + 1e-9).astype(np.intp)
    counts = np.diff(stops, prepend=0)
    if not counts.any():
        counts[np.argmax(weight[order])] = 1
    return np.sort(np.repeat(order, counts))


def _takes_weights(estimator: Any) -> bool:
    if isinstance(estimator, Pipeline):
        return _takes_weights(estimator.steps[-1][1])
    if _own_request(estimator) is False:
        return False
    predictors = _inner_predictors(estimator)
    if has_fit_parameter(estimator, "sample_weight"):
        return all(map(_takes_weights, predictors))
    return _routes(estimator) and bool(predictors) and all(map(_takes_weights, predictors))


def _own_request(estimator: Any) -> Any:
    """What the user asked of `estimator` about sample weights: True, False or None (nothing)."""
    request = getattr(estimator, "_metadata_request", None)
    return request.fit.requests.get("sample_weight") if request is not None else None


def _inner_predictors(estimator: Any) -> list[Any]:
    """The estimators one level inside `estimator` that predict."""
    values = [v for v in vars(estimator).values() if not isinstance(v, type)]
    members = [v for v in values if isinstance(v, list)]
    named = [m[1] for group in members for m in group if isinstance(m, tuple) and len(m) == 2]
    return [v for v in [*values, *named] if hasattr(v, "predict") and hasattr(v, "fit")]


def _routes(estimator: Any) -> bool:
    """Whether `estimator` forwards metadata to what it holds (and says so)."""
    try:
        routing = get_routing_for_object(estimator)
    except NotImplementedError:
        return False
    return hasattr(routing, "route_params")


def _fit_with_weights(estimator: Any, X: Any, y: Any, weight: Array, params: dict) -> Any:
    if not (isinstance(estimator, Pipeline) or _routes(estimator)):
        return estimator.fit(X, y, sample_weight=weight, **params)
    with config_context(enable_metadata_routing=True):
        request_weights(estimator)
        return estimator.fit(X, y, sample_weight=weight, **params)


def request_weights(estimator: Any) -> None:
    """Ask for sample weights wherever the user has left the question open."""
    nested = estimator.get_params(deep=True).values()
    for part in [estimator, *(v for v in nested if hasattr(v, "fit") and not isinstance(v, type))]:
        for method in ("fit", "score"):
            setter = getattr(part, f"set_{method}_request", None)
            if setter is None:
                continue
            request = getattr(part._get_metadata_request(), method).requests
            if request.get("sample_weight", False) is None:
                setter(sample_weight=True)


def gate_with_weighted_steps(gate: Pipeline, X: Any, expert_weights: Array, params: dict) -> Any:
    """Fit a pipeline that ends in a gate; the steps before it see the sample weights if they can."""
    with config_context(enable_metadata_routing=True):
        request_weights(gate)
        weighable = get_routing_for_object(gate).consumes("fit", ["sample_weight"])
        if weighable:
            params = {**params, "sample_weight": expert_weights.sum(axis=1)}
        return gate.fit(X, expert_weights, **params)
