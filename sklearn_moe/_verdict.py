"""Does the gate help? The mixture against one expert on the same folds, without hindsight.

The bound of cross-fitted EM is a little optimistic: the responsibilities that train the experts of
one fold were computed, an iteration earlier, by experts that had seen that fold. The verdict
therefore rests on chains of EM that never saw the rows they are scored on. The chain of a fold
begins from the same kind of start as the fit, made anew from the other folds alone, runs
cross-fitted EM over those for at most as many iterations as the fit's best state took, and scores
the rows of the fold. With five folds the chains cost about three times the iterations up to the
best state.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from ._baseline import Baseline
from ._em import EMResult, EMRule, run_em
from ._experts import Data, predict_bank
from ._folds import Rows, Splits, keep_rows
from ._initialization import Start, surprise_of
from ._mixture import Recipe
from ._numeric import Array, clustered_stderr, log_normalize
from ._validation import take_rows


@dataclass(frozen=True)
class Verdict:
    """Mean log density of unseen rows, its gain over one expert, and the gain's standard error.

    All are per unit of sample weight, in nats.
    """

    log_prob: float
    gain: float
    stderr: float


UNKNOWN = Verdict(np.nan, np.nan, np.nan)


def judge(
    recipe: Recipe,
    data: Data,
    splits: Splits | None,
    baseline: Baseline,
    result: EMResult,
    start: Start,
    tol: float,
) -> Verdict:
    """The verdict on a finished fit; unknown where nothing was held out."""
    if splits is None:
        return UNKNOWN
    weight = data.sample_weight
    if len(recipe.templates) == 1:
        return Verdict(float(baseline.log_prob @ weight) / weight.sum(), 0.0, 0.0)
    rule = EMRule(max_iter=result.best_iter, tol=tol)
    try:
        held_out = _held_out(recipe, data, splits, start, rule)
    except ValueError as error:
        # The fit itself is sound; only its judge, who works on fewer rows, has failed.
        warnings.warn(f"No verdict: {error}", UserWarning, stacklevel=6)
        return UNKNOWN
    delta = held_out - baseline.log_prob
    gain = float(delta @ weight) / weight.sum()
    stderr = clustered_stderr(delta - gain, weight, data.clusters)
    return Verdict(float(held_out @ weight) / weight.sum(), gain, stderr)


def _held_out(recipe: Recipe, data: Data, splits: Splits, start: Start, rule: EMRule) -> Array:
    """Log density (n,) of each row under the chain that never saw it."""
    log_prob = np.empty(data.n_samples)
    for fold, (_, test) in enumerate(splits):
        log_prob[test] = _chain(recipe, data, splits, fold, start, rule)
    return log_prob


def _chain(
    recipe: Recipe, data: Data, splits: Splits, fold: int, start: Start, rule: EMRule
) -> Array:
    """Log density of one fold's test rows under EM that ran on its training rows."""
    train, test = splits[fold]
    seen = data.take(train)
    inner = _inner_splits(splits, fold, data.n_samples)
    recipe = recipe.take(train, data.n_samples)
    model = recipe.build(seen, inner)
    resp = start.responsibilities(recipe, seen, surprise_of(recipe, seen, inner), train)
    mixture = model.finish(run_em(model, model.expect(resp), rule))
    X = take_rows(data.X, test)
    mean = predict_bank(mixture.experts, X, data.classes)
    log_prob = recipe.family.log_prob(data.target[test], mean, mixture.dispersion)
    return log_normalize(mixture.gate.predict_log_proba(X) + log_prob)[1]


def _inner_splits(splits: Splits, fold: int, n_samples: int) -> Splits | None:
    """The other folds, as a split of the fold's training rows; none if only one is left."""
    others: list[tuple[Rows, Rows]] = [pair for number, pair in enumerate(splits) if number != fold]
    inner = keep_rows(others, splits[fold][0], n_samples)
    return inner if all(len(train) for train, _ in inner) else None
