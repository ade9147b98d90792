"""The default gate of a fit: the gates of all folds at once, one Newton step for each EM iteration.

One pass over the rows gives the gradient of every fold's gate on the rows outside its fold and, by
the probabilities that each row was given out of fold, the curvature. EM needs an ascent, not the
best gate for responsibilities that will change: the step is damped as much as makes an ascent
certain for the exact Newton direction (Bach, 2010; Sun and Tran-Dinh, 2019), without a search.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from ._experts import Data
from ._folds import Splits
from ._numeric import BLOCK_ELEMENTS, Array, log_softmax
from ._parallel import Workers
from .gates import ConstantGate, SoftmaxGate
from .gates._curvature import GramCurvature, ProductCurvature, prefers_grams
from .gates._newton import (
    SoftLogit,
    design_sums,
    scores_of,
    softmax_columns,
    solve,
    sum_zero_basis,
)

# Steps of the first M-step: every fold starts from the gate of all rows and goes its own way.
FIRST_STEPS = 3


class SoftmaxBank:
    """All gates of a fit whose gate is a `SoftmaxGate`, over folds that leave their rows out.

    A state `theta` (F, K - 1, d + 1) holds the coefficients of each fold's gate; without folds
    there is one, which sees all rows.
    """

    def __init__(self, gate: SoftmaxGate, data: Data, splits: Splits | None) -> None:
        self.template, self.data = gate, data
        self.left_out = splits is not None
        self.folds: list[Any] = [slice(None)] if splits is None else [test for _, test in splits]
        self.encoder = gate.make_encoder(data.X, data.sample_weight)
        self.design = self.encoder.transform(data.X)

    def fit_predict(
        self, expert_weights: Array, previous: Array | None, workers: Workers
    ) -> tuple[Array, Array]:
        """State after a step from `previous`, and log gate probabilities (n, K) out of fold."""
        if expert_weights.shape[1] == 1:
            return np.zeros((len(self.folds), 0, 0)), np.zeros(expert_weights.shape)
        theta, n_steps = previous, 1
        if theta is None:
            theta = np.repeat(self._solve(expert_weights, None)[0][None], len(self.folds), axis=0)
            n_steps = FIRST_STEPS if self.left_out else 1
        for _ in range(n_steps):
            theta, log_gate = self._move(theta, self._direction(theta, expert_weights))
        return theta, log_gate

    def finish(self, theta: Array, expert_weights: Array) -> Any:
        """The gate of all rows: the one there is, or the exact one where there were folds."""
        if expert_weights.shape[1] == 1:
            return ConstantGate().fit(self.data.X, expert_weights)
        final, n_iter = theta[0], 1
        if self.left_out:
            final, n_iter = self._solve(expert_weights, theta.mean(axis=0))
        return SoftmaxGate(**self.template.get_params()).set_solution(self.encoder, final, n_iter)

    def penalty(self, theta: Array) -> float:
        """What the objective of the in-sample gate subtracts."""
        return 0.5 * self.template.alpha * float((theta[0, :, :-1] ** 2).sum())

    def _solve(self, expert_weights: Array, start: Array | None) -> tuple[Array, int]:
        problem = SoftLogit(self.design, expert_weights, float(self.template.alpha))
        return solve(problem, start, self.template.max_iter, self.template.tol)

    def _blocks(self, n_columns: int) -> Iterator[tuple[int, Any, Any]]:
        """Fold, rows and design of blocks that stay in a core's cache; each is of one fold."""
        n_samples, width = self.design.shape
        size = max(64, BLOCK_ELEMENTS // max(width, n_columns))
        if sp.issparse(self.design):
            size = n_samples
        for fold, rows in enumerate(self.folds):
            for first in range(0, len(rows) if self.left_out else n_samples, size):
                piece = slice(first, first + size)
                piece = rows[piece] if self.left_out else piece
                yield fold, piece, self.design[piece]

    def _direction(self, theta: Array, expert_weights: Array) -> Array:
        """Newton directions (F, K - 1, d + 1) of all gates."""
        n_folds, n_free, width = theta.shape
        shape, basis = (n_folds, n_free + 1, width), sum_zero_basis(n_free + 1)
        gradient = np.zeros(shape)
        curvature: GramCurvature | ProductCurvature
        if prefers_grams(*shape):
            curvature = GramCurvature(shape, self.left_out)
        else:
            curvature = ProductCurvature(shape, self.left_out, self.design)
        for fold, rows, Z in self._blocks(n_folds * (n_free + 1)):
            target = expert_weights[rows].T
            total = target.sum(axis=0)
            proba = softmax_columns(scores_of(Z, basis @ theta))[1]
            curvature.add(fold, rows, Z, proba[fold], total)
            proba *= total
            proba -= target
            if self.left_out:
                proba[fold] = 0.0  # a fold's own rows teach its gate nothing
            gradient += design_sums(Z, proba)
        alpha = float(self.template.alpha)
        gradient = basis.T @ gradient
        gradient[..., :-1] += alpha * theta[..., :-1]
        return -curvature.solve(gradient, alpha)

    def _move(self, theta: Array, direction: Array) -> tuple[Array, Array]:
        """The state after a damped step, and the log probabilities (n, K) it gives out of fold."""
        n_experts = theta.shape[1] + 1
        basis = sum_zero_basis(n_experts)
        weights = np.concatenate([basis @ theta, basis @ direction], axis=1)
        scores = np.empty((2, n_experts, self.data.n_samples))
        largest = np.zeros(len(theta))
        for fold, rows, Z in self._blocks(2 * n_experts):
            block = scores_of(Z, weights[fold]).reshape(2, n_experts, -1)
            scores[:, :, rows] = block
            spread = block[1].max(axis=0) - block[1].min(axis=0)
            largest[fold] = max(largest[fold], spread.max(initial=0.0))
        size = np.where(largest > 0, np.log1p(largest) / np.maximum(largest, 1e-300), 1.0)
        for fold, rows in enumerate(self.folds):
            scores[0][:, rows] += size[fold] * scores[1][:, rows]
        return theta + size[:, None, None] * direction, log_softmax(scores[0].T)
