"""Checks of the parameters that users pass.

The only file that imports private names of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.frozen import FrozenEstimator
from sklearn.metrics._scorer import _BaseScorer as BaseScorer
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils import get_tags
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
)
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.metaestimators import _BaseComposition as BaseComposition
from sklearn.utils.parallel import _get_threadpool_controller as threadpool_controller
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    from sklearn.base import _fit_context as fit_context
except ImportError:  # pragma: no cover - moved in a later scikit-learn
    from sklearn.utils._param_validation import _fit_context as fit_context

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock as VisualBlock
except ImportError:  # scikit-learn 1.6
    from sklearn.utils._estimator_html_repr import _VisualBlock as VisualBlock

__all__ = [
    "BaseComposition",
    "BaseScorer",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "VisualBlock",
    "check_sample_weight",
    "fit_context",
    "safe_indexing",
    "threadpool_controller",
]


def last_step(estimator: Any) -> Any:
    """The estimator itself or, of a pipeline, what it ends in, be that within another one."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def innermost(estimator: Any, X: Any, answers: Callable[[Any], bool]) -> tuple[Any, Any]:
    """The first that `answers` of a pipeline's end or a search's best, and rows as it takes them.

    Or of what is frozen. Else what they all end in. Rows may be None.
    """
    while not answers(estimator):
        if isinstance(estimator, Pipeline):
            has_more = X is not None and len(estimator.steps) > 1
            X, estimator = estimator[:-1].transform(X) if has_more else X, estimator[-1]
        elif isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            break
    return estimator, X


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


def are_named(parts: Any) -> bool:
    """Whether all parts are pairs of a name and something else."""
    return all(isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) for p in parts)


def check_estimators(transformer: Any) -> None:
    """Check the parameter `estimators`: uniquely named regressors, or classifiers."""
    estimators = transformer.estimators
    if not (estimators and are_named(estimators)):
        raise ValueError(
            f"estimators={estimators!r} must be a list of (name, estimator), with at least one."
        )
    transformer._validate_names([name for name, _ in estimators])
    for _, estimator in estimators:
        _check_predicts("estimators", estimator)
    kinds = {_kind_of(estimator) for _, estimator in estimators}
    if others := kinds - {"classifier", "regressor", None}:
        raise TypeError(
            f"estimators={estimators!r} holds one of kind {others.pop()!r}. Use regressors, or "
            "classifiers."
        )
    if len({kind == "classifier" for kind in kinds}) > 1:
        raise TypeError(
            f"estimators={estimators!r} holds classifiers and others. Use one transformer for each "
            "kind."
        )


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
                f"parameters until it is named. Pass {part}={usual[part]}, or another."
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
    needed, kind = _kind_of(mixture), _kind_of(expert)
    if kind not in (None, needed):
        raise TypeError(
            f"{param}={expert!r} is of the wrong kind, {kind!r}: {type(mixture).__name__} is made "
            f"of {needed}s. Use another expert, or the mixture for this kind."
        )


def _kind_of(estimator: Any) -> str | None:
    """What an estimator is (a regressor, a classifier, a clusterer, ...), if it says so."""
    has_tags = hasattr(estimator, "__sklearn_tags__")
    return get_tags(estimator).estimator_type if has_tags else None


def _check_named(estimator: Any, experts: list) -> None:
    if not are_named(experts) or all(expert == "drop" for _, expert in experts):
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


def check_coverage(coverage: Any) -> float:
    """A nominal coverage as a float."""
    if np.ndim(coverage):
        raise ValueError(f"coverage={coverage!r} must be one number, such as 0.9 for 90%.")
    return float(check_shares("coverage", coverage)[0])


def check_shares(name: str, values: Any) -> NDArray[np.float64]:
    """Numbers strictly between 0 and 1 as an array (m,)."""
    shares = np.atleast_1d(np.asarray(values))
    is_vector = shares.dtype.kind in "fiu" and shares.ndim == 1 and len(shares) > 0
    if not (is_vector and ((shares > 0) & (shares < 1)).all()):
        raise ValueError(f"{name}={values!r} must be strictly between 0 and 1: 0.9 for 90%.")
    return shares.astype(np.float64)


def with_inputs_of(tags: Any, *parts: Any) -> Any:
    """The tags of one that takes the tables that its `parts` all take: any, if it has none."""
    inputs = [get_tags(part).input_tags for part in parts]
    for name in ("sparse", "allow_nan", "categorical", "string"):
        setattr(tags.input_tags, name, all(getattr(taken, name) for taken in inputs))
    return tags
