"""What estimators predict, as columns of a table: numbers without limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._numeric import Array

# The part of an even guess in class probabilities; without one, logarithms may be infinite.
GUESS = 0.01


def as_columns(predicted: Array, classes: NDArray | None) -> Array:
    """What estimators say, (n, S, q) or (n, S, C), side by side."""
    columns = predicted if classes is None else log_odds(predicted)
    return np.ascontiguousarray(columns.reshape(len(columns), -1))


def log_odds(proba: Array) -> Array:
    """Class probabilities (..., C) as finite logarithms: of the odds of two, centred of more."""
    n_classes = proba.shape[-1]
    logs = np.log((1 - GUESS) * proba + GUESS / n_classes)
    if n_classes == 2:
        return logs[..., 1:] - logs[..., :1]
    return logs - logs.mean(axis=-1, keepdims=True)
