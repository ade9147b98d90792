"""The gate of a fit: one for each fold while EM runs, one for all rows at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from ._experts import Data, seeded_clone
from ._folds import Splits
from ._numeric import Array
from ._parallel import Workers
from ._validation import take_params, take_rows
from ._weighting import gate_with_weighted_steps
from .gates import ConstantGate

# Newton steps of a fold's gate that goes on from the one before: EM needs an ascent, not the best.
# The one gate of an in-sample fit is part of the result, and exact.
STEPS = 2


class GateBank:
    """Fits clones of a gate template to responsibilities, in or out of fold.

    What a gate can compute once from the features alone (an encoded matrix) is computed once, and
    each fit starts from the coefficients of the iteration before.
    """

    def __init__(
        self, template: Any, data: Data, splits: Splits | None, seed: int, params: dict
    ) -> None:
        self.data = data
        self.splits = splits
        self.params = params
        self.template = seeded_clone(template, seed)
        self.template._validate_params()
        self.encoder = None
        if hasattr(self.template, "make_encoder"):
            self.encoder = self.template.make_encoder(data.X, data.sample_weight)
            self.design = self.encoder.transform(data.X)

    def fit_predict(
        self, expert_weights: Array, previous: Sequence[Any] | None, workers: Workers
    ) -> tuple[list[Any], Array]:
        """Gates (one per fold, or one) and log gate probabilities (n, K), out of fold if split."""
        pairs = [(None, None)] if self.splits is None else self.splits
        before = previous or [None] * len(pairs)
        jobs = [
            (self._fit_predict_fold, (expert_weights, train, test, earlier))
            for (train, test), earlier in zip(pairs, before, strict=True)
        ]
        done = workers.run(jobs)
        log_gate = np.empty(expert_weights.shape)
        for (_, test), (_, predicted) in zip(pairs, done, strict=True):
            log_gate[slice(None) if test is None else test] = predicted
        return [gate for gate, _ in done], log_gate

    def fit(
        self,
        expert_weights: Array,
        train: Any = None,
        earlier: Any = None,
        max_iter: int | None = None,
    ) -> Any:
        """The gate fitted to the rows `train` (all, if None), from an `earlier` one if it can."""
        weights = take_rows(expert_weights, train)
        if expert_weights.shape[1] == 1:
            return ConstantGate().fit(self.data.X, weights)
        gate = clone(self.template)
        if self.encoder is not None:
            Z = take_rows(self.design, train)
            return gate.fit_encoded(self.encoder, Z, weights, earlier, max_iter)
        X = take_rows(self.data.X, train)
        params = take_params(self.params, self.data.n_samples, train)
        if isinstance(gate, Pipeline):
            return gate_with_weighted_steps(gate, X, weights, params)
        return gate.fit(X, weights, **params)

    def _fit_predict_fold(self, expert_weights: Array, train: Any, test: Any, earlier: Any) -> Any:
        gate = self.fit(
            expert_weights, train, earlier, STEPS if earlier and train is not None else None
        )
        if self.encoder is not None and expert_weights.shape[1] > 1:
            return gate, gate.predict_log_proba_encoded(take_rows(self.design, test))
        return gate, gate.predict_log_proba(take_rows(self.data.X, test))


def gate_penalty(gate: Any) -> float:
    """What the gate's own objective subtracts; a pipeline is asked through its last step."""
    last = gate.steps[-1][1] if isinstance(gate, Pipeline) else gate
    return last.penalty()
