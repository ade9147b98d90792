"""What every gate promises."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from .._numeric import Array


class Gate(BaseEstimator):
    """Base class of gates: probabilities of the experts given the features.

    A gate learns from soft targets: `expert_weights` is responsibility times sample weight, so a
    gate needs no second weight and works as the last step of a pipeline.
    """

    _parameter_constraints: dict = {}

    @abstractmethod
    def fit(self, X: Any, expert_weights: Array) -> Gate:
        """Fit to `X` (n, p) and `expert_weights` (n, K); return self."""

    @abstractmethod
    def predict_log_proba(self, X: Any) -> Array:
        """Log probabilities (n, K) of the experts, each row log-normalised."""

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n, K) of the experts.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Rows to divide among the experts.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_experts)
            Probabilities; each row sums to one.
        """
        return np.exp(self.predict_log_proba(X))

    def penalty(self) -> float:
        """What the gate's own objective subtracts from the summed log-likelihood.

        Returns
        -------
        penalty : float
            The penalty at the fitted parameters; 0 for gates without one.
        """
        return 0.0
