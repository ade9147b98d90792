"""Counts that vary more than a Poisson law allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import digamma, gammaln, xlog1py, xlogy

from .._maximise import top_of
from .._numeric import Array
from ._real import CountFamily

LEAST, MOST = 1e-6, 1e3


@dataclass(frozen=True, kw_only=True)
class NegativeBinomial(CountFamily):
    """Negative binomial law around the expert's output.

    The variance is mean plus dispersion times squared mean (NB2). As the dispersion falls to its
    smallest value, 1e-6, the law becomes Poisson's.

    Parameters
    ----------
    shared : bool, default=False
        Whether all experts have the same dispersion.
    """

    def frozen(self, mean: Array, *law: Array) -> Any:
        """The law as a frozen distribution of scipy."""
        return stats.nbinom(1.0 / law[0], 1.0 / (1.0 + law[0] * mean))

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log probability of `y`."""
        size = 1.0 / law[0]
        log_odds = xlogy(y, law[0] * mean) - xlog1py(y + size, law[0] * mean)
        return gammaln(y + size) - gammaln(size) - gammaln(y + 1) + log_odds

    def fit_output(self, y: Array, mean: Array, weights: Array) -> tuple[Array, ...]:
        """The most likely dispersion (K,)."""

        def slope(log_dispersion: Array) -> Array:
            size = np.exp(-log_dispersion)
            rise = digamma(size) - digamma(y + size) + np.log1p(mean / size)
            return (weights * (rise + (y - mean) / (mean + size))).sum(axis=0)

        ends = np.log(np.outer([LEAST, MOST], np.ones(weights.shape[1])))
        return (np.exp(top_of(slope, *ends)),)
