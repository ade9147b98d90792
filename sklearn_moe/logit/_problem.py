"""Multinomial logit on soft targets: minimise the penalised cross-entropy over coefficients.

The coefficients `theta` (K - 1, d + 1) live in an orthonormal basis of the sum-zero subspace of the
K experts, so that the L2 penalty treats all experts alike and nothing is over-parameterised. The
last column is the intercept, which is not penalised. Few coefficients are found by exact Newton
steps with backtracking, many by L-BFGS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.sparse as sp
from numpy.typing import NDArray

from .._grams import weighted_grams
from .._numeric import Array, row_blocks, row_sum
from ._standardised import StandardisedRows

# Coefficients up to which Hessians are worth their seconds, and where a solution must be exact.
NEWTON_LIMIT, EXACT_LIMIT = 250, 1000
TINY = float(np.finfo(np.float64).tiny)
# Scores up to this have exponentials whose sums are finite.
SAFE = 300.0
# Below all scores by so much, an exponential is zero.
FAR_BELOW = 1e4
# Experts from which Hessians are put together by way of blocks for all of them: the table that does
# so at once grows with their fourth power. The results are the same but for rounding.
MANY = 20

# Which classes (..., C) have no part in a logit, if there are any.
Absent = NDArray[np.bool_] | None


@dataclass(frozen=True)
class SoftLogit:
    """The problem: design `Z` (n, d), soft targets `targets` (n, K), L2 penalty `alpha`."""

    Z: Any
    targets: Array
    alpha: float

    @cached_property
    def total(self) -> Array:
        """What the targets of each row sum to (n,)."""
        return row_sum(self.targets)

    @property
    def basis(self) -> Array:
        return sum_zero_basis(self.targets.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        return self.targets.shape[1] - 1, self.Z.shape[1] + 1

    def penalty(self, theta: Array) -> float:
        return 0.5 * self.alpha * float((theta[:, :-1] ** 2).sum())

    def evaluate(self, theta: Array) -> tuple[float, Array, Array]:
        """Objective, gradient (K - 1, d + 1) and gate probabilities (n, K) at `theta`."""
        loss, gradient = 0.0, np.zeros((self.targets.shape[1], theta.shape[1]))
        proba, weights = np.empty(self.targets.shape, order="F"), self.basis @ theta
        for rows in blocks_of(self.Z, self.targets.shape[1]):
            Z, target, total = self.Z[rows], self.targets[rows].T, self.total[rows]
            scores, share, log_sum = softmax_columns(scores_of(Z, weights))
            loss += float(total @ log_sum) - float(np.vdot(target, scores))
            gradient += design_sums(Z, share * total - target)
            proba[rows] = share.T
        gradient = self.basis.T @ gradient
        gradient[:, :-1] += self.alpha * theta[:, :-1]
        return loss + self.penalty(theta), gradient, proba

    def hessian(self, proba: Array) -> Array:
        """Exact Hessian, a square matrix over the flattened coefficients."""
        grams: Any = 0.0
        for rows in blocks_of(self.Z, proba.shape[1] ** 2):
            grams += pair_grams(self.Z[rows], proba[rows].T, self.total[rows])
        ridge = np.full(self.shape[1], self.alpha)
        ridge[-1] = 0.0
        return assemble_hessians(grams, self.targets.shape[1], ridge)


def blocks_of(
    Z: Any, n_columns: int, n_rows: int | None = None, fewest: int = 64
) -> Iterator[slice]:
    """Slices of rows of `Z`, or of `n_rows` of them, so short that `n_columns` stay in a cache too.

    Sparse rows are costly to cut, and come in one piece.
    """
    n_rows = Z.shape[0] if n_rows is None else n_rows
    if sp.issparse(Z):
        return iter([slice(0, n_rows)])
    return row_blocks(n_rows, max(Z.shape[1], n_columns), fewest)


def scores_of(Z: Any, weights: Array) -> Array:
    """Scores (..., B) of `B` rows under `weights` (..., d + 1), whose last column is the intercept.

    Experts come before rows: numpy is fast along the last axis, and there are few experts.
    """
    if isinstance(Z, StandardisedRows):
        Z, weights = Z.X, Z.weights_of_numbers(weights)
    flat = weights.reshape(-1, weights.shape[-1])
    scores = (Z @ flat[:, :-1].T).T if sp.issparse(Z) else flat[:, :-1] @ Z.T
    scores += flat[:, -1:]
    return scores.reshape(*weights.shape[:-1], -1)


def class_weights(theta: Array, absent: Absent = None) -> Array:
    """Weights (..., C, d + 1) of the score of each class under coefficients (..., C - 1, d + 1).

    Classes that are `absent` (..., C) score so little that their probability is zero.
    """
    weights: Array = sum_zero_basis(theta.shape[-2] + 1) @ theta
    if absent is not None:
        weights[..., -1] -= FAR_BELOW * absent
    return weights


def class_changes(direction: Array, absent: Absent = None) -> Array:
    """Weights (..., C, d + 1) of what changes in the score of each class along a direction.

    That of a class that is `absent` is of no account, and put at that of one that is not.
    """
    weights = class_weights(direction)
    if absent is None:
        return weights
    other = np.argmin(absent, axis=-1)[..., None, None]
    return np.where(absent[..., None], np.take_along_axis(weights, other, axis=-2), weights)


def weights_of_numbers(design: Any, weights: Array) -> Array:
    """What gives the numbers that a design hands out the scores that `weights` give its rows.

    Found once for a pass over many blocks, where `scores_of` would find it for each.
    """
    return design.weights_of_numbers(weights) if _hands_out_numbers(design) else weights


def sums_of_rows(design: Any, sums: Array) -> Array:
    """Weighted sums (..., d + 1) of the rows of a design from those of its numbers."""
    return design.sums_of_rows(sums) if _hands_out_numbers(design) else sums


def _hands_out_numbers(design: Any) -> bool:
    return isinstance(design, StandardisedRows) and design.hands_out_numbers


def numbers_of(Z: Any) -> Any:
    """The numbers of some rows, if they are not made."""
    return Z.X if isinstance(Z, StandardisedRows) else Z


def row_scores(Z: Any, weights: Array) -> Array:
    """Scores (B, K) of numbers under `weights` (K, d + 1), rows first: for many experts."""
    if sp.issparse(Z) or Z.shape[1] >= len(weights):
        scores = Z @ weights[:, :-1].T
        scores += weights[:, -1]
        return scores
    # A column of ones beside few features takes less time than intercepts added to many scores.
    rows = np.ones((len(Z), weights.shape[1]))
    rows[:, :-1] = Z
    return rows @ weights.T


def softmax_columns(scores: Array) -> tuple[Array, Array, Array]:
    """Softmax over the experts of `scores` (..., K, B), which are overwritten.

    Returns the scores, less that of the first expert or, where they are large, of the best; the
    probabilities; and the log of the normaliser.
    """
    proba = np.empty_like(scores)
    normaliser = _share_out(scores, proba)
    return scores, proba, np.log(normaliser[..., 0, :])


def proba_columns(scores: Array) -> Array:
    """The same without logarithms: the probabilities, in the memory of the scores."""
    _share_out(scores, scores)
    return scores


def _share_out(scores: Array, proba: Array) -> Array:
    """Write the probabilities, and return what their exponentials summed to.

    Exponentials take most of the time. Beyond the score of the first expert, its own is one.
    """
    scores -= scores[..., :1, :].copy()
    if scores.max(initial=0.0) <= SAFE:
        np.exp(scores[..., 1:, :], out=proba[..., 1:, :])
        proba[..., 0, :] = 1.0
    else:
        scores -= scores.max(axis=-2, keepdims=True)
        np.exp(scores, out=proba)
    total = proba.sum(axis=-2, keepdims=True)
    proba *= 1.0 / total
    return total


def design_sums(Z: Any, values: Array) -> Array:
    """Sums (..., d + 1) over rows of `values` (..., B) times the rows of `Z`, and alone."""
    if isinstance(Z, StandardisedRows):
        return Z.sums_of_rows(design_sums(Z.X, values))
    flat = values.reshape(-1, values.shape[-1])
    sums = np.empty((len(flat), Z.shape[1] + 1))
    sums[:, :-1] = (Z.T @ flat.T).T if sp.issparse(Z) else flat @ Z
    sums[:, -1] = flat.sum(axis=1)
    return sums.reshape(*values.shape[:-1], -1)


def pair_grams(Z: Any, proba: Array, total: Array) -> Array:
    """Gram matrices (pairs, d + 1, d + 1) of the rows, weighted by the product of two experts'
    probabilities `proba` (K, n) and by `total` (n,)."""
    first, second = expert_pairs(len(proba))
    return weighted_design_grams(Z, proba[first] * proba[second] * total)


def assemble_hessians(grams: Array, n_experts: int, ridge: Array) -> Array:
    """Hessians (..., s, s) over the flattened coefficients, of as many as s = (K - 1) (d + 1).

    From the Grams (..., pairs, d + 1, d + 1) of all pairs of experts. The curvature of a pair is
    minus its Gram; that of an expert with itself is what makes its row of blocks sum to zero.
    `ridge` (..., d + 1) is the penalty of each column.
    """
    if n_experts < MANY:
        blocks = np.tensordot(grams, shares_of_pairs(n_experts), axes=(-3, 0))
        blocks = np.moveaxis(blocks, (-2, -1), (-4, -2))
    else:
        blocks = np.moveaxis(_blocks_of_many(grams, n_experts), -3, -2)
    size = (n_experts - 1) * ridge.shape[-1]
    hessians = blocks.reshape(*ridge.shape[:-1], size, size)
    diagonal = np.arange(size)
    hessians[..., diagonal, diagonal] += np.tile(ridge, n_experts - 1)
    return hessians


def _blocks_of_many(grams: Array, n_experts: int) -> Array:
    """Blocks (..., K - 1, K - 1, d + 1, d + 1) of Hessians, by way of those of all experts."""
    lead, shape, itself = grams.shape[:-3], grams.shape[-2:], np.arange(n_experts)
    blocks = np.zeros((*lead, n_experts, n_experts, *shape))
    first, second = expert_pairs(n_experts)
    blocks[..., first, second, :, :] = blocks[..., second, first, :, :] = -grams
    blocks[..., itself, itself, :, :] = -blocks.sum(axis=-3)
    inward = sum_zero_basis(n_experts).T
    half = inward @ blocks.reshape(*lead, n_experts, -1)
    both = inward @ half.reshape(*lead, n_experts - 1, n_experts, -1)
    return both.reshape(*both.shape[:-1], *shape)


@lru_cache
def expert_pairs(n_experts: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and second of each pair of experts."""
    first, second = np.triu_indices(n_experts, 1)
    return _kept(first), _kept(second)


@lru_cache
def shares_of_pairs(n_experts: int) -> Array:
    """What the Gram of each pair of experts adds to each block (pairs, K - 1, K - 1) of a Hessian.

    It grows as fast as K^4.
    """
    first, second = expert_pairs(n_experts)
    difference = sum_zero_basis(n_experts)[first] - sum_zero_basis(n_experts)[second]
    return _kept(difference[:, :, None] * difference[:, None, :])


@lru_cache
def sum_zero_basis(n_experts: int) -> Array:
    """Orthonormal columns (K, K - 1) that span the vectors of sum zero."""
    return _kept(scipy.linalg.helmert(n_experts).T)


def _kept(table: NDArray) -> NDArray:
    """An array that is the same for all who ask for it, and not to be written to."""
    table.flags.writeable = False
    return table


def weighted_design_grams(Z: Any, weights: Array) -> Array:
    """Gram matrices (m, d + 1, d + 1) of `Z` with a column of ones appended, rows weighted by each
    row of `weights` (m, n)."""
    Z = Z.made() if isinstance(Z, StandardisedRows) else Z
    width = Z.shape[1] + 1
    grams = np.empty((len(weights), width, width))
    if sp.issparse(Z):
        grams[:, :-1, :-1] = [(Z.T @ (sp.diags(weight) @ Z)).toarray() for weight in weights]
    else:
        grams[:, :-1, :-1] = weighted_grams(Z, weights)
    grams[:, -1] = grams[:, :, -1] = design_sums(Z, weights)
    return grams


def solve(problem: SoftLogit, start: Array | None, max_iter: int, tol: float) -> tuple[Array, int]:
    """Coefficients that minimise `problem`, and the number of iterations spent."""
    theta = np.zeros(problem.shape) if start is None else start
    if np.prod(problem.shape) <= NEWTON_LIMIT:
        return _newton(problem, theta, max_iter, tol)
    return _lbfgs(problem, theta, max_iter, tol)


def _newton(problem: SoftLogit, theta: Array, max_iter: int, tol: float) -> tuple[Array, int]:
    target = tol * problem.targets.sum()
    value, gradient, proba = problem.evaluate(theta)
    for iteration in range(max_iter):
        if np.abs(gradient).max(initial=0.0) <= target:
            return theta, iteration
        step = newton_step(problem.hessian(proba), gradient)
        moved = _backtrack(problem, theta, step, value, gradient)
        if moved is None:
            return theta, iteration
        theta, (value, gradient, proba) = moved
    return theta, max_iter


def newton_step(hessian: Array, gradient: Array) -> Array:
    """Solve for the step; the Hessian is overwritten."""
    # Separable regions without a penalty flatten the objective; the jitter keeps it solvable.
    hessian.flat[:: len(hessian) + 1] += 1e-12 * hessian.trace() / len(hessian) + TINY
    step, failure = scipy.linalg.lapack.dposv(hessian, gradient.ravel())[1:]
    if failure:
        step = scipy.linalg.lstsq(hessian, gradient.ravel())[0]
    return step.reshape(gradient.shape)


def _backtrack(
    problem: SoftLogit, theta: Array, step: Array, value: float, gradient: Array
) -> tuple[Array, tuple[float, Array, Array]] | None:
    """The first of 1, 1/2, 1/4, ... of the step that lowers the objective enough, if any does."""
    slope = float(np.vdot(gradient, step))
    rounding = 4 * np.finfo(float).eps * abs(value)
    for halving in range(30):
        size = 0.5**halving
        candidate = theta - size * step
        evaluated = problem.evaluate(candidate)
        if evaluated[0] <= value - 1e-4 * size * slope + rounding:
            return candidate, evaluated
    return None


def _lbfgs(problem: SoftLogit, theta: Array, max_iter: int, tol: float) -> tuple[Array, int]:
    total = problem.targets.sum()

    def objective(flat: Array) -> tuple[float, Array]:
        value, gradient, _ = problem.evaluate(flat.reshape(theta.shape))
        return value / total, gradient.ravel() / total

    options = {"maxiter": 10 * max_iter, "gtol": tol, "ftol": 0.0}
    found = scipy.optimize.minimize(
        objective, theta.ravel(), jac=True, method="L-BFGS-B", options=options
    )
    return found.x.reshape(theta.shape), int(found.nit)
