"""The usual candidates: what an automatic mixture chooses from, unless it is told."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Integral
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
from ..families import resolve_family
from ..gates import SoftmaxGate
from ..linear import EvidenceRidge
from ._candidate import Candidate
from ._columns import KernelColumns
from ._metric import MetricKernelRegressor
from ._metric_classifier import MetricKernelClassifier
from ._sample import FIRST_ROWS

# Views of a table: all of it as standardised numbers, or text as categories.
NUMBERS, CATEGORIES = "numbers", "categories"
N_TREES = 30
# Rows that a coefficient of many linear experts is to have at the least.
ROWS_PER_COEFFICIENT = 2
# Folds under boosting, which takes long, and is as good in few.
FEW_FOLDS = 3
# Boosting: many trees for numbers; those for labels would be far too sure of themselves without a
# penalty. Above 10,000 rows they would stop early, by rows that are drawn by their order, and fail
# where a class has a single one. Few rows suit small trees of small leaves.
MANY_ROWS = 2000
SMALL = {"max_leaf_nodes": 8, "min_samples_leaf": 5}
REAL = {"max_iter": 300, "max_bins": 80, "early_stopping": False}
LABELS = {"l2_regularization": 5.0, "max_bins": 80, "early_stopping": False}


def regressors(n_rows: int, n_columns: int, **params: Any) -> list[Candidate]:
    """Mixtures for real targets, on tables of so many distinct rows and encoded columns.

    And one expert that is smooth everywhere, under noise that changes.
    """
    mixture: Callable[..., Any] = partial(MixtureOfExpertsRegressor, **params)
    smooth = mixture(MetricKernelRegressor(), 1)
    if smooth.family == "auto":  # tails are found where noise is calibrated, without more fits
        smooth.set_params(family="gaussian")
    if resolve_family(smooth.family).is_location_scale:
        smooth.set_params(dispersion_estimator=MetricKernelRegressor(n_landmarks=100, n_rounds=1))
    mixtures = candidates(
        mixture,
        n_columns,
        linear=EvidenceRidge(),
        n_linear=_number(8, n_rows, n_columns),
        forest=ExtraTreesRegressor(N_TREES, min_samples_leaf=2),
        boosting=HistGradientBoostingRegressor(**REAL, **_tree_size(n_rows)),
    )
    return [*mixtures, _one("metric", smooth)]


def classifiers(n_rows: int, n_columns: int, **params: Any) -> list[Candidate]:
    """Mixtures for labels, and one expert that is smooth everywhere."""
    mixture: Callable[..., Any] = partial(MixtureOfExpertsClassifier, **params)
    mixtures = candidates(
        mixture,
        n_columns,
        linear=LogisticRegression(max_iter=1000),
        n_linear=_number(4, n_rows, n_columns),
        forest=ExtraTreesClassifier(N_TREES, min_samples_leaf=2),
        boosting=HistGradientBoostingClassifier(**LABELS, **_tree_size(n_rows)),
    )
    smooth = mixture(MetricKernelClassifier(), 1, calibrate="temperature")
    return [*mixtures, _one("metric", smooth)]


def _number(wanted: int, n_rows: int, n_columns: int) -> int:
    """As many linear experts as wanted, but two at the least, and no more than rows can tell of."""
    most = min(n_rows, FIRST_ROWS) // (ROWS_PER_COEFFICIENT * (1 + n_columns))
    return max(2, min(wanted, most))


def _tree_size(n_rows: int) -> dict[str, int]:
    """The size of boosting's trees: that of scikit-learn where there are many rows."""
    return SMALL if n_rows < MANY_ROWS else {}


def candidates(
    mixture: Callable[..., Any],
    n_columns: int,
    *,
    linear: Any,
    n_linear: int,
    forest: Any,
    boosting: Any,
) -> list[Candidate]:
    """One mixture of each kind; many linear experts are as flexible as a few others."""
    boosted = mixture(boosting, 2, gate="auto")
    if isinstance(boosted.cv, Integral):
        boosted.set_params(cv=min(boosted.cv, FEW_FOLDS))
    # The kernel's coordinates are for the experts alone; all are arrays, whatever others ask for.
    first = make_column_transformer(("passthrough", slice(0, n_columns)))
    first.set_output(transform="default")
    smooth = mixture(linear, 2, gate=make_pipeline(first, SoftmaxGate()))
    return [
        Candidate("linear", _only(mixture(linear, n_linear, gate="auto")), NUMBERS),
        Candidate("kernel", Pipeline([("kernel", KernelColumns()), ("mixture", smooth)]), NUMBERS),
        Candidate("forest", _only(mixture(forest, 2, gate="auto")), NUMBERS),
        Candidate("boosting", _only(boosted), CATEGORIES, may_grow=False),
    ]


def _one(name: str, mixture: Any) -> Candidate:
    return Candidate(name, _only(mixture), NUMBERS, may_grow=False)


def _only(mixture: Any) -> Pipeline:
    return Pipeline([("mixture", mixture)])
