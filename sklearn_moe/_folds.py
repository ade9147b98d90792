"""The one split of a fit into folds: which rows each fold tests, and which it trains on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import check_cv

from ._numeric import Array, Rows
from ._rows import n_rows

USUAL_FOLDS = 5
# How much the classes that a group does not hold count when it is dealt to a fold.
TIE = 1e-3


class Splits:
    """(train, test) row numbers of each fold; each row is tested once.

    Without `trains`, each fold trains on all rows that it does not test. Their numbers are then
    made when they are asked for: those of all folds are several times as many as the table has
    rows. If folds are `dealt` by content, each is as good as any other.
    """

    def __init__(
        self, tests: Sequence[Rows], trains: Sequence[Rows] | None = None, dealt: bool = False
    ) -> None:
        self.tests, self.trains, self.dealt = tests, trains, dealt
        self.n_samples = sum(map(len, tests))

    def __len__(self) -> int:
        return len(self.tests)

    def __getitem__(self, fold: int) -> tuple[Rows, Rows]:
        test = self.tests[fold]
        if self.trains is not None:
            return self.trains[fold], test
        is_left = np.ones(self.n_samples, dtype=bool)
        is_left[test] = False
        return np.flatnonzero(is_left), test

    def __iter__(self) -> Iterator[tuple[Rows, Rows]]:
        return (self[fold] for fold in range(len(self)))

    @cached_property
    def leave_out(self) -> bool:
        """Whether each training side is all that its test side leaves, none less and none twice."""
        if len(self) < 2 or self.trains is None:
            return len(self) > 1
        n_samples = self.n_samples
        if any(len(train) + len(test) != n_samples for train, test in self):
            return False
        times = np.bincount(np.concatenate(self.trains), minlength=n_samples)
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
    return fold_splits(fold_of[np.searchsorted(distinct, ids)])


def group_folds(n_folds: int, group: Rows, mass: Array) -> Splits:
    """Deal whole groups, the heaviest first, each to the fold with least of what it holds.

    `group` (n,) numbers them, `mass` (n, C) is the weight of each row in the column of its class.

    Raises
    ------
    ValueError
        If there are fewer groups than folds.
    """
    n_groups = group.max() + 1
    if n_groups < n_folds:
        raise ValueError(
            f"cv={n_folds} asks for more folds than there are groups of positive weight, which "
            f"are {n_groups}. Use fewer folds."
        )
    held = np.column_stack([np.bincount(group, weights=column) for column in mass.T])
    # Rounded: sums depend on the order of the rows in their last digits, which must not decide.
    share = np.round(held / held.sum(axis=0), 9)
    dealt, fold_of = np.zeros((n_folds, share.shape[1])), np.empty(n_groups, dtype=np.intp)
    for number in np.argsort(-share.sum(axis=1), kind="stable"):
        # The fold that holds least of the group's own classes; of folds level in these, the
        # lightest.
        fold_of[number] = np.argmin(dealt @ (share[number] + TIE * share[number].sum()))
        dealt[fold_of[number]] += share[number]
    return fold_splits(fold_of[group])


def fold_splits(fold: Rows) -> Splits:
    """The splits, given the fold of each row."""
    return Splits([np.flatnonzero(fold == number) for number in np.unique(fold)], dealt=True)


def user_splits(cv: Any, X: Any, y: NDArray, is_classifier: bool, params: dict) -> Splits:
    """Splits of a scikit-learn splitter or an iterable, checked to be a partition of the rows.

    Raises
    ------
    ValueError
        If some row is never, or more than once, in a test fold, or in both sides of one.
    """
    n_samples, splitter = n_rows(X), check_cv(cv, y, classifier=is_classifier)
    sides = (
        [_as_rows(side, n_samples) for side in pair] for pair in splitter.split(X, y, **params)
    )
    pairs = [(train, test) for train, test in sides if len(test)]
    if not pairs:
        raise ValueError(
            f"cv={_brief(cv)} yields no folds. A generator is used up by the first fit; pass a "
            "list."
        )
    trains, tests = [train for train, _ in pairs], [test for _, test in pairs]
    named = np.concatenate([*trains, *tests])
    if outside := named[(named < 0) | (named >= n_samples)].tolist():
        raise ValueError(
            f"cv={_brief(cv)} names row {max(outside)}, but X has {n_samples} rows. Pass the "
            "folds of these rows, or a splitter."
        )
    tested = np.bincount(np.concatenate(tests), minlength=n_samples)
    if (tested != 1).any():
        raise ValueError(
            f"cv={_brief(cv)} puts {int((tested == 0).sum())} rows in no test fold and "
            f"{int((tested > 1).sum())} in several. Cross-fitting needs an out-of-fold "
            "prediction for every row: pass an integer, or a splitter that tests each row once "
            "(KFold, StratifiedKFold, GroupKFold). TimeSeriesSplit never tests its first rows; "
            "for ordered data use KFold(shuffle=False), whose folds are blocks."
        )
    _check_unseen(cv, pairs)
    return Splits(tests, trains)


def _check_unseen(cv: Any, pairs: list[tuple[NDArray[np.intp], NDArray[np.intp]]]) -> None:
    """Raise if a fold trains on rows that it tests: what is said of unseen rows would be untrue."""
    seen = sum(int(np.isin(test, train).sum()) for train, test in pairs)
    if seen:
        raise ValueError(
            f"cv={_brief(cv)} tests {seen} rows in folds that are trained on them. Leave the rows "
            "of a test fold out of its training rows, or pass cv=None for EM in sample."
        )


def check_sides(cv: Any, splits: Splits | None) -> None:
    """Raise if there is only one fold, or a fold without rows to fit anything to.

    Raises
    ------
    ValueError
        If there is one fold, or one without training rows of positive weight.
    """
    if splits is None:
        return
    if len(splits) < 2:
        raise ValueError(
            f"cv={_brief(cv)} makes {len(splits)} fold of the rows (or groups of rows) of positive "
            "weight, and cross-fitting takes two. Use cv=5, or another splitter."
        )
    if splits.trains is not None and not all(len(train) for train in splits.trains):
        raise ValueError(
            f"cv={_brief(cv)} has a fold whose training side has no row of positive weight. Use "
            "fewer folds, or another splitter."
        )


def _brief(cv: Any) -> str:
    """The text of `cv`, without the row numbers in a list of splits."""
    text = repr(cv)
    return text if len(text) <= 100 else f"a {type(cv).__name__}"


def fold_count(cv: Any) -> int | None:
    """The number of folds that `cv` asks for; None if it names none, or is a splitter.

    With `"oob"` and `"loo"` experts need no folds, but the gate and the witnesses still do.
    """
    if isinstance(cv, str):
        return USUAL_FOLDS
    return int(cv) if isinstance(cv, Integral) else None


def keep_rows(splits: Splits, kept: Rows, n_samples: int, without: int | None = None) -> Splits:
    """Splits renumbered for the table of the `kept` rows only.

    Folds that keep no test row are left out, and so is the fold `without`, if it is given.
    """
    new = np.full(n_samples, -1)
    new[kept] = np.arange(len(kept))

    def renumber(side: Rows) -> Rows:
        return new[side][new[side] >= 0]

    tests = {f: renumber(test) for f, test in enumerate(splits.tests) if f != without}
    folds = [fold for fold, test in tests.items() if len(test)]
    trains = None if splits.trains is None else [renumber(splits.trains[fold]) for fold in folds]
    return Splits([tests[fold] for fold in folds], trains)


def _as_rows(side: Any, n_samples: int) -> Rows:
    """Numbers of rows from a mask, or from numbers of which negative ones count from the end."""
    side = np.asarray(side)
    if side.dtype == bool:
        return np.flatnonzero(side)
    rows = side.astype(np.intp)
    return np.where(rows < 0, rows + n_samples, rows)
