"""Transformers and pipelines of gates fitted to weighted rows."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from .._numeric import Array
from ._learners import consumes_weights
from ._plan import WEIGHTED, WeightPlan, holds
from ._requests import request_weights


def transform_weighted(
    steps: Pipeline,
    X: Any,
    y: Any,
    weight: Array,
    plan: WeightPlan,
    params: dict[str, Any] | None = None,
) -> Any:
    """Fit transformers, clones of our own, to rows that count `weight` (n,) each; what they make.

    `y` is for those that look at a target; `params` are more that they ask for.
    """
    if not steps.steps:
        return X
    with plan.in_force():
        return steps.fit_transform(X, y, **plan.fit_params(weight), **(params or {}))


def gate_with_weighted_steps(gate: Pipeline, X: Any, expert_weights: Array, params: dict) -> Any:
    """Fit a pipeline that ends in a gate, some steps of which ask for metadata, to weights too."""
    with WeightPlan(WEIGHTED, scales=holds(gate, StandardScaler)[0]).in_force():
        request_weights(gate)
        if consumes_weights(gate):
            params = {**params, "sample_weight": expert_weights.sum(axis=1)}
        return gate.fit(X, expert_weights, **params)
