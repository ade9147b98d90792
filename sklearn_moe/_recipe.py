"""All that makes a mixture, except the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ._data import Data
from ._folds import Splits
from ._forecasts import Question
from ._rows import take_params
from ._specialisation import Specialisation
from ._templates import Template
from ._validation import last_step
from .families import Family
from .gates import ConstantGate, HierarchicalGate


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The parts of a mixture, seeded and named; the last template is the `shared` one, if any.

    Of its experts, `top_k` (None: all) act on a row, and the shared one always does. `balance` is
    how strongly E-steps favour experts that have few rows. If it `calibrates` its noise, or it
    `leans` on one expert of all rows, the mixture and its witnesses are asked for forecasts. With
    `ensemble` the experts that are kept answer together with those of the folds.
    """

    templates: Sequence[Template]
    specialisation: Specialisation
    family: Family
    gate: Any
    seed: int
    gate_params: dict = field(default_factory=dict)
    top_k: int | None = None
    shared: bool = False
    balance: float = 0.0
    spread_template: Template | None = None
    calibrates: bool = False
    leans: bool = False
    ensemble: bool = False

    @property
    def needs_forecasts(self) -> bool:
        """Whether forecasts of unseen rows will be used once EM has ended."""
        return self.calibrates or self.leans

    @property
    def n_routed(self) -> int:
        """Number of experts that the gate chooses from."""
        return len(self.templates) - self.shared

    def is_of(self, mixture: Any) -> bool:
        """Whether a `mixture` was fitted with as many experts, routed ones and a shared one."""
        if not hasattr(mixture, "experts_"):
            return False
        before = len(mixture.experts_), mixture.shrinkage_ is not None
        return before == (len(self.templates), self.shared)

    def places_in(self, mixture: Any) -> list[int]:
        """For each expert of the recipe, its place in a fitted `mixture` with as many experts.

        It is the place of the same name; experts with new names take the places that are left, in
        order.
        """
        before, names = list(mixture.expert_names_), [t.name for t in self.templates]
        left = iter([place for place, name in enumerate(before) if name not in names])
        return [before.index(name) if name in before else next(left) for name in names]

    @property
    def tree_of_clones(self) -> HierarchicalGate | None:
        """The gate over routed experts, if it is a tree over groups and all are of one kind."""
        kinds = {template.kind for template in self.templates[: self.n_routed]}
        gate = last_step(self.gate)
        if not isinstance(gate, HierarchicalGate) or len(kinds) > 1:
            return None
        return gate.keeping(tuple(range(self.n_routed)), len(self.templates))

    def question(self, data: Data, splits: Splits | None) -> Question | None:
        """The question to mixtures about rows out of fold; None if no forecast is needed."""
        asks = self.needs_forecasts and splits is not None
        return Question(data, np.arange(data.n_samples)) if asks else None

    def take(self, rows: Any, n_samples: int) -> Recipe:
        """The recipe for some rows of a table of `n_samples`: row-shaped metadata is cut."""
        templates = [template.take(rows, n_samples) for template in self.templates]
        gate_params = take_params(self.gate_params, n_samples, rows)
        return replace(self, templates=templates, gate_params=gate_params)

    def of_one_expert(self, member: int) -> Recipe:
        """The recipe of one expert alone."""
        return replace(
            self,
            templates=[self.templates[member].as_only_expert],
            specialisation=Specialisation(np.zeros(1), np.zeros(1)),
            gate=ConstantGate(),
            gate_params={},
            top_k=None,
            shared=False,
            balance=0.0,
        )
