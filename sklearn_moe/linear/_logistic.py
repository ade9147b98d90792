"""Logistic regression for many weightings and folds at once, each from its last solution.

Newton steps for all experts and folds share their passes over the rows (`logit.FoldedLogits`).
While EM runs across folds, a few steps for each iteration are enough: the responsibilities will
change. An exact solution is that of scikit-learn's own estimator at a tight tolerance. If only one
class has weight outside a fold, or the steps do not end, the estimator is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array, Rows, columns_of, sums_of_others
from ..logit import (
    FoldedLogits,
    among_present,
    class_weights,
    folded_logits,
    proba_columns,
    scores_of,
)
from ._labelled_table import LabelledTable, Logistic
from ._plain import NOTHING
from ._ridges import ridges
from ._search import Effort, SearchedSolution, damped_steps

# To judge, a few steps are near enough: where classes can be told apart, scores grow for ever. A
# search that goes on from the iteration before may end at a larger gain.
NEARLY, GOING_ON = Effort(20, 1e-5), Effort(20, 1e-4)
# A search for coefficients that are kept ends when no score changes by more than the last.
EXACTLY, LAST_CHANGE = Effort(60, 1e-9), 1e-7


@dataclass(frozen=True, kw_only=True)
class LogisticSolution(SearchedSolution):
    """Coefficients (F, K, C - 1, p + 1), and probabilities (n, K, C).

    Classes that are `absent` (F, K, C) have no weight in a problem.
    """

    absent: NDArray[np.bool_]

    def handed_on(self, experts: Rows) -> LogisticSolution:
        """Where other experts begin, which go on from `experts` (positions) with other rows."""
        return replace(super().handed_on(experts), absent=self.absent[:, experts])

    def predict_new(self, X: NDArray) -> Array:
        """Class probabilities (m, K, C) of new rows under the coefficients of the first fold."""
        weights = class_weights(self.theta[0], self.absent[0])
        proba = proba_columns(scores_of(self.units.standardised(X), weights))
        return proba.transpose(2, 0, 1)

    def coefficients(self, problem: int) -> tuple[Array, Array]:
        """Coefficients of a problem of the first fold, and intercepts, in units of the features."""
        weights = class_weights(self.theta[0, problem])[~self.absent[0, problem]]
        if len(weights) == 2:
            weights = weights[1:] - weights[:1]
        coef = weights[:, :-1] / self.units.scale
        return coef, weights[:, -1] - coef @ self.units.center

    def hand_over(self, estimator: Any, coef: Array, intercept: Array) -> None:
        """Set coefficients, in the units of the last step of the estimator's pipeline."""
        estimator.coef_[:], estimator.intercept_[:] = coef, intercept
        estimator.n_iter_[:] = self.n_iter


@dataclass(frozen=True)
class Weighted:
    """Problems under their weights `columns` (K, n), of which classes may be `absent` (F, K, C)."""

    problems: Sequence[Logistic]
    table: LabelledTable
    logits: FoldedLogits
    columns: Array
    absent: NDArray[np.bool_]

    @property
    def solvable(self) -> NDArray[np.bool_]:
        """Which problems (F, K) have two classes to tell apart."""
        return np.asarray((~self.absent).sum(axis=-1) > 1)

    def begin(self, previous: Array | None) -> Array:
        """Coefficients to begin from: the `previous` ones, their mean over folds, or zero."""
        shape = *self.absent.shape[:2], self.table.n_classes - 1, self.table.shape[1] + 1
        if previous is None:
            return np.zeros(shape)
        theta = previous if len(previous) == shape[0] else previous.mean(axis=0)[None]
        return among_present(theta, self.logits.absent)

    def targets(self, rows: Any) -> tuple[Array, Array]:
        """Weights (K, C, B) of some rows by class, and over all classes (K, B)."""
        total = columns_of(self.columns, rows)
        return total[:, None] * self.table.indicators(rows), total

    def whole_steps(self, previous: Array | None, effort: Effort) -> tuple[Array, int]:
        """Coefficients of logits that see all rows, after whole steps, and the number of steps."""
        theta = self.begin(previous)
        gain, n_steps = np.inf, 0
        while n_steps < effort.n_steps and gain >= effort.last:
            theta, _, gain = self.logits.whole_step(theta, self.targets)
            n_steps += 1
        return theta, n_steps

    def step(self, theta: Array) -> tuple[Array, Array]:
        """Coefficients after one damped step, and how far (F, K) it moves any score."""
        return self.logits.step(theta, self.targets)

    def take(self, some: NDArray[np.bool_]) -> Weighted:
        """Some of the problems."""
        problems = [problem for problem, is_one in zip(self.problems, some, strict=True) if is_one]
        logits, columns = self.logits.take(some), self.columns[some]
        return Weighted(problems, self.table, logits, columns, self.absent[:, some])

    def solution(
        self, theta: Array, solved: NDArray[np.bool_], predicts: bool = True
    ) -> LogisticSolution:
        """The solution with these coefficients, for problems that are `solved` (F, K)."""
        theta, proba = np.where(solved[..., None, None], theta, 0.0), NOTHING
        if predicts:
            log_proba = self.logits.log_proba(theta)
            proba = np.exp(log_proba, out=log_proba).transpose(2, 0, 1)
        units = self.table.without_rows
        return LogisticSolution(
            problems=self.problems,
            units=units,
            theta=theta,
            mean=proba,
            solved=solved,
            absent=self.absent,
        )


def _weighted(
    problems: Sequence[Logistic],
    table: LabelledTable,
    weights: Array,
    folds: Sequence[Rows] | None,
    exact: bool = False,
) -> Weighted | None:
    """The problems under the columns of `weights`; None if all are left with a single class."""
    absent = _class_mass(table, weights, folds) == 0
    n_present = (~absent).sum(axis=-1)
    if n_present.max() < 2:
        return None
    # For two classes scikit-learn penalises the one vector of differences, which counts double.
    twice = np.where(n_present == 2, 2.0, 1.0)[..., None]
    costs = 1.0 / np.array([[problem.C for problem in problems]])
    logits = folded_logits(
        table,
        None if folds is None else list(folds),
        twice * ridges(problems, costs, table, weights, folds),
        exact,
        table.n_distinct,
        absent if absent.any() else None,
    )
    return Weighted(problems, table, logits, np.ascontiguousarray(weights.T), absent)


def solve_left_out(
    problems: Sequence[Logistic],
    table: LabelledTable,
    weights: Array,
    folds: Sequence[Rows],
    previous: Array | None,
    effort: Effort,
) -> LogisticSolution | None:
    """Each problem under its column of `weights` (n, K), left out of each fold.

    `previous` are coefficients to begin from. None if all problems are left with a single class.
    """
    task = _weighted(problems, table, weights, folds)
    if task is None:
        return None
    return task.solution(damped_steps(task, task.begin(previous), effort)[0], task.solvable)


def solve_nearly(
    problems: Sequence[Logistic],
    table: LabelledTable,
    weights: Array,
    previous: Array | None,
    effort: Effort = NEARLY,
    predicts: bool = True,
) -> LogisticSolution | None:
    """Each problem on all rows, as far as some whole steps lead."""
    exact = table.affords_hessians(len(problems))
    task = _weighted(problems, table, weights, None, exact)
    if task is None:
        return None
    theta, _ = task.whole_steps(previous, effort)
    return task.solution(theta, task.solvable, predicts)


def solve_one(
    problem: Logistic, table: LabelledTable, weight: Array, folds: Sequence[Rows]
) -> LogisticSolution | None:
    """A single problem under `weight` (n, 1), left out of each fold, if EM will not go on from it.

    It is nearly solved for each fold by itself, as it will be on all rows.
    """
    weights = np.repeat(weight, len(folds), axis=1)
    for fold, rows in enumerate(folds):
        weights[rows, fold] = 0.0
    by_fold = solve_nearly([problem] * len(folds), table, weights, None)
    if by_fold is None:
        return None
    mean = np.empty((len(weight), 1, table.n_classes))
    for fold, rows in enumerate(folds):
        mean[rows, 0] = by_fold.mean[rows, fold]
    return LogisticSolution(
        problems=[problem],
        units=by_fold.units,
        theta=by_fold.theta.swapaxes(0, 1),
        mean=mean,
        solved=by_fold.solved.T,
        absent=by_fold.absent.swapaxes(0, 1),
    )


def solve_exactly(
    problems: Sequence[Logistic],
    table: LabelledTable,
    weights: Array,
    previous: Array | None = None,
) -> LogisticSolution | None:
    """Each problem on all rows, to the last digits; those whose steps do not end are unsolved."""
    task = _weighted(problems, table, weights, None, exact=True)
    if task is None:
        return None
    theta, n_steps = task.whole_steps(previous, EXACTLY)
    moved = np.full(task.solvable.shape, np.inf)
    while n_steps < EXACTLY.n_steps and not (moved[task.solvable] < LAST_CHANGE).all():
        theta, moved = task.step(theta)
        n_steps += 1
    return replace(task.solution(theta, task.solvable & (moved < LAST_CHANGE)), n_iter=n_steps)


def _class_mass(table: LabelledTable, weights: Array, folds: Sequence[Rows] | None) -> Array:
    """Weight (F, K, C) of each class for each problem, outside each fold."""
    parts = [slice(None)] if folds is None else folds
    inside = np.stack([(table.indicators(rows) @ weights[rows]).T for rows in parts])
    return inside if folds is None else sums_of_others(inside)
