"""The rows that a gate learns from, encoded at most once however many gates look at them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from .._design import TabularEncoder
from .._numeric import Array
from .._rows import take_rows


class GateTable:
    """A table `X` (n, p) whose rows weigh `sample_weight` (n,), and its encoded form.

    An `encoder` that is given is kept; else one learns from the rows when it is first asked for.
    """

    def __init__(self, X: Any, sample_weight: Array, encoder: TabularEncoder | None = None) -> None:
        self.X, self.sample_weight, self._known = X, sample_weight, encoder

    def take(self, rows: Any) -> GateTable:
        """Some of the rows, encoded as they are among all."""
        return PartOfGateTable(self, rows)

    @cached_property
    def encoder(self) -> TabularEncoder:
        """How the columns are standardised and encoded."""
        return self._known or TabularEncoder().fit(self.X, sample_weight=self.sample_weight)

    @cached_property
    def Z(self) -> Any:
        """The encoded rows (n, d), dense or sparse."""
        return self.encoder.transform(self.X)


class PartOfGateTable(GateTable):
    """Some `rows` of a `whole` table, which encodes for all of its parts."""

    def __init__(self, whole: GateTable, rows: Any) -> None:
        super().__init__(take_rows(whole.X, rows), whole.sample_weight[rows])
        self._whole, self._rows = whole, rows

    @cached_property
    def encoder(self) -> TabularEncoder:
        """The encoder of the whole table."""
        return self._whole.encoder

    @cached_property
    def Z(self) -> Any:
        """The encoded rows (n, d), dense or sparse."""
        return take_rows(self._whole.Z, self._rows)
