"""Experts that lean on one expert of all rows, as far as unseen rows say that they should.

An expert learns from a part of the rows; the one of all rows, which the mixture has to beat, is
steadier. How far the others lean on it is found once EM has ended, by the forecasts of witnesses
for rows that they had not seen. There is a strategy for each kind of target: means move (`_means`),
class probabilities are multiplied (`_labels`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._forecasts import Forecast
from .._noise import Noise
from .._numeric import Array
from ..families import Categorical
from ._base import Leaning
from ._labels import UPRIGHT, LeaningLabels, find_powers
from ._means import LeaningMeans, find_variance, has_means

__all__ = ["UPRIGHT", "Leaning", "LeaningLabels", "LeaningMeans", "can_lean", "find_leaning"]


def can_lean(family: Any) -> bool:
    """Whether a law lets the predictions of experts be moved toward those of another."""
    return isinstance(family, Categorical) or has_means(family)


def find_leaning(noise: Noise, forecasts: Sequence[Forecast], baseline: Array) -> Leaning | None:
    """How far experts lean, if their law `can_lean`, or None if they stand upright.

    `baseline` (n, q) or (n, C) is what the one of all rows says of the table, out of fold.
    """
    find = find_powers if isinstance(noise.before, Categorical) else find_variance
    return find(noise, forecasts, baseline)
