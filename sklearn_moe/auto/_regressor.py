"""The automatic mixture for real targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from .._numeric import Array
from .._regressor import MixtureOfExpertsRegressor
from .._targets import check_real_target
from .._validation import StrOptions, fit_context
from ..families import FAMILIES, RealFamily
from ..predictive import MixtureDistribution
from ..predictive._pool import pooled
from ..predictive._queries import DistributionQueries
from ._base import BaseAutoMixture
from ._candidate import Candidate
from ._usual import regressors


class AutoMixtureRegressor(RegressorMixin, DistributionQueries, BaseAutoMixture):
    """Mixture of experts for real targets that finds its kinds of experts, and their number.

    Candidates are fitted in turn, and judged by the mean log density, in nats, of rows that no step
    of their fits has seen (by their witnesses). If its experts are linear, or it is the user's own,
    the best one gets twice as many experts as long as that raises its density. It is then fitted to
    all rows, and answers together with those others that raise the density further. A candidate
    costs one fit, where a search by cross-validation costs one for each fold.

    Parameters
    ----------
    candidates : list of (str, mixture), list of str or None, default=None
        Mixtures, or pipelines that end in one, by name. (The steps of a pipeline are fitted to all
        rows: what looks at the target belongs in the experts, or in `CrossFittedPredictions`.) None
        for a mixture of linear models ("linear"), one of linear models that also see a Gaussian
        kernel's coordinates ("kernel"), one that also sees what boosting, a forest and a smooth
        function predict ("stacked"), and a single boosting whose noise differs by row ("boosting");
        a list of these names for some of them. In a column of text, 30 to 255 categories are told
        apart: the more rows, the more.
    family : str or RealFamily, default="auto"
        Noise law of the usual candidates (see `MixtureOfExpertsRegressor`).
    stacking : bool, default=True
        Whether other candidates answer together with the best one, in the proportions under which
        their mean density explains unseen rows best; those of small weight are left out. All that
        answer are fitted to all rows. False for the best one alone.
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
    mixture_ : MixtureOfExpertsRegressor
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
        Mean log density of unseen rows under all that answer together. Their weights were chosen on
        the same rows.
    dispersion_factor_ : float or ndarray of shape (n_outputs,)
        What the dispersions of all that answer are multiplied by, since their pool would be too
        wide; one if a mixture answers alone.
    log_probs_ : dict of str to float
        Mean log density of unseen rows, in nats, for each candidate of the last round of the
        search; minus infinity if it could not be fitted. Bounds, if no candidate has witnesses. The
        best may be chosen by fits to all rows, whose scores differ.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if `X` had names that are strings.

    See Also
    --------
    MixtureOfExpertsRegressor : One mixture, of experts that are given.
    CrossFittedPredictions : What other learners predict, as columns.

    References
    ----------
    Y. Yao, A. Vehtari, D. Simpson and A. Gelman, "Using stacking to average Bayesian predictive
    distributions", Bayesian Analysis 13(3), 2018.

    T. Gneiting and R. Ranjan, "Combining predictive distributions", Electronic Journal of
    Statistics 7, 2013 (on the width of a pool).

    A. Radhakrishnan, D. Beaglehole, P. Pandit and M. Belkin, "Mechanism for feature learning in
    neural networks and backpropagation-free machine learning models", Science 383, 2024 (on the
    metric of the smooth function).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import AutoMixtureRegressor, MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 2))
    >>> y = np.where(X[:, 0] > 0, 3, -3) * X[:, 1] + 0.3 * rng.normal(size=300)
    >>> candidates = [
    ...     ("one line", MixtureOfExpertsRegressor(n_experts=1, random_state=0)),
    ...     ("lines", MixtureOfExpertsRegressor(n_experts=2, random_state=0)),
    ... ]
    >>> auto = AutoMixtureRegressor(candidates).fit(X, y)
    >>> auto.best_name_
    'lines'
    >>> print(f"{auto.score(X, y):.2f}")
    0.95
    """

    _several_outputs = True
    _mixture_kind = MixtureOfExpertsRegressor
    _parameter_constraints = {
        **BaseAutoMixture._parameter_constraints,
        "family": [StrOptions({"auto", *FAMILIES}), RealFamily],
    }

    def __init__(
        self,
        candidates: Any = None,
        *,
        family: Any = "auto",
        stacking: bool = True,
        cv: Any = 5,
        max_rows: int = 3000,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.candidates = candidates
        self.family = family
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
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Real targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, none negative. A weight of three is the same as three rows, unless
            experts count rows, as leaves of trees do.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group share a fold.

        Returns
        -------
        self : AutoMixtureRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is not a table with a finite target, there are too few groups, a name in
            `candidates` is unknown, or no candidate can be fitted; the estimator is then left as it
            was.
        TypeError
            If a candidate is not a mixture for real targets.
        """
        return self._fit(X, y, sample_weight, groups)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean of the experts' predictions, weighted by gate and mixture.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            Rows to predict.
        return_std : bool, default=False
            Whether to return the standard deviation of the predictive distribution as well.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predicted targets.
        std : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Standard deviations, if asked for.
        """
        mean = self._mean("predict", X)
        return (mean, self.predict_dist(X).std()) if return_std else mean

    def predict_dist(self, X: Any) -> MixtureDistribution:
        """Predictive distribution of each row.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        distribution : MixtureDistribution
            Density, quantiles, intervals, draws and scores, for all rows at once.
        """
        distributions = self._asked("predict_dist", X)
        if len(distributions) == 1:
            return distributions[0]
        return pooled(
            distributions, list(self.weights_.values()), np.ravel(self.dispersion_factor_)
        )

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Array:
        """Central interval that holds the target with probability `coverage`.

        Its ends are quantiles of `predict_dist`; if one mixture answers alone, those of its own
        `predict_interval`, which may be calibrated.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            Rows to predict.
        coverage : float, default=0.9
            Between 0 and 1, both excluded.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            Lower and upper ends.
        """
        if self._answers_alone:
            return self._asked("predict_interval", X, coverage=coverage)[0]
        return self.predict_dist(X).interval(coverage)

    def log_prob(self, X: Any, y: Any) -> Array:
        """Log density (log probability, for counts) of each target under all that answer.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            Natural logarithm of p(y given x).

        Raises
        ------
        ValueError
            If `y` has another number of rows than `X`, other columns than in `fit`, or NaN.
        """
        distribution, y = self.predict_dist(X), self.mixture_._encode_target(y)
        return distribution.logpdf(y.reshape(len(y), *distribution.target_shape))

    def _width_attributes(self, mixture: Any, factors: Array) -> dict[str, Any]:
        shape = mixture.target_shape_
        factors = np.broadcast_to(factors, max(shape, (1,))).reshape(shape).copy()
        return {"dispersion_factor_": factors if shape else float(factors)}

    def _check_target(self, X: Any, y: Any) -> NDArray:
        y = check_real_target(self, X, y)
        return y.ravel() if y.shape[1:] == (1,) else y

    def _usual_candidates(
        self, n_rows: int, n_columns: int, n_categories: int, **params: Any
    ) -> list[Candidate]:
        return regressors(n_rows, n_columns, n_categories, family=self.family, **params)
