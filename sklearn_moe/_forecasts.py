"""What mixtures say of rows that they have not seen: the rows in question, and the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._content import uniform_by_content
from ._data import Data
from ._noise import Noise
from ._numeric import Array, log_normalize, mean_and_stderr, weighted_mean

# Distinct rows that are enough to find a width and a tail. Mixtures that answer together draw their
# rows separately, and must have many in common.
FORECAST_ROWS = 30_000


class Question:
    """The rows that a mixture is asked about, of those that it has not seen.

    If there are many `rows`, a part is drawn by content, so that copies of a row go together.
    """

    def __init__(self, data: Data, rows: NDArray[np.intp]) -> None:
        drawn = uniform_by_content(data.hashes[rows], seed=0) * len(data.distinct) < FORECAST_ROWS
        self.places = np.flatnonzero(drawn)
        self.rows = rows[self.places]
        self.target, self.weight = data.target[self.rows], data.sample_weight[self.rows]
        self.clusters = data.clusters[self.rows]

    def answer(self, log_gate: Array, mean: Array, law: Array) -> Forecast:
        """The forecast, from what a mixture says of all the rows that it has not seen."""
        is_by_row = law.shape[:2] == log_gate.shape
        return Forecast(
            rows=self.rows,
            target=self.target,
            weight=self.weight,
            clusters=self.clusters,
            log_gate=log_gate[self.places],
            mean=mean[self.places],
            law=law[self.places] if is_by_row else law,
        )


@dataclass(frozen=True)
class Forecast:
    """What a mixture has said of rows that it had not seen: the rows, and the parts of its law.

    `rows` (m,) are places in the table; `target` (m, q), `weight` (m,) and `clusters` (m,) are
    those of the table. `log_gate` (m, S) and `mean` (m, S, q) are the mixture's predictions; `law`
    holds the parameters of the noise, (S, q, P) or (m, S, q, P).
    """

    rows: NDArray[np.intp]
    target: Array
    weight: Array
    clusters: NDArray[np.intp]
    log_gate: Array
    mean: Array
    law: Array

    def mean_log_dispersion(self) -> Array:
        """Mean logarithm (q,) of the gate-weighted dispersion of a row."""
        expected = (np.exp(self.log_gate)[..., None] * self.law[..., 0]).sum(axis=1)
        return weighted_mean(np.log(expected), self.weight)

    def squared_error(self, output: int) -> Array:
        """Squared error (m,) of the mean of one output."""
        mean = (np.exp(self.log_gate) * self.mean[..., output]).sum(axis=1)
        return (self.target[:, output] - mean) ** 2

    def places(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """The positions of some of its rows in this forecast."""
        order = np.argsort(self.rows)
        return order[np.searchsorted(self.rows, rows, sorter=order)]

    def take(self, rows: NDArray[np.intp]) -> Forecast:
        """The part about some of its rows, with parameters by row."""
        place = self.places(rows)
        return replace(self, **{f.name: getattr(self, f.name)[place] for f in fields(self)})

    def among_given(self, kept: NDArray[np.intp] | None) -> Forecast:
        """With places among the rows that were given, of which the table has `kept` some or all.

        If a row is there in parts, the forecast of its first part stands for all.
        """
        if kept is None:
            return self
        given, first = np.unique(kept[self.rows], return_index=True)
        weight = np.bincount(kept[self.rows], self.weight)[given].astype(np.float64, copy=False)
        return replace(self.take(self.rows[first]), rows=given, weight=weight)

    def output(self, output: int) -> Forecast:
        """The part about one output."""
        target, mean = self.target[:, [output]], self.mean[..., [output]]
        return replace(self, target=target, mean=mean, law=self.law[..., [output], :])

    def log_later(self, family: Any) -> list[Array]:
        """For each output the log density (m, S) of those after it, zero after the last.

        They are summed up rather than subtracted from a total: an expert that one output rules out
        may be likely by the others.
        """
        sums = [np.zeros_like(self.log_gate)]
        for output in reversed(range(1, self.mean.shape[-1])):
            about = self.output(output)
            law = family.of_outputs([output])
            sums.append(sums[-1] + law.log_prob(about.target, about.mean, about.law))
        return sums[::-1]

    def under(self, noise: Noise) -> Forecast:
        """The forecast with the parameters that the noise makes of its law."""
        return replace(self, law=noise.law_of(self.law))

    def log_joint(self, noise: Noise) -> Array:
        """Log density (m, S) of the targets and the expert under calibrated noise."""
        law = noise.law_of(self.law)
        joint: Array = noise.family.log_prob(self.target, self.mean, law) + self.log_gate
        return joint

    def log_density(self, noise: Noise) -> Array:
        """Log density (m,) of the targets under calibrated noise."""
        return log_normalize(self.log_joint(noise), overwrite=True)[1]


def joined(forecasts: Sequence[Forecast]) -> Forecast:
    """Forecasts of several sets of rows as one, with parameters by row.

    If one has fewer experts than another, those that it has lost have no probability.
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


def is_above_stderr(values: Array, forecasts: Sequence[Forecast]) -> bool:
    """Whether the mean of values (m,) for the rows of all forecasts is above its standard error."""
    mean, stderr = mean_and_stderr(values, weights_of(forecasts), clusters_of(forecasts))
    return mean > stderr
