"""Where the EM of a fit may begin, as the user asks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from inspect import signature
from itertools import chain, count, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._data import Data
from ._numeric import Array
from ._recipe import Recipe
from ._rows import take_rows
from ._table_checks import check_responsibilities
from ._training import Training
from .families import Categorical
from .gates import SoftmaxGate
from .starts import STARTS, StartContext, branches_apart

# Chosen by `python -m benchmarks starts`; the figures are in docs/user_guide/starts.md.
PORTFOLIO = ("ladder", "residual", "kmeans_xy", "tree")
# For labels, if experts and gate are linear: a ladder of ridge experts, which have another law, is
# soon ahead and ends below. Other experts and gates do better with a ladder.
ALL_LINEAR = ("kmeans_xy", "residual", "tree", "principal")
# What follows the portfolio; the other kinds would, with other seeds, begin where they did before.
BY_CHANCE = ("noisy", "random", "local", "ladder")
# The name of a start from the mixture that was fitted before.
WARM = "warm"


@dataclass(frozen=True, eq=False)
class Start:
    """Where EM may begin: a kind of start with the number of its round, or given responsibilities.

    A witness makes its start again, by the same rule, from the rows that it may see. If the
    responsibilities that are `given` owe something to the targets of all rows, the witness makes
    the start `anew` instead.
    """

    name: str
    round: int = 0
    given: Array | None = None
    anew: Start | None = None

    @property
    def label(self) -> str:
        """The kind of the start and, after its first round, the number of the round."""
        return f"{self.name}-{self.round + 1}" if self.round else self.name

    @property
    def is_warm(self) -> bool:
        """Whether it goes on from the experts of an earlier fit, each in its place."""
        return self.name == WARM

    @property
    def origin(self) -> Start:
        """The start that witnesses make anew, without responsibilities, which are large."""
        return replace(self.anew or self, given=None)

    @property
    def needs_surprise(self) -> bool:
        """Whether it looks at how badly one expert explains the rows."""
        return self.given is None and self.name == "residual"

    def responsibilities(
        self,
        recipe: Recipe,
        data: Data,
        surprise: Array | None,
        rows: NDArray[np.intp] | None = None,
    ) -> Array:
        """First responsibilities (n, K) for `data`, which holds the `rows` of the fit's table.

        A start that `needs_surprise` is told how badly (n,) one expert explains each row.
        """
        if rows is not None and self.anew is not None:
            return self.anew.responsibilities(recipe, data, surprise, rows)
        if self.given is not None:
            return self.given if rows is None else self.given[rows]
        seed, resists = recipe.seed + self.round, recipe.family.resists_outliers
        context = StartContext.of(data, surprise, recipe.n_routed, seed, resists)
        resp = STARTS[self.name](context)
        if (tree := recipe.tree_of_clones) is not None:
            resp = branches_apart(resp, context, tree)
        return zeros_apart(beside_shared(resp, len(recipe.templates)), recipe, data.target)


def starts_of(mixture: Any, X: Any, y: Any, training: Training, recipe: Recipe) -> list[Start]:
    """The starts of a fit of `mixture` to a table `X` and targets `y`, as they were given."""
    data, n_routed, n_experts = training.data, recipe.n_routed, len(recipe.templates)
    if n_routed == 1:
        return [Start("single", given=beside_shared(np.ones((data.n_samples, 1)), n_experts))]
    if mixture.warm_start and recipe.is_of(mixture):
        # An array may have been made for other rows, or for another number of experts.
        suits = np.shape(mixture.init) in ((), (training.n_given, n_routed))
        usual = [Start(kinds_of(mixture, recipe)[0])]
        anew = new_starts(mixture, X, y, training, recipe) if suits else usual
        if (warm := warm_start(mixture, data, anew, recipe)) is not None:
            return [warm]
    return new_starts(mixture, X, y, training, recipe)


def new_starts(mixture: Any, X: Any, y: Any, training: Training, recipe: Recipe) -> list[Start]:
    """The starts that `init` asks for."""
    if isinstance(mixture.init, str):
        return named_starts(mixture, recipe)
    name, resp, shape = "array", mixture.init, (training.n_given, recipe.n_routed)
    if callable(resp):
        _check_takes_four(resp)
        name, resp = "callable", resp(X, y, recipe.n_routed, recipe.seed)
    resp = take_rows(check_responsibilities(name, resp, *shape), training.kept)
    return [Start(name, given=beside_shared(resp, len(recipe.templates)))]


def beside_shared(resp: Array, n_experts: int) -> Array:
    """Responsibilities (n, K) from those of routed experts, if one of the K is shared.

    The shared expert begins with an equal share.
    """
    if resp.shape[1] == n_experts:
        return resp
    share = 1.0 / n_experts
    return np.hstack([(1 - share) * resp, np.full((len(resp), 1), share)])


def zeros_apart(resp: Array, recipe: Recipe, target: Array) -> Array:
    """Responsibilities (n, K) that give zeros to experts for zeros, and other rows to the others.

    Starts do not know such experts. Experts for amounts, if they began with zeros, would go on to
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
    """The kinds that are raced, in order. Experts that lose no rows count as linear."""
    has_linear_gate = isinstance(recipe.gate, SoftmaxGate) and mixture.gate != "auto"
    is_linear = has_linear_gate and not recipe.specialisation.loses_rows
    return ALL_LINEAR if is_linear and isinstance(recipe.family, Categorical) else PORTFOLIO


def named_starts(mixture: Any, recipe: Recipe) -> list[Start]:
    """The portfolio, all other kinds, and rounds by chance; or rounds of the kind that is named."""
    if mixture.init != "auto":
        return [Start(mixture.init, round=i) for i in range(mixture.n_init)]
    firsts = (Start(kind) for kind in all_kinds(mixture, recipe))
    rounds = (Start(kind, round=i) for i in count(1) for kind in BY_CHANCE)
    return list(islice(chain(firsts, rounds), mixture.n_init))


def all_kinds(mixture: Any, recipe: Recipe) -> list[str]:
    """All kinds of starts, those of the portfolio first."""
    return list(dict.fromkeys((*kinds_of(mixture, recipe), *BY_CHANCE, *STARTS)))


def spare_starts(mixture: Any, starts: list[Start], recipe: Recipe) -> list[Start]:
    """Starts of other kinds than the `starts`, if ``init="auto"`` has chosen these.

    Without a verdict, none that needs the one expert of all rows, which the fit then lacks.
    """
    init = mixture.init
    if not isinstance(init, str) or init != "auto" or any(s.given is not None for s in starts):
        return []
    begun = {start.name for start in starts}
    others = [Start(kind) for kind in all_kinds(mixture, recipe) if kind not in begun]
    return [start for start in others if mixture.verdict or not start.needs_surprise]


def warm_start(mixture: Any, data: Data, anew: list[Start], recipe: Recipe) -> Start | None:
    """The start from what the fitted `mixture` says of the rows; None, with a warning, if it fails.

    The mixture may have learnt from these very rows, so witnesses begin `anew`.
    """
    begin = begun_by(mixture, anew)
    try:
        with warnings.catch_warnings():
            # If column names have changed since, that is no mistake of the user's.
            warnings.filterwarnings("ignore", r"X (has|does not have valid) feature names")
            resp = mixture.responsibilities(data.X, data.y)
            if isinstance(mixture.experts, list):
                resp = resp[:, recipe.places_in(mixture)]
            return Start(WARM, given=resp, anew=begin)
    # Experts and gates are anyone's code, and each says in its own way (IndexError, KeyError, ...)
    # that it was not made for these rows. Nothing is lost: the fit begins as it would without them.
    except Exception as error:
        warnings.warn(
            "warm_start=True, but the mixture fitted before does not suit the new rows, so the fit "
            f"begins anew: {error}",
            UserWarning,
            stacklevel=6,
        )
        return None


def begun_by(mixture: Any, anew: list[Start]) -> Start:
    """The start that the fitted `mixture` came from, if `init` allows it; else the first of `anew`.

    Another kind may lead to another optimum, and the verdict is to be about this one.
    """
    before, init = getattr(mixture, "_start", anew[0]), mixture.init
    is_allowed = isinstance(init, str) and init in ("auto", before.name) and before.name in STARTS
    return before if is_allowed else anew[0]


def _check_takes_four(init: Any) -> None:
    try:
        signature(init).bind(None, None, None, None)
    except TypeError as error:
        raise TypeError(
            f"init={init!r} is called as init(X, y, n_experts, seed), and does not take these: "
            f"{error}. Give it these four parameters."
        ) from error
    except ValueError:  # some functions that are written in C have no signature
        return
