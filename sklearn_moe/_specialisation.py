"""From responsibilities to the weights of the experts' fits.

An expert whose fit remembers rows however little they weigh loses those of small responsibility
(`thresholds`); an expert that needs many rows is lent a part of those of others (`pooling`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ._numeric import WEIGHT_GRID, Array, on_weight_grid, row_blocks

# Experts of this threshold, or a higher one, have their weights put on the grid.
ON_GRID = 1.0 / WEIGHT_GRID


@dataclass(frozen=True)
class Specialisation:
    """How each expert specialises.

    `thresholds` (K,) are the responsibilities below which a row leaves an expert's fit; `pooling`
    (K,) is the part of its weight that each row gives to an expert whatever its responsibility.
    """

    thresholds: Array
    pooling: Array

    def take(self, members: tuple[int, ...]) -> Specialisation:
        """The specialisation of some experts."""
        return Specialisation(self.thresholds[list(members)], self.pooling[list(members)])

    def beside_shared(self) -> Specialisation:
        """With one more expert, which sees all rows whichever expert is responsible for them."""
        return Specialisation(np.append(self.thresholds, 0.0), np.append(self.pooling, 1.0))

    @cached_property
    def remembers(self) -> NDArray[np.bool_]:
        """Whether each expert (K,) remembers rows however little they weigh, so some must go."""
        return self.thresholds >= ON_GRID

    @property
    def loses_rows(self) -> bool:
        """Whether experts specialise by losing rows."""
        return bool(self.remembers.any())

    @property
    def all_lose_rows(self) -> bool:
        """Whether every expert specialises by losing rows."""
        return bool(self.remembers.all())

    def without_negligible(self, resp: Array) -> Array:
        """Responsibilities (n, K) without negligible ones, which are overwritten by zeros."""
        negligible = np.where(self.remembers, 0.0, self.thresholds)
        if negligible.any():
            for rows in row_blocks(*resp.shape):
                resp[rows] *= resp[rows] >= negligible
        return resp

    def kept(self, resp: Array) -> Array:
        """Responsibilities (n, K) for the experts' fits, without the small ones of some experts.

        What these experts keep is rounded to a grid on which sums are exact: trees break ties by
        the last digit, and rounding noise must not decide how they grow.
        """
        if not self.loses_rows:
            return resp
        rounded = on_weight_grid(resp)
        rounded[rounded < self.thresholds] = 0.0
        return rounded if self.all_lose_rows else np.where(self.remembers, rounded, resp)

    def fit_weights(self, resp: Array, latent: Array | None) -> Array:
        """Weights (n, K) of rows in the experts' fits, on the grid if they are `kept` on it.

        Every row gives a part to experts that pool; noise laws may have `latent` weights (n, K).
        """
        weights = self.kept(resp)
        if self.pooling.any():
            weights = self._on_grid((1.0 - self.pooling) * weights + self.pooling)
        return weights if latent is None else self._on_grid(weights * latent)

    def _on_grid(self, weights: Array) -> Array:
        return np.where(self.remembers, on_weight_grid(weights), weights)
