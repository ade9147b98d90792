"""Penalties that the rows ask for: those of `BayesianRidge`, from Gram matrices alone.

Of all penalties the one is sought under which the outputs are most probable, by MacKay's fixed
point. Seen along the eigenvectors of a Gram matrix, a step of it is a few sums of p numbers, so the
penalties of all experts and folds are found side by side, without another look at the rows.

D. J. C. MacKay, "Bayesian interpolation", Neural Computation 4(3), 1992.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import BayesianRidge

from .._numeric import Array

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Evidence:
    """How a `BayesianRidge` seeks the precisions of noise (`alpha`) and coefficients (`lambda`)."""

    max_iter: int
    tol: float
    alpha_1: float
    alpha_2: float
    lambda_1: float
    lambda_2: float
    alpha_init: float | None
    lambda_init: float | None


def recognise(estimator: Any) -> Evidence | None:
    """What a plain `BayesianRidge` seeks with, or None if `estimator` is anything else."""
    if type(estimator) is not BayesianRidge or not _counts_weights():
        return None
    if not estimator.fit_intercept or estimator.verbose:
        return None
    return Evidence(**{name: getattr(estimator, name) for name in Evidence.__dataclass_fields__})


@cache
def _counts_weights() -> bool:
    """Whether two rows and one of weight two are the same to the installed scikit-learn.

    Before version 1.7 they were not.
    """
    X, y = np.array([[0.0], [1.0], [2.0], [4.0]]), np.array([0.0, 1.0, 1.0, 3.0])
    weighted = BayesianRidge().fit(X, y, sample_weight=np.full(4, 2.0))
    repeated = BayesianRidge().fit(np.repeat(X, 2, axis=0), np.repeat(y, 2))
    return bool(np.isclose(weighted.alpha_, repeated.alpha_))


@dataclass(frozen=True)
class Spectrum:
    """Problems (m,) seen along the eigenvectors of their Gram matrices.

    `values` (m, p) and `vectors` (m, p, p) are those of the features, `right` (m, p) the products
    of features and output, along the eigenvectors; `square` (m,) is the sum of squares of the
    output. All are weighted and about the means.
    """

    values: Array
    vectors: Array
    right: Array
    square: Array

    @classmethod
    def of(cls, system: Array, right: Array, square: Array) -> Spectrum:
        """That of Gram matrices (m, p, p) and products (m, p)."""
        values, vectors = np.linalg.eigh(system)
        along = np.einsum("mij,mi->mj", vectors, right)
        return cls(np.maximum(values, 0.0), vectors, along, square)

    def take(self, problems: NDArray[np.bool_]) -> Spectrum:
        """That of some of the problems."""
        parts = (self.values, self.vectors, self.right, self.square)
        return Spectrum(*(part[problems] for part in parts))

    def solve(self, penalty: Array) -> tuple[Array, Array, Array]:
        """Coefficients (m, p) along the eigenvectors, how far (m, p) the rows, not the penalty,
        determine each, and sums (m,) of squared residuals."""
        held = self.values + penalty[:, None]
        coef = self.right / held
        share = self.values / held
        squares = self.square - (coef * self.right * (2.0 - share)).sum(axis=1)
        return coef, share, np.maximum(squares, 0.0)


def find_penalties(searches: Sequence[Evidence], spectrum: Spectrum, total: Array) -> Array:
    """Penalties (m,) of problems of weight `total` (m,), each by its own search.

    They are what scikit-learn's estimator ends with, whose steps these are.
    """
    steps = _Steps(searches, total)
    alpha, prior = steps.begin(spectrum.square)
    before = np.full(spectrum.right.shape, np.inf)
    going = np.ones(len(total), dtype=bool)
    for iteration in range(max((search.max_iter for search in searches), default=0)):
        part = spectrum.take(going)
        coef, share, squares = part.solve(prior[going] / alpha[going])
        alpha[going], prior[going] = steps.next(going, coef, share, squares)
        rotated = np.einsum("mij,mj->mi", part.vectors, coef)
        moved = np.abs(rotated - before[going]).sum(axis=1)
        before[going] = rotated
        going[going] = (moved >= steps.tol[going]) & (iteration + 1 < steps.max_iter[going])
        if not going.any():
            break
    return prior / alpha


class _Steps:
    """The parameters of many searches side by side."""

    def __init__(self, searches: Sequence[Evidence], total: Array) -> None:
        self.searches, self.total = searches, total
        self.tol, self.max_iter = self._all("tol"), self._all("max_iter")
        names = ("alpha_1", "alpha_2", "lambda_1", "lambda_2")
        self.priors = np.array([self._all(name) for name in names])

    def _all(self, name: str) -> Array:
        return np.array([getattr(search, name) for search in self.searches], dtype=np.float64)

    def begin(self, square: Array) -> tuple[Array, Array]:
        """Precisions (m,) of noise and coefficients where the searches begin."""
        usual = 1.0 / (square / self.total + EPS)
        noise = np.array([np.nan if s.alpha_init is None else s.alpha_init for s in self.searches])
        prior = [1.0 if s.lambda_init is None else s.lambda_init for s in self.searches]
        return np.where(np.isnan(noise), usual, noise), np.array(prior)

    def next(
        self, going: NDArray[np.bool_], coef: Array, share: Array, squares: Array
    ) -> tuple[Array, Array]:
        """The next precisions of those that go on."""
        alpha_1, alpha_2, lambda_1, lambda_2 = self.priors[:, going]
        determined = share.sum(axis=1)
        prior = (determined + 2 * lambda_1) / ((coef**2).sum(axis=1) + 2 * lambda_2)
        noise = (self.total[going] - determined + 2 * alpha_1) / (squares + 2 * alpha_2)
        return noise, prior
