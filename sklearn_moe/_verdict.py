"""Does the gate help, and how long should EM go on? Witnesses that never saw the rows they score.

The bound of cross-fitted EM is optimistic: the responsibilities that train the experts of one fold
were computed, an iteration earlier, by experts that had seen that fold. Where experts have many
parameters, iteration after iteration can raise the bound by this echo alone.

So each fold has a witness: EM that runs in step with the fit, on the other folds only, from the
same kind of start made anew from them, and scores the rows of its fold after each iteration. Their
mean log density is what the fit raises in place of the bound. It says which iteration to keep and,
where no fold has a say in the choice of its own iteration, what the mixture gains over one expert
on the same folds. With five witnesses, an iteration costs about five times one without. On large
tables two folds hold rows enough, and the others have no witness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ._baseline import Baseline
from ._em import EMResult, EMRule, run_em
from ._experts import Data
from ._folds import Splits, keep_rows
from ._initialization import Race, Start, surprise_of
from ._mixture import MixtureExpectation, MixtureModel, MixtureState
from ._numeric import Array, clustered_stderr, log_normalize
from ._plans import Plan, do, together
from ._recipe import Recipe
from ._validation import take_rows

T = TypeVar("T")

# Iterations without a better score. Witnesses are dear, and the more iterations there are to choose
# from, the more luck is in the best score.
PATIENCE = 3
# Distinct rows that are enough to judge by. Other folds of equal standing need no witness then.
ENOUGH_ROWS = 3000


@dataclass(frozen=True)
class Verdict:
    """Mean log density of unseen rows, its gain over one expert, and the gain's standard error.

    All are per unit of sample weight, in nats.
    """

    log_prob: float
    gain: float
    stderr: float

    @property
    def is_against(self) -> bool:
        """Whether one expert is better, beyond two standard errors."""
        return self.gain < -2 * self.stderr


UNKNOWN = Verdict(np.nan, np.nan, np.nan)


def run_witnessed(
    model: MixtureModel,
    recipe: Recipe,
    heat: Race,
    rule: EMRule,
    on_iteration: Callable[[EMResult], bool | None],
) -> Plan[tuple[EMResult, Array | None, str | None]]:
    """Run EM from the winning start, led by witnesses where rows can be held out.

    Also returns what the witnesses said: the log density of each fold's rows (n_iter, F), summed;
    and why there are none, if one of them failed.
    """
    trouble = None
    if model.splits is not None and len(recipe.templates) > 1:
        try:
            witnesses = yield from call_witnesses(recipe, model.data, model.splits, heat.start)
            witnessed = WitnessedModel(model, witnesses)
            patient = replace(rule, patience=PATIENCE)
            result = yield from run_em(witnessed, model.expect(heat.resp), patient, on_iteration)
            return result, np.array(witnessed.said), None
        except WitnessError as error:
            # The fit itself is sound; only a witness, who works on fewer rows, has failed.
            trouble = f"No verdict: {error}"
    return (yield from run_em(model, heat.winner, rule, on_iteration)), None, trouble


def judge(baseline: Baseline, result: EMResult, said: Array | None, data: Data) -> Verdict:
    """The verdict on a finished run; unknown where nothing was held out."""
    held_out = result.expectation.held_out
    if len(result.state.members) == 1 and held_out is None:
        return Verdict(_mean(baseline.log_prob, data.sample_weight), 0.0, 0.0)
    if held_out is None or said is None:
        return UNKNOWN
    heard = ~np.isnan(held_out)
    weight, clusters = data.sample_weight[heard], data.clusters[heard]
    alone, delta = baseline.log_prob[heard], (held_out - baseline.log_prob)[heard]
    stderr = clustered_stderr(delta - _mean(delta, weight), weight, clusters)
    log_prob = unseen_best(said) / weight.sum()
    return Verdict(log_prob, log_prob - _mean(alone, weight), stderr)


def _mean(values: Array, weight: Array) -> float:
    return float(values @ weight) / weight.sum()


def unseen_best(said: Array) -> float:
    """Total of `said` (n_iter, F) in which each fold's iteration is chosen by the other folds.

    The best of several iterations owes something to luck; of a choice in which it has no part, a
    fold speaks without.
    """
    chosen = (said.sum(axis=1, keepdims=True) - said).argmax(axis=0)
    return float(said[chosen, np.arange(said.shape[1])].sum())


class WitnessedModel:
    """The model of a fit, whose E-steps are scored by witnesses."""

    def __init__(self, model: MixtureModel, witnesses: list[Witness]) -> None:
        self.model, self.witnesses = model, witnesses
        self.held_out = np.full(model.data.n_samples, np.nan)
        self.said: list[list[float]] = []

    def m_step(self, expectation: MixtureExpectation) -> Plan[MixtureState]:
        """That of the model, while the witnesses go one iteration further."""
        witnesses = [_excused(witness.advance()) for witness in self.witnesses]
        state, *log_probs = yield from together(self.model.m_step(expectation), *witnesses)
        self.held_out = np.full(self.model.data.n_samples, np.nan)
        for witness, log_prob in zip(self.witnesses, log_probs, strict=True):
            self.held_out[witness.test] = log_prob
        return state

    def e_step(self, state: MixtureState) -> MixtureExpectation:
        """That of the model, with the score that the witnesses gave it."""
        weight, held_out = self.model.data.sample_weight, self.held_out
        self.said.append([float(held_out[w.test] @ weight[w.test]) for w in self.witnesses])
        heard = sum(float(weight[w.test].sum()) for w in self.witnesses)
        score = sum(self.said[-1]) / heard
        return replace(self.model.e_step(state), score=score, held_out=held_out)

    def kept(self, state: MixtureState) -> MixtureState:
        """That of the model."""
        return self.model.kept(state)


class Witness:
    """EM on all folds but one, and the score of that one."""

    def __init__(self, recipe: Recipe, data: Data, splits: Splits, fold: int) -> None:
        self.train, self.test = splits[fold]
        self.recipe = recipe.take(self.train, data.n_samples)
        self.X, self.target = take_rows(data.X, self.test), data.target[self.test]
        self.splits = _inner_splits(splits, fold, data.n_samples)
        if self.splits is None:
            self.recipe = replace(self.recipe, family=self.recipe.family.in_sample_law())
        self.model = self.recipe.build(data.take(self.train), self.splits)

    def begin(self, start: Start) -> Plan[None]:
        """Make the start anew from the rows that the witness may see."""
        seen = self.model.data
        surprise = partial(surprise_of, self.recipe, seen, self.splits)
        resp = yield from do(start.responsibilities, self.recipe, seen, surprise, self.train)
        self.expectation = self.model.expect(resp)

    def advance(self) -> Plan[Array]:
        """Log density of the fold's rows after one more iteration."""
        state = yield from self.model.m_step(self.expectation)
        self.expectation = self.model.e_step(state)
        log_gate, mean, law = yield from self.model.predict_new(state, self.X)
        log_prob = self.recipe.family.log_prob(self.target, mean, law)
        return log_normalize(log_gate + log_prob)[1]


def call_witnesses(recipe: Recipe, data: Data, splits: Splits, start: Start) -> Plan[list[Witness]]:
    """Witnesses for the folds that need one, with their start."""
    with _as_witness_error():
        folds = range(n_witnesses(data, splits))
        witnesses = [Witness(recipe, data, splits, fold) for fold in folds]
    yield from together(*(_excused(witness.begin(start)) for witness in witnesses))
    return witnesses


def n_witnesses(data: Data, splits: Splits) -> int:
    """How many folds, from the first on, get a witness; two at least, to judge one another."""
    if not splits.dealt:
        return len(splits)
    held = np.cumsum([len(np.unique(data.rank[test])) for _, test in splits])
    return int(np.clip(np.searchsorted(held, ENOUGH_ROWS) + 1, 2, len(splits)))


class WitnessError(ValueError):
    """What went wrong in a witness."""


@contextmanager
def _as_witness_error() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise WitnessError(str(error)) from error


def _excused(plan: Plan[T]) -> Plan[T]:
    """The plan, whose errors, and those of its jobs, are a witness's."""
    answer: Any = None
    while True:
        try:
            with _as_witness_error():
                jobs = plan.send(answer)
        except StopIteration as stop:
            return stop.value
        answer = yield [(_run_excused, job) for job in jobs]


def _run_excused(function: Callable[..., Any], arguments: tuple) -> Any:
    with _as_witness_error():
        return function(*arguments)


def _inner_splits(splits: Splits, fold: int, n_samples: int) -> Splits | None:
    """The other folds, as a split of the fold's training rows; none if only one is left."""
    others = (pair for number, pair in enumerate(splits) if number != fold)
    inner = keep_rows(others, splits[fold][0], n_samples)
    return inner if all(len(train) for train, _ in inner) else None
