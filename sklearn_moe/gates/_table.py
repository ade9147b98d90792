"""The rows that a gate learns from, encoded at most once however many gates look at them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from .._design import TabularEncoder
from .._numeric import Array


class GateTable:
    """A table `X` (n, p) whose rows weigh `sample_weight` (n,), and its encoded form.

    A known `encoder` is kept; else one learns from the rows when it is first asked for.
    """

    def __init__(self, X: Any, sample_weight: Array, encoder: TabularEncoder | None = None) -> None:
        self.X, self.sample_weight, self._known = X, sample_weight, encoder

    @cached_property
    def encoder(self) -> TabularEncoder:
        """How the columns are standardised and encoded."""
        return self._known or TabularEncoder().fit(self.X, self.sample_weight)

    @cached_property
    def Z(self) -> Any:
        """The encoded rows (n, d), dense or sparse."""
        return self.encoder.transform(self.X)
