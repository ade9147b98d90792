"""The penalty of a logistic regression, chosen by rows that it has not seen.

The evidence, by which `EvidenceRidge` finds its own, would shrink too much where classes can be
told apart: Laplace's method sees no curvature in rows whose class is certain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._content import group_ids, lowest_rows
from .._folds import USUAL_FOLDS, Splits, content_folds, group_folds
from .._numeric import Array, Rows, columns_of
from .._observations import by_content, observations
from .._rows import take_rows
from ..logit import folded_logits

# Distinct rows that tell as much as all: which penalty suits does not depend on their number.
PENALTY_ROWS = 5000
# Penalties that are tried, in powers of ten per unit of weight: ever weaker ones, each search from
# the solution of the last.
POWERS = range(1, -8, -1)
# Nats per unit of weight. The search ends when two penalties in a row have not gained as much.
LEAST_GAIN = 1e-3
# The default C of scikit-learn's logistic regression, also taken where no row can judge another.
USUAL = 1.0
# Newton steps under a penalty end with one that gains no more, in nats per unit of weight, or after
# so many: where classes can be told apart, scores grow for ever.
LAST_GAIN, MOST_STEPS = 1e-5, 30
# Probabilities that are held at once: 32 MB.
MOST_PROBABILITIES = 2**22


class Labelled(NamedTuple):
    """Columns (n, d) in their units, class codes (n,) and positive weights (n,) of some rows."""

    Z: Any
    codes: Rows
    weight: Array

    @property
    def n_classes(self) -> int:
        """One more than the largest code."""
        return int(self.codes.max()) + 1

    def take(self, rows: NDArray | None) -> Labelled:
        """Some of the rows; all for None."""
        return Labelled(*(take_rows(part, rows) for part in self))


class Regressions:
    """One regression for each of some folds, which it leaves out, and which judges it.

    They share their passes over the rows: to each, `shown` (F, n) gives the weights of the rows
    that it learns from, zero in its own fold, and `judging` (F, n) those of the rows that judge it.
    Classes that are `absent` (F, C) have not been shown to it.
    """

    def __init__(self, labelled: Labelled, left_out: Sequence[Rows], n_distinct: int) -> None:
        self.Z, self.codes, weight = labelled
        self.n_distinct = n_distinct
        self.indicators = np.arange(labelled.n_classes)[:, None] == self.codes
        self.shown = np.tile(weight, (len(left_out), 1))
        for shown, rows in zip(self.shown, left_out, strict=True):
            shown[rows] = 0.0
        self.absent = self.shown @ self.indicators.T == 0
        # None is asked about a class that it has not been shown, or has anything to say about one.
        n_shown = (~self.absent).sum(axis=1, keepdims=True)
        self.judging = (weight - self.shown) * ~self.absent[:, self.codes] * (n_shown > 1)
        # For two classes scikit-learn penalises the one vector of differences, which counts double.
        self.twice = np.where(n_shown == 2, 2.0, 1.0)
        self.theta = np.zeros((1, len(left_out), labelled.n_classes - 1, self.Z.shape[1] + 1))

    def loss(self, penalty: float) -> float:
        """What folds lose under a `penalty`, in nats times weight; steps go on from its last."""
        ridge = np.tile(penalty * self.twice, (1, 1, self.Z.shape[1] + 1))
        ridge[..., -1] = 0.0
        absent = self.absent[None] if self.absent.any() else None
        logits = folded_logits(self.Z, None, ridge, n_distinct=self.n_distinct, absent=absent)
        for _ in range(MOST_STEPS):
            self.theta, log_proba, gain = logits.whole_step(self.theta, self._targets)
            if gain <= LAST_GAIN:
                break
        own = np.take_along_axis(log_proba, self.codes[None, None], axis=1)[:, 0]
        return -float((self.judging * own).sum())

    def _targets(self, rows: Any) -> tuple[Array, Array]:
        """Weights (F, C, B) of some rows by class, and over all classes (F, B)."""
        total = columns_of(self.shown, rows)
        return total[:, None] * self.indicators[:, rows], total


def find_penalty(labelled: Labelled, group: Rows | None = None) -> float:
    """The penalty of squared coefficients under which unseen rows are most probable.

    Copies of a row share a fold, unless others of the same features contradict them; so do rows of
    one `group` (n,), if groups are given. Neither the order of rows nor the unit of weights
    matters.
    """
    labelled, splits, n_distinct = _dealt(labelled, group)
    total = labelled.weight.sum()
    # Squares of tiny weights, or of huge ones, are no numbers.
    labelled = labelled._replace(weight=labelled.weight / total)
    parts = list(_regressions(labelled, splits, n_distinct))
    judged = sum(part.judging.sum() for part in parts)
    if not judged:
        return USUAL
    # The rarer the classes, the less there is to learn from, and to gain.
    shares = np.bincount(labelled.codes, labelled.weight)
    rarity = min(1.0, 2.0 * float(1.0 - shares @ shares))
    losses: list[float] = []
    for power in POWERS:
        losses.append(sum(part.loss(rarity * 10.0**power) for part in parts) / judged)
        if min(losses[:-2], default=np.inf) - min(losses[-2:]) < LEAST_GAIN * rarity:
            break
    # Rounded: digits that more steps would change must not decide.
    return float(total * rarity * 10.0 ** round(_lowest(POWERS, losses), 1))


def _dealt(labelled: Labelled, group: Rows | None) -> tuple[Labelled, Splits, int]:
    """The rows that judge, or parts of them, their folds, and how many of them are no copies."""
    seen_as = observations if group is None else by_content
    seen = seen_as(labelled.Z, labelled.codes, labelled.weight)
    labelled = labelled.take(seen.rows)._replace(weight=seen.weight)
    few = lowest_rows(seen.rank, np.unique(seen.rank, return_index=True)[1], PENALTY_ROWS)
    labelled, rank = labelled.take(few), take_rows(seen.rank, few)
    # A rare class may not be among few rows.
    labelled = labelled._replace(codes=np.unique(labelled.codes, return_inverse=True)[1])
    n_distinct = len(np.unique(rank))
    if group is None:
        return labelled, content_folds(USUAL_FOLDS, rank, labelled.codes), n_distinct
    ids = np.unique(take_rows(group, few), return_inverse=True)[1]
    return labelled, _group_folds(labelled, ids, take_rows(seen.hashes, few)), n_distinct


def _group_folds(labelled: Labelled, group: Rows, hashes: Any) -> Splits:
    known = np.arange(labelled.n_classes)
    mass = (labelled.codes[:, None] == known) * labelled.weight[:, None]
    n_folds = min(USUAL_FOLDS, int(group.max()) + 1)
    return group_folds(n_folds, group_ids(group, hashes), mass)


def _regressions(labelled: Labelled, splits: Splits, n_distinct: int) -> Iterator[Regressions]:
    """The regressions of all folds, as many together as memory allows."""
    at_once = max(1, MOST_PROBABILITIES // (len(labelled.codes) * labelled.n_classes))
    for first in range(0, len(splits), at_once):
        yield Regressions(labelled, splits.tests[first : first + at_once], n_distinct)


def _lowest(powers: Sequence[int], losses: Sequence[float]) -> float:
    """Where the parabola through the lowest loss and its neighbours is lowest."""
    best = int(np.argmin(losses))
    if not 0 < best < len(losses) - 1:
        return float(powers[best])
    curvature, slope, _ = np.polyfit([-1, 0, 1], losses[best - 1 : best + 2], 2)
    return powers[best] + slope / (2 * curvature)  # powers fall
