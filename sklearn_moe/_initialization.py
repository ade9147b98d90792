"""The race: starts of different kinds, a few iterations of EM each, the best one goes on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ._baseline import fit_baseline
from ._data import Data
from ._em import DIGITS, EMResult, EMRule, run_em
from ._expert_errors import ExpertError
from ._folds import Splits
from ._mixture import MixtureModel
from ._numeric import Array
from ._plans import Plan, attempt, follow_here, together
from ._recipe import Recipe
from .families import Categorical
from .gates import SoftmaxGate
from .starts import STARTS, StartContext, branches_apart

RACE_LENGTH = 3
# Chosen by `python -m benchmarks starts`; the figures are in docs/user_guide/starts.md.
PORTFOLIO = ("ladder", "residual", "kmeans_xy", "tree")
# Of labels, where experts and gate are linear: a ladder of ridge experts, whose law is another, is
# soon ahead and ends below. Other experts and gates do better with it.
ALL_LINEAR = ("kmeans_xy", "residual", "tree", "principal")

OnStart = Callable[[str, EMResult], Any]
OnFailure = Callable[[str, ExpertError], Any]


@dataclass(frozen=True, eq=False)
class Start:
    """Where EM may begin: a kind of start with the number of its round, or given responsibilities.

    A witness makes its start again by the same rule from the rows that it may see. If what is given
    was made with a look at the targets of all rows, it makes the start `anew` in its place.
    """

    name: str
    round: int = 0
    given: Array | None = None
    anew: Start | None = None

    @property
    def origin(self) -> Start:
        """The start that makes it anew, without responsibilities, which are large."""
        return replace(self.anew or self, given=None)

    @property
    def needs_surprise(self) -> bool:
        """Whether it looks at how badly one expert explains the rows."""
        return self.given is None and self.name == "residual"

    def responsibilities(
        self,
        recipe: Recipe,
        data: Data,
        surprise: Callable[[], Array],
        rows: NDArray[np.intp] | None = None,
    ) -> Array:
        """First responsibilities (n, K) for `data`, which holds the `rows` of the fit's table."""
        if rows is not None and self.anew is not None:
            return self.anew.responsibilities(recipe, data, surprise, rows)
        if self.given is not None:
            return self.given if rows is None else self.given[rows]
        context = StartContext.of(data, surprise, recipe.n_routed, recipe.seed + self.round)
        resp = STARTS[self.name](context)
        if (tree := recipe.tree_of_clones) is not None:
            resp = branches_apart(resp, context, tree)
        return zeros_apart(beside_shared(resp, len(recipe.templates)), recipe, data.target)


@dataclass(frozen=True)
class Race:
    """The run that has won, its start and first responsibilities, and the bound of each start."""

    run: EMResult
    start: Start
    resp: Array
    bounds: dict[str, float]


T = TypeVar("T")
# Runs of EM by what they have begun from; those that have failed are the errors that ended them.
Sound = dict[T, EMResult]
Runs = dict[T, EMResult | ExpertError]


def beside_shared(resp: Array, n_experts: int) -> Array:
    """Responsibilities (n, K) from those of routed experts, if one of the K is shared.

    It begins with an equal share.
    """
    if resp.shape[1] == n_experts:
        return resp
    share = 1.0 / n_experts
    return np.hstack([(1 - share) * resp, np.full((len(resp), 1), share)])


def zeros_apart(resp: Array, recipe: Recipe, target: Array) -> Array:
    """Responsibilities (n, K) of which experts for zeros have those of zeros, and no others.

    Starts do not know such experts. Those of amounts, if they began with zeros, would go on to
    explain them, and from amounts that an expert for zeros has begun with there may be no way back.
    """
    for_zeros = np.array([template.is_for_zeros for template in recipe.templates])
    if not recipe.family.has_point_mass or for_zeros.all() or not for_zeros.any():
        return resp
    may_be = (target == 0).all(axis=1, keepdims=True) == for_zeros
    kept = np.where(may_be, resp, 0.0)
    kept = np.where(kept.any(axis=1, keepdims=True), kept, may_be)
    return kept / kept.sum(axis=1, keepdims=True)


def kinds_of(mixture: Any, recipe: Recipe) -> tuple[str, ...]:
    """The kinds that are raced, in order. Linear experts are those that lose no rows."""
    has_linear_gate = isinstance(recipe.gate, SoftmaxGate) and mixture.gate != "auto"
    is_linear = has_linear_gate and not recipe.specialisation.loses_rows
    return ALL_LINEAR if is_linear and isinstance(recipe.family, Categorical) else PORTFOLIO


def named_starts(mixture: Any, recipe: Recipe) -> list[Start]:
    """The portfolio in turn, or so many rounds of the kind that `mixture.init` names."""
    kinds = kinds_of(mixture, recipe) if mixture.init == "auto" else (mixture.init,)
    return [Start(kinds[i % len(kinds)], round=i // len(kinds)) for i in range(mixture.n_init)]


def spare_starts(mixture: Any, starts: list[Start], recipe: Recipe) -> list[Start]:
    """Those of the portfolio that are not among the `starts`, if these were left to us.

    Without a verdict, none that asks for the one expert of all rows, whom the fit has not.
    """
    init = mixture.init
    if not isinstance(init, str) or init != "auto" or any(s.given is not None for s in starts):
        return []
    begun = {start.name for start in starts}
    others = [Start(kind) for kind in kinds_of(mixture, recipe) if kind not in begun]
    return [start for start in others if mixture.verdict or not start.needs_surprise]


def warm_start(mixture: Any, data: Data, anew: list[Start]) -> Start | None:
    """The start from what the fitted `mixture` says of the rows, if it can say it.

    It may have learnt from these very rows, so that witnesses begin `anew`.
    """
    begin = begun_by(mixture, anew)
    try:
        with warnings.catch_warnings():
            # Names that are other ones now are no mistake of the user's.
            warnings.filterwarnings("ignore", r"X (has|does not have valid) feature names")
            return Start("warm", given=mixture.responsibilities(data.X, data.y), anew=begin)
    # Experts and gates are anyone's code, and each says in its own way (IndexError, KeyError, ...)
    # that it was not made for these rows. Nothing is lost: the fit begins as it would have.
    except Exception as error:
        warnings.warn(
            "warm_start=True, but what was fitted before does not suit the new rows, so the fit "
            f"begins anew: {error}",
            UserWarning,
            stacklevel=6,
        )
        return None


def begun_by(mixture: Any, anew: list[Start]) -> Start:
    """The start that the fitted `mixture` has come from, if it is one that `init` allows.

    Another kind may lead to another optimum, of which a verdict on this one must not speak.
    """
    before, init = getattr(mixture, "_start", anew[0]), mixture.init
    is_allowed = isinstance(init, str) and init in ("auto", before.name) and before.name in STARTS
    return before if is_allowed else anew[0]


def race(
    model: MixtureModel,
    recipe: Recipe,
    surprise: Callable[[], Array],
    rule: EMRule,
    on_start: OnStart,
    on_failure: OnFailure,
    starts: list[Start],
) -> Plan[Race]:
    """Run all starts for one iteration, the better half for a few more; the best of them wins.

    Those under which an expert cannot be fitted are out of it; if all are, the error is raised.
    """
    made = yield [(start.responsibilities, (recipe, model.data, surprise)) for start in starts]
    first = dict(zip(starts, made, strict=True))
    begun = {start: EMResult(model.expect(resp)) for start, resp in first.items()}
    runs = yield from run_heats(model, begun, rule)
    for start in starts:
        if isinstance(run := runs[start], ExpertError):
            on_failure(start_name(start), run)
        else:
            on_start(start_name(start), run)
    sound = sound_of({start: runs[start] for start in starts})
    winner = by_bound(sound)[0]
    bounds = {start_name(start): run.lower_bound for start, run in sound.items()}
    return Race(sound[winner], winner, first[winner], bounds)


def race_or_spare(
    race_of: Callable[[list[Start]], Plan[Race]],
    starts: list[Start],
    spares: Sequence[Start],
    on_failure: OnFailure,
) -> Plan[Race]:
    """The race of the starts or, if all of them fail, of one spare start after the other."""
    for spare in spares:
        heat = yield from attempt(race_of(starts), ExpertError)
        if not isinstance(heat, ExpertError):
            return heat
        on_failure(start_name(starts[-1]), heat)
        starts = [spare]
    return (yield from race_of(starts))


def run_heats(model: MixtureModel, begun: Sound[T], rule: EMRule) -> Plan[Runs[T]]:
    """EM for one iteration from what each has begun with, for a few more from the better half."""
    runs = yield from run_all(model, begun, replace(rule, max_iter=1))
    leaders = by_bound(sound_of(runs))[: (len(runs) + 1) // 2]
    ahead = sound_of({start: runs.pop(start) for start in leaders})
    short = replace(rule, max_iter=min(RACE_LENGTH, rule.max_iter))
    return runs | (yield from run_all(model, ahead, short))


def run_all(model: MixtureModel, begun: Sound[T], rule: EMRule) -> Plan[Runs[T]]:
    """EM from what each has begun with, all in step.

    `begun` is emptied: what each has begun with is as large as the table.
    """
    starts = list(begun)
    runs = [attempt(run_em(model, at, rule), ExpertError) for at in begun.values()]
    begun.clear()
    return dict(zip(starts, (yield from together(*runs)), strict=True))


def by_bound(runs: Sound[T]) -> list[T]:
    """The keys by bound, the highest first; level ones, but for rounding, stay in order."""
    return sorted(runs, key=lambda each: -round(float(runs[each].lower_bound), DIGITS))


def sound_of(runs: Runs[T]) -> Sound[T]:
    """The runs that have not failed; an error if all have."""
    sound = {start: run for start, run in runs.items() if isinstance(run, EMResult)}
    if not sound:
        raise next(run for run in runs.values() if isinstance(run, ExpertError))
    return sound


def start_name(start: Start) -> str:
    """The kind of the start and, after its first round, the number of the round."""
    return f"{start.name}-{start.round + 1}" if start.round else start.name


def surprise_of(recipe: Recipe, data: Data, splits: Splits | None) -> Array:
    """How badly (n,) one expert explains each row of `data`."""
    return follow_here(fit_baseline(recipe, data, splits)).surprise
