"""From what the user passes to `fit` to the table, folds and recipe that the model works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._content import content_ids, row_hashes
from ._experts import Data
from ._folds import Splits, content_folds, is_fold_count, keep_rows, user_splits
from ._numeric import Array
from ._validation import n_rows, take_params, take_rows


@dataclass(frozen=True)
class Training:
    """The table without its rows of zero weight, its folds, and metadata cut to the same rows."""

    data: Data
    splits: Splits | None
    kept: NDArray[np.intp] | None
    n_given: int
    params: dict[str, dict]


def make_training(
    X: Any,
    y: NDArray,
    target: NDArray,
    sample_weight: Array,
    classes: NDArray | None,
    cv: Any,
    params: dict[str, dict],
) -> Training:
    """Split the rows into folds, then drop those that weigh nothing.

    A number of folds is dealt by content. A splitter or an iterable speaks of the rows as the user
    gave them.
    """
    n_samples = n_rows(X)
    kept = None if sample_weight.all() else np.flatnonzero(sample_weight)
    given = (
        None
        if cv is None or is_fold_count(cv)
        else user_splits(cv, X, y, classes is not None, params.get("splitter", {}))
    )
    groups = take_rows(params.get("splitter", {}).get("groups"), kept)
    X, y, target, weight = (take_rows(part, kept) for part in (X, y, target, sample_weight))
    hashes = row_hashes(X, target)
    rank = content_ids(hashes)
    clusters = rank if groups is None else np.unique(groups, return_inverse=True)[1]
    data = Data(X, y, target, weight, hashes, rank, clusters, classes)
    if is_fold_count(cv):
        given = _dealt_folds(cv, data)
    elif given is not None and kept is not None:
        given = keep_rows(given, kept, n_samples)
    cut = {name: take_params(values, n_samples, kept) for name, values in params.items()}
    return Training(data, given, kept, n_samples, cut)


def _dealt_folds(cv: int, data: Data) -> Splits:
    if len(data.distinct) < 2:
        raise ValueError(
            f"cv={cv} needs at least 2 distinct rows of positive weight; got n_samples="
            f"{data.n_samples}, {len(data.distinct)} of them distinct. Use cv=None."
        )
    labels = None if data.classes is None else data.target
    return content_folds(cv, data.rank, labels)
