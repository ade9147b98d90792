"""How a gate uses its experts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._numeric import Array, weighted_mean
from ._routing import Routing


@dataclass(frozen=True)
class Usage:
    """How often each expert acts, what it weighs, and how sure the gate is; entropies in nats.

    `load` (K,) are the shares of the rows on which an expert acts or, where all act, leads;
    `importance` (K,) are mean gate probabilities. `gate_entropy` is the mean entropy of a row's
    probabilities; `gate_information` is the part of the entropy of `importance` that the features
    take away: log K where each expert has as many rows for itself, zero if the gate does not look.
    """

    load: Array
    importance: Array
    gate_entropy: float
    gate_information: float


def usage_of(routing: Routing, n_experts: int, sample_weight: Array) -> Usage:
    """The usage of experts over rows that weigh `sample_weight` (n,)."""
    proba = np.exp(routing.log_gate)
    entropy = -float(weighted_mean(proba * routing.log_gate, sample_weight).sum())
    importance = weighted_mean(routing.whole(proba, n_experts), sample_weight)
    if routing.index is None:
        acting, weight = proba.argmax(axis=1), sample_weight
    else:
        acting = routing.index.ravel()
        weight = np.repeat(sample_weight, routing.index.shape[1])
    load = np.bincount(acting, weight, minlength=n_experts) / sample_weight.sum()
    whole = -float((importance * np.log(np.maximum(importance, np.finfo(float).tiny))).sum())
    return Usage(load, importance, entropy, whole - entropy)
