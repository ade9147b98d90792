"""Out-of-bag predictions: an ensemble over bootstrap samples predicts the rows it learns from.

Each row is predicted by the members whose sample did not draw it, so one fit serves where folds
need one each.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.ensemble import BaggingClassifier, BaggingRegressor
from sklearn.utils.validation import validate_data

from ._numeric import Array, effective_rows
from ._rows import n_rows
from ._validation import innermost, last_step

BAGGING = BaggingRegressor | BaggingClassifier


def offers_out_of_bag(estimator: Any) -> bool:
    """Whether an estimator, or the last step of a pipeline, can predict its own rows out of bag.

    Forests and bagging can, over bootstrap samples.
    """
    params = last_step(estimator).get_params(deep=False)
    return "oob_score" in params and params["bootstrap"] and not params["warm_start"]


@contextmanager
def quiet_out_of_bag(cv: Any) -> Iterator[None]:
    """Nothing is said of rows that are in every bag, for folds answer for them.

    This is for the thread of a whole fit: its workers go by the same filters.
    """
    if not (isinstance(cv, str) and cv == "oob"):
        yield
        return
    with warnings.catch_warnings():
        for text in ("Some inputs do not have OOB scores", "invalid value encountered in"):
            warnings.filterwarnings("ignore", text, module=r"sklearn\.ensemble")
        yield


def with_out_of_bag(estimator: Any, weight: Array) -> Any:
    """A clone that keeps its out-of-bag predictions when it is fitted under `weight` (n,).

    Heavy rows are drawn first, so samples of n rows would leave few of them out. Unless the user
    has set the size, a sample is as large as the weights are worth.
    """
    keeper = clone(estimator)
    last = last_step(keeper)
    if not isinstance(last, BAGGING):
        last.set_params(oob_score=True)
    if last.max_samples is None:
        last.set_params(max_samples=max(1, round(effective_rows(weight))))
    return keeper


def out_of_bag(estimator: Any, X: Any) -> tuple[Array, NDArray[np.bool_]]:
    """What a fitted ensemble says of the rows `X` it was fitted to: outputs (n, q), or (n, C).

    Also, of which rows it says something: those (a mask) that are not in every bag.
    """
    last = last_step(estimator)
    if isinstance(last, BAGGING):
        return _said_by_members(*innermost(estimator, X, lambda one: one is last))
    if hasattr(last, "oob_decision_function_"):
        found = np.asarray(last.oob_decision_function_, dtype=np.float64)
        return found, np.asarray(found.sum(axis=1) > 0)  # false where it is NaN
    found = np.asarray(last.oob_prediction_, dtype=np.float64).reshape(n_rows(X), -1)
    answered = np.asarray(np.isfinite(found).all(axis=1))
    # Zero is also scikit-learn's answer where there is no member to ask.
    if (found == 0.0).all(axis=1).any():
        answered &= _times_out(last, n_rows(X)) > 0
    return found, answered


def _said_by_members(bagging: Any, X: Any) -> tuple[Array, NDArray[np.bool_]]:
    """The mean (n, q) or (n, C) of what members say of rows that they have not drawn.

    Also, of which rows there is one. scikit-learn (1.9) knows it for one output only, and fails
    where a bag holds all rows, or not all classes.
    """
    options: Any = {"accept_sparse": "csr", "dtype": None, "ensure_all_finite": False}
    X = validate_data(bagging, X, reset=False, **options)
    parts = bagging.estimators_, bagging.estimators_samples_, bagging.estimators_features_
    n_members = np.zeros(X.shape[0])
    total = np.zeros((len(n_members), _width(bagging, X)))
    for member, drawn, columns in zip(*parts, strict=True):
        is_left = np.bincount(drawn, minlength=len(n_members)) == 0
        if is_left.any():
            total[is_left] += _values(bagging, member, X[is_left][:, columns])
            n_members += is_left
    return total / np.maximum(n_members, 1.0)[:, None], n_members > 0


def _width(bagging: Any, X: Any) -> int:
    """The number of outputs, or of classes."""
    return len(bagging.classes_) if is_classifier(bagging) else bagging.predict(X[:1]).size


def _values(bagging: Any, member: Any, X: Any) -> Array:
    """Predictions (m, q) of a member of a regressor; probabilities (m, C), or votes, of others.

    Members know classes by their numbers, and may not have met all of them.
    """
    if not is_classifier(bagging):
        return np.asarray(member.predict(X), dtype=np.float64).reshape(X.shape[0], -1)
    proba = np.zeros((X.shape[0], len(bagging.classes_)))
    if hasattr(member, "predict_proba"):
        proba[:, member.classes_] = member.predict_proba(X)
    else:
        proba[np.arange(len(proba)), member.predict(X)] = 1.0
    return proba


def _times_out(ensemble: Any, n_rows: int) -> Array:
    """The number of members (n,) whose sample did not draw a row."""
    out = np.zeros(n_rows)
    for rows in ensemble.estimators_samples_:
        out += np.bincount(rows, minlength=n_rows) == 0
    return out
