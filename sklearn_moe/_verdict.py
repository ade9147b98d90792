"""Does the gate help? The mixture against one expert on the same folds, without hindsight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._em import EMResult
from ._experts import Data, Template, fit_predict
from ._folds import Splits
from ._initialization import Race
from ._mixture import Recipe
from ._numeric import Array, clustered_stderr
from ._training import Training


@dataclass(frozen=True)
class Baseline:
    """The one-expert model: the log density (n,) it gives each row, out of fold if split."""

    name: str
    log_prob: Array


def fit_baseline(recipe: Recipe, data: Data, splits: Splits | None) -> Baseline:
    """The best single expert among those of the recipe."""
    candidates = [_single(recipe, template, data, splits) for template in distinct(recipe)]
    return max(candidates, key=lambda c: float(c.log_prob @ data.sample_weight))


def distinct(recipe: Recipe) -> list[Template]:
    """One template of each kind: copies of one estimator are fitted once."""
    kinds = {id(template.estimator): template for template in reversed(recipe.templates)}
    return list(reversed(kinds.values()))


def _single(recipe: Recipe, template: Template, data: Data, splits: Splits | None) -> Baseline:
    weight = data.sample_weight[:, None]
    _, mean = fit_predict(data, [template], weight, splits, recipe.workers)
    dispersion = recipe.family.fit_dispersion(data.target, mean, weight)
    return Baseline(template.name, recipe.family.log_prob(data.target, mean, dispersion)[:, 0])


@dataclass(frozen=True)
class Verdict:
    """Mean log-likelihood gained over one expert, per unit of weight, and its standard error."""

    gain: float
    stderr: float


def judge(
    recipe: Recipe, training: Training, baseline: Baseline, result: EMResult, heat: Race
) -> Verdict:
    data = training.data
    if training.splits is None:
        return Verdict(np.nan, np.nan)
    delta = result.expectation.log_evidence - baseline.log_prob
    weight = data.sample_weight
    gain = float(delta @ weight) / weight.sum()
    return Verdict(gain, clustered_stderr(delta - gain, weight, data.clusters))
