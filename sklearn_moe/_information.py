"""Information criteria: how many parameters the parts of a mixture have, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import entr
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

from ._numeric import Array, log_normalize, row_max
from ._validation import last_step
from .linear import CrossValidatedLogistic

MULTINOMIAL = (LogisticRegression, LogisticRegressionCV, CrossValidatedLogistic)


@dataclass(frozen=True)
class InformationCriteria:
    """How well a mixture explains some rows, less what its parameters cost; lower is better.

    Attributes
    ----------
    log_likelihood : float
        Sum over the rows of weight times log density of the target.
    n_parameters : int
        Number of free parameters.
    n_samples : float
        Sum of the weights.
    aic : float
        Akaike's: minus twice the log-likelihood, plus twice the number of parameters.
    bic : float
        Schwarz's: the same with a cost of ``log(n_samples)`` for each parameter.
    icl : float
        `bic` plus twice the entropy of the responsibilities, summed over the rows by weight: it
        also asks that the experts can be told apart.
    """

    log_likelihood: float
    n_parameters: int
    n_samples: float
    aic: float
    bic: float
    icl: float


def criteria_of(log_joint: Array, weight: Array, n_parameters: int) -> InformationCriteria:
    """The criteria, from log gate times density (n, K) of rows that weigh `weight` (n,)."""
    log_joint, weight = log_joint[weight > 0], weight[weight > 0]
    n_samples = float(weight.sum())
    if np.isneginf(row_max(log_joint)).any():
        never = [np.inf] * 3
        return InformationCriteria(-np.inf, n_parameters, n_samples, *never)
    log_resp, log_prob = log_normalize(log_joint)
    log_likelihood = float(weight @ log_prob)
    entropy = float(weight @ entr(np.exp(log_resp)).sum(axis=1))
    aic = 2.0 * (n_parameters - log_likelihood)
    bic = float(n_parameters * np.log(n_samples)) - 2.0 * log_likelihood
    return InformationCriteria(
        log_likelihood, n_parameters, n_samples, aic, bic, bic + 2.0 * entropy
    )


def count_estimator(estimator: Any, role: str) -> int:
    """Free parameters of a fitted linear or constant estimator; a pipeline is asked at its end.

    Raises
    ------
    ValueError
        If it is neither; `role` says in the message what it is to the mixture.
    """
    estimator, count = last_step(estimator), None
    if isinstance(estimator, DummyRegressor | DummyClassifier):
        count = _count_constants(estimator)
    elif hasattr(estimator, "coef_") and hasattr(estimator, "intercept_"):
        count = _count_coefficients(estimator)
    if count is None:
        raise uncountable(role, estimator)
    return count


def uncountable(role: str, part: Any) -> ValueError:
    """The error for a part that has no countable number of parameters."""
    return ValueError(
        f"The parameters of the {role} {type(part).__name__} cannot be counted. Information "
        "criteria are for linear and constant parts; compare heldout_log_prob_, or the mean "
        "log_prob of rows left out by cross-validation."
    )


def uncountable_spread(estimator: Any) -> ValueError:
    """The error for dispersions that differ by row, whatever says how."""
    return ValueError(
        f"The parameters of the dispersion_estimator {type(estimator).__name__} cannot be counted. "
        "Information criteria are for dispersions that do not differ by row: set "
        "dispersion_estimator=None, or compare heldout_log_prob_."
    )


def _count_constants(dummy: Any) -> int | None:
    """What a dummy has estimated; nothing if its constant was given, None if it is no number."""
    if isinstance(dummy, DummyRegressor):
        return 0 if dummy.strategy == "constant" else int(np.size(dummy.constant_))
    known = {"prior": len(dummy.classes_) - 1, "uniform": 0, "constant": 0}
    return known.get(dummy.strategy)


def _count_coefficients(linear: Any) -> int | None:
    """Coefficients and intercepts; None if those were made from fewer numbers.

    Of C > 2 classes a multinomial law has C - 1 of each, as their sum says nothing.
    """
    if getattr(linear, "n_components", None) is not None:
        return None
    n_rows, n_columns = (1, *np.shape(linear.coef_))[-2:]
    if is_classifier(linear) and len(linear.classes_) > 2:
        # Support vector machines tell classes apart pair by pair.
        if n_rows != len(linear.classes_) or hasattr(linear, "support_vectors_"):
            return None
        n_rows -= isinstance(linear, MULTINOMIAL)
    return n_rows * (n_columns + bool(getattr(linear, "fit_intercept", True)))
