"""The mixture that a picture asks, found within what the user has fitted, and its rows."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from .._validation import innermost


def model_within(estimator: Any, X: Any = None) -> tuple[Any, Any]:
    """The last step of a pipeline, or of the best one of a search, and the rows that it takes."""
    return innermost(estimator, X, _is_automatic)


def mixture_within(estimator: Any, X: Any = None) -> tuple[Any, Any]:
    """The fitted mixture (of an automatic one, the best that it found), and the rows it takes.

    Raises
    ------
    TypeError
        If there is no mixture.
    """
    model, X = model_within(estimator, X)
    mixture = model.mixture_ if _is_automatic(model) else model
    if not hasattr(mixture, "gate_proba"):
        raise TypeError(
            f"estimator={estimator!r} is no mixture of experts. Pass a fitted one, a pipeline that "
            "ends in one, a search over one, or an automatic mixture."
        )
    check_is_fitted(mixture)
    return mixture, model.encode(X) if _is_automatic(model) and X is not None else X


def _is_automatic(model: Any) -> bool:
    return hasattr(model, "encode")
