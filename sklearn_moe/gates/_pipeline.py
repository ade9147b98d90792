"""Pipelines that end in a gate: the steps see rows and weights, the gate what the steps make."""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np
import scipy.sparse as sp
from sklearn.pipeline import Pipeline

from .._numeric import Array
from .._validation import n_rows, take_rows
from .._weighting import WeightPlan, gate_with_weighted_steps, plan_steps, transform_weighted
from ._table import GateTable

# Rows by which it is told whether steps make what they made before, and the part of a column's
# scatter that it may differ by: the mean of a scaler moves with the rows that it has seen.
COMPARED_ROWS = 100
CLOSE = 0.1


def last_step(gate: Any) -> Any:
    """The gate itself, or what a pipeline ends in."""
    return gate.steps[-1][1] if isinstance(gate, Pipeline) else gate


def check_gate(gate: Any) -> None:
    """Raise what scikit-learn says of a resolved template with unsound steps or parameters."""
    if isinstance(gate, Pipeline):
        gate._validate_steps()
    last_step(gate)._validate_params()


def plan_gate(gate: Any) -> WeightPlan | None:
    """How the steps of a resolved template are weighted, if it is a plain pipeline."""
    return plan_steps(gate[:-1]) if type(gate) is Pipeline else None


def fit_pipeline(
    gate: Pipeline,
    table: GateTable,
    expert_weights: Array,
    start: Any,
    brief: bool,
    params: dict,
    plan: WeightPlan | None,
) -> Pipeline:
    """Fit a pipeline, a clone of our own; its gate goes on from the end of `start`.

    It begins anew where the steps of `start` make other columns of the rows, and the pipeline fits
    itself where it is to hand on metadata or is of a kind of its own.
    """
    if params or type(gate) is not Pipeline:
        return gate_with_weighted_steps(gate, table.X, expert_weights, params)
    steps, weight = gate[:-1], expert_weights.sum(axis=1)
    X = transform_weighted(steps, table.X, expert_weights, weight, plan or plan_steps(steps))
    gate.steps[:-1] = steps.steps  # with `memory`, other objects have been fitted
    begin = last_step(start)
    if isinstance(start, Pipeline) and not _makes(start[:-1], table.X, X):
        begin, brief = None, False
    last_step(gate).fit_table(GateTable(X, weight), expert_weights, begin, brief)
    return gate


def _makes(steps: Pipeline, X: Any, made: Any) -> bool:
    """Whether fitted `steps` make columns of `X` that mean the same as those `made`."""
    if not steps.steps:
        return True
    rows = np.arange(0, n_rows(X), -(-n_rows(X) // COMPARED_ROWS))
    return _look_alike(steps.transform(take_rows(X, rows)), take_rows(made, rows))


def _look_alike(before: Any, now: Any) -> bool:
    """Whether two tables of the same rows agree, numbers up to a part of a column's scatter."""
    before, now = (
        np.asarray(part.toarray() if sp.issparse(part) else part) for part in (before, now)
    )
    if before.shape != now.shape or before.dtype != now.dtype:
        return False
    if now.dtype.kind != "f":
        return joblib.hash(before.tolist()) == joblib.hash(now.tolist())
    gaps = np.isnan(now)
    if not np.array_equal(gaps, np.isnan(before)):
        return False
    before, now = (np.where(gaps, 0.0, part) for part in (before, now))
    return bool((np.square(now - before).mean(axis=0) <= CLOSE**2 * now.var(axis=0)).all())
