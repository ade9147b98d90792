"""The noise law once more, by rows that nobody has fitted: how wide, and how heavy its tails.

A dispersion is out of fold, of experts that have seen four fifths of the rows; those that are kept
have seen them all and err by less. And real noise is seldom Gaussian. Witnesses know both: each has
laid down its dispersions before it met its fold, and its experts have learnt from more rows in
between. What would have made their forecasts most likely is done to the law that is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._content import uniform_by_content
from ._data import Data
from ._maximise import Place, climb
from ._numeric import Array, log_normalize, mean_and_stderr, weighted_mean
from .families import Family, Gaussian, RealFamily, StudentT

# Distinct rows that are enough to tell a width and a tail by.
ENOUGH_ROWS = 10_000
# A Student-t law of fewer degrees of freedom has hardly a variance, one of more is nearly Gaussian.
LEAST_DF, FIRST_DF, MOST_DF = 3.0, 8.0, 100.0
MOST_FACTOR = 4.0
# What is no error, in parts of the mean squared one.
LEAST_ERROR = 1e-6
# The grid of the logarithms.
STEP = 0.02


@dataclass(frozen=True)
class Forecast:
    """What a mixture has said of rows that it had not seen: the parts of its law, and the rows.

    `rows` are their places in the table; `learning_left` is what others have still to learn, in
    parts of what the mixture had when it met them.
    """

    rows: NDArray[np.intp]
    target: Array
    weight: Array
    clusters: NDArray[np.intp]
    log_gate: Array
    mean: Array
    law: Array
    learning_left: float = 1.0

    def mean_log_dispersion(self) -> Array:
        """Mean logarithm (q,) of what the gate expects the dispersion of a row to be."""
        expected = (np.exp(self.log_gate)[..., None] * self.law[..., 0]).sum(axis=1)
        return weighted_mean(np.log(expected), self.weight)

    def squared_error(self, output: int) -> Array:
        """Squared error (m,) of the mean of one output."""
        mean = (np.exp(self.log_gate) * self.mean[..., output]).sum(axis=1)
        return (self.target[:, output] - mean) ** 2

    def places(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Where some of its rows are among them."""
        order = np.argsort(self.rows)
        return order[np.searchsorted(self.rows, rows, sorter=order)]

    def of(self, rows: NDArray[np.intp]) -> Forecast:
        """The part about some of its rows, with parameters by row."""
        place = self.places(rows)
        names = (field.name for field in fields(self) if field.name != "learning_left")
        return replace(self, **{name: getattr(self, name)[place] for name in names})

    def about(self, output: int) -> Forecast:
        """The part about one output."""
        target, mean = self.target[:, [output]], self.mean[..., [output]]
        return replace(self, target=target, mean=mean, law=self.law[..., [output], :])

    def beside_others(self, output: int, noise: Noise) -> Forecast:
        """The part about one output, with what the others say of the experts, as that of a gate."""
        others = [other for other in range(self.mean.shape[-1]) if other != output]
        if not others:
            return self
        family, law = noise.family.of_outputs(others), noise.law_of(self.law)[..., others, :]
        said = family.log_prob(self.target[:, others], self.mean[..., others], law)
        return replace(self.about(output), log_gate=self.log_gate + said)

    def under(self, noise: Noise) -> Forecast:
        """The same with the parameters that the noise makes of its law."""
        return replace(self, law=noise.law_of(self.law))

    def log_density(self, noise: Noise) -> Array:
        """Log density (m,) of the targets under calibrated noise."""
        log_prob = noise.family.log_prob(self.target, self.mean, noise.law_of(self.law))
        return log_normalize(log_prob + self.log_gate, overwrite=True)[1]


def joined(forecasts: Sequence[Forecast]) -> Forecast:
    """Forecasts of several sets of rows as one, with parameters by row.

    Some may be of fewer experts, for others were lost; these have no probability.
    """
    n_experts = max(forecast.log_gate.shape[1] for forecast in forecasts)

    def filled(values: Array, value: float) -> Array:
        lacking = [(0, 0)] * values.ndim
        lacking[1] = (0, n_experts - values.shape[1])
        return np.pad(values, lacking, constant_values=value)

    laws = [np.broadcast_to(f.law, (len(f.rows), *f.law.shape[-3:])) for f in forecasts]
    parts: dict[str, Any] = {
        "log_gate": np.concatenate([filled(f.log_gate, -np.inf) for f in forecasts]),
        "mean": np.concatenate([filled(f.mean, 0.0) for f in forecasts]),
        "law": np.concatenate([filled(law, 1.0) for law in laws]),
    }
    for name in ("rows", "target", "weight", "clusters"):
        parts[name] = np.concatenate([getattr(forecast, name) for forecast in forecasts])
    return Forecast(**parts)


def weights_of(forecasts: Sequence[Forecast]) -> Array:
    """Weights (m,) of the rows of all forecasts."""
    return np.concatenate([forecast.weight for forecast in forecasts])


def clusters_of(forecasts: Sequence[Forecast]) -> NDArray[np.intp]:
    """Clusters (m,) of the rows of all forecasts."""
    return np.concatenate([forecast.clusters for forecast in forecasts])


def is_surely_positive(values: Array, forecasts: Sequence[Forecast]) -> bool:
    """Whether the mean of values (m,) for all forecasts is above a standard error."""
    mean, stderr = mean_and_stderr(values, weights_of(forecasts), clusters_of(forecasts))
    return mean > stderr


@dataclass(frozen=True)
class Change:
    """What is done to the noise of one output: a factor of its dispersions, and maybe tails.

    `forecast_factor` is what the factor is to be multiplied by for those who have more to learn.
    """

    factor: float = 1.0
    df: float | None = None
    forecast_factor: float = 1.0


@dataclass(frozen=True)
class Noise:
    """The noise of the family `before`, changed for each output, or left alone without changes."""

    before: Any
    changes: tuple[Change, ...] = ()

    @property
    def family(self) -> Any:
        """The family that it is of: Student's t, if an output has tails."""
        dfs = {change.df for change in self.changes}
        if not dfs - {None}:
            return self.before
        df = dfs.pop() if len(dfs) == 1 else None
        return StudentT(shared=self.before.shared, target=self.before.target, df=df)

    def of_forecasts(self) -> Noise:
        """The noise of those who have more to learn: of the forecasts."""
        changes = [Change(c.factor * c.forecast_factor, c.df) for c in self.changes]
        return replace(self, changes=tuple(changes))

    def law_of(self, law: Array) -> Array:
        """The changed parameters (..., q, P), or (..., q, P + 1) with tails."""
        if not self.changes:
            return law
        scaled = law.copy()
        scaled[..., 0] *= [change.factor for change in self.changes]
        if self.family is self.before:
            return scaled
        df = [change.df or StudentT.largest_df for change in self.changes]
        return np.stack([scaled[..., 0], np.broadcast_to(df, scaled.shape[:-1])], axis=-1)

    def of_output(self, output: int) -> Noise:
        """The noise of one output, of the same family as beside the others."""
        change, before = self.changes[output], self.before.of_outputs([output])
        if self.family is not self.before and change.df is None:
            change = replace(change, df=StudentT.largest_df)
        return Noise(before, (change,))

    def with_change(self, output: int, change: Change) -> Noise:
        """The noise with another change of one output."""
        earlier, later = self.changes[:output], self.changes[output + 1 :]
        return replace(self, changes=(*earlier, change, *later))


class Question:
    """Which of the `rows` that it has not seen a mixture is asked about; copies go together."""

    def __init__(self, data: Data, rows: NDArray[np.intp], learning_left: float = 1.0) -> None:
        drawn = uniform_by_content(data.hashes[rows], seed=0) * len(data.distinct) < ENOUGH_ROWS
        self.places = np.flatnonzero(drawn)
        self.learning_left, asked = learning_left, rows[self.places]
        self.asked = asked, data.target[asked], data.sample_weight[asked], data.clusters[asked]

    def answer(self, log_gate: Array, mean: Array, law: Array) -> Forecast:
        """The forecast, of all that is said of the rows."""
        law = law[self.places] if law.shape[:2] == log_gate.shape else law
        said = log_gate[self.places], mean[self.places], law
        return Forecast(*self.asked, *said, self.learning_left)


def calibrated(family: Family, forecasts: Sequence[Forecast], own: Forecast | None = None) -> Noise:
    """The noise under which forecasts are most likely, output by output.

    First a factor of the dispersions, then Student-t tails where the law is Gaussian; each is taken
    if it raises the mean log density by more than a standard error. Factors come from witnesses,
    who see F-2 or F-1 folds; the kept experts see all F. `learning_left` is how much of one fold's
    learning is still to come, so the factor is raised to that power. The `own` forecast is that of
    the kept experts, out of fold, of all those rows or more.
    """
    if not (forecasts and isinstance(family, RealFamily) and family.is_location_scale):
        return Noise(family)
    noise = Noise(family, (Change(),) * forecasts[0].mean.shape[-1])
    for output in range(len(noise.changes)):
        noise = _calibrate(noise, output, forecasts)
    if own is None:
        return noise
    factors = _forecast_factors(forecasts, own)
    changes = zip(noise.changes, factors, strict=True)
    return replace(noise, changes=tuple(replace(c, forecast_factor=f) for c, f in changes))


def with_factors(family: RealFamily, forecast: Forecast) -> Noise:
    """The noise of a family whose dispersions are off by a factor, if at all, in each output.

    A factor is taken if it raises the mean log density of the output by more than a standard error.
    """
    changes: list[Change] = []
    for output in range(forecast.mean.shape[-1]):
        asked = [forecast.about(output)]
        noise = Noise(family.of_outputs([output]), (Change(),))
        changes += _if_ahead(_most_likely(noise, 0, Change(), asked), noise, asked).changes
    return Noise(family, tuple(changes))


def _calibrate(noise: Noise, output: int, forecasts: Sequence[Forecast]) -> Noise:
    """The noise with what one output's forecasts ask for."""
    learnt = _most_likely(noise, output, Change(), forecasts)
    found = _if_ahead(learnt, noise, forecasts)
    if type(noise.before) is Gaussian:  # a subclass has formulas of its own
        tails = replace(found.changes[output], df=FIRST_DF)
        found = _if_ahead(_most_likely(found, output, tails, forecasts), found, forecasts)
    if found is noise:
        return noise
    # The factor that holds learning alone gets the power `learning_left`: it has one already.
    change, part = found.changes[output], forecasts[0].learning_left - 1
    factor = change.factor * learnt.changes[output].factor ** part
    return found.with_change(output, replace(change, factor=factor))


def _forecast_factors(forecasts: Sequence[Forecast], own: Forecast) -> list[float]:
    """What the factor of each output is to be multiplied by for those who have more to learn.

    The fit's own dispersions come from experts with one fold more than those of the forecasts, and
    are narrower by what is learnt from that fold. Without noise errors are inverse to the number of
    rows, so it is at most their ratio; luck can make as much, of either sign. Experts of forecasts
    have learnt as much again since their dispersions were taken, those of the fit only the part
    `learning_left` of it: the difference is due. What the fit is narrower by beyond that is no
    learning, and is due in full. The factor cannot tell: it also makes up for responsibilities,
    which know the targets. Where the fit errs by as much less, it has found a better optimum.
    """
    left, weights = forecasts[0].learning_left, [forecast.weight.sum() for forecast in forecasts]
    theirs = [forecast.mean_log_dispersion() for forecast in forecasts]
    learnt = own.mean_log_dispersion() - np.average(theirs, axis=0, weights=weights)
    most = np.log(2 * left / (1 + left))  # (F-2)/(F-1), as `learning_left` has it
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
    """What experts learn from the last of `n_folds`, in parts of what they do from the one before.

    Where what they err by beyond the noise is inverse to the number of rows: 1/(F-2), 1/(F-1), 1/F.
    (Of two folds one is left, unless a user has made them overlap.)
    """
    return 1 - 2 / max(n_folds, 3)


def _most_likely(noise: Noise, output: int, begin: Change, forecasts: Sequence[Forecast]) -> Noise:
    """The noise at the best factor of an output and, if it begins with any, degrees of freedom."""
    ends = np.log([(1 / MOST_FACTOR, MOST_FACTOR), (LEAST_DF, MOST_DF)])
    first = np.log([begin.factor] if begin.df is None else [begin.factor, begin.df])
    low, high = np.rint((ends[: len(first)].T - first) / STEP)
    weight = weights_of(forecasts)

    def at(place: Place) -> Noise:
        values = np.exp(first + STEP * np.array(place)).tolist()
        return noise.with_change(output, Change(*values))

    # The others say the same whatever this output's noise is: they are asked once.
    start = (0,) * len(first)
    given = [forecast.beside_others(output, at(start)) for forecast in forecasts]

    @cache
    def height(place: Place) -> float:
        if (np.less(place, low) | np.greater(place, high)).any():
            return -np.inf
        return float(weighted_mean(_log_density(at(place).of_output(output), given), weight))

    return at(climb(height, start))


def _if_ahead(rival: Noise, noise: Noise, forecasts: Sequence[Forecast]) -> Noise:
    """The `rival` if it is ahead by more than a standard error, else the `noise`."""
    delta = _log_density(rival, forecasts) - _log_density(noise, forecasts)
    return rival if is_surely_positive(delta, forecasts) else noise


def _log_density(noise: Noise, forecasts: Sequence[Forecast]) -> Array:
    return np.concatenate([forecast.log_density(noise) for forecast in forecasts])
