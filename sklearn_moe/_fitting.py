"""From a recipe and starts to a fitted mixture, and to the attributes of the estimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn import config_context

from ._baseline import Baseline, fit_baseline, unknown_baseline
from ._data import Data
from ._em import EMResult
from ._experts import WeightedExperts
from ._first_starts import Start
from ._growth import Growth, GrowthPath, grow
from ._guided import by_itself, guided
from ._last_fits import fit_last
from ._mixture import FittedMixture, MixtureModel, build_model
from ._numeric import Array, Rows, mean_of_known
from ._plans import Plan, do
from ._progress import Session
from ._race import Raced, assigned, race
from ._recalibration import Recalibration, recalibrate
from ._recipe import Recipe
from ._second_witnesses import seconded
from ._training import Training
from ._trials import Trial, Winner, recipe_of_number, try_all, with_parts
from ._verdict import UNKNOWN, Stage, Verdict, alone_verdict, judge, run_witnessed
from ._witnesses import call_witnesses
from .leaning import Leaning

# Distinct rows of a large table on which starts race: enough to show which start is best.
RACE_ROWS = 5000
# Stands for the start of a fit without a race.
NO_START = Start("")


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibratedMixture(Recalibration):
    """A mixture fitted to all rows and its bound, recalibrated by unseen rows."""

    mixture: FittedMixture
    lower_bound: float


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The whole result of a fit, before anything is written to the estimator.

    `trouble` is what its user should know, if a witness or an expert failed or the run lags behind;
    `start` is the start of the race that won. There is a `path` if the number of experts was to be
    found. If it `keeps_one`, one expert was better than the mixture.
    """

    training: Training
    recipe: Recipe
    start_bounds: dict[str, float]
    result: EMResult
    kept: CalibratedMixture
    verdict: Verdict
    path: GrowthPath | None = None
    trouble: str | None = None
    start: Start = NO_START
    keeps_one: bool = False

    @property
    def log_probs(self) -> Array:
        """Log density (n,) of unseen rows under what is kept; NaN where no witness was asked."""
        if self.verdict is UNKNOWN:
            return np.full(self.training.data.n_samples, np.nan)
        return self.verdict.log_probs

    @property
    def pooling(self) -> Array:
        """Share (K,) of each row's weight that every expert received; zero for one alone."""
        pooling = self.recipe.specialisation.take(self.kept.mixture.members).pooling
        return np.zeros(1) if self.keeps_one else pooling


@dataclass(frozen=True)
class Options:
    """What the user asks of a fit: how its runs go, and whether it is judged.

    `spares` are starts for when the others fail or find nothing. The winner of the race tries the
    `trials` one after the other. There is a `growth` if the number of experts is to be found.
    """

    session: Session
    verdict: bool
    spares: Sequence[Start] = ()
    trials: Sequence[Trial] = ()
    growth: Growth | None = None


class Entry(NamedTuple):
    """An entry in the race: a table, the recipe to be fitted to it, its starts and its rival."""

    training: Training
    recipe: Recipe
    starts: list[Start]
    baseline: Baseline

    def take(self, rows: Rows) -> Entry:
        """The race on some rows."""
        recipe = self.recipe.take(rows, self.training.data.n_samples)
        return Entry(self.training.take(rows), recipe, self.starts, self.baseline.take(rows))


def run_fit(training: Training, recipe: Recipe, starts: list[Start], options: Options) -> Plan[Fit]:
    """Race the starts, finish the best one, judge it if asked; fit what is kept to all rows."""
    data, family = training.data, recipe.family
    baseline = unknown_baseline(data)
    is_needed = options.verdict or options.growth is not None
    is_needed |= any(start.needs_surprise for start in starts)
    if is_needed:
        baseline = yield from fit_baseline(recipe, data, training.splits)
    # The fit of the baseline has validated the experts' parameters; all later fits trust them.
    with config_context(skip_parameter_validation=is_needed):
        with options.session.reporter.race([start.label for start in starts]):
            entry = Entry(training, recipe, starts, baseline)
            model, raced, won = yield from _winner(entry, options)
            del entry  # its baseline may not be the last
        recipe = model.recipe
        if is_needed and recipe.family is not family:  # the rival has the law that is kept
            baseline = yield from fit_baseline(recipe, data, training.splits)
        run = _first_run(model, raced, options)
        bounds, start = raced.bounds, raced.start.origin
        del raced  # as large as the table
        first = yield from seconded((yield from run), options.session)
        path, kept = yield from _grown(first, baseline, won, options)
        if kept is None:
            assert path is not None
            verdict = alone_verdict(recipe, baseline, data) if options.verdict else UNKNOWN
            judged = JudgedStage(path.stages[0], verdict, None)
        else:
            may_go_on = not starts[0].is_warm
            judged = yield from _judged(options, baseline, kept, data, may_go_on)
        if judged.recalibration is None:
            found = yield from _one_expert(recipe, training, baseline)
        else:
            recipe = judged.stage.recipe
            found = yield from _all_experts(judged.stage, judged.recalibration, training, baseline)
    options.session.reporter.noise([(change.factor, change.df) for change in found.noise.changes])
    options.session.reporter.end(judged.stage.result, len(found.mixture.experts))
    return Fit(
        training=training,
        recipe=recipe,
        start_bounds=bounds,
        result=judged.stage.result,
        kept=found,
        verdict=judged.verdict,
        path=path,
        trouble=judged.stage.trouble or first.trouble,
        start=start,
        keeps_one=judged.recalibration is None,
    )


def as_it_stands(training: Training, stage: Stage) -> Plan[Fit]:
    """The fit as it would be if the run of `stage` ended where it is."""
    recipe, baseline = stage.recipe, unknown_baseline(training.data)
    if recipe.leans and stage.forecasts:
        baseline = yield from fit_baseline(recipe, training.data, training.splits)
    found = yield from _all_experts(stage, stage.recalibration(baseline), training, baseline)
    return Fit(
        training=training,
        recipe=recipe,
        start_bounds={},
        result=stage.result,
        kept=found,
        verdict=UNKNOWN,
    )


def _all_experts(
    stage: Stage, found: Recalibration, training: Training, baseline: Baseline
) -> Plan[CalibratedMixture]:
    """The mixture of a finished run, with the recalibration that was `found`."""
    state, bound, _ = stage.ending
    mixture = yield from stage.model.finish(state)
    if found.leaning is not None:
        found = yield from _with_expert(found, found.leaning, stage.recipe, training, baseline)
    return _calibrated(mixture, bound, found)


def _one_expert(recipe: Recipe, training: Training, baseline: Baseline) -> Plan[CalibratedMixture]:
    """The best expert alone, recalibrated by rows out of fold."""
    (member,) = [k for k, t in enumerate(recipe.templates) if t.name == baseline.name]
    model = build_model(recipe.of_one_expert(member), training.data, training.splits)
    model = replace(model, baseline_fit=baseline.bank)
    state = yield from model.m_step(model.expect(np.ones((training.data.n_samples, 1))))
    mixture = replace((yield from model.finish(state)), members=(member,))
    found = recalibrate(recipe, baseline, [], model.forecast_of(state))
    return _calibrated(mixture, model.e_step(state).lower_bound, found)


def _calibrated(mixture: FittedMixture, bound: float, found: Recalibration) -> CalibratedMixture:
    return CalibratedMixture(
        forecasts=found.forecasts,
        noise=found.noise,
        leaning=found.leaning,
        mixture=replace(mixture, dispersion=found.noise.law_of(mixture.dispersion)),
        lower_bound=bound,
    )


def _with_expert(
    found: Recalibration, leaning: Leaning, recipe: Recipe, training: Training, baseline: Baseline
) -> Plan[Recalibration]:
    """The recalibration, with the expert that others lean on fitted to all rows."""
    data = training.data
    alone = [t.as_only_expert for t in recipe.templates if t.name == baseline.name]
    experts = WeightedExperts(data, alone, data.sample_weight[:, None])
    (expert,) = yield from fit_last(experts, None, training.splits, recipe.ensemble)
    return replace(found, leaning=replace(leaning, expert=expert))


@dataclass(frozen=True, eq=False)
class JudgedStage:
    """A finished run, the verdict on it, and its recalibration: None if one expert is kept alone.

    If growth keeps one, the verdict is a gain of zero: that of one expert over itself.
    """

    stage: Stage
    verdict: Verdict
    recalibration: Recalibration | None


def _judged(
    options: Options, baseline: Baseline, stage: Stage, data: Data, may_go_on: bool
) -> Plan[JudgedStage]:
    """The run, judged: continued from a witness, if it may be and that is better."""
    judged = _judge(options, baseline, stage, data)
    if may_go_on and not judged.verdict.is_against:
        on = yield from guided(stage, options.session)
        if on is not stage:
            stage, judged = on, _judge(options, baseline, on, data)
    if options.verdict and stage.trusted and stage.has_one_expert:
        # Witnesses still have several experts; what they say does not hold for the one that is
        # left.
        judged = _judge(options, baseline, by_itself(stage), data)
    return judged


def _judge(options: Options, baseline: Baseline, stage: Stage, data: Data) -> JudgedStage:
    found = stage.recalibration(baseline)
    verdict = judge(baseline, stage, found, data) if options.verdict else UNKNOWN
    return JudgedStage(stage, verdict, None if verdict.is_against else found)


def _first_run(model: MixtureModel, raced: Raced, options: Options) -> Plan[Stage]:
    """EM from the winning start, led by witnesses if it is to be judged."""
    splits = model.splits if options.verdict else None
    model = replace(model, gate_bank=model.gate_bank.with_whole_steps())
    witnesses = call_witnesses(model.recipe, model.data, splits, raced.start)
    return run_witnessed(
        model, model.begin(raced.resp), witnesses, options.session, ahead=raced.run
    )


def _grown(
    first: Stage, baseline: Baseline, won: frozenset[str], options: Options
) -> Plan[tuple[GrowthPath | None, Stage | None]]:
    """The path to a number of experts, if that is to be found, and the stage kept; None for one."""
    growth = options.growth
    if growth is None:
        return None, first
    path = GrowthPath(baseline, first.model.data, [first])
    recipes = partial(recipe_of_number, growth.recipes, won)
    return path, (yield from grow(path, recipes, growth.most, options.session))


def _winner(entry: Entry, options: Options) -> Plan[Winner]:
    """The race of the starts and the trials of its winner, on a sample if the table is large."""
    training, recipe, starts, baseline = entry
    rows = training.sample(RACE_ROWS)
    if rows is None or (len(starts) == 1 and not options.spares):
        return (yield from _race_and_try(entry, options))
    there, raced, won = yield from _race_and_try(entry.take(rows), options)
    data = training.data
    model = build_model(with_parts(recipe, options.trials, won), data, training.splits)
    resp = yield from assigned(there, raced.run, data, rows)
    if resp is None:
        arguments = model.recipe, data, baseline.surprise
        resp = yield from do(raced.start.responsibilities, *arguments)
    return Winner(model, replace(raced, run=model.begin(resp), resp=resp), won)


def _race_and_try(entry: Entry, options: Options) -> Plan[Winner]:
    """The best start, with the parts of the trials that have won."""
    training, recipe, starts, baseline = entry
    model = build_model(recipe, training.data, training.splits)
    if len(recipe.templates) == 1:
        model = replace(model, baseline_fit=baseline.bank)
    raced = yield from race(model, baseline, options.session, starts, options.spares)
    return (yield from try_all(options.trials, model, raced, options.session))


def fitted_attributes(fit: Fit) -> dict[str, Any]:
    """Fitted attributes that describe the mixture and how it was found."""
    found, result = fit.kept, fit.result
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
        "n_experts_path_": None if fit.path is None else fit.path.scores_by_number(),
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
