"""The automatic mixture for class labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.base import ClassifierMixin

from .._classifier import MixtureOfExpertsClassifier
from .._numeric import Array
from .._targets import check_label_target
from .._validation import fit_context
from ._base import BaseAutoMixture
from ._candidate import Candidate
from ._usual import classifiers


class AutoMixtureClassifier(ClassifierMixin, BaseAutoMixture):
    """Mixture of experts for class labels that finds its kinds of experts, and their number.

    Candidates are fitted in turn, and judged by the mean log probability of the classes of rows
    that no step of their fits has seen (by their witnesses). If its experts are linear, or it is
    the user's own, the best one gets twice as many experts as long as that raises its score. It is
    then fitted to all rows, and answers together with those others that improve its probabilities.
    A candidate costs one fit, where a search by cross-validation costs one for each fold.

    Parameters
    ----------
    candidates : list of (str, mixture), list of str or None, default=None
        Mixtures, or pipelines that end in one, by name. (The steps of a pipeline are fitted to all
        rows: what looks at the target belongs in the experts.) None for a mixture of logistic
        regressions ("linear") and, each alone and with a temperature, a forest of extremely
        randomised trees ("forest"), boosting with a penalty ("boosting"), boosting of more trees
        without one ("long boosting") and a smooth function ("metric"); a list of these names for
        some of them. In a column of text, 30 to 255 categories are told apart: the more rows, the
        more.
    stacking : bool, default=True
        Whether other candidates answer together with the best one, in the proportions under which
        their mean probabilities explain unseen rows best; those of small weight are left out. All
        that answer are fitted to all rows. False for the best one alone.
    cv : int, splitter or list of (train, test), default=5
        Cross-fitting of the usual candidates that are kept; boosting uses at most three of a number
        of folds. Candidates are judged by three folds, or by the folds that are given.
    max_rows : int, default=3000
        Largest number of distinct rows that the search uses, 50 or more. If these are 2000 or more,
        candidates are first compared on a third of them, and only the better half, and those others
        that would answer with the best, go on to all. A third of 2000 rows or more is divided
        likewise.
    n_jobs : int, default=None
        Number of jobs. Several candidates are fitted side by side in as many processes, each
        without workers of its own. Where one is fitted by itself, or joblib's context has no
        processes, the usual candidates have as many jobs within. None is 1, or what
        ``joblib.parallel_config`` says. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds the usual candidates.
    verbose : int, default=0
        1 reports each candidate.

    Attributes
    ----------
    best_estimator_ : Pipeline
        The best model: the steps that prepare the columns, if any, and the mixture.
    mixture_ : MixtureOfExpertsClassifier
        The fitted mixture at the end of `best_estimator_`, with its gate; it takes the rows
        that `encode` returns.
    best_name_ : str
        Name of the best candidate that was fitted to all rows, with its number of experts if the
        search has doubled it.
    named_estimators_ : Bunch of Pipeline
        The models that answer together, by name; the best is nearly always among them.
    weights_ : dict of str to float
        Their weights, which sum to one; none is below a twentieth.
    pooled_log_prob_ : float
        Mean log probability of the classes of unseen rows under all that answer together. Their
        weights were chosen on the same rows.
    log_probs_ : dict of str to float
        Mean log probability of the classes of unseen rows, in nats, for each candidate of the last
        round of the search; minus infinity if it could not be fitted. Bounds, if no candidate has
        witnesses. The best may be chosen by fits to all rows, whose scores differ.
    classes_ : ndarray of shape (n_classes,)
        Class labels in sorted order.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if `X` had names that are strings.

    See Also
    --------
    MixtureOfExpertsClassifier : One mixture, of experts that are given.

    References
    ----------
    Y. Yao, A. Vehtari, D. Simpson and A. Gelman, "Using stacking to average Bayesian predictive
    distributions", Bayesian Analysis 13(3), 2018.

    A. Radhakrishnan, D. Beaglehole, P. Pandit and M. Belkin, "Mechanism for feature learning in
    neural networks and backpropagation-free machine learning models", Science 383, 2024 (on the
    metric of the smooth function).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import AutoMixtureClassifier, MixtureOfExpertsClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
    >>> candidates = [
    ...     ("one line", MixtureOfExpertsClassifier(n_experts=1, random_state=0)),
    ...     ("lines", MixtureOfExpertsClassifier(n_experts=2, random_state=0)),
    ... ]
    >>> auto = AutoMixtureClassifier(candidates).fit(X, y)
    >>> auto.log_probs_["lines"] > auto.log_probs_["one line"]
    True
    >>> auto.score(X, y) > 0.9
    True
    """

    _mixture_kind = MixtureOfExpertsClassifier

    def __init__(
        self,
        candidates: Any = None,
        *,
        stacking: bool = True,
        cv: Any = 5,
        max_rows: int = 3000,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.candidates = candidates
        self.stacking = stacking
        self.cv = cv
        self.max_rows = max_rows
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        """Search, and fit what was found to all rows.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            Features: numbers, text, dates, missing values.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, none negative. A weight of three is the same as three rows, unless
            experts count rows, as leaves of trees do.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group share a fold.

        Returns
        -------
        self : AutoMixtureClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is not a table with labels, there are too few groups, a name in
            `candidates` is unknown, or no candidate can be fitted; the estimator is then left as it
            was.
        TypeError
            If a candidate is not a mixture for labels.
        """
        return self._fit(X, y, sample_weight, groups)

    @property
    def classes_(self) -> NDArray:
        """Class labels in sorted order."""
        return self.mixture_.classes_

    def predict(self, X: Any) -> NDArray:
        """The most probable class of each row; if one mixture answers alone, its own predictions.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Predicted classes.
        """
        if self._answers_alone:
            return self._asked("predict", X)[0]
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X: Any) -> Array:
        """Mean of the experts' class probabilities, weighted by gate and mixture.

        Consistent with `log_prob`, except that mixtures with ``n_experts=1`` answer unsmoothed.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probabilities in the order of `classes_`; each row sums to one.
        """
        return self._mean("predict_proba", X)

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the class probabilities.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Logarithms in the order of `classes_`.
        """
        return self._pooled_log("predict_log_proba", X)

    def log_prob(self, X: Any, y: Any) -> Array:
        """Log probability of each label under all that answer.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Their labels.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            Natural logarithm of p(y given x).

        Raises
        ------
        ValueError
            If a label is not one of `classes_`.
        """
        return self._pooled_log("log_prob", X, y=y)

    def _pooled_log(self, query: str, X: Any, **options: Any) -> Array:
        """Logarithm of the weighted mean of answers whose logarithms the mixtures give."""
        answers = np.stack(self._asked(query, X, **options), axis=-1)
        return logsumexp(answers, axis=-1, b=list(self.weights_.values()))

    def _check_target(self, X: Any, y: Any) -> NDArray:
        return check_label_target(self, X, y)

    def _usual_candidates(
        self, n_rows: int, n_columns: int, n_categories: int, **params: Any
    ) -> list[Candidate]:
        return classifiers(n_rows, n_columns, n_categories, **params)
