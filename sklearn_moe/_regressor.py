"""The mixture of experts for real targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.linear_model import Ridge

from ._numeric import Array
from ._real_targets import RealTargets, distribution_of
from ._targets import check_real_target, outputs_of
from ._validation import fit_context


class MixtureOfExpertsRegressor(RegressorMixin, RealTargets):
    """Mixture of experts for real targets, fitted by cross-fitted EM.

    A gate divides the input space softly among experts, each of which learns its region. The model
    is ``p(y | x) = sum_k gate_k(x) family(y | expert_k(x), dispersion_k)``; the prediction is the
    gate-weighted mean of the experts' predictions. Experts may lean on one fitted to all rows (see
    `lean`). The E-step and the dispersions use out-of-fold predictions of experts and gate, so that
    flexible experts cannot drive the noise to zero.

    Parameters
    ----------
    experts : estimator or list of (str, estimator), default=None
        One estimator, cloned `n_experts` times, or a list of named ones, which may differ in kind
        (`"drop"` leaves one out). Any scikit-learn regressor will do: pipelines, searches,
        ensembles, another mixture. None stands for ``Ridge()``; ``EvidenceRidge()`` finds its
        penalty.
    n_experts : int or "auto", default=2
        Number of experts where one estimator is cloned; ignored for a list. 1 is legal: the mixture
        is then that expert alone (but see `extrapolation`). `"auto"` begins with two, splits and
        merges experts as unseen rows ask for, and keeps the smallest number within a standard error
        of the best.
    gate : gate, classifier, Pipeline, "auto" or None, default=None
        Model of the experts' probabilities: None for ``SoftmaxGate()``, another gate, any
        classifier with `predict_proba` (fitted by weighted row expansion), any regressor (fitted to
        the responsibilities), or a pipeline that ends in one of these, so that gate and experts may
        see different columns. "auto" tries a small network (``MLPGate(16)``) and a decision tree
        (``TreeGate()``) in place of ``SoftmaxGate()`` once the race is run, and keeps one if the
        bound is higher by more than a standard error; without cross-fitting, "auto" is
        ``SoftmaxGate()``.
    top_k : int or None, default=None
        Number of experts that act on a row: those of highest gate probability, renormalised. The
        others neither learn from it nor predict it, so that time grows with `top_k`, not with the
        number of experts (plain linear ones excepted). None for all. ``with_top_k`` changes it
        without a fit.
    shared_expert : estimator or None, default=None
        One more expert, the last, that is fitted to all rows and acts on every one, beside those
        from which the gate chooses. These are shrunk toward it as far as their out-of-fold errors
        ask for (`shrinkage_`).
    balance : float, default=0.0
        How strongly E-steps favour experts with few rows, so that many stay in use:
        responsibilities are divided by this power of the experts' shares. At 1, an expert with
        twice as many rows must explain a row twice as well.
    family : str or RealFamily, default="gaussian"
        Noise law, with a dispersion for each expert and output: `"gaussian"`, `"student_t"`,
        `"laplace"`; for positive targets `"lognormal"`, `"gamma"`, `"inverse_gaussian"`; for
        amounts that may be zero `"tweedie"`; for counts `"poisson"`, `"negative_binomial"`; for
        binary targets `"binomial"`, for successes in n trials ``Binomial(n_trials=n)``; or another
        instance from ``sklearn_moe.families``. `"auto"` races with `"student_t"`, then tries
        `"gaussian"` and keeps it unless its bound is lower by a standard error; without
        cross-fitting it is `"gaussian"`.
    dispersion_estimator : estimator, default=None
        Regressor of the log squared out-of-fold residuals, cloned for each expert: it predicts the
        dispersion of a row. None for one dispersion for all rows. For Gaussian, Student-t and
        Laplace laws.
    outlier_fraction : float, default=0.0
        Share of the rows, below one half, that may come from a broad background rather than from an
        expert; they lose their weight in the experts' fits. For Gaussian, Student-t and Laplace
        laws.
    calibrate : {"noise", "conformal"} or None, default="noise"
        How the distribution is calibrated after EM, by predictions for rows left out of the fit:
        those of the witnesses (see `verdict`) or, without witnesses, out of fold. For each output,
        `"noise"` multiplies the dispersions by a factor and gives Gaussian noise the tails of
        Student's t; it takes either step only if that raises the log density of those rows by more
        than a standard error, and only for laws with `is_location_scale` (Gaussian, Student-t,
        Laplace) without an `outlier_fraction`. `"conformal"` does the same, and
        ``predict_interval`` takes its levels from where the targets of those rows fell. None leaves
        the law as EM has found it. Means and gate never change.
    lean : bool or "auto", default="auto"
        Whether experts may lean on `baseline_`, one expert fitted to all rows, once EM has ended:
        the prediction of expert k is moved toward that of the baseline by the share
        ``d / (d + lean_variance_)``, where d is the dispersion of expert k. `lean_variance_` is the
        one, of those that do not raise the squared error of the means, under which the rows that
        witnesses have not seen are most likely; it is infinite, and nothing is moved, if their log
        density would not rise by more than a standard error. With `"auto"`, experts may lean only
        if all of them lose rows (see `min_responsibility`). Leaning needs a law with
        `is_location_scale` (Gaussian, Student-t, Laplace), no `outlier_fraction`, and witnesses
        that are themselves cross-fitted (if there are two folds and `groups`, two groups in each
        fold).
    extrapolation : float or None, default=0.5
        How far beyond the target an expert may predict, in ranges of the target: predictions are
        clipped to ``y.min() - extrapolation * (y.max() - y.min())`` and as much above ``y.max()``,
        for each output. On rows unlike those of its region a linear expert may be wrong by any
        amount, and a small gate probability does not mend that. In sample (`cv=None`), predictions
        are limited but EM is not. None for no limits at all.
    cv : int, splitter, iterable, "oob", "loo" or None, default=5
        Cross-fitting. An integer is a number of folds, to which rows are dealt by content, whatever
        their order. Rows of one of the `groups` given to `fit` share a fold, and so do copies of a
        row, unless the target takes few values and rows of equal features differ in it. Fewer than
        five distinct rows make a fold each. For rows in order of time pass ``KFold(5)``, whose
        folds are blocks. A splitter or an iterable of (train, test) must test every row exactly
        once. In place of folds, `"oob"` takes the out-of-bag predictions of forests and bagging,
        and `"loo"` the leave-one-out predictions of plain ridge and least squares. None is textbook
        EM in sample, for experts with few parameters.
    init : str, array-like of shape (n_samples, n_experts) or callable, default="auto"
        Where EM begins. `"auto"` races starts of different kinds; a name races `n_init` rounds of
        one kind: `"ladder"`, `"residual"`, `"kmeans_xy"`, `"tree"`, `"random"`, `"local"`,
        `"kmeans_x"`, `"noisy"` or `"principal"`. An array holds responsibilities, from which the
        first M-step is taken; a callable ``init(X, y, n_experts, seed)`` returns such an array.
    n_init : int, default=4
        Number of starts raced. With ``init="auto"``, all other kinds race as well if linear experts
        are not surely ahead of one expert by then.
    min_responsibility : float or "auto", default="auto"
        An expert's fit leaves out the rows of smaller responsibility. `"auto"` is close to 0 for
        experts that have `coef_` once fitted (1e-8, in sample 1e-12) and for others in sample
        (6e-8), otherwise a twentieth of an equal share: trees and neighbours remember rows however
        little these weigh.
    pooling : float or "auto", default="auto"
        Share of every row's weight that each expert receives regardless of responsibility. 0 lets
        experts specialise wholly; more lends experts that need many rows the rows of the others.
        `"auto"` tries 0 and 0.2 for experts without `coef_`, and keeps the one that gives the
        winning start the higher bound; this takes cross-fitting, ``min_responsibility="auto"`` and
        ``top_k=None``. Otherwise it is 0.
    ensemble : bool, default=False
        Whether each of `experts_` predicts by a mean: half of it is a fit to all rows (its
        `estimator`), half the mean of fits without one fold each (its `fold_estimators`). It errs
        less where experts are flexible, and predicts more slowly. Not for ``cv=None``.
    max_iter : int, default=100
        Largest number of EM iterations.
    tol : float, default=1e-4
        EM has converged when an iteration changes score and bound by at most `tol`, in nats per
        unit of sample weight. It also ends when three iterations with witnesses (see `verdict`), or
        five without, have not raised the best score by `tol`.
    verdict : bool, default=True
        Whether EM is led by witnesses: for each fold, a second EM that never sees it, in step with
        the fit. The mean log density that they give to the rows of their folds is the score, which
        decides which iteration is kept. If `gain_` is below minus two standard errors, the best
        expert alone is kept, with a warning. With a witness for each of five folds (below 3,750
        rows), an iteration takes about six times the fits, and 2.5 to 4 times as long. If False,
        the score is the bound, which experts of many parameters overfit.
    warm_start : bool, default=False
        Whether to begin from the responsibilities of the mixture fitted before, if it has as many
        experts. Witnesses start anew, as that mixture did, because it may have seen their rows.
    n_jobs : int, default=None
        Number of jobs that fit experts and gates, over experts and folds. None is 1, or what
        ``joblib.parallel_config`` says. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds the starts, and the random states that experts and gate leave unset.
    verbose : int, default=0
        1 reports starts, trials, what is found, and the end of EM, 2 every iteration.

    Attributes
    ----------
    experts_ : list of estimators
        The experts, fitted to all rows (see `ensemble`).
    expert_names_ : list of str
        Their names.
    weight_modes_ : list of str
        How weights reached each expert: `"sample_weight"`, or `"resample"` for those that take none
        and saw a systematic sample of the rows.
    pooling_ : ndarray of shape (n_experts_,)
        Share of every row's weight that each expert received (see `pooling`).
    gate_ : estimator
        The gate, fitted to all rows.
    dispersions_ : ndarray of shape (n_experts_,) or (n_experts_, n_outputs)
        Dispersion of each expert on the scale of a variance (for Student's t a squared scale), from
        out-of-fold predictions if cross-fitted. With a `dispersion_estimator`, a factor of the
        dispersion that this predicts.
    dispersion_experts_ : list of estimators or None
        The fitted clones of `dispersion_estimator`, which predict logarithms.
    df_ : ndarray of shape (n_experts_,) or (n_experts_, n_outputs), or None
        Degrees of freedom of a Student-t law; None for others.
    family_ : RealFamily or Contaminated
        The noise law with what it took from the target, and with the background if there is one.
    dispersion_factor_ : float or ndarray of shape (n_outputs,)
        What the dispersions were multiplied by (see `calibrate`).
    baseline_ : estimator or None
        The expert fitted to all rows that the others lean on; None if they do not.
    lean_variance_ : float or ndarray of shape (n_outputs,)
        Variance of the experts around `baseline_` (see `lean`); infinite where they do not lean.
    prediction_limits_ : ndarray of shape (2,) or (2, n_outputs), or None
        Lowest and highest prediction that an expert makes (see `extrapolation`).
    calibration_ : Calibration or None
        Where held-out targets fell in their distributions, if `calibrate` is `"conformal"`.
    n_experts_ : int
        Number of experts left: one that loses its rows twice is removed (see also `verdict`).
    n_experts_path_ : dict of int to float, or None
        If `n_experts` is `"auto"`, mean log density of unseen rows by number of experts (a shared
        one included), each mixture as it would be kept.
    expert_mass_ : ndarray of shape (n_experts_,)
        Responsibilities times sample weights, summed over the training rows.
    load_ : ndarray of shape (n_experts_,)
        Share of the training rows on which each expert acts or, without `top_k`, leads.
    importance_ : ndarray of shape (n_experts_,)
        Mean gate probabilities; they sum to one.
    gate_entropy_ : float
        Mean entropy of the gate probabilities of a row, in nats.
    gate_information_ : float
        Mutual information of features and expert, in nats; at most the logarithm of `n_experts_`.
    shrinkage_ : ndarray of shape (n_experts_,) or None
        Weight of the shared expert in each expert's predictions; None if there is no shared expert.
    top_k_ : int or None
        Number of experts that act on a row, beside a shared one.
    n_iter_ : int
        Number of EM iterations, of both runs together if the fit has followed a witness.
    converged_ : bool
        Whether EM settled (see `tol`), in the first run if the fit has followed a witness.
    lower_bound_ : float
        Mean log-likelihood per unit of weight, out of fold or, in sample, minus the gate's penalty.
        May exceed `lower_bounds_`, because dispersions are refined after the last iteration.
    lower_bounds_ : list of float
        The bound of each iteration.
    start_bounds_ : dict of str to float
        The bound that each start reached in the race, on a sample of a large table.
    heldout_log_prob_ : float
        Mean log-likelihood of rows under the witnesses that had not seen them; NaN if `cv` is None
        or `verdict` is False. The bound is higher where experts are flexible.
    calibrated_log_prob_ : float
        The same for what is kept, after calibration and leaning, which these rows decided.
    calibrated_log_probs_ : ndarray of shape (n_samples,)
        Per-row values whose mean is `calibrated_log_prob_`; NaN for rows not held out.
    heldout_log_probs_ : list of float
        Mean held-out log density after each iteration of the run with witnesses, if there was one.
    gain_ : float
        Mean log-likelihood of unseen rows under the calibrated mixture, minus that under one expert
        calibrated likewise, in nats. The gate helps if `gain_` is above two standard errors.
    gain_stderr_ : float
        Standard error of `gain_`, paired by row; copies, and rows of one group, count as one.
    target_shape_ : tuple
        Shape of the target of one row: () or (n_outputs,).
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if `X` had names that are strings.

    See Also
    --------
    MixtureOfExpertsClassifier : The same for class labels.
    SoftmaxGate : The default gate.

    Notes
    -----
    Several outputs share gate and responsibilities and have independent noise. No variance is below
    1e-8 of the target's or, where targets are multiples of a step, that of a Gaussian law whose
    density is nowhere above 1/step.

    References
    ----------
    R. A. Jacobs, M. I. Jordan, S. J. Nowlan and G. E. Hinton, "Adaptive mixtures of local experts",
    Neural Computation 3(1), 1991. M. I. Jordan and R. A. Jacobs, "Hierarchical mixtures of experts
    and the EM algorithm", Neural Computation 6(2), 1994. A. S. Weigend, M. Mangeas and
    A. N. Srivastava, "Nonlinear gated experts for time series", International Journal of Neural
    Systems 6(4), 1995 (a noise width for each expert).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 2))
    >>> y = np.where(X[:, 0] > 0, 3, -3) * X[:, 1] + 0.3 * rng.normal(size=400)
    >>> mixture = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
    >>> print(f"{mixture.score(X, y):.2f}")
    0.96
    >>> bool(mixture.gain_ > 2 * mixture.gain_stderr_)
    True
    """

    _several_outputs = True

    def __init__(
        self,
        experts: Any = None,
        n_experts: int | str = 2,
        *,
        gate: Any = None,
        top_k: int | None = None,
        shared_expert: Any = None,
        balance: float = 0.0,
        family: Any = "gaussian",
        dispersion_estimator: Any = None,
        outlier_fraction: float = 0.0,
        calibrate: str | None = "noise",
        lean: bool | str = "auto",
        extrapolation: float | None = 0.5,
        cv: Any = 5,
        init: Any = "auto",
        n_init: int = 4,
        min_responsibility: float | str = "auto",
        pooling: float | str = "auto",
        ensemble: bool = False,
        max_iter: int = 100,
        tol: float = 1e-4,
        verdict: bool = True,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.experts = experts
        self.n_experts = n_experts
        self.gate = gate
        self.top_k = top_k
        self.shared_expert = shared_expert
        self.balance = balance
        self.family = family
        self.dispersion_estimator = dispersion_estimator
        self.outlier_fraction = outlier_fraction
        self.calibrate = calibrate
        self.lean = lean
        self.extrapolation = extrapolation
        self.cv = cv
        self.init = init
        self.n_init = n_init
        self.min_responsibility = min_responsibility
        self.pooling = pooling
        self.ensemble = ensemble
        self.max_iter = max_iter
        self.tol = tol
        self.verdict = verdict
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> Any:
        """Fit the mixture.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Features, handed to experts and gate as they come.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Real targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, none negative. A weight of three is the same as three rows, unless
            experts count rows, as leaves of trees do.
        **fit_params : dict
            Metadata: `groups` for the folds of `cv`, and with metadata routing enabled whatever
            experts and gate request. Sample weights need no request.

        Returns
        -------
        self : MixtureOfExpertsRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is not a table with a finite target, a parameter does not fit it, or an
            expert cannot be fitted; the estimator is then left as it was.
        TypeError
            If `experts` or `gate` is not an estimator of the kind that is needed.
        """
        self._fit(X, y, sample_weight, fit_params)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Gate-weighted mean of the experts' predictions, as the noise law takes them.

        Positive laws replace non-positive means by a small positive value. The background of
        `outlier_fraction` is left out, while ``predict_dist(X).mean()`` includes it.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
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
        routing, mean, law = self._laws_at(X)
        shape, adjusted = self.target_shape_, self.family_.adjust(mean, law)
        predicted = np.einsum("nk,nkq->nq", routing.proba, adjusted).reshape(-1, *shape)
        if not return_std:
            return predicted
        return predicted, distribution_of(self.family_, routing.log_gate, mean, law, shape).std()

    def _default_expert(self) -> Any:
        return Ridge(tol=1e-10)  # exact also for sparse input, where Ridge solves iteratively

    def _check_target(self, X: Any, y: Any, weight: Array) -> tuple[NDArray, NDArray, Any]:
        y = check_real_target(self, X, y)
        return y, outputs_of(y), None
