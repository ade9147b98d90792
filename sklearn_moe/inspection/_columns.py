"""Columns of a table as pictures show them: numbers in bands, and categories."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._content import feature_hashes
from .._design import as_text, table_columns
from .._numeric import Array
from .._rows import column_names, is_frame
from .._times import no_value
from ._canvas import plain

# Numbers are cut into at most this many bands, and fewer if there are not this many different rows
# for each; a column of no more different numbers than bands at most has one band for each.
MOST_BANDS, ROWS_PER_BAND = 12, 10
# Categories that have a band of their own; the others share one.
MOST_CATEGORIES, OTHERS = 10, "others"
# Letters that stand side by side below a panel, and those of one label.
ROOM, LONGEST = 30, 24
# How the names of the types of dates and of durations begin, and the types of single ones.
DATE_TYPES = ("date", "timestamp", "period"), (date, np.datetime64)
DURATIONS = ("timedelta", "duration"), (timedelta, np.timedelta64)


@dataclass(frozen=True, eq=False)
class Column:
    """A column in bands.

    `band` (n,) is that of each row, -1 where a number is missing. `places` (B,) is where the bands
    are drawn: at their mean number, or one after the other under the `labels` of categories. Rows
    are drawn at `values` (n,); those of a category around its place. Dates are in days.
    """

    name: str
    band: NDArray[np.intp]
    places: Array
    values: Array
    labels: list[str] | None = None
    is_date: bool = False

    def means(self, values: Array, weight: Array) -> tuple[Array, Array]:
        """Means (B, K) over the rows of each band under `weight` (n,) or (n, K), and its sums."""
        weight = np.broadcast_to(weight.reshape(len(values), -1), values.shape)
        sums, mass = self._sums(values * weight), self._sums(weight)
        return np.divide(sums, mass, out=np.full_like(sums, np.nan), where=mass > 0), mass

    def _sums(self, values: Array) -> Array:
        known = self.band >= 0
        sums = np.zeros((len(self.places), values.shape[1]))
        np.add.at(sums, self.band[known], values[known])
        return sums

    def name_axis(self, axis: Any) -> None:
        """Name an axis of a picture, and what lies along it."""
        axis.set_label_text(plain(self.name))
        if self.is_date:
            _write_dates(axis)
        if self.labels is not None:
            labels = [_short(label) for label in self.labels]
            long = axis.axis_name == "x" and sum(map(len, labels)) > ROOM
            slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
            axis.set_ticks(self.places, map(plain, labels), **(slanted if long else {}))


class Table:
    """The columns of a table by their names: ``x0``, ``x1``, ... where they have none."""

    def __init__(self, X: Any, weight: Array) -> None:
        values = table_columns(X.toarray() if sp.issparse(X) else X)
        names = column_names(X) if is_frame(X) else [f"x{j}" for j in range(len(values))]
        given = [X[name] for name in names] if is_frame(X) else [np.empty(0)] * len(names)
        self.weight = weight
        self.values = dict(zip(names, values, strict=True))
        self.given = dict(zip(names, given, strict=True))
        # Rows that are repeats tell no more than one.
        n_different = len(np.unique(feature_hashes(X)))
        self.n_bands = int(np.clip(n_different // ROWS_PER_BAND, 2, MOST_BANDS))

    def column(self, name: Any) -> Column:
        """A column in bands."""
        values, given = self.values[name], self.given[name]
        if values.dtype == object:
            return _of_categories(str(name), as_text(values), _categories(given), self.weight)
        values = values.astype(np.float64)
        band, known = np.full(len(values), -1), ~np.isnan(values)
        ends = _ends(values[known], self.weight[known], self.n_bands)
        band[known] = np.searchsorted(ends, values[known])
        called = f"{name} (days)" if _is_of(given, *DURATIONS) else str(name)
        column = Column(called, band, ends, values, is_date=_is_of(given, *DATE_TYPES))
        return replace(column, places=column.means(values[:, None], self.weight)[0][:, 0])

    def wanted(self, columns: Any) -> list[Any]:
        """What the user wants to see, which may be one column.

        Raises
        ------
        ValueError
            If nothing is asked for.
        """
        is_list = hasattr(columns, "__iter__") and not isinstance(columns, str)
        found = list(columns) if is_list else [columns]
        if not found:
            raise ValueError("columns is empty. Name those to be shown, or pass None.")
        return found

    def chosen(self, wanted: Any) -> Any:
        """The name that the user means by a name or a position.

        Raises
        ------
        ValueError
            If there is none.
        """
        names = list(self.values)
        if wanted in names:
            return wanted
        is_position = isinstance(wanted, Integral) and not isinstance(wanted, bool)
        if is_position and -len(names) <= wanted < len(names):
            return names[int(wanted)]
        raise ValueError(f"columns names {wanted!r}; use those of X, {names}, or their positions.")


def _is_of(column: Any, names: tuple[str, ...], kinds: tuple[type, ...]) -> bool:
    """Whether a column's type has one of these names or, if of objects, all are of these kinds."""
    if str(column.dtype).lower().startswith(names):
        return True
    if str(column.dtype).lower() != "object":
        return False
    held = {type(value) for value in column}
    known = [each for each in held if not (no_value(each) or issubclass(each, float))]
    return bool(known) and all(issubclass(each, kinds) for each in known)


def _categories(column: Any) -> NDArray | None:
    """The categories of a column as text, in their order, if its type knows them."""
    known: Any = getattr(column.dtype, "categories", None)
    return as_text(np.array(list(known), dtype=object)) if hasattr(known, "__iter__") else None


def _short(label: str) -> str:
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"


def _write_dates(axis: Any) -> None:
    """Have the numbers along an axis read as dates, in labels so short that there is room."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    axis.axis_date()
    locator = AutoDateLocator(minticks=2, maxticks=6)
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator))


def _of_categories(name: str, values: NDArray, known: NDArray | None, weight: Array) -> Column:
    labels, band = np.unique(values, return_inverse=True)
    order = _in_order(labels, known)
    labels, band = labels[order], np.argsort(order)[band]
    if len(labels) > MOST_CATEGORIES + 1:
        mass = np.bincount(band, weight)
        kept = np.sort(np.argsort(-mass, kind="stable")[:MOST_CATEGORIES])
        place = np.full(len(labels), MOST_CATEGORIES)
        place[kept] = np.arange(MOST_CATEGORIES)
        labels, band = np.append(labels[kept], OTHERS), place[band]
    aside = np.random.RandomState(0).uniform(-0.3, 0.3, size=len(values))
    return Column(name, band, np.arange(float(len(labels))), band + aside, labels.tolist())


def _in_order(labels: NDArray, known: NDArray | None) -> NDArray[np.intp]:
    """Places of labels in the order of the `known` categories, or of the numbers that they are."""
    if known is not None:
        rank = {label: place for place, label in enumerate(known)}
        return np.argsort([rank.get(label, len(rank)) for label in labels], kind="stable")
    try:
        return np.argsort(labels.astype(float), kind="stable")
    except ValueError:
        return np.arange(len(labels))


def _ends(values: Array, weight: Array, n_bands: int) -> Array:
    """The largest number of each band, in bands of about the same weight."""
    different, place = np.unique(values, return_inverse=True)
    if len(different) <= MOST_BANDS:
        return different
    up_to = np.cumsum(np.bincount(place, weight))
    levels = up_to[-1] * np.arange(1, n_bands) / n_bands
    return np.unique([*different[np.searchsorted(up_to, levels)], different[-1]])
