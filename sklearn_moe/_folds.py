"""The one split of a fit: which rows stand out of which fold."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import check_cv

from ._validation import n_rows

Rows = NDArray[np.intp]

USUAL_FOLDS = 5


class Splits(list[tuple[Rows, Rows]]):
    """(train, test) row numbers of each fold; each row is tested once.

    If they are `dealt`, by content, each fold is as good as any other.
    """

    dealt = False

    @cached_property
    def leave_out(self) -> bool:
        """Whether each training side is all that its test side leaves, none less and none twice."""
        n_samples = sum(len(test) for _, test in self)
        if len(self) < 2 or any(len(train) + len(test) != n_samples for train, test in self):
            return False
        times = np.bincount(np.concatenate([train for train, _ in self]), minlength=n_samples)
        apart = all(not np.isin(test, train).any() for train, test in self)
        return apart and bool((times == len(self) - 1).all())


def content_folds(n_folds: int, ids: Rows, labels: NDArray | None = None) -> Splits:
    """Split rows into `n_folds` by content: copies share a fold, and row order does not matter.

    With `labels` the classes are spread evenly over the folds.
    """
    distinct, first = np.unique(ids, return_index=True)
    order = np.arange(len(distinct)) if labels is None else np.argsort(labels[first], kind="stable")
    fold_of = np.empty(len(distinct), dtype=np.intp)
    fold_of[order] = np.arange(len(distinct)) % min(n_folds, len(distinct))
    splits = fold_splits(fold_of[np.searchsorted(distinct, ids)])
    splits.dealt = True
    return splits


def fold_splits(fold: Rows) -> Splits:
    """(train, test) row numbers of each fold, given the fold of each row."""
    return Splits(
        (np.flatnonzero(fold != number), np.flatnonzero(fold == number))
        for number in np.unique(fold)
    )


def user_splits(cv: Any, X: Any, y: NDArray, is_classifier: bool, params: dict) -> Splits:
    """Splits of a scikit-learn splitter or an iterable, checked to be a partition of the rows.

    Raises
    ------
    ValueError
        If some row is never, or more than once, in a test fold.
    """
    splitter = check_cv(cv, y, classifier=is_classifier)
    pairs = splitter.split(X, y, **params)
    splits = Splits((_as_rows(train), _as_rows(test)) for train, test in pairs)
    tested = np.bincount(np.concatenate([test for _, test in splits]), minlength=n_rows(X))
    if (tested != 1).any() or len(tested) != n_rows(X):
        raise ValueError(
            f"cv={cv!r} puts {int((tested == 0).sum())} rows in no test fold and "
            f"{int((tested > 1).sum())} in several. Cross-fitted EM needs an out-of-fold "
            "prediction for every row: pass an integer, or a splitter that tests each row once "
            "(KFold, StratifiedKFold, GroupKFold). TimeSeriesSplit never tests its first rows; "
            "for ordered data use KFold(shuffle=False), whose folds are blocks."
        )
    return splits


def fold_count(cv: Any) -> int | None:
    """The number of folds that `cv` asks for; None if it names none, or does it by a splitter.

    Experts that need no folds (`"oob"`, `"loo"`) do not free the gate and the witnesses from them.
    """
    if isinstance(cv, str):
        return USUAL_FOLDS
    return int(cv) if isinstance(cv, Integral) else None


def keep_rows(splits: Iterable[tuple[Rows, Rows]], kept: Rows, n_samples: int) -> Splits:
    """Splits renumbered for the table of the `kept` rows only; empty test folds vanish."""
    new = np.full(n_samples, -1)
    new[kept] = np.arange(len(kept))

    def renumber(side: Rows) -> Rows:
        return new[side][new[side] >= 0]

    renumbered = [(renumber(train), renumber(test)) for train, test in splits]
    return Splits((train, test) for train, test in renumbered if len(test))


def _as_rows(side: Any) -> Rows:
    side = np.asarray(side)
    return np.flatnonzero(side) if side.dtype == bool else side.astype(np.intp)
