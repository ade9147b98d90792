"""Sparse routing: of many experts only the most probable act on a row.

Arrays about acting experts have a slot for each of them, (n, S), in place of a column for each
expert, (n, K). With a gate that keeps k of K experts, S is k: time and memory grow with k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._expert_errors import PartError
from ._numeric import Array, log_normalize, row_blocks

# The log of a probability that is exactly zero, yet can be normalised if all of a row are.
ABSENT = -800.0


@dataclass(frozen=True)
class Slots:
    """Which experts act on each row.

    `index` (n, S) holds the experts in a row's slots, the likeliest first and a shared one last;
    None if all act, each in its own slot.
    """

    index: NDArray[np.intp] | None = None

    def gather(self, values: Array, by_row: bool = False) -> Array:
        """Pick what belongs to each slot (n, S, ...) from values by expert.

        Values are (K, ...) or, if `by_row`, (n, K, ...); they stay as they are if all experts act.
        """
        if self.index is None:
            return values
        if not by_row:
            return values[self.index]
        return values[np.arange(len(values))[:, None], self.index]

    def scatter(self, values: Array, n_experts: int, fill: Any = 0.0) -> Array:
        """Move values from slots (n, S, ...) to their experts (n, K, ...); `fill` the others."""
        if self.index is None:
            return values
        shape = (len(values), n_experts, *values.shape[2:])
        scattered = np.array(np.broadcast_to(fill, shape), dtype=values.dtype)
        scattered[np.arange(len(values))[:, None], self.index] = values
        return scattered

    def take(self, rows: slice) -> Slots:
        """The slots of some rows."""
        return self if self.index is None else Slots(self.index[rows])

    def n_slots(self, n_experts: int) -> int:
        """How many slots a row has, of `n_experts` experts."""
        return n_experts if self.index is None else self.index.shape[1]

    def of_expert(self, expert: int, among: NDArray[np.intp] | None = None) -> tuple[Any, Any]:
        """The rows on which an expert acts, of all or `among` some, and its slots there."""
        if self.index is None:
            return slice(None) if among is None else among, expert
        if among is not None:
            rows, slots = np.nonzero(self.index[among] == expert)
            return among[rows], slots
        order, first = self._by_expert
        mine = order[slice(*first[expert : expert + 2])] if expert + 1 < len(first) else order[:0]
        slots = mine // len(self.index)
        return mine - slots * len(self.index), slots

    def from_experts(self, values: Array) -> Array:
        """Values (n S, q), expert by expert for the rows each acts on, put into slots (n, S, q)."""
        assert self.index is not None
        by_slot = np.empty((values.shape[1], self.index.size))
        for column, value in zip(by_slot, values.T, strict=True):
            column[self._by_expert[0]] = value
        return by_slot.reshape(-1, *self.index.T.shape).T

    @cached_property
    def _by_expert(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Slots, expert by expert, and where each expert's begin.

        Slots are numbered one after the other: slot s of row i has the number s n + i.
        """
        assert self.index is not None
        # Short numbers are sorted by radix.
        experts = self.index.T.ravel().astype(np.min_scalar_type(self.index.max(initial=0)))
        first = np.append(0, np.cumsum(np.bincount(experts)))
        return np.argsort(experts, kind="stable"), first


ALL_ACT = Slots()


class Routing:
    """The log gate probabilities (n, S) of the experts that act, renormalised, and their slots."""

    def __init__(self, log_gate: Array, slots: Slots = ALL_ACT) -> None:
        self._log_gate, self.slots = log_gate, slots

    @property
    def log_gate(self) -> Array:
        """Log gate probabilities (n, S) of the experts that act."""
        return self._log_gate

    @cached_property
    def proba(self) -> Array:
        """Gate probabilities (n, S) of the experts that act."""
        return np.exp(self.log_gate)

    def take(self, rows: slice) -> Routing:
        """The routing of some rows."""
        return Routing(self.log_gate[rows], self.slots.take(rows))


class WholeGate(Routing):
    """All experts act; log probabilities, which cost more, are computed only if asked for.

    The gate is asked within the context that `asking` returns.
    """

    def __init__(self, gate: Any, X: Any, asking: Callable[[], AbstractContextManager]) -> None:
        self.gate, self.X, self.asking, self.slots = gate, X, asking, ALL_ACT

    @cached_property
    def log_gate(self) -> Array:
        """Log gate probabilities (n, K)."""
        with self.asking():
            return log_gate_of(self.gate, self.X)

    @cached_property
    def proba(self) -> Array:
        """Gate probabilities (n, K)."""
        with self.asking():
            proba = self.gate.predict_proba(self.X)
        _lowest(proba, self.gate)
        return proba


def log_gate_of(gate: Any, X: Any) -> Array:
    """Log gate probabilities (n, K) at `X`; a probability of zero has a finite logarithm."""
    return clamped(gate.predict_log_proba(X), gate)


def clamped(log_gate: Array, gate: Any) -> Array:
    """Log probabilities by a gate, with a finite logarithm for a probability of zero."""
    return np.maximum(log_gate, ABSENT) if _lowest(log_gate, gate) < ABSENT else log_gate


def _lowest(found: Array, gate: Any) -> float:
    """The lowest number that a gate returns, or zero; raise if it is NaN, as it is if any is."""
    lowest = float(found.min(initial=0.0))
    if np.isnan(lowest):
        raise PartError(
            f"gate={gate!r} returned NaN as probabilities of some rows. Scale or impute its "
            "inputs, for instance in a pipeline that ends in it, or use another gate."
        )
    return lowest


def route(log_gate: Array, top_k: int | None, shared: bool) -> Routing:
    """The routing that keeps the `top_k` experts of highest `log_gate` (n, K) in each row.

    With `top_k`, the rows of `log_gate` need not be normalised. A `shared` expert, which is the
    last, acts on every row beside those.
    """
    n_routed = log_gate.shape[1] - shared
    if top_k is None:
        return Routing(log_gate)
    if top_k >= n_routed:
        return Routing(log_normalize(log_gate)[0])
    index, found = _largest(log_gate[:, :n_routed], top_k)
    if shared:
        index, found = _beside_last(index, found, log_gate)
    return Routing(log_normalize(found, overwrite=True)[0], Slots(index))


def route_blocks(blocks: Iterable[Array], top_k: int, shared: bool) -> Routing:
    """The routing of the rows of all `blocks` (B, K), which are overwritten.

    As `route`, without a table of all scores.
    """
    parts = [_acting(block, top_k, shared) for block in blocks]
    index = [index for index, _ in parts if index is not None]
    log_gate = log_normalize(np.concatenate([found for _, found in parts]), overwrite=True)[0]
    return Routing(log_gate, Slots(np.concatenate(index)) if index else ALL_ACT)


def _acting(block: Array, top_k: int, shared: bool) -> tuple[NDArray[np.intp] | None, Array]:
    """The experts that act on the rows of a block, which is overwritten, and their scores."""
    n_routed = block.shape[1] - shared
    if top_k >= n_routed:
        return None, block
    index, found = _empty_slots(len(block), top_k)
    _take_largest(block, n_routed, index, found)
    return _beside_last(index, found, block) if shared else (index, found)


def _beside_last(
    index: NDArray[np.intp], found: Array, log_gate: Array
) -> tuple[NDArray[np.intp], Array]:
    """Positions and values (n, S) with those of the last column beside them."""
    last = np.full((len(index), 1), log_gate.shape[1] - 1)
    return np.hstack([index, last]), np.hstack([found, log_gate[:, -1:]])


def _largest(values: Array, count: int) -> tuple[NDArray[np.intp], Array]:
    """Positions and values (n, count) of the largest in each row, the largest first."""
    index, found = _empty_slots(len(values), count)
    for block in row_blocks(*values.shape):
        left = np.array(values[block], order="C")
        _take_largest(left, left.shape[1], index[block], found[block])
    return index, found


def _empty_slots(n_samples: int, n_slots: int) -> tuple[NDArray[np.intp], Array]:
    """Room (n, S) for experts and their scores, slot by slot in memory: rows are many."""
    return np.empty((n_slots, n_samples), dtype=np.intp).T, np.empty((n_slots, n_samples)).T


def _take_largest(left: Array, width: int, index: NDArray[np.intp], found: Array) -> None:
    """Move the largest of the first columns of `left` (B, K), and where they were, to (B, count).

    One pass for each, over rows that stay in a core's cache: for a few that is three times as fast
    as a partition. `left` must be contiguous, row by row, so that it can be indexed as flat.
    """
    numbers, begins = left.reshape(-1), np.arange(0, left.size, left.shape[1])
    for slot in range(index.shape[1]):
        place = left[:, :width].argmax(axis=1)
        index[:, slot] = place
        place += begins
        found[:, slot] = numbers.take(place)
        numbers[place] = -np.inf


def truncate(resp: Array, top_k: int | None, shared: bool) -> Array:
    """Responsibilities (n, K) of the `top_k` experts with most of a row, without small ones.

    If an expert has less than half of an equal share of a row, it does not get the row.
    """
    n_routed = resp.shape[1] - shared
    if top_k is None or top_k >= n_routed:
        return resp
    routed, kept = resp[:, :n_routed], resp.copy()
    index, found = _largest(routed, top_k)
    share = 0.5 * routed.sum(axis=1, keepdims=True) / n_routed
    kept[:, :n_routed] = 0.0
    np.put_along_axis(kept, index, np.where(found >= share, found, 0.0), axis=1)
    return kept / kept.sum(axis=1, keepdims=True)
