"""The noise law once more, by rows that nobody has fitted: its width, and its tails.

Dispersions are found out of fold, with experts that have seen four fifths of the rows; the experts
that are kept have seen them all and err by less. And real noise is seldom Gaussian. Witnesses show
both: each has found its dispersions before it met its fold, and its experts have learnt from more
rows in between. The change that would have made their forecasts most likely is made to the law that
is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from ._forecasts import Forecast, is_above_stderr, weights_of
from ._maximise import Place, climb
from ._noise import Change, Noise
from ._numeric import Array, weighted_mean
from .families import Family, Gaussian, RealFamily

# A Student-t law of fewer degrees of freedom has hardly a variance, one of more is nearly Gaussian.
LEAST_DF, FIRST_DF, MOST_DF = 3.0, 8.0, 100.0
MOST_FACTOR = 4.0
# Squared errors below this part of their mean count as none.
LEAST_ERROR = 1e-6
# The step of the grid of logarithms.
STEP = 0.02


def calibrated(
    family: Family, forecasts: Sequence[Forecast], own: Forecast | None, left: float
) -> Noise:
    """The noise under which forecasts are most likely, output by output.

    First a factor of the dispersions, then Student-t tails if the law is Gaussian; each is taken if
    it raises the mean log density by more than a standard error. Factors come from witnesses, which
    see F-2 or F-1 folds; the kept experts see all F. These have only the part `left` to learn (see
    `learning_left`), so the factor is raised to that power. The `own` forecast is that of the kept
    experts, out of fold, for all those rows or more.
    """
    if not (forecasts and isinstance(family, RealFamily) and family.is_location_scale):
        return Noise(family)
    noise = Noise(family, _changes(family, forecasts, left))
    if own is None:
        return noise
    factors = _forecast_factors(forecasts, own, left)
    changes = zip(noise.changes, factors, strict=True)
    return replace(noise, changes=tuple(replace(c, forecast_factor=f) for c, f in changes))


def _changes(family: RealFamily, forecasts: Sequence[Forecast], left: float) -> tuple[Change, ...]:
    """The change that forecasts ask for in each output, those before it being changed already.

    What the other outputs say of experts does not depend on this one's noise, so they are asked
    once.
    """
    changes: list[Change] = []
    before = [forecast.log_gate for forecast in forecasts]
    later = [forecast.log_later(family) for forecast in forecasts]
    for output in range(forecasts[0].mean.shape[-1]):
        others = [prior + rest[output] for prior, rest in zip(before, later, strict=True)]
        noise = Noise(family.of_outputs([output]), (Change(),))
        noise = _calibrate(noise, _about(forecasts, output, others), left)
        before = [forecast.log_joint(noise) for forecast in _about(forecasts, output, before)]
        changes += noise.changes
    return tuple(changes)


def _about(forecasts: Sequence[Forecast], output: int, others: Sequence[Array]) -> list[Forecast]:
    """The parts about one output; what the gate and `others` say (m, S) takes the gate's place."""
    pairs = zip(forecasts, others, strict=True)
    return [replace(forecast.output(output), log_gate=prior) for forecast, prior in pairs]


def with_factors(family: RealFamily, forecast: Forecast) -> Noise:
    """The noise of a family whose dispersions are off by a factor in each output, if at all.

    A factor is taken if it raises the mean log density of the output by more than a standard error.
    """
    changes: list[Change] = []
    for output in range(forecast.mean.shape[-1]):
        parts = [forecast.output(output)]
        noise = Noise(family.of_outputs([output]), (Change(),))
        changes += _if_ahead(_most_likely(noise, Change(), parts), noise, parts).changes
    return Noise(family, tuple(changes))


def _calibrate(noise: Noise, forecasts: Sequence[Forecast], left: float) -> Noise:
    """The noise of one output with the change that its forecasts ask for."""
    learnt = _most_likely(noise, Change(), forecasts)
    found = _if_ahead(learnt, noise, forecasts)
    if type(noise.before) is Gaussian:  # a subclass has formulas of its own
        tails = replace(found.changes[0], df=FIRST_DF)
        found = _if_ahead(_most_likely(found, tails, forecasts), found, forecasts)
    if found is noise:
        return noise
    # The first factor, which is due to learning alone, gets the power `left` in place of one.
    change = found.changes[0]
    factor = change.factor * learnt.changes[0].factor ** (left - 1)
    return found.with_change(replace(change, factor=factor))


def _forecast_factors(forecasts: Sequence[Forecast], own: Forecast, left: float) -> list[float]:
    """What the factor of each output is to be multiplied by for those who have more to learn.

    The fit's own dispersions come from experts with one fold more than those of the forecasts, and
    are narrower by what is learnt from that fold. Without noise errors are inverse to the number of
    rows, so it is at most their ratio; luck can make as much, of either sign. Experts of forecasts
    have learnt as much again since their dispersions were taken, those of the fit only the part
    that is `left` of it: the difference is due. What the fit is narrower by beyond that is no
    learning, and is due in full. The factor cannot tell: it also makes up for responsibilities,
    which know the targets. Where the fit errs by as much less, it has found a better optimum.
    """
    weights = [forecast.weight.sum() for forecast in forecasts]
    theirs = [forecast.mean_log_dispersion() for forecast in forecasts]
    learnt = own.mean_log_dispersion() - np.average(theirs, axis=0, weights=weights)
    most = np.log(2 * left / (1 + left))  # (F-2)/(F-1), where `left` is (F-2)/F
    beyond = np.minimum(learnt - np.minimum(most, _log_ratio_of_errors(own, forecasts)), 0.0)
    return np.exp((1 - left) * np.clip(learnt, most, -most) + beyond).tolist()


def _log_ratio_of_errors(own: Forecast, forecasts: Sequence[Forecast]) -> Array:
    """Logarithm (q,) of typical squared errors of the fit, over those of forecasts of its rows."""
    places = np.concatenate([own.places(forecast.rows) for forecast in forecasts])
    weight, ratios = weights_of(forecasts), []
    for output in range(own.mean.shape[-1]):
        theirs = np.concatenate([forecast.squared_error(output) for forecast in forecasts])
        least = LEAST_ERROR * weighted_mean(theirs, weight) + np.finfo(float).tiny
        logs = np.log(own.squared_error(output)[places] + least) - np.log(theirs + least)
        ratios.append(weighted_mean(logs, weight))
    return np.array(ratios)


def learning_left(n_folds: int) -> float:
    """What the last of `n_folds` teaches experts, as a part of what the fold before it does.

    If their error beyond the noise is inverse to the number of rows, it is 1/(F-2), 1/(F-1) and 1/F
    as folds are added. (Of two, a witness deals its own to two: experts of a quarter of the rows,
    of half of them and of all have errors of four, two and one.)
    """
    return 0.5 if n_folds == 2 else 1 - 2 / n_folds


def _most_likely(noise: Noise, begin: Change, forecasts: Sequence[Forecast]) -> Noise:
    """The noise of one output at its best factor and, if it begins with any, degrees of freedom."""
    ends = np.log([(1 / MOST_FACTOR, MOST_FACTOR), (LEAST_DF, MOST_DF)])
    first = np.log([begin.factor] if begin.df is None else [begin.factor, begin.df])
    low, high = np.rint((ends[: len(first)].T - first) / STEP)
    weight = weights_of(forecasts)

    def at(place: Place) -> Noise:
        return noise.with_change(Change(*np.exp(first + STEP * np.array(place)).tolist()))

    @cache
    def height(place: Place) -> float:
        if (np.less(place, low) | np.greater(place, high)).any():
            return -np.inf
        return float(weighted_mean(_log_density(at(place), forecasts), weight))

    return at(climb(height, (0,) * len(first)))


def _if_ahead(rival: Noise, noise: Noise, forecasts: Sequence[Forecast]) -> Noise:
    """The `rival` if it is ahead by more than a standard error, else the `noise`."""
    delta = _log_density(rival, forecasts) - _log_density(noise, forecasts)
    return rival if is_above_stderr(delta, forecasts) else noise


def _log_density(noise: Noise, forecasts: Sequence[Forecast]) -> Array:
    return np.concatenate([forecast.log_density(noise) for forecast in forecasts])
