"""The ladder: EM with linear experts, whose responsibilities are handed on to the real ones.

Linear experts are cheap and find linear regimes from almost any start; flexible experts fit any
split that they are given and find none by themselves.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.linear_model import Ridge

from .._em import DIGITS, EMResult, EMRule, run_em
from .._folds import Splits, content_folds
from .._mixture import MixtureModel, build_model
from .._numeric import Array, normalize
from .._plans import follow, follow_here, run_merged, together
from .._recipe import Recipe
from .._specialisation import Specialisation
from .._templates import make_templates
from ..families import Gaussian
from ..gates import SoftmaxGate
from ._base import StartContext
from ._local import local_coefficients
from ._simple import kmeans_xy, random_labels

RUNGS = (random_labels, kmeans_xy, local_coefficients)
RULE = EMRule(max_iter=20, tol=1e-3)
# With this many rows for each coefficient, none are learnt by heart; and rows enough for a start.
ROWS_OF_COEFFICIENT, LADDER_ROWS = 10, 10_000


def ladder(context: StartContext) -> Array:
    """Responsibilities of the best of a few EM runs with ridge experts on the encoded table.

    In a large table, a sample is enough to find the regimes, to which the other rows are assigned.
    """
    rows = context.sample(max(LADDER_ROWS, ROWS_OF_COEFFICIENT * _n_coefficients(context)))
    part = context if rows is None else context.take(rows)
    model = _linear_model(part)
    # Run to the end: after a few iterations the rung that will win is often not yet ahead.
    rungs = [run_em(model, model.begin(rung(part)), RULE) for rung in RUNGS]
    runs = follow(together(*rungs), run_merged)
    # Rounded: rungs may meet at one optimum, and the order of the rows must not choose between
    # them.
    best = max(runs, key=lambda run: round(run.lower_bound, DIGITS))
    found = best.expectation.resp if rows is None else _assigned(model, best, context)
    resp = np.full((context.data.n_samples, context.n_experts), 1e-3)
    resp[:, list(best.expectation.members)] += found
    return resp / resp.sum(axis=1, keepdims=True)


def _linear_model(context: StartContext) -> MixtureModel:
    """A mixture of ridge experts for the standardised target (class indicators are regressed)."""
    data = replace(context.data, X=context.Z, y=context.T, target=context.T)
    data = replace(data, classes=None, limits=None)
    names, ridge = [f"ridge{k}" for k in range(context.n_experts)], Ridge()
    recipe = Recipe(
        templates=make_templates([(name, ridge) for name in names], [0] * len(names), {}, None),
        specialisation=Specialisation(np.zeros(context.n_experts), np.zeros(context.n_experts)),
        family=Gaussian().prepared(context.T, context.weight),
        gate=SoftmaxGate(),
        seed=context.seed,
    )
    return build_model(recipe, data, _splits(context))


def _assigned(model: MixtureModel, run: EMResult, context: StartContext) -> Array:
    """Responsibilities (n, K) for all rows, by the best state of a run that has seen some."""
    log_gate, mean, law = follow_here(model.predict_new(run.state, context.Z))
    return normalize(log_gate + model.recipe.family.log_prob(context.T, mean, law))[0]


def _splits(context: StartContext) -> Splits | None:
    """Folds if ridge experts could learn their rows by heart; else None, which is cheaper."""
    if len(context.data.distinct) >= ROWS_OF_COEFFICIENT * _n_coefficients(context):
        return None
    return content_folds(5, context.data.rank)


def _n_coefficients(context: StartContext) -> int:
    return context.n_experts * (context.Z.shape[1] + 1)
