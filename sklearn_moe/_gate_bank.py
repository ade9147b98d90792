"""The gate of a fit: one for each fold while EM runs, one for all rows at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from ._experts import Data
from ._folds import Splits
from ._numeric import Array
from ._plans import Plan
from ._softmax_bank import SoftmaxBank
from ._templates import seeded_clone
from ._validation import take_params, take_rows
from ._weighting import gate_with_weighted_steps
from .gates import ConstantGate, SoftmaxGate


def make_gate_bank(
    template: Any, data: Data, splits: Splits | None, seed: int, params: dict
) -> GateBank | SoftmaxBank:
    """The bank for clones of a gate template; the default gate's knows how to do all folds."""
    gate = seeded_clone(template, seed)
    gate._validate_params()
    whole = splits is None or splits.leave_out
    if type(gate) is SoftmaxGate and whole:
        return SoftmaxBank(gate, data, splits)
    return GateBank(gate, data, splits, params)


class GateBank:
    """Fits clones of any gate to responsibilities, in or out of fold. A state is a list of them."""

    def __init__(self, gate: Any, data: Data, splits: Splits | None, params: dict) -> None:
        self.template, self.data, self.splits, self.params = gate, data, splits, params

    def fit_predict(self, expert_weights: Array, previous: Any) -> Plan[tuple[list[Any], Array]]:
        """Gates (one per fold, or one) and log gate probabilities (n, K), out of fold if split."""
        pairs = [(None, None)] if self.splits is None else self.splits
        done = yield [(self._fit_predict_fold, (expert_weights, *pair)) for pair in pairs]
        log_gate = np.empty(expert_weights.shape)
        for (_, test), (_, predicted) in zip(pairs, done, strict=True):
            log_gate[slice(None) if test is None else test] = predicted
        return [gate for gate, _ in done], log_gate

    def finish(self, gates: list[Any], expert_weights: Array) -> Any:
        """The gate of all rows."""
        return gates[0] if self.splits is None else self._fit(expert_weights)

    def penalty(self, gates: list[Any]) -> float:
        """What the in-sample gate's own objective subtracts; a pipeline is asked at its end."""
        gate = gates[0]
        return (gate.steps[-1][1] if isinstance(gate, Pipeline) else gate).penalty()

    def _fit(self, expert_weights: Array, train: Any = None) -> Any:
        """The gate fitted to the rows `train` (all, if None)."""
        X, weights = take_rows(self.data.X, train), take_rows(expert_weights, train)
        if expert_weights.shape[1] == 1:
            return ConstantGate().fit(X, weights)
        gate = clone(self.template)
        params = take_params(self.params, self.data.n_samples, train)
        if isinstance(gate, Pipeline):
            return gate_with_weighted_steps(gate, X, weights, params)
        return gate.fit(X, weights, **params)

    def _fit_predict_fold(self, expert_weights: Array, train: Any, test: Any) -> Any:
        gate = self._fit(expert_weights, train)
        return gate, gate.predict_log_proba(take_rows(self.data.X, test))
