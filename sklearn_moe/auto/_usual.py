"""The usual candidates: what an automatic mixture chooses from by default."""

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
from sklearn.pipeline import Pipeline, make_pipeline

from .._classifier import MixtureOfExpertsClassifier
from .._cross_fitted import FEWEST_IN_FOLD
from .._regressor import MixtureOfExpertsRegressor
from ..families import resolve_family
from ..gates import SoftmaxGate
from ..linear import CrossValidatedLogistic, EvidenceRidge
from ._candidate import Candidate
from ._columns import KernelColumns
from ._metric import MetricKernelRegressor
from ._metric_classifier import MetricKernelClassifier
from ._sample import FIRST_ROWS
from ._stacked import StackedColumns

# Views of a table: all of it as standardised numbers, or text as categories.
NUMBERS, CATEGORIES = "numbers", "categories"
# The least number of rows for each coefficient, where there are many linear experts.
ROWS_PER_COEFFICIENT = 2
# Folds for boosting, which does as well with few.
FEW_FOLDS = 3
# Boosting: many trees for numbers; trees for labels would be far too sure of themselves without a
# penalty. Above 10,000 rows boosting would stop early, judged by rows whose draw depends on their
# order, and fail where a class has a single row. Few rows suit small trees of small leaves.
MANY_ROWS = 2000
SMALL_TREES = {"max_leaf_nodes": 8, "min_samples_leaf": 5}
ROUNDS = {"early_stopping": False}
BINS = 80
REAL, LABELS = {"max_iter": 300, **ROUNDS}, {"max_iter": 200, "l2_regularization": 5.0, **ROUNDS}
# Labels that follow rules without chance are best predicted by many small trees without a penalty.
LONG = {"max_iter": 400, "max_leaf_nodes": 8, **ROUNDS}
LEAVES = {"min_samples_leaf": 2}
# The size of residuals is a smoother function of the columns than the targets.
SPREAD = {"max_iter": 50, "max_leaf_nodes": 8, "min_samples_leaf": 20, **ROUNDS}


def regressors(
    n_rows: int, n_columns: int, n_categories: int = 0, family: Any = "auto", **params: Any
) -> list[Candidate]:
    """For real targets, on tables of so many distinct rows and encoded columns.

    Mixtures of linear experts, of smooth curves, and of lines stacked on what other learners
    predict; and one boosting whose noise differs by row. `n_categories` is the number in the column
    that has most of them.
    """
    mixture: Callable[..., Any] = partial(MixtureOfExpertsRegressor, family=family, **params)
    n_lines = _number(8, n_rows, n_columns)
    lines = partial(mixture, EvidenceRidge(), n_lines, gate="auto")
    of_kernel = _of_kernel(mixture(EvidenceRidge(), 2), n_columns)
    trees = _trees(n_rows, n_categories)
    boosting = HistGradientBoostingRegressor(**REAL, **trees)
    spread = HistGradientBoostingRegressor(**{**trees, **SPREAD})
    others = [("forest", ExtraTreesRegressor(100, **LEAVES)), ("metric", MetricKernelRegressor())]
    stacked = [("stacked", StackedColumns(others, boosting, **params)), ("mixture", lines())]
    return [
        Candidate("linear", _only(lines()), NUMBERS),
        Candidate("kernel", of_kernel, NUMBERS),
        Candidate(
            "stacked",
            Pipeline(stacked),
            CATEGORIES,
            may_grow=False,
            fewest_in_fold=FEWEST_IN_FOLD,
        ),
        _one("boosting", _few_folds(_changing(mixture(boosting, 1), spread)), CATEGORIES),
    ]


def classifiers(
    n_rows: int, n_columns: int, n_categories: int = 0, **params: Any
) -> list[Candidate]:
    """For labels: mixtures of logistic regressions, and one expert of each other kind.

    Boosting is there twice: with large trees and a penalty, for classes that overlap, and long.
    """
    mixture: Callable[..., Any] = partial(MixtureOfExpertsClassifier, **params)
    alone: Callable[..., Any] = partial(mixture, n_experts=1, calibrate="temperature")
    trees = _trees(n_rows, n_categories)
    boosting = HistGradientBoostingClassifier(**LABELS, **trees)
    long_boosting = HistGradientBoostingClassifier(**{**trees, **LONG})
    lines = mixture(CrossValidatedLogistic(), _number(4, n_rows, n_columns), gate="auto")
    return [
        Candidate("linear", _only(lines), NUMBERS),
        _one("forest", alone(ExtraTreesClassifier(100, **LEAVES))),
        _one("boosting", _few_folds(alone(boosting)), CATEGORIES),
        _one("long boosting", _few_folds(alone(long_boosting)), CATEGORIES),
        _one("metric", alone(MetricKernelClassifier())),
    ]


def _number(wanted: int, n_rows: int, n_columns: int) -> int:
    """As many linear experts as wanted, if rows are enough to tell them apart; at least two."""
    most = min(n_rows, FIRST_ROWS) // (ROWS_PER_COEFFICIENT * (1 + n_columns))
    return max(2, min(wanted, most))


def _trees(n_rows: int, n_categories: int) -> dict[str, int]:
    """The trees of boosting: of scikit-learn's size where there are many rows.

    There are at least as many bins as the largest number of categories in a column.
    """
    size = SMALL_TREES if n_rows < MANY_ROWS else {}
    return {"max_bins": max(BINS, n_categories), **size}


def _few_folds(mixture: Any) -> Any:
    """The mixture in three folds at most, if its `cv` is a number of folds."""
    if isinstance(mixture.cv, Integral):
        mixture.set_params(cv=min(mixture.cv, FEW_FOLDS))
    return mixture


def _changing(mixture: Any, spread: Any) -> Any:
    """A mixture of flexible experts under noise that `spread` predicts, if the law has a scale.

    If the family is "auto", calibration finds the tails without more fits.
    """
    if mixture.family == "auto":
        mixture.set_params(family="gaussian")
    if resolve_family(mixture.family).is_location_scale:
        mixture.set_params(dispersion_estimator=spread)
    return mixture


def _of_kernel(mixture: Any, n_columns: int) -> Pipeline:
    """A mixture whose experts, but not its gate, see a kernel's coordinates beside the columns."""
    first = make_column_transformer(("passthrough", slice(0, n_columns)))
    first.set_output(transform="default")  # they are arrays, whatever others ask for
    mixture.set_params(gate=make_pipeline(first, SoftmaxGate()))
    return Pipeline([("kernel", KernelColumns()), ("mixture", mixture)])


def _one(name: str, mixture: Any, view: str = NUMBERS) -> Candidate:
    return Candidate(name, _only(mixture), view, may_grow=False)


def _only(mixture: Any) -> Pipeline:
    return Pipeline([("mixture", mixture)])
