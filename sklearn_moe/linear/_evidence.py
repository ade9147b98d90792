"""Penalties that the rows ask for, from Gram matrices alone.

Targets are normal about a linear function of the features, whose coefficients are normal about zero
with the variance of the noise over the penalty. Of all penalties, the one is sought under which the
targets are most probable; the level is integrated out, which costs one row's worth of weight, and
the variance of the noise takes its best value. Along the eigenvectors of a Gram matrix this
probability is a function of p numbers, so the penalties of all experts and folds are found side by
side, without another look at the rows.

H. D. Patterson and R. Thompson, "Recovery of inter-block information when block sizes are unequal",
Biometrika 58(3), 1971 (what is maximised). D. J. C. MacKay, "Bayesian interpolation", Neural
Computation 4(3), 1992 (the same for penalties).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .._maximise import top_of
from .._numeric import Array

# Penalties are sought between these powers of ten times the mean eigenvalue, first at this many
# points for each factor of ten.
LOWEST, HIGHEST, PER_DECADE = -10, 8, 2
# Then by this many bisections between two neighbours: eleven digits.
N_STEPS = 36
TINY = float(np.finfo(np.float64).tiny)
# Features of less variance count as constant.
LEAST = 1e-150
# What rounding leaves of a sum of squares.
ROUNDING = 1e-14


@dataclass(frozen=True)
class Spectrum:
    """Problems (m,) seen along the eigenvectors of their Gram matrices.

    `values` (m, r) and `vectors` (m, p, r) are the eigenvalues and eigenvectors of the features (if
    r < p, zeros are left out), `right` (m, r, q) the products of features and outputs along the
    eigenvectors, `squares` (m, q) the sums of squares of the outputs. All are weighted, about the
    means; `total` (m,) is the weight.
    """

    values: Array
    vectors: Array
    right: Array
    squares: Array
    total: Array

    @classmethod
    def of(cls, system: Array, right: Array, squares: Array, total: Array) -> Spectrum:
        """The spectrum of Gram matrices (m, p, p) and products (m, p, q)."""
        values, vectors = np.linalg.eigh(system)
        along = vectors.swapaxes(-1, -2) @ right
        return cls(np.maximum(values, 0.0), vectors, along, squares, total)

    @classmethod
    def of_rows(cls, X: Array, y: Array, weight: Array) -> Spectrum:
        """The spectrum of one problem: centred rows (n, p), outputs (n, q); to more digits."""
        # The triangle has the same singular values as the rows, and is small.
        triangle = np.linalg.qr(np.column_stack([X, y]) * np.sqrt(weight)[:, None], mode="r")
        features, outputs = np.split(triangle, [X.shape[1]], axis=1)
        left, singular, vectors = np.linalg.svd(features, full_matrices=False)
        right = singular[:, None] * (left.T @ outputs)
        return cls(
            values=singular[None] ** 2,
            vectors=vectors.T[None],
            right=right[None],
            squares=(weight @ y**2)[None],
            total=weight.sum(keepdims=True),
        )

    def solve(self, penalties: Array) -> Array:
        """Coefficients (m, p, q) under a penalty (m,) each."""
        return self.vectors @ (self.right / (self.values + penalties[:, None])[..., None])

    def penalties(self) -> Array:
        """The penalties (m,) under which the outputs are most probable."""
        logs = np.arange(LOWEST * PER_DECADE, HIGHEST * PER_DECADE + 1) * np.log(10) / PER_DECADE
        mean = self.values.sum(axis=1) / self.vectors.shape[1]
        unit = np.log(np.where(mean > LEAST, mean, 1.0))
        best = self.log_evidence(unit + logs[:, None]).argmax(axis=0)
        low, high = np.maximum(best - 1, 0), np.minimum(best + 1, len(logs) - 1)
        return np.exp(top_of(self._slope, unit + logs[low], unit + logs[high], N_STEPS))

    @cached_property
    def _degrees(self) -> Array:
        """Rows' worth of weight (m,), less the one that goes to the level."""
        return np.maximum(self.total - 1.0, 0.0)

    @cached_property
    def _varies(self) -> NDArray[np.bool_]:
        """Which outputs (m, q) are not constant, and so count."""
        return self.squares > TINY

    def _left(self, held: Array) -> Array:
        """Squared residuals (..., m, q) and, under the penalty, squared coefficients."""
        explained = np.einsum("mrq,...mr->...mq", self.right**2, 1.0 / held)
        return np.maximum(self.squares - explained, ROUNDING * self.squares + TINY)

    def log_evidence(self, log_penalties: Array) -> Array:
        """The log probability (..., m) of the outputs, but for a constant."""
        held = self.values + np.exp(log_penalties)[..., None]
        spread = (np.log(held) - log_penalties[..., None]).sum(axis=-1)
        fit = self._degrees * (np.log(self._left(held)) * self._varies).sum(axis=-1)
        return -0.5 * (spread * self._varies.sum(axis=1) + fit)

    def _slope(self, log_penalties: Array) -> Array:
        """Twice the slope (m,) of `log_evidence` along the logarithm of the penalty."""
        penalty = np.exp(log_penalties)[:, None]
        held = self.values + penalty
        determined = (self.values / held).sum(axis=1)
        coef = ((self.right / held[..., None]) ** 2).sum(axis=1)
        costs = penalty * coef / self._left(held) * self._varies
        return determined * self._varies.sum(axis=1) - self._degrees * costs.sum(axis=1)
