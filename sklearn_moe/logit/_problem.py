"""Multinomial logit on soft targets: minimise the penalised cross-entropy over coefficients.

The coefficients `theta` (K - 1, d + 1) live in an orthonormal basis of the sum-zero subspace of the
K experts, so that the L2 penalty treats all experts alike and nothing is over-parameterised. The
last column is the intercept, which is not penalised. Few coefficients are found by exact Newton
steps with backtracking, many by L-BFGS.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize

from .._numeric import Array, row_sum
from ._basis import sum_zero_basis
from ._hessians import assemble_hessians, pair_grams
from ._products import blocks_of, design_sums, scores_of
from ._scores import softmax_columns

# Coefficients up to which Hessians are worth their time: usually, and for an exact solution.
NEWTON_LIMIT, EXACT_LIMIT = 250, 1000
TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class SoftLogit:
    """The problem: design `Z` (n, d), soft targets `targets` (n, K), L2 penalty `alpha`."""

    Z: Any
    targets: Array
    alpha: float

    @cached_property
    def total(self) -> Array:
        """Sums (n,) of the targets of each row."""
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
        with np.errstate(over="ignore", invalid="ignore"):  # of steps beyond all numbers
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
