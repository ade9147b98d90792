"""Many logits over the same rows, each left out of a fold, move together.

One pass over the rows gives the gradient of every fold's logit on the rows outside its fold and, by
the mean probabilities under the logits that learn from a row, the curvature. A step is damped just
so much that descent is certain for the exact Newton direction (Bach, 2010; Sun and Tran-Dinh,
2019), so there is no line search. A logit that sees all rows first tries the whole step: its
objective is known as soon as its probabilities are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array
from ._basis import sum_zero_basis
from ._curvature import Shape, is_sharp, learners_of, make_curvature
from ._products import (
    design_sums,
    fold_blocks,
    numbers_of,
    scores_of,
    sums_of_rows,
    weights_of_numbers,
)
from ._scores import Absent, among_present, class_changes, class_weights, softmax_columns

# The first steps of a logit end when one changes no score by more than this.
SETTLED = 1e-2
# A step that is no descent is shortened by this factor, until descent is certain.
SHORTER = 4.0
# The part of an objective that may be rounding.
ROUNDING = 1e-12

# Targets (M, C, B) and their sums (M, B) for some rows.
Targets = Callable[[Any], tuple[Array, Array]]


@dataclass(frozen=True)
class FoldedLogits:
    """M logits for each fold over the rows of `design` (n, d), which may be sparse.

    `folds` are the rows that each fold leaves out; None stands for one logit that sees all rows.
    Coefficients `theta` (F, M, C - 1, d + 1) and penalties `ridge` (F, M, d + 1), or (F, 1, d + 1)
    for any M, are in the basis of `SoftLogit`. If the steps are to lead to an `exact` solution,
    they use sharper curvature. `n_distinct` rows are no copies; None for all. Classes that are
    `absent` (F, M, C) from the targets of a logit have no probability under it.
    """

    design: Any
    folds: Sequence[Any] | None
    ridge: Array
    exact: bool = False
    n_distinct: int | None = None
    absent: Absent = None

    def take(self, some: NDArray[np.bool_]) -> Self:
        """Some of the M logits, whose penalties differ."""
        absent = None if self.absent is None else self.absent[:, some]
        return replace(self, ridge=self.ridge[:, some], absent=absent)

    def step(self, theta: Array, targets: Targets) -> tuple[Array, Array]:
        """One damped Newton step from `theta`: coefficients, and how far (F, M) any score moves."""
        direction = among_present(self._direction(theta, targets)[0], self.absent)
        largest = self._largest_change(direction)
        return theta + damped_size(largest)[..., None, None] * direction, largest

    def whole_step(self, theta: Array, targets: Targets) -> tuple[Array, Array, float]:
        """One Newton step of logits that see all rows, shorter where a whole one is no descent.

        Returns coefficients, log probabilities (M, C, n), and the largest decrease of an objective,
        in nats per unit of weight.
        """
        direction, before = self._direction(theta, targets)
        direction = among_present(direction, self.absent)
        target, total = targets(slice(None))
        size, least = np.ones_like(before), np.zeros_like(before)
        while True:
            moved = theta + size[:, None, None] * direction
            log_proba = self.log_proba(moved)
            after = self._penalty(moved) - np.einsum("mcn,mcn->m", target, log_proba)
            worse = ~(after <= before + ROUNDING * np.abs(before)) & (size > least)
            if not worse.any():
                mass = total.sum(axis=-1)
                gain = (before - after)[mass > 0] / mass[mass > 0]
                return moved, log_proba, float(gain.max(initial=0.0))
            del log_proba  # as large as the targets
            if not least.any():
                least = damped_size(self._largest_change(direction)[0])
            size = np.where(worse, np.maximum(size / SHORTER, least), size)

    def log_proba(self, theta: Array) -> Array:
        """Log probabilities (M, C, n) that each fold's logits give to its own rows."""
        n_problems, n_free = theta.shape[1:3]
        weights = self._weights(theta)
        log_proba = np.empty((n_problems, n_free + 1, self.design.shape[0]))
        for fold, rows, Z in self._blocks(n_problems * (n_free + 1)):
            scores, _, log_sum = softmax_columns(scores_of(numbers_of(Z), weights[fold]))
            scores -= log_sum[:, None]
            log_proba[..., rows] = scores
        return log_proba

    def _blocks(self, n_columns: int) -> Iterator[tuple[int, Any, Any]]:
        """Fold, rows and design of blocks that stay in a core's cache, each of one fold."""
        return fold_blocks(self.design, self.folds, n_columns)

    def _direction(self, theta: Array, targets: Targets) -> tuple[Array, Array]:
        """Newton directions (F, M, C - 1, d + 1) of all logits.

        Also the objectives (M,) if logits see all rows; those left out of folds do not need them.
        """
        n_folds, n_problems, n_free, width = theta.shape
        shape = n_folds, n_problems, n_free + 1, width
        value, gradient, weights = self._penalty(theta), np.zeros(shape), self._weights(theta)
        left_out, sharp = self.folds is not None, self._is_sharp(shape)
        curvature = make_curvature(shape, left_out, self.design, sharp)
        learners = learners_of(n_folds, left_out)
        for fold, rows, Z in self._blocks(n_folds * n_problems * (n_free + 1)):
            target, total = targets(rows)
            numbers = numbers_of(Z)
            scores, proba, log_sum = softmax_columns(scores_of(numbers, weights[learners[fold]]))
            value += self._losses(target, total, scores, log_sum)
            # The mean over the logits that learn from the rows: they differ little, and by Jensen's
            # inequality the curvature of the mean is the larger.
            curvature.add(fold, rows, Z, proba.mean(axis=0), total)
            proba *= total[:, None, :]
            proba -= target
            gradient[learners[fold]] += design_sums(numbers, proba)
        gradient = sum_zero_basis(n_free + 1).T @ sums_of_rows(self.design, gradient)
        gradient += self.ridge[:, :, None, :] * theta
        return -curvature.solve(gradient, self.ridge), value

    def _losses(self, target: Array, total: Array, scores: Array, log_sum: Array) -> Any:
        """Cross-entropies (M,) of some rows if logits see all; zero if they are left out."""
        if self.folds is not None:
            return 0.0
        of_sums = np.einsum("mb,mb->m", total, log_sum[0])
        return of_sums - np.einsum("mcb,mcb->m", target, scores[0])

    def _is_sharp(self, shape: Shape) -> bool:
        """Whether directions for coefficients of `shape` (F, M, C, d + 1) are Newton's own."""
        return is_sharp(shape, self.n_distinct or self.design.shape[0], self.exact)

    def _penalty(self, theta: Array) -> Array:
        """Penalty (M,) on the coefficients of each problem, summed over folds."""
        return np.asarray(0.5 * (self.ridge[:, :, None, :] * theta**2).sum(axis=(0, 2, 3)))

    def _weights(self, theta: Array) -> Array:
        """Weights (F, M, C, d + 1) of the numbers of each row under coefficients."""
        return weights_of_numbers(self.design, class_weights(theta, self.absent))

    def _largest_change(self, direction: Array) -> Array:
        """How far (F, M), at most, a whole step moves two scores of a row of the fold apart."""
        n_folds, n_problems, n_free, _ = direction.shape
        weights = weights_of_numbers(self.design, class_changes(direction, self.absent))
        largest = np.zeros((n_folds, n_problems))
        for fold, _, Z in self._blocks(n_problems * (n_free + 1)):
            change = scores_of(numbers_of(Z), weights[fold])
            spread = (change.max(axis=1) - change.min(axis=1)).max(axis=1, initial=0.0)
            largest[fold] = np.maximum(largest[fold], spread)
        return largest


def damped_size(largest: Array) -> Array:
    """The part (F, M) of directions that is surely a descent if they move scores by `largest`."""
    return np.where(largest > 0, np.log1p(largest) / np.maximum(largest, 1e-300), 1.0)
