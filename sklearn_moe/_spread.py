"""Dispersions that differ by row: a regression of the log squared residuals of each expert.

The residuals are those of out-of-fold predictions if the fit is cross-fitted, and so are the
predictions of their logarithms. What is predicted is the dispersion up to a factor, which the noise
law finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._data import Data
from ._experts import WeightedExperts, fit_predict, fit_predict_new
from ._folds import Splits
from ._last_fits import fit_all_rows
from ._numeric import Array
from ._plans import Plan, together
from ._templates import Template

# Squared residuals below this part of an expert's mean count as this large: the logarithm of a
# residual that is small by chance must not outweigh all others. Larger ones than the last are of
# rows in which the expert has next to no weight.
SMALLEST_SQUARE, LARGEST_SQUARE = 1e-4, 1e12
# No dispersion is predicted to be larger or smaller than the typical one by more than this factor.
MOST_RELATIVE = 1e4


@dataclass(frozen=True)
class Spread:
    """Relative dispersions (n, K, q), what predicts them, and what it has learnt from.

    `template` is the estimator, `log_squared` (n, K, q) the logarithms of squared residuals that it
    is fitted to, `weights` (n, K) their weights. Dispersions and squares are in units of each
    expert's own mean squared residual.
    """

    template: Template
    relative: Array
    log_squared: Array
    weights: Array


def fit_spread(
    data: Data, template: Template, mean: Array, expert_weights: Array, splits: Splits | None
) -> Plan[Spread]:
    """Relative dispersions of experts that predict `mean` (n, K, q), out of fold if cross-fitted.

    Residuals of each expert are weighted by its column of `expert_weights` (n, K). An expert
    without weight, or that is never wrong, has the same dispersion everywhere.
    """
    squared = (mean - data.target[:, None]) ** 2
    silent = np.asarray(~expert_weights.any(axis=0))
    if silent.any():
        expert_weights = np.where(silent, 1.0, expert_weights)
    typical = np.einsum("nk,nkq->kq", expert_weights, squared)
    typical /= expert_weights.sum(axis=0)[:, None]
    level = silent[:, None] | (typical < np.finfo(np.float64).tiny)
    with np.errstate(over="ignore"):  # of rows that are not the expert's
        squared /= np.where(level, 1.0, typical)
    log_squared = np.log(np.clip(squared, SMALLEST_SQUARE, LARGEST_SQUARE))
    log_squared[:, level] = 0.0
    each_alone = _each_alone(data, template, log_squared, expert_weights)
    banks = yield from together(*(fit_predict(each, splits) for each in each_alone))
    predicted = np.concatenate([bank.mean for bank in banks], axis=1)
    return Spread(template, relative_dispersion(predicted), log_squared, expert_weights)


def finish_spread(data: Data, spread: Spread) -> Plan[list[Any]]:
    """The estimators of log squared residuals, fitted to all rows."""
    each_alone = _each_alone(data, spread.template, spread.log_squared, spread.weights)
    fitted = yield from together(*(fit_all_rows(each) for each in each_alone))
    return [expert for (expert,) in fitted]


def new_spread(data: Data, spread: Spread, X: Any) -> Plan[Array]:
    """Relative dispersions (m, K, q) of new rows."""
    each_alone = _each_alone(data, spread.template, spread.log_squared, spread.weights)
    predicted = yield from together(*(fit_predict_new(each, X) for each in each_alone))
    return relative_dispersion(np.concatenate(predicted, axis=1))


def relative_dispersion(predicted: Array) -> Array:
    """Relative dispersions from their predicted logarithms, kept within bounds."""
    limit = np.log(MOST_RELATIVE)
    return np.exp(np.clip(predicted, -limit, limit))


def _each_alone(
    data: Data, template: Template, log_squared: Array, weights: Array
) -> Iterator[WeightedExperts]:
    """For each expert the template, its log squared residuals for the target, under its weights."""
    table = replace(data, limits=None)  # logarithms have limits of their own
    for column, weight in zip(np.moveaxis(log_squared, 1, 0), weights.T, strict=True):
        y, target = column.reshape(data.y.shape), np.ascontiguousarray(column)
        own = replace(table, y=y, target=target)
        yield WeightedExperts(own, [template], weight[:, None])
