"""Successes in a known number of trials, the same for every row."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import betaincc, gammaln, xlog1py, xlogy

from .._numeric import Array
from ._poisson import Poisson
from ._real import LARGE_COUNT, LEAST_MEAN, UndispersedFamily

# As near to certainty as an expert comes, in parts of the trials, where all targets are certain.
LEAST_FAILURE = 1e-12


@dataclass(frozen=True, kw_only=True)
class Binomial(UndispersedFamily):
    """Binomial law whose mean is the expert's output; it has no dispersion, reported as one.

    The target is the number of successes: a rate times `n_trials`. A prediction near `n_trials`, or
    above, is lowered until a thousandth of the target's mean number of failures is left.

    Parameters
    ----------
    n_trials : int, default=1
        How many trials each row had, at least 1. One is a yes or no.
    shared : bool, default=False
        Without effect, for there is no dispersion.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import MixtureOfExpertsRegressor
    >>> from sklearn_moe.families import Binomial
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1))
    >>> y = rng.binomial(10, np.where(X[:, 0] > 0, 0.8, 0.2))
    >>> law = Binomial(n_trials=10)
    >>> mixture = MixtureOfExpertsRegressor(family=law, random_state=0).fit(X, y)
    >>> mixture.predict([[-1.0], [1.0]]).round()
    array([2., 8.])
    """

    n_trials: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        is_number = isinstance(self.n_trials, Integral) and not isinstance(self.n_trials, bool)
        if not is_number or self.n_trials < 1:
            raise ValueError(
                f"n_trials={self.n_trials!r} must be a whole number, at least 1: how many trials "
                "each row had."
            )

    def frozen(self, mean: Array, *law: Array) -> Any:
        """The law as a frozen distribution of scipy."""
        shape = np.broadcast_shapes(mean.shape, law[0].shape)
        return stats.binom(self.n_trials, np.broadcast_to(mean / self.n_trials, shape))

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log probability of `y`."""
        if self.n_trials > LARGE_COUNT:
            return self._log_density_of_many(y, mean, *law)
        failures, chance = self.n_trials - y, mean / self.n_trials
        orders = gammaln(self.n_trials + 1) - gammaln(y + 1) - gammaln(failures + 1)
        density = orders + xlogy(y, chance) + xlog1py(failures, -chance)
        return np.where(failures < 0, -np.inf, density)

    def _log_density_of_many(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log probability by that of Poisson counts of successes and failures, given their sum."""
        counts, trials = Poisson(), np.array(float(self.n_trials))
        successes = counts.log_density(y, mean, *law)
        failures = counts.log_density(np.maximum(trials - y, 0.0), trials - mean, *law)
        together = counts.log_density(trials, trials, *law)
        return np.where(y > trials, -np.inf, successes + failures - together)

    def cdf(self, y: Array, mean: Array, *law: Array) -> Array:
        """Probability of values up to `y`."""
        whole = np.clip(np.floor(y), 0, self.n_trials - 1)
        up_to = betaincc(whole + 1, self.n_trials - whole, mean / self.n_trials)
        return np.select([y < 0, y >= self.n_trials], [0.0, 1.0], up_to)

    def admit(self, mean: Array, output: int, *law: Array) -> Array:
        """Means that leave at least a small part of the target's own successes and failures."""
        known = self.moments[0]
        failures = self.n_trials - known[min(output, len(known) - 1)]
        least = max(LEAST_MEAN * failures, LEAST_FAILURE * self.n_trials)
        return np.minimum(super().admit(mean, output, *law), self.n_trials - least)

    def check_target(self, y: Array, takes_zeros: bool) -> None:
        """Raise if a target is no count, or more than all trials."""
        super().check_target(y, takes_zeros)
        if (most := float(y.max())) > self.n_trials:
            raise ValueError(
                f"The Binomial law has n_trials={self.n_trials}; y holds {most:.6g}. Use "
                f"family=Binomial(n_trials={most:.0f}) or more of sklearn_moe.families, or "
                "'poisson' for counts without a limit."
            )
