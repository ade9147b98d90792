"""All logits in one pass, where rows are so few that calls cost more than numbers.

The products of every two columns are made once for a table: one product with them gives the Gram
matrices of all folds and pairs of experts. Each logit is evaluated on all rows, and the values of
rows that it must not see are set to zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._grams import products_of_pairs, symmetric
from .._numeric import Array
from ._basis import sum_zero_basis
from ._curvature import GramCurvature
from ._folds import FoldedLogits, Targets
from ._hessians import expert_pairs
from ._products import whole
from ._scores import Absent, class_changes, class_weights, softmax_columns

# Elements that a step holds at once, about: 4 MB.
MOST_ELEMENTS = 2**19


def folded_logits(
    design: Any,
    folds: Sequence[Any] | None,
    ridge: Array,
    exact: bool = False,
    n_distinct: int | None = None,
    absent: Absent = None,
) -> FoldedLogits:
    """The logits for a design (n, d), all in one pass if it is small."""
    n_samples, width = design.shape[0], design.shape[1] + 1
    small = n_samples * width * (width + 1) // 2 <= MOST_ELEMENTS
    kind = FewRows if small and not sp.issparse(design) else FoldedLogits
    return kind(design, folds, ridge, exact, n_distinct, absent)


@dataclass(frozen=True)
class FewRows(FoldedLogits):
    """Logits over a dense design of few rows."""

    def __getstate__(self) -> dict[str, Any]:
        """Only the fields: to make the rest again is faster than to send it to a worker."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def table(self) -> Array:
        """The rows (n, d + 1), each with a one."""
        return np.column_stack([whole(self.design[:]), np.ones(self.design.shape[0])])

    @cached_property
    def products(self) -> Array:
        """Products ((d + 1) (d + 2) / 2, n) of every two columns."""
        return products_of_pairs(np.ascontiguousarray(self.table.T))

    @cached_property
    def own(self) -> Array:
        """One (F, n) for the rows of a fold, zero for others; one for all if there are no folds."""
        folds = self.folds or [slice(None)]
        own = np.zeros((len(folds), len(self.table)))
        for mask, rows in zip(own, folds, strict=True):
            mask[rows] = 1.0
        return own

    @cached_property
    def others(self) -> Array:
        """One (F, n) for the rows that a fold's logits learn from."""
        return self.own if self.folds is None else 1.0 - self.own

    def log_proba(self, theta: Array) -> Array:
        """Log probabilities (M, C, n) that each fold's logits give to its own rows."""
        if not self._is_small(theta.shape):
            return super().log_proba(theta)
        weights = class_weights(theta, self.absent)
        scores, _, log_sum = softmax_columns(self._own_scores(weights))
        scores -= log_sum[:, None]
        return scores

    def _is_small(self, shape: tuple[int, ...]) -> bool:
        """Whether coefficients of this shape (F, M, C - 1, d + 1) are handled in one pass.

        If so, directions are the same as by passes over the folds.
        """
        n_folds, n_problems, n_free, width = shape
        parts = n_free + 1, n_free * (n_free + 1) // 2
        columns = n_folds * n_problems * sum(parts) + width * (width + 1) // 2
        shape = n_folds, n_problems, n_free + 1, width
        small = self.design.shape[0] * columns <= MOST_ELEMENTS
        return small and self._is_sharp(shape)

    def _scores(self, weights: Array) -> Array:
        """Scores (F, M, C, n) of all rows under all weights (F, M, C, d + 1)."""
        scores = weights.reshape(-1, weights.shape[-1]) @ self.table.T
        return scores.reshape(*weights.shape[:-1], -1)

    def _own_scores(self, weights: Array) -> Array:
        """Scores (M, C, n) of all rows, each under the weights of its own fold."""
        return np.einsum("fn,fmcn->mcn", self.own, self._scores(weights))

    def _direction(self, theta: Array, targets: Targets) -> tuple[Array, Array]:
        if not self._is_small(theta.shape):
            return super()._direction(theta, targets)
        n_learners = max(len(theta) - 1, 1)
        target, total = targets(slice(None))
        weights, others = class_weights(theta, self.absent), self.others[:, None, None]
        scores, proba, log_sum = softmax_columns(self._scores(weights))
        value = self._penalty(theta) + self._losses(target, total, scores, log_sum)
        proba *= others
        curvature = GramCurvature(weights.shape, left_out=self.folds is not None)
        curvature.grams = self._own_grams(proba.sum(axis=0) / n_learners, total)
        proba *= total[:, None]
        proba -= target * others
        sums = proba.reshape(-1, len(self.table)) @ self.table
        gradient = sum_zero_basis(weights.shape[2]).T @ sums.reshape(weights.shape)
        gradient += self.ridge[:, :, None, :] * theta
        return -curvature.solve(gradient, self.ridge), value

    def _own_grams(self, proba: Array, total: Array) -> Array:
        """Gram matrices (F, M, pairs, d + 1, d + 1) of each fold's own rows.

        `proba` (M, C, n) are the probabilities of each row, `total` (M, n) their weights.
        """
        first, second = expert_pairs(proba.shape[1])
        weights = self.own[:, None, None] * (proba[:, first] * proba[:, second] * total[:, None])
        return symmetric(weights @ self.products.T, self.table.shape[1])

    def _largest_change(self, direction: Array) -> Array:
        if not self._is_small(direction.shape):
            return super()._largest_change(direction)
        change = self._own_scores(class_changes(direction, self.absent))
        spread = change.max(axis=1) - change.min(axis=1)
        return (self.own[:, None] * spread).max(axis=-1, initial=0.0)
