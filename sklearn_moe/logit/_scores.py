"""Scores of classes, and the probabilities that they come to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array
from ._basis import sum_zero_basis

# Scores up to this have exponentials whose sums are finite.
SAFE = 300.0
# The exponential of a score this far below the others is zero.
FAR_BELOW = 1e4

# Which classes (..., C) have no part in a logit; None if all have.
Absent = NDArray[np.bool_] | None


def class_weights(theta: Array, absent: Absent = None) -> Array:
    """Weights (..., C, d + 1) of the score of each class under coefficients (..., C - 1, d + 1).

    Classes that are `absent` (..., C) score so low that their probability is zero.
    """
    weights: Array = sum_zero_basis(theta.shape[-2] + 1) @ theta
    if absent is not None:
        weights[..., -1] -= FAR_BELOW * absent
    return weights


def among_present(theta: Array, absent: Absent) -> Array:
    """Coefficients (..., C - 1, d + 1) of the same probabilities, neutral toward absent classes.

    Probabilities do not depend on the scores of absent classes: rounding would decide where an
    intercept drifts, and a class that comes back would begin from there.
    """
    if absent is None:
        return theta
    basis, is_present = sum_zero_basis(absent.shape[-1]), ~absent[..., None]
    weights = np.where(is_present, basis @ theta, 0.0)
    mean = weights.sum(axis=-2) / np.maximum(is_present.sum(axis=-2), 1)
    return basis.T @ np.where(is_present, weights - mean[..., None, :], 0.0)


def class_changes(direction: Array, absent: Absent = None) -> Array:
    """Weights (..., C, d + 1) of the change of each class's score along a direction.

    The change of an `absent` class does not count, and is set to that of a class that is present.
    """
    weights = class_weights(direction)
    if absent is None:
        return weights
    other = np.argmin(absent, axis=-1)[..., None, None]
    return np.where(absent[..., None], np.take_along_axis(weights, other, axis=-2), weights)


def softmax_columns(scores: Array) -> tuple[Array, Array, Array]:
    """Softmax over the experts of `scores` (..., K, B), which are overwritten.

    Returns the scores, less that of the first expert or, where they are large, of the best; the
    probabilities; and the log of the normaliser.
    """
    proba = np.empty_like(scores)
    normaliser = _share_out(scores, proba)
    return scores, proba, np.log(normaliser[..., 0, :])


def proba_columns(scores: Array) -> Array:
    """Softmax over the experts of `scores` (..., K, B): probabilities in the memory of these."""
    _share_out(scores, scores)
    return scores


def _share_out(scores: Array, proba: Array) -> Array:
    """Write the probabilities, and return what their exponentials summed to.

    Exponentials take most of the time. With the first expert's score subtracted, its own is one.
    """
    scores -= scores[..., :1, :].copy()
    if scores.max(initial=0.0) <= SAFE:
        np.exp(scores[..., 1:, :], out=proba[..., 1:, :])
        proba[..., 0, :] = 1.0
    else:
        scores -= scores.max(axis=-2, keepdims=True)
        np.exp(scores, out=proba)
    total = proba.sum(axis=-2, keepdims=True)
    proba *= 1.0 / total
    return total
