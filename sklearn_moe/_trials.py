"""What the winner of the race tries: other parts in place of its recipe's, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ._data import Data
from ._em import DIGITS, EMResult, EMRule, run_em
from ._expert_errors import PartError
from ._mixture import MixtureModel, build_model
from ._numeric import Array
from ._plans import Plan, attempt, together
from ._progress import Session
from ._race import Raced
from ._recipe import Recipe
from ._specialisation import Specialisation
from ._templates import Template
from .families import Family
from .gates._encoded import SearchingGate

# Iterations after which a run-off is decided: those of the race are too few for linear gates.
RUN_OFF = 15


@dataclass(frozen=True)
class Trial:
    """Parts of a recipe that are tried in place of its own.

    They are kept if they raise the bound by more than `margin` standard errors. A negative margin
    is for stiffer parts, which owe less of their bound to chance: their bound may be lower by as
    much. Parts that learn sooner than others have a run-off: they must be ahead after more
    iterations too.
    """

    name: str
    parts: dict[str, Any]
    margin: float = 0.0
    has_run_off: bool = False

    def is_won(self, run: EMResult, rival: EMResult, data: Data) -> bool:
        """Whether the `rival`, a run with these parts, is ahead by enough."""
        ahead = rival.lower_bound - run.lower_bound
        delta = rival.expectation.log_evidence - run.expectation.log_evidence
        stderr = data.mean_and_stderr(delta)[1]
        return ahead > self.margin * stderr + 10**-DIGITS


def trials_of(
    templates: Sequence[Template],
    pooled: Specialisation | None,
    families: Sequence[Family],
    gates: Sequence[Any],
) -> list[Trial]:
    """Penalties, pooling and stiffer laws, which cost no parameters, then richer gates."""
    trials, singles = [], [template.as_only_expert for template in templates]
    # Metadata would have to be cut with the rows of a sample.
    if any(t.only_expert for t in templates) and not any(t.params for t in templates):
        trials.append(Trial("penalty", {"templates": singles}, margin=-1.0))
    if pooled is not None:
        trials.append(Trial("pooling", {"specialisation": pooled}))
    trials += [Trial(type(law).__name__, {"family": law}, margin=-1.0) for law in families]
    return trials + [_of_gate(gate) for gate in gates]


def _of_gate(gate: Any) -> Trial:
    """The trial of a gate, named by its class; over branches only the gate at the top differs.

    One that does not search for its solution has it at once, and is ahead of those that do.
    """
    top = getattr(gate, "top", gate)
    has_run_off = not isinstance(top, SearchingGate)
    return Trial(type(top).__name__, {"gate": gate}, margin=1.0, has_run_off=has_run_off)


# The recipe for a number of experts, and what may be tried with it.
Recipes = Callable[[int], tuple[Recipe, Sequence[Trial]]]


class Winner(NamedTuple):
    """The model and the run that have won, and the names of the trials that have."""

    model: MixtureModel
    raced: Raced
    won: frozenset[str]


class Tried(NamedTuple):
    """A model and its run of as many iterations as the race, or more once it had to go on."""

    model: MixtureModel
    run: EMResult
    longer: EMResult

    def go_on(self, rule: EMRule) -> Plan[Tried]:
        """With a longer run."""
        return self._replace(longer=(yield from run_em(self.model, self.longer, rule)))


def try_all(
    trials: Sequence[Trial], model: MixtureModel, raced: Raced, session: Session
) -> Plan[Winner]:
    """The race's winner with the parts that win, each tried for as many iterations."""
    best, won, reporter = Tried(model, raced.run, raced.run), frozenset[str](), session.reporter
    short = replace(session.rule, max_iter=raced.run.n_iter)
    long = replace(session.rule, max_iter=min(RUN_OFF, session.rule.max_iter))
    for trial in trials:
        tried = yield from attempt(_try(trial, best, raced.resp, short, long), PartError)
        if isinstance(tried, PartError):
            reporter.failure(trial.name, tried)
            continue
        best, rival, wins = tried
        reporter.trial(trial.name, rival.longer, wins)
        if wins:
            best, won = rival, won | {trial.name}
    return Winner(best.model, replace(raced, run=best.longer), won)


def _try(
    trial: Trial, best: Tried, resp: Array, short: EMRule, long: EMRule
) -> Plan[tuple[Tried, Tried, bool]]:
    """The best so far, its rival with the parts of the trial, and whether the rival wins."""
    data = best.model.data
    model = build_model(replace(best.model.recipe, **trial.parts), data, best.model.splits)
    run = yield from run_em(model, model.begin(resp), short)
    rival, wins = Tried(model, run, run), trial.is_won(best.run, run, data)
    if wins and trial.has_run_off:
        best, rival = yield from together(best.go_on(long), rival.go_on(long))
        wins = trial.is_won(best.longer, rival.longer, data)
    return best, rival, wins


def with_parts(recipe: Recipe, trials: Sequence[Trial], won: frozenset[str]) -> Recipe:
    """The recipe, for other rows or experts, with the parts of those `trials` that have `won`."""
    for trial in trials:
        if trial.name in won:
            recipe = replace(recipe, **trial.parts)
    return recipe


def recipe_of_number(recipes: Recipes, won: frozenset[str], n_experts: int) -> Recipe:
    """The recipe for a number of experts, with the parts that have won."""
    return with_parts(*recipes(n_experts), won)
