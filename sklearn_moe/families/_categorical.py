"""Class labels: an expert's probabilities, smoothed toward the class rates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from .._maximise import top_of
from .._numeric import Array, safe_log
from ._base import Family

N_STEPS, TEMPERATURE_STEPS = 30, 20
SMALLEST = 1e-12
# Doubt below this is none; the smallest probabilities of some hundred classes come to less.
DOUBT = 1e-9
# Temperatures, by which log probabilities are divided, lie between these.
COLDEST, HOTTEST = 0.2, 20.0


@dataclass(frozen=True)
class Categorical(Family):
    """Categorical law of class codes.

    The dispersion (K,) of an expert is the share of its probability that is moved to the global
    class rates `class_prior` (C,). It is the share under which the given predictions are most
    likely, so an expert that is sure and wrong (deep trees, hard votes) pays what its own
    out-of-fold record says it must, and no probability is zero. Predictions for the rows of the fit
    itself are no such record: in sample the share stays at its floor.

    If it is `tempered`, an expert's log probabilities are first divided by its temperature, found
    in the same way; dispersions are then (K, 2), shares and temperatures.
    """

    class_prior: Array
    in_sample: bool = False
    tempered: bool = False

    def log_prob(self, y: Array, mean: Array, dispersion: Array) -> Array:
        """Log probability (n, K) of each label under each adjusted expert."""
        share, temperature = self._parts(dispersion)
        own = own_class(y, mean) if temperature is None else _heated(_logs(mean), temperature, y)[0]
        return safe_log((1 - share) * own + share * self.class_prior[y][:, None])

    def fit_dispersion(
        self, y: Array, mean: Array, expert_weights: Array, relative: Array | None = None
    ) -> Array:
        """Most likely smoothing shares (K,), kept above zero, and temperatures if tempered."""
        if self.in_sample or not self.tempered:
            share = self._fit_share(y, own_class(y, mean), expert_weights)
            return np.column_stack([share, np.ones_like(share)]) if self.tempered else share
        logs, prior = _logs(mean), self.class_prior[y][:, None]

        def slope(log_temperature: Array) -> Array:
            # With the share at its best for this temperature, its own change adds nothing to the
            # slope. A cold expert may have a second, lower peak, where all errors are left to the
            # share.
            own, excess = _heated(logs, np.exp(log_temperature), y)
            share = self._fit_share(y, own, expert_weights)
            trust = (1 - share) * own
            return -(expert_weights * excess * trust / (trust + share * prior)).sum(axis=0)

        low, high = np.log(np.outer([COLDEST, HOTTEST], np.ones(mean.shape[1])))
        temperature = np.exp(top_of(slope, low, high, TEMPERATURE_STEPS, by_ends=False))
        # Where nothing is left to the expert, the slope is zero as well, but it is no peak.
        found, as_is = (
            self._of_temperature(y, logs, each, expert_weights)
            for each in (temperature, np.ones_like(temperature))
        )
        return np.where((found[0] >= as_is[0])[:, None], found[1], as_is[1])

    def _of_temperature(
        self, y: Array, logs: Array, temperature: Array, expert_weights: Array
    ) -> tuple[Array, Array]:
        """Log-likelihoods (K,) at the best shares, and the parameters (K, 2)."""
        own, prior = _heated(logs, temperature, y)[0], self.class_prior[y][:, None]
        share = self._fit_share(y, own, expert_weights)
        height = (expert_weights * np.log((1 - share) * own + share * prior)).sum(axis=0)
        return height, np.column_stack([share, temperature])

    def _fit_share(self, y: Array, own: Array, expert_weights: Array) -> Array:
        """The log-likelihood is concave in the share: bisection of its slope.

        Experts come before rows: numpy is fast along the last axis.
        """
        own, weights = np.ascontiguousarray(own.T), np.ascontiguousarray(expert_weights.T)
        mass, prior = weights.sum(axis=1), self.class_prior[y]
        # An expert never wrong in n rows may still err once in about n tables of n rows.
        lowest = (1.0 + mass) ** -2.0
        if self.in_sample:
            return lowest
        # One that is certain of all rows, as where a region has one class, may err once in the next
        # table.
        is_certain = ((np.minimum(own, 1 - own) < DOUBT) | (weights == 0)).all(axis=1)
        lowest = np.where(is_certain, 1.0 / (1.0 + mass), lowest)

        gain = weights * (prior - own)

        def slope(share: Array) -> Array:
            mixed = (1 - share)[:, None] * own
            mixed += share[:, None] * prior
            return np.divide(gain, mixed, out=mixed).sum(axis=1)

        return np.maximum(top_of(slope, lowest, np.ones_like(mass), N_STEPS), lowest)

    def in_sample_law(self) -> Categorical:
        """The law whose shares stay at their floor, and its temperatures at one."""
        return replace(self, in_sample=True)

    def count_parameters(self, dispersion: Array) -> int:
        """Shares and temperatures, none of which is estimated in sample."""
        return 0 if self.in_sample else int(dispersion.size)

    def attributes(self, dispersion: Array) -> dict[str, Any]:
        """Smoothing shares (K,) and temperatures (K,) or None."""
        share, temperature = self._parts(dispersion)
        return {"dispersions_": share, "temperatures_": temperature, "_law": dispersion}

    def adjust(self, mean: Array, dispersion: Array) -> Array:
        """Class probabilities (n, K, C) at their temperature, smoothed."""
        share, temperature = self._parts(dispersion)
        if temperature is not None:
            mean = softmax(_logs(mean) / temperature[..., None], axis=2)
        return (1 - share[..., None]) * mean + share[..., None] * self.class_prior

    def unsmoothed(self, dispersion: Array) -> Array:
        """Parameters of this shape under which `adjust` changes nothing."""
        nothing = np.zeros_like(dispersion)
        if self.tempered:
            nothing[..., 1] = 1.0
        return nothing

    def _parts(self, dispersion: Array) -> tuple[Array, Array | None]:
        return (dispersion[..., 0], dispersion[..., 1]) if self.tempered else (dispersion, None)


def own_class(y: NDArray, mean: Array) -> Array:
    """What each expert (n, K) gives each row's class; `mean` itself if it holds nothing else."""
    if mean.shape[2] == 1:
        return mean[..., 0]
    by_class = np.moveaxis(mean, 0, -1).reshape(mean.shape[1], -1)
    return np.take(by_class, y * len(y) + np.arange(len(y)), axis=1).T


def _logs(mean: Array) -> Array:
    """Log probabilities, with a floor, so that no temperature can take them out of range."""
    return np.log(np.maximum(mean, SMALLEST))


def _heated(logs: Array, temperature: Array, y: NDArray) -> tuple[Array, Array]:
    """What each expert gives each row's class, and how far above its mean that class's log is.

    Both are (n, K); the second is divided by the temperature.
    """
    hot = logs / temperature[..., None]
    proba = softmax(hot, axis=2)
    return own_class(y, proba), own_class(y, hot) - np.einsum("nkc,nkc->nk", proba, hot)
