"""Positive targets whose logarithm is Gaussian."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import ndtr, ndtri

from .._numeric import Array
from ._real import RELATIVE_FLOOR, PositiveFamily

CENTERS = ("mean", "median")


@dataclass(frozen=True, kw_only=True)
class LogNormal(PositiveFamily):
    """Log-normal law around the expert's output; the dispersion is the variance of the logarithm.

    Parameters
    ----------
    expert_says : {"mean", "median"}, default="mean"
        What the experts predict: squared-error experts predict the mean, experts fitted to the
        logarithm (``TransformedTargetRegressor(func=np.log, inverse_func=np.exp)``) the median. The
        mixture predicts means in either case.
    shared : bool, default=False
        Whether all experts have the same dispersion.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn_moe import MixtureOfExpertsRegressor
    >>> from sklearn_moe.families import LogNormal
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1))
    >>> y = np.exp(np.abs(X[:, 0]) + 0.5 * rng.normal(size=200))
    >>> expert = TransformedTargetRegressor(LinearRegression(), func=np.log, inverse_func=np.exp)
    >>> law = LogNormal(expert_says="median")
    >>> mixture = MixtureOfExpertsRegressor(expert, family=law, verdict=False, random_state=0)
    >>> mixture = mixture.fit(X, y)
    >>> mixture.predict([[1.0]]).round()  # the mean, exp(1 + 0.5**2 / 2)
    array([3.])
    """

    expert_says: str = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.expert_says not in CENTERS:
            raise ValueError(f"expert_says={self.expert_says!r} must be one of {CENTERS}.")

    def frozen(self, mean: Array, *law: Array) -> Any:
        """The law as a frozen distribution of scipy."""
        return stats.lognorm(np.sqrt(law[0]), scale=mean * np.exp(-0.5 * law[0]))

    def admit(self, mean: Array, output: int, *law: Array) -> Array:
        """Means, made from medians if need be, of at least a small part of the target's mean."""
        admitted = super().admit(mean, output)
        return admitted * np.exp(0.5 * law[0]) if law and self.expert_says == "median" else admitted

    def of_means(self) -> LogNormal:
        """The law around means."""
        return replace(self, expert_says="mean")

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log density of `y`."""
        log_y = np.log(y)
        deviation = log_y - np.log(mean) + 0.5 * law[0]
        return -0.5 * (deviation**2 / law[0] + np.log(2 * np.pi * law[0])) - log_y

    def cdf(self, y: Array, mean: Array, *law: Array) -> Array:
        """Probability of values up to `y`."""
        scale = np.sqrt(law[0])
        return ndtr((np.log(np.maximum(y, 0.0)) - np.log(mean)) / scale + 0.5 * scale)

    def ppf(self, level: Array, mean: Array, *law: Array) -> Array:
        """Quantile at `level`."""
        return mean * np.exp(np.sqrt(law[0]) * ndtri(level) - 0.5 * law[0])

    def fit_output(self, y: Array, mean: Array, weights: Array) -> tuple[Array, ...]:
        """The most likely variance of the logarithm (K,)."""
        # Where y is zero its weight is, too.
        ratio = np.where(y > 0, y, 1.0) / mean
        squared = (weights * np.log(ratio) ** 2).sum(axis=0) / weights.sum(axis=0)
        variance = squared if self.expert_says == "median" else 2 * (np.sqrt(1 + squared) - 1)
        return (np.maximum(variance, RELATIVE_FLOOR),)
