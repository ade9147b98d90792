"""One of the mixtures that an automatic one chooses from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from .._cross_fitted import CrossFittedPredictions
from .._folds import Splits
from ._stacked import StackedColumns

# Steps that predict across folds.
ACROSS_FOLDS = CrossFittedPredictions | StackedColumns
# Folds of a fit that is to be judged.
JUDGING_FOLDS = 3
# The view that is the table itself.
AS_GIVEN = "as given"
# What follows the name of a candidate of more experts, before their number.
OF_NUMBER = ", n_experts="


@dataclass(frozen=True)
class Candidate:
    """A pipeline that ends in a mixture: its name, and the view of the table that it is given.

    If it is the best and `may_grow`, it is tried with more experts. A fold should hold
    `fewest_in_fold` rows. Parameters `of_table` are folds or rows of the whole table, by name.
    """

    name: str
    model: Pipeline
    view: str = AS_GIVEN
    may_grow: bool = True
    fewest_in_fold: int = 0
    of_table: dict[str, Splits | NDArray] = field(default_factory=dict)

    def suits(self, n_distinct: int) -> bool:
        """Whether so many distinct rows are enough for its folds."""
        splits = self.of_table.get(self._name_of("cv"))
        n_folds = self.mixture.cv if splits is None else len(splits)
        return self.fewest_in_fold == 0 or n_distinct >= self.fewest_in_fold * n_folds

    def with_table(self, n_samples: int, splits_of: Callable[[Any], Splits | None]) -> Candidate:
        """The candidate for a table of `n_samples`, whose rows its parameters may speak of.

        Raises
        ------
        ValueError
            If responsibilities to begin with are those of other rows.
        """
        folds = self._folds
        # Parts that share a splitter share its folds, be it a random one.
        splits = {id(cv): splits_of(cv) for cv in folds.values()}
        found: dict[str, Any] = {name: splits[id(cv)] for name, cv in folds.items()}
        if has_array(self.mixture):
            init = np.asarray(self.mixture.init)
            if init.shape[:1] != (n_samples,):
                raise ValueError(
                    f"Candidate {self.name!r} has init of shape {init.shape}, and X has "
                    f"{n_samples} rows. Pass responsibilities of these rows."
                )
            found[self._name_of("init")] = init
        return replace(self, of_table={k: each for k, each in found.items() if each is not None})

    @property
    def _folds(self) -> dict[str, Any]:
        """What the mixture, and steps that predict across folds, have for `cv`, by name."""
        within = self._name_of("")
        steps = {
            f"{name}__cv": part.cv
            for name, part in self.model.get_params(deep=True).items()
            if isinstance(part, ACROSS_FOLDS) and not name.startswith(within)
        }
        return {self._name_of("cv"): self.mixture.cv, **steps}

    def _name_of(self, param: str) -> str:
        """The name of a parameter of the mixture among those of the model."""
        return f"{self.model.steps[-1][0]}__{param}"

    @property
    def is_ours(self) -> bool:
        """Whether the candidate, or its number of experts, is not the user's own."""
        return self.view != AS_GIVEN or OF_NUMBER in self.name

    @property
    def mixture(self) -> Any:
        """The mixture at the end."""
        return self.model[-1]

    @property
    def to_judge(self) -> Candidate:
        """The candidate in few folds, with witnesses, without ensembles; itself if it is such."""
        cv = self.mixture.cv
        is_number = cv is None or isinstance(cv, Integral | str)
        if self.mixture.verdict and (not is_number or cv == JUDGING_FOLDS):
            return self
        cv = JUDGING_FOLDS if is_number else cv
        return self._changed(verdict=True, cv=cv, ensemble=False)

    def of_number(self, n_experts: int) -> Candidate:
        """The candidate with so many experts, and a name that says so."""
        return replace(
            self._changed(n_experts=n_experts), name=f"{self.name}{OF_NUMBER}{n_experts}"
        )

    def _changed(self, **params: Any) -> Candidate:
        model = clone(self.model)
        model[-1].set_params(**params)
        return replace(self, model=model)


def has_array(mixture: Any) -> bool:
    """Whether a mixture begins with given responsibilities."""
    return not (isinstance(mixture.init, str) or callable(mixture.init))
