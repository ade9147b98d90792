"""From a recipe and starts to a fitted mixture, and what the estimator keeps of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from sklearn import config_context

from ._baseline import Baseline, fit_baseline, unknown_baseline
from ._data import Data
from ._em import EMResult, EMRule
from ._growth import Walk, grow
from ._guided import by_itself, guided
from ._hearing import Hearing, hear
from ._initialization import Race, Start, race, race_or_spare, start_name
from ._last_fits import fit_last
from ._mixture import FittedMixture, MixtureModel
from ._numeric import Array, mean_of_known
from ._plans import Plan, do
from ._progress import Reporter
from ._recipe import Recipe
from ._training import Training
from ._trials import Recipes, Trial, after_trial, recipe_of_number
from ._verdict import UNKNOWN, Stage, Verdict, alone_verdict, judge, run_witnessed
from ._witnesses import call_witnesses
from .leaning import Leaning

# Distinct rows of a table on which starts race. They show which kind of start is best.
RACE_ROWS = 5000
# What a run has come from where nobody has raced.
NO_START = Start("")


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibratedMixture(Hearing):
    """A mixture fitted to all rows and its bound, once unseen rows were heard."""

    mixture: FittedMixture
    lower_bound: float


@dataclass(frozen=True, kw_only=True)
class Fit:
    """All that a fit has come to, before anything is written to the estimator.

    `trouble` is what its user should know, if a witness or an expert failed or the run lags behind;
    `start` is what all of it has come from.
    """

    training: Training
    recipe: Recipe
    start_bounds: dict[str, float]
    result: EMResult
    found: CalibratedMixture
    verdict: Verdict
    walk: Walk
    trouble: str | None = None
    start: Start = NO_START
    alone: bool = False
    grew: bool = False

    @property
    def log_probs(self) -> Array:
        """Log density (n,) of unseen rows by what is kept; NaN where nobody was asked."""
        if self.verdict is UNKNOWN:
            return np.full(self.training.data.n_samples, np.nan)
        return self.verdict.log_probs

    @property
    def pooling(self) -> Array:
        """Parts (K,) of their weight that rows gave to the experts; nothing to one alone."""
        pooling = self.recipe.specialisation.of(self.found.mixture.members).pooling
        return np.zeros(1) if self.alone else pooling


@dataclass(frozen=True)
class Options:
    """What the user wants of a fit: when EM stops, whether it is judged, who hears of it.

    `spares` are starts for when all others fail. `trials` are what the winner of the race tries,
    one after the other; `recipes` are those for other numbers of experts, at most `most`, if the
    number is to be found.
    """

    rule: EMRule
    reporter: Reporter
    verdict: bool
    spares: Sequence[Start] = ()
    trials: Sequence[Trial] = ()
    recipes: Recipes | None = None
    most: int = 1


def run_fit(training: Training, recipe: Recipe, starts: list[Start], options: Options) -> Plan[Fit]:
    """Race the starts, finish the best one, judge it if asked; fit what is kept to all rows."""
    data, grows, family = training.data, options.recipes is not None, recipe.family
    baseline = unknown_baseline(data)
    is_needed = options.verdict or grows or any(start.needs_surprise for start in starts)
    if is_needed:
        baseline = yield from fit_baseline(recipe, data, training.splits)
    # The baseline has shown the experts' parameters to be valid; the next hundred fits trust them.
    with config_context(skip_parameter_validation=is_needed):
        with options.reporter.race([start_name(start) for start in starts]):
            recipe, model, heat = yield from _heats(training, recipe, starts, baseline, options)
        if is_needed and recipe.family is not family:  # the rival has the law that is kept
            baseline = yield from fit_baseline(recipe, data, training.splits)
        run = _first_run(recipe, model, heat, options)
        bounds, start = heat.bounds, heat.start.origin
        del heat  # as large as the table
        first = yield from run
        walk = Walk(baseline, data, [first])
        kept: Stage | None = first
        if options.recipes is not None:
            recipes = partial(recipe_of_number, options.recipes, options.trials, recipe)
            kept = yield from grow(walk, recipes, options.most, options.rule, options.reporter)
        may_go_on = starts[0].name != "warm"  # its experts keep their places
        kept, heard, verdict = yield from _judged(options, recipe, baseline, kept, data, may_go_on)
        result = (walk.stages[0] if kept is None else kept).result
        if kept is None or heard is None:
            found = yield from _one_expert(recipe, training, baseline)
        else:
            recipe, found = kept.recipe, (yield from _all_experts(kept, heard, training, baseline))
    options.reporter.noise([(change.factor, change.df) for change in found.noise.changes])
    options.reporter.end(result, len(found.mixture.experts))
    return Fit(
        training=training,
        recipe=recipe,
        start_bounds=bounds,
        result=result,
        found=found,
        verdict=verdict,
        walk=walk,
        trouble=first.trouble if kept is None else kept.trouble or first.trouble,
        start=start,
        alone=heard is None,
        grew=grows,
    )


def as_it_stands(training: Training, stage: Stage) -> Plan[Fit]:
    """The fit as it would be if the run of `stage` ended where it is."""
    recipe, baseline = stage.recipe, unknown_baseline(training.data)
    if recipe.leans and stage.forecasts:
        baseline = yield from fit_baseline(recipe, training.data, training.splits)
    found = yield from _all_experts(stage, stage.hearing(baseline), training, baseline)
    return Fit(
        training=training,
        recipe=recipe,
        start_bounds={},
        result=stage.result,
        found=found,
        verdict=UNKNOWN,
        walk=Walk(baseline, training.data, [stage]),
    )


def _all_experts(
    stage: Stage, heard: Hearing, training: Training, baseline: Baseline
) -> Plan[CalibratedMixture]:
    """The mixture of a finished run, calibrated by what was heard."""
    state, bound, _ = stage.ending
    mixture = yield from stage.model.finish(state)
    if heard.leaning is not None:
        heard = yield from _with_expert(heard, heard.leaning, stage.recipe, training, baseline)
    return _calibrated(mixture, bound, heard)


def _one_expert(recipe: Recipe, training: Training, baseline: Baseline) -> Plan[CalibratedMixture]:
    """The best expert alone, calibrated by what it says of rows out of fold."""
    (member,) = [k for k, t in enumerate(recipe.templates) if t.name == baseline.name]
    model = recipe.alone(member).build(training.data, training.splits)
    model = replace(model, alone=baseline.bank)
    state = yield from model.m_step(model.expect(np.ones((training.data.n_samples, 1))))
    mixture = replace((yield from model.finish(state)), members=(member,))
    heard = hear(recipe, baseline, [], model.told_by(state))
    return _calibrated(mixture, model.e_step(state).lower_bound, heard)


def _calibrated(mixture: FittedMixture, bound: float, heard: Hearing) -> CalibratedMixture:
    return CalibratedMixture(
        forecasts=heard.forecasts,
        noise=heard.noise,
        leaning=heard.leaning,
        mixture=replace(mixture, dispersion=heard.noise.law_of(mixture.dispersion)),
        lower_bound=bound,
    )


def _with_expert(
    heard: Hearing, leaning: Leaning, recipe: Recipe, training: Training, baseline: Baseline
) -> Plan[Hearing]:
    """What was heard, with the expert that others lean on fitted to all rows."""
    (expert,) = yield from fit_last(
        data=training.data,
        templates=[t for t in recipe.templates if t.name == baseline.name],
        expert_weights=training.data.sample_weight[:, None],
        previous=None,
        splits=training.splits,
        ensemble=recipe.ensemble,
    )
    return replace(heard, leaning=replace(leaning, expert=expert))


def _judged(
    options: Options,
    recipe: Recipe,
    baseline: Baseline,
    kept: Stage | None,
    data: Data,
    may_go_on: bool,
) -> Plan[tuple[Stage | None, Hearing | None, Verdict]]:
    """The run, continued from a witness if it may and that is better; what was heard; the verdict.

    Nothing is heard where one expert is kept alone, which gains nothing over itself.
    """
    if kept is None:
        verdict = alone_verdict(recipe, baseline, data) if options.verdict else UNKNOWN
        return None, None, verdict
    heard = kept.hearing(baseline)
    verdict = judge(baseline, kept, heard, data) if options.verdict else UNKNOWN
    if may_go_on and not verdict.is_against:
        on = yield from guided(kept, options.rule, options.reporter)
        if on is not kept:
            return (yield from _judged(options, recipe, baseline, on, data, may_go_on=False))
    if options.verdict and kept.trusted and kept.is_alone:
        # What witnesses say of several experts does not hold for the one that is left.
        left = by_itself(kept)
        return (yield from _judged(options, recipe, baseline, left, data, may_go_on=False))
    return kept, None if verdict.is_against else heard, verdict


def _first_run(recipe: Recipe, model: MixtureModel, heat: Race, options: Options) -> Plan[Stage]:
    """EM from the winning start, led by witnesses if it is to be judged."""
    splits = model.splits if options.verdict else None
    model = replace(model, gate_bank=model.gate_bank.bold())
    witnesses = call_witnesses(recipe, model.data, splits, heat.start)
    return run_witnessed(
        recipe, model, heat.resp, witnesses, options.rule, options.reporter, ahead=heat.run
    )


def _heats(
    training: Training,
    recipe: Recipe,
    starts: list[Start],
    baseline: Baseline,
    options: Options,
) -> Plan[tuple[Recipe, MixtureModel, Race]]:
    """The race of the starts and the trials of its winner, on a sample if the table is large."""
    data, splits, rows = training.data, training.splits, training.sample(RACE_ROWS)
    if rows is None or len(starts) == 1:
        model = recipe.build(data, splits)
        if len(recipe.templates) == 1:
            model = replace(model, alone=baseline.bank)
        reporter = options.reporter
        race_of = partial(
            race,
            model,
            recipe,
            baseline.tell_surprise,
            options.rule,
            reporter.start,
            reporter.failure,
        )
        heat = yield from race_or_spare(race_of, starts, options.spares, reporter.failure)
        for trial in options.trials:
            recipe, model, heat = yield from after_trial(
                trial, recipe, model, heat, options.rule, reporter
            )
        return recipe, model, heat
    part = training.take(rows)
    recipe_there, _, heat = yield from _heats(
        part, recipe.take(rows, data.n_samples), starts, baseline.take(rows), options
    )
    recipe = replace(
        recipe,
        specialisation=recipe_there.specialisation,
        family=recipe_there.family,
        gate=recipe_there.gate,
    )
    model = recipe.build(data, splits)
    resp = yield from do(heat.start.responsibilities, recipe, data, baseline.tell_surprise)
    return recipe, model, replace(heat, run=EMResult(model.expect(resp)), resp=resp)


def fitted_attributes(fit: Fit) -> dict[str, Any]:
    """Fitted attributes that describe the mixture and how it was found."""
    found, result = fit.found, fit.result
    mixture, log_probs = found.mixture, fit.log_probs
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
        "_start": fit.start,
        "_family": found.noise.family,
        "n_experts_path_": fit.walk.path() if fit.grew else None,
        "n_iter_": result.n_iter,
        "converged_": result.converged,
        "lower_bound_": found.lower_bound,
        "lower_bounds_": list(result.lower_bounds),
        "start_bounds_": fit.start_bounds,
        "heldout_log_prob_": fit.verdict.log_prob,
        "calibrated_log_prob_": mean_of_known(log_probs, fit.training.data.sample_weight),
        "calibrated_log_probs_": fit.training.among_given(log_probs),
        "heldout_log_probs_": ([] if result.expectation.held_out is None else list(result.scores)),
        "gain_": fit.verdict.gain,
        "gain_stderr_": fit.verdict.stderr,
        **mixture.usage.attributes(),
        **found.noise.family.attributes(mixture.dispersion),
    }
