"""A table of numbers, standardised as its rows are read: no standardised copy is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array, rows_of

# A center this many scales from zero costs three of sixteen digits if it is subtracted late.
FAR_FROM_ZERO = 1e3


@dataclass(frozen=True)
class StandardisedRows:
    """The rows ``(X - center) / scale`` of finite numbers `X` (n, d); the others are (d,).

    A column whose scale is infinite is zero, to the last digit.
    Products with the rows are products with `X` under other weights, so the rows themselves need
    not be made, unless a column is so far from zero that digits would be lost.
    """

    X: NDArray
    center: Array
    scale: Array

    @property
    def shape(self) -> tuple[int, int]:
        return self.X.shape[0], self.X.shape[1]

    def __getitem__(self, rows: Any) -> StandardisedRows | Array:
        part = StandardisedRows(rows_of(self.X, rows), self.center, self.scale)
        return part if self.hands_out_numbers else part.made()

    @property
    def is_ready(self) -> bool:
        """Whether products with all rows at once need no copy of them."""
        return self.X.dtype == np.float64 and self.hands_out_numbers

    @cached_property
    def hands_out_numbers(self) -> bool:
        """Whether `X` stands in for rows, which then need not be made."""
        return not bool((np.abs(self.center) > FAR_FROM_ZERO * self.scale).any())

    def made(self) -> Array:
        """The rows, standardised."""
        return self.standardised(self.X)

    def standardised(self, X: NDArray) -> Array:
        """Any rows in the units of the table."""
        Z = np.subtract(X, self.center, dtype=np.float64)
        with np.errstate(invalid="ignore"):  # infinities show in what is returned
            Z /= self.scale
        return Z

    def weights_of_numbers(self, weights: Array) -> Array:
        """Weights under which `X` has the scores of the rows under `weights` (..., d + 1)."""
        coef = weights[..., :-1] / self.scale
        return np.concatenate([coef, weights[..., -1:] - coef @ self.center[:, None]], axis=-1)

    def sums_of_rows(self, sums: Array) -> Array:
        """Weighted sums (..., d + 1) of the rows, from those of `X`; sums of weights are last."""
        rows = (sums[..., :-1] - sums[..., -1:] * self.center) / self.scale
        return np.concatenate([rows, sums[..., -1:]], axis=-1)
