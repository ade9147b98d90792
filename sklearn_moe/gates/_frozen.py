"""Estimators that were fitted before, as gates for the experts that are left."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from .._numeric import Array
from .._validation import last_step
from ._base import Gate


class OfSome(BaseEstimator):
    """A fitted estimator with some of its classes or outputs only, numbered anew."""

    def __init__(self, estimator: Any, places: tuple[int, ...]) -> None:
        self.estimator = estimator
        self.places = places

    @property
    def classes_(self) -> NDArray[np.intp]:
        """Positions among the places."""
        return np.arange(len(self.places))

    def fit(self, X: Any, y: Any) -> OfSome:
        """Nothing: what is frozen is not fitted, but scikit-learn asks whether it could be."""
        return self

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n, K), which may sum to less than one."""
        return self.estimator.predict_proba(X)[:, self.places]

    def predict(self, X: Any) -> Array:
        """Outputs (n, K)."""
        return self.estimator.predict(X)[:, self.places]

    def __sklearn_is_fitted__(self) -> bool:
        return True


def frozen_gate(classifier: Any) -> Gate | None:
    """The gate inside a frozen classifier, or a frozen end of a pipeline; None if there is none."""
    last, frozen = last_step(classifier), False
    while isinstance(last, FrozenEstimator):
        last, frozen = last_step(last.estimator), True
    return last if frozen and isinstance(last, Gate) else None


def is_frozen(gate: Any) -> bool:
    """Whether a gate, or the estimator within it, was fitted before."""
    last = last_step(gate)
    if isinstance(last, FrozenEstimator):  # which has all attributes of what is within
        return True
    return isinstance(last_step(getattr(last, _inner(last), None)), FrozenEstimator)


def without_lost(gate: Any, members: tuple[int, ...]) -> Any:
    """The template of a gate that is frozen within, for the experts that are left."""
    name = _inner(gate)
    return clone(gate).set_params(**{name: _of_some(getattr(gate, name), members)})


def _inner(gate: Any) -> str:
    """Name of the parameter that holds a gate's estimator, if one does."""
    return "classifier" if hasattr(gate, "classifier") else "regressor"


def _of_some(estimator: Any, places: tuple[int, ...]) -> Any:
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        return clone(estimator).set_params(**{name: _of_some(last, places)})
    return FrozenEstimator(OfSome(estimator, places))
