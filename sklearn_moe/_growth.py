"""How many experts? As many as unseen rows ask for.

The path begins with two experts. The rows of one of them, the worst explained or the largest, are
dealt to two, and EM goes on from there with one expert more; so do the witnesses, each from its own
place. The path ends when `PATIENCE` numbers in a row have raised the density of unseen rows under
the witnesses (without these, under the fit out of fold) by less than a standard error, both before
noise is calibrated and after. The smallest number that is within a standard error of the best is
kept, one included, and experts that share their rows are merged as long as that costs less than a
standard error. Split and merge are those of SMEM (Ueda, Nakano, Ghahramani and Hinton, 2000), there
moves in sample at a given number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ._baseline import Baseline
from ._data import Data
from ._em import DIGITS, EMResult, EMRule
from ._expectation import Dealt, MixtureExpectation
from ._expert_errors import PartError
from ._first_starts import Start
from ._guided import caught_up
from ._mixture import build_model
from ._numeric import Array, Rows, mean_of_known
from ._plans import Plan, do
from ._progress import Session
from ._race import run_heats, winner_of
from ._recalibration import Scores
from ._recipe import Recipe
from ._trials import Recipes
from ._validation import last_step
from ._verdict import Stage, run_witnessed
from ._witnesses import Move, call_heirs
from .gates import HierarchicalGate
from .gates._frozen import is_frozen
from .starts import STARTS, StartContext
from .weighting import is_mixture

# Numbers of experts in a row that do not help before the path ends.
PATIENCE = 2
MOST_EXPERTS = 16
# Distinct rows that an expert needs if it is to be split.
ROWS_TO_SPLIT = 20
KINDS = ("ladder", "kmeans_xy", "residual")  # for labels, too: several ways are tried

RecipeOfNumber = Callable[[int], Recipe]


@dataclass(frozen=True)
class SplitExpert:
    """Deals the rows of one expert, the worst explained or the largest, to two by a start."""

    kind: str
    largest: bool

    def __call__(self, recipe: Recipe, data: Data, at: MixtureExpectation) -> Dealt:
        """What K + 1 experts begin with after `at`, an expectation of K experts."""
        resp = at.resp
        n_routed = resp.shape[1] - recipe.shared
        leads = resp[:, :n_routed].argmax(axis=1)
        surprise = _surprise(recipe, data, at)
        by_mass = self.largest or at.log_evidence is None
        position = _position(data, leads, n_routed, None if by_mass else surprise)
        rows = np.flatnonzero(leads == position)
        halves = np.full((len(resp), 2), 0.5)
        if np.count_nonzero(leads[data.distinct] == position) >= ROWS_TO_SPLIT:
            own, seed = surprise[rows], recipe.seed + len(recipe.templates)
            resists = recipe.family.resists_outliers
            context = StartContext.of(data.take(rows), own, 2, seed, resists)
            halves[rows] = STARTS[self.kind](context)
        parts = resp[:, [position]] * halves
        whole = _with(resp, position, parts[:, 0])
        origins = np.insert(np.arange(resp.shape[1]), n_routed, position)
        return Dealt(np.insert(whole, n_routed, parts[:, 1], axis=1), origins)


def restart(recipe: Recipe, data: Data, at: MixtureExpectation) -> Dealt:
    """What K + 1 experts begin with if those of `at` count for nothing: the ladder."""
    surprise = _surprise(recipe, data, at)
    return Dealt(Start("ladder").responsibilities(recipe, data, surprise))


def merge(recipe: Recipe, data: Data, at: MixtureExpectation) -> Dealt:
    """What K - 1 experts begin with: of K, the two that share most of their rows become one."""
    resp = at.resp
    routed = resp[:, : resp.shape[1] - recipe.shared]
    gram = routed.T @ (data.sample_weight[:, None] * routed)
    size = np.sqrt(np.maximum(np.diag(gram), np.finfo(float).tiny))
    alike = gram / np.outer(size, size)
    alike[np.tril_indices(len(alike))] = -1.0
    first, second = np.unravel_index(alike.argmax(), alike.shape)
    both = _with(resp, int(first), resp[:, first] + resp[:, second])
    origins = np.delete(np.arange(resp.shape[1]), second)
    return Dealt(np.delete(both, second, axis=1), origins)


def _with(resp: Array, position: int, column: Array) -> Array:
    changed = resp.copy()
    changed[:, position] = column
    return changed


def _surprise(recipe: Recipe, data: Data, at: MixtureExpectation) -> Array:
    """How badly (n,) the mixture explains each row; zeros if that is not known."""
    if at.log_evidence is None:
        return np.zeros(data.n_samples)
    return recipe.family.surprise(data.target, at.log_evidence)


def _position(data: Data, leads: Rows, n_routed: int, surprise: Array | None) -> int:
    """The expert whose rows are explained worst or, without `surprise`, the largest."""
    mass = np.bincount(leads, data.sample_weight, minlength=n_routed)
    rows = np.bincount(leads[data.distinct], minlength=n_routed)
    if surprise is None:
        return int(mass.argmax())
    total = np.bincount(leads, data.sample_weight * surprise, minlength=n_routed)
    mean = np.divide(total, mass, out=np.full(n_routed, -np.inf), where=mass > 0)
    mean[rows < ROWS_TO_SPLIT] = -np.inf
    return int(mean.argmax()) if np.isfinite(mean).any() else int(mass.argmax())


@dataclass(frozen=True)
class GrowthPath:
    """Stages of several numbers of experts, in order, and one expert alone for the number 1.

    Scores of unseen rows are kept in `known`.
    """

    baseline: Baseline
    data: Data
    stages: list[Stage]
    known: dict[Stage | None, Scores] = field(default_factory=dict)

    def scores(self, stage: Stage | None) -> Scores:
        """Log densities of unseen rows by a stage; by one expert for None."""
        if stage not in self.known:
            self.known[stage] = self._scores(stage)
        return self.known[stage]

    def _scores(self, stage: Stage | None) -> Scores:
        if stage is None:
            return self.stages[0].rival(self.baseline)
        return stage.scores(stage.recalibration(self.baseline))

    def advantage(self, stage: Stage | None, other: Stage | None) -> tuple[float, float]:
        """How much better `stage` explains unseen rows than `other`, and the standard error.

        Where there is nothing to gain, rounding must not decide.
        """
        delta = self.scores(stage).minus(self.scores(other), self.data.sample_weight)
        mean, stderr = self.data.mean_and_stderr(delta)
        return round(mean, DIGITS), stderr

    def best(self) -> Stage | None:
        """The stage that explains unseen rows best; None for one expert."""
        best = None
        for stage in self.stages:
            if self.advantage(stage, best)[0] > 0:
                best = stage
        return best

    def by_number(self) -> dict[int, Stage | None]:
        """The best stage of each number, in order."""
        found: dict[int, Stage | None] = {1: None}
        for stage in self.stages:
            n_experts = stage.n_experts
            if n_experts not in found or self.advantage(stage, found[n_experts])[0] > 0:
                found[n_experts] = stage
        return dict(sorted(found.items()))

    def chosen(self) -> Stage | None:
        """The stage of the smallest number that is within a standard error of the best."""
        best = self.best()
        for stage in self.by_number().values():
            gain, stderr = self.advantage(best, stage)
            if stage is best or gain <= stderr:
                return stage
        return best

    def scores_by_number(self) -> dict[int, float]:
        """Mean log density of unseen rows for each number, a shared expert included."""
        alone = mean_of_known(self.scores(None).after, self.data.sample_weight)
        stages = self.by_number().values()
        return {_n_all(stage): alone + self.advantage(stage, None)[0] for stage in stages}

    def is_over(self, most: int) -> bool:
        """Whether there are `most` experts, or the latest numbers have not helped.

        They help if scores rise before calibration or after it: either may stand still for a while.
        """
        if self.stages[-1].n_experts >= most:
            return True
        return len(self.stages) >= PATIENCE and not (self._rises() or self._before()._rises())

    def _rises(self) -> bool:
        """Whether one of the latest numbers is better than the best before, by a standard error."""
        best = replace(self, stages=self.stages[:-PATIENCE]).best()
        gains = [self.advantage(stage, best) for stage in self.stages[-PATIENCE:]]
        return any(gain > stderr for gain, stderr in gains)

    def _before(self) -> GrowthPath:
        """The path by the scores before recalibration."""
        before = {stage: self.scores(stage).before for stage in (None, *self.stages)}
        return replace(self, known={stage: Scores(each, each) for stage, each in before.items()})


def _n_all(stage: Stage | None) -> int:
    """The number of experts of a stage, a shared one included."""
    return 1 if stage is None else len(stage.result.expectation.members)


@dataclass(frozen=True)
class Growth:
    """The search for a number of experts: recipes for each number, up to `most`."""

    recipes: Recipes
    most: int


def most_experts(mixture: Any) -> int:
    """The largest number to try: with more, a row could fall below every expert's threshold."""
    threshold = mixture.min_responsibility
    if isinstance(threshold, str) or threshold <= 0:
        return MOST_EXPERTS
    return min(MOST_EXPERTS, int(np.ceil(1.0 / threshold)) - 1)


def has_number(gate: Any) -> bool:
    """Whether a gate is made for one number of experts, as frozen gates and trees of gates are."""
    return is_frozen(gate) or isinstance(last_step(gate), HierarchicalGate)


def check_growth(mixture: Any, holds_out: bool) -> None:
    """Raise if the number of experts cannot be found for `mixture`."""
    remedy = "Give a number of experts."
    if not holds_out:
        raise ValueError(
            f"n_experts='auto' needs rows held out; got cv={mixture.cv!r}. Use cv=5, or compare "
            "fits of several numbers by their `information_criteria`."
        )
    init = mixture.init
    if not (isinstance(init, str) or callable(init)):
        shape = np.shape(init)
        if len(shape) != 2 or not 2 <= shape[1] <= MOST_EXPERTS:
            raise ValueError(
                f"init with n_experts='auto' needs 2 to {MOST_EXPERTS} columns, one for each "
                f"expert to begin with; got an array of shape {shape}."
            )
    if is_mixture(mixture.experts):
        raise ValueError(
            f"n_experts='auto' is not for mixtures as experts; got {mixture.experts}. {remedy}"
        )
    if is_frozen(mixture.gate):
        raise ValueError(
            "n_experts='auto' is not for gates that were fitted before, whose number of experts is "
            f"fixed; got gate={mixture.gate}. {remedy}"
        )
    if isinstance(last_step(mixture.gate), HierarchicalGate):
        raise ValueError(
            f"n_experts='auto' is not for trees of gates; got gate={mixture.gate}. {remedy}"
        )


def grow(
    path: GrowthPath, recipes: RecipeOfNumber, most: int, session: Session
) -> Plan[Stage | None]:
    """Go on from the first stage of the path to at most `most` experts; None to keep one expert."""
    path.stages[0] = yield from caught_up(path.stages[0], session)
    reporter = session.reporter
    most = min(most, len(path.data.distinct) // ROWS_TO_SPLIT)
    while not (path.is_over(most) or reporter.was_last_run):
        stage = path.stages[-1]
        larger = yield from _if_feasible(_larger(stage, recipes(stage.n_experts + 1), session))
        if larger is None or larger.trouble or larger.n_experts <= stage.n_experts:
            break
        path.stages.append(larger)
        reporter.number(larger.n_experts, *path.advantage(larger, None))
    kept, before = path.chosen(), None
    while kept is not None and kept is not before and kept.n_experts > 2:
        if reporter.was_last_run:
            break
        recipe = recipes(kept.n_experts - 1)
        smaller = yield from _if_feasible(_move(kept, recipe, merge, session))
        if smaller is None or smaller.trouble:
            break
        path.stages.append(smaller)
        reporter.number(smaller.n_experts, *path.advantage(smaller, None))
        kept, before = path.chosen(), kept
    return kept


def _if_feasible(plan: Plan[Stage]) -> Plan[Stage | None]:
    """The plan's stage; None if an expert cannot be fitted, as fewer experts might be."""
    try:
        return (yield from plan)
    except PartError:
        return None


def _larger(stage: Stage, recipe: Recipe, session: Session) -> Plan[Stage]:
    """The stage with one more expert."""
    move = yield from _best_way(stage, recipe, session.rule)
    return (yield from _move(stage, recipe, move, session))


def _best_way(stage: Stage, recipe: Recipe, rule: EMRule) -> Plan[Move]:
    """The way to one more expert that a few iterations of EM bring to the highest bound."""
    model = build_model(recipe, stage.model.data, stage.model.splits)
    ways: list[Move] = [SplitExpert(kind, largest) for largest in (False, True) for kind in KINDS]
    ways.append(restart)
    at = stage.result.expectation
    made = yield [(way, (recipe, model.data, at)) for way in ways]
    pairs = zip(ways, made, strict=True)
    runs = {way: EMResult(model.expect_after(at, dealt)) for way, dealt in pairs}
    return winner_of((yield from run_heats(model, runs, rule)))[0]


def _move(stage: Stage, recipe: Recipe, move: Move, session: Session) -> Plan[Stage]:
    """EM with another number of experts, from where `stage` and each of its witnesses are."""
    model = build_model(recipe, stage.model.data, stage.model.splits)
    at = stage.result.expectation
    dealt = yield from do(move, recipe, model.data, at)
    begun = EMResult(model.expect_after(at, dealt))
    heirs = call_heirs(stage.witnesses, recipe, stage.model.data, move)
    moved = yield from run_witnessed(model, begun, heirs, session)
    return (yield from caught_up(moved, session))
