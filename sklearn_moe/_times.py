"""Dates and durations: which columns hold them, and how they are numbers."""

from __future__ import annotations

import datetime
from itertools import chain
from typing import Any

import numpy as np

from ._numeric import Array

# Objects that are dates, and durations.
TIMES = {
    (datetime.date, np.datetime64): "datetime64[us]",
    (datetime.timedelta, np.timedelta64): "timedelta64[us]",
}


def holds_times(column: Any) -> bool:
    """Whether a column holds dates or durations: by its type, or its first value."""
    kind = str(column.dtype).lower()
    if kind != "object":
        return kind.startswith(("date", "period", "timedelta", "timestamp", "duration"))
    values = (v for v in column if not no_value(type(v)) and not (isinstance(v, float) and v != v))
    return isinstance(next(values, None), tuple(chain(*TIMES)))


def of_times(values: np.ndarray, types: tuple[type, ...], dtype: str) -> np.ndarray:
    """Objects of some `types` in days; as they are, if any is a number but NaN."""
    known = np.array(
        [isinstance(value, types) and not no_value(type(value)) for value in values], dtype=bool
    )
    if any(isinstance(value, float) and value == value for value in values[~known]):
        return values
    times = np.full(len(values), "NaT", dtype=dtype)
    times[known] = [_without_zone(value) for value in values[known]]
    return in_days(times)


def _without_zone(value: Any) -> Any:
    """A date as it is, a moment in the time of Greenwich."""
    has_zone = getattr(value, "tzinfo", None) is not None
    return value.astimezone(datetime.UTC).replace(tzinfo=None) if has_zone else value


def in_days(values: np.ndarray) -> Array:
    """Dates and durations as numbers, NaN where there is none."""
    days = values.astype(f"{values.dtype.kind}8[us]").astype(np.int64) / 86_400e6
    return np.where(np.isnat(values), np.nan, days)


def no_value(kind: type) -> bool:
    """Whether objects of the type stand for a value that is missing: None, and those of pandas."""
    return kind.__name__ in ("NoneType", "NAType", "NaTType")
