"""Linear regressors for many weightings and folds at once, from weighted Gram matrices.

One pass over the rows gives, for each expert and fold, the Gram matrix of intercept, features and
outputs. The matrix of the rows outside a fold is the sum of the other folds' matrices, so each row
is read only once. Predictions are those of scikit-learn's own estimator; a system that is too badly
conditioned for that is left to the estimator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs
from sklearn.linear_model import LinearRegression, Ridge

from .._grams import symmetric, weighted_grams
from .._numeric import Array, Rows, columns_of, experts_first, sums_of_others
from ._evidence import Spectrum
from ._evidence_ridge import EvidenceRidge
from ._output_table import LeastSquares, OutputTable
from ._plain import NOTHING, without_scaler

# Elements of Gram matrices: those of one bank, at most (128 MB), and those made at a time (32 MB).
LARGEST_BANK, AT_A_TIME = 2**24, 2**22
# Up to this many weights, for all rows and folds, most of them zero, one product makes all
# matrices.
FEW_WEIGHTS = 2**16
# Columns whose Gram matrices cost little, however few the rows.
FEW_COLUMNS = 256
# The part of a diagonal element that cancellation and elimination must leave: rounding of 1e-16
# over this is below 1e-8.
SMALLEST_PIVOT = 1e-7
# The least square of a singular value, beside the largest, that scikit-learn's least squares keep.
SMALLEST_PART = 1e-8


def recognise(estimator: Any) -> LeastSquares | None:
    """The problem that `estimator` solves, or None if it does anything else."""
    estimator, scaled = without_scaler(estimator)
    if type(estimator) is EvidenceRidge:
        return LeastSquares(np.nan, scaled)
    if not _is_plain(estimator):
        return None
    alpha = float(getattr(estimator, "alpha", 0.0))
    is_light = type(estimator) is Ridge and alpha > 0 and not scaled
    return LeastSquares(alpha, scaled, is_light)


def _is_plain(estimator: Any) -> bool:
    if type(estimator) is Ridge:
        if estimator.solver not in ("auto", "cholesky", "svd") or np.ndim(estimator.alpha):
            return False
    elif type(estimator) is not LinearRegression:
        return False
    return estimator.fit_intercept and not estimator.positive


def fits_memory(n_matrices: int, table: OutputTable) -> bool:
    """Whether so many Gram matrices of a table take little memory."""
    return n_matrices * table.width**2 <= LARGEST_BANK


def is_wide(table: OutputTable) -> bool:
    """Whether there are so many more columns than rows that estimators are faster by themselves."""
    return table.width > max(len(table.X), FEW_COLUMNS)


@dataclass(frozen=True)
class LeastSquaresSolution:
    """Coefficients (F, K, 1 + p, q), predictions (n, K, q) out of fold, what is `solved` (F, K).

    If there were folds, `whole` is the solution for all rows, without predictions. The `centers`
    are those of the table, without its rows.
    """

    centers: OutputTable
    coef: Array
    mean: Array
    solved: NDArray[np.bool_]
    whole: LeastSquaresSolution | None = None

    @property
    def without_predictions(self) -> LeastSquaresSolution:
        """What is kept of the solution while EM goes on."""
        return self.whole or replace(self, mean=NOTHING)

    def take(self, problems: slice) -> LeastSquaresSolution:
        """The solution of some of the problems."""
        coef, solved = self.coef[:, problems], self.solved[:, problems]
        whole = self.whole and self.whole.take(problems)
        mean = self.mean[:, problems] if self.mean.ndim > 1 else self.mean
        return LeastSquaresSolution(self.centers, coef, mean, solved, whole)

    def handed_on(self, experts: Rows) -> None:
        """None: the next solution does not depend on this one."""

    def of_all_rows(self) -> LeastSquaresSolution:
        """The solution that leaves no row out."""
        return self.whole or self

    def for_new_rows(self) -> LeastSquaresSolution:
        """The solution that has seen all rows."""
        return self.of_all_rows()

    def polish(self, estimator: Any, problem: int) -> None:
        """Give the light `estimator`, fitted to other rows, the coefficients on all rows."""
        coef, shape = self.coef[0, problem], np.shape(estimator.coef_)
        level = coef[0] + self.centers.y_center - self.centers.x_center @ coef[1:]
        coef = np.ascontiguousarray(coef[1:].T, dtype=estimator.coef_.dtype)
        estimator.coef_ = coef.reshape(shape)
        # In full precision: if the target is far from zero, float32 would lose digits.
        estimator.intercept_ = level.reshape(np.shape(estimator.intercept_))[()]

    def predict_new(self, X: NDArray) -> Array:
        """Predictions (m, K, q) of new rows under the coefficients of the first fold."""
        design = np.column_stack([np.ones(len(X)), X - self.centers.x_center])
        return _predict(design, self.coef[0]) + self.centers.y_center


def solve_left_out(
    problems: Sequence[LeastSquares],
    table: OutputTable,
    weights: Array,
    folds: Sequence[Rows] | None,
) -> LeastSquaresSolution:
    """Each problem under its column of `weights` (n, K), left out of each fold if there are folds.

    Each fold is predicted from all other rows; without folds, all rows from all rows. Where a
    system was not solved, its coefficients and predictions are not to be used.
    """
    parts: Sequence[Rows | None] = [None] if folds is None else folds
    size = max(1, AT_A_TIME // (len(parts) * table.width**2))
    groups = [slice(first, first + size) for first in range(0, len(problems), size)]
    found = [_coefficients(problems[g], table, weights[:, g], folds) for g in groups]
    coef, solved = (np.concatenate(pieces, axis=1) for pieces in zip(*found, strict=True))
    centers = table.without_rows
    if folds is None:
        return LeastSquaresSolution(centers, coef, _predict_parts(table, coef, parts), solved)
    whole = LeastSquaresSolution(centers, coef[-1:], NOTHING, solved[-1:])
    mean = _predict_parts(table, coef[:-1], parts)
    return LeastSquaresSolution(centers, coef[:-1], mean, solved[:-1], whole)


def _coefficients(
    problems: Sequence[LeastSquares],
    table: OutputTable,
    weights: Array,
    folds: Sequence[Rows] | None,
) -> tuple[Array, NDArray[np.bool_]]:
    """Coefficients (F, K, 1 + p, q) without each fold's rows, then with all; and which hold."""
    grams = _grams_of_parts(table, weights, folds)
    if folds is not None:
        grams = np.concatenate([sums_of_others(grams), grams.sum(axis=0)[None]])
    systems = _normal_equations(problems, grams, table.n_features)
    return systems.solve(), systems.solvable


def solve_one_out(
    problems: Sequence[LeastSquares], table: OutputTable, weights: Array, rank: Rows
) -> LeastSquaresSolution:
    """Each problem under its column of `weights` (n, K), each row predicted from all others.

    Rows of equal `rank` are copies, and left out together. If a row has leverage h, its residual
    without it is that of the fit to all rows over 1 - h; a problem with a row for which nothing is
    left of that is not solved.
    """
    grams = _weighted_grams(table, weights, None)[None]
    systems = _normal_equations(problems, grams, table.n_features)
    coef = systems.solve()
    left = 1.0 - _total_of_copies(weights, rank) * _leverages(table, systems)
    enough = (left >= SMALLEST_PIVOT).all(axis=0)
    residual = table.y[:, None] - _predict_parts(table, coef, [None])
    mean = table.y[:, None] - residual / np.where(enough, left, 1.0)[..., None]
    return LeastSquaresSolution(table.without_rows, coef, mean, systems.solvable & enough)


def _predict_parts(table: OutputTable, coef: Array, parts: Sequence[Rows | None]) -> Array:
    """Predictions (n, K, q): those of each part of the rows under its own coefficients."""
    mean = experts_first(len(table.y), coef.shape[1], coef.shape[3])
    for part_coef, rows in zip(coef, parts, strict=True):
        for piece, block in table.blocks(rows):
            mean[piece] = _predict(block[:, : 1 + table.n_features], part_coef)
    mean += table.y_center
    return mean


def _leverages(table: OutputTable, systems: NormalEquations) -> Array:
    """Leverages (n, K) of rows of weight one."""
    root = np.linalg.inv(systems.factor[0]).swapaxes(1, 2) * systems.scale[0, :, None]
    leverages = np.empty((len(table.y), len(root)))
    for piece, block in table.blocks(None):
        for k, (center, total) in enumerate(zip(systems.means[0], systems.total[0], strict=True)):
            around = (block - center)[:, 1 : 1 + table.n_features] @ root[k].T
            leverages[piece, k] = 1.0 / total + np.einsum("np,np->n", around, around)
    return leverages


def _total_of_copies(weights: Array, rank: Rows) -> Array:
    """Weights (n, K), each row's summed with those of its copies."""
    content = np.unique(rank, return_inverse=True)[1]
    return np.column_stack([np.bincount(content, column)[content] for column in weights.T])


def _predict(design: Array, coef: Array) -> Array:
    n_problems, width, n_outputs = coef.shape
    stacked = np.moveaxis(coef, 0, 1).reshape(width, -1)
    return (design @ stacked).reshape(len(design), n_problems, n_outputs)


def _grams_of_parts(table: OutputTable, weights: Array, folds: Sequence[Rows] | None) -> Array:
    """Gram matrices (F, K, 1 + p + q, 1 + p + q) of each fold's rows, or of all."""
    parts = [None] if folds is None else folds
    if not table.is_small or len(parts) * weights.size > FEW_WEIGHTS:
        return np.stack([_weighted_grams(table, weights, rows) for rows in parts])
    own = np.zeros((len(parts), weights.shape[1], len(weights)))
    for part, rows in zip(own, parts, strict=True):
        seen = slice(None) if rows is None else rows
        part[:, seen] = weights.T[:, seen]
    return symmetric(own @ table.products.T, table.width)


def _weighted_grams(table: OutputTable, weights: Array, rows: Rows | None) -> Array:
    """Gram matrices (K, 1 + p + q, 1 + p + q) of the rows under each column of `weights`."""
    grams = np.zeros((weights.shape[1], table.width, table.width))
    columns = np.ascontiguousarray(weights.T)
    for piece, block in table.blocks(rows):
        grams += weighted_grams(block, columns_of(columns, piece))
    return grams


@dataclass(frozen=True)
class NormalEquations:
    """Normal equations of centred features for folds and problems, scaled to a unit diagonal.

    `factor` (F, K, p, p) is the upper Cholesky factor, the identity where a system is not
    `solvable` (F, K). `right` (F, K, p, q) is scaled, and `scale` (F, K, p) takes a solution back.
    `means` (F, K, 1 + p + q) are weighted; `total` (F, K) is the weight.
    """

    factor: Array
    right: Array
    scale: Array
    means: Array
    total: Array
    solvable: NDArray[np.bool_]

    def solve(self) -> Array:
        """Intercepts and coefficients (F, K, 1 + p, q)."""
        coef = np.empty_like(self.right)
        for where in np.ndindex(self.solvable.shape):
            coef[where] = dpotrs(self.factor[where].T, self.right[where], lower=1)[0]
        coef *= self.scale[..., None]
        first_output = 1 + self.scale.shape[-1]
        center, level = self.means[..., None, 1:first_output], self.means[..., None, first_output:]
        return np.concatenate([level - center @ coef, coef], axis=-2)


def _normal_equations(
    problems: Sequence[LeastSquares], grams: Array, n_features: int
) -> NormalEquations:
    """The systems that give each problem's coefficients, from Gram matrices (F, K, ...)."""
    features, outputs = slice(1, 1 + n_features), slice(1 + n_features, None)
    total = grams[..., :1, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        means = grams[..., 0, :] / total
        centred = grams - grams[..., :, :1] * means[..., None, :]
        penalties = _penalties(problems, centred, total, n_features)
        system, diagonal, trusted = _penalised(problems, penalties, grams, centred, features)
        trusted &= (total > 0).all(axis=-1)
    scale = 1.0 / np.sqrt(np.where(trusted[..., None], diagonal, 1.0))
    system *= scale[..., :, None] * scale[..., None, :]
    system[~trusted] = np.eye(n_features)
    solved = trusted & _factorise(system)
    system[~solved] = np.eye(n_features)
    right = scale[..., None] * np.where(solved[..., None, None], centred[..., features, outputs], 0)
    return NormalEquations(system, right, scale, means, total[..., 0], solved)


def _penalties(
    problems: Sequence[LeastSquares], centred: Array, total: Array, n_features: int
) -> Array:
    """Penalties (F, K, p) of the coefficients; NaN where one is sought and not found."""
    alpha = np.tile([problem.alpha for problem in problems], (len(centred), 1))
    variance = np.einsum("...jj->...j", centred)[..., 1 : 1 + n_features] / total
    scaled = np.array([problem.scaled for problem in problems])
    units = np.where(scaled[:, None], variance, 1.0)
    sought = [k for k, problem in enumerate(problems) if problem.is_sought]
    if sought:
        centred, total = centred[:, sought, 1:, 1:], total[:, sought, 0]
        alpha[:, sought] = _found(centred, total, units[:, sought])
    return alpha[..., None] * units


def _found(centred: Array, total: Array, units: Array) -> Array:
    """The penalties (F, m) that Gram matrices (F, m, p + q, p + q) of features and outputs ask for.

    Features are in `units` (F, m, p), which are squared; a constant one stays in its own.
    """
    n_features, found = units.shape[-1], np.full(total.shape, np.nan)
    sound = np.isfinite(centred).all(axis=(-2, -1)) & (total > 0)
    grams, root = centred[sound], np.sqrt(np.where(units > 0, units, 1.0)[sound])
    system = grams[:, :n_features, :n_features] / (root[:, :, None] * root[:, None, :])
    right = grams[:, :n_features, n_features:] / root[..., None]
    squares = np.maximum(np.einsum("mjj->mj", grams)[:, n_features:], 0.0)
    found[sound] = Spectrum.of(system, right, squares, total[sound]).penalties()
    return found


def _penalised(
    problems: Sequence[LeastSquares],
    penalties: Array,
    grams: Array,
    centred: Array,
    features: slice,
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Normal equations (F, K, p, p), their diagonals, and whether rounding left enough of these."""
    scaled = np.array([problem.scaled for problem in problems])
    system = centred[..., features, features].copy()
    moment = np.einsum("...jj->...j", grams[..., features, features])
    diagonal = np.einsum("...jj->...j", system)
    spread = np.where(scaled[:, None], diagonal, np.inf)
    diagonal += penalties
    # A column that is constant in the whole table is zero here, and its coefficient too.
    diagonal[moment == 0] = 1.0
    kept = (np.minimum(diagonal, spread) >= SMALLEST_PIVOT * moment).all(axis=-1)
    # `LinearRegression` cuts off small singular values, in the units that it is given.
    cuts = np.array([problem.alpha == 0 and not problem.scaled for problem in problems])
    least = np.where(moment == 0, np.inf, diagonal).min(axis=-1, initial=np.inf)
    kept &= ~cuts | (least >= SMALLEST_PART * diagonal.max(axis=-1, initial=0.0))
    return system, diagonal.copy(), kept


def _factorise(systems: Array) -> NDArray[np.bool_]:
    """Overwrite matrices (F, K, p, p) of unit diagonal with their upper Cholesky factors.

    Returns for which (F, K) the pivots are large enough.
    """
    exists = np.empty(systems.shape[:2], dtype=bool)
    for where in np.ndindex(exists.shape):
        # The transpose of a symmetric matrix is itself, in the order of LAPACK: no copy is made.
        lower, failure = dpotrf(systems[where].T, lower=1, overwrite_a=1)
        systems[where], exists[where] = lower.T, failure == 0
    pivots = np.einsum("...jj->...j", systems) ** 2
    return exists & (pivots >= SMALLEST_PIVOT).all(axis=-1)
