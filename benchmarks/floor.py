"""The floor: what one EM iteration of linear experts costs in plain numpy and nothing else.

K weighted Gram matrices with their Cholesky factors, one Newton step of the gate, one E-step; no
checks, no folds, no safeguards. Written out so that it can be read beside the package.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

Array = np.ndarray


@dataclass
class Parameters:
    """Gate (K, p + 1), with zeros for the last expert; coefficients (K, p + 1); variances (K,)."""

    gate: Array
    coef: Array
    variance: Array


def with_intercept(X: Array) -> Array:
    """The features (n, p + 1), ones first."""
    return np.column_stack([np.ones(len(X)), X])


def fit_experts(A: Array, y: Array, resp: Array) -> tuple[Array, Array]:
    """Weighted least squares of each expert and the variance of its residuals."""
    coef = np.empty((resp.shape[1], A.shape[1]))
    for k, weight in enumerate(resp.T):
        weighted = A * weight[:, None]
        gram = weighted.T @ A
        gram.flat[:: len(gram) + 1] += 1e-6
        coef[k] = cho_solve(cho_factor(gram), weighted.T @ y)
    squares = (y[:, None] - A @ coef.T) ** 2
    return coef, (resp * squares).sum(axis=0) / resp.sum(axis=0)


def gate_log_proba(A: Array, gate: Array) -> Array:
    """Log softmax of the gate's scores."""
    scores = A @ gate.T
    scores -= scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def newton_step(A: Array, gate: Array, resp: Array) -> Array:
    """One Newton step of the multinomial logit; the last expert's coefficients stay zero."""
    proba = np.exp(gate_log_proba(A, gate))[:, :-1]
    free, width = proba.shape[1], A.shape[1]
    hessian = np.empty((free, width, free, width))
    for k in range(free):
        for j in range(k + 1):
            weight = proba[:, k] * ((j == k) - proba[:, j])
            hessian[k, :, j] = hessian[j, :, k] = (A * weight[:, None]).T @ A
    hessian = hessian.reshape(free * width, -1)
    hessian.flat[:: len(hessian) + 1] += 1e-6
    gradient = ((resp[:, :-1] - proba).T @ A).ravel()
    moved = gate.copy()
    moved[:-1] += cho_solve(cho_factor(hessian), gradient).reshape(free, width)
    return moved


def bound_factor(A: Array, n_experts: int) -> tuple[Array, bool]:
    """Cholesky factor of Boehning's bound of one expert's curvature; made once for a fit."""
    gram = A.T @ A * 0.5 * (1.0 - 1.0 / n_experts)
    gram.flat[:: len(gram) + 1] += 1e-6
    return cho_factor(gram)


def bound_step(A: Array, gate: Array, resp: Array, factor: tuple[Array, bool]) -> Array:
    """One step of the gate under the bound (Boehning, 1992)."""
    residual = resp - np.exp(gate_log_proba(A, gate))
    moved = gate + cho_solve(factor, A.T @ residual).T
    return moved - moved[-1]


def e_step(A: Array, y: Array, parameters: Parameters) -> tuple[Array, float]:
    """Responsibilities (n, K) and the total log-likelihood."""
    squares = (y[:, None] - A @ parameters.coef.T) ** 2
    log_joint = gate_log_proba(A, parameters.gate)
    log_joint -= 0.5 * (squares / parameters.variance + np.log(2 * np.pi * parameters.variance))
    highest = log_joint.max(axis=1, keepdims=True)
    resp = np.exp(log_joint - highest)
    total = resp.sum(axis=1, keepdims=True)
    return resp / total, float((np.log(total) + highest).sum())


def iterate(
    A: Array, y: Array, resp: Array, gate: Array, factor: tuple[Array, bool] | None = None
) -> tuple[Array, Array, float]:
    """One EM iteration: new responsibilities, the gate that led to them, their log-likelihood."""
    coef, variance = fit_experts(A, y, resp)
    gate = newton_step(A, gate, resp) if factor is None else bound_step(A, gate, resp, factor)
    resp, total = e_step(A, y, Parameters(gate, coef, variance))
    return resp, gate, total
