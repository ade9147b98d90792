"""Does the gate help, and how long should EM go on? Witnesses that never saw the rows they score.

The bound of cross-fitted EM is optimistic: the responsibilities that train the experts of one fold
were computed, an iteration earlier, by experts that had seen that fold. Where experts have many
parameters, iteration after iteration can raise the bound by this echo alone.

So each fold has a witness: EM that runs in step with the fit, on the other folds only, from the
same kind of start made anew from them, and scores the rows of its fold after each iteration. Their
mean log density is what the fit raises in place of the bound. It says which iteration to keep and,
where no fold has a say in the choice of its own iteration, what the mixture gains over one expert
on the same folds. With five witnesses, an iteration takes about six times the fits of one without.
On large tables two folds hold rows enough, and the others have no witness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ._baseline import Baseline
from ._content import uniform_by_content
from ._em import EMResult, EMRule, Model, run_em
from ._experts import Data, ExpertError
from ._folds import Splits, keep_rows
from ._initialization import Start, surprise_of
from ._mixture import MixtureExpectation, MixtureModel, MixtureState
from ._noise import Forecast, Question, learning_left
from ._numeric import Array, mean_and_stderr, normalize, weighted_mean
from ._plans import Plan, attempt, do, together
from ._progress import Reporter
from ._recipe import Recipe
from ._validation import read_only, take_rows

T = TypeVar("T")
# From an expectation to first responsibilities for a recipe with another number of experts.
Move = Callable[[Recipe, Data, MixtureExpectation], Array]

# Iterations without a better score. Witnesses are dear, and the more iterations there are to choose
# from, the more luck is in the best score.
PATIENCE = 3
# Nats that are no difference.
ROUNDING = 1e-9
# Distinct rows that are enough to judge by. Other folds of equal standing need no witness then.
ENOUGH_ROWS = 3000
# Distinct rows without which starts cannot tell experts apart.
LEAST_ROWS = 2


@dataclass(frozen=True, eq=False)
class Verdict:
    """Mean log density of unseen rows, its gain over one expert, and the gain's standard error.

    All are per unit of sample weight, in nats. `log_probs` (n,) are those of each row by what
    is kept, NaN where nobody was asked; none if there is no verdict.
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


@dataclass(frozen=True, eq=False)
class Stage:
    """A finished run of EM with some number of experts.

    `fold_log_probs` (n_iter, F) are log densities of each fold's rows by its witness, summed.
    Without witnesses it is None. `trouble` is what went wrong, if one of them or an expert failed.
    """

    recipe: Recipe
    model: MixtureModel
    result: EMResult
    fold_log_probs: Array | None = None
    witnesses: Sequence[Witness] = ()
    trouble: str | None = None
    trusts_witnesses: bool = True

    @property
    def forecasts(self) -> list[Forecast]:
        """What the witnesses say of rows that they have not seen, if it holds for the run."""
        told = [witness.forecast for witness in self.witnesses] if self.trusts_witnesses else []
        return [forecast for forecast in told if forecast is not None]

    @property
    def forecast_log_prob(self) -> Array:
        """Log density (n,) of unseen rows, each after the iteration that the other folds chose."""
        log_prob = np.full(self.model.data.n_samples, np.nan)
        for witness in self.witnesses:
            log_prob[witness.test] = witness.forecast_log_prob
        return log_prob if self.trusts_witnesses else self.unseen

    @property
    def n_experts(self) -> int:
        """Number of experts left that the gate chooses from."""
        return len(self.result.expectation.members) - self.recipe.shared

    @property
    def unseen(self) -> Array:
        """Log density (n,) of unseen rows: NaN where no witness was asked, out of fold without."""
        expectation = self.result.expectation
        held_out = expectation.held_out
        return expectation.log_evidence if held_out is None else held_out


def run_witnessed(
    recipe: Recipe,
    model: MixtureModel,
    resp: Array,
    witnesses: Plan[list[Witness]],
    rule: EMRule,
    reporter: Reporter,
    ahead: EMResult | None = None,
) -> Plan[Stage]:
    """Run EM from first responsibilities, led by the witnesses that are called, if any come.

    Without witnesses it may go on from a run that is already `ahead`.
    """
    trouble = None
    try:
        called = yield from witnesses
        if called:
            ahead = None  # its arrays are as large as the table
            led, patient = WitnessedModel(model, called), replace(rule, patience=PATIENCE)
            stage_of = partial(_led_stage, recipe, led)
            return (yield from _run(led, model.expect(resp), patient, stage_of, reporter))
    except WitnessError as error:
        # The fit itself is sound; only a witness, who works on fewer rows, has failed.
        trouble = f"No verdict: {error}"
    stage_of = partial(Stage, recipe, model, trouble=trouble)
    run = _run(model, ahead or model.expect(resp), rule, stage_of, reporter)
    del resp, ahead  # as large as the table
    return (yield from run)


def _run(
    model: Model,
    start: MixtureExpectation | EMResult,
    rule: EMRule,
    stage_of: Callable[[EMResult], Stage],
    reporter: Reporter,
) -> Plan[Stage]:
    """The stage of a run of EM, of which the reporter hears; it ends where an expert fails."""
    latest = [start] if isinstance(start, EMResult) else []

    def hear(result: EMResult) -> bool:
        latest[:] = [result]
        return reporter.iteration(stage_of(result), rule.max_iter)

    run = run_em(model, start, rule, hear)
    del start  # its responsibilities are as large as the table
    with reporter.run(rule.max_iter):
        try:
            return stage_of((yield from run))
        except ExpertError as error:
            if not latest:
                raise
            stage = stage_of(replace(latest[0], reason="error"))
            trouble = f"EM ended after iteration {stage.result.n_iter}: {error}"
            return replace(stage, trouble=" ".join(filter(None, (stage.trouble, trouble))))


def _led_stage(recipe: Recipe, led: WitnessedModel, result: EMResult) -> Stage:
    return Stage(recipe, led.model, result, np.array(led.fold_log_probs), led.witnesses)


def judge(baseline: Baseline, stage: Stage, data: Data) -> Verdict:
    """The verdict on a finished run; unknown where nothing was held out."""
    result, by_fold = stage.result, stage.fold_log_probs
    held_out = result.expectation.held_out
    if len(result.state.members) == 1 and held_out is None:
        return alone_verdict(baseline, data)
    if held_out is None or by_fold is None:
        return UNKNOWN
    heard = ~np.isnan(held_out)
    weight, clusters = data.sample_weight[heard], data.clusters[heard]
    alone, delta = baseline.log_prob[heard], (held_out - baseline.log_prob)[heard]
    stderr = mean_and_stderr(delta, weight, clusters)[1]
    log_prob = unseen_best(by_fold) / weight.sum()
    gain = log_prob - float(weighted_mean(alone, weight))
    verdict = Verdict(log_prob, gain, stderr, stage.forecast_log_prob)
    if verdict.is_against:
        return replace(verdict, log_probs=np.where(heard, baseline.log_prob, np.nan))
    return verdict


def verdict_text(verdict: Verdict, n_experts: int) -> str:
    """Why one expert was kept in place of the mixture."""
    return (
        f"One expert explains unseen rows better than the mixture of {n_experts} does (gain_="
        f"{verdict.gain:.3g}, gain_stderr_={verdict.stderr:.2g}), and is kept alone: n_experts_=1. "
        "Use fewer or simpler experts, or more rows; verdict=False keeps the mixture."
    )


def alone_verdict(baseline: Baseline, data: Data) -> Verdict:
    """The verdict on one expert."""
    log_prob = float(weighted_mean(baseline.log_prob, data.sample_weight))
    return Verdict(log_prob, 0.0, 0.0, baseline.log_prob)


def unseen_best(fold_log_probs: Array) -> float:
    """Total of (n_iter, F) in which each fold's iteration is chosen by the other folds.

    The best of several iterations owes something to luck; so each fold's iteration is chosen by the
    other folds, which removes selection bias.
    """
    chosen = (fold_log_probs.sum(axis=1, keepdims=True) - fold_log_probs).argmax(axis=0)
    return float(fold_log_probs[chosen, np.arange(len(chosen))].sum())


class WitnessedModel:
    """The model of a fit, whose E-steps are scored by witnesses."""

    def __init__(self, model: MixtureModel, witnesses: list[Witness]) -> None:
        self.model, self.witnesses = model, witnesses
        self.held_out = np.full(model.data.n_samples, np.nan)
        self.fold_log_probs: list[list[float]] = []
        self.best = -np.inf

    def m_step(self, expectation: MixtureExpectation) -> Plan[MixtureState]:
        """That of the model, while the witnesses go one iteration further."""
        witnesses = [_blamed_on_witness(witness.advance()) for witness in self.witnesses]
        state, *log_probs = yield from together(self.model.m_step(expectation), *witnesses)
        self.held_out = np.full(self.model.data.n_samples, np.nan)
        for witness, log_prob in zip(self.witnesses, log_probs, strict=True):
            self.held_out[witness.test] = log_prob
        return state

    def conclude(self, state: MixtureState) -> tuple[MixtureState, MixtureExpectation]:
        """What the model does, with the score that the witnesses gave the state."""
        weight, held_out = self.model.data.sample_weight, self.held_out
        by_fold = [float(held_out[w.test] @ weight[w.test]) for w in self.witnesses]
        self.fold_log_probs.append(by_fold)
        total = sum(by_fold)
        score = total / sum(float(weight[w.test].sum()) for w in self.witnesses)
        for witness, own in zip(self.witnesses, by_fold, strict=True):
            # A forecast has to be innocent of its rows, so others choose its iteration.
            if total - own > witness.score_of_others:
                witness.score_of_others, witness.forecast = total - own, witness.latest_forecast
                witness.forecast_log_prob = self.held_out[witness.test]
            if score > self.best:
                witness.best = witness.expectation
        self.best = max(self.best, score)
        kept, expectation = self.model.conclude(state)
        return kept, replace(expectation, score=score, held_out=held_out)


class Witness:
    """EM on all folds but one, and the score of that one; an heir goes on from its `best`."""

    expectation: MixtureExpectation
    best: MixtureExpectation
    latest_forecast: Forecast | None = None
    # Of the iteration that the other folds score highest: the forecast, their score, log densities.
    forecast: Forecast | None = None
    score_of_others = -np.inf
    forecast_log_prob: Array | float = np.nan

    def __init__(self, recipe: Recipe, data: Data, splits: Splits, fold: int) -> None:
        self.whole, self.fold = splits, fold
        self.train, self.test = splits[fold]
        taken = recipe.take(self.train, data.n_samples)
        self.recipe = replace(taken, calibrates=False, leans=False)
        self.X, self.target = read_only(take_rows(data.X, self.test)), data.target[self.test]
        self.splits = _inner_splits(splits, fold, data.n_samples)
        if self.splits is None:
            self.recipe = replace(self.recipe, family=self.recipe.family.in_sample_law())
        self.model = self.recipe.build(data.take(self.train), self.splits)
        if len(self.model.data.distinct) < LEAST_ROWS:
            raise ValueError(
                "too few distinct rows are left for witnesses: without its fold, one of them has a "
                "single one. Use more rows; verdict=False asks for no witnesses."
            )
        # In sample its dispersions would say nothing of those of the fit.
        is_asked = recipe.needs_forecasts and self.splits is not None
        self.question = Question(data, self.test, learning_left(len(splits))) if is_asked else None

    def begin(self, start: Start) -> Plan[None]:
        """Make the start anew from the rows that the witness may see."""
        seen = self.model.data
        surprise = partial(surprise_of, self.recipe, seen, self.splits)
        resp = yield from do(start.responsibilities, self.recipe, seen, surprise, self.train)
        self.expectation = self.model.expect(resp)

    def advance(self) -> Plan[Array]:
        """Log density of the fold's rows after one more iteration."""
        state = yield from self.model.m_step(self.expectation)
        state, self.expectation = self.model.conclude(state)
        if self.model.wanders:  # as what is kept of the fit will be
            state, _ = self.model.settled(state)
        said = yield from self.model.predict_new(state, self.X)
        self.latest_forecast = None if self.question is None else self.question.answer(*said)
        return self._normalized(*said, self.target)[1]

    def responsibilities(self, data: Data) -> Plan[Array]:
        """Responsibilities (n, K) of all rows of `data` under the best mixture of the witness."""
        state = yield from self.model.m_step(self.best)
        said = yield from self.model.predict_new(state, data.X)
        return self._normalized(*said, data.target)[0]

    def _normalized(
        self, log_gate: Array, mean: Array, law: Array, target: NDArray
    ) -> tuple[Array, Array]:
        """Responsibilities (m, S) and log densities (m,)."""
        return normalize(log_gate + self.recipe.family.log_prob(target, mean, law))


def call_witnesses(
    recipe: Recipe, data: Data, splits: Splits | None, start: Start
) -> Plan[list[Witness]]:
    """Witnesses for the folds that need one, with their start; none where no row is held out."""
    if splits is None or len(recipe.templates) == 1:
        return []
    with _as_witness_error():
        folds = range(n_witnesses(data, splits))
        witnesses = [Witness(recipe, data, splits, fold) for fold in folds]
    yield from together(*(_blamed_on_witness(witness.begin(start)) for witness in witnesses))
    return witnesses


def call_heirs(stage: Stage, recipe: Recipe, move: Move) -> Plan[list[Witness]]:
    """Witnesses of the same folds for another recipe, who `move` on from those of `stage`."""
    heirs = []
    for old in stage.witnesses:
        with _as_witness_error():
            heir = Witness(recipe, stage.model.data, old.whole, old.fold)
        resp = yield from _blamed_on_witness(do(move, heir.recipe, heir.model.data, old.best))
        heir.expectation = heir.model.expect(_of_width(resp, heir.recipe, heir.model.data))
        heirs.append(heir)
    return heirs


def _of_width(resp: Array, recipe: Recipe, data: Data) -> Array:
    """Responsibilities (n, K) for the recipe, from those of a witness that had lost experts.

    What is missing is taken at random from the largest; what is too much goes to the smallest.
    """
    n_routed = recipe.n_routed
    routed, shared = np.split(resp, [resp.shape[1] - recipe.shared], axis=1)
    while routed.shape[1] != n_routed:
        order = np.argsort(data.sample_weight @ routed, kind="stable")
        if routed.shape[1] < n_routed:
            gone = uniform_by_content(data.hashes, recipe.seed + routed.shape[1]) < 0.5
            part = np.where(gone, routed[:, order[-1]], 0.0)
            routed = np.column_stack([routed, part])
            routed[:, order[-1]] -= part
        else:
            routed[:, order[1]] += routed[:, order[0]]
            routed = np.delete(routed, order[0], axis=1)
    return np.hstack([routed, shared])


def n_witnesses(data: Data, splits: Splits) -> int:
    """How many folds, from the first on, get a witness; two at least, to judge one another."""
    if not splits.dealt:
        return len(splits)
    held = np.cumsum([len(np.unique(data.rank[test])) for test in splits.tests])
    return int(np.clip(np.searchsorted(held, ENOUGH_ROWS) + 1, 2, len(splits)))


class WitnessError(ValueError):
    """What went wrong in a witness."""


@contextmanager
def _as_witness_error() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise WitnessError(str(error)) from error


def _blamed_on_witness(plan: Plan[T]) -> Plan[T]:
    """The plan, whose errors, and those of its jobs, are a witness's."""
    result = yield from attempt(plan, ValueError)
    with _as_witness_error():
        if isinstance(result, ValueError):
            raise result
    return result


def _inner_splits(splits: Splits, fold: int, n_samples: int) -> Splits | None:
    """The other folds, as a split of the fold's training rows; none if only one is left."""
    inner = keep_rows(splits, splits[fold][0], n_samples, without=fold)
    return inner if all(len(train) for train, _ in inner) else None
