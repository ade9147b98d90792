"""From what users pass as a gate to gates that are fitted."""

from __future__ import annotations

import copy
from typing import Any

from sklearn.base import clone, is_regressor
from sklearn.ensemble import StackingClassifier
from sklearn.pipeline import Pipeline

from .._numeric import Array
from .._validation import last_step
from ..weighting import WeightPlan
from ._base import Gate
from ._classifier import ClassifierGate
from ._constant import ConstantGate
from ._frozen import is_frozen, without_lost
from ._mlp import MLPGate
from ._pipeline import fit_pipeline
from ._regressor import RegressorGate
from ._softmax import SoftmaxGate
from ._table import GateTable
from ._tree import TreeGate

# Hidden units of the network that is tried: on the whole as good as more, and fitted sooner.
FEW_UNITS = 16


def resolve_gate(gate: Any) -> Any:
    """The gate template that the parameter `gate` stands for.

    Raises
    ------
    TypeError
        If `gate` is neither a gate, nor a classifier with `predict_proba`, nor a regressor, nor a
        pipeline that ends in one of them.
    """
    if gate is None:
        return SoftmaxGate()
    if isinstance(gate, type):
        raise TypeError(f"gate={gate!r} is a class. Pass an instance: {gate.__name__}().")
    last = last_step(gate)
    if isinstance(last, Gate):
        return gate
    # Stacking has probabilities only once it is fitted, if its final estimator has them.
    if (hasattr(last, "predict_proba") and hasattr(last, "fit")) or isinstance(
        last, StackingClassifier
    ):
        return ClassifierGate(gate)
    if hasattr(last, "predict") and hasattr(last, "__sklearn_tags__") and is_regressor(last):
        return RegressorGate(gate)
    raise TypeError(
        f"gate={gate!r} cannot give probabilities of the experts. Pass SoftmaxGate(), a classifier "
        "with predict_proba, a regressor, or a pipeline that ends in one of them."
    )


def gates_to_try(gate: Any) -> list[Any]:
    """Templates for the parameter `gate` of a mixture, the first to begin with.

    If there are several, the fit keeps one.
    """
    if isinstance(gate, str) and gate == "auto":
        return [SoftmaxGate(), MLPGate(FEW_UNITS), TreeGate()]
    return [resolve_gate(gate)]


def keeping(template: Any, members: tuple[int, ...], n_experts: int) -> Any:
    """A resolved template for some of the experts; a pipeline is changed at its end."""
    if not isinstance(template, Pipeline):
        if len(members) < n_experts and is_frozen(template):
            return without_lost(template, members)
        return template.keeping(members, n_experts)
    name, last = template.steps[-1]
    return clone(template).set_params(**{name: keeping(last, members, n_experts)})


def fit_gate(
    template: Any,
    table: GateTable,
    expert_weights: Array,
    start: Any,
    brief: bool,
    params: dict | None = None,
    plan: WeightPlan | None = None,
) -> Any:
    """A clone of a resolved template, fitted to the table.

    The `plan` of a pipeline's steps is made for each fit if it is not known.
    """
    if expert_weights.shape[1] == 1:
        return ConstantGate().fit(table.X, expert_weights)
    gate = clone(template)
    if isinstance(gate, Pipeline):
        return fit_pipeline(gate, table, expert_weights, start, brief, params or {}, plan)
    if params:
        return gate.fit(table.X, expert_weights, **params)
    return gate.fit_table(table, expert_weights, start, brief)


def log_proba_of(gate: Any, table: GateTable) -> Array:
    """Log probabilities (n, K) of a fitted gate; a pipeline encodes the rows for itself."""
    if isinstance(gate, Gate):
        return gate.log_proba_table(table)
    return gate.predict_log_proba(table.X)


def next_gate(gate: Any, X: Any, expert_weights: Array) -> Any:
    """A gate for new rows, which goes on from a fitted one if it can; the fitted one is kept."""
    if is_frozen(gate):
        return gate
    if hasattr(gate, "partial_fit"):
        return copy.deepcopy(gate).partial_fit(X, expert_weights)
    table = GateTable(X, expert_weights.sum(axis=1))
    return fit_gate(gate, table, expert_weights, start=None, brief=False)
