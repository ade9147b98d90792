"""What becomes of a mixture once unseen rows have been heard: its noise, and how far experts lean.

The one expert that it has to beat is heard in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ._baseline import Baseline
from ._noise import Forecast, Noise, calibrated
from ._numeric import Array
from ._recipe import Recipe
from .leaning import Leaning, find_leaning


@dataclass(frozen=True, eq=False)
class Hearing:
    """The `noise` and the `leaning`, its expert not yet fitted, that forecasts have asked for."""

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

    def scores(self, before: Array, weight: Array) -> Array:
        """Values (n,) whose mean is that of `log_probs`, for all rows that have one `before`.

        Of a large table some rows are asked for forecasts. What these have changed by counts for
        the others as well (the difference estimator of survey sampling).
        """
        after, heard = self.log_probs(before), ~np.isnan(before)
        asked, scores = ~np.isnan(after), before.copy()
        part = weight[asked].sum() / weight[heard].sum()
        scores[asked] += (after - before)[asked] / part
        return scores


def hear(
    recipe: Recipe, baseline: Baseline, told: Sequence[Forecast], own: Forecast | None
) -> Hearing:
    """What forecasts of unseen rows ask for.

    They are what witnesses have `told` or, without any, the `own` forecast of the fit out of fold.
    """
    forecasts = told or ([] if own is None else [own])
    noise, leaning = calibrated(recipe.family, forecasts, own), None
    if told and baseline.mean is not None:
        # Under the noise that suits them, so that experts lean the same whether it is kept or not.
        leaning = find_leaning(noise.of_forecasts(), told, baseline.mean)
        if leaning is not None:
            forecasts = [leaning.forecast(unseen, baseline.mean) for unseen in told]
            noise = calibrated(recipe.family, forecasts, own)
    if not recipe.calibrates:
        noise = Noise(recipe.family)
    return Hearing(forecasts, noise, leaning and leaning.under(noise))


def hear_alone(recipe: Recipe, baseline: Baseline) -> Hearing:
    """What the forecast of the one expert asks for."""
    return hear(recipe, baseline, [], baseline.told)


def scores_alone(recipe: Recipe, baseline: Baseline, weight: Array) -> Array:
    """Log density (n,) that the one expert gives each row, once it was heard itself."""
    return hear_alone(recipe, baseline).scores(baseline.log_prob, weight)
