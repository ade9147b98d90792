"""Measures of predictive distributions and intervals, and scorers of them for searches.

A distribution is what ``predict_dist(X)`` gives: one law for each row. Any other object will do
that has the methods which a measure calls, such as a frozen continuous one of scipy.
"""

from ._distributions import calibration_error, crps, log_score, pit_values
from ._intervals import interval_coverage, interval_score
from ._scorers import (
    calibration_error_scorer,
    crps_scorer,
    log_score_scorer,
    make_distribution_scorer,
    make_interval_scorer,
)

__all__ = [
    "calibration_error",
    "calibration_error_scorer",
    "crps",
    "crps_scorer",
    "interval_coverage",
    "interval_score",
    "log_score",
    "log_score_scorer",
    "make_distribution_scorer",
    "make_interval_scorer",
    "pit_values",
]
