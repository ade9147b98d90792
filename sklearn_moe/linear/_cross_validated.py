"""Logistic regression that finds its own penalty, on columns of any units."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .._groups import checked_groups, numbered
from .._numeric import Array
from .._rows import take_rows
from .._table_checks import check_weight
from .._validation import Interval, fit_context
from ._indicators import half_differences
from ._penalty import Labelled, find_penalty


class CrossValidatedLogistic(ClassifierMixin, BaseEstimator):
    """Logistic regression whose penalty is the one under which unseen rows are most probable.

    Columns are standardised internally; if they have two values, their unit is half the difference
    of these, so that rare ones are shrunk as frequent ones are. So the columns' own units do not
    matter and there is nothing to tune: coefficients are shrunk little where classes can be told
    apart, and strongly where there is little to learn. Five folds, dealt by content, judge
    penalties a factor of ten apart, from strong to weak until weaker ones are no better, and a
    parabola through the best one and its neighbours gives the next digit. From 10,000 distinct rows
    on, 5,000 judge. A row of weight w counts as w rows.

    ``MixtureOfExpertsClassifier(experts=None)`` stands for experts of this kind. A mixture searches
    once, with one expert fitted to all rows, and gives each expert the `C` that it finds. If that
    is a stronger penalty than ``C=1``, experts begin with ``C=1``, for they may have more to learn,
    and the stronger penalty is tried once a start has won.

    Parameters
    ----------
    C : float or None, default=None
        The inverse of the penalty on squared coefficients, which are taken in these units; None if
        it is to be found.
    tol : float, default=1e-10
        The solver's tolerance, as in `LogisticRegression`.
    max_iter : int, default=100
        The solver's largest number of iterations.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    C_ : float
        The inverse penalty.
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) for two classes
        Coefficients, in units of the columns as they were given.
    intercept_ : ndarray of shape (n_classes,) or (1,)
        Scores where all features are zero; they are not penalised.
    n_iter_ : ndarray of shape (1,)
        Iterations of the solver.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if all are text.

    See Also
    --------
    EvidenceRidge : The counterpart for real targets.
    sklearn.linear_model.LogisticRegressionCV : Searches a grid, on columns as they are.

    References
    ----------
    S. le Cessie and J. C. van Houwelingen, "Ridge estimators in logistic regression", Applied
    Statistics 41(1), 1992 (penalties by cross-validated likelihood). A. Gelman, "Scaling regression
    inputs by dividing by two standard deviations", Statistics in Medicine 27(15), 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import CrossValidatedLogistic
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 10)) * 10.0 ** np.arange(10)
    >>> clear, vague = X[:, 0] > 0, rng.random(200) > 0.5
    >>> CrossValidatedLogistic().fit(X, clear).C_ > 10  # hardly anything is shrunk
    True
    >>> CrossValidatedLogistic().fit(X, vague).C_ < 0.1  # next to nothing is left
    True
    """

    # A mixture hands on groups by itself.
    __metadata_request__fit = {"groups": False}

    _parameter_constraints: dict = {
        "C": [Interval(Real, 0, None, closed="neither"), None],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, C: float | None = None, tol: float = 1e-10, max_iter: int = 100) -> None:
        self.C = C
        self.tol = tol
        self.max_iter = max_iter

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None
    ) -> CrossValidatedLogistic:
        """Find the penalty, unless it is given, and the coefficients under it.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Features, finite.
        y : array-like of shape (n_samples,)
            Class labels, of two classes at least.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, none negative; None for ones.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group depend on each other, and share a fold of the search.

        Returns
        -------
        self : CrossValidatedLogistic
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is not a table of finite numbers with class labels, a weight is negative,
            all rows of positive weight are of one class, or a row has no group.
        """
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64)
        if sp.issparse(X) and not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        check_classification_targets(y)
        weight = check_weight(sample_weight, X)
        kept = None if weight.all() else np.flatnonzero(weight)
        groups = checked_groups(groups, X)
        X, y, weight, groups = (take_rows(part, kept) for part in (X, y, weight, groups))
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"y holds one class ({classes.tolist()}) in rows of positive weight, and should "
                "hold two at least."
            )
        scaler = _scaler_of(X, weight)
        rows = Labelled(scaler.transform(X), codes, weight)
        group = None if groups is None else numbered(groups)
        self.C_ = self.C or 1.0 / find_penalty(rows, group)
        model = LogisticRegression(
            C=self.C_, tol=self.tol, max_iter=self.max_iter, solver="newton-cg"
        ).fit(*rows)
        self.classes_, self.n_iter_ = classes, model.n_iter_
        self.coef_ = model.coef_ / scaler.scale_
        self.intercept_ = model.intercept_.copy()
        if not sp.issparse(X):
            self.intercept_ -= self.coef_ @ scaler.mean_
        return self

    def decision_function(self, X: Any) -> Array:
        """Scores of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            Log probabilities, up to a constant in each row; for two classes, the log odds of the
            second.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        scores = np.asarray(X @ self.coef_.T) + self.intercept_
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict_log_proba(self, X: Any) -> Array:
        """Log probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        scores = self.decision_function(X)
        if scores.ndim == 1:
            scores = np.column_stack([np.zeros(len(scores)), scores])
        return np.asarray(log_softmax(scores, axis=1))

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; rows sum to one.
        """
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> NDArray:
        """The most probable class.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels.
        """
        most_probable = self.predict_log_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[most_probable])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _scaler_of(X: Any, weight: Array) -> StandardScaler:
    """Puts columns in their units: standard deviations or, for indicators, half differences."""
    with np.errstate(invalid="ignore"):
        # Under weights, rounding may make the variance of a constant column negative; the scaler
        # then takes one in place of its root.
        scaler = StandardScaler(with_mean=not sp.issparse(X)).fit(X, sample_weight=weight)
        varies = scaler.scale_ == np.sqrt(scaler.var_)
    half = half_differences(X, scaler.mean_, scaler.scale_, weight)
    scaler.scale_ = np.where(varies & (half > 0), half, 1.0) * scaler.scale_
    return scaler
