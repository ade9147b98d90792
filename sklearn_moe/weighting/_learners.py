"""What estimators say of the weights that they take, and of whom they hand them to."""

from __future__ import annotations

from typing import Any

from sklearn import config_context
from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter


def is_mixture(estimator: Any) -> bool:
    """Whether `estimator` is a mixture, which sees to the weights of its experts by itself.

    One that is frozen, or at the end of a pipeline, is an estimator like any other.
    """
    return getattr(type(estimator), "_weighs_its_experts", False)


def takes_weights(estimator: Any) -> bool:
    """Whether its `fit`, or that of all final predictors that it forwards to, takes weights."""
    if is_mixture(estimator):
        return True
    if isinstance(estimator, Pipeline):
        return takes_weights(estimator.steps[-1][1])
    if own_requests(estimator).get("sample_weight") not in (None, True):
        return False
    predictors = inner_predictors(estimator)
    if has_fit_parameter(estimator, "sample_weight"):
        return all(map(takes_weights, predictors))
    return bool(predictors) and routes(estimator) and all(map(takes_weights, predictors))


def own_requests(estimator: Any) -> dict[str, Any]:
    """What the user or the class asks for in `fit`, by name: True, False or another name."""
    if isinstance(estimator, type) or not hasattr(estimator, "_get_metadata_request"):
        return {}
    try:
        requests = estimator._get_metadata_request().fit.requests
    except ValueError:  # MultiTaskLasso fails to answer in scikit-learn 1.9
        return {}
    return {name: wanted for name, wanted in requests.items() if wanted is not None}


def has_requests(estimator: Any) -> bool:
    """Whether the user has set a request for metadata, or the class asks for some in `fit`."""
    return hasattr(estimator, "_metadata_request") or bool(own_requests(estimator))


def inner_predictors(estimator: Any) -> list[Any]:
    """The estimators one level inside `estimator` that predict."""
    values = list(estimator.get_params(deep=False).values())
    groups = [value for value in values if isinstance(value, list)]
    named = [m[1] for group in groups for m in group if isinstance(m, tuple) and len(m) == 2]
    return [value for value in [*values, *named] if _is_predictor(value)]


def _is_predictor(value: Any) -> bool:
    if isinstance(value, type) or not hasattr(value, "fit"):
        return False
    # Some that delegate (StackingRegressor) have no `predict` before they are fitted.
    tagged = hasattr(value, "__sklearn_tags__") and (is_regressor(value) or is_classifier(value))
    return tagged or hasattr(value, "predict")


def routes(estimator: Any) -> bool:
    """Whether `estimator` forwards metadata to what it holds (and says so)."""
    try:
        # Some (RidgeCV) can only answer where routing is on.
        with config_context(enable_metadata_routing=True):
            routing = get_routing_for_object(estimator)
    except (NotImplementedError, ValueError):
        # AdaBoost says by the first that it hands nothing on. By the second MultiTaskLasso fails to
        # answer, which holds nobody to hand it on to.
        return False
    return hasattr(routing, "route_params")


def consumes_weights(estimator: Any) -> bool:
    """Whether weights that are routed reach it, or a part of it; asked where routing is on."""
    return bool(get_routing_for_object(estimator).consumes("fit", ["sample_weight"]))
