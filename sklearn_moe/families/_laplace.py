"""Noise with heavier tails than the Gaussian's: Laplace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import stats

from .._numeric import Array
from ._real import RealFamily

# Residuals below this part of the scale count as this large: a latent weight is finite.
LEAST_RESIDUAL = 1e-4


@dataclass(frozen=True, kw_only=True)
class Laplace(RealFamily):
    """Laplace law around the expert's output; the dispersion is the squared scale, half a variance.

    The most likely centre is the median. Squared-error experts are led to it by latent weights, the
    inverse of the last absolute residuals.

    Parameters
    ----------
    reweight : bool, default=True
        Whether experts are fitted under latent weights. False for experts that minimise absolute
        error by themselves, such as ``QuantileRegressor`` or boosting with
        ``loss="absolute_error"``.
    shared : bool, default=False
        Whether all experts have the same dispersion.

    References
    ----------
    W. Song, W. Yao and Y. Xing, "Robust mixture regression model fitting by Laplace distribution",
    Computational Statistics and Data Analysis 71, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import QuantileRegressor
    >>> from sklearn_moe import MixtureOfExpertsRegressor
    >>> from sklearn_moe.families import Laplace
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1))
    >>> y = 2 * np.abs(X[:, 0]) + 0.1 * rng.laplace(size=200)
    >>> medians = QuantileRegressor(alpha=0.0)  # minimises absolute error by itself
    >>> law = Laplace(reweight=False)
    >>> mixture = MixtureOfExpertsRegressor(medians, family=law, verdict=False, random_state=0)
    >>> mixture = mixture.fit(X, y)
    >>> mixture.predict([[1.0]]).round(1)
    array([2.])
    """

    reweight: bool = True

    is_location_scale: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_switch("reweight", self.reweight)

    def frozen(self, mean: Array, *law: Array) -> Any:
        """The law as a frozen distribution of scipy."""
        return stats.laplace(mean, np.sqrt(law[0]))

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log density of `y`."""
        scale = np.sqrt(law[0])
        return -np.abs(mean - y) / scale - np.log(2 * scale)

    @property
    def resists_outliers(self) -> bool:
        """Whether rows far from a prediction lose their weight: if it reweights them."""
        return self.reweight

    def latent_output(self, y: Array, mean: Array, *law: Array) -> Array | None:
        """Scale over absolute residual."""
        if not self.reweight:
            return None
        return 1.0 / np.maximum(np.abs(mean - y) / np.sqrt(law[0]), LEAST_RESIDUAL)

    def fit_output(self, y: Array, mean: Array, weights: Array) -> tuple[Array, ...]:
        """Square of the weighted mean absolute residual (K,)."""
        scale = np.einsum("nk,nk->k", weights, np.abs(mean - y)) / weights.sum(axis=0)
        return (np.maximum(scale**2, self.floor),)
