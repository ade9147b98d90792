"""One of the mixtures that an automatic one chooses from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from .._folds import Splits

# Folds of a fit that is to be judged.
JUDGING_FOLDS = 3
# The view that is the table itself.
AS_GIVEN = "as given"
# What follows the name of a candidate of more experts, before their number.
OF_NUMBER = ", n_experts="


@dataclass(frozen=True)
class Candidate:
    """A pipeline that ends in a mixture: its name, and the view of the table that it is given.

    If it is the best and `may_grow`, it is tried with more experts. If the mixture does not deal
    its folds, they are `splits` of the whole table. A fold should hold `fewest_in_fold` rows.
    """

    name: str
    model: Pipeline
    view: str = AS_GIVEN
    may_grow: bool = True
    splits: Splits | None = None
    fewest_in_fold: int = 0

    def suits(self, n_distinct: int) -> bool:
        """Whether so many distinct rows are enough for its folds."""
        n_folds = self.mixture.cv if self.splits is None else len(self.splits)
        return self.fewest_in_fold == 0 or n_distinct >= self.fewest_in_fold * n_folds

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
