"""What the winner of the race tries: other parts in place of its recipe's, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ._data import Data
from ._em import DIGITS, EMResult, run_em
from ._expert_errors import PartError
from ._mixture import MixtureModel, build_model
from ._plans import Plan, attempt
from ._progress import Session
from ._race import Raced
from ._recipe import Recipe
from ._specialisation import Specialisation
from ._templates import Template
from .families import Family


@dataclass(frozen=True)
class Trial:
    """Parts of a recipe that are tried in place of its own.

    They are kept if they raise the bound by more than `margin` standard errors. A negative margin
    is for stiffer parts, which owe less of their bound to chance: their bound may be lower by as
    much.
    """

    name: str
    parts: dict[str, Any]
    margin: float = 0.0

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
    return trials + [Trial(_kind_of(gate), {"gate": gate}, margin=1.0) for gate in gates]


def _kind_of(gate: Any) -> str:
    """The class of a gate; of the tried ones over branches, only the one at the top differs."""
    return type(getattr(gate, "top", gate)).__name__


# The recipe for a number of experts, and what may be tried with it.
Recipes = Callable[[int], tuple[Recipe, Sequence[Trial]]]


class Winner(NamedTuple):
    """The model and the run that have won, and the names of the trials that have."""

    model: MixtureModel
    raced: Raced
    won: frozenset[str]


def try_all(
    trials: Sequence[Trial], model: MixtureModel, raced: Raced, session: Session
) -> Plan[Winner]:
    """The race's winner with the parts that win, each tried for as many iterations."""
    won, reporter = frozenset[str](), session.reporter
    short = replace(session.rule, max_iter=raced.run.n_iter)
    for trial in trials:
        rival = build_model(replace(model.recipe, **trial.parts), model.data, model.splits)
        run = yield from attempt(run_em(rival, rival.begin(raced.resp), short), PartError)
        if isinstance(run, PartError):
            reporter.failure(trial.name, run)
            continue
        wins = trial.is_won(raced.run, run, model.data)
        reporter.trial(trial.name, run, wins)
        if wins:
            model, raced, won = rival, replace(raced, run=run), won | {trial.name}
    return Winner(model, raced, won)


def with_parts(recipe: Recipe, trials: Sequence[Trial], won: frozenset[str]) -> Recipe:
    """The recipe, for other rows or experts, with the parts of those `trials` that have `won`."""
    for trial in trials:
        if trial.name in won:
            recipe = replace(recipe, **trial.parts)
    return recipe


def recipe_of_number(recipes: Recipes, won: frozenset[str], n_experts: int) -> Recipe:
    """The recipe for a number of experts, with the parts that have won."""
    return with_parts(*recipes(n_experts), won)
