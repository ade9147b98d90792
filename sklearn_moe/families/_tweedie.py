"""Amounts that are often exactly zero: Tweedie's compound Poisson-gamma law."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import stats
from scipy.special import gammainc, gammaln, xlogy

from .._maximise import maximise
from .._numeric import Array
from ._real import PositiveFamily

# Terms of the series below this part of the largest, in nats, are left out.
NEGLIGIBLE = 37.0
LEAST, MOST = 1e-3, 1e4
N_STEPS = 32
# Entries of a block of terms, which fits into the cache, and of a table of their constants.
AT_ONCE, LONGEST_TABLE = 2**16, 10**6


@dataclass(frozen=True, kw_only=True)
class Tweedie(PositiveFamily):
    """Tweedie law around the expert's output: a Poisson number of gamma amounts, zero if none.

    The variance is dispersion times mean to the `power`; the coefficient of variation at the
    target's mean is at least 0.03. The density is the sum of a series, so this law costs more than
    the others.

    Parameters
    ----------
    power : float, default=1.5
        Between 1 (nearly Poisson) and 2 (nearly gamma), both excluded; that of the experts'
        ``TweedieRegressor`` if they are such.
    shared : bool, default=False
        Whether all experts have the same dispersion.

    References
    ----------
    P. K. Dunn and G. K. Smyth, "Series evaluation of Tweedie exponential dispersion model
    densities", Statistics and Computing 15(4), 2005.
    """

    power: float = 1.5

    allows_zero: ClassVar[bool] = True
    exact_ppf: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 < self.power < 2:
            raise ValueError(
                f"power={self.power!r} must be above 1 and below 2; the ends are family='poisson' "
                "and 'gamma'."
            )

    def frozen(self, mean: Array, *law: Array) -> Any:
        """Not known to scipy."""
        raise NotImplementedError("scipy has no Tweedie distribution.")

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log density of positive `y`, log probability of zero."""
        rate, shape, scale = self._compound(mean, law[0])
        positive = np.where(y > 0, y, 1.0)
        # The logarithms of the terms are those of a Poisson number of gammas; rate in front.
        slope = np.log(rate) + shape * (np.log(positive) - np.log(scale))
        series = _log_series(slope, shape)
        density = -rate - positive / scale - np.log(positive) + series
        return np.where(y > 0, density, -rate)

    def cdf(self, y: Array, mean: Array, *law: Array) -> Array:
        """Probability of values up to `y`."""
        rate, shape, scale = np.broadcast_arrays(*self._compound(mean, law[0]))
        scaled = np.maximum(y, 0.0) / scale
        # Numbers that are this far from their mean have no probability to speak of.
        reach = 10 * np.sqrt(rate) + 20
        first = np.maximum(np.rint(rate - reach), 1.0)
        total = np.exp(-rate)
        for step in range(int(np.max(rate + reach - first)) + 1):
            number = first + step
            chance = np.exp(xlogy(number, rate) - rate - gammaln(number + 1))
            total = total + chance * gammainc(number * shape, scaled)
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

        def log_likelihood(log_dispersion: Array) -> Array:
            return (weights * self.log_density(y, mean, np.exp(log_dispersion))).sum(axis=0)

        unit = np.maximum(self.moments[0], np.finfo(np.float64).tiny) ** (2 - self.power)
        guess = np.clip(pearson / unit, LEAST, MOST) * unit
        # Below the least dispersion the amounts are so many that the law is normal, and the series
        # long.
        low, high = np.broadcast_arrays(np.log(LEAST * unit), np.log(guess) + 4.0)
        return (np.exp(maximise(log_likelihood, low, high, N_STEPS)),)

    def _compound(self, mean: Array, dispersion: Array) -> tuple[Array, Array, Array]:
        """Rate of the number, shape and scale of the amounts."""
        power = self.power
        rate = mean ** (2 - power) / (dispersion * (2 - power))
        scale = dispersion * (power - 1) * mean ** (power - 1)
        return rate, np.asarray((2 - power) / (power - 1)), scale


def _log_series(slope: Array, shape: Array) -> Array:
    """Log of the sum over j = 1, 2, ... of exp(j slope) / (j! Gamma(j shape)).

    Terms rise to one peak and fall; those around it are summed, as many as the widest peak needs.
    """
    peak = np.maximum(np.exp((slope - shape * np.log(shape)) / (1 + shape)), 1.0)
    width = np.sqrt(2 * NEGLIGIBLE * peak / (1 + shape)) + 10
    first = np.maximum(np.rint(peak - width), 1.0)
    n_terms = int(np.max(np.rint(peak + width) - first)) + 1
    log_constant = _log_constants(first, n_terms, shape)
    largest = np.rint(peak) * slope - log_constant(np.rint(peak))
    total, n_at_once = np.zeros_like(slope), max(1, AT_ONCE // slope.size)
    for begin in range(0, n_terms, n_at_once):
        j = first + np.arange(begin, min(begin + n_at_once, n_terms)).reshape(-1, *[1] * first.ndim)
        total += np.exp(j * slope - log_constant(j) - largest).sum(axis=0)
    return largest + np.log(total)


def _log_constants(first: Array, n_terms: int, shape: Array) -> Callable[[Array], Array]:
    """Maps numbers j, from `first` on, to log(j! Gamma(j shape)): a table, if they are not many."""

    def at(j: Array) -> Array:
        return gammaln(j + 1) + gammaln(j * shape)

    start, end = first.min(), first.max() + n_terms
    if end - start > LONGEST_TABLE:
        return at
    table = at(np.arange(start, end))
    return lambda j: table[(j - start).astype(np.intp)]
