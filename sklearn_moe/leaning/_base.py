"""The contract of the ways to lean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

from .._forecasts import Forecast
from .._noise import Noise
from .._numeric import Array


@dataclass(frozen=True)
class Leaning(ABC):
    """The expert of all rows, once it is fitted, and how far the others lean on it."""

    expert: Any

    @abstractmethod
    def leaned(self, mean: Array, law: Array, toward: Array) -> tuple[Array, Array]:
        """What experts (m, S, q) or (m, S, C) say once they lean `toward` another, and their law.

        `toward` (m, q) or (m, C) is what the expert of all rows says of the same rows.
        """

    def under(self, noise: Noise) -> Leaning:
        """How far experts lean if dispersions are those of calibrated noise."""
        return self

    def leaned_forecast(self, forecast: Forecast, baseline: Array) -> Forecast:
        """A forecast of experts that lean; `baseline` is of all rows of the table."""
        mean, law = self.leaned(forecast.mean, forecast.law, baseline[forecast.rows])
        return replace(forecast, mean=mean, law=law)
