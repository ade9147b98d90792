"""Amounts that are often exactly zero: Tweedie's compound Poisson-gamma law."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from scipy import stats
from scipy.special import gammainc, gammaln, xlogy

from .._maximise import top_of
from .._numeric import Array
from ._real import PositiveFamily
from ._series import series_of

LEAST, MOST = 1e-3, 1e4
N_STEPS = 32


@dataclass(frozen=True, kw_only=True)
class Tweedie(PositiveFamily):
    """Tweedie law around the expert's output: a Poisson number of gamma amounts, zero if none.

    The variance is dispersion times mean to the `power`; the coefficient of variation at the
    target's mean is at least 0.03. The density is the sum of a series, which is read from a table
    that the first use of a power makes; quantiles cost more than those of other laws. With a power
    below 1.01 the density is a row of narrow peaks, which modes, entropies and highest-density
    regions of mixtures may miss.

    Parameters
    ----------
    power : float, default=1.5
        Between 1 (nearly Poisson) and 2 (nearly gamma), both excluded; the power of the experts if
        they are ``TweedieRegressor``.
    shared : bool, default=False
        Whether all experts have the same dispersion.

    References
    ----------
    P. K. Dunn and G. K. Smyth, "Series evaluation of Tweedie exponential dispersion model
    densities", Statistics and Computing 15(4), 2005.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import TweedieRegressor
    >>> from sklearn_moe import MixtureOfExpertsRegressor
    >>> from sklearn_moe.families import Tweedie
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1))
    >>> number = rng.poisson(np.exp(np.abs(X[:, 0])))
    >>> y = np.array([rng.exponential(size=n).sum() for n in number])
    >>> expert, law = TweedieRegressor(power=1.3, alpha=0.0), Tweedie(power=1.3)
    >>> mixture = MixtureOfExpertsRegressor(expert, family=law, random_state=0).fit(X, y)
    >>> mixture.predict([[1.0]]).round()
    array([3.])
    """

    power: float = 1.5

    allows_zero: ClassVar[bool] = True
    exact_ppf: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isinstance(self.power, Real) and 1 < self.power < 2):
            raise ValueError(
                f"power={self.power!r} must be a number above 1 and below 2; the ends are "
                "family='poisson' and 'gamma'."
            )

    def frozen(self, mean: Array, *law: Array) -> Any:
        """Not known to scipy."""
        raise NotImplementedError("scipy has no Tweedie distribution.")

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log density of positive `y`, log probability of zero."""
        rate, shape, scale = self._compound(mean, law[0])
        is_amount = (y > 0) & np.isfinite(y)
        positive = np.where(is_amount, y, mean)
        series = series_of(shape).log_sum(_slope(positive, rate, shape, scale))
        density = -rate - positive / scale - np.log(positive) + series
        return np.where(is_amount, density, np.where(y == 0, -rate, -np.inf))

    def cdf(self, y: Array, mean: Array, *law: Array) -> Array:
        """Probability of values up to `y`."""
        return self._sum(y, mean, law[0], least=1e-18)

    def rough_cdf(self, y: Array, mean: Array, *law: Array) -> Array:
        """Probability of values up to `y`, to 1e-6."""
        return self._sum(y, mean, law[0], least=1e-9)

    def _sum(self, y: Array, mean: Array, dispersion: Array, least: float) -> Array:
        """Probability of values up to `y`, by numbers of amounts likelier than the `least`."""
        rate, shape, scale = self._compound(mean, dispersion)
        scaled = np.maximum(y, 0.0) / scale
        # Numbers further than this from their mean have next to no probability.
        reach = 10 * np.sqrt(rate) + 20
        first = np.maximum(np.rint(rate - reach), 1.0)
        total = np.array(np.exp(-rate) + np.zeros_like(scaled))
        for step in range(int(np.max(rate + reach - first, initial=0.0)) + 1):
            number = first + step
            chance = np.exp(xlogy(number, rate) - rate - gammaln(number + 1))
            # The incomplete gamma function takes long, and most rows are done before the last.
            if (chance > least).any():
                parts = chance > least, number * shape, chance, scaled
                some, amounts, chance, _ = np.broadcast_arrays(*parts)
                total[some] += chance[some] * gammainc(amounts[some], scaled[some])
        return np.where(y < 0, 0.0, np.minimum(total, 1.0))

    def ppf(self, level: Array, mean: Array, *law: Array) -> Array:
        """Quantile at `level` of the gamma law of the same moments: a rough one."""
        ratio = law[0] * mean ** (self.power - 1)
        return stats.gamma.ppf(level, mean / ratio, scale=ratio)

    def variance(self, mean: Array, *law: Array) -> Array:
        """Variance around the mean."""
        return law[0] * mean**self.power

    def draw(self, generator: np.random.RandomState, mean: Array, *law: Array) -> Array:
        """One draw for each entry of `mean`."""
        rate, shape, scale = np.broadcast_arrays(*self._compound(mean, law[0]))
        number = generator.poisson(rate)
        amount = generator.gamma(np.maximum(number, 1) * shape, scale)
        return np.where(number > 0, amount, 0.0)

    def fit_output(self, y: Array, mean: Array, weights: Array) -> tuple[Array, ...]:
        """The most likely dispersion (K,)."""
        mass = weights.sum(axis=0)
        pearson = (weights * (y - mean) ** 2 / mean**self.power).sum(axis=0) / mass

        def score(log_dispersion: Array) -> Array:
            return (weights * self._score(y, mean, np.exp(log_dispersion))).sum(axis=0)

        unit = np.maximum(self.moments[0], np.finfo(np.float64).tiny) ** (2 - self.power)
        guess = np.clip(pearson / unit, LEAST, MOST) * unit
        # Below the least dispersion the amounts are so many that the law is normal, and the series
        # long.
        low, high = np.broadcast_arrays(np.log(LEAST * unit), np.log(guess) + 4.0)
        return (np.exp(top_of(score, low, high, N_STEPS)),)

    def _score(self, y: Array, mean: Array, dispersion: Array) -> Array:
        """Derivative of the log density by the logarithm of the dispersion."""
        rate, shape, scale = self._compound(mean, dispersion)
        positive = np.where(y > 0, y, mean)
        number = series_of(shape).mean_number(_slope(positive, rate, shape, scale))
        return rate + np.where(y > 0, positive / scale - (1 + shape) * number, 0.0)

    def _compound(self, mean: Array, dispersion: Array) -> tuple[Array, float, Array]:
        """Rate of the number, shape and scale of the amounts."""
        power = self.power
        rate = mean ** (2 - power) / (dispersion * (2 - power))
        scale = dispersion * (power - 1) * mean ** (power - 1)
        return rate, (2 - power) / (power - 1), scale


def _slope(y: Array, rate: Array, shape: float, scale: Array) -> Array:
    """What one more amount adds to the log joint density of `y` and the number of amounts.

    Terms that depend on the number alone are left out.
    """
    return np.log(rate) + shape * (np.log(y) - np.log(scale))
