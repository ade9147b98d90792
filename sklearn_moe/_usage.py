"""How a gate uses its experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import entr

from ._numeric import Array, row_blocks, row_sum
from ._routing import Routing


@dataclass(frozen=True)
class Usage:
    """How often each expert acts, what it weighs, and how sure the gate is; entropies in nats.

    `load` (K,) are the shares of the rows on which an expert acts or, without `top_k`, leads;
    `importance` (K,) are mean gate probabilities. `gate_entropy` is the mean entropy of a row's
    probabilities; `gate_information` is the part of the entropy of `importance` that the features
    remove: log K if each expert has equally many rows for itself, zero if the gate ignores the
    features.
    """

    load: Array
    importance: Array
    gate_entropy: float
    gate_information: float

    def attributes(self) -> dict[str, Any]:
        """Fitted attributes of an estimator."""
        return {f"{name}_": value for name, value in vars(self).items()}


def usage_of(routing: Routing, n_experts: int, sample_weight: Array, top_k: int | None) -> Usage:
    """The usage of experts, of which `top_k` may act, over rows that weigh `sample_weight` (n,)."""
    load, importance, entropy = np.zeros(n_experts), np.zeros(n_experts), 0.0
    for rows in row_blocks(len(sample_weight), n_experts):
        part, weight = routing.take(rows), sample_weight[rows]
        proba = np.exp(part.log_gate)
        entropy -= float(weight @ row_sum(proba * part.log_gate))
        importance += weight @ part.slots.scatter(proba, n_experts)
        if top_k is None:
            load += np.bincount(proba.argmax(axis=1), weight, minlength=n_experts)
        else:
            load += weight @ part.slots.scatter(np.ones_like(proba), n_experts)
    total = float(sample_weight.sum())
    load, importance, entropy = load / total, importance / total, entropy / total
    whole = float(entr(importance).sum())
    return Usage(load, importance, entropy, whole - entropy)
