"""The mixture of experts for class labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from ._base import BaseMixtureOfExperts
from ._fitting import Fit
from ._labels import Labels, leaning_attributes
from ._numeric import Array
from ._targets import check_label_target, classes_of
from ._training import Training
from ._validation import StrOptions, fit_context
from .families import Categorical, Family
from .linear import CrossValidatedLogistic


class MixtureOfExpertsClassifier(ClassifierMixin, Labels):
    """Mixture of experts for class labels, fitted by cross-fitted EM.

    A gate divides the input space softly among experts, each of which learns its region. The model
    is ``p(c | x) = sum_k gate_k(x) expert_k(c | x)``, where each expert's probabilities are
    smoothed toward the class rates as far as its out-of-fold record demands.

    Parameters
    ----------
    experts : estimator or list of (str, estimator), default=None
        One estimator, cloned `n_experts` times, or a list of named ones, which may differ in kind
        (`"drop"` leaves one out). Any scikit-learn classifier will do: pipelines, searches,
        ensembles, another mixture. None stands for ``CrossValidatedLogistic()``, which finds its
        penalty.
    n_experts : int or "auto", default=2
        Number of experts where one estimator is cloned; ignored for a list. 1 is legal: the mixture
        is then that expert alone. `"auto"` begins with two, splits and merges experts as unseen
        rows ask for, and keeps the smallest number within a standard error of the best.
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
    voting : {"soft", "hard"}, default="soft"
        Whether experts give their probabilities or one vote each, weighted by the gate. It affects
        `predict` and `predict_proba`, not the fit.
    calibrate : {"temperature"} or None, default=None
        Whether the log probabilities of each expert are divided by a temperature: the one under
        which its out-of-fold predictions explain the labels best. For experts that are too sure, or
        not sure enough. Needs cross-fitting.
    lean : bool or "auto", default="auto"
        Whether experts may lean on `baseline_`, one expert fitted to all rows, once EM has ended:
        an expert's probabilities are raised to the power ``lean_powers_[0]``, multiplied by those
        of the baseline to the power ``lean_powers_[1]``, and normalised. The powers, multiples of
        0.05 up to 2, are the most likely ones given the labels of the rows that witnesses have not
        seen, under a normal prior around a half for both, with a standard deviation of about a
        fifth. With `"auto"`, experts may lean only if all of them lose rows (see
        `min_responsibility`). Leaning needs witnesses that are themselves cross-fitted (if there
        are two folds and `groups`, two groups in each fold).
    cv : int, splitter, iterable, "oob" or None, default=5
        Cross-fitting. An integer is a number of folds, to which rows are dealt by content, whatever
        their order. Rows of one of the `groups` given to `fit` share a fold, and so do copies of a
        row, unless rows of the same features have several labels. Fewer than five distinct rows
        make a fold each. For rows in order of time pass ``KFold(5)``, whose folds are blocks. A
        splitter or an iterable of (train, test) must test every row exactly once. In place of
        folds, `"oob"` takes the out-of-bag predictions of forests and bagging. None is textbook EM
        in sample, for experts with few parameters.
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
        How weights reached each expert: `"sample_weight"`, or `"resample"` for experts that take
        none and saw a systematic sample of the rows instead.
    pooling_ : ndarray of shape (n_experts_,)
        Share of every row's weight that each expert received (see `pooling`).
    gate_ : estimator
        The gate, fitted to all rows.
    dispersions_ : ndarray of shape (n_experts_,)
        Share of each expert's probability that is moved to the class rates: the most likely share
        given its out-of-fold predictions. In sample it stays next to zero.
    temperatures_ : ndarray of shape (n_experts_,) or None
        What each expert's log probabilities are divided by, between 0.2 and 20: above one if the
        expert is too sure of itself. None without `calibrate`.
    baseline_ : estimator or None
        The expert fitted to all rows that the others lean on; None if they do not.
    baseline_dispersion_ : float
        Share of the probability of `baseline_` that is moved to the class rates; 0 if experts do
        not lean.
    lean_powers_ : tuple of float
        The powers of an expert's probabilities and of those of `baseline_` (see `lean`); 1 and 0 if
        they do not lean.
    n_experts_ : int
        Number of experts left; an expert that loses its rows twice is removed. 1 if one expert
        alone was found to be better (see `verdict`).
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
        Mean log-likelihood of unseen rows under the mixture, after leaning, minus that under one
        expert, in nats. The gate helps if `gain_` is above two standard errors.
    gain_stderr_ : float
        Standard error of `gain_`, paired by row; copies, and rows of one group, count as one.
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    class_prior_ : ndarray of shape (n_classes,)
        Weighted class rates of the training rows.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if `X` had names that are strings.

    See Also
    --------
    MixtureOfExpertsRegressor : The same for real targets.
    SoftmaxGate : The default gate.

    Notes
    -----
    An expert without `predict_proba` gives its label probability one, before smoothing. An expert
    whose rows hold one class becomes a constant. If one expert was asked for, `predict_proba`
    returns that expert's own, unsmoothed probabilities, while `log_prob` smooths them.

    References
    ----------
    R. A. Jacobs, M. I. Jordan, S. J. Nowlan and G. E. Hinton, "Adaptive mixtures of local experts",
    Neural Computation 3(1), 1991. M. I. Jordan and R. A. Jacobs, "Hierarchical mixtures of experts
    and the EM algorithm", Neural Computation 6(2), 1994. A. S. Weigend, M. Mangeas and
    A. N. Srivastava, "Nonlinear gated experts for time series", International Journal of Neural
    Systems 6(4), 1995 (a noise width for each expert). C. Genest and J. V. Zidek, "Combining
    probability distributions: a critique and an annotated bibliography", Statistical Science 1(1),
    1986 (the product that experts lean by).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_moe import MixtureOfExpertsClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> mixture = MixtureOfExpertsClassifier(n_experts=2, random_state=0).fit(X, y)
    >>> mixture.predict(X[[0, 60, 120]])
    array([0, 1, 2])
    >>> mixture.predict_proba(X).shape
    (150, 3)
    """

    _parameter_constraints = {
        **BaseMixtureOfExperts._parameter_constraints,
        "voting": [StrOptions({"soft", "hard"})],
        "calibrate": [StrOptions({"temperature"}), None],
    }

    def __init__(
        self,
        experts: Any = None,
        n_experts: int | str = 2,
        *,
        gate: Any = None,
        top_k: int | None = None,
        shared_expert: Any = None,
        balance: float = 0.0,
        voting: str = "soft",
        calibrate: str | None = None,
        lean: bool | str = "auto",
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
        self.voting = voting
        self.calibrate = calibrate
        self.lean = lean
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
        y : array-like of shape (n_samples,)
            Class labels of any type.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, none negative. A weight of three is the same as three rows, unless
            experts count rows, as leaves of trees do.
        **fit_params : dict
            Metadata: `groups` for the folds of `cv`, and with metadata routing enabled whatever
            experts and gate request. Sample weights need no request.

        Returns
        -------
        self : MixtureOfExpertsClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is not a table with class labels, a parameter does not fit it, or an expert
            cannot be fitted; the estimator is then left as it was.
        TypeError
            If `experts` or `gate` is not an estimator of the kind that is needed.
        """
        self._fit(X, y, sample_weight, fit_params)
        return self

    def _default_expert(self) -> Any:
        return CrossValidatedLogistic()

    def _check_target(self, X: Any, y: Any, weight: Array) -> tuple[NDArray, NDArray, Any]:
        y = check_label_target(self, X, y)
        return y, *classes_of(y, weight)

    def _fit_families(self, training: Training) -> list[Family]:
        in_sample, tempered = training.splits is None, self.calibrate is not None
        if in_sample and tempered:
            raise ValueError(
                f"calibrate={self.calibrate!r} needs out-of-fold predictions, and cv is None. Use "
                "cv=5."
            )
        return [Categorical(self._class_prior(training), in_sample, tempered)]

    def _wants_all_classes(self) -> bool:
        return self.calibrate is not None

    def _class_prior(self, training: Training) -> Array:
        mass = np.bincount(training.data.target, training.data.sample_weight)
        return mass / mass.sum()

    def _target_attributes(self, fit: Fit) -> dict[str, Any]:
        return {
            "classes_": fit.training.data.classes,
            "class_prior_": self._class_prior(fit.training),
            **leaning_attributes(fit.kept.leaning),
            "_is_expert_alone": len(fit.recipe.templates) == 1,
        }
