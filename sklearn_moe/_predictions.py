"""What fitted experts say of rows: outputs, or probabilities of all classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._numeric import Array, experts_first
from ._routing import Routing
from ._validation import n_rows, take_rows
from .linear import predict_plain


def predict_expert(expert: Any, X: Any, classes: NDArray | None) -> Array:
    """What a fitted expert says of each row: outputs (n, q), or class probabilities (n, C)."""
    if classes is None:
        predicted = np.asarray(expert.predict(X), dtype=np.float64).reshape(n_rows(X), -1)
    else:
        predicted = _class_probabilities(expert, X, classes)
    if not np.isfinite(predicted).all():
        raise ValueError(
            f"{type(expert).__name__} predicted NaN or infinity. Scale its inputs or regularise "
            "it, for instance in a pipeline."
        )
    return predicted


def _class_probabilities(expert: Any, X: Any, classes: NDArray) -> Array:
    """Probabilities (n, C), zero for classes unseen; a hard vote where there are none."""
    if hasattr(expert, "predict_proba"):
        return align_classes(expert.predict_proba(X), expert.classes_, classes)
    return np.eye(len(classes))[np.searchsorted(classes, expert.predict(X))]


def align_classes(proba: Array, seen: NDArray, classes: NDArray) -> Array:
    """Probabilities (n, C) of all `classes`, from those of the classes `seen`."""
    if len(seen) == len(classes):
        return proba
    aligned = np.zeros((len(proba), len(classes)))
    aligned[:, np.searchsorted(classes, seen)] = proba
    return aligned


def predict_bank(experts: Sequence[Any], X: Any, classes: NDArray | None) -> Array:
    """Predictions of all experts for all rows: (n, K, q) or (n, K, C)."""
    plain = predict_plain(experts, X) if classes is None else None
    if plain is not None:
        return plain
    return np.stack([predict_expert(expert, X, classes) for expert in experts], axis=1)


def predict_acting(
    experts: Sequence[Any], X: Any, classes: NDArray | None, routing: Routing
) -> Array:
    """Predictions (n, S, q) or (n, S, C) of the experts that act: each sees its own rows only."""
    if routing.index is None:
        return predict_bank(experts, X, classes)
    mean: Array | None = None
    for k, expert in enumerate(experts):
        rows, slots = routing.acting(k)
        if not len(rows):
            continue
        predicted = predict_expert(expert, take_rows(X, rows), classes)
        if mean is None:
            mean = experts_first(*routing.index.shape, predicted.shape[1])
        mean[rows, slots] = predicted
    assert mean is not None  # every row has an expert that acts
    return mean
