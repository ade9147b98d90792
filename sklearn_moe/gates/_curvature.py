"""Newton directions for the gates of all folds, from one curvature for each row.

Few coefficients are solved for by the Hessians themselves, many by conjugate gradients, which need
only products with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._numeric import Array, sums_of_others
from ._newton import (
    NEWTON_LIMIT,
    assemble_hessian,
    design_sums,
    newton_step,
    pair_grams,
    scores_of,
    sum_zero_basis,
)

# Elements of the Gram matrices of all folds and pairs together: 128 MB.
LARGEST_GRAMS = 2**24
# Conjugate gradients stop when this part of the gradient is left, or after so many products.
FORCING = 0.1
MAX_PRODUCTS = 12


def prefers_grams(n_folds: int, n_experts: int, width: int) -> bool:
    """Whether Hessians cost less than the products that replace them."""
    few = (n_experts - 1) * width <= NEWTON_LIMIT
    return few and n_folds * n_experts * (n_experts - 1) // 2 * width**2 <= LARGEST_GRAMS


class GramCurvature:
    """Hessians of all gates from the Gram matrices of each fold's rows."""

    def __init__(self, shape: tuple[int, int, int], left_out: bool) -> None:
        n_folds, n_experts, width = shape
        self.n_experts, self.left_out = n_experts, left_out
        self.grams = np.zeros((n_folds, n_experts * (n_experts - 1) // 2, width, width))

    def add(self, fold: int, rows: Any, Z: Any, proba: Array, total: Array) -> None:
        """Rows of a fold with their probabilities (K, B) and weights (B,)."""
        self.grams[fold] += pair_grams(Z, proba, total)

    def solve(self, gradient: Array, alpha: float) -> Array:
        """Hessian of each gate into its gradient (F, K - 1, d + 1)."""
        grams = sums_of_others(self.grams) if self.left_out else self.grams
        hessians = (assemble_hessian(gram, self.n_experts, alpha) for gram in grams)
        return np.array([newton_step(*pair) for pair in zip(hessians, gradient, strict=True)])


class ProductCurvature:
    """The same without a Hessian: products with it, row block by row block."""

    def __init__(self, shape: tuple[int, int, int], left_out: bool, design: Any) -> None:
        self.shape, self.left_out, self.design = shape, left_out, design
        self.pieces: list[tuple[int, Any, Array, Array]] = []

    def add(self, fold: int, rows: Any, Z: Any, proba: Array, total: Array) -> None:
        """Rows of a fold with their probabilities (K, B) and weights (B,)."""
        self.pieces.append((fold, rows, proba.copy(), total))

    def solve(self, gradient: Array, alpha: float) -> Array:
        """Hessian of each gate into its gradient (F, K - 1, d + 1), nearly."""
        ridge = np.full(gradient.shape[1:], alpha)
        ridge[:, -1] = 0.0
        return conjugate_gradients(lambda at: self._product(at) + ridge * at, gradient)

    def _product(self, at: Array) -> Array:
        basis = sum_zero_basis(self.shape[1])
        product = np.zeros(self.shape)
        for fold, rows, proba, total in self.pieces:
            Z = self.design[rows]
            change = scores_of(Z, basis @ at)
            change -= (proba * change).sum(axis=1, keepdims=True)
            change *= proba * total
            if self.left_out:
                change[fold] = 0.0
            product += design_sums(Z, change)
        return basis.T @ product


def conjugate_gradients(multiply: Callable[[Array], Array], right: Array) -> Array:
    """Solve one system for each leading index of `right` (F, ...), all at the same time."""

    def dot(a: Array, b: Array) -> Array:
        return (a * b).sum(axis=(1, 2), keepdims=True)

    tiny = np.finfo(float).tiny
    solution, residual = np.zeros_like(right), right.copy()
    search, square = residual.copy(), dot(right, right)
    enough = FORCING**2 * square
    for _ in range(MAX_PRODUCTS):
        product = multiply(search)
        size = square / np.maximum(dot(search, product), tiny)
        size[square <= enough] = 0.0
        solution += size * search
        residual -= size * product
        square, before = dot(residual, residual), square
        if (square <= enough).all():
            break
        search = residual + square / np.maximum(before, tiny) * search
    return solution
