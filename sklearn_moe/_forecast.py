"""What a fitted regressor says beside the mean: distributions, intervals, quantiles, draws."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from ._base import BaseMixtureOfExperts
from ._conformal import Calibration
from ._numeric import Array
from ._validation import check_is_fitted
from .families import Contaminated, RealFamily
from .predictive import MixtureDistribution


class Forecasts(BaseMixtureOfExperts):
    """Queries about whole distributions; not for use."""

    family_: RealFamily | Contaminated
    target_shape_: tuple[int, ...]
    calibration_: Calibration | None

    def predict_dist(self, X: Any) -> MixtureDistribution:
        """Predictive distribution of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        distribution : MixtureDistribution
            Density, quantiles, intervals, draws and scores, for all rows at once.
        """
        log_gate, mean, law = self._laws_at(X)
        return distribution_of(self.family_, log_gate, mean, law, self.target_shape_)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Array:
        """Central interval that holds the target with probability `coverage`.

        With ``calibrate="conformal"`` the levels of its ends are those between which, in the
        out-of-fold distributions of the training rows, that share of the targets fell; ends are
        infinite where there were too few rows to tell.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to predict.
        coverage : float, default=0.9
            Between 0 and 1, both excluded.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            Lower and upper ends.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1.

        References
        ----------
        V. Chernozhukov, K. Wüthrich and Y. Zhu, "Distributional conformal prediction", PNAS
        118(48), 2021. R. F. Barber, E. J. Candès, A. Ramdas and R. J. Tibshirani, "Predictive
        inference with the jackknife+", Annals of Statistics 49(1), 2021.
        """
        distribution = self.predict_dist(X)
        if getattr(self, "calibration_", None) is None or not 0 < coverage < 1:
            return distribution.interval(coverage)
        assert self.calibration_ is not None
        low, high = self.calibration_.levels(coverage)
        ends = [distribution.ppf(np.unique([*low, *high]))]
        levels = np.unique([*low, *high])
        flat = ends[0].reshape(len(distribution), -1, len(levels))
        outputs = np.arange(flat.shape[1])
        both = [flat[:, outputs, np.searchsorted(levels, side)] for side in (low, high)]
        return np.stack(both, axis=-1).reshape(len(distribution), *self.target_shape_, 2)

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
            Noise of the experts and spread between them.
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

    def outlier_proba(self, X: Any, y: Any) -> Array:
        """Probability that each target came from the background and from no expert.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.

        Returns
        -------
        proba : ndarray of shape (n_samples,)
            Probabilities; zero if `outlier_fraction` is.
        """
        check_is_fitted(self)
        target = self._encode_target(y)
        if not isinstance(self.family_, Contaminated):
            return np.zeros(len(target))
        _, mean, law = self._laws_at(X)
        clean = self.family_.clean_proba(target, mean, law)
        return 1.0 - (self.responsibilities(X, y) * clean).sum(axis=1)

    @abstractmethod
    def _laws_at(self, X: Any) -> tuple[Array, Array, Array]:
        """Log gate probabilities, means and parameters of the law."""


def distribution_of(
    family: RealFamily | Contaminated,
    log_gate: Array,
    mean: Array,
    law: Array,
    target_shape: tuple[int, ...],
) -> MixtureDistribution:
    """The mixture of the experts' laws, and of the background if there is one."""
    mean = family.adjust(mean, law)
    if isinstance(family, Contaminated):
        log_gate, mean, law = family.with_background(log_gate, mean, law)
        family = family.law
    return MixtureDistribution(family.of_means(), log_gate, mean, law, target_shape)


def calibration_of(distribution: MixtureDistribution, y: Array, weight: Array) -> Calibration:
    """Where the targets `y` (n, q) fell."""
    targets = y.reshape(len(y), *distribution.target_shape)
    up_to = distribution.cdf(targets).reshape(len(y), -1)
    below = distribution.cdf_below(targets).reshape(len(y), -1)
    return Calibration(below, up_to, weight)
