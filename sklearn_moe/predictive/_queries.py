"""What can be asked of anything that has a predictive distribution for each row."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from .._numeric import Array
from ._distribution import MixtureDistribution


class DistributionQueries:
    """Quantiles, variances and draws of a predictive distribution; not for use."""

    @abstractmethod
    def predict_dist(self, X: Any) -> MixtureDistribution:
        """Predictive distribution of each row."""

    def predict_quantiles(self, X: Any, quantiles: Any = (0.05, 0.5, 0.95)) -> Array:
        """Quantiles of the predictive distribution.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to predict.
        quantiles : float or array-like of shape (m,), default=(0.05, 0.5, 0.95)
            Levels between 0 and 1.

        Returns
        -------
        quantiles : ndarray of shape (n_samples,) or (n_samples, n_outputs), and (m,) for several
            Quantiles.
        """
        return self.predict_dist(X).ppf(quantiles)

    def predict_var(self, X: Any) -> Array:
        """Variance of the predictive distribution.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        variance : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Noise of the experts and spread between them, and the background's if there is one.
        """
        return self.predict_dist(X).var()

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = None) -> Array:
        """Targets drawn from the predictive distribution.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples_X, n_features)
            Rows.
        n_samples : int, default=1
            Draws for each row.
        random_state : int, RandomState instance or None, default=None
            Source of randomness.

        Returns
        -------
        y : ndarray of shape (n_samples_X, n_samples) or (n_samples_X, n_outputs, n_samples)
            Draws.
        """
        return self.predict_dist(X).sample(n_samples, random_state)
