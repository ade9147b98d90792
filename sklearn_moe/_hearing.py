"""What becomes of a mixture once unseen rows have been heard: its noise, and how far experts lean.

The one expert that it has to beat is heard in the same way.
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
class Hearing:
    """The `noise` and the `leaning` that forecasts ask for; its expert is fitted later."""

    forecasts: Sequence[Forecast]
    noise: Noise
    leaning: Leaning | None = None

    def log_probs(self, before: Array) -> Array:
        """Log density (n,) that forecasts give their rows now; what it was `before` without any."""
        if not self.forecasts:
            return before
        noise, log_probs = self.noise.of_forecasts(), np.full_like(before, np.nan)
        for forecast in self.forecasts:
            log_probs[forecast.rows] = forecast.log_density(noise)
        return np.where(np.isnan(before), np.nan, log_probs)


@dataclass(frozen=True, eq=False)
class Scores:
    """Log densities (n,) of unseen rows, `before` and `after` they were heard; NaN for other rows.

    In a large table some rows are not heard, and have the first only.
    """

    before: Array
    after: Array

    def minus(self, other: Scores, weight: Array) -> Array:
        """Differences (n,) after rows were heard, expected ones for rows that were not.

        Those are regressed on the differences before. The mean over all rows is then the regression
        estimator of survey sampling (Cochran, Sampling Techniques, 1977).
        """
        before, after = self.before - other.before, self.after - other.after
        known, heard = ~np.isnan(before), ~np.isnan(after)
        if (known == heard).all():
            return after
        x, y, w = before[heard], after[heard], weight[heard]
        x_mean, y_mean = weighted_mean(x, w), weighted_mean(y, w)
        variance = (w * (x - x_mean) ** 2).sum()
        slope = (w * (x - x_mean) * y).sum() / variance if variance > 0 else 0.0
        expected = y_mean + slope * (before - x_mean)
        expected[heard] += (y - expected[heard]) * (weight[known].sum() / w.sum())
        return expected


def hear(
    recipe: Recipe,
    baseline: Baseline,
    told: Sequence[Forecast],
    own: Forecast | None,
    left: float = 1.0,
) -> Hearing:
    """What forecasts of unseen rows ask for.

    They are what witnesses have `told` or, without any, the `own` forecast of the fit out of fold.
    Of what witnesses learn from one more fold, the fit has the part `left` still to learn.
    """
    forecasts = told or ([] if own is None else [own])
    noise, leaning = calibrated(recipe.family, forecasts, own, left), None
    if told and baseline.mean is not None:
        # Under the noise that suits them, so that experts lean the same whether it is kept or not.
        leaning = find_leaning(noise.of_forecasts(), told, baseline.mean)
        if leaning is not None:
            forecasts = [leaning.forecast(unseen, baseline.mean) for unseen in told]
            noise = calibrated(recipe.family, forecasts, own, left)
    if not recipe.calibrates:
        noise = Noise(recipe.family)
    return Hearing(forecasts, noise, leaning and leaning.under(noise))


def scores_alone(recipe: Recipe, baseline: Baseline) -> Scores:
    """What the one expert says of each row, heard in the same way."""
    heard = hear(recipe, baseline, [], baseline.told)
    return Scores(baseline.log_prob, heard.log_probs(baseline.log_prob))
