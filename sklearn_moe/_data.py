"""The training table of a fit, in every form that experts see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._binning import Binner, make_binner
from ._nameless import bare_numbers
from ._numeric import Array, mean_and_stderr
from ._predictions import ExpertTable, clipped
from ._rows import read_only, take_rows
from .linear import LinearBank, Problem, make_bank


@dataclass(frozen=True)
class Data:
    """The training table of a fit; every row has a positive weight.

    - `X`: the features, as the user gave them, not to be written to.
    - `y`: the target as experts are given it.
    - `target`: the target as formulas use it, (n, q) floats or (n,) class codes.
    - `sample_weight` (n,): weights of the rows.
    - `hashes` (n,): numbers that depend on the content of a row alone.
    - `rank` (n,): the order of rows by content, equal for copies of one.
    - `clusters` (n,): which rows are dependent.
    - `classes` (C,): labels of the classes, None for real targets.
    - `all_classes`: whether probabilities of all classes are kept, not only of each row's own.
    - `limits` (2, q): what outputs are held between, if anything, also where some rows are taken:
      what fits to parts are compared with must be held to the same.
    """

    X: Any
    y: NDArray
    target: NDArray
    sample_weight: Array
    hashes: NDArray[np.uint64]
    rank: NDArray[np.intp]
    clusters: NDArray[np.intp]
    classes: NDArray | None = None
    all_classes: bool = False
    limits: Array | None = None

    @property
    def n_samples(self) -> int:
        return len(self.sample_weight)

    @property
    def n_values(self) -> int:
        """How many numbers are kept of an expert's prediction for a row."""
        if self.classes is None:
            return self.target.shape[1]
        return len(self.classes) if self.all_classes else 1

    def reduced(self, predicted: Array, rows: Any) -> Array:
        """What is kept of predictions for some rows."""
        if self.classes is None:
            return clipped(predicted, self.limits)
        if self.all_classes:
            return predicted
        own = self.target[rows]
        return np.take_along_axis(predicted, own.reshape(-1, *[1] * (predicted.ndim - 1)), -1)

    @cached_property
    def distinct(self) -> NDArray[np.intp]:
        """One row of each content: what is counted where rows, not weights, must be counted."""
        return np.unique(self.rank, return_index=True)[1]

    @property
    def has_groups(self) -> bool:
        """Whether any rows depend on each other without being copies."""
        return self.clusters is not self.rank and not np.array_equal(self.clusters, self.rank)

    @property
    def class_mass(self) -> Array:
        """The weight of each row in the column of its class (n, C); of real targets (n, 1)."""
        columns = 1.0 if self.classes is None else np.eye(len(self.classes))[self.target]
        return columns * self.sample_weight[:, None]

    @cached_property
    def is_even(self) -> bool:
        """Whether each row weighs one."""
        return bool((self.sample_weight == 1.0).all())

    def weighted(self, resp: Array) -> Array:
        """Responsibilities (n, K) times sample weights; not to be written to."""
        return resp if self.is_even else resp * self.sample_weight[:, None]

    def mean_and_stderr(self, values: Array) -> tuple[float, float]:
        """Weighted mean of values (n,) of the rows, NaN left out, and its standard error."""
        return mean_and_stderr(values, self.sample_weight, self.clusters)

    @cached_property
    def expert_table(self) -> ExpertTable:
        """The table as experts see it."""
        return ExpertTable(self.X)

    @cached_property
    def _linear_banks(self) -> dict[type, LinearBank | None]:
        return {}

    def linear_bank(self, kind: type[Problem]) -> LinearBank | None:
        """Plain linear experts of a kind over the table, or None if they do not suit it."""
        known = self._linear_banks
        if kind not in known:
            n_classes = None if self.classes is None else len(self.classes)
            known[kind] = make_bank(kind, self.X, self.target, n_classes, len(self.distinct))
        return known[kind]

    @cached_property
    def bare(self) -> Data | None:
        """The table without the names of its columns, if it has some and is one of numbers."""
        numbers = bare_numbers(self.X)
        return None if numbers is None else replace(self, X=numbers)

    @cached_property
    def _binned(self) -> dict[int, tuple[Binner, Data] | None]:
        return {}

    def binned(self, max_bins: int) -> tuple[Binner, Data] | None:
        """The table with numbers of bins in place of values, if it has such a form."""
        known = self._binned
        if max_bins not in known:
            binner = make_binner(self.X, self.sample_weight, max_bins)
            known[max_bins] = (
                None if binner is None else (binner, replace(self, X=binner.transform(self.X)))
            )
        return known[max_bins]

    def take(self, rows: NDArray[np.intp]) -> Data:
        """The table of the given rows."""
        return replace(
            self,
            X=read_only(take_rows(self.X, rows)),
            y=take_rows(self.y, rows),
            target=take_rows(self.target, rows),
            sample_weight=take_rows(self.sample_weight, rows),
            hashes=self.hashes[rows],
            rank=self.rank[rows],
            clusters=self.clusters[rows],
        )
