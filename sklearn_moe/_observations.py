"""Which rows are one observation: what is dealt to folds, and what counts as one.

Copies of a row are one observation, for experts that have seen one of them have seen the others.
Not so where the same features come with several targets, in tables of categories and ratings: all
rows of one content in one fold would leave to the other folds none but rows that contradict them.
There each unit of weight is an observation, be it a row or a part of one: a weight of three is
three rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._content import Hash, content_ids, feature_hashes, salted, with_target
from ._numeric import Array, Rows

# Where one content has more observations than that, several are taken for one.
MOST = 100
# What is rounding, in parts of an observation.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Observations:
    """Rows, or parts of rows, by the observation that they belong to.

    `hashes` and `rank` (n,) are the same for all rows of one, and `number` (n,) counts them, those
    of one content in a row. `rows` are their places in the table, None if none is in parts.
    """

    weight: Array
    hashes: Hash
    rank: Rows
    number: Rows
    rows: Rows | None = None


def by_content(X: Any, target: NDArray, weight: Array) -> Observations:
    """Rows of one content as one observation."""
    hashes = with_target(feature_hashes(X), target)
    rank = content_ids(hashes)
    return Observations(weight, hashes, rank, rank)


def observations(X: Any, target: NDArray, weight: Array) -> Observations:
    """Rows of one content as one observation, or as several where other targets contradict them."""
    features = feature_hashes(X)
    hashes = with_target(features, target)
    content = content_ids(hashes)
    counts = _counts(content, content_ids(features), weight)
    if counts.max() == 1:
        return Observations(weight, hashes, content, content)
    return _apart(hashes, content, weight, counts)


def _counts(content: Rows, cell: Rows, weight: Array) -> Rows:
    """The observations of each content; rows of one `cell` have the same features."""
    cell_of = np.empty(content.max() + 1, dtype=np.intp)
    cell_of[content] = cell
    contradicted = np.bincount(cell_of)[cell_of] > 1
    units = np.clip(np.bincount(content, weight) + ROUNDING, 1, MOST)
    return np.where(contradicted, units, 1).astype(np.intp)


def _apart(hashes: Hash, content: Rows, weight: Array, counts: Rows) -> Observations:
    """Rows as so many observations of each content; one that belongs to several is in parts."""
    line = np.argsort(content, kind="stable")
    place, number, parts = _cut(content[line], weight[line], counts)
    rows = line[place]
    again = np.argsort(rows, kind="stable")
    rows, number, parts = rows[again], number[again], parts[again]
    first = (np.cumsum(counts) - counts)[content[rows]]
    alone = counts[content[rows]] == 1
    hashes = np.where(alone, hashes[rows], salted(hashes[rows], number - first))
    in_parts = len(rows) > len(content)
    return Observations(parts, hashes, content_ids(hashes), number, rows if in_parts else None)


def _cut(content: Rows, length: Array, counts: Rows) -> tuple[Rows, Rows, Array]:
    """Contents on a line, each as long as its weight, cut between observations.

    Returns for each part of a row which row it is, its observation, and its length.
    """
    end, last_of = np.cumsum(length), (np.cumsum(counts) - 1)[content]
    begin, cuts = end - length, _cuts(np.bincount(content, length).astype(float), counts)
    first = np.minimum(np.searchsorted(cuts, begin + ROUNDING, side="right") - 1, last_of)
    last = np.clip(np.searchsorted(cuts, end - ROUNDING, side="left") - 1, first, last_of)
    n_parts = last - first + 1
    row = np.repeat(np.arange(len(content)), n_parts)
    number = np.arange(len(row)) + (first - np.cumsum(n_parts) + n_parts)[row]
    part = np.minimum(end[row], cuts[number + 1]) - np.maximum(begin[row], cuts[number])
    return row, number, np.where(n_parts[row] > 1, part, length[row])


def _cuts(mass: Array, counts: Rows) -> Array:
    """Where each observation begins, and the last one ends: as evenly as whole units allow."""
    content = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(content)) - (np.cumsum(counts) - counts)[content]
    begin = np.cumsum(mass) - mass
    cuts = begin[content] + np.floor(mass[content] * nth / counts[content] + 0.5)
    return np.append(cuts, mass.sum())
