"""What plain log-linear regressions solve: the problem, and a table of features and outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.linear_model import GammaRegressor, PoissonRegressor, TweedieRegressor

from .._numeric import Array
from ..logit import NEWTON_LIMIT, StandardisedRows
from ._plain import column_units, finite_numbers, without_scaler

# Powers of the mean to which the variances of Poisson and gamma laws are proportional.
POISSON, GAMMA = 1.0, 2.0


@dataclass(frozen=True)
class LogLinear:
    """The problem that a plain Poisson, gamma or Tweedie regression solves, whose link is the log.

    It has a penalty `alpha` per unit of weight, and a variance that is a `power` of the mean, from
    one to two: there the loss is convex. If `scaled`, the features are first standardised under the
    same weights. `tol` is that of the estimator's own solver.
    """

    alpha: float
    power: float
    scaled: bool
    tol: float
    halves = False
    is_loose = True
    is_light = False
    leaves_one_out = False


def recognise(estimator: Any) -> LogLinear | None:
    """The problem that `estimator` solves, or None if it does anything else."""
    estimator, scaled = without_scaler(estimator)
    power = _power(estimator)
    if power is None or not estimator.fit_intercept or estimator.warm_start:
        return None
    return LogLinear(float(estimator.alpha), power, scaled, estimator.tol)


def _power(estimator: Any) -> float | None:
    """The power of a convex problem, None if the estimator solves none."""
    if type(estimator) is PoissonRegressor:
        return POISSON
    if type(estimator) is GammaRegressor:
        return GAMMA
    if type(estimator) is not TweedieRegressor or estimator.link == "identity":
        return None
    return float(estimator.power) if POISSON <= estimator.power <= GAMMA else None


@dataclass(frozen=True)
class PositiveTable(StandardisedRows):
    """Standardised features (n, p) and outputs (n,), none below zero; `level` is their log mean."""

    y: Array
    level: float

    @property
    def without_rows(self) -> PositiveTable:
        """What is kept with a solution: the units of the columns."""
        return replace(self, X=self.X[:0], y=self.y[:0])


def make_positive_table(X: Any, y: Array) -> PositiveTable | None:
    """The table of one output (n, 1), or None if it does not suit steps for all experts."""
    if y.shape[1] != 1 or (y < 0).any():
        return None
    numbers = finite_numbers(X)
    if numbers is None or numbers.shape[1] >= NEWTON_LIMIT:
        return None
    mean = y.mean()
    level = float(np.log(mean)) if mean > 0 else 0.0
    return PositiveTable(numbers, *column_units(numbers), y[:, 0], level)
