"""The default gate of a fit: the gates of all folds at once, one Newton step for each EM iteration.

EM needs an ascent, not the best gate for responsibilities that will change. While starts race,
steps are cautious: a gate that is sure of its regions early keeps experts from finding better ones.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from ._design import TabularEncoder
from ._experts import Data
from ._folds import Splits
from ._numeric import Array, columns_of
from ._plans import Plan, do
from .gates import ConstantGate, SoftmaxGate
from .logit import SETTLED, SoftLogit, Targets, folded_logits, solve

# Steps from nothing, for few experts and for many, whom a gate that makes the most of crude first
# responsibilities holds fast. From where the last iteration was, one will do.
FIRST_STEPS, FEW, FIRST_OF_MANY = 30, 10, 10


class SoftmaxBank:
    """All gates of a fit whose gate is a `SoftmaxGate`, over folds that leave their rows out.

    A state (F, K - 1, d + 1) holds the coefficients of each fold's gate; without folds there is
    one, which sees all rows. If `is_bold`, that one takes whole steps.
    """

    is_bold = False

    def __init__(self, gate: SoftmaxGate, data: Data, splits: Splits | None) -> None:
        self.template, self.data = gate, data
        folds = None if splits is None else splits.tests
        self.n_folds, self.left_out = len(folds or [None]), folds is not None
        self.encoder = TabularEncoder().fit(data.X, sample_weight=data.sample_weight)
        design = self.encoder.by_block(data.X)
        ridge = np.full((self.n_folds, 1, design.shape[1] + 1), float(gate.alpha))
        ridge[..., -1] = 0.0
        self.logits = folded_logits(design, folds, ridge)

    def fit_predict(
        self,
        expert_weights: Array,
        previous: Array | None,
        members: tuple[int, ...] | None = None,
    ) -> Plan[tuple[Array, Array]]:
        """State after a step from `previous`, and log gate probabilities (n, K) out of fold."""
        return (yield from do(self._step, expert_weights, previous))

    def _step(self, expert_weights: Array, previous: Array | None) -> tuple[Array, Array]:
        if expert_weights.shape[1] == 1:
            return np.zeros((self.n_folds, 0, 0)), np.zeros(expert_weights.shape)
        theta, n_steps = previous, 1
        if theta is None:
            n_experts, width = expert_weights.shape[1], self.logits.design.shape[1] + 1
            theta = np.zeros((self.n_folds, n_experts - 1, width))
            n_steps = FIRST_STEPS if n_experts <= FEW else FIRST_OF_MANY

        columns = np.ascontiguousarray(expert_weights.T)

        def targets(rows: Any) -> tuple[Array, Array]:
            target = columns_of(columns, rows)[None]
            return target, target.sum(axis=1)

        is_whole = not self.left_out and (self.is_bold or previous is None)
        steps = self._whole_steps if is_whole else self._damped_steps
        theta, log_proba = steps(theta[:, None], targets, n_steps)
        return theta[:, 0], log_proba[0].T

    def bold(self) -> SoftmaxBank:
        """The same, for a run whose start is chosen."""
        other = copy(self)
        other.is_bold = True
        return other

    def _damped_steps(self, theta: Array, targets: Targets, n_steps: int) -> tuple[Array, Array]:
        for _ in range(n_steps):
            theta, moved = self.logits.step(theta, targets)
            if moved.max() < SETTLED:
                break
        return theta, self.logits.log_proba(theta)

    def _whole_steps(self, theta: Array, targets: Targets, n_steps: int) -> tuple[Array, Array]:
        for _ in range(n_steps):
            theta, log_proba, is_last = self.logits.whole_step(theta, targets)
            if is_last:
                break
        return theta, log_proba

    def finish(
        self,
        theta: Array,
        expert_weights: Array,
        members: tuple[int, ...] | None = None,
        brief: bool = False,
    ) -> Any:
        """The gate of all rows: the one there is, or the exact one where there were folds.

        A `brief` one is the mean of the folds', each of which has left out other rows.
        """
        if expert_weights.shape[1] == 1:
            return ConstantGate().fit(self.data.X, expert_weights)
        final, n_iter = theta.mean(axis=0), 1
        if self.left_out and not brief:
            final, n_iter = self._solve(expert_weights, final)
        return SoftmaxGate(**self.template.get_params()).set_solution(self.encoder, final, n_iter)

    def penalty(self, theta: Array) -> float:
        """What the objective of the in-sample gate subtracts."""
        return 0.5 * self.template.alpha * float((theta[0, :, :-1] ** 2).sum())

    def _solve(self, expert_weights: Array, start: Array | None) -> tuple[Array, int]:
        problem = SoftLogit(self.logits.design, expert_weights, float(self.template.alpha))
        return solve(problem, start, self.template.max_iter, self.template.tol)
