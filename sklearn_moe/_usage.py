"""How a gate uses its experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._numeric import Array, weighted_mean
from ._routing import Routing


@dataclass(frozen=True)
class Usage:
    """How often each expert acts, what it weighs, and how sure the gate is; entropies in nats.

    `load` (K,) are the shares of the rows on which an expert acts or, without `top_k`, leads;
    `importance` (K,) are mean gate probabilities. `gate_entropy` is the mean entropy of a row's
    probabilities; `gate_information` is the part of the entropy of `importance` that the features
    take away: log K where each expert has as many rows for itself, zero if the gate does not look.
    """

    load: Array
    importance: Array
    gate_entropy: float
    gate_information: float

    def attributes(self) -> dict[str, Any]:
        """The same as fitted attributes of an estimator."""
        return {f"{name}_": value for name, value in vars(self).items()}


def usage_of(
    routing: Routing, n_experts: int, sample_weight: Array, top_k: int | None = None
) -> Usage:
    """The usage of experts, of which `top_k` may act, over rows that weigh `sample_weight` (n,)."""
    proba = np.exp(routing.log_gate)
    total = sample_weight.sum()
    entropy = -float(np.einsum("n,nk,nk->", sample_weight, proba, routing.log_gate)) / total
    importance = weighted_mean(routing.whole(proba, n_experts), sample_weight)
    if top_k is None:
        load = np.bincount(proba.argmax(axis=1), sample_weight, minlength=n_experts) / total
    else:
        load = weighted_mean(routing.whole(np.ones_like(proba), n_experts), sample_weight)
    whole = -float((importance * np.log(np.maximum(importance, np.finfo(float).tiny))).sum())
    return Usage(load, importance, entropy, whole - entropy)
