"""Gates: one file for each way to divide the input space."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline

from ._base import Gate
from ._classifier import ClassifierGate
from ._constant import ConstantGate
from ._softmax import SoftmaxGate

__all__ = ["ClassifierGate", "ConstantGate", "Gate", "SoftmaxGate", "resolve_gate"]


def resolve_gate(gate: Any) -> Any:
    """The gate template that the parameter `gate` stands for.

    Raises
    ------
    TypeError
        If `gate` is neither a gate, nor a classifier with `predict_proba`, nor a pipeline that
        ends in either.
    """
    if gate is None:
        return SoftmaxGate()
    last = gate.steps[-1][1] if isinstance(gate, Pipeline) else gate
    if isinstance(last, Gate):
        return gate
    if hasattr(last, "predict_proba") and hasattr(last, "fit"):
        return ClassifierGate(gate)
    raise TypeError(
        f"gate={gate!r} cannot give probabilities of the experts. Pass SoftmaxGate(), a classifier "
        "with predict_proba, or a pipeline that ends in either."
    )
