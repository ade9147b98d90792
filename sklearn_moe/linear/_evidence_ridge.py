"""Ridge regression that finds its own penalty, for regions of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._numeric import Array, exact_means
from .._table_checks import check_weight
from ._evidence import Spectrum


class EvidenceRidge(RegressorMixin, BaseEstimator):
    """Ridge regression whose penalty is the one under which the targets are most probable.

    The rows decide how strongly coefficients are shrunk, so there is nothing to tune: weakly where
    noise is small or rows are many, strongly where there is nothing to learn. Made for experts,
    whose regions differ in both and may hold less than a row's weight for each column; a mixture
    solves all experts and folds together, from the Gram matrices that `Ridge` needs as well. A row
    of weight w counts as w rows. The unit of the target does not matter, nor does a factor that is
    the same for all features; features of different units are better standardised first.

    The intercept is integrated out (restricted likelihood) and the noise variance maximised;
    neither is tuned. Outputs share their penalty.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Coefficients.
    intercept_ : float or ndarray of shape (n_outputs,)
        Level where all features are zero; it is not penalised.
    penalty_ : float
        The penalty of the squared coefficients, in units of `Ridge(alpha=...)`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if all are text.

    See Also
    --------
    sklearn.linear_model.BayesianRidge : The same idea with priors for both precisions, for one
        output and rows enough to determine all coefficients.

    References
    ----------
    H. D. Patterson and R. Thompson, "Recovery of inter-block information when block sizes are
    unequal", Biometrika 58(3), 1971. D. J. C. MacKay, "Bayesian interpolation", Neural Computation
    4(3), 1992.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import EvidenceRidge
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 20))
    >>> exact, vague = X @ np.ones(20), rng.normal(size=60)
    >>> EvidenceRidge().fit(X, exact).penalty_ < 1e-6  # nothing is shrunk
    True
    >>> 50 < EvidenceRidge().fit(X, vague).penalty_  # all is, next to as many rows
    True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> EvidenceRidge:
        """Find the penalty, and the coefficients under it.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Features, finite.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, finite.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, none negative; None for ones.

        Returns
        -------
        self : EvidenceRidge
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is not a table of finite numbers, or a weight is negative, or all are zero.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        weight, target = check_weight(sample_weight, X), np.asarray(y, dtype=np.float64)
        outputs = target.reshape(len(X), -1)
        center, level = (np.average(part, axis=0, weights=weight) for part in (X, outputs))
        seen, is_constant = exact_means(outputs[weight > 0])
        level = np.where(is_constant, seen, level)  # to the last digit
        spectrum = Spectrum.of_rows(X - center, outputs - level, weight)
        penalty = spectrum.penalties()
        coef = spectrum.solve(penalty)[0]
        self.penalty_ = float(penalty[0])
        self.coef_ = coef.T if target.ndim > 1 else coef[:, 0]
        intercept = level - center @ coef
        self.intercept_ = intercept if target.ndim > 1 else float(intercept[0])
        return self

    def predict(self, X: Any) -> Array:
        """Predict targets.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Features.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predicted targets.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return X @ self.coef_.T + self.intercept_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
