"""Whom a picture asks: the mixture within what the user has fitted, and its rows."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def model_within(estimator: Any) -> Any:
    """The last step of a pipeline, or of the best one that a search has found."""
    if isinstance(estimator, Pipeline):
        return model_within(estimator[-1])
    return model_within(estimator.best_estimator_) if _is_search(estimator) else estimator


def rows_within(estimator: Any, X: Any) -> Any:
    """Rows as that takes them."""
    if isinstance(estimator, Pipeline):
        seen = estimator[:-1].transform(X) if len(estimator.steps) > 1 else X
        return rows_within(estimator[-1], seen)
    return rows_within(estimator.best_estimator_, X) if _is_search(estimator) else X


def mixture_within(estimator: Any) -> Any:
    """The fitted mixture; of an automatic one, the best that it has found.

    Raises
    ------
    TypeError
        If there is none.
    """
    model = model_within(estimator)
    mixture = model.mixture_ if hasattr(model, "encode") else model
    if not hasattr(mixture, "gate_proba"):
        raise TypeError(
            f"estimator={estimator!r} is no mixture of experts. Pass a fitted one, a pipeline that "
            "ends in one, a search over one, or an automatic mixture."
        )
    check_is_fitted(mixture)
    return mixture


def rows_of_mixture(estimator: Any, X: Any) -> Any:
    """Rows as the mixture takes them."""
    model, rows = model_within(estimator), rows_within(estimator, X)
    return model.encode(rows) if hasattr(model, "encode") else rows


def _is_search(estimator: Any) -> bool:
    return hasattr(estimator, "best_estimator_") and not hasattr(estimator, "encode")
