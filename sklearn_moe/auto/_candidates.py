"""What an automatic mixture chooses from, unless it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from .._classifier import MixtureOfExpertsClassifier
from .._regressor import MixtureOfExpertsRegressor
from ..gates import SoftmaxGate
from ..linear import EvidenceRidge
from ._columns import KernelColumns
from ._search import Candidate

# Views of a table: all of it as standardised numbers, or text as categories.
NUMBERS, CATEGORIES = "numbers", "categories"
MAX_BINS = 80
N_TREES = 30
# Folds under boosting, which takes long, and is as good in few.
FEW_FOLDS = 3
# Many small trees of small leaves, for small tables; those for labels would be far too sure of
# themselves without a penalty.
FINE = {"max_leaf_nodes": 8, "min_samples_leaf": 5}
FINE_NUMBERS = {**FINE, "max_iter": 300}
FINE_LABELS = {**FINE, "l2_regularization": 5.0}


def regressors(n_columns: int, **params: Any) -> list[Candidate]:
    """Mixtures for real targets, on tables of so many encoded columns."""
    boosting, forest = HistGradientBoostingRegressor, ExtraTreesRegressor
    kinds = Kinds(MixtureOfExpertsRegressor, params, n_columns, EvidenceRidge(), boosting, forest)
    return kinds.candidates(8, FINE_NUMBERS)


def classifiers(n_columns: int, **params: Any) -> list[Candidate]:
    """Mixtures for labels."""
    boosting, forest = HistGradientBoostingClassifier, ExtraTreesClassifier
    linear = LogisticRegression(max_iter=1000)
    kinds = Kinds(MixtureOfExpertsClassifier, params, n_columns, linear, boosting, forest)
    return kinds.candidates(4, FINE_LABELS)


@dataclass(frozen=True)
class Kinds:
    """What mixtures for a kind of target are made of; their parameters; columns of the table."""

    mixture: type
    params: dict[str, Any]
    n_columns: int
    linear: Any
    boosting: type
    forest: type

    def candidates(self, n_linear: int, fine_boosting: dict[str, Any]) -> list[Candidate]:
        """One mixture of each kind; many linear experts are as flexible as a few others."""
        forest = self.forest(N_TREES, min_samples_leaf=2)
        boosting = self.boosting(max_bins=MAX_BINS)
        fine = self.boosting(max_bins=MAX_BINS, **fine_boosting)
        return [
            Candidate("linear", self._of(self.linear, n_linear, gate="auto"), NUMBERS),
            Candidate("kernel", self._on(KernelColumns()), NUMBERS),
            Candidate("forest", self._of(forest, gate="auto"), NUMBERS),
            Candidate("boosting", self._boosted(boosting), CATEGORIES, may_grow=False),
            Candidate("fine boosting", self._boosted(fine), CATEGORIES, may_grow=False),
        ]

    def _of(self, expert: Any, n_experts: int = 2, *, gate: Any) -> Any:
        return self.mixture(expert, n_experts, gate=gate, **self.params)

    def _boosted(self, expert: Any) -> Any:
        mixture = self._of(expert, gate="auto")
        folds = mixture.cv
        return mixture.set_params(cv=min(folds, FEW_FOLDS)) if isinstance(folds, int) else mixture

    def _on(self, *steps: Any) -> Pipeline:
        """Linear experts on more columns, under a gate that sees the first of them."""
        first = make_column_transformer(("passthrough", slice(0, self.n_columns)))
        gate = make_pipeline(first, SoftmaxGate())
        return make_pipeline(*steps, self._of(self.linear, gate=gate))
