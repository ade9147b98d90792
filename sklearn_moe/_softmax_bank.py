"""The default gate of a fit: the gates of all folds at once, one Newton step for each EM iteration.

EM needs an ascent, not the best gate for responsibilities that will change. While starts race,
steps are cautious: a gate that is sure of its regions too early keeps experts from better ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._data import Data
from ._design import TabularEncoder
from ._folds import Splits
from ._numeric import Array, columns_of
from ._plans import Plan, do
from .gates import ConstantGate, SoftmaxGate
from .logit import SETTLED, SoftLogit, Targets, folded_logits, solve

# Steps of a first gate, for few experts and for many: these would be held fast by a gate that makes
# the most of crude first responsibilities. From the gate of the last iteration, one step will do.
FIRST_STEPS, FEW, FIRST_OF_MANY = 30, 10, 10
# A whole step that lowers the objective by no more than this, in nats per unit of weight, is the
# last.
LEVEL = 1e-8


class SoftmaxBank:
    """All gates of a fit whose gate is a `SoftmaxGate`, over folds that leave their rows out.

    A state (F, K - 1, d + 1) holds the coefficients of each fold's gate; without folds there is one
    gate, which sees all rows. That one takes whole steps if the bank `is_whole`.
    """

    is_whole = False

    def __init__(self, gate: SoftmaxGate, data: Data, splits: Splits | None) -> None:
        self.template, self.data = gate, data
        folds = None if splits is None else splits.tests
        self.n_folds, self.left_out = len(folds or [None]), folds is not None
        self.encoder = TabularEncoder().fit(data.X, sample_weight=data.sample_weight)
        design = self.encoder.by_block(data.X)
        ridge = np.full((self.n_folds, 1, design.shape[1] + 1), float(gate.alpha))
        ridge[..., -1] = 0.0
        self.logits = folded_logits(design, folds, ridge, n_distinct=len(data.distinct))

    def fit_predict(
        self,
        expert_weights: Array,
        previous: Array | None,
        members: tuple[int, ...] | None = None,
    ) -> Plan[tuple[Array, Array]]:
        """State after a step from `previous`, and log gate probabilities (n, K) out of fold."""
        return do(GateStep(self, expert_weights, previous))

    def takes_whole_steps(self, previous: Array | None) -> bool:
        """Whether steps from a state are whole: without folds, if first or of a whole bank."""
        return not self.left_out and (self.is_whole or previous is None)

    def steps(
        self, expert_weights: Sequence[Array], previous: Sequence[Array] | None
    ) -> list[tuple[Array, Array]]:
        """The results of `fit_predict` for several runs of EM at once, all with as many experts.

        For each run there are weights (n, K) and, after its first iteration, a state (F, K - 1, d +
        1).
        """
        n_experts, n_steps = expert_weights[0].shape[1], 1
        if n_experts == 1:
            nothing = np.zeros((self.n_folds, 0, 0))
            return [(nothing, np.zeros(weights.shape)) for weights in expert_weights]
        if previous is None:
            width = self.logits.design.shape[1] + 1
            theta = np.zeros((self.n_folds, len(expert_weights), n_experts - 1, width))
            n_steps = FIRST_STEPS if n_experts <= FEW else FIRST_OF_MANY
        else:
            theta = np.stack(previous, axis=1)
        is_whole = self.takes_whole_steps(None if previous is None else previous[0])
        take_steps = self._whole_steps if is_whole else self._damped_steps
        theta, log_proba = take_steps(theta, targets_of(expert_weights), n_steps)
        return [(theta[:, run], log_proba[run].T) for run in range(len(expert_weights))]

    def with_whole_steps(self) -> SoftmaxBank:
        """A bank that takes whole steps, for a run whose start is chosen."""
        other = copy(self)
        other.is_whole = True
        return other

    def _damped_steps(self, theta: Array, targets: Targets, n_steps: int) -> tuple[Array, Array]:
        moves = np.ones(theta.shape[1], dtype=bool)
        for _ in range(n_steps):
            after, moved = self.logits.step(theta, targets)
            theta = np.where(moves[:, None, None], after, theta)
            moves &= moved.max(axis=0) >= SETTLED
            if not moves.any():
                break
        return theta, self.logits.log_proba(theta)

    def _whole_steps(self, theta: Array, targets: Targets, n_steps: int) -> tuple[Array, Array]:
        for _ in range(n_steps):
            theta, log_proba, gain = self.logits.whole_step(theta, targets)
            if gain <= LEVEL:
                break
        return theta, log_proba

    def finish(
        self,
        theta: Array,
        expert_weights: Array,
        members: tuple[int, ...] | None = None,
        brief: bool = False,
    ) -> Any:
        """The gate of all rows: the one there is or, if there were folds, the exact one.

        A `brief` one is the mean of the gates of the folds, each of which has left out other rows.
        """
        if expert_weights.shape[1] == 1:
            return ConstantGate().fit(self.data.X, expert_weights)
        final, n_iter = theta.mean(axis=0), 1
        if self.left_out and not brief:
            problem = SoftLogit(self.logits.design, expert_weights, float(self.template.alpha))
            final, n_iter = solve(problem, final, self.template.max_iter, self.template.tol)
        return SoftmaxGate(**self.template.get_params()).set_solution(self.encoder, final, n_iter)

    def penalty(self, theta: Array) -> float:
        """What the objective of the in-sample gate subtracts."""
        return 0.5 * self.template.alpha * float((theta[0, :, :-1] ** 2).sum())


@dataclass(frozen=True, eq=False)
class GateStep:
    """A job: the gates of a bank, one step further.

    Jobs of runs with as many experts are done as one, if their steps are damped.
    """

    bank: SoftmaxBank
    expert_weights: Array
    previous: Array | None

    def __call__(self) -> tuple[Array, Array]:
        return self.results_with([])[0]

    @property
    def kind(self) -> Hashable:
        """A key that is equal for jobs that can be done at once; None if this one cannot."""
        if self.bank.takes_whole_steps(self.previous):
            return None
        return GateStep, id(self.bank), self.expert_weights.shape, self.previous is None

    def results_with(self, others: Sequence[GateStep]) -> Sequence[Any]:
        """States and log gate probabilities of the job and of others of its kind."""
        jobs = [self, *others]
        previous = [job.previous for job in jobs if job.previous is not None]
        return self.bank.steps([job.expert_weights for job in jobs], previous or None)


def targets_of(expert_weights: Sequence[Array]) -> Targets:
    """The weights (n, K) of several runs as targets (M, K, B) of some rows, and their sums."""
    columns = [np.ascontiguousarray(weights.T) for weights in expert_weights]
    table = columns[0] if len(columns) == 1 else np.concatenate(columns)

    def targets(rows: Any) -> tuple[Array, Array]:
        target = columns_of(table, rows)
        target = target.reshape(len(columns), -1, target.shape[1])
        return target, target.sum(axis=1)

    return targets
