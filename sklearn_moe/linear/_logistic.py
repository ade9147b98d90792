"""Logistic regression for many weightings and folds at once, from where the last solution was.

Newton steps for all experts and folds share their passes over the rows (`logit.FoldedLogits`).
While EM runs across folds, a few for each iteration are enough: the responsibilities will change.
An exact solution is that of scikit-learn's own estimator at a tight tolerance. Where but one class
has weight outside a fold, or the steps do not end, the estimator is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array, Rows, columns_of, row_blocks, rows_of, sums_of_others
from ..logit import (
    SETTLED,
    FoldedLogits,
    class_weights,
    folded_logits,
    proba_columns,
    scores_of,
)
from ._indicators import FOURTH, squared_half_differences, sums_of_powers
from ._labelled_table import LabelledTable, Logistic
from ._plain import NOTHING, without_scaler


class Effort(NamedTuple):
    """How many steps a solution may take, and what change ends them.

    That of a score where folds are left out, else of the objective, in nats per unit of weight.
    """

    n_steps: int
    last: float


# An iteration of EM goes a step further; from nothing, steps are to settle.
ONE_STEP, SETTLE = Effort(1, SETTLED), Effort(30, SETTLED)
# For those who judge, a few steps are near enough: where classes can be told apart, scores grow for
# ever. Those that go on from where the iteration before has ended may end at a larger gain.
NEARLY, GOING_ON = Effort(20, 1e-5), Effort(20, 1e-4)
# Those that are kept end where no score changes by more.
EXACTLY, LAST_CHANGE = Effort(60, 1e-9), 1e-7
# The highest power of columns that variances need.
SECOND = 2
# Of the variance of a column in the whole table; less is rounding.
SMALLEST_VARIANCE = 1e-10


@dataclass(frozen=True)
class LogisticSolution:
    """Coefficients (F, K, C - 1, p + 1), out-of-fold probabilities (n, K, C), what holds (F, K).

    The `units` are those of the table, without its rows. Classes that are `absent` (F, K, C) have
    no weight in a problem. An exact solution took `n_iter` steps. If new rows are to be predicted,
    `whole` is nearly the solution for all rows. It `is_far` if the experts have been given other
    rows since.
    """

    problems: Sequence[Logistic]
    units: LabelledTable
    theta: Array
    mean: Array
    solved: NDArray[np.bool_]
    absent: NDArray[np.bool_]
    n_iter: int = 0
    whole: LogisticSolution | None = None
    is_far: bool = False

    def handed_on(self, experts: Rows) -> LogisticSolution:
        """Where others begin, who go on from the `experts` at some positions with other rows."""
        return replace(
            self,
            problems=[self.problems[k] for k in experts],
            theta=self.theta[:, experts],
            mean=NOTHING,
            solved=self.solved[:, experts],
            absent=self.absent[:, experts],
            whole=self.whole and self.whole.handed_on(experts),
            is_far=True,
        )

    @property
    def without_predictions(self) -> LogisticSolution:
        """What is kept of it while EM goes on."""
        return replace(self, mean=NOTHING)

    def of_all_rows(self) -> LogisticSolution | None:
        """One that leaves no row out; None if it has to be searched for."""
        return self if len(self.theta) == 1 else None

    def for_new_rows(self) -> LogisticSolution | None:
        """One that has seen all rows, at least nearly; None if it has to be searched for."""
        return self.whole or self.of_all_rows()

    def predict_new(self, X: NDArray) -> Array:
        """Class probabilities (m, K, C) of new rows under the coefficients of the first fold."""
        weights = class_weights(self.theta[0], self.absent[0])
        proba = proba_columns(scores_of(self.units.standardised(X), weights))
        return proba.transpose(2, 0, 1)

    def polish(self, estimator: Any, problem: int) -> None:
        """Give an `estimator` that was fitted without steps its coefficients and its tolerance."""
        coef, intercept = self._coefficients(problem)
        last, scaled = without_scaler(estimator)
        if scaled:
            scaler = estimator.steps[0][1]
            intercept, coef = intercept + coef @ scaler.mean_, coef * scaler.scale_
        last.coef_[:], last.intercept_[:], last.n_iter_[:] = coef, intercept, self.n_iter
        last.set_params(tol=self.problems[problem].tol)

    def _coefficients(self, problem: int) -> tuple[Array, Array]:
        """`coef_` and `intercept_` of one problem of the first fold, in units of the features."""
        weights = class_weights(self.theta[0, problem])[~self.absent[0, problem]]
        if len(weights) == 2:
            weights = weights[1:] - weights[:1]
        coef = weights[:, :-1] / self.units.scale
        return coef, weights[:, -1] - coef @ self.units.center


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
        """Coefficients to begin from: those of `previous` ones, of all folds together, or zero."""
        shape = *self.absent.shape[:2], self.table.n_classes - 1, self.table.shape[1] + 1
        if previous is None:
            return np.zeros(shape)
        return previous if len(previous) == shape[0] else previous.mean(axis=0)[None]

    def targets(self, rows: Any) -> tuple[Array, Array]:
        """Weights (K, C, B) of some rows under their classes, and in all (K, B)."""
        total = columns_of(self.columns, rows)
        return total[:, None] * self.table.indicators(rows), total

    def whole_steps(self, previous: Array | None, effort: Effort) -> tuple[Array, int]:
        """Coefficients of logits that see all rows after whole steps, and how many these were."""
        theta = self.begin(previous)
        gain, n_steps = np.inf, 0
        while n_steps < effort.n_steps and gain >= effort.last:
            theta, _, gain = self.logits.whole_step(theta, self.targets)
            n_steps += 1
        return theta, n_steps

    def damped_steps(self, previous: Array | None, effort: Effort) -> Array:
        """Coefficients of logits left out of folds, each of which rests when it has settled."""
        theta, moving, task = self.begin(previous).copy(), np.arange(len(self.problems)), self
        for _ in range(effort.n_steps):
            theta[:, moving], moved = task.logits.step(theta[:, moving], task.targets)
            goes_on = np.any((moved >= effort.last) & task.solvable, axis=0)
            if not goes_on.any():
                break
            if not goes_on.all():
                moving, task = moving[goes_on], task.take(goes_on)
        return theta

    def take(self, some: NDArray[np.bool_]) -> Weighted:
        """Some of the problems."""
        problems = [problem for problem, is_one in zip(self.problems, some, strict=True) if is_one]
        logits, columns = self.logits.take(some), self.columns[some]
        return Weighted(problems, self.table, logits, columns, self.absent[:, some])

    def solution(
        self, theta: Array, solved: NDArray[np.bool_], predicts: bool = True
    ) -> LogisticSolution:
        """What the coefficients come to, for problems that are `solved` (F, K)."""
        theta, proba = np.where(solved[..., None, None], theta, 0.0), NOTHING
        if predicts:
            log_proba = self.logits.log_proba(theta)
            proba = np.exp(log_proba, out=log_proba).transpose(2, 0, 1)
        units = self.table.without_rows
        return LogisticSolution(self.problems, units, theta, proba, solved, self.absent)


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
    # Of two classes scikit-learn penalises the one vector of differences, which counts double.
    twice = np.where(n_present == 2, 2.0, 1.0)[..., None]
    logits = folded_logits(
        table,
        None if folds is None else list(folds),
        twice * _ridge(problems, table, weights, folds),
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
    return task.solution(task.damped_steps(previous, effort), task.solvable)


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
    """A single problem under `weight` (n, 1), left out of each fold, which EM will not go on with.

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
    theta, solved = by_fold.theta.swapaxes(0, 1), by_fold.solved.T
    absent = by_fold.absent.swapaxes(0, 1)
    return LogisticSolution([problem], by_fold.units, theta, mean, solved, absent)


def solve_exactly(
    problems: Sequence[Logistic],
    table: LabelledTable,
    weights: Array,
    previous: Array | None = None,
) -> LogisticSolution | None:
    """Each problem on all rows, to the last digits. It is not solved where steps do not end."""
    task = _weighted(problems, table, weights, None, exact=True)
    if task is None:
        return None
    theta, n_steps = task.whole_steps(previous, EXACTLY)
    moved = np.full(task.solvable.shape, np.inf)
    while n_steps < EXACTLY.n_steps and not (moved[task.solvable] < LAST_CHANGE).all():
        theta, moved = task.logits.step(theta, task.targets)
        n_steps += 1
    return replace(task.solution(theta, task.solvable & (moved < LAST_CHANGE)), n_iter=n_steps)


def _class_mass(table: LabelledTable, weights: Array, folds: Sequence[Rows] | None) -> Array:
    """Weight (F, K, C) of each class for each problem, outside each fold."""
    parts = [slice(None)] if folds is None else folds
    inside = np.stack([(table.indicators(rows) @ weights[rows]).T for rows in parts])
    return inside if folds is None else sums_of_others(inside)


def _ridge(
    problems: Sequence[Logistic], table: LabelledTable, weights: Array, folds: Sequence[Rows] | None
) -> Array:
    """Penalties (F, K, p + 1) in the units of the table; none for the intercept."""
    n_folds = len(folds or [None])
    ridge = np.zeros((n_folds, len(problems), table.shape[1] + 1))
    for k, problem in enumerate(problems):
        ridge[:, k, :-1] = 1.0 / problem.C / table.scale**2
    scaled = [k for k, problem in enumerate(problems) if problem.scaled]
    if scaled:
        halves = np.array([[problems[k].halves] for k in scaled])
        units = _squared_units(table, weights[:, scaled], folds, halves)
        ridge[:, scaled, :-1] *= units * table.scale**2
    return ridge


def _squared_units(
    table: LabelledTable, weights: Array, folds: Sequence[Rows] | None, halves: NDArray[np.bool_]
) -> Array:
    """Squares (F, K, p) of the units of columns outside each fold, in those of the table.

    They are variances or, of indicators and problems (K, 1) that `halves` them, half differences.
    """
    parts: Sequence[Rows | None] = [None] if folds is None else folds
    highest = FOURTH if halves.any() else SECOND
    inside = np.array([_sums_of_powers(table, weights, rows, highest) for rows in parts])
    sums = np.moveaxis(inside if folds is None else sums_of_others(inside), 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        total, first, second = sums[:3]
        variance = np.nan_to_num(second / total - (first / total) ** 2)
    units = variance
    if halves.any():
        squares = squared_half_differences(sums)
        units = np.where(halves & (squares > 0), squares, variance)
    # What is constant in a region gets no coefficient under any penalty.
    return np.where(variance > SMALLEST_VARIANCE, units, 1.0)


def _sums_of_powers(table: LabelledTable, weights: Array, rows: Rows | None, highest: int) -> Array:
    """Weighted sums (highest + 1, K, p) of powers of columns over some rows (all, if None)."""
    sums = np.zeros((highest + 1, weights.shape[1], table.shape[1]))
    for place in row_blocks(table.shape[0] if rows is None else len(rows), table.shape[1]):
        piece = place if rows is None else rows[place]
        Z, weight = table.standardised(rows_of(table.X, piece)), rows_of(weights, piece).T
        sums += sums_of_powers(Z, weight, highest)
    return sums
