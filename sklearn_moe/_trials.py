"""What the winner of the race tries: parts of a recipe in place of its own, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ._data import Data
from ._em import DIGITS, EMResult, EMRule, run_em
from ._expert_errors import ExpertError
from ._initialization import Race
from ._mixture import MixtureModel
from ._numeric import mean_and_stderr
from ._plans import Plan, attempt
from ._progress import Reporter
from ._recipe import Recipe
from ._specialisation import Specialisation
from .families import Family


@dataclass(frozen=True)
class Trial:
    """Parts of a recipe that are tried in place of its own.

    They are kept if the bound is higher with them, by more than `margin` standard errors.
    """

    name: str
    parts: dict[str, Any]
    margin: float = 0.0

    def is_won(self, run: EMResult, rival: EMResult, data: Data) -> bool:
        """Whether the `rival`, a run with these parts, is ahead by enough."""
        ahead = rival.lower_bound - run.lower_bound
        delta = rival.expectation.log_evidence - run.expectation.log_evidence
        stderr = mean_and_stderr(delta, data.sample_weight, data.clusters)[1]
        return ahead > max(self.margin * stderr, 10**-DIGITS)


def trials_of(
    pooled: Specialisation | None, families: Sequence[Family], gates: Sequence[Any]
) -> list[Trial]:
    """Pooling, which costs no parameters, then what is richer and has to be ahead more surely."""
    trials = [] if pooled is None else [Trial("pooling", {"specialisation": pooled})]
    trials += [Trial(type(law).__name__, {"family": law}, margin=1.0) for law in families]
    return trials + [Trial(type(gate).__name__, {"gate": gate}, margin=1.0) for gate in gates]


# The recipe for a number of experts, and what may be tried with it.
Recipes = Callable[[int], tuple[Recipe, Sequence[Trial]]]


def after_trial(
    trial: Trial,
    recipe: Recipe,
    model: MixtureModel,
    heat: Race,
    rule: EMRule,
    reporter: Reporter,
) -> Plan[tuple[Recipe, MixtureModel, Race]]:
    """The race's winner as it is, or run as far with what is tried, if that wins."""
    other = replace(recipe, **trial.parts)
    rival = other.build(model.data, model.splits)
    short = replace(rule, max_iter=heat.run.n_iter)
    run = yield from attempt(run_em(rival, rival.expect(heat.resp), short), ExpertError)
    if isinstance(run, ExpertError):
        reporter.failure(trial.name, run)
        return recipe, model, heat
    wins = trial.is_won(heat.run, run, model.data)
    reporter.trial(trial.name, run, wins)
    return (other, rival, replace(heat, run=run)) if wins else (recipe, model, heat)


def recipe_of_number(
    recipes: Recipes, tried: Sequence[Trial], recipe: Recipe, n_experts: int
) -> Recipe:
    """The recipe for a number of experts, with those parts of what was `tried` that were kept."""
    other, trials = recipes(n_experts)
    for before, trial in zip(tried, trials, strict=True):
        if all(getattr(recipe, name) is part for name, part in before.parts.items()):
            other = replace(other, **trial.parts)
    return other
