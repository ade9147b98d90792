"""Witnesses, who lead EM by rows that they have never seen.

The bound of cross-fitted EM is optimistic: the responsibilities that train the experts of one fold
were computed, an iteration earlier, by experts that had seen that fold. Where experts have many
parameters, iteration after iteration can raise the bound by this echo alone.

So each fold has a witness: a second EM that runs in step with the fit, on the other folds only,
from the same kind of start, made anew from these, and scores the rows of its fold after each
iteration. Their mean log density is what the fit raises in place of the bound. With five witnesses,
an iteration takes about six times as many fits as without. On large tables two folds hold rows
enough, and the others have no witness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ._baseline import fit_baseline
from ._content import uniform_by_content
from ._data import Data
from ._em import DIGITS, EMRule
from ._expectation import Dealt, MixtureExpectation
from ._first_starts import Start
from ._folds import Splits, content_folds, group_folds, keep_rows
from ._forecasts import Forecast, Question
from ._mixture import MixtureModel, MixtureState, build_model
from ._numeric import Array, normalize
from ._plans import Plan, attempt, do, together
from ._race import run_starts, winner_of
from ._recipe import Recipe
from ._rows import read_only, take_rows

T = TypeVar("T")
# Makes of an expectation what a recipe with another number of experts begins with.
Move = Callable[[Recipe, Data, MixtureExpectation], Dealt]

# Where EM is before it has begun.
NOWHERE = MixtureExpectation(resp=np.empty((0, 0)), members=())
# Distinct rows that are enough to judge by. If folds are dealt, those beyond need no witness.
WITNESS_ROWS = 3000
# The fewest distinct rows with which starts can tell experts apart.
LEAST_ROWS = 2


def by_others(by_fold: Array) -> Array:
    """Sums (..., F) over all folds but one, rounded: rounding errors must not choose by them."""
    return (by_fold.sum(axis=-1, keepdims=True) - by_fold).round(DIGITS)


class WitnessedModel:
    """The model of a fit, whose E-steps are scored by witnesses."""

    def __init__(self, model: MixtureModel, witnesses: Sequence[Witness]) -> None:
        self.model, self.witnesses = model, witnesses
        self.fold_log_probs: list[Array] = []
        self.best_score = -np.inf
        self.held_out = np.full(model.data.n_samples, np.nan)

    def m_step(self, expectation: MixtureExpectation) -> Plan[MixtureState]:
        """The M-step of the model, while the witnesses go one iteration further."""
        witnesses = [_blamed_on_witness(witness.advance()) for witness in self.witnesses]
        state, *log_probs = yield from together(self.model.m_step(expectation), *witnesses)
        self.held_out = np.full(self.model.data.n_samples, np.nan)
        for witness, log_prob in zip(self.witnesses, log_probs, strict=True):
            self.held_out[witness.test] = log_prob
        return state

    def conclude(self, state: MixtureState) -> tuple[MixtureState, MixtureExpectation]:
        """The model's conclusion, with the score that witnesses have given the state."""
        weight, held_out = self.model.data.sample_weight, self.held_out
        by_fold = np.array([held_out[w.test] @ weight[w.test] for w in self.witnesses])
        by_fold /= sum(weight[w.test].sum() for w in self.witnesses)
        self.fold_log_probs.append(by_fold)
        score = float(by_fold.sum())
        is_best = round(score, DIGITS) > self.best_score
        for witness, score_of_others in zip(self.witnesses, by_others(by_fold), strict=True):
            witness.keep_latest_if_best(score_of_others)
            if is_best:
                witness.keep_place()
        self.best_score = max(self.best_score, round(score, DIGITS))
        kept, expectation = self.model.conclude(state)
        return kept, replace(expectation, score=score, held_out=held_out)


class HeldOut(NamedTuple):
    """Log densities (m,) of a fold by its witness and, if it is asked for, a forecast."""

    log_prob: Array | float = np.nan
    forecast: Forecast | None = None


class Witness:
    """EM on all folds but one, and its scores of that one; an heir goes on from its `best`.

    The `held_out` scores are those of the iteration that the other folds score highest.
    """

    def __init__(self, recipe: Recipe, data: Data, splits: Splits, fold: int) -> None:
        self.fit_splits, self.fold = splits, fold
        self.train, self.test = splits[fold]
        taken = recipe.take(self.train, data.n_samples)
        taken = replace(taken, calibrates=False, leans=False)
        self.X, self.target = read_only(take_rows(data.X, self.test)), data.target[self.test]
        seen = data.take(self.train)
        self.splits = _inner_splits(splits, fold, data.n_samples) or _two_folds(seen)
        if self.splits is None:
            taken = replace(taken, family=taken.family.in_sample_law())
        self.model = build_model(taken, seen, self.splits)
        if len(self.model.data.distinct) < LEAST_ROWS:
            raise ValueError(
                "too few distinct rows are left for witnesses: without its fold, one of them has "
                "a single row. Use more rows; verdict=False asks for no witnesses."
            )
        # The dispersions of a witness in sample would say nothing of those of the fit.
        is_asked = recipe.needs_forecasts and self.splits is not None
        self.question = Question(data, self.test) if is_asked else None
        self.expectation = self.best = NOWHERE
        self.held_out = self.latest = HeldOut()
        self.score_of_others = -np.inf

    @property
    def recipe(self) -> Recipe:
        """The recipe of its model."""
        return self.model.recipe

    def begin(self, start: Start) -> Plan[None]:
        """Make the start anew from the rows that the witness may see."""
        surprise = yield from self._surprise([start.origin])
        arguments = self.recipe, self.model.data, surprise, self.train
        resp = yield from do(start.responsibilities, *arguments)
        self.expectation = self.model.expect(resp)

    def race(self, starts: Sequence[Start], rule: EMRule) -> Plan[None]:
        """Begin from where the best of several starts has come in a race."""
        surprise = yield from self._surprise(starts)
        _, runs = yield from run_starts(self.model, starts, surprise, rule)
        self.expectation = winner_of(runs)[1].last

    def _surprise(self, starts: Sequence[Start]) -> Plan[Array | None]:
        """How badly (n,) one expert explains the rows that the witness may see, if a start asks."""
        if not any(start.needs_surprise for start in starts):
            return None
        return (yield from fit_baseline(self.recipe, self.model.data, self.splits)).surprise

    def going_on(self) -> Witness:
        """A copy that goes on from the same place, and has scored nothing yet."""
        other = copy(self)
        other.held_out, other.score_of_others = HeldOut(), -np.inf
        return other

    def advance(self) -> Plan[Array]:
        """Log density of the fold's rows after one more iteration."""
        state = yield from self.model.m_step(self.expectation)
        state = yield from self.model.ready_for_new(state)
        state, self.expectation = self.model.conclude(state)
        if self.model.wanders:  # as the state that the fit keeps will be
            state, _ = self.model.settled(state)
        parts = yield from self.model.predict_new(state, self.X)
        forecast = None if self.question is None else self.question.answer(*parts)
        _, log_prob = self._normalized(*parts, self.target)
        self.latest = HeldOut(log_prob, forecast)
        return log_prob

    def keep_latest_if_best(self, score_of_others: float) -> None:
        """Keep the latest scores if the other folds score no earlier iteration as high.

        A fold must have no part in the choice of its forecast's iteration, so the others choose.
        """
        if score_of_others > self.score_of_others:
            self.score_of_others, self.held_out = score_of_others, self.latest

    def keep_place(self) -> None:
        """Keep where EM has come to as the best place so far."""
        self.best = self.expectation

    def responsibilities(self, data: Data) -> Plan[Array]:
        """Responsibilities (n, K) of all rows of `data` under the best mixture of the witness."""
        state = yield from self.model.m_step(self.best)
        parts = yield from self.model.predict_new(state, data.X)
        return self._normalized(*parts, data.target)[0]

    def _normalized(
        self, log_gate: Array, mean: Array, law: Array, target: NDArray
    ) -> tuple[Array, Array]:
        """Responsibilities (m, S) and log densities (m,)."""
        return normalize(log_gate + self.recipe.family.log_prob(target, mean, law))


def call_witnesses(
    recipe: Recipe, data: Data, splits: Splits | None, start: Start
) -> Plan[list[Witness]]:
    """Witnesses of the folds that need one, ready to begin; none if no row is held out."""
    if splits is None or len(recipe.templates) == 1:
        return []
    with _as_witness_error():
        folds = range(n_witnesses(data, splits))
        witnesses = [Witness(recipe, data, splits, fold) for fold in folds]
    yield from together(*(_blamed_on_witness(witness.begin(start)) for witness in witnesses))
    return witnesses


def call_heirs(
    witnesses: Sequence[Witness], recipe: Recipe, data: Data, move: Move
) -> Plan[list[Witness]]:
    """Witnesses of the same folds for another recipe, which `move` on from where these are."""
    with _as_witness_error():
        heirs = [Witness(recipe, data, old.fit_splits, old.fold) for old in witnesses]
    pairs = list(zip(heirs, witnesses, strict=True))
    moves = (do(move, heir.recipe, heir.model.data, old.best) for heir, old in pairs)
    made = yield from together(*map(_blamed_on_witness, moves))
    for (heir, old), dealt in zip(pairs, made, strict=True):
        dealt = _of_width(dealt, heir.recipe, heir.model.data)
        heir.expectation = heir.model.expect_after(old.best, dealt)
    return heirs


def _of_width(dealt: Dealt, recipe: Recipe, data: Data) -> Dealt:
    """What is `dealt`, to as many experts as the recipe has: a witness may have lost some.

    A missing expert gets half of the rows of the largest, drawn at random; if there are too many
    experts, the two smallest become one.
    """
    n_routed = recipe.n_routed
    routed, shared = np.split(dealt.resp, [dealt.resp.shape[1] - recipe.shared], axis=1)
    if routed.shape[1] == n_routed:
        return dealt
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
    return Dealt(np.hstack([routed, shared]))


def n_witnesses(data: Data, splits: Splits) -> int:
    """How many folds, from the first on, get a witness; two at least, to judge one another."""
    if not splits.dealt:
        return len(splits)
    held = np.cumsum([len(np.unique(data.rank[test])) for test in splits.tests])
    return int(np.clip(np.searchsorted(held, WITNESS_ROWS) + 1, 2, len(splits)))


class WitnessError(ValueError):
    """What went wrong in a witness."""


@contextmanager
def _as_witness_error() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise WitnessError(str(error)) from error


def _blamed_on_witness(plan: Plan[T]) -> Plan[T]:
    """The plan; its errors, and those of its jobs, become a `WitnessError`."""
    result = yield from attempt(plan, ValueError)
    with _as_witness_error():
        if isinstance(result, ValueError):
            raise result
    return result


def _inner_splits(splits: Splits, fold: int, n_samples: int) -> Splits | None:
    """The other folds, as a split of the fold's training rows; None if they are no such split.

    Only one may be left, and in a user's split a row may count twice on a training side.
    """
    kept = splits[fold][0]
    inner = keep_rows(splits, kept, n_samples, without=fold)
    is_split = inner.n_samples == len(kept) and all(len(train) for train, _ in inner)
    return inner if is_split else None


def _two_folds(data: Data) -> Splits | None:
    """Two folds of the rows, never apart for dependent rows; None if all depend on each other."""
    clusters = np.unique(data.clusters, return_inverse=True)[1]
    if not clusters.any():
        return None
    if data.has_groups:
        return group_folds(2, clusters, data.class_mass)
    return content_folds(2, data.rank, None if data.classes is None else data.target)
