"""Measures of predictive distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from .._numeric import Array, weighted_mean
from .._table_checks import check_weight
from .._validation import check_shares
from ._rows import mean_over_rows, of_shape, target_of

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# A value of less probability counts as one of a continuum.
LEAST_JUMP = 1e-9


def log_score(y_true: ArrayLike, dist: Any, *, sample_weight: ArrayLike | None = None) -> float:
    """Mean negative log density of the targets; lower is better.

    Strictly proper: its expectation is least for the true law. It depends on the density at the
    target alone, grows without bound as that nears zero, and takes the joint density of several
    outputs. Another unit of the target shifts it.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    dist : distribution
        Predicted laws of the rows, with `logpdf` and `mean`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, none negative.

    Returns
    -------
    score : float
        Weighted mean in nats; infinite if a target has density zero.

    Raises
    ------
    ValueError
        If shapes do not agree, or a target or weight is not finite.
    TypeError
        If `dist` is not a distribution.

    References
    ----------
    I. J. Good, "Rational decisions", Journal of the Royal Statistical Society B 14(1), 1952.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> from sklearn_moe.metrics import log_score
    >>> y = [0.5, -1.0, 2.0]
    >>> print(f"{log_score(y, norm([0, 0, 0], 1)):.3f}, {log_score(y, norm([0, -1, 2], 1)):.3f}")
    1.794, 0.961
    """
    y = target_of(y_true, dist, "logpdf")
    return mean_over_rows(-of_shape((len(y),), dist.logpdf(y), "logpdf"), sample_weight)


def crps(y_true: ArrayLike, dist: Any, *, sample_weight: ArrayLike | None = None) -> float:
    """Mean continuous ranked probability score; lower is better.

    The squared error of the predicted probability of falling below a threshold, integrated over all
    thresholds. Strictly proper, in the unit of the target, and equal to the absolute error where
    the law is a point: forecasts with and without uncertainty can be compared. Outliers cost their
    distance, not its square. For several outputs, it is the mean of their scores.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    dist : distribution
        Predicted laws of the rows, with `crps` and `mean`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, none negative.

    Returns
    -------
    score : float
        Weighted mean in the unit of the target.

    Raises
    ------
    ValueError
        If shapes do not agree, or a target or weight is not finite.
    TypeError
        If `dist` is not a distribution.

    References
    ----------
    J. E. Matheson and R. L. Winkler, "Scoring rules for continuous probability distributions",
    Management Science 22(10), 1976. T. Gneiting and A. E. Raftery, "Strictly proper scoring rules,
    prediction, and estimation", Journal of the American Statistical Association 102(477), 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import MixtureOfExpertsRegressor
    >>> from sklearn_moe.metrics import crps
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> y = np.abs(X[:, 0]) + 0.1 * np.random.default_rng(0).normal(size=200)
    >>> one, two = (MixtureOfExpertsRegressor(n_experts=k, random_state=0) for k in (1, 2))
    >>> crps(y, two.fit(X, y).predict_dist(X)) < 0.5 * crps(y, one.fit(X, y).predict_dist(X))
    True
    """
    y = target_of(y_true, dist, "crps")
    return mean_over_rows(of_shape(y.shape, dist.crps(y), "crps"), sample_weight)


def pit_values(y_true: ArrayLike, dist: Any, *, random_state: Any = None) -> Array:
    """Probability integral transform: the predicted probability of values up to the target.

    Uniform on [0, 1] if the laws are the true ones. A U-shaped histogram of the values means that
    the laws are too narrow, a humped one that they are too wide, a sloped one that they are biased.
    Where a value has a probability of its own, as counts have and the zero of some positive laws,
    the transform is drawn evenly between the probability of smaller values and that of values up to
    it, which makes it uniform as well.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    dist : distribution
        Predicted laws of the rows, with `cdf` and `mean`; counts, if `is_discrete` is true.
    random_state : int, RandomState instance or None, default=None
        Seeds the draws, if there are any.

    Returns
    -------
    values : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Values between 0 and 1, for each output by its own marginal law.

    Raises
    ------
    ValueError
        If shapes do not agree, or a target is not finite.
    TypeError
        If `dist` is not a distribution.

    References
    ----------
    A. P. Dawid, "Statistical theory: the prequential approach", Journal of the Royal Statistical
    Society A 147(2), 1984. P. K. Dunn and G. K. Smyth, "Randomized quantile residuals", Journal of
    Computational and Graphical Statistics 5(3), 1996 (the draws).

    Examples
    --------
    >>> from scipy.stats import norm
    >>> from sklearn_moe.metrics import pit_values
    >>> pit_values([0.0, -1.0, 3.0], norm([0, 0, 0], [1, 1, 2])).round(3)
    array([0.5  , 0.159, 0.933])
    """
    generator = check_random_state(random_state)
    lower, upper = _pit_bounds(y_true, dist)
    if (lower == upper).all():
        return upper
    return lower + (upper - lower) * generator.uniform(size=upper.shape)


def calibration_error(
    y_true: ArrayLike,
    dist: Any,
    *,
    levels: ArrayLike = DECILES,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Mean distance between nominal and observed coverage of central intervals; lower is better.

    Zero if 10% of the targets lie in their central 10% intervals, 20% in their 20% intervals, and
    so on. Not a proper score: the law of all targets, predicted for each row, is calibrated as
    well. Read it beside a proper one. With n rows, a true law has an error of about
    ``0.34 / sqrt(n)``.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    dist : distribution
        Predicted laws of the rows, with `cdf` and `mean`; counts, if `is_discrete` is true.
    levels : array-like of shape (n_levels,), default=(0.1, 0.2, ..., 0.9)
        Nominal coverages, strictly between 0 and 1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, none negative.

    Returns
    -------
    error : float
        Mean absolute difference over levels and outputs, between 0 and 1.

    Raises
    ------
    ValueError
        If shapes do not agree, a target or weight is not finite, or a level is not a coverage.
    TypeError
        If `dist` is not a distribution.

    Notes
    -----
    The interval of level c holds the targets whose transform (see `pit_values`) is within c / 2 of
    one half. Where transforms are drawn from a range, as for counts, the share of the range that is
    within is counted: the mean over all draws. One draw would depend on a seed and on the order of
    the rows, and the middle of the range is not uniform: laws of small counts would look too wide.

    References
    ----------
    T. Gneiting, F. Balabdaoui and A. E. Raftery, "Probabilistic forecasts, calibration and
    sharpness", Journal of the Royal Statistical Society B 69(2), 2007. C. Czado, T. Gneiting and
    L. Held, "Predictive model assessment for count data", Biometrics 65(4), 2009 (the mean over
    draws).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import norm
    >>> from sklearn_moe.metrics import calibration_error
    >>> y = norm.ppf(np.linspace(0.0005, 0.9995, 1000))
    >>> for scale in (0.5, 1.0, 2.0):
    ...     print(f"{scale}: {calibration_error(y, norm(np.zeros(1000), scale)):.1f}")
    0.5: 0.2
    1.0: 0.0
    2.0: 0.2
    """
    levels = check_shares("levels", levels)
    y = target_of(y_true, dist, "cdf")
    observed = observed_coverage(y, dist, levels, check_weight(sample_weight, y))
    return float(np.abs(observed.T - levels).mean())


def observed_coverage(y_true: ArrayLike, dist: Any, levels: Array, weight: Array) -> Array:
    """Shares (L,) or (L, q) of targets in the central intervals of so many levels.

    A count that is more likely than an interval has room for is inside in part.
    """
    lower, upper = _pit_bounds(y_true, dist)
    tails = (1.0 - levels) / 2.0
    return np.array(
        [weighted_mean(_share_between(lower, upper, t, 1.0 - t), weight) for t in tails]
    )


def _pit_bounds(y_true: ArrayLike, dist: Any) -> tuple[Array, Array]:
    """Probabilities to be below the targets and to be at most them."""
    y = target_of(y_true, dist, "cdf")
    upper = of_shape(y.shape, dist.cdf(y), "cdf")
    lower = of_shape(y.shape, dist.cdf(y - _step(y, dist)), "cdf")
    return np.where(upper - lower > LEAST_JUMP, lower, upper), upper


def _step(y: Array, dist: Any) -> Any:
    """How far below each target the probability of smaller values is read."""
    if getattr(dist, "is_discrete", False):
        return y - np.ceil(y) + 1.0  # to the count before, also from between two
    # Other laws may jump as well: those of positive targets at zero. A subnormal step would not
    # survive the division by a scale.
    return np.maximum(np.spacing(np.abs(y)), 1e-100)


def _share_between(lower: Array, upper: Array, low: float, high: float) -> Array:
    """Share of each range [`lower`, `upper`] that lies between `low` and `high`."""
    width = upper - lower
    within = np.maximum(np.minimum(upper, high) - np.maximum(lower, low), 0.0)
    point_is_within = (low <= upper) & (upper <= high)
    return np.where(width > 0, within / np.where(width > 0, width, 1.0), point_is_within)
