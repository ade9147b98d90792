"""Log-linear regression for many weightings and folds at once, each from its last solution.

A mean is the exponential of a score, and the loss is half the deviance of a Tweedie law, of which
Poisson and gamma are the ends. All experts and folds share each pass over the rows. A step is
Newton's, damped just so much that descent is certain (Sun and Tran-Dinh, 2019): between those ends,
no third derivative of a row's loss is larger than the second. Each fold has a Hessian of its own:
with that of another fold, which a single large output may dominate, it would rest before it is
solved. An exact solution is that of scikit-learn's own estimator at a tight tolerance; where none
is found, the estimator is asked.

T. Sun and Q. Tran-Dinh, "Generalized self-concordant functions: a recipe for Newton-type methods",
Mathematical Programming 178, 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array, Rows, columns_of, sums_of_others
from ..logit import (
    damped_size,
    design_sums,
    fold_blocks,
    learners_of,
    newton_step,
    numbers_of,
    scores_of,
    sums_of_rows,
    weighted_design_grams,
    weights_of_numbers,
    whole,
)
from ._plain import NOTHING
from ._positive_table import GAMMA, POISSON, LogLinear, PositiveTable
from ._ridges import ridges
from ._search import Effort, SearchedSolution, damped_steps

# Scores at most this far from the log mean output count: means beyond are out of all proportion.
FARTHEST = 300.0
# A search for coefficients that are kept ends when no score changes by more than the last.
EXACTLY = Effort(60, 3e-5)


@dataclass(frozen=True, kw_only=True)
class LogLinearSolution(SearchedSolution):
    """Coefficients (F, K, p + 1), and means (n, K, 1)."""

    def predict_new(self, X: NDArray) -> Array:
        """Means (m, K, 1) of new rows under the coefficients of the first fold."""
        return _means(scores_of(self.units.standardised(X), self.theta[0]), self.units.level)

    def coefficients(self, problem: int) -> tuple[Array, Array]:
        """Coefficients of a problem of the first fold, and intercept, in units of the features."""
        weights = self.theta[0, problem]
        coef = weights[:-1] / self.units.scale
        return coef, weights[-1] - coef @ self.units.center

    def hand_over(self, estimator: Any, coef: Array, intercept: Array) -> None:
        """Set coefficients, in the units of the last step of the estimator's pipeline."""
        estimator.coef_[:], estimator.n_iter_ = coef, self.n_iter
        estimator.intercept_ = intercept.astype(estimator.coef_.dtype)


@dataclass(frozen=True)
class Weighted:
    """Problems under their weights `columns` (K, n), left out of each fold (None: of none).

    `level` (F, K) are logs of mean outputs. Problems are `solvable` (F, K) if these are finite, and
    all outputs are allowed.
    """

    problems: Sequence[LogLinear]
    table: PositiveTable
    folds: Sequence[Rows] | None
    columns: Array
    ridge: Array
    level: Array
    solvable: NDArray[np.bool_]

    def begin(self, previous: LogLinearSolution | None) -> Array:
        """Coefficients to begin from: `previous` ones, their mean over folds, or levels alone."""
        theta = np.zeros_like(self.ridge)
        theta[..., -1] = self.level
        if previous is None:
            return theta
        if len(previous.theta) == len(theta):
            return np.where(previous.solved[..., None], previous.theta, theta)
        solved = np.all(previous.solved, axis=0, keepdims=True)
        return np.where(solved[..., None], previous.theta.mean(axis=0), theta)

    def step(self, theta: Array) -> tuple[Array, Array]:
        """Coefficients after one damped step, and how far (F, K) it moves any score."""
        direction = self._direction(theta)
        largest = self._largest_change(direction)
        return theta + damped_size(largest)[..., None] * direction, largest

    def _blocks(self, weights: Array) -> Iterator[tuple[int, Any, Any, Array]]:
        """Fold, rows, design and scores (F', K, B) of blocks, under `weights` of their numbers.

        The scores are those of the folds that learn from the rows.
        """
        n_folds, n_problems, _ = weights.shape
        learners = learners_of(n_folds, self.folds is not None)
        for fold, rows, Z in fold_blocks(self.table, self.folds, n_folds * n_problems):
            yield fold, rows, Z, scores_of(numbers_of(Z), weights[learners[fold]])

    def _direction(self, theta: Array) -> Array:
        """Newton directions (F, K, p + 1)."""
        n_folds, n_problems, width = theta.shape
        learners, powers = learners_of(n_folds, self.folds is not None), self._powers
        gradient = np.zeros_like(theta)
        hessian = np.zeros((n_folds, n_problems, width, width))
        for fold, rows, Z, scores in self._blocks(weights_of_numbers(self.table, theta)):
            weight = columns_of(self.columns, rows)
            slope, bend = _derivatives(_near(scores, self.table.level), self.table.y[rows], powers)
            slope *= weight
            bend *= weight
            gradient[learners[fold]] += design_sums(numbers_of(Z), slope)
            grams = weighted_design_grams(whole(Z), bend.reshape(-1, bend.shape[-1]))
            hessian[learners[fold]] += grams.reshape(*bend.shape[:2], width, width)
        gradient = sums_of_rows(self.table, gradient) + self.ridge * theta
        diagonal = np.arange(width)
        hessian[..., diagonal, diagonal] += self.ridge
        direction = np.zeros_like(theta)
        for cell in zip(*np.nonzero(self.solvable), strict=True):
            direction[cell] = -_scaled_step(hessian[cell], gradient[cell])
        return direction

    def _largest_change(self, direction: Array) -> Array:
        """How far (F, K) whole steps would move the score of any row that has weight."""
        largest = np.zeros(direction.shape[:2])
        learners = learners_of(len(direction), self.folds is not None)
        for fold, rows, _, change in self._blocks(weights_of_numbers(self.table, direction)):
            change[..., columns_of(self.columns, rows) == 0] = 0.0
            furthest = np.maximum(change.max(axis=-1), -change.min(axis=-1))
            largest[learners[fold]] = np.maximum(largest[learners[fold]], furthest)
        return largest

    @property
    def _powers(self) -> Array:
        return np.array([[problem.power] for problem in self.problems])

    def take(self, some: NDArray[np.bool_]) -> Weighted:
        """Some of the problems."""
        return replace(
            self,
            problems=[self.problems[k] for k in np.flatnonzero(some).tolist()],
            columns=self.columns[some],
            ridge=self.ridge[:, some],
            level=self.level[:, some],
            solvable=self.solvable[:, some],
        )

    def solution(
        self, theta: Array, solved: NDArray[np.bool_], n_iter: int, predicts: bool = True
    ) -> LogLinearSolution:
        """The solution with these coefficients, for problems that are `solved` (F, K)."""
        solved = solved & np.isfinite(theta).all(axis=-1)
        theta = np.where(solved[..., None], theta, 0.0)
        return LogLinearSolution(
            problems=self.problems,
            units=self.table.without_rows,
            theta=theta,
            mean=self._means(theta) if predicts else NOTHING,
            solved=solved,
            n_iter=n_iter,
        )

    def _means(self, theta: Array) -> Array:
        """Means (n, K, 1) of rows under the coefficients of their own fold."""
        scores = np.empty_like(self.columns)
        weights = weights_of_numbers(self.table, theta)
        for fold, rows, Z in fold_blocks(self.table, self.folds, len(scores)):
            scores[:, rows] = scores_of(numbers_of(Z), weights[fold])
        return _means(scores, self.table.level)


def solve_left_out(
    problems: Sequence[LogLinear],
    table: PositiveTable,
    weights: Array,
    folds: Sequence[Rows],
    previous: LogLinearSolution | None,
    effort: Effort,
) -> LogLinearSolution:
    """Each problem under its column of `weights` (n, K), left out of each fold."""
    task = _weighted(problems, table, weights, folds)
    theta, _, n_iter = damped_steps(task, task.begin(previous), effort)
    return task.solution(theta, task.solvable, n_iter)


def solve_nearly(
    problems: Sequence[LogLinear],
    table: PositiveTable,
    weights: Array,
    previous: LogLinearSolution,
    effort: Effort,
) -> LogLinearSolution:
    """Each problem on all rows, as far as some steps lead, without predictions."""
    task = _weighted(problems, table, weights, None)
    theta, _, n_iter = damped_steps(task, task.begin(previous), effort)
    return task.solution(theta, task.solvable, n_iter, predicts=False)


def solve_exactly(
    problems: Sequence[LogLinear],
    table: PositiveTable,
    weights: Array,
    previous: LogLinearSolution | None = None,
) -> LogLinearSolution:
    """Each problem on all rows, to the last digits; those whose steps do not end are unsolved."""
    task = _weighted(problems, table, weights, None)
    theta, moved, n_iter = damped_steps(task, task.begin(previous), EXACTLY)
    return task.solution(theta, task.solvable & (moved < EXACTLY.last), n_iter)


def _weighted(
    problems: Sequence[LogLinear],
    table: PositiveTable,
    weights: Array,
    folds: Sequence[Rows] | None,
) -> Weighted:
    total, amount, zeros = _masses(table, weights, folds)
    no_zeros = np.array([problem.power == GAMMA for problem in problems])
    solvable = (amount > 0) & ~(no_zeros & (zeros > 0))
    level = np.log(np.where(solvable, amount, 1.0) / np.where(solvable, total, 1.0))
    costs = np.array([problem.alpha for problem in problems]) * total
    return Weighted(
        problems=problems,
        table=table,
        folds=None if folds is None else list(folds),
        columns=np.ascontiguousarray(weights.T),
        ridge=ridges(problems, costs, table, weights, folds),
        level=level,
        solvable=solvable,
    )


def _masses(table: PositiveTable, weights: Array, folds: Sequence[Rows] | None) -> Array:
    """Sums (3, F, K) of weights, outputs, and weights of outputs of zero, outside each fold."""
    parts = [slice(None)] if folds is None else folds
    telling = np.stack([np.ones_like(table.y), table.y, table.y == 0])
    inside = np.stack([telling[:, rows] @ weights[rows] for rows in parts])
    return (inside if folds is None else sums_of_others(inside)).transpose(1, 0, 2)


def _near(scores: Array, level: float) -> Array:
    """Scores, held within `FARTHEST` of a `level`."""
    return np.clip(scores, level - FARTHEST, level + FARTHEST)


def _means(scores: Array, level: float) -> Array:
    """Means (n, K, 1) of scores (K, n)."""
    return np.exp(_near(scores, level))[..., None].swapaxes(0, 1)


def _scaled_step(hessian: Array, gradient: Array) -> Array:
    """The step of a system whose columns may be of any size; it is overwritten."""
    scale = 1.0 / np.sqrt(np.maximum(hessian.diagonal(), np.finfo(np.float64).tiny))
    hessian *= scale[:, None] * scale
    return scale * newton_step(hessian, scale * gradient)


def _derivatives(scores: Array, y: Array, powers: Array) -> tuple[Array, Array]:
    """First and second of half the deviance by the scores (F, K, B), for `powers` (K, 1)."""
    mean = np.exp(scores)
    if (powers == POISSON).all():
        return mean - y, mean
    share = np.exp((1.0 - powers) * scores)
    drawn, held = mean * share, y * share
    return drawn - held, (2.0 - powers) * drawn + (powers - 1.0) * held
