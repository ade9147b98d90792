"""Means that lean: an expert's predictions are moved toward those of the one of all rows.

The prediction of expert k is moved by the part d / (d + v): d is the expert's dispersion, and v,
one number for all, the variance of experts around the one of all rows. The result is the posterior
mean of a normal law whose prior mean is the prediction of the one of all rows. Experts of regions
with little noise hardly move; those of noisy regions lean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._forecasts import Forecast, is_above_stderr, weights_of
from .._noise import Noise
from .._numeric import Array, weighted_mean
from ..families import RealFamily
from ._base import Leaning

# Variances that are tried, in units of the typical dispersion: parts from all but nothing to all.
VARIANCES = np.exp(np.linspace(-8.0, 8.0, 33))


def has_means(family: Any) -> bool:
    """Whether the law has a mean that can be moved without changing the noise."""
    return isinstance(family, RealFamily) and family.is_location_scale


@dataclass(frozen=True)
class LeaningMeans(Leaning):
    """The variance (q,) of what experts have to say of their own; infinite if they do not lean."""

    variance: Array

    def leaned(self, mean: Array, law: Array, toward: Array) -> tuple[Array, Array]:
        """Means (m, S, q), moved as the dispersions of their `law` ask for, and that law."""
        return drawn_toward(mean, law, toward, self.variance), law

    def under(self, noise: Noise) -> Leaning:
        """How far they lean under calibrated noise."""
        factors = [change.factor for change in noise.changes]
        return replace(self, variance=self.variance * factors) if factors else self


def drawn_toward(mean: Array, law: Array, toward: Array, variance: Array) -> Array:
    """Predictions (m, S, q), drawn `toward` others (m, q) as their dispersions ask for.

    `law` is that of the experts, (S, q, P) or of each row (m, S, q, P).
    """
    dispersion = law[..., 0]
    # Where an infinite variance leaves nothing of the other, its part is exactly zero.
    part = dispersion / (dispersion + variance)
    return mean + part * (toward[:, None] - mean)


def find_variance(
    noise: Noise, forecasts: Sequence[Forecast], baseline: Array
) -> LeaningMeans | None:
    """The variances of all outputs, or None if all are infinite.

    For one output after the other it is the one that makes the forecasts most likely under the
    `noise`, of those that do not raise the squared error of their means; it is taken if the mean
    log density rises by more than a standard error. `baseline` (n, q) are predictions of one
    expert, of the same folds.
    """
    variance = np.full(baseline.shape[1], np.inf)
    weights = [forecast.weight.sum() for forecast in forecasts]
    typical = [forecast.mean_log_dispersion() for forecast in forecasts]
    units = np.exp(np.average(typical, axis=0, weights=weights))
    for output, unit in enumerate(units):
        rivals = np.tile(variance, (len(VARIANCES) + 1, 1))
        rivals[1:, output] = unit * VARIANCES
        ways = [LeaningMeans(None, rival) for rival in rivals]
        moved = [
            [way.leaned_forecast(forecast, baseline) for forecast in forecasts] for way in ways
        ]
        records = [_record(noise, leant, output) for leant in moved]
        variance = rivals[_best(records, forecasts)]
    return None if np.isinf(variance).all() else LeaningMeans(None, variance)


def _record(noise: Noise, forecasts: Sequence[Forecast], output: int) -> tuple[Array, float]:
    """Log densities (m,) of forecasts, and their weighted squared error for one output."""
    log_density = np.concatenate([forecast.log_density(noise) for forecast in forecasts])
    return log_density, sum(float(t.squared_error(output) @ t.weight) for t in forecasts)


def _best(records: list[tuple[Array, float]], forecasts: Sequence[Forecast]) -> int:
    """The record of highest density and no more error than the first, or 0 if it is not sure."""
    weight = weights_of(forecasts)
    densities = [float(weighted_mean(log_density, weight)) for log_density, _ in records]
    fit = [place for place, (_, error) in enumerate(records) if error <= records[0][1]]
    best = max(fit, key=densities.__getitem__)
    return best if is_above_stderr(records[best][0] - records[0][0], forecasts) else 0
