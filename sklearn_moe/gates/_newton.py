"""Multinomial logit on soft targets: minimise the penalised cross-entropy over coefficients.

The coefficients `theta` (K - 1, d + 1) live in an orthonormal basis of the sum-zero subspace of the
K experts, so that the L2 penalty treats all experts alike and nothing is over-parameterised. The
last column is the intercept, which is not penalised. Few coefficients are found by exact Newton
steps with backtracking, many by L-BFGS.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.sparse as sp

from .._numeric import Array, log_normalize

NEWTON_LIMIT = 250


@dataclass(frozen=True)
class SoftLogit:
    """The problem: design `Z` (n, d), soft targets `targets` (n, K), L2 penalty `alpha`."""

    Z: Any
    targets: Array
    alpha: float

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
        scores = decision(self.Z, theta)
        log_proba, _ = log_normalize(scores)
        value = -float(np.vdot(self.targets, log_proba)) + self.penalty(theta)
        proba = np.exp(log_proba)
        residual = proba * self.targets.sum(axis=1, keepdims=True) - self.targets
        residual = residual @ self.basis
        gradient = np.empty_like(theta)
        gradient[:, :-1] = (self.Z.T @ residual).T + self.alpha * theta[:, :-1]
        gradient[:, -1] = residual.sum(axis=0)
        return value, gradient, proba

    def hessian(self, proba: Array) -> Array:
        """Exact Hessian, a square matrix over the flattened coefficients."""
        n_experts, width = proba.shape[1], self.Z.shape[1] + 1
        total = self.targets.sum(axis=1)
        blocks = np.empty((n_experts, n_experts, width, width))
        for k in range(n_experts):
            for j in range(k + 1):
                curvature = total * proba[:, k] * ((j == k) - proba[:, j])
                blocks[k, j] = blocks[j, k] = weighted_gram(self.Z, curvature)
        basis = self.basis
        reduced = np.einsum("ka,kjuv,jb->aubv", basis, blocks, basis, optimize=True)
        hessian = reduced.reshape((n_experts - 1) * width, -1)
        ridge = np.full((n_experts - 1, width), self.alpha)
        ridge[:, -1] = 0.0
        hessian[np.diag_indices_from(hessian)] += ridge.ravel()
        return hessian


@lru_cache
def sum_zero_basis(n_experts: int) -> Array:
    """Orthonormal columns (K, K - 1) that span the vectors of sum zero."""
    return scipy.linalg.helmert(n_experts).T


def decision(Z: Any, theta: Array) -> Array:
    """Scores (n, K) of the experts, one row-wise constant short of unique."""
    basis = sum_zero_basis(theta.shape[0] + 1)
    return Z @ (theta[:, :-1].T @ basis.T) + theta[:, -1] @ basis.T


def weighted_gram(Z: Any, weight: Array) -> Array:
    """Gram matrix of `Z` with a column of ones appended, rows weighted by `weight`."""
    width = Z.shape[1] + 1
    gram = np.empty((width, width))
    weighted = sp.diags(weight) @ Z if sp.issparse(Z) else Z * weight[:, None]
    inner = Z.T @ weighted
    gram[:-1, :-1] = inner.toarray() if sp.issparse(inner) else inner
    gram[-1, :-1] = gram[:-1, -1] = np.asarray(weighted.sum(axis=0)).ravel()
    gram[-1, -1] = weight.sum()
    return gram


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
        if np.abs(gradient).max() <= target:
            return theta, iteration
        step = _newton_step(problem.hessian(proba), gradient)
        moved = _backtrack(problem, theta, step, value, gradient)
        if moved is None:
            return theta, iteration
        theta, (value, gradient, proba) = moved
    return theta, max_iter


def _newton_step(hessian: Array, gradient: Array) -> Array:
    # Separable regions without a penalty flatten the objective; the jitter keeps it solvable.
    jitter = 1e-12 * np.trace(hessian) / len(hessian) + np.finfo(float).tiny
    hessian[np.diag_indices_from(hessian)] += jitter
    try:
        step = scipy.linalg.solve(hessian, gradient.ravel(), assume_a="pos")
    except np.linalg.LinAlgError:
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
