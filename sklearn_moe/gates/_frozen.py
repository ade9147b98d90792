"""Estimators that were fitted before, as gates of which some experts are left."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from .._numeric import Array
from .._validation import last_step


class OfSome(BaseEstimator):
    """What a fitted estimator says of some of its classes or outputs, numbered anew."""

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


def is_frozen(gate: Any) -> bool:
    """Whether a gate, or the estimator within it, was fitted before."""
    last = last_step(gate)
    inner = getattr(last, "classifier", getattr(last, "regressor", last))
    return isinstance(last_step(inner), FrozenEstimator)


def of_some(estimator: Any, places: tuple[int, ...]) -> Any:
    """A frozen estimator, or a pipeline that ends in one, for the experts at some places."""
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        return clone(estimator).set_params(**{name: of_some(last, places)})
    return FrozenEstimator(OfSome(estimator, places))
