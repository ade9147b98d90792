"""Many logits over the same rows, each left out of a fold, move together.

One pass over the rows gives the gradient of every fold's logit on the rows outside its fold and, by
the probabilities that each row was given out of fold, the curvature. A step is damped as much as
makes a descent certain for the exact Newton direction (Bach, 2010; Sun and Tran-Dinh, 2019), so
nothing is searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._numeric import BLOCK_ELEMENTS, Array, rows_of
from ._curvature import make_curvature
from ._problem import design_sums, scores_of, softmax_columns, sum_zero_basis

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
    folds: list[Any] | None
    ridge: Array
    exact: bool = False

    def step(self, theta: Array, targets: Targets) -> tuple[Array, Array, Array]:
        """One damped Newton step from `theta`.

        Returns the coefficients, the log probabilities (M, C, n) that they give out of fold, and
        how far the step has moved any score, (F, M).
        """
        return self._move(theta, self._direction(theta, targets))

    def _blocks(self, n_columns: int) -> Iterator[tuple[int, slice, Any, Any]]:
        """Fold, place, rows and design of blocks that stay in a core's cache, each of one fold.

        The place is that among all rows, those of the first fold first.
        """
        n_samples, width = self.design.shape
        size = max(64, BLOCK_ELEMENTS // max(width, n_columns))
        if sp.issparse(self.design):
            size = n_samples
        plain = isinstance(self.design, np.ndarray)
        for fold, (start, stop) in enumerate(self._places()):
            for first in range(start, stop, size):
                place = slice(first, min(first + size, stop))
                rows = place
                if self.folds is not None:
                    rows = self.folds[fold][first - start : place.stop - start]
                yield fold, place, rows, rows_of(self.design, rows) if plain else self.design[rows]

    def _places(self) -> list[tuple[int, int]]:
        """Where each fold begins and ends, if the rows of the first fold come first."""
        sizes = [self.design.shape[0]] if self.folds is None else [len(f) for f in self.folds]
        ends = np.cumsum([0, *sizes]).tolist()
        return list(pairwise(ends))

    def _direction(self, theta: Array, targets: Targets) -> Array:
        """Newton directions (F, M, C - 1, d + 1) of all logits."""
        n_folds, n_problems, n_free, width = theta.shape
        shape, basis = (n_folds, n_problems, n_free + 1, width), sum_zero_basis(n_free + 1)
        gradient = np.zeros(shape)
        curvature = make_curvature(shape, self.folds is not None, self.design, self.exact)
        for fold, _, rows, Z in self._blocks(n_folds * n_problems * (n_free + 1)):
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
        for fold, place, _, Z in self._blocks(2 * n_problems * (n_free + 1)):
            block = scores_of(Z, weights[fold])
            scores[..., place] = block
            spread = (block[1].max(axis=1) - block[1].min(axis=1)).max(axis=1, initial=0.0)
            largest[fold] = np.maximum(largest[fold], spread)
        size = np.where(largest > 0, np.log1p(largest) / np.maximum(largest, 1e-300), 1.0)
        log_proba, change = scores
        for fold, (start, stop) in enumerate(self._places()):
            change[..., start:stop] *= size[fold][:, None, None]
        log_proba += change
        log_proba -= log_proba.max(axis=1, keepdims=True)
        log_proba -= np.log(np.exp(log_proba, out=change).sum(axis=1, keepdims=True))
        return theta + size[..., None, None] * direction, self._in_order(log_proba), largest

    def _in_order(self, values: Array) -> Array:
        """Values (..., n) in the order of the rows, from that of the folds."""
        if self.folds is None:
            return values
        ordered = np.empty_like(values)
        ordered[..., np.concatenate(self.folds)] = values
        return ordered
