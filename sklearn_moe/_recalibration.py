"""Mixtures recalibrated by forecasts of unseen rows: their noise, and how far experts lean.

The one expert that a mixture has to beat is recalibrated in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ._baseline import Baseline
from ._calibrated_noise import calibrated
from ._forecasts import Forecast
from ._noise import Noise
from ._numeric import Array, weighted_mean
from ._recipe import Recipe
from .leaning import Leaning, find_leaning


@dataclass(frozen=True, eq=False)
class Recalibration:
    """The `noise` and the `leaning` that forecasts ask for; the latter's expert is fitted later."""

    forecasts: Sequence[Forecast]
    noise: Noise
    leaning: Leaning | None = None

    def log_probs(self, before: Array) -> Array:
        """Log density (n,) of rows under recalibrated forecasts; `before` if there are none."""
        if not self.forecasts:
            return before
        noise, log_probs = self.noise.of_forecasts(), np.full_like(before, np.nan)
        for forecast in self.forecasts:
            log_probs[forecast.rows] = forecast.log_density(noise)
        return np.where(np.isnan(before), np.nan, log_probs)


@dataclass(frozen=True, eq=False)
class Scores:
    """Log densities (n,) of unseen rows, `before` and `after` recalibration; NaN for others.

    In a large table some rows have no forecast, and so no score after it.
    """

    before: Array
    after: Array

    def minus(self, other: Scores, weight: Array) -> Array:
        """Differences (n,) after recalibration, expected ones for rows without a forecast.

        The expected differences come from a regression on the differences before. The mean over all
        rows is then the regression estimator of survey sampling (Cochran, Sampling Techniques,
        1977).
        """
        before, after = self.before - other.before, self.after - other.after
        known, forecast = ~np.isnan(before), ~np.isnan(after)
        if (known == forecast).all():
            return after
        x, y, w = before[forecast], after[forecast], weight[forecast]
        x_mean, y_mean = weighted_mean(x, w), weighted_mean(y, w)
        variance = (w * (x - x_mean) ** 2).sum()
        slope = (w * (x - x_mean) * y).sum() / variance if variance > 0 else 0.0
        expected = y_mean + slope * (before - x_mean)
        expected[forecast] += (y - expected[forecast]) * (weight[known].sum() / w.sum())
        return expected


def recalibrate(
    recipe: Recipe,
    baseline: Baseline,
    witnessed: Sequence[Forecast],
    own: Forecast | None,
    left: float = 1.0,
) -> Recalibration:
    """The recalibration that forecasts of unseen rows ask for.

    The forecasts are those of witnesses or, without any, the fit's `own` out of fold. Of what
    witnesses learn from one more fold, the fit has the part `left` still to learn.
    """
    forecasts = witnessed or ([] if own is None else [own])
    noise, leaning = calibrated(recipe.family, forecasts, own, left), None
    if witnessed and baseline.mean is not None:
        # Under the noise that suits them, so that experts lean alike whether that noise is kept or
        # not.
        leaning = find_leaning(noise.of_forecasts(), witnessed, baseline.mean)
        if leaning is not None:
            forecasts = [leaning.leaned_forecast(unseen, baseline.mean) for unseen in witnessed]
            noise = calibrated(recipe.family, forecasts, own, left)
    if not recipe.calibrates:
        noise = Noise(recipe.family)
    return Recalibration(forecasts, noise, leaning and leaning.under(noise))


def scores_alone(recipe: Recipe, baseline: Baseline) -> Scores:
    """The scores of the one expert, recalibrated in the same way."""
    found = recalibrate(recipe, baseline, [], baseline.forecast)
    return Scores(baseline.log_prob, found.log_probs(baseline.log_prob))
