"""From a recipe and starts to a fitted mixture, and what the estimator keeps of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn import config_context

from ._baseline import Baseline, fit_baseline
from ._em import EMResult, EMRule, run_em
from ._initialization import Race, Start, race
from ._mixture import FittedMixture, MixtureModel, MixtureState
from ._numeric import Array
from ._plans import Plan, do
from ._progress import Reporter
from ._recipe import Recipe
from ._specialisation import Specialisation
from ._training import Training
from ._verdict import UNKNOWN, Verdict, judge, run_witnessed

# Distinct rows of a table on which starts race. They show which kind of start is best.
RACE_ROWS = 5000


@dataclass(frozen=True)
class Fit:
    """All that a fit has come to, before anything is written to the estimator."""

    training: Training
    recipe: Recipe
    heat: Race
    result: EMResult
    mixture: FittedMixture
    state: MixtureState
    lower_bound: float
    verdict: Verdict
    trouble: str | None

    @property
    def pooling(self) -> Array:
        """Parts (K,) of their weight that rows gave to the experts; nothing to one alone."""
        pooling = self.recipe.specialisation.of(self.mixture.members).pooling
        return np.zeros(1) if self.verdict.is_against else pooling


def run_fit(
    training: Training,
    recipe: Recipe,
    starts: list[Start],
    rule: EMRule,
    reporter: Reporter,
    verdict: bool,
    trial: Specialisation | None = None,
) -> Plan[Fit]:
    """Race the starts, finish the best one, judge it if asked; fit what is kept to all rows.

    `trial` is how the experts might specialise instead, which the winner of the race tries.
    """
    data, splits, said, trouble = training.data, training.splits, None, None
    baseline = Baseline("", np.zeros(data.n_samples))
    is_needed = verdict or any(start.is_surprised for start in starts)
    if is_needed:
        baseline = yield from fit_baseline(recipe, data, splits)
    # The baseline has shown the experts' parameters to be valid; the next hundred fits trust them.
    with config_context(skip_parameter_validation=is_needed):
        recipe, model, heat = yield from _heats(
            training, recipe, starts, trial, baseline, rule, reporter
        )
        if verdict:
            result, said, trouble = yield from run_witnessed(
                model, recipe, heat, rule, reporter.iteration
            )
        else:
            result = yield from run_em(model, heat.winner, rule, reporter.iteration)
        judgement = judge(baseline, result, said, data) if verdict else UNKNOWN
        if judgement.is_against:
            mixture, state, bound = yield from _one_expert(recipe, training, baseline)
        else:
            state, bound = result.state, result.lower_bound
            if model.wanders:
                state, bound = model.settled(state)
            mixture = yield from model.finish(state)
    reporter.end(result)
    return Fit(training, recipe, heat, result, mixture, state, bound, judgement, trouble)


def _heats(
    training: Training,
    recipe: Recipe,
    starts: list[Start],
    trial: Specialisation | None,
    baseline: Baseline,
    rule: EMRule,
    reporter: Reporter,
) -> Plan[tuple[Recipe, MixtureModel, Race]]:
    """The race of the starts and the `trial` of its winner, on a sample if the table is large."""
    data, splits, rows = training.data, training.splits, training.sample(RACE_ROWS)
    if rows is None or len(starts) == 1:
        model = recipe.build(data, splits)
        heat = yield from race(model, recipe, starts, baseline.surprise, rule, reporter.start)
        if trial is None:
            return recipe, model, heat
        return (yield from _better_pooled(recipe, model, heat, trial, rule))
    part = training.take(rows)
    recipe_there, _, heat = yield from _heats(
        part, recipe.take(rows, data.n_samples), starts, trial, baseline.take(rows), rule, reporter
    )
    recipe = replace(recipe, specialisation=recipe_there.specialisation)
    model = recipe.build(data, splits)
    resp = yield from do(heat.start.responsibilities, recipe, data, baseline.surprise)
    return recipe, model, replace(heat, winner=EMResult(model.expect(resp)), resp=resp)


def _better_pooled(
    recipe: Recipe, model: MixtureModel, heat: Race, trial: Specialisation, rule: EMRule
) -> Plan[tuple[Recipe, MixtureModel, Race]]:
    """The race's winner as it is, or run as far with another pooling, whichever bound is higher."""
    pooled = replace(recipe, specialisation=trial)
    other = pooled.build(model.data, model.splits)
    short = replace(rule, max_iter=heat.winner.n_iter)
    run = yield from run_em(other, other.expect(heat.resp), short)
    if run.lower_bound <= heat.winner.lower_bound:
        return recipe, model, heat
    return pooled, other, replace(heat, winner=run)


def _one_expert(
    recipe: Recipe, training: Training, baseline: Baseline
) -> Plan[tuple[FittedMixture, MixtureState, float]]:
    """The mixture of the best expert alone, its state and its bound."""
    (member,) = [k for k, t in enumerate(recipe.templates) if t.name == baseline.name]
    model = recipe.alone(member).build(training.data, training.splits)
    state = yield from model.m_step(model.expect(np.ones((training.data.n_samples, 1))))
    mixture = replace((yield from model.finish(state)), members=(member,))
    return mixture, state, model.e_step(state).lower_bound


def fitted_attributes(fit: Fit) -> dict[str, Any]:
    """Fitted attributes that describe the mixture and how it was found."""
    mixture, result = fit.mixture, fit.result
    templates = [fit.recipe.templates[member] for member in mixture.members]
    return {
        "experts_": mixture.experts,
        "expert_names_": [template.name for template in templates],
        "weight_modes_": [template.plan.mode for template in templates],
        "pooling_": fit.pooling,
        "gate_": mixture.gate,
        "n_experts_": len(mixture.experts),
        "expert_mass_": mixture.expert_mass,
        "shrinkage_": mixture.shrinkage,
        "top_k_": fit.recipe.top_k,
        "n_iter_": result.n_iter,
        "converged_": result.converged,
        "lower_bound_": fit.lower_bound,
        "lower_bounds_": list(result.lower_bounds),
        "start_bounds_": fit.heat.bounds,
        "heldout_log_prob_": fit.verdict.log_prob,
        "heldout_log_probs_": ([] if result.expectation.held_out is None else list(result.scores)),
        "gain_": fit.verdict.gain,
        "gain_stderr_": fit.verdict.stderr,
        **mixture.usage.attributes(),
        **fit.recipe.family.attributes(mixture.dispersion),
    }


def failure_text(result: EMResult, tol: float) -> str:
    """Why a run did not converge, and what can be done."""
    if result.reason == "patience":
        return (
            f"In-sample EM stopped rising after iteration {result.best_iter} of {result.n_iter} "
            f"and moved by more than tol={tol}: the experts do not maximise a likelihood. The best "
            "state is kept. Use cross-fitting (cv=5) for experts of this kind."
        )
    return (
        f"EM did not settle within max_iter={result.n_iter} iterations: the last change of its "
        f"score was not below tol={tol} per unit of weight. The best state, of iteration "
        f"{result.best_iter}, is kept. Raise max_iter or tol."
    )


def verdict_text(verdict: Verdict, n_experts: int) -> str:
    """Why one expert was kept in place of the mixture."""
    return (
        f"One expert explains unseen rows better than the mixture of {n_experts} does (gain_="
        f"{verdict.gain:.3g}, gain_stderr_={verdict.stderr:.2g}), and is kept alone: n_experts_=1. "
        "Use fewer or simpler experts, or more rows; verdict=False keeps the mixture."
    )
