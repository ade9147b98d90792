"""Experts that lean on one expert of all rows, as far as unseen rows say that they should.

An expert learns from a part of the rows, and the one of all rows, that the mixture has to beat, is
steadier. So what expert k says is drawn toward what that one says, by the part d / (d + v): d is
the expert's dispersion, and v, one number for all, the variance of what experts have to say of
their own. It is the mean of a normal law whose prior is the one of all rows. Experts of regions
with little noise stay what they are; those of noisy ones lean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._noise import Forecast, Noise
from ._numeric import Array, clustered_stderr, weighted_mean
from .families import RealFamily

# Variances that are tried, in units of the typical dispersion: parts from all but nothing to all.
VARIANCES = np.exp(np.linspace(-8.0, 8.0, 33))


@dataclass(frozen=True)
class Leaning:
    """The expert of all rows, and the variance (q,) of what the others have to say of their own."""

    expert: Any
    variance: Array

    def under(self, noise: Noise) -> Leaning:
        """The same, where dispersions are those of calibrated noise."""
        factors = [change.factor for change in noise.changes]
        return replace(self, variance=self.variance * factors) if factors else self


def can_lean(family: Any) -> bool:
    """Whether the law has a mean that can be moved without changing the noise."""
    return isinstance(family, RealFamily) and family.is_location_scale and family.says_means


def leaned(mean: Array, law: Array, toward: Array, variance: Array) -> Array:
    """Predictions (m, S, q), drawn `toward` others (m, q) as their dispersions ask for.

    `law` is that of the experts, (S, q, P) or of each row (m, S, q, P).
    """
    dispersion = law[..., 0]
    # Where an infinite variance leaves nothing of the other, its part is exactly zero.
    part = dispersion / (dispersion + variance)
    return mean + part * (toward[:, None] - mean)


def lean_variance(noise: Noise, forecasts: Sequence[Forecast], baseline: Array) -> Array:
    """Variances (q,) of what experts have to say of their own, infinite where they do not lean.

    For one output after the other it is the one that makes the forecasts most likely under the
    `noise`, of those that do not raise the squared error of their means; it is taken if the mean
    log density rises by more than a standard error. `baseline` (n, q) are predictions of one
    expert, of the same folds.
    """
    variance = np.full(baseline.shape[1], np.inf)
    if not (forecasts and can_lean(noise.law)):
        return variance
    weights = [forecast.weight.sum() for forecast in forecasts]
    typical = [forecast.mean_log_dispersion() for forecast in forecasts]
    units = np.exp(np.average(typical, axis=0, weights=weights))
    for output, unit in enumerate(units):
        rivals = np.tile(variance, (len(VARIANCES) + 1, 1))
        rivals[1:, output] = unit * VARIANCES
        records = [_record(noise, lean(forecasts, baseline, v), output) for v in rivals]
        variance = rivals[_best(records, forecasts)]
    return variance


def lean(forecasts: Sequence[Forecast], baseline: Array, variance: Array) -> list[Forecast]:
    """The forecasts of experts that lean."""
    return [
        replace(told, mean=leaned(told.mean, told.law, baseline[told.rows], variance))
        for told in forecasts
    ]


def _record(noise: Noise, forecasts: Sequence[Forecast], output: int) -> tuple[Array, float]:
    """Log densities (m,) of forecasts, and their weighted squared error for one output."""
    log_density = np.concatenate([told.log_density(noise) for told in forecasts])
    return log_density, sum(float(t.squared_error(output) @ t.weight) for t in forecasts)


def _best(records: list[tuple[Array, float]], forecasts: Sequence[Forecast]) -> int:
    """The record of highest density and no more error than the first, or 0 if it is not sure."""
    weight = np.concatenate([told.weight for told in forecasts])
    clusters = np.concatenate([told.clusters for told in forecasts])
    densities = [float(weighted_mean(log_density, weight)) for log_density, _ in records]
    fit = [place for place, (_, error) in enumerate(records) if error <= records[0][1]]
    best = max(fit, key=densities.__getitem__)
    rise, delta = densities[best] - densities[0], records[best][0] - records[0][0]
    return best if rise > clustered_stderr(delta - rise, weight, clusters) else 0
