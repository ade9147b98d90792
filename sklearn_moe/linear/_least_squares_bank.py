"""Plain linear regressors over one table, for the fits of EM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from .._numeric import Array, Rows
from ._least_squares import (
    LeastSquaresSolution,
    fits_memory,
    is_wide,
    solve_left_out,
    solve_one_out,
)
from ._output_table import LeastSquares, OutputTable


@dataclass(frozen=True, eq=False)
class LeastSquaresBank:
    """Each problem is solved in closed form, wherever EM has been before."""

    table: OutputTable

    suits: ClassVar[type] = LeastSquares
    merges: ClassVar[bool] = True

    def solve_left_out(
        self,
        problems: Sequence[LeastSquares],
        weights: Array,
        folds: Sequence[Rows] | None,
        previous: LeastSquaresSolution | None = None,
    ) -> LeastSquaresSolution | None:
        """The solution; None if columns are too many for the rows, or folds for the memory."""
        n_folds = 1 if folds is None else len(folds)
        if is_wide(self.table) or not fits_memory(n_folds, self.table):
            return None
        return solve_left_out(problems, self.table, weights, folds)

    def solve_all_rows(
        self,
        problems: Sequence[LeastSquares],
        weights: Array,
        left_out: LeastSquaresSolution,
        before: LeastSquaresSolution | None = None,
    ) -> LeastSquaresSolution | None:
        """The solution for all rows, which was found with that of the folds."""
        return left_out.of_all_rows()

    def solve_one_out(
        self, problems: Sequence[LeastSquares], weights: Array, rank: Rows
    ) -> LeastSquaresSolution | None:
        """The solution; None if there are too many columns for the memory."""
        if not fits_memory(len(problems), self.table):
            return None
        return solve_one_out(problems, self.table, weights, rank)
