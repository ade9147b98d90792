"""Logistic regression for many weightings and folds at once, from where the last solution was.

Newton steps for all experts and folds share their passes over the rows (`logit.FoldedLogits`).
While EM runs across folds, a few for each iteration are enough: the responsibilities will change.
An exact solution is that of scikit-learn's own estimator at a tight tolerance. Where a class is
missing outside a fold, or the steps do not end, the estimator is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from .._numeric import Array, Rows, columns_of, exact_means, row_blocks, rows_of, sums_of_others
from ..logit import (
    NEWTON_LIMIT,
    SETTLED,
    StandardisedRows,
    folded_logits,
    proba_columns,
    scores_of,
    sum_zero_basis,
)
from ._plain import NOTHING, finite_numbers, without_scaler


class Effort(NamedTuple):
    """How many steps a solution may take, and the change of scores at which it ends."""

    n_steps: int
    last: float


# An iteration of EM goes a step further; from nothing, or for those who judge, steps are to settle.
ONE_STEP, SETTLE, EXACTLY = Effort(1, SETTLED), Effort(30, SETTLED), Effort(50, 1e-7)
# So many coefficients of an expert move in steps for all folds at once, if there are more rows than
# columns; for more, and for exact solutions beyond Hessians, the estimator is asked.
MOST_COEFFICIENTS = 2500
# Of the variance of a column in the whole table; less is rounding.
SMALLEST_VARIANCE = 1e-10


@dataclass(frozen=True)
class Logistic:
    """The problem that a plain `LogisticRegression` solves: its inverse penalty `C`.

    If `scaled`, the features are first standardised under the same weights.
    """

    C: float
    scaled: bool
    is_loose = True
    is_light = False


def recognise(estimator: Any) -> Logistic | None:
    """The problem that `estimator` solves, or None if it does anything else."""
    estimator, scaled = without_scaler(estimator)
    if type(estimator) is not LogisticRegression:
        return None
    usual = {
        "penalty": ("l2", "deprecated"),
        "l1_ratio": (None, 0.0),
        "dual": (False,),
        "fit_intercept": (True,),
        "class_weight": (None,),
        "solver": ("lbfgs", "newton-cg", "newton-cholesky"),
        "multi_class": ("auto", "deprecated"),
        "warm_start": (False,),
    }
    params = estimator.get_params()
    plain = all(params.get(name, values[0]) in values for name, values in usual.items())
    return Logistic(float(estimator.C), scaled) if plain and np.isfinite(estimator.C) else None


@dataclass(frozen=True)
class LabelledTable(StandardisedRows):
    """Standardised features (n, p) and class codes (n,); `n_distinct` rows are no copies."""

    codes: Rows
    n_classes: int
    n_distinct: int | None = None

    suits = Logistic
    hands_out_numbers = False

    def __getitem__(self, rows: Any) -> Array:
        # Several problems use each block: it is worth making.
        return self.standardised(rows_of(self.X, rows))

    @property
    def has_hessians(self) -> bool:
        """Whether coefficients are so few that they are solved for exactly."""
        return _n_coefficients(self.shape, self.n_classes) <= NEWTON_LIMIT

    def indicators(self, rows: Any) -> Array:
        """Which class each row has (C, B)."""
        return (np.arange(self.n_classes)[:, None] == self.codes[rows]).astype(float)


def _n_coefficients(shape: tuple[int, ...], n_classes: int) -> int:
    return (n_classes - 1) * (shape[1] + 1)


def make_labelled_table(
    X: Any, codes: Rows, n_classes: int, n_distinct: int | None = None
) -> LabelledTable | None:
    """The table, or None if it does not suit steps for all experts and folds."""
    numbers = finite_numbers(X)
    if numbers is None or n_classes < 2:
        return None
    most = MOST_COEFFICIENTS if numbers.shape[0] > numbers.shape[1] else NEWTON_LIMIT
    if _n_coefficients(numbers.shape, n_classes) > most:
        return None
    (center, constant), spread = exact_means(numbers), numbers.std(axis=0, dtype=np.float64)
    spread = np.where(constant | (spread == 0), 1.0, spread)
    return LabelledTable(numbers, center, spread, codes, n_classes, n_distinct)


@dataclass(frozen=True)
class LogisticSolution:
    """Coefficients (F, K, C - 1, p + 1), out-of-fold probabilities (n, K, C), what holds (F, K)."""

    table: LabelledTable
    theta: Array
    mean: Array
    solved: NDArray[np.bool_]

    @property
    def without_predictions(self) -> LogisticSolution:
        """What is kept of it while EM goes on."""
        return replace(self, mean=NOTHING)

    @property
    def start(self) -> Array:
        """What the next solution may begin from."""
        return self.theta

    def of_all_rows(self) -> LogisticSolution | None:
        """One that leaves no row out; None if it has to be searched for."""
        return self if len(self.theta) == 1 else None

    def predict_new(self, X: NDArray) -> Array:
        """Class probabilities (m, K, C) of new rows under the coefficients of the first fold."""
        weights = sum_zero_basis(self.table.n_classes) @ self.theta[0]
        proba = proba_columns(scores_of(self.table.standardised(X), weights))
        return proba.transpose(2, 0, 1)

    def polish(self, estimator: Any, problem: int) -> None:
        """Make the coefficients of the fitted `estimator`, whose tolerance is loose, exact."""
        coef, intercept = self._coefficients(problem)
        last, scaled = without_scaler(estimator)
        if scaled:
            scaler = estimator.steps[0][1]
            intercept, coef = intercept + coef @ scaler.mean_, coef * scaler.scale_
        last.coef_[:], last.intercept_[:] = coef, intercept

    def _coefficients(self, problem: int) -> tuple[Array, Array]:
        """`coef_` and `intercept_` of one problem of the first fold, in units of the features."""
        weights = sum_zero_basis(self.table.n_classes) @ self.theta[0, problem]
        if self.table.n_classes == 2:
            weights = weights[1:] - weights[:1]
        coef = weights[:, :-1] / self.table.scale
        return coef, weights[:, -1] - coef @ self.table.center


def solve_left_out(
    problems: Sequence[Logistic],
    table: LabelledTable,
    weights: Array,
    folds: Sequence[Rows] | None,
    previous: Array | None = None,
    effort: Effort = EXACTLY,
) -> LogisticSolution | None:
    """Each problem under its column of `weights` (n, K), left out of each fold if there are folds.

    `previous` are coefficients to begin from. None if for each of them a class is missing.
    """
    exact = effort == EXACTLY
    present = np.all(_class_mass(table, weights, folds) > 0, axis=-1)
    if not present.any():
        return None
    theta = np.zeros((*present.shape, table.n_classes - 1, table.shape[1] + 1))
    if previous is not None:
        theta = previous if len(previous) == len(theta) else previous.mean(axis=0)[None]
    ridge, columns = _ridge(problems, table, weights, folds), np.ascontiguousarray(weights.T)
    rows = None if folds is None else list(folds)
    logits = folded_logits(table, rows, ridge, exact, table.n_distinct)

    def targets(rows: Any) -> tuple[Array, Array]:
        total = columns_of(columns, rows)
        return total[:, None] * table.indicators(rows), total

    for _ in range(effort.n_steps):
        theta, moved = logits.step(theta, targets)
        if moved[present].max(initial=0.0) < effort.last:
            break
    solved: NDArray[np.bool_] = present & (moved < effort.last) if exact else present
    theta = np.where(solved[..., None, None], theta, 0.0)
    log_proba = logits.log_proba(theta)
    proba = np.exp(log_proba, out=log_proba)
    return LogisticSolution(table, theta, proba.transpose(2, 0, 1), solved)


def _class_mass(table: LabelledTable, weights: Array, folds: Sequence[Rows] | None) -> Array:
    """Weight (F, K, C) of each class for each problem, outside each fold."""
    parts = [slice(None)] if folds is None else folds
    inside = np.stack([(table.indicators(rows) @ weights[rows]).T for rows in parts])
    return inside if folds is None else sums_of_others(inside)


def _ridge(
    problems: Sequence[Logistic], table: LabelledTable, weights: Array, folds: Sequence[Rows] | None
) -> Array:
    """Penalties (F, K, p + 1) in the units of the table; none for the intercept.

    With two classes scikit-learn penalises the one vector of differences, which counts double.
    """
    n_folds, twice = len(folds or [None]), 2.0 if table.n_classes == 2 else 1.0
    ridge = np.zeros((n_folds, len(problems), table.shape[1] + 1))
    for k, problem in enumerate(problems):
        ridge[:, k, :-1] = twice / problem.C / table.scale**2
    scaled = [k for k, problem in enumerate(problems) if problem.scaled]
    if scaled:
        variance = _variances(table, weights[:, scaled], folds)
        # What is constant in a region gets no coefficient under any penalty.
        units = np.where(variance > SMALLEST_VARIANCE, variance, 1.0)
        ridge[:, scaled, :-1] *= units * table.scale**2
    return ridge


def _variances(table: LabelledTable, weights: Array, folds: Sequence[Rows] | None) -> Array:
    """Weighted variances (F, K, p) of the columns outside each fold, in the units of the table."""
    parts: Sequence[Rows | None] = [None] if folds is None else folds
    inside = np.array([_moments(table, weights, rows) for rows in parts])
    moments = inside if folds is None else sums_of_others(inside)
    with np.errstate(divide="ignore", invalid="ignore"):
        total, first, second = np.moveaxis(moments, 1, 0)
        return np.nan_to_num(second / total - (first / total) ** 2)


def _moments(table: LabelledTable, weights: Array, rows: Rows | None) -> Array:
    """Weighted sums of ones, values and squares (3, K, p) of some rows (all, if None)."""
    sums = np.zeros((3, weights.shape[1], table.shape[1]))
    for place in row_blocks(table.shape[0] if rows is None else len(rows), table.shape[1]):
        piece = place if rows is None else rows[place]
        Z, weight = table[piece], rows_of(weights, piece).T
        sums[0] += weight.sum(axis=1)[:, None]
        sums[1] += weight @ Z
        sums[2] += weight @ Z**2
    return sums
