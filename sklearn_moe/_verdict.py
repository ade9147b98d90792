"""Does the gate help, and how long should EM go on? A run of EM, and the scores by witnesses.

These say which iteration to keep. With each fold's iteration chosen by the other folds, they also
say what the mixture gains over one expert on the same folds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np

from ._baseline import Baseline
from ._calibrated_noise import learning_left
from ._data import Data
from ._em import EMResult, Model, run_em
from ._expert_errors import PartError
from ._forecasts import Forecast
from ._mixture import MixtureModel, MixtureState
from ._numeric import Array, weighted_mean
from ._plans import Plan
from ._progress import Session
from ._recalibration import Recalibration, Scores, recalibrate, scores_alone
from ._recipe import Recipe
from ._witnesses import Witness, WitnessedModel, WitnessError, by_others

# Iterations without a better score that end a run. Witnesses are dear, and the more iterations
# there are to choose from, the more luck is in the best score.
LED_PATIENCE = 3
# A difference in nats that is none.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Verdict:
    """Mean log density of unseen rows, the gain over one expert, and the gain's standard error.

    All are per unit of sample weight, in nats. The gain compares the mixture and the expert as they
    would be kept, recalibrated by unseen rows. `log_probs` (n,) are log densities of the rows under
    whichever is kept, NaN where no witness was asked; empty if there is no verdict.
    """

    log_prob: float
    gain: float
    stderr: float
    log_probs: Array = field(default_factory=lambda: np.empty(0))

    @property
    def is_against(self) -> bool:
        """Whether one expert is better, beyond two standard errors."""
        return self.gain < -2 * self.stderr - ROUNDING


UNKNOWN = Verdict(np.nan, np.nan, np.nan)


class OneIsBetter(UserWarning):
    """Says that one expert is kept in place of a mixture."""


@dataclass(frozen=True, eq=False)
class Stage:
    """A finished run of EM with some number of experts.

    `fold_log_probs` (n_iter, F) are log densities of each fold's rows by its witness, summed, per
    unit of the weight of all folds' rows; None without witnesses. `trouble` is what the user should
    know: that a witness or an expert failed, or that witnesses are far ahead.
    """

    model: MixtureModel
    result: EMResult
    fold_log_probs: Array | None = None
    witnesses: Sequence[Witness] = ()
    trouble: str | None = None
    trusts_witnesses: bool = True

    @property
    def recipe(self) -> Recipe:
        """The recipe of its model."""
        return self.model.recipe

    @property
    def trusted(self) -> Sequence[Witness]:
        """The witnesses, if what they have found holds for the run."""
        return self.witnesses if self.trusts_witnesses else ()

    @property
    def forecasts(self) -> list[Forecast]:
        """What the witnesses say of rows that they have not seen, if it holds for the run.

        A witness of a small fold may not have been asked about any row.
        """
        forecasts = [witness.held_out.forecast for witness in self.trusted]
        return [forecast for forecast in forecasts if forecast is not None and len(forecast.rows)]

    @property
    def unseen(self) -> Array:
        """Log density (n,) of unseen rows by witnesses, NaN where none was asked; else out of fold.

        A row's witness answers with the iteration that the other folds chose.
        """
        expectation = self.result.expectation
        if not self.trusted:
            held_out = expectation.held_out
            return expectation.log_evidence if held_out is None else held_out
        log_prob = np.full(self.model.data.n_samples, np.nan)
        for witness in self.trusted:
            log_prob[witness.test] = witness.held_out.log_prob
        return log_prob

    @cached_property
    def ending(self) -> tuple[MixtureState, float, Forecast | None]:
        """The state that the run keeps, its bound, and its forecast out of fold, if asked for."""
        state, bound = self.result.state, self.result.lower_bound
        if not self.model.wanders:
            return state, bound, state.forecast
        state, bound = self.model.settled(state)
        return state, bound, self.model.forecast_of(state)

    def recalibration(self, baseline: Baseline) -> Recalibration:
        """The recalibration by unseen rows, if the run ends here."""
        (_, _, own), witnessed, splits = self.ending, self.forecasts, self.model.splits
        left = learning_left(len(splits)) if witnessed and splits is not None else 1.0
        return recalibrate(self.recipe, baseline, witnessed, own, left)

    def scores(self, found: Recalibration) -> Scores:
        """Log densities of unseen rows, before and after the recalibration that was `found`."""
        unseen = self.unseen
        return Scores(unseen, found.log_probs(unseen) if self.has_forecasts else unseen)

    def rival(self, baseline: Baseline) -> Scores:
        """The scores of the one expert, which is recalibrated if the run is."""
        if self.has_forecasts:
            return scores_alone(self.recipe, baseline)
        return Scores(baseline.log_prob, baseline.log_prob)

    @property
    def has_forecasts(self) -> bool:
        """Whether there are forecasts of unseen rows; witnesses in sample only score these."""
        return bool(self.forecasts) or not self.trusted

    @property
    def has_one_expert(self) -> bool:
        """Whether all experts but one have lost their rows."""
        return len(self.result.expectation.members) == 1

    @property
    def n_experts(self) -> int:
        """Number of experts left that the gate chooses from."""
        return len(self.result.expectation.members) - self.recipe.shared


def run_witnessed(
    model: MixtureModel,
    begun: EMResult,
    witnesses: Plan[list[Witness]],
    session: Session,
    ahead: EMResult | None = None,
) -> Plan[Stage]:
    """Run EM from where it has `begun`, led by the `witnesses` that are called, if there are any.

    Without witnesses, it may go on from a run that is already `ahead`.
    """
    trouble = None
    try:
        called = yield from witnesses
        if called:
            ahead = None  # its arrays are as large as the table
            return (yield from run_led(model, begun, called, session))
    except WitnessError as error:
        # The fit itself is sound; only a witness, who works on fewer rows, has failed.
        trouble = f"No verdict: {error}"
    stage_of = partial(Stage, model, trouble=trouble)
    run = _run(model, ahead or begun, stage_of, session)
    del begun, ahead  # as large as the table
    return (yield from run)


def run_led(
    model: MixtureModel,
    start: EMResult,
    witnesses: Sequence[Witness],
    session: Session,
) -> Plan[Stage]:
    """Run EM in step with witnesses, who lead it."""
    led = WitnessedModel(model, witnesses)
    patient = replace(session, rule=replace(session.rule, patience=LED_PATIENCE))
    return _run(led, start, partial(_led_stage, led), patient)


def _run(
    model: Model,
    start: EMResult,
    stage_of: Callable[[EMResult], Stage],
    session: Session,
) -> Plan[Stage]:
    """The stage of a run of EM; the run is reported, and ends if an expert fails."""
    latest, rule, reporter = start if start.n_iter else None, session.rule, session.reporter

    def report(result: EMResult) -> bool:
        nonlocal latest
        latest = result
        return reporter.iteration(stage_of(result), rule.max_iter)

    run = run_em(model, start, rule, report)
    del start  # its responsibilities are as large as the table
    with reporter.run(rule.max_iter):
        try:
            return stage_of((yield from run))
        except PartError as error:
            if latest is None:
                raise
            stage = stage_of(replace(latest, reason="error"))
            trouble = f"EM ended after iteration {stage.result.n_iter}: {error}"
            return replace(stage, trouble=" ".join(filter(None, (stage.trouble, trouble))))


def _led_stage(led: WitnessedModel, result: EMResult) -> Stage:
    return Stage(led.model, result, np.array(led.fold_log_probs), led.witnesses)


def judge(baseline: Baseline, stage: Stage, found: Recalibration, data: Data) -> Verdict:
    """The verdict on a finished run; unknown where nothing was held out."""
    result, by_fold = stage.result, stage.fold_log_probs
    held_out = result.expectation.held_out
    if held_out is None or by_fold is None:  # no witnesses have led the fit
        is_one = stage.model.splits is not None and len(result.state.members) == 1
        return alone_verdict(stage.recipe, baseline, data) if is_one else UNKNOWN
    scores, rival = stage.scores(found), stage.rival(baseline)
    delta = scores.minus(rival, data.sample_weight)
    gain, stderr = data.mean_and_stderr(delta)
    verdict = Verdict(unseen_best(by_fold), gain, stderr, scores.after)
    if verdict.is_against:
        return replace(verdict, log_probs=np.where(np.isnan(scores.before), np.nan, rival.after))
    return verdict


def verdict_text(verdict: Verdict, n_experts: int) -> str:
    """Why one expert was kept in place of the mixture."""
    return (
        f"One expert explains unseen rows better than the mixture of {n_experts} does (gain_="
        f"{verdict.gain:.3g}, gain_stderr_={verdict.stderr:.2g}), and is kept alone: n_experts_=1. "
        "Use fewer or simpler experts, or more rows; verdict=False keeps the mixture."
    )


def alone_verdict(recipe: Recipe, baseline: Baseline, data: Data) -> Verdict:
    """The verdict on one expert."""
    log_prob = float(weighted_mean(baseline.log_prob, data.sample_weight))
    return Verdict(log_prob, 0.0, 0.0, scores_alone(recipe, baseline).after)


def unseen_best(fold_log_probs: Array) -> float:
    """Sum over folds of log densities (n_iter, F), each fold at the iteration the others choose.

    The best of several iterations owes something to luck. A fold that had no part in the choice has
    no such bias.
    """
    chosen = by_others(fold_log_probs).argmax(axis=0)
    return float(fold_log_probs[chosen, np.arange(len(chosen))].sum())
