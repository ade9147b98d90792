"""How weights reach an estimator, found out once and used at every fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.ensemble import BaggingClassifier, BaggingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder
from sklearn.utils.validation import has_fit_parameter

from .._numeric import Array
from .._validation import last_step
from ._learners import consumes_weights, has_requests, is_mixture, routes, takes_weights
from ._requests import request_weights

WEIGHTED = "sample_weight"
RESAMPLED = "resample"
# Since scikit-learn 1.8, where None was added. Before, bagging gave weights to its members, or
# refused them.
DRAWS_BY_WEIGHT = BaggingRegressor().max_samples is None


@dataclass(frozen=True)
class WeightPlan:
    """How weights reach an estimator: found out once, used at every fit.

    `names` are the parameters of `fit` that carry the weights, or None if they are routed. Under
    weights, rounding makes the variance of a constant column less than zero: if it `scales`, numpy
    is not to warn of its square root, in whose place the scaler puts a one.
    """

    mode: str
    names: tuple[str, ...] | None = None
    scales: bool = False

    @property
    def is_routed(self) -> bool:
        """Whether scikit-learn hands weights on, and other metadata that are asked for."""
        return self.mode == WEIGHTED and self.names is None

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """The settings of scikit-learn and numpy under which weights are handed on."""
        silent = np.errstate(invalid="ignore" if self.scales else None)
        with config_context(enable_metadata_routing=self.names is None), silent:
            yield

    def fit_params(self, weight: Array) -> dict[str, Array]:
        """The weights as parameters of `fit`."""
        return dict.fromkeys(("sample_weight",) if self.names is None else self.names, weight)

    def reaches_all_steps(self, estimator: Any) -> bool:
        """Whether the estimator, or each step of a flat pipeline, is given the weights."""
        n_steps = len(estimator.steps) if isinstance(estimator, Pipeline) else 1
        return self.mode == WEIGHTED and self.names is not None and len(self.names) == n_steps


def plan_weights(estimator: Any) -> WeightPlan:
    """The plan for `estimator`, a clone of our own, in which requests are set if it needs them."""
    encodes, scales = holds(estimator, TargetEncoder, StandardScaler)
    return replace(_way_of_weights(estimator, encodes), scales=scales)


def plan_steps(steps: Pipeline) -> WeightPlan:
    """The plan for transformers, clones of our own: weights go to those that take them."""
    encodes, scales = holds(steps, TargetEncoder, StandardScaler)
    if encodes or _is_plain(steps):
        return WeightPlan(WEIGHTED, _takers(steps), scales)
    with config_context(enable_metadata_routing=True):
        request_weights(steps)
        return WeightPlan(WEIGHTED, None if consumes_weights(steps) else (), scales)


def _way_of_weights(estimator: Any, encodes_targets: bool) -> WeightPlan:
    if not takes_weights(estimator):
        return WeightPlan(RESAMPLED)
    if is_mixture(estimator):
        return WeightPlan(WEIGHTED, ("sample_weight",))
    if encodes_targets:
        # In scikit-learn 1.9 it fails wherever metadata are routed. Steps can be named instead.
        direct = isinstance(estimator, Pipeline) and not routes(estimator.steps[-1][1])
        return WeightPlan(WEIGHTED, _takers(estimator)) if direct else WeightPlan(RESAMPLED)
    if isinstance(estimator, Pipeline) and _is_plain(estimator):
        return WeightPlan(WEIGHTED, _takers(estimator))
    if _draws_rows(last_step(estimator)):
        return _way_by_drawing(estimator)
    if routes(estimator):
        with config_context(enable_metadata_routing=True):
            request_weights(estimator)
            if consumes_weights(last_step(estimator)):
                return WeightPlan(WEIGHTED)
    # Not routable (AdaBoost, RANSAC without an estimator): the weights go to the last step alone.
    return WeightPlan(WEIGHTED, (f"{way_to_last(estimator)}sample_weight",))


def _draws_rows(estimator: Any) -> bool:
    """Whether it is bagging of what cannot be told all that weights say: of pipelines, mostly.

    Were its members weighted by their bags, steps that take no weights would see all rows. Where
    the user has asked for metadata within, these are routed, and so are the weights.
    """
    if not isinstance(estimator, BaggingRegressor | BaggingClassifier):
        return False
    member = estimator.estimator
    if member is None or has_fit_parameter(member, "sample_weight"):
        return False
    parts = member.get_params(deep=True).values()
    return not any(map(has_requests, (member, *parts)))


def _way_by_drawing(bagging: Any) -> WeightPlan:
    """Weights say which rows are drawn, and members are fitted to these (scikit-learn 1.8)."""
    if not DRAWS_BY_WEIGHT:
        return WeightPlan(RESAMPLED)
    is_flat = isinstance(bagging, Pipeline) and not isinstance(bagging.steps[-1][1], Pipeline)
    last = f"{way_to_last(bagging)}sample_weight"
    return WeightPlan(WEIGHTED, _takers(bagging) if is_flat else (last,))


def _is_plain(pipeline: Pipeline) -> bool:
    """Whether no step has a request or hands weights on, so that each can be given its own."""
    steps = [step for _, step in pipeline.steps if hasattr(step, "fit")]
    return not any(has_requests(step) or routes(step) for step in steps)


def holds(estimator: Any, *kinds: type) -> list[bool]:
    """Whether the estimator, or a part of it that it weighs, is of each kind."""
    params = estimator.get_params(deep=True)
    within = tuple(f"{n}__" for n, p in params.items() if getattr(p, "_weighs_its_parts", False))
    parts = [estimator, *(p for name, p in params.items() if not name.startswith(within))]
    return [any(isinstance(part, kind) for part in parts) for kind in kinds]


def _takers(pipeline: Pipeline) -> tuple[str, ...]:
    """Parameters by which a plain pipeline hands weights to the steps that take them."""
    steps = [(name, step) for name, step in pipeline.steps if hasattr(step, "fit")]
    takers = [name for name, step in steps if has_fit_parameter(step, "sample_weight")]
    return tuple(f"{name}__sample_weight" for name in takers)


def way_to_last(estimator: Any) -> str:
    """What the names of a pipeline's parameters begin with if they are those of its last step."""
    if not isinstance(estimator, Pipeline):
        return ""
    name, last = estimator.steps[-1]
    return f"{name}__{way_to_last(last)}"
