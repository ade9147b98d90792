"""One face for all kinds of linear experts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array, Rows
from ._labelled_table import Logistic, make_labelled_table
from ._labelled_table import recognise as recognise_logistic
from ._least_squares import LeastSquaresSolution
from ._least_squares import recognise as recognise_least_squares
from ._least_squares_bank import LeastSquaresBank
from ._log_linear import LogLinearSolution
from ._log_linear_bank import LogLinearBank
from ._logistic import LogisticSolution
from ._logistic_bank import LogisticBank
from ._output_table import LeastSquares, make_output_table
from ._plain import has_valid_params
from ._positive_table import LogLinear, make_positive_table
from ._positive_table import recognise as recognise_log_linear

Problem = LeastSquares | LogLinear | Logistic
Solution = LeastSquaresSolution | LogLinearSolution | LogisticSolution


class LinearBank(Protocol):
    """Plain linear experts over one table, whose problems are of the kind that it `suits`.

    If it `merges`, solutions are the same whether they are asked for one by one or at once. What
    cannot be solved here (None) is left to the estimators.
    """

    suits: ClassVar[type]
    merges: ClassVar[bool]

    def solve_left_out(
        self,
        problems: Sequence[Any],
        weights: Array,
        folds: Sequence[Rows] | None,
        previous: Any = None,
    ) -> Solution | None:
        """Each problem under its column of `weights` (n, K), on the rows outside each fold.

        Without folds, on all rows. The search may begin from the `previous` solution.
        """

    def solve_all_rows(
        self, problems: Sequence[Any], weights: Array, left_out: Any, before: Any = None
    ) -> Solution | None:
        """Each problem on all rows, at least nearly, after its solution on all folds but one.

        If new rows are asked about in each iteration, there is the solution of the iteration
        `before`.
        """


def recognise(estimator: Any) -> Problem | None:
    """The problem that `estimator` solves; None if it does anything else, or would refuse."""
    if not has_valid_params(estimator):
        return None
    for kind in (recognise_least_squares, recognise_log_linear, recognise_logistic):
        if (problem := kind(estimator)) is not None:
            return problem
    return None


def make_bank(
    kind: type[Problem], X: Any, target: NDArray, n_classes: int | None, n_distinct: int
) -> LinearBank | None:
    """The bank for problems of a `kind`, or None if they do not suit the table.

    Targets are outputs (n, q), or class codes (n,).
    """
    if n_classes is not None:
        labels = make_labelled_table(X, target, n_classes, n_distinct) if kind is Logistic else None
        return None if labels is None else LogisticBank(labels)
    if kind is LogLinear:
        amounts = make_positive_table(X, target)
        return None if amounts is None else LogLinearBank(amounts)
    outputs = make_output_table(X, target) if kind is LeastSquares else None
    return None if outputs is None else LeastSquaresBank(outputs)


@dataclass(frozen=True, eq=False)
class LeftOut:
    """A job: to solve each problem left out of each fold.

    Jobs of one bank that merges, and of the same folds, are done as one, whoever asks for them.
    """

    problems: Sequence[Any]
    bank: LinearBank
    weights: Array
    folds: Sequence[Rows] | None
    previous: Solution | None

    def __call__(self) -> Solution | None:
        return self.bank.solve_left_out(self.problems, self.weights, self.folds, self.previous)

    @property
    def kind(self) -> Hashable:
        """A key that is equal for jobs that can be done at once; None if this one cannot."""
        return (LeftOut, id(self.bank), id(self.folds)) if self.bank.merges else None

    def results_with(self, others: Sequence[LeftOut]) -> Sequence[Any]:
        """Solutions of the job and of others of its kind."""
        jobs = [self, *others]
        problems = [problem for job in jobs for problem in job.problems]
        weights = np.hstack([job.weights for job in jobs])
        whole: Any = replace(self, problems=problems, weights=weights)()
        if whole is None:
            return [None] * len(jobs)
        ends = np.cumsum([len(job.problems) for job in jobs]).tolist()
        return [whole.take(slice(*ends)) for ends in pairwise([0, *ends])]
