"""Plain logistic regressions over one table, for the fits of EM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from .._numeric import Array, Rows
from ._labelled_table import LabelledTable, Logistic
from ._logistic import (
    GOING_ON,
    NEARLY,
    LogisticSolution,
    solve_exactly,
    solve_left_out,
    solve_nearly,
    solve_one,
)
from ._search import ONE_STEP, SETTLE


@dataclass(frozen=True, eq=False)
class LogisticBank:
    """Solutions are searched for, from where EM has been before."""

    table: LabelledTable

    suits: ClassVar[type] = Logistic
    # How problems are solved depends on how many there are, and on where they begin.
    merges: ClassVar[bool] = False

    def solve_left_out(
        self,
        problems: Sequence[Logistic],
        weights: Array,
        folds: Sequence[Rows] | None,
        previous: LogisticSolution | None = None,
    ) -> LogisticSolution | None:
        """The solution; None without folds if there are too many coefficients for an exact one."""
        if folds is None:
            return self._solve_exactly(problems, weights, previous)
        if previous is None and len(problems) == 1:
            return solve_one(problems[0], self.table, weights, folds)
        start = None if previous is None else previous.theta
        effort = SETTLE if previous is None or previous.is_far else ONE_STEP
        return solve_left_out(problems, self.table, weights, folds, start, effort)

    def _solve_exactly(
        self, problems: Sequence[Logistic], weights: Array, previous: LogisticSolution | None
    ) -> LogisticSolution | None:
        is_last = previous is not None and len(previous.theta) > 1  # after folds, once
        few = self.table.has_hessians if is_last else self.table.solves_often(len(problems))
        start = None if previous is None else previous.theta
        return solve_exactly(problems, self.table, weights, start) if few else None

    def solve_all_rows(
        self,
        problems: Sequence[Logistic],
        weights: Array,
        left_out: LogisticSolution,
        before: LogisticSolution | None = None,
    ) -> LogisticSolution | None:
        """Nearly the solution.

        Steps begin where those of the iteration `before` ended, or from the mean of the
        coefficients over the folds.
        """
        start = (before and before.for_new_rows()) or replace(left_out, is_far=True)
        effort = NEARLY if start.is_far else GOING_ON
        return solve_nearly(problems, self.table, weights, start.theta, effort, predicts=False)
