"""Which rows are one observation: what is dealt to folds, and what counts as one.

Copies of a row are one observation, for experts that have seen one of them have seen the others.
Not so where the same features come with several labels, or several values of a target that takes
few, as in tables of categories and ratings: if all rows of one content were in one fold, only rows
that contradict them would be left in the others. There each row is an observation. If no such row
occurs twice, and they weigh whole numbers, the table is one of counts, and each unit of weight is
an observation: a weight of three is three rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._content import Hash, content_ids, feature_hashes, salted, with_target
from ._numeric import Array, Rows

# One content has at most this many observations, each of several units if need be; fewer if there
# are many contents, but at least one for each of the usual folds.
MOST, IN_ALL, LEAST = 100, 20_000, 5
# If real targets have more values than this, equal rows are always copies.
FEW_VALUES = 30
# Larger weights do not count rows.
MOST_COUNTED = 1e12


@dataclass(frozen=True)
class Observations:
    """Rows, or parts of rows, by the observation that they belong to.

    `hashes` and `rank` (n,) are the same for all rows of one observation. `rows` are their places
    in the table, None if no row is in parts.
    """

    weight: Array
    hashes: Hash
    rank: Rows
    rows: Rows | None = None


def by_content(X: Any, target: NDArray, weight: Array) -> Observations:
    """Rows of one content as one observation."""
    hashes = with_target(feature_hashes(X), target)
    return Observations(weight, hashes, content_ids(hashes))


def observations(X: Any, target: NDArray, weight: Array) -> Observations:
    """Rows of one content as one observation, or as several where other rows contradict them."""
    features = feature_hashes(X)
    hashes = with_target(features, target)
    content = content_ids(hashes)
    contradicted = _contradicted(content, content_ids(features))
    if not (contradicted.any() and _has_few_values(target)):
        return Observations(weight, hashes, content)
    units = _units(content, weight, contradicted)
    counts = _counts(np.bincount(content, units), contradicted)
    return _apart(hashes, content, weight, units, counts)


def _has_few_values(target: NDArray) -> bool:
    """Whether a target takes few values: real ones (n, q) may, class codes (n,) always do."""
    return target.ndim == 1 or len(np.unique(target, axis=0)) <= FEW_VALUES


def _contradicted(content: Rows, cell: Rows) -> NDArray[np.bool_]:
    """Whether the features of each content also have other targets; a `cell` shares features."""
    cell_of = np.empty(content.max() + 1, dtype=np.intp)
    cell_of[content] = cell
    return np.bincount(cell_of)[cell_of] > 1


def _units(content: Rows, weight: Array, contradicted: NDArray[np.bool_]) -> Rows:
    """How many observations each row stands for: one, but in a table of counts its weight."""
    rows, units = contradicted[content], np.ones(len(content), dtype=np.intp)
    once = np.count_nonzero(rows) == np.count_nonzero(contradicted)
    if once and ((weight == np.rint(weight)) & (weight <= MOST_COUNTED))[rows].all():
        units[rows] = weight[rows]
    return units


def _counts(units: NDArray, contradicted: NDArray[np.bool_]) -> Rows:
    """The number of observations of each content."""
    most = np.clip(IN_ALL // np.count_nonzero(contradicted), LEAST, MOST)
    return np.where(contradicted, np.clip(units, 1, most), 1).astype(np.intp)


def _apart(hashes: Hash, content: Rows, weight: Array, units: Rows, counts: Rows) -> Observations:
    """Rows as `counts` observations of each content; a row that belongs to several is in parts."""
    line = np.lexsort([weight, content])  # rows of a content differ by nothing but their weight
    place, number, share = _cut(content[line], units[line], counts)
    rows = line[place]
    again = np.argsort(rows, kind="stable")
    rows, number, parts = rows[again], number[again], (share * weight[rows])[again]
    first = (np.cumsum(counts) - counts)[content[rows]]
    alone = counts[content[rows]] == 1
    hashes = np.where(alone, hashes[rows], salted(hashes[rows], number - first))
    in_parts = len(rows) > len(content)
    return Observations(parts, hashes, content_ids(hashes), rows if in_parts else None)


def _cut(content: Rows, length: Rows, counts: Rows) -> tuple[Rows, Rows, Array]:
    """Rows on a line, content by content, each of some `length`, cut between observations.

    Returns for each part of a row which row it is, its observation, and its share of the row.
    """
    end = np.cumsum(length)
    begin, cuts = end - length, _cuts(content, length, counts)
    first = np.searchsorted(cuts, begin, side="right") - 1
    n_parts = np.searchsorted(cuts, end - 1, side="right") - first
    row = np.repeat(np.arange(len(content)), n_parts)
    number = np.arange(len(row)) + (first - np.cumsum(n_parts) + n_parts)[row]
    part = np.minimum(end[row], cuts[number + 1]) - np.maximum(begin[row], cuts[number])
    return row, number, part / length[row]


def _cuts(content: Rows, length: Rows, counts: Rows) -> Rows:
    """Where each observation begins, and the last one ends: as equal as whole units allow."""
    units = np.zeros(len(counts), dtype=np.intp)
    np.add.at(units, content, length)
    of_content = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(of_content)) - (np.cumsum(counts) - counts)[of_content]
    begin = (np.cumsum(units) - units)[of_content]
    return np.append(begin + nth * units[of_content] // counts[of_content], units.sum())
