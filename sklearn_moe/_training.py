"""From what the user passes to `fit` to the table, folds and metadata that the model works on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._content import group_ids, lowest_rows
from ._data import Data
from ._folds import (
    USUAL_FOLDS,
    Splits,
    check_sides,
    content_folds,
    fold_count,
    group_folds,
    keep_rows,
    user_splits,
)
from ._groups import checked_groups, numbered
from ._numeric import Array
from ._observations import by_content, observations
from ._rows import n_rows, read_only, take_params, take_rows


@dataclass(frozen=True)
class Training:
    """The table without its rows of zero weight, its folds, and metadata cut to the same rows."""

    data: Data
    splits: Splits | None
    kept: NDArray[np.intp] | None
    n_given: int
    params: dict[str, dict]

    def sample(self, n_rows: int) -> NDArray[np.intp] | None:
        """All copies of `n_rows` distinct rows; None if there are not twice as many to choose from.

        Which rows follows from their content, as do the folds, so no fold of ours is slighted; how
        a splitter chose its folds is not known, and its table is not cut.
        """
        if not (self.splits is None or self.splits.dealt):
            return None
        rows = lowest_rows(self.data.rank, self.data.distinct, n_rows)
        if rows is None or self.splits is None:
            return rows
        # Of few small groups it may hold no row, and a fold would be lost.
        held = keep_rows(self.splits, rows, self.data.n_samples)
        return rows if len(held) == len(self.splits) else None

    def among_given(self, values: Array) -> Array:
        """Values (n,) of these rows among the rows that were given, the others NaN."""
        if self.kept is None:
            return values
        weight = self.data.sample_weight
        of_row = np.bincount(self.kept, weight, minlength=self.n_given)
        # A row may be here in parts.
        whole = np.bincount(self.kept, weight / of_row[self.kept] * values, minlength=self.n_given)
        return np.where(of_row > 0, whole, np.nan)

    def take(self, rows: NDArray[np.intp]) -> Training:
        """The training table and folds of some rows; its metadata is not cut."""
        data, splits = self.data.take(rows), self.splits
        if splits is not None:
            splits = keep_rows(splits, rows, self.data.n_samples)
        return replace(self, data=data, splits=splits)


def make_training(
    X: Any,
    y: NDArray,
    target: NDArray,
    sample_weight: Array,
    classes: NDArray | None,
    cv: Any,
    params: dict[str, dict],
    groups: Any,
    all_classes: bool,
) -> Training:
    """Split the rows into folds, then drop those that weigh nothing.

    A number of folds deals observations, or whole groups if there are any. A splitter or an
    iterable speaks of the rows as the user gave them. Rows of one of the `groups` are dependent,
    also where the folds do not heed them; a splitter may know them by another name.
    """
    n_samples, n_folds = n_rows(X), fold_count(cv)
    kept = None if sample_weight.all() else np.flatnonzero(sample_weight)
    asked = params.get("splitter", {})
    groups = checked_groups(asked.get("groups", groups), X)
    if "groups" in asked:
        asked = asked | {"groups": groups}
    given = (
        None
        if cv is None or n_folds is not None
        else user_splits(cv, X, y, classes is not None, asked)
    )
    groups = take_rows(groups, kept)
    X, y, target, weight = (take_rows(part, kept) for part in (X, y, target, sample_weight))
    seen_as = observations if n_folds is not None and groups is None else by_content
    seen = seen_as(X, target, weight)
    if seen.rows is not None:
        X, y, target = (take_rows(part, seen.rows) for part in (X, y, target))
        kept = seen.rows if kept is None else kept[seen.rows]
    clusters = seen.rank if groups is None else group_ids(numbered(groups), seen.hashes)
    data = Data(
        X=read_only(X),
        y=y,
        target=target,
        sample_weight=seen.weight,
        hashes=seen.hashes,
        rank=seen.rank,
        clusters=clusters,
        classes=classes,
        all_classes=all_classes,
    )
    if n_folds is not None:
        given = _dealt_folds(n_folds, data, groups is not None)
    elif given is not None and kept is not None:
        given = keep_rows(given, kept, n_samples)
    check_sides(cv, given)
    cut = {name: take_params(values, n_samples, kept) for name, values in params.items()}
    return Training(data, given, kept, n_samples, cut)


def _dealt_folds(n_folds: int, data: Data, in_groups: bool) -> Splits:
    if in_groups:
        return group_folds(n_folds, data.clusters, data.class_mass)
    n_distinct = len(data.distinct)
    if n_folds > max(n_distinct, USUAL_FOLDS):
        raise ValueError(
            f"cv={n_folds} asks for more folds than there are distinct rows of positive weight, "
            f"which are {n_distinct}. Use fewer folds, such as cv={USUAL_FOLDS}."
        )
    if n_distinct < 2:
        raise ValueError(
            f"cv deals rows to {n_folds} folds, which takes 2 distinct rows of positive weight; "
            f"got n_samples={data.n_samples}, {n_distinct} of them distinct. Use more rows."
        )
    labels = None if data.classes is None else data.target
    return content_folds(n_folds, data.rank, labels)
