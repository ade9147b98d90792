"""One face for both kinds of linear experts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array, Rows
from ._labelled_table import LabelledTable, Logistic, make_labelled_table
from ._labelled_table import recognise as recognise_logistic
from ._least_squares import (
    LeastSquaresSolution,
    fits_memory,
    is_wide,
)
from ._least_squares import recognise as recognise_least_squares
from ._least_squares import solve_left_out as solve_least_squares
from ._least_squares import solve_one_out as solve_least_squares_one_out
from ._logistic import (
    NEARER,
    NEARLY,
    ONE_STEP,
    SETTLE,
    LogisticSolution,
    solve_exactly,
    solve_nearly,
    solve_one,
)
from ._logistic import solve_left_out as solve_logistic
from ._output_table import LeastSquares, OutputTable, make_output_table
from ._plain import has_valid_params

Problem = LeastSquares | Logistic
Table = OutputTable | LabelledTable
Solution = LeastSquaresSolution | LogisticSolution


def recognise(estimator: Any) -> Problem | None:
    """The problem that `estimator` solves, or None if it does anything else, such as to refuse."""
    if not has_valid_params(estimator):
        return None
    return recognise_least_squares(estimator) or recognise_logistic(estimator)


def make_table(X: Any, target: NDArray, n_classes: int | None, n_distinct: int) -> Table | None:
    """The table for outputs (n, q), or class codes (n,), or None if it does not suit."""
    if n_classes is None:
        return make_output_table(X, target)
    return make_labelled_table(X, target, n_classes, n_distinct)


@dataclass(frozen=True, eq=False)
class LeftOut:
    """A job: to solve each problem left out of each fold, see `solve_left_out`.

    Those of squares, of one table and the same folds, whosever they are, are one. How those of
    labels are solved depends on how many they are, and on where they begin.
    """

    problems: Sequence[Any]
    table: Table
    weights: Array
    folds: Sequence[Rows] | None
    start: Array | None

    def __call__(self) -> Solution | None:
        return solve_left_out(self.problems, self.table, self.weights, self.folds, self.start)

    @property
    def kind(self) -> Hashable:
        """What jobs have in common that can be done at once, None if they cannot."""
        if isinstance(self.table, LabelledTable):
            return None
        return LeftOut, id(self.table), id(self.folds)

    def results_with(self, others: Sequence[LeftOut]) -> Sequence[Any]:
        """Solutions of the job and of others of its kind."""
        jobs = [self, *others]
        problems = [problem for job in jobs for problem in job.problems]
        weights = np.hstack([job.weights for job in jobs])
        whole: Any = replace(self, problems=problems, weights=weights)()
        if whole is None:
            return [None] * len(jobs)
        ends = np.cumsum([len(job.problems) for job in jobs]).tolist()
        return [whole.of(slice(*ends)) for ends in pairwise([0, *ends])]


def solve_left_out(
    problems: Sequence[Any],
    table: Table,
    weights: Array,
    folds: Sequence[Rows] | None,
    start: Array | None,
) -> Solution | None:
    """Each problem under its column of `weights` (n, K), left out of each fold if there are folds.

    `start` is where an earlier solution has come to. None if there are too many columns for the
    rows, folds for the memory, or coefficients for an exact solution.
    """
    if isinstance(table, LabelledTable):
        if folds is None:
            is_last = start is not None and len(start) > 1  # after folds, it is asked for once
            exact = table.has_hessians if is_last else table.solves_often(len(problems))
            return solve_exactly(problems, table, weights, start) if exact else None
        if start is None and len(problems) == 1:
            return solve_one(problems[0], table, weights, folds)
        effort = SETTLE if start is None else ONE_STEP
        return solve_logistic(problems, table, weights, folds, start, effort)
    n_folds = 1 if folds is None else len(folds)
    if is_wide(table) or not fits_memory(n_folds, table):
        return None
    return solve_least_squares(problems, table, weights, folds)


def solve_all_rows(
    problems: Sequence[Any],
    table: Table,
    weights: Array,
    left_out: Solution,
    before: Solution | None = None,
) -> Solution | None:
    """Each problem solved on all rows, after its solution on all folds but one each.

    The steps of logistic problems begin where those of the iteration `before` have come, or at the
    mean of the coefficients over the folds.
    """
    solution = left_out.of_all_rows()
    if solution is None and isinstance(table, LabelledTable):
        near = before and before.of_all_rows()
        start, effort = (near.start, NEARER) if near else (left_out.start, NEARLY)
        return solve_nearly(problems, table, weights, start, effort, predicts=False)
    return solution


def leaves_one_out(problem: Problem | None) -> bool:
    """Whether a problem's predictions without one row at a time have a closed form.

    A standardised one's have not: the scale that the penalty refers to changes with each row. Nor
    have those of a penalty that is found: it changes too.
    """
    if not isinstance(problem, LeastSquares):
        return False
    return not (problem.is_sought or problem.scaled)


def solve_one_out(
    problems: Sequence[Any], table: Table, weights: Array, rank: Rows
) -> Solution | None:
    """Each problem under its column of `weights` (n, K), each row predicted from all others.

    Rows of equal `rank` are copies, and left out together.
    """
    if not isinstance(table, OutputTable) or not fits_memory(len(problems), table):
        return None
    return solve_least_squares_one_out(problems, table, weights, rank)
