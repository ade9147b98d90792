"""What the command `tabular` asks of a model, and the noise that a model without any is given.

A model has `fit(X, y)` with a frame and an array, and `predict(X)`, or `predict_proba(X)` and
`classes_` for labels. A regressor may have `law(X)`, its predictive law; all the others are given
Gaussian noise of the scale of their out-of-fold residuals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold, cross_val_predict

N_FOLDS = 5


@dataclass(frozen=True)
class GaussianLaw:
    """Normal laws with means (n,) and standard deviations (n,) or ()."""

    mean: np.ndarray
    scale: np.ndarray | float

    def logpdf(self, y: np.ndarray) -> np.ndarray:
        """Log densities (n,)."""
        return norm.logpdf(y, self.mean, self.scale)

    def ppf(self, q: Sequence[float]) -> np.ndarray:
        """Quantiles (n, m)."""
        return np.column_stack([norm.ppf(level, self.mean, self.scale) for level in q])

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Closed CRPS (n,)."""
        z = (y - self.mean) / self.scale
        return self.scale * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))


class WithNoise(BaseEstimator):
    """A regressor with Gaussian noise of the scale of its out-of-fold residuals.

    `fit_seconds_` are those of the regressor's own fit.
    """

    def __init__(self, model: Any, seed: int = 0) -> None:
        self.model = model
        self.seed = seed

    def fit(self, X: Any, y: np.ndarray) -> WithNoise:
        """Fit the model to all rows, and clones to the folds for the scale."""
        folds = KFold(N_FOLDS, shuffle=True, random_state=self.seed)
        held_out = cross_val_predict(clone(self.model), X, y, cv=folds)
        residuals = y - held_out
        self.scale_ = max(float(np.sqrt(np.mean(residuals**2))), 1e-4 * float(np.std(y)))
        begun = perf_counter()
        self.model_ = clone(self.model).fit(X, y)
        self.fit_seconds_ = perf_counter() - begun
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The model's predictions (n,)."""
        return np.ravel(self.model_.predict(X))

    def law(self, X: Any) -> GaussianLaw:
        """Normal around the predictions."""
        return GaussianLaw(self.predict(X), self.scale_)
