"""Newton directions for many logits left out of folds, from one curvature for each row.

Few coefficients are solved for by the Hessians themselves, many by conjugate gradients, which need
only products with them. A truncated direction d has d'Hd = -g'd, as Newton's has, so a damped step
along it is a descent for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array, sums_of_others
from ._basis import sum_zero_basis
from ._hessians import assemble_hessians, pair_grams
from ._problem import EXACT_LIMIT, NEWTON_LIMIT, newton_step
from ._products import design_sums, numbers_of, scores_of, sums_of_rows, weights_of_numbers, whole

Shape = tuple[int, int, int, int]

# Elements of the Gram matrices of all folds and pairs together: 128 MB.
LARGEST_GRAMS = 2**24
# Elements of the Gram matrices whose Hessians are put together at once, to save calls.
AT_ONCE = 2**19
# Elements of the rows of a table that are held in the order of folds while they are read again and
# again: 128 MB.
LARGEST_COPY = 2**24
# What the products of a step cost for each row, in units of a pass with one logit's coefficients,
# measured by the time of whole fits. Seven would do if columns were independent, but real ones take
# more products.
PRODUCTS = 15
# Multiplications that take a few milliseconds.
CHEAP_PRODUCTS = 2e7
# Conjugate gradients stop when this part of the gradient is left, or after so many products; for
# many classes after fewer, since EM tells these apart over many steps, not in one.
FORCING = 0.1
MAX_PRODUCTS, FEWEST_PRODUCTS, FEW_CLASSES = 12, 4, 16


def make_curvature(shape: Shape, left_out: bool, design: Any, sharp: bool) -> Curvature:
    """The curvature for coefficients of `shape` (F, M, C, d + 1)."""
    if sharp:
        return GramCurvature(shape, left_out)
    return ProductCurvature(shape, left_out, design)


def is_sharp(shape: Shape, n_distinct: int, exact: bool) -> bool:
    """Whether curvature is that of Hessians.

    It is if that costs next to nothing or the solution must be `exact`; else products are cheaper.
    Directions differ between the two, so copies of rows must not count in the choice.
    """
    n_folds, n_problems, n_classes, width = shape
    grams = n_problems * n_classes * (n_classes - 1) // 2 * width**2
    products = PRODUCTS * n_folds * n_problems * n_classes * width
    n_coefficients = (n_classes - 1) * width
    cheap = n_coefficients <= NEWTON_LIMIT and n_distinct * grams <= CHEAP_PRODUCTS
    sharp = n_coefficients <= EXACT_LIMIT if exact else grams <= products or cheap
    return sharp and n_folds * grams <= LARGEST_GRAMS


def learners_of(n_folds: int, left_out: bool) -> list[NDArray[np.intp] | slice]:
    """Which folds' logits learn from the rows of each fold: not its own, if these are left out."""
    if not left_out:
        return [slice(None)]
    return [np.delete(np.arange(n_folds), fold) for fold in range(n_folds)]


class GramCurvature:
    """Hessians of all logits from the Gram matrices of each fold's rows."""

    def __init__(self, shape: Shape, left_out: bool) -> None:
        n_folds, n_problems, self.n_classes, width = shape
        n_pairs = self.n_classes * (self.n_classes - 1) // 2
        self.left_out = left_out
        self.grams = np.zeros((n_folds, n_problems, n_pairs, width, width))

    def add(self, fold: int, rows: Any, Z: Any, proba: Array, total: Array) -> None:
        """Rows of a fold with their probabilities (M, C, B) and weights (M, B)."""
        Z = whole(Z)  # once for all problems
        for gram, share, weight in zip(self.grams[fold], proba, total, strict=True):
            gram += pair_grams(Z, share, weight)

    def solve(self, gradient: Array, ridge: Array) -> Array:
        """The inverse Hessian of each logit times its gradient (F, M, C - 1, d + 1)."""
        grams = sums_of_others(self.grams) if self.left_out else self.grams
        direction, size = np.empty_like(gradient), max(1, AT_ONCE // grams[0].size)
        ridge = np.broadcast_to(ridge, (*gradient.shape[:2], ridge.shape[-1]))
        for folds in (slice(first, first + size) for first in range(0, len(grams), size)):
            hessians = assemble_hessians(grams[folds], self.n_classes, ridge[folds])
            part, right = direction[folds], gradient[folds]
            for cell in np.ndindex(right.shape[:2]):
                part[cell] = newton_step(hessians[cell], right[cell])
        return direction


class ProductCurvature:
    """Hessians that are never made: products with them, block of rows by block."""

    def __init__(self, shape: Shape, left_out: bool, design: Any) -> None:
        self.shape, self.design = shape, design
        self.learners = learners_of(shape[0], left_out)
        size = getattr(design, "nnz", np.prod(design.shape))
        self.holds_rows = size <= LARGEST_COPY
        self.pieces: list[tuple[int, Any, Any, Array, Array]] = []

    def add(self, fold: int, rows: Any, Z: Any, proba: Array, total: Array) -> None:
        """Rows of a fold with their probabilities (M, C, B) and weights (M, B)."""
        held = numbers_of(Z) if self.holds_rows else None
        self.pieces.append((fold, rows, held, proba, total[:, None, :]))

    def solve(self, gradient: Array, ridge: Array) -> Array:
        """Nearly the inverse Hessian of each logit times its gradient (F, M, C - 1, d + 1)."""
        penalty, n_classes = ridge[:, :, None, :], self.shape[2]
        limit = max(FEWEST_PRODUCTS, MAX_PRODUCTS * FEW_CLASSES // max(n_classes, FEW_CLASSES))
        return conjugate_gradients(lambda at: self._product(at) + penalty * at, gradient, limit)

    def _product(self, at: Array) -> Array:
        basis = sum_zero_basis(self.shape[2])
        product, weights = np.zeros(self.shape), weights_of_numbers(self.design, basis @ at)
        for fold, rows, held, proba, total in self.pieces:
            numbers = numbers_of(self.design[rows]) if held is None else held
            change = scores_of(numbers, weights[self.learners[fold]])
            change -= np.einsum("mcb,fmcb->fmb", proba, change)[:, :, None]
            change *= proba * total
            product[self.learners[fold]] += design_sums(numbers, change)
        return basis.T @ sums_of_rows(self.design, product)


Curvature = GramCurvature | ProductCurvature


def conjugate_gradients(multiply: Callable[[Array], Array], right: Array, limit: int) -> Array:
    """Solve one system for each leading pair of indices of `right` (F, M, ...), all together."""

    def dot(a: Array, b: Array) -> Array:
        return (a * b).sum(axis=(2, 3), keepdims=True)

    tiny = np.finfo(float).tiny
    solution, residual = np.zeros_like(right), right.copy()
    search, square = residual.copy(), dot(right, right)
    enough = FORCING**2 * square
    for _ in range(limit):
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
