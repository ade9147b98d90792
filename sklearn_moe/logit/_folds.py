"""Many logits over the same rows, each left out of a fold, move together.

One pass over the rows gives the gradient of every fold's logit on the rows outside its fold and, by
the probabilities that each row was given out of fold, the curvature. A step is damped as much as
makes a descent certain for the exact Newton direction (Bach, 2010; Sun and Tran-Dinh, 2019), so
nothing is searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._numeric import BLOCK_ELEMENTS, Array
from ._curvature import make_curvature
from ._problem import design_sums, scores_of, softmax_columns, sum_zero_basis

# Steps from nothing, and from where the last iteration of EM was: it needs an ascent, no optimum.
FIRST_STEPS, STEPS = 30, 2
# A step that changes no score by more than this is the last.
SETTLED = 1e-3

# Targets (M, C, B) and their sums (M, B) for some rows.
Targets = Callable[[Any], tuple[Array, Array]]


@dataclass(frozen=True)
class FoldedLogits:
    """M logits for each fold over the rows of `design` (n, d), which may be sparse.

    `folds` are the rows that each fold leaves out; None stands for one logit that sees all rows.
    Coefficients `theta` (F, M, C - 1, d + 1) and penalties `ridge` (F, M, d + 1) are in the basis
    of `SoftLogit`.
    """

    design: Any
    folds: list[Any] | None
    ridge: Array

    def step(self, theta: Array, targets: Targets) -> tuple[Array, Array, Array]:
        """One damped Newton step from `theta`.

        Returns the coefficients, the log probabilities (M, C, n) that they give out of fold, and
        how far the step has moved any score, (F, M).
        """
        return self._move(theta, self._direction(theta, targets))

    def _blocks(self, n_columns: int) -> Iterator[tuple[int, Any, Any]]:
        """Fold, rows and design of blocks that stay in a core's cache; each is of one fold."""
        n_samples, width = self.design.shape
        size = max(64, BLOCK_ELEMENTS // max(width, n_columns))
        if sp.issparse(self.design):
            size = n_samples
        for fold, rows in enumerate(self.folds or [None]):
            for first in range(0, n_samples if rows is None else len(rows), size):
                piece = slice(first, first + size)
                piece = piece if rows is None else rows[piece]
                yield fold, piece, self.design[piece]

    def _direction(self, theta: Array, targets: Targets) -> Array:
        """Newton directions (F, M, C - 1, d + 1) of all logits."""
        n_folds, n_problems, n_free, width = theta.shape
        shape, basis = (n_folds, n_problems, n_free + 1, width), sum_zero_basis(n_free + 1)
        gradient = np.zeros(shape)
        curvature = make_curvature(shape, self.folds is not None, self.design)
        for fold, rows, Z in self._blocks(n_folds * n_problems * (n_free + 1)):
            target, total = targets(rows)
            proba = softmax_columns(scores_of(Z, basis @ theta))[1]
            curvature.add(fold, rows, Z, self._typical(proba, fold), total)
            proba *= total[:, None, :]
            proba -= target
            if self.folds is not None:
                proba[fold] = 0.0  # a fold's own rows teach it nothing
            gradient += design_sums(Z, proba)
        gradient = basis.T @ gradient + self.ridge[:, :, None, :] * theta
        return -curvature.solve(gradient, self.ridge)

    def _typical(self, proba: Array, fold: int) -> Array:
        """Mean (M, C, B) of the probabilities (F, M, C, B) by those that learn from the rows.

        They differ little, and by Jensen's inequality the mean has the larger curvature.
        """
        if self.folds is None:
            return proba[0]
        return (proba.sum(axis=0) - proba[fold]) / (len(proba) - 1)

    def _move(self, theta: Array, direction: Array) -> tuple[Array, Array, Array]:
        """Coefficients after a damped step, log probabilities out of fold, change of scores."""
        n_folds, n_problems, n_free, _ = theta.shape
        basis = sum_zero_basis(n_free + 1)
        weights = np.stack([basis @ theta, basis @ direction], axis=1)
        scores = np.empty((2, n_problems, n_free + 1, self.design.shape[0]))
        largest = np.zeros((n_folds, n_problems))
        for fold, rows, Z in self._blocks(2 * n_problems * (n_free + 1)):
            block = scores_of(Z, weights[fold])
            scores[..., rows] = block
            spread = (block[1].max(axis=1) - block[1].min(axis=1)).max(axis=1, initial=0.0)
            largest[fold] = np.maximum(largest[fold], spread)
        size = np.where(largest > 0, np.log1p(largest) / np.maximum(largest, 1e-300), 1.0)
        log_proba, change = scores
        for fold, rows in enumerate(self.folds or [slice(None)]):
            log_proba[..., rows] += size[fold][:, None, None] * change[..., rows]
        log_proba -= log_proba.max(axis=1, keepdims=True)
        log_proba -= np.log(np.exp(log_proba).sum(axis=1, keepdims=True))
        return theta + size[..., None, None] * direction, log_proba, largest
