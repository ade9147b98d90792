"""Plain log-linear regressions over one table, for the fits of EM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from .._numeric import Array, Rows
from ._log_linear import LogLinearSolution, solve_exactly, solve_left_out, solve_nearly
from ._positive_table import LogLinear, PositiveTable
from ._search import SETTLE, Effort

# Elements of the Hessians of all folds and problems: 128 MB.
LARGEST_HESSIANS = 2**24
# An iteration of EM goes one step further, and more if that is a long one. Problems that are asked
# about new rows, or solved only once, go on until steps change little.
GOING_ON, NEARLY = Effort(10, 0.1), Effort(20, 1e-3)


@dataclass(frozen=True, eq=False)
class LogLinearBank:
    """Solutions are searched for, from where EM has been before."""

    table: PositiveTable

    suits: ClassVar[type] = LogLinear
    # How problems are solved depends on where they begin.
    merges: ClassVar[bool] = False

    def solve_left_out(
        self,
        problems: Sequence[LogLinear],
        weights: Array,
        folds: Sequence[Rows] | None,
        previous: LogLinearSolution | None = None,
    ) -> LogLinearSolution | None:
        """The solution, an exact one without folds; EM will not go on from a single problem's.

        None, if there are too many folds for the memory.
        """
        if folds is None:
            return solve_exactly(problems, self.table, weights, previous)
        if len(folds) * len(problems) * (self.table.shape[1] + 1) ** 2 > LARGEST_HESSIANS:
            return None
        effort = GOING_ON
        if previous is None or previous.is_far:
            effort = NEARLY if len(problems) == 1 else SETTLE
        return solve_left_out(problems, self.table, weights, folds, previous, effort)

    def solve_all_rows(
        self,
        problems: Sequence[LogLinear],
        weights: Array,
        left_out: LogLinearSolution,
        before: LogLinearSolution | None = None,
    ) -> LogLinearSolution:
        """Nearly the solution.

        Steps begin where those of the iteration `before` ended, or from the mean of the
        coefficients over the folds.
        """
        start = (before and before.for_new_rows()) or left_out
        return solve_nearly(problems, self.table, weights, start, NEARLY)
