"""What every noise law promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array


class Family(ABC):
    """Law of the target around an expert's output. Stateless: the dispersion is passed, not kept.

    Shapes: `y` is (n, q) for real targets and (n,) for class codes; `mean` is (n, K, q) or
    (n, K, C); `dispersion` has K rows.
    """

    @abstractmethod
    def log_prob(self, y: Array, mean: Array, dispersion: Array) -> Array:
        """Log density (n, K) of each target under each expert."""

    @property
    def has_point_mass(self) -> bool:
        """Whether an expert that predicts zero for every row is certain of it."""
        return False

    def says_zero(self, mean: Array) -> NDArray[np.bool_]:
        """Whether means (...) are zeros that an expert is certain of."""
        return np.zeros(mean.shape, dtype=bool)

    def telling_weights(self, y: Array, weights: Array) -> Array:
        """Weights (n, K), zero for rows that say nothing of an expert's dispersion."""
        return weights

    def exact_log_prob(self, y: Array, mean: Array, dispersion: Array) -> Array:
        """`log_prob` without a floor: minus infinity where EM works with a very low number."""
        return self.log_prob(y, mean, dispersion)

    def surprise(self, y: Array, log_prob: Array) -> Array:
        """How badly (n,) rows of these log densities are explained, in no unit.

        It is its own inverse: applied to surprises, it returns log densities.
        """
        return -log_prob

    @abstractmethod
    def fit_dispersion(
        self, y: Array, mean: Array, expert_weights: Array, relative: Array | None = None
    ) -> Array:
        """Dispersions of the experts under weights (n, K), floored so that none is degenerate.

        Where dispersions differ by row, `relative` (n, K, q) says how, up to a factor.
        """

    @abstractmethod
    def attributes(self, dispersion: Array) -> dict[str, Any]:
        """The dispersions as fitted attributes of the estimator."""

    @abstractmethod
    def count_parameters(self, dispersion: Array) -> int:
        """How many numbers of the dispersions were estimated, for information criteria."""

    def latent_weights(self, y: Array, mean: Array, dispersion: Array) -> Array | None:
        """Weights (n, K) of rows in the next fits of the experts; None where all weigh the same."""
        return None

    @property
    def resists_outliers(self) -> bool:
        """Whether rows far from a prediction lose their weight; starts then hold far targets."""
        return False

    @property
    def pools_dispersion(self) -> bool:
        """Whether all experts have the same dispersion."""
        return False

    def in_sample_law(self) -> Family:
        """The law where predictions are not out of fold."""
        return self

    def adjust(self, mean: Array, dispersion: Array) -> Any:
        """What each expert predicts once its dispersion is known; the mean itself by default."""
        return mean


def law_by_row(law: Array, relative: Array) -> Array:
    """Parameters (n, K, q, P) of a noise law from (K, q, P), or (n, K, q, P) already.

    The first parameter, the dispersion, is multiplied by the `relative` one (n, K, q) of each row.
    """
    by_row = np.broadcast_to(law, (len(relative), *law.shape[-3:])).copy()
    by_row[..., 0] *= relative
    return by_row


def without_points(value: Array, points: NDArray[np.bool_]) -> Array:
    """A parameter with the largest one in place of those of point masses.

    Formulas are evaluated there in vain; numbers of another unit than the target's may take long.
    """
    largest = np.max(value, where=np.logical_not(points), initial=0.0)
    return np.where(points, largest if largest > 0 else 1.0, value)
