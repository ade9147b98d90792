"""Scorers of predictive distributions and intervals, for searches and cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from sklearn.base import is_classifier

from .._validation import BaseScorer, check_coverage, innermost
from ._distributions import calibration_error, crps, log_score


class DistributionScorer(BaseScorer):
    """Applies a measure to the predictive distribution of an estimator."""

    _maker = "make_distribution_scorer"

    def _score(
        self, method_caller: Any, estimator: Any, X: Any, y_true: Any, **kwargs: Any
    ) -> float:
        # Not by `method_caller`, which would only let regressors `predict`.
        model, X = _forecaster(estimator, X)
        return self._sign * self._measure(model, X, y_true, **{**self._kwargs, **kwargs})

    def _measure(self, model: Any, X: Any, y_true: Any, **kwargs: Any) -> float:
        return self._score_func(y_true, model.predict_dist(X), **kwargs)

    def __repr__(self) -> str:
        name = getattr(self._score_func, "__name__", repr(self._score_func))
        better = ["greater_is_better=True"] if self._sign > 0 else []
        rest = [f"{key}={value!r}" for key, value in self._kwargs.items()]
        return f"{self._maker}({', '.join([name, *better, *rest])})"


class IntervalScorer(DistributionScorer):
    """Applies a measure to the predictive intervals of an estimator."""

    _maker = "make_interval_scorer"

    def _measure(self, model: Any, X: Any, y_true: Any, **kwargs: Any) -> float:
        coverage = kwargs.pop("coverage")
        if "coverage" in signature(self._score_func).parameters:
            kwargs["coverage"] = coverage
        return self._score_func(y_true, _interval_at(model, X, coverage), **kwargs)


def make_distribution_scorer(
    metric: Callable[..., float], *, greater_is_better: bool = False, **kwargs: Any
) -> DistributionScorer:
    """Make a scorer of a measure of predictive distributions.

    A scorer goes wherever scikit-learn takes `scoring`. It scores any estimator with
    `predict_dist`, and pipelines that end in one and fitted searches over either. (Classifiers have
    none: their log score is scikit-learn's ``scoring="neg_log_loss"``.) Greater scores are better:
    losses change their sign. Sample weights reach the measure where scikit-learn hands
    them on; with metadata routing, after ``set_score_request(sample_weight=True)``.

    Parameters
    ----------
    metric : callable
        ``metric(y_true, dist, **kwargs)``, such as `log_score`, which returns a number.
    greater_is_better : bool, default=False
        Whether `metric` is better the greater it is.
    **kwargs : dict
        Further arguments of `metric`.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``.

    Raises
    ------
    TypeError
        If `metric` is not a function.

    See Also
    --------
    make_interval_scorer : The same for measures of intervals.

    Examples
    --------
    >>> from sklearn_moe.metrics import calibration_error, make_distribution_scorer
    >>> make_distribution_scorer(calibration_error, levels=(0.5, 0.9))
    make_distribution_scorer(calibration_error, levels=(0.5, 0.9))
    """
    return _made(DistributionScorer, metric, greater_is_better, kwargs)


def make_interval_scorer(
    metric: Callable[..., float],
    *,
    coverage: float,
    greater_is_better: bool = False,
    **kwargs: Any,
) -> IntervalScorer:
    """Make a scorer of a measure of predictive intervals.

    The intervals are those of `predict_interval`, which may be calibrated, or of the predicted
    distribution if an estimator has no such method. For the rest, see `make_distribution_scorer`.

    Parameters
    ----------
    metric : callable
        ``metric(y_true, interval, **kwargs)``, such as `interval_score`, which returns a number. It
        gets `coverage` too if it has a parameter of that name.
    coverage : float
        Nominal coverage of the intervals, strictly between 0 and 1.
    greater_is_better : bool, default=False
        Whether `metric` is better the greater it is.
    **kwargs : dict
        Further arguments of `metric`.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``.

    Raises
    ------
    ValueError
        If `coverage` is not strictly between 0 and 1.
    TypeError
        If `metric` is not a function.

    See Also
    --------
    make_distribution_scorer : The same for measures of distributions.

    Examples
    --------
    >>> from sklearn_moe.metrics import interval_score, make_interval_scorer
    >>> make_interval_scorer(interval_score, coverage=0.9)
    make_interval_scorer(interval_score, coverage=0.9)
    """
    kwargs = {"coverage": check_coverage(coverage), **kwargs}
    return _made(IntervalScorer, metric, greater_is_better, kwargs)


def _made(
    kind: type, metric: Callable[..., float], greater_is_better: bool, kwargs: dict[str, Any]
) -> Any:
    if not callable(metric):
        raise TypeError(f"metric={metric!r} must be a function, such as sklearn_moe.metrics.crps.")
    # Only scikit-learn uses the response method, to see whether several scorers share one. All
    # estimators have `fit`; a Pipeline would be refused for not having `predict_dist`.
    return kind(metric, 1 if greater_is_better else -1, kwargs, "fit")


def _forecaster(estimator: Any, X: Any) -> tuple[Any, Any]:
    """The estimator with `predict_dist`, maybe inside a pipeline or a search, and its `X`."""
    # Pipelines pass on the methods that scikit-learn knows, and no others.
    estimator, X = innermost(estimator, X, lambda one: hasattr(one, "predict_dist"))
    if hasattr(estimator, "predict_dist"):
        return estimator, X
    if is_classifier(estimator):
        raise TypeError(
            f"{type(estimator).__name__} is a classifier, and has no predict_dist. Use scikit-"
            "learn's scoring='neg_log_loss' for the log score of class probabilities."
        )
    raise TypeError(
        f"{type(estimator).__name__} has no predict_dist, so its distribution cannot be scored. "
        "Score an estimator that has it, such as MixtureOfExpertsRegressor, a Pipeline that ends "
        "in one, or a search over either, fitted with refit=True."
    )


def _interval_at(model: Any, X: Any, coverage: float) -> Any:
    if hasattr(model, "predict_interval"):
        return model.predict_interval(X, coverage)
    return model.predict_dist(X).interval(coverage)


log_score_scorer = make_distribution_scorer(log_score)
crps_scorer = make_distribution_scorer(crps)
calibration_error_scorer = make_distribution_scorer(calibration_error)
