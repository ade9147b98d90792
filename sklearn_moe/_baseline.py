"""The one-expert model: what the mixture must beat."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ._data import Data
from ._em import DIGITS
from ._experts import BankFit, WeightedExperts, fit_predict
from ._folds import Splits
from ._forecasts import Forecast
from ._numeric import Array, normalize, weighted_mean
from ._plans import Plan, together
from ._recipe import Recipe
from ._spread import fit_spread
from ._templates import Template, one_of_each_kind
from .families._base import law_by_row


@dataclass(frozen=True)
class Baseline:
    """The best single expert: the log density (n,) it gives each row, out of fold if split.

    `surprise` (n,) is how badly it explains them, `mean` (n, q) or (n, C) what it predicts, if
    experts are to lean on it. `forecast` is its forecast of rows out of fold, if mixtures make one.
    `bank` is its fit, if a mixture of this expert alone would be fitted by the same folds.
    """

    name: str
    log_prob: Array
    surprise: Array
    mean: Array | None = None
    forecast: Forecast | None = None
    bank: BankFit | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether it is a placeholder."""
        return not self.name

    def take(self, rows: NDArray[np.intp]) -> Baseline:
        """The baseline's scores of some rows."""
        mean = None if self.mean is None else self.mean[rows]
        return Baseline(self.name, self.log_prob[rows], self.surprise[rows], mean)


def unknown_baseline(data: Data) -> Baseline:
    """A placeholder where nobody needs the baseline."""
    nothing = np.broadcast_to(0.0, data.n_samples)
    return Baseline("", nothing, nothing)


def fit_baseline(recipe: Recipe, data: Data, splits: Splits | None) -> Plan[Baseline]:
    """The best single expert among those of the recipe."""
    kinds = [template.as_only_expert for template in one_of_each_kind(recipe.templates)]
    singles = (_single(recipe, template, data, splits) for template in kinds)
    candidates = yield from together(*singles)
    weight = data.sample_weight
    return max(candidates, key=lambda c: round(float(weighted_mean(c.log_prob, weight)), DIGITS))


def _single(
    recipe: Recipe, template: Template, data: Data, splits: Splits | None
) -> Plan[Baseline]:
    weight, n_values = data.sample_weight[:, None], data.n_values
    data = replace(data, all_classes=True) if recipe.leans else data
    # Witnesses, with which it is compared, have seen as much as a fold leaves.
    bank = yield from fit_predict(WeightedExperts(data, [template.in_folds()], weight), splits)
    law = yield from _law(recipe, data, bank.mean, weight, splits)
    log_prob = normalize(recipe.family.log_prob(data.target, bank.mean, law))[1]
    surprise = recipe.family.surprise(data.target, log_prob)
    mean = bank.mean[:, 0] if recipe.leans else None
    question = recipe.question(data, splits)
    forecast = None
    if question is not None:
        forecast = question.answer(np.zeros((len(weight), 1)), bank.mean, law)
    by_folds = not (template.bagged or template.one_out) and data.n_values == n_values
    return Baseline(template.name, log_prob, surprise, mean, forecast, bank if by_folds else None)


def _law(
    recipe: Recipe, data: Data, mean: Array, weight: Array, splits: Splits | None
) -> Plan[Array]:
    """Parameters of the noise law, of each row if they are predicted."""
    if recipe.spread_template is None:
        return recipe.family.fit_dispersion(data.target, mean, weight)
    spread = yield from fit_spread(data, recipe.spread_template, mean, weight, splits)
    law = recipe.family.fit_dispersion(data.target, mean, weight, spread.relative)
    return law_by_row(law, spread.relative)
