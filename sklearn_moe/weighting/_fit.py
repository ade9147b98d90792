"""Fits of estimators to weighted rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator

from .._numeric import Array
from .._rows import take_params, take_rows
from .._validation import last_step
from ._empty_columns import without_empty_columns
from ._plan import RESAMPLED, WeightPlan, plan_weights

# A sample has at most so many times as many rows as there are, or as a small table has.
MOST_COPIES, SMALL_TABLE = 1000, 100


def fit_weighted(
    estimator: Any,
    X: Any,
    y: Any,
    weight: Array,
    rank: NDArray[np.intp],
    params: dict[str, Any] | None = None,
    *,
    plan: WeightPlan | None = None,
    labelled: bool = False,
) -> Any:
    """Fit `estimator`, a clone of our own, to rows that count `weight` (n,) each; return it.

    `rank` (n,) orders the rows by content: an estimator that takes no weights sees a sample in this
    order. Rows of zero weight are never seen; weights that are all one are not passed at all, so
    that the fit is the one the user would have made. If `y` is `labelled` and the rows seen are of
    one class, a constant takes the place of the estimator, unless it is frozen.
    """
    plan = plan or plan_weights(estimator)
    rows, weight = _rows_seen(plan, np.array(weight), rank)
    params = take_params(params or {}, len(rank), rows)
    X, y = without_empty_columns(estimator, take_rows(X, rows)), take_rows(y, rows)
    if labelled and (y == y[0]).all() and not isinstance(last_step(estimator), FrozenEstimator):
        return DummyClassifier().fit(np.zeros((len(y), 1)), y)
    if (weight == 1.0).all():
        return estimator.fit(X, y, **params)
    with plan.in_force():
        return estimator.fit(X, y, **plan.fit_params(weight), **params)


def _rows_seen(plan: WeightPlan, weight: Array, rank: NDArray[np.intp]) -> tuple[Any, Array]:
    """Row indices (None: all) that the estimator is to see, and the weights to give them."""
    if plan.mode == RESAMPLED:
        sampled = systematic_sample(weight, rank)
        return sampled, np.ones(len(sampled))
    rows = None if (weight > 0).all() else np.flatnonzero(weight)
    return rows, take_rows(weight, rows)


def systematic_sample(weight: Array, rank: NDArray[np.intp]) -> NDArray[np.intp]:
    """Row indices in which each row appears about `weight` times, in order of `rank`.

    So estimators that go by order where rows are equally near see them in that of their content.
    """
    if weight.sum() > MOST_COPIES * max(len(weight), SMALL_TABLE):
        raise ValueError(
            f"It takes no sample_weight, and would see a row as many times as it weighs: "
            f"{weight.sum():.6g} rows in place of {len(weight)}. Divide sample_weight by its mean, "
            "or use an estimator that takes it"
        )
    # By one key, which is sorted five times as fast as two; on small machines it outgrows an index.
    order = np.argsort(rank.astype(np.int64) * len(rank) + np.arange(len(rank)))
    cumulative = np.cumsum(weight[order])
    # The slack keeps a total of rounding-noisy ones on the side of the whole number it stands for.
    stops = np.floor(cumulative + 0.5 + 1e-9).astype(np.intp)
    counts = np.diff(stops, prepend=0)
    if not counts.any():
        counts[np.argmax(weight[order])] = 1
    return np.repeat(order, counts)
