"""A table of numbers in units of its own columns, of which no copy is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array, rows_of

# So many scales from zero, a center costs three of sixteen digits where it is subtracted late.
FAR_FROM_ZERO = 1e3


@dataclass(frozen=True)
class StandardisedRows:
    """Finite numbers `X` (n, d), of which `center` (d,) is to be subtracted, and over `scale` (d,).

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
        """Whether some rows are handed out as they are, not made."""
        return not bool((np.abs(self.center) > FAR_FROM_ZERO * self.scale).any())

    def made(self) -> Array:
        """The rows, standardised."""
        return self.standardised(self.X)

    def standardised(self, X: NDArray) -> Array:
        """Any rows in the units of the table."""
        Z = np.subtract(X, self.center, dtype=np.float64)
        with np.errstate(invalid="ignore"):  # of infinities, whoever asks is told
            Z /= self.scale
        return Z

    def weights_of_numbers(self, weights: Array) -> Array:
        """What gives `X` the scores that `weights` (..., d + 1) give the rows; intercepts last."""
        coef = weights[..., :-1] / self.scale
        return np.concatenate([coef, weights[..., -1:] - coef @ self.center[:, None]], axis=-1)

    def sums_of_rows(self, sums: Array) -> Array:
        """Weighted sums (..., d + 1) of the rows from those of `X`; sums of weights last."""
        rows = (sums[..., :-1] - sums[..., -1:] * self.center) / self.scale
        return np.concatenate([rows, sums[..., -1:]], axis=-1)
