"""The gate of a fit: one for each fold while EM runs, one for all rows at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.base import clone

from ._binning import Binner, bins_of, with_bins
from ._data import Data
from ._expert_errors import PartError
from ._folds import Splits
from ._numeric import Array
from ._plans import Plan
from ._routing import clamped
from ._rows import n_rows, take_params, take_rows
from ._softmax_bank import SoftmaxBank
from ._templates import seeded_clone
from ._validation import last_step
from .gates import ClassifierGate, RegressorGate, SoftmaxGate
from .gates._pipeline import check_gate, plan_gate
from .gates._resolve import fit_gate, keeping, log_proba_of
from .gates._table import GateTable

# Rows on which a gate's answer is checked, and how far sums of probabilities may be from one.
SOME, NO_ROUNDING = 100, 1e-4


def make_gate_bank(
    template: Any,
    data: Data,
    splits: Splits | None,
    seed: int,
    params: dict,
    n_experts: int,
) -> GateBank | SoftmaxBank:
    """The bank for clones of a gate template; that of the default gate fits all folds at once."""
    gate = seeded_clone(template, seed)
    check_gate(gate)
    whole = splits is None or splits.leave_out
    if type(gate) is SoftmaxGate and whole:
        return SoftmaxBank(gate, data, splits)
    return GateBank(gate, data, splits, params, n_experts)


@dataclass(frozen=True)
class InBins:
    """A boosting gate, template or fitted, that is given numbers of bins in place of values.

    The `binner` makes these numbers, and the `table` holds them. Without a `binner`, the gate is a
    pipeline that sorts values into bins by itself.
    """

    gate: Any
    binner: Binner | None
    table: GateTable

    @classmethod
    def of(cls, gate: Any, data: Data, table: GateTable) -> InBins | None:
        """The template in bins for the `table` of `data`; None if this is not such a gate."""
        names = {ClassifierGate: "classifier", RegressorGate: "regressor"}
        if (name := names.get(type(gate))) is None:
            return None
        boosting, gate = getattr(gate, name), clone(gate)
        if (pipeline := with_bins(boosting)) is not None:
            return cls(gate.set_params(**{name: clone(pipeline)}), None, table)
        max_bins = bins_of(boosting)
        if max_bins is None or (found := data.binned(max_bins)) is None:
            return None
        binner, numbers = found
        boosting = clone(boosting).set_params(categorical_features=binner.categorical)
        table = GateTable(numbers.X, data.sample_weight)
        return cls(gate.set_params(**{name: boosting}), binner, table)

    def predict_log_proba(self, X: Any) -> Array:
        """Log probabilities (m, K) of rows that are not in bins yet."""
        return self.gate.predict_log_proba(X if self.binner is None else self.binner.transform(X))


class GateBank:
    """Fits clones of any gate to responsibilities, in or out of fold. A state is a list of gates.

    `members` are the positions of the experts that are left of `n_experts`. A gate starts from the
    gate of its own fold in the iteration before, which has seen the same rows. While EM runs, gates
    may see the table `in_bins`; the gate that is kept does not.
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
        self.in_bins = None if splits is None else InBins.of(gate, data, self.table)
        self.plan = plan_gate(gate)

    def with_whole_steps(self) -> GateBank:
        """The bank itself: these gates choose their own steps."""
        return self

    def fit_predict(
        self, expert_weights: Array, previous: Any, members: tuple[int, ...] | None = None
    ) -> Plan[tuple[list[Any], Array]]:
        """Gates (one per fold, or one) and log gate probabilities (n, K), out of fold if split."""
        pairs: list[Any] = [(None, None)] if self.splits is None else list(self.splits)
        template = self._for(members, self.running[0])
        starts = previous or [None] * len(pairs)
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
        """The gate of all rows; it starts from the first fold's, so as to find the same solution.

        If it is `brief`, it takes a few steps from there, and is not kept.
        """
        if self.splits is None:
            return gates[0]
        template, table = self.running if brief else (self.template, self.table)
        template = self._for(members, template)
        gate = self._fit(template, table, expert_weights, gates[0], brief, self.params)
        return replace(self.in_bins, gate=gate) if brief and self.in_bins else gate

    def penalty(self, gates: list[Any]) -> float:
        """What the objective of the in-sample gate subtracts; of a pipeline, its last step."""
        return last_step(gates[0]).penalty()

    @property
    def running(self) -> tuple[Any, GateTable]:
        """Template and table of gates that are not kept."""
        form = self.in_bins
        return (self.template, self.table) if form is None else (form.gate, form.table)

    def _for(self, members: tuple[int, ...] | None, template: Any) -> Any:
        """The template for the experts that are left."""
        return template if members is None else keeping(template, members, self.n_experts)

    def _fit(
        self,
        template: Any,
        table: GateTable,
        weights: Array,
        start: Any,
        brief: bool,
        params: dict,
    ) -> Any:
        """The gate fitted to a table."""
        # While EM runs, parameters of experts are trusted to be valid, but not those within a gate.
        with config_context(skip_parameter_validation=False), _as_of_a_part(template):
            return fit_gate(template, table, weights, start, brief, params, self.plan)

    def _fit_predict_fold(
        self, template: Any, expert_weights: Array, start: Any, train: Any, test: Any
    ) -> Any:
        table = self.running[1]
        params = take_params(self.params, self.data.n_samples, train)
        weights = take_rows(expert_weights, train)
        gate = self._fit(template, _part(table, train), weights, start, True, params)
        part = _part(table, test)
        found = log_proba_of(gate, part)
        _check_answer(found, gate, (n_rows(part.X), expert_weights.shape[1]))
        return gate, clamped(found, gate)


@contextmanager
def _as_of_a_part(gate: Any) -> Iterator[None]:
    """Turn errors that numbers cause in a gate into a `PartError`: other starts may do better.

    What is no gate at all (TypeError) is none under other starts either.
    """
    try:
        yield
    except PartError:
        raise
    except (ValueError, ArithmeticError) as error:
        raise PartError(f"gate={gate!r} could not be fitted: {error}") from error


def _check_answer(log_proba: Any, gate: Any, shape: tuple[int, int]) -> None:
    """Raise if a gate, which may be anyone's code, returns anything but log probabilities."""
    is_array = isinstance(log_proba, np.ndarray)
    if not is_array or log_proba.shape != shape or log_proba.dtype.kind != "f":
        said = f"a {type(log_proba).__name__}"
        said = f"one of {log_proba.dtype} and shape {log_proba.shape}" if is_array else said
        raise PartError(
            f"gate={gate!r} should return log probabilities of the experts as an array of floats "
            f"of shape {shape}; its predict_log_proba returned {said}."
        )
    total = np.exp(log_proba[:SOME]).sum(axis=1)
    if (np.abs(total - 1.0) > NO_ROUNDING).any():
        raise PartError(
            f"gate={gate!r} should return log probabilities whose exponentials sum to one in each "
            f"row; in one row they sum to {total[np.abs(total - 1.0).argmax()]:.6g}."
        )


def _part(table: GateTable, rows: Any) -> GateTable:
    """Some rows of the table (all, if None)."""
    return table if rows is None else table.take(rows)
