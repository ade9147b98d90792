"""Pipelines that end in a gate: the steps see rows and weights, the gate what the steps make."""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np
import scipy.sparse as sp
from sklearn.pipeline import Pipeline

from .._numeric import Array, weighted_moments
from ..weighting import WeightPlan, gate_with_weighted_steps, plan_steps, transform_weighted
from ._base import naming
from ._table import GateTable

# Columns that have moved by less than this part of their scatter count as the same: the mean of a
# scaler moves with the rows that it has seen.
CLOSE = 0.1


def check_gate(gate: Any) -> None:
    """Raise scikit-learn's error if a resolved template has unsound steps or parameters."""
    if isinstance(gate, Pipeline):
        gate._validate_steps()
        check_gate(gate[-1])
    else:
        gate._validate_params()


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

    The gate begins anew if the steps of `start` make other columns of the rows. A pipeline that is
    to hand on metadata, or is of a subclass, fits itself. The gate may be at the end of an inner
    pipeline.
    """
    if params or type(gate) is not Pipeline:
        return gate_with_weighted_steps(gate, table.X, expert_weights, params)
    steps, weight = gate[:-1], expert_weights.sum(axis=1)
    with naming(gate, "fit its steps"):
        X = transform_weighted(steps, table.X, expert_weights, weight, plan or plan_steps(steps))
    gate.steps[:-1] = steps.steps  # with `memory`, other objects have been fitted
    begin = start[-1] if isinstance(start, Pipeline) else start
    if isinstance(start, Pipeline) and not _makes(start[:-1], table.X, X, weight):
        begin, brief = None, False
    made = GateTable(X, weight)
    if isinstance(gate[-1], Pipeline):
        fit_pipeline(gate[-1], made, expert_weights, begin, brief, {}, None)
    else:
        gate[-1].fit_table(made, expert_weights, begin, brief)
    return gate


def _makes(steps: Pipeline, X: Any, made: Any, weight: Array) -> bool:
    """Whether fitted `steps` make columns of `X` that mean the same as those `made`.

    All rows have a say, by their weight: a part of them would be another one among repeated rows.
    """
    if not steps.steps:
        return True
    before = steps.transform(X)
    if sp.issparse(made) and sp.issparse(before):
        return before.shape == made.shape and _close_sparse(before, made, weight)
    before, made = np.asarray(before), np.asarray(made)
    if before.shape != made.shape or before.dtype != made.dtype:
        return False
    if made.dtype.kind == "f":
        return _close(before, made, weight)
    if made.dtype.kind == "O":  # gaps are not equal to themselves, but to each other as bytes
        return joblib.hash(before.tolist()) == joblib.hash(made.tolist())
    return np.array_equal(before, made)


def _close(before: Array, now: Array, weight: Array) -> bool:
    """Whether no column moves by more than a part of its scatter, gaps staying where they are."""
    gaps = np.isnan(now)
    if not np.array_equal(gaps, np.isnan(before)):
        return False
    moved, now = np.where(gaps, 0.0, now - before), np.where(gaps, 0.0, now)
    far = np.average(np.square(moved), axis=0, weights=weight)
    return bool((far <= CLOSE**2 * weighted_moments(now, weight)[1]).all())


def _close_sparse(before: Any, now: Any, weight: Array) -> bool:
    """Whether no sparse column moves by more than a part of its scatter around zero."""
    moved = now - before
    far, scatter = (part.multiply(part).T @ weight for part in (moved, now))
    return bool((far <= CLOSE**2 * scatter).all())
