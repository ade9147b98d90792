"""What plain linear regressors solve: the problem, and a table of features and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._grams import GRAM_ROWS, products_of_pairs
from .._numeric import Array, Rows, exact_means, row_blocks, rows_of
from ._plain import finite_numbers

# Elements of the products of every two columns (1 MB) up to which calls cost more than numbers.
FEW_PRODUCTS = 2**17


@dataclass(frozen=True)
class LeastSquares:
    """The problem that a plain `Ridge` or `LinearRegression` solves: its penalty `alpha`.

    The `alpha` of an `EvidenceRidge` is NaN: it is yet to be found. If `scaled`, the features are
    first standardised under the same weights. If it `is_light`, a fitted estimator takes nothing
    from the table but its coefficients.
    """

    alpha: float
    scaled: bool
    is_light: bool = False
    is_loose = False

    @property
    def is_sought(self) -> bool:
        """Whether the penalty is yet to be found."""
        return bool(np.isnan(self.alpha))

    @property
    def leaves_one_out(self) -> bool:
        """Whether predictions without one row at a time have a closed form.

        Those of a standardised problem have none: the scale that the penalty refers to changes with
        each row. Nor have those under a penalty that is found, which changes too.
        """
        return not (self.is_sought or self.scaled)


@dataclass(frozen=True)
class OutputTable:
    """Features (n, p) and outputs (n, q), centred block by block and never copied whole."""

    X: NDArray
    y: Array
    x_center: Array
    y_center: Array

    def __getstate__(self) -> dict[str, Any]:
        """Only the fields: to make the rest again is faster than to send it to a worker."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def without_rows(self) -> OutputTable:
        """What is kept with a solution: the centers of the columns."""
        return replace(self, X=self.X[:0], y=self.y[:0])

    @property
    def n_features(self) -> int:
        return self.X.shape[1]

    @property
    def width(self) -> int:
        return 1 + self.n_features + self.y.shape[1]

    @property
    def is_small(self) -> bool:
        """Whether products are so few that they are made once, and all folds take one pass."""
        return len(self.y) * self.width * (self.width + 1) // 2 <= FEW_PRODUCTS

    @cached_property
    def centred(self) -> Array:
        """All rows (n, 1 + p + q), each with its intercept, features and outputs."""
        return self._written(slice(None), np.ones((len(self.y), self.width)))

    @cached_property
    def products(self) -> Array:
        """Products (pairs, n) of every two columns of the rows."""
        return products_of_pairs(np.ascontiguousarray(self.centred.T))

    def blocks(self, rows: Rows | None) -> Iterator[tuple[Rows | slice, Array]]:
        """The rows (all, if None) in pieces, each with its intercept, features and outputs.

        A block (B, 1 + p + q) must not be written to. If there are several, each overwrites the
        last.
        """
        if self.is_small:
            piece = slice(None) if rows is None else rows
            yield piece, rows_of(self.centred, piece)
            return
        n_rows = len(self.y) if rows is None else len(rows)
        places = list(row_blocks(n_rows, self.width, GRAM_ROWS))
        room = np.ones((max((place.stop - place.start for place in places), default=0), self.width))
        for place in places:
            piece = place if rows is None else rows[place]
            yield piece, self._written(piece, room[: place.stop - place.start])

    def _written(self, piece: Rows | slice, block: Array) -> Array:
        """The block, whose first column is ones, with features and outputs of some rows."""
        features, outputs = block[:, 1 : 1 + self.n_features], block[:, 1 + self.n_features :]
        np.subtract(rows_of(self.X, piece), self.x_center, out=features)
        np.subtract(rows_of(self.y, piece), self.y_center, out=outputs)
        return block


def make_output_table(X: Any, y: Array) -> OutputTable | None:
    """The table around its means; None if `X` holds anything but finite dense numbers.

    A constant column, or output, becomes exactly zero.
    """
    numbers = finite_numbers(X)
    if numbers is None:
        return None
    return OutputTable(numbers, y, exact_means(numbers)[0], exact_means(y)[0])
