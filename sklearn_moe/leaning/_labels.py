"""Class probabilities that lean: those of an expert times those of the one of all rows.

Each of the two is raised to a power, one pair of powers for all experts, and the product is made to
sum to one: a logarithmic opinion pool. If the powers sum to less than one, the mixture is less sure
of itself; if to more, surer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from .._forecasts import Forecast, clusters_of, weights_of
from .._maximise import Place, climb
from .._noise import Noise
from .._numeric import Array, log_normalize, safe_log, weighted_mean
from ..families import Categorical
from ..families._categorical import own_class
from ._base import Leaning

# The grid of the powers: its step and its end.
STEP, LAST = 0.05, 40
UPRIGHT = (1.0, 0.0)
# The prior, which matters if rows are few: its middle, where both count alike (a place on the
# grid), and by how many nats powers that are one off are less likely.
EQUAL, PRIOR = (10, 10), 10.0


@dataclass(frozen=True)
class LeaningLabels(Leaning):
    """The powers of an expert's probabilities and of those of the one of all rows.

    Both are smoothed first: those of the experts by their own law, under the `family`, those of the
    one of all rows by the share `smoothing`.
    """

    family: Categorical
    powers: tuple[float, float]
    smoothing: float

    def leaned(self, mean: Array, law: Array, toward: Array) -> tuple[Array, Array]:
        """Class probabilities (m, S, C), and a law that leaves them as they are."""
        logs = self.logs(mean, law, toward)
        return _pooled(self.powers, *logs), self.family.unsmoothed(law)

    def logs(self, mean: Array, law: Array, toward: Array) -> tuple[Array, Array]:
        """Log probabilities of the experts (m, S, C), and of the one of all rows (m, 1, C)."""
        # Classes are few, and numpy is slow along them.
        mean, toward = np.asfortranarray(mean), np.asfortranarray(toward[:, None])
        own = self.family.adjust(mean, law)
        other = _plain(self.family).adjust(toward, np.array([self.smoothing]))
        return np.log(own, out=own), np.log(other, out=other)


def find_powers(
    noise: Noise, forecasts: Sequence[Forecast], baseline: Array
) -> LeaningLabels | None:
    """The powers that are most likely given the forecasts; None if these are 1 and 0.

    The prior is a normal law around a half for both. `baseline` (n, C) are class probabilities of
    one expert, of the same folds.
    """
    family = noise.before
    way = LeaningLabels(None, family, UPRIGHT, _smoothing(family, forecasts, baseline))
    logs = [way.logs(f.mean, f.law, baseline[f.rows]) for f in forecasts]
    weight, n_independent = weights_of(forecasts), len(np.unique(clusters_of(forecasts)))

    @cache
    def height(place: Place) -> float:
        if min(place) < 0 or max(place) > LAST:
            return -np.inf
        pairs = zip(forecasts, logs, strict=True)
        powers = _powers(place)
        log_density = np.concatenate([_log_density(f, powers, *own) for f, own in pairs])
        return float(weighted_mean(log_density, weight)) - _oddity(powers) / n_independent

    powers = _powers(climb(height, EQUAL))
    return None if powers == UPRIGHT else replace(way, powers=powers)


def _plain(family: Categorical) -> Categorical:
    """The law of the one of all rows, whose power is temperature enough."""
    return replace(family, tempered=False)


def _smoothing(family: Categorical, forecasts: Sequence[Forecast], baseline: Array) -> float:
    """The share of its probability that the one of all rows gives to the class rates."""
    target = np.concatenate([forecast.target for forecast in forecasts])
    weight = weights_of(forecasts)
    proba = np.concatenate([baseline[forecast.rows] for forecast in forecasts])
    return float(_plain(family).fit_dispersion(target, proba[:, None], weight[:, None])[0])


def _oddity(powers: tuple[float, float]) -> float:
    """How much less likely the powers are a priori than the middle of the prior, in nats."""
    return PRIOR * float(np.sum(np.subtract(powers, _powers(EQUAL)) ** 2))


def _powers(place: Place) -> tuple[float, float]:
    return round(STEP * place[0], 2), round(STEP * place[1], 2)


def _pooled(powers: tuple[float, float], own: Array, other: Array) -> Array:
    """Probabilities (m, S, C) in proportion to the product, from logarithms.

    Smoothed probabilities are far above the smallest numbers, so no product vanishes.
    """
    product = powers[0] * own
    product += powers[1] * other
    np.exp(product, out=product)
    product /= product.sum(axis=2, keepdims=True)
    return product


def _log_density(
    forecast: Forecast, powers: tuple[float, float], own: Array, other: Array
) -> Array:
    """Log probabilities (m,) of the labels under the gate's weights."""
    proba, labels = _pooled(powers, own, other), forecast.target.astype(np.intp)
    log_prob = safe_log(own_class(labels, proba))
    return log_normalize(log_prob + forecast.log_gate, overwrite=True)[1]
