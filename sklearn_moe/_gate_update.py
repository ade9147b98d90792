"""EM of the gate alone, on new rows, while the experts stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._numeric import Array, normalize, weighted_mean
from ._routing import log_gate_of, route
from .gates._resolve import next_gate


@dataclass(frozen=True)
class RowsToDivide:
    """Checked rows with the log densities (n, K) of their targets by all experts, and weights.

    `top_k` experts act on each, and a `shared` one, the last.
    """

    X: Any
    log_prob: Array
    weight: Array
    top_k: int | None
    shared: bool

    def best_gate(self, gate: Any, max_iter: int, tol: float) -> Any:
        """The gate, among those of all iterations, under which the targets are most likely.

        EM ends when a step gains less than `tol`, or after `max_iter` steps.
        """
        best, reached, highest = gate, -np.inf, -np.inf
        for n_updates in range(max_iter + 1):
            log_gate = log_gate_of(gate, self.X)
            resp, log_evidence = normalize(log_gate + self.log_prob)
            before, reached = reached, float(weighted_mean(log_evidence, self.weight))
            use = reached if self.top_k is None else self._evidence(log_gate)
            if use > highest:
                best, highest = gate, use
            if reached - before < tol or n_updates == max_iter or self.log_prob.shape[1] == 1:
                break
            gate = next_gate(gate, self.X, resp * self.weight[:, None])
        return best

    def _evidence(self, log_gate: Array) -> float:
        """Mean log density of the mixture in which only some experts act."""
        routing = route(log_gate, self.top_k, self.shared)
        acting = routing.log_gate + routing.slots.gather(self.log_prob, by_row=True)
        return float(weighted_mean(normalize(acting)[1], self.weight))
