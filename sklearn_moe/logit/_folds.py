"""Many logits over the same rows, each left out of a fold, move together.

One pass over the rows gives the gradient of every fold's logit on the rows outside its fold and, by
the probabilities that each row was given out of fold, the curvature. A step is damped as much as
makes a descent certain for the exact Newton direction (Bach, 2010; Sun and Tran-Dinh, 2019), so
nothing is searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._numeric import Array, rows_of
from ._curvature import make_curvature
from ._problem import blocks_of, design_sums, scores_of, softmax_columns, sum_zero_basis

# Steps from nothing. From where the last iteration of EM was, one will do.
FIRST_STEPS = 30
# A step from nothing that changes no score by more than this is the last.
SETTLED = 1e-2

# Targets (M, C, B) and their sums (M, B) for some rows.
Targets = Callable[[Any], tuple[Array, Array]]


@dataclass(frozen=True)
class FoldedLogits:
    """M logits for each fold over the rows of `design` (n, d), which may be sparse.

    `folds` are the rows that each fold leaves out; None stands for one logit that sees all rows.
    Coefficients `theta` (F, M, C - 1, d + 1) and penalties `ridge` (F, M, d + 1) are in the basis
    of `SoftLogit`. If the steps are to lead to an `exact` solution, they use sharper curvature.
    """

    design: Any
    folds: Sequence[Any] | None
    ridge: Array
    exact: bool = False

    def step(self, theta: Array, targets: Targets) -> tuple[Array, Array]:
        """One damped Newton step from `theta`: coefficients, and how far (F, M) any score moves."""
        direction = self._direction(theta, targets)
        largest = self._largest_change(direction)
        size = np.where(largest > 0, np.log1p(largest) / np.maximum(largest, 1e-300), 1.0)
        return theta + size[..., None, None] * direction, largest

    def log_proba(self, theta: Array) -> Array:
        """Log probabilities (M, C, n) that each fold's logits give to its own rows."""
        n_problems, n_free = theta.shape[1:3]
        weights = sum_zero_basis(n_free + 1) @ theta
        log_proba = np.empty((n_problems, n_free + 1, self.design.shape[0]))
        for fold, rows, Z in self._blocks(n_problems * (n_free + 1)):
            scores, _, log_sum = softmax_columns(scores_of(Z, weights[fold]))
            scores -= log_sum[:, None]
            log_proba[..., rows] = scores
        return log_proba

    def _blocks(self, n_columns: int) -> Iterator[tuple[int, Any, Any]]:
        """Fold, rows and design of blocks that stay in a core's cache, each of one fold."""
        plain = isinstance(self.design, np.ndarray)
        for fold, own in enumerate(self.folds or [None]):
            n_rows = self.design.shape[0] if own is None else len(own)
            for place in blocks_of(self.design, n_columns, n_rows):
                rows = place if own is None else own[place]
                yield fold, rows, rows_of(self.design, rows) if plain else self.design[rows]

    def _direction(self, theta: Array, targets: Targets) -> Array:
        """Newton directions (F, M, C - 1, d + 1) of all logits."""
        n_folds, n_problems, n_free, width = theta.shape
        shape, basis = (n_folds, n_problems, n_free + 1, width), sum_zero_basis(n_free + 1)
        gradient = np.zeros(shape)
        curvature = make_curvature(shape, self.folds is not None, self.design, self.exact)
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

    def _largest_change(self, direction: Array) -> Array:
        """How far (F, M) a whole step would move two scores of a fold's own row apart."""
        n_folds, n_problems, n_free, _ = direction.shape
        weights, largest = sum_zero_basis(n_free + 1) @ direction, np.zeros((n_folds, n_problems))
        for fold, _, Z in self._blocks(n_problems * (n_free + 1)):
            change = scores_of(Z, weights[fold])
            spread = (change.max(axis=1) - change.min(axis=1)).max(axis=1, initial=0.0)
            largest[fold] = np.maximum(largest[fold], spread)
        return largest
