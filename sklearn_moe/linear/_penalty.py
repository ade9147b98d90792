"""The penalty of a logistic regression, chosen by rows that it has not seen.

The evidence, by which `EvidenceRidge` finds its own, would shrink too much where classes can be
told apart: Laplace's method sees no curvature in rows whose class is certain.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from .._content import group_ids, lowest_rows
from .._folds import USUAL_FOLDS, Splits, content_folds, group_folds
from .._numeric import Array, Rows, safe_log
from .._observations import by_content, observations
from .._rows import take_rows

# Distinct rows that tell as much as all: which penalty suits does not depend on their number.
PENALTY_ROWS = 5000
# Penalties that are tried, in powers of ten per unit of weight: ever weaker ones, each search from
# the solution of the last.
POWERS = range(1, -8, -1)
# Nats per unit of weight. The search ends when two penalties in a row have not gained as much.
LEAST_GAIN = 1e-3
# The default C of scikit-learn's logistic regression, also taken where no row can judge another.
USUAL = 1.0
# The solver's tolerance and steps. It starts from the coefficients of a stronger penalty, where a
# laxer one would leave it: weak penalties would be judged by the losses of strong ones.
TOLERANCE, MOST_STEPS = 1e-5, 200


class Labelled(NamedTuple):
    """Columns (n, d) in their units, class codes (n,) and positive weights (n,) of some rows."""

    Z: Any
    codes: Rows
    weight: Array

    def take(self, rows: NDArray | None) -> Labelled:
        return Labelled(*(take_rows(part, rows) for part in self))


@dataclass(frozen=True)
class Fold:
    """A regression on the rows `shown` to it, which the `others` judge."""

    model: LogisticRegression
    shown: Labelled
    others: Labelled

    def loss(self, penalty: float) -> float:
        """What the others lose under a `penalty`, in nats times weight."""
        self.model.set_params(C=1.0 / penalty).fit(*self.shown)
        proba = self.model.predict_proba(self.others.Z)
        own = np.searchsorted(self.model.classes_, self.others.codes)
        return -float(self.others.weight @ safe_log(proba[np.arange(len(own)), own]))


def find_penalty(labelled: Labelled, group: Rows | None = None) -> float:
    """The penalty of squared coefficients under which unseen rows are most probable.

    Copies of a row share a fold, unless others of the same features contradict them; so do rows of
    one `group` (n,), if groups are given. Neither the order of rows nor the unit of weights
    matters.
    """
    labelled, splits = _dealt(labelled, group)
    folds, total = list(_folds(labelled, splits)), labelled.weight.sum()
    if not folds:
        return USUAL
    # The rarer the classes, the less there is to learn from, and to gain.
    shares = np.bincount(labelled.codes, labelled.weight) / total
    rarity = min(1.0, 2.0 * float(1.0 - shares @ shares))
    unit, judged = total * rarity, sum(fold.others.weight.sum() for fold in folds)
    losses: list[float] = []
    with config_context(skip_parameter_validation=True), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for power in POWERS:
            losses.append(sum(fold.loss(unit * 10.0**power) for fold in folds) / judged)
            if min(losses[:-2], default=np.inf) - min(losses[-2:]) < LEAST_GAIN * rarity:
                break
    # Rounded: digits below the solver's tolerance must not decide.
    return float(unit * 10.0 ** round(_lowest(POWERS, losses), 1))


def _dealt(labelled: Labelled, group: Rows | None) -> tuple[Labelled, Splits]:
    """The rows that judge, or parts of them, and their folds."""
    seen_as = observations if group is None else by_content
    seen = seen_as(labelled.Z, labelled.codes, labelled.weight)
    labelled = labelled.take(seen.rows)._replace(weight=seen.weight)
    few = lowest_rows(seen.rank, np.unique(seen.rank, return_index=True)[1], PENALTY_ROWS)
    labelled, rank = labelled.take(few), take_rows(seen.rank, few)
    if group is None:
        return labelled, content_folds(USUAL_FOLDS, rank, labelled.codes)
    ids = np.unique(take_rows(group, few), return_inverse=True)[1]
    return labelled, _group_folds(labelled, ids, take_rows(seen.hashes, few))


def _group_folds(labelled: Labelled, group: Rows, hashes: Any) -> Splits:
    known = np.unique(labelled.codes)  # a rare class may not be among few rows
    mass = (labelled.codes[:, None] == known) * labelled.weight[:, None]
    n_folds = min(USUAL_FOLDS, int(group.max()) + 1)
    return group_folds(n_folds, group_ids(group, hashes), mass)


def _folds(labelled: Labelled, splits: Splits) -> Iterator[Fold]:
    """The folds, but for those that show a single class; none asks about a class not shown."""
    for train, test in splits:
        model = LogisticRegression(warm_start=True, tol=TOLERANCE, max_iter=MOST_STEPS)
        shown, others = labelled.take(train), labelled.take(test)
        known = np.unique(shown.codes)
        others = others.take(np.isin(others.codes, known))
        if len(known) > 1 and len(others.codes):
            yield Fold(model, shown, others)


def _lowest(powers: Sequence[int], losses: Sequence[float]) -> float:
    """Where the parabola through the lowest loss and its neighbours is lowest."""
    best = int(np.argmin(losses))
    if not 0 < best < len(losses) - 1:
        return float(powers[best])
    curvature, slope, _ = np.polyfit([-1, 0, 1], losses[best - 1 : best + 2], 2)
    return powers[best] + slope / (2 * curvature)  # powers fall
