"""The gate of a fit: one for each fold while EM runs, one for all rows at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import config_context

from ._experts import Data
from ._folds import Splits
from ._numeric import Array
from ._plans import Plan
from ._routing import clamped
from ._softmax_bank import SoftmaxBank
from ._templates import seeded_clone
from ._validation import last_step, take_params, take_rows
from .gates import SoftmaxGate
from .gates._pipeline import check_gate, plan_gate
from .gates._resolve import fit_gate, keeping, log_proba_of
from .gates._table import GateTable


def make_gate_bank(
    template: Any,
    data: Data,
    splits: Splits | None,
    seed: int,
    params: dict,
    n_experts: int,
) -> GateBank | SoftmaxBank:
    """The bank for clones of a gate template; the default gate's knows how to do all folds."""
    gate = seeded_clone(template, seed)
    check_gate(gate)
    whole = splits is None or splits.leave_out
    if type(gate) is SoftmaxGate and whole:
        return SoftmaxBank(gate, data, splits)
    return GateBank(gate, data, splits, params, n_experts)


class GateBank:
    """Fits clones of any gate to responsibilities, in or out of fold. A state is a list of them.

    `members` are the positions of the experts that are left of `n_experts`. A gate starts at that
    of its own fold in the iteration before, which has seen the same rows.
    """

    def __init__(
        self,
        gate: Any,
        data: Data,
        splits: Splits | None,
        params: dict,
        n_experts: int,
    ) -> None:
        self.template, self.data, self.splits, self.params = gate, data, splits, params
        self.n_experts = n_experts
        self.table = GateTable(data.X, data.sample_weight)
        self.plan = plan_gate(gate)

    def bold(self) -> GateBank:
        """The same: what steps these gates take is their own affair."""
        return self

    def fit_predict(
        self, expert_weights: Array, previous: Any, members: tuple[int, ...] | None = None
    ) -> Plan[tuple[list[Any], Array]]:
        """Gates (one per fold, or one) and log gate probabilities (n, K), out of fold if split."""
        pairs: list[Any] = [(None, None)] if self.splits is None else list(self.splits)
        template, starts = self._template(members), previous or [None] * len(pairs)
        jobs = [
            (self._fit_predict_fold, (template, expert_weights, start, *pair))
            for start, pair in zip(starts, pairs, strict=True)
        ]
        done = yield jobs
        log_gate = np.empty(expert_weights.shape)
        for (_, test), (_, predicted) in zip(pairs, done, strict=True):
            log_gate[slice(None) if test is None else test] = predicted
        return [gate for gate, _ in done], log_gate

    def finish(
        self,
        gates: list[Any],
        expert_weights: Array,
        members: tuple[int, ...] | None = None,
        brief: bool = False,
    ) -> Any:
        """The gate of all rows; it starts at the first fold's, so as to find the same solution.

        A few steps from there will do, if the gate is to be `brief`.
        """
        if self.splits is None:
            return gates[0]
        return self._fit(self._template(members), expert_weights, gates[0], brief)

    def penalty(self, gates: list[Any]) -> float:
        """What the in-sample gate's own objective subtracts; a pipeline is asked at its end."""
        return last_step(gates[0]).penalty()

    def _template(self, members: tuple[int, ...] | None) -> Any:
        """The template for the experts that are left."""
        return self.template if members is None else keeping(self.template, members, self.n_experts)

    def _fit(
        self, template: Any, expert_weights: Array, start: Any, brief: bool, train: Any = None
    ) -> Any:
        """The gate fitted to the rows `train` (all, if None)."""
        params = take_params(self.params, self.data.n_samples, train)
        weights = take_rows(expert_weights, train)
        table = self._part(train)
        # While EM runs experts are trusted to have valid parameters; those within a gate are not.
        with config_context(skip_parameter_validation=False):
            return fit_gate(template, table, weights, start, brief, params, self.plan)

    def _fit_predict_fold(
        self, template: Any, expert_weights: Array, start: Any, train: Any, test: Any
    ) -> Any:
        gate = self._fit(template, expert_weights, start, True, train)
        return gate, clamped(log_proba_of(gate, self._part(test)), gate)

    def _part(self, rows: Any) -> GateTable:
        """The table of some rows (all, if None)."""
        return self.table if rows is None else self.table.take(rows)
