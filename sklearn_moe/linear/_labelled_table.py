"""What plain logistic regressions solve: the problem, and a table of features and classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from .._numeric import Array, Rows
from ..logit import EXACT_LIMIT, NEWTON_LIMIT, StandardisedRows
from ._cross_validated import CrossValidatedLogistic
from ._plain import column_units, finite_numbers, without_scaler

# Multiplications for the Hessians of one step: a tenth of a second. A few steps are enough, while
# conjugate gradients take many.
AFFORDABLE = 2e8
# Up to this many coefficients of an expert move in steps for all folds at once, if there are more
# rows than columns; for more, and for exact solutions without Hessians, the estimator is asked.
MOST_COEFFICIENTS = 2500


@dataclass(frozen=True)
class Logistic:
    """The problem that a plain logistic regression solves: its inverse penalty `C`.

    If `scaled`, the features are first standardised under the same weights. If it `halves`
    indicators, their unit is half the difference of their values instead. `tol` is that of the
    estimator's own solver.
    """

    C: float
    scaled: bool
    tol: float
    halves: bool = False
    is_loose = True
    is_light = False
    leaves_one_out = False


def recognise(estimator: Any) -> Logistic | None:
    """The problem that `estimator` solves, or None if it does anything else."""
    estimator, scaled = without_scaler(estimator)
    if type(estimator) is CrossValidatedLogistic:
        if estimator.C is None:  # an estimator that finds its own penalty is asked each time
            return None
        return Logistic(float(estimator.C), scaled=True, tol=estimator.tol, halves=True)
    if type(estimator) is not LogisticRegression:
        return None
    usual = {
        "penalty": ("l2", "deprecated"),
        "l1_ratio": (None, 0.0),
        "dual": (False,),
        "fit_intercept": (True,),
        "class_weight": (None,),
        "solver": ("lbfgs", "newton-cg", "newton-cholesky"),
        "multi_class": ("auto", "deprecated"),
        "warm_start": (False,),
    }
    params = estimator.get_params()
    plain = all(params.get(name, values[0]) in values for name, values in usual.items())
    if not plain or not np.isfinite(estimator.C):
        return None
    return Logistic(float(estimator.C), scaled, estimator.tol)


@dataclass(frozen=True)
class LabelledTable(StandardisedRows):
    """Standardised features (n, p) and class codes (n,); `n_distinct` rows are no copies."""

    codes: Rows
    n_classes: int
    n_distinct: int | None = None

    @property
    def without_rows(self) -> LabelledTable:
        """What is kept with a solution: the units of the columns."""
        return replace(self, X=self.X[:0], codes=self.codes[:0])

    @property
    def has_hessians(self) -> bool:
        """Whether coefficients are so few that they can be solved for exactly."""
        return _n_coefficients(self.shape, self.n_classes) <= EXACT_LIMIT

    def solves_often(self, n_problems: int) -> bool:
        """Whether EM in sample solves exactly in each iteration, without the estimators."""
        few = _n_coefficients(self.shape, self.n_classes) <= NEWTON_LIMIT
        return few or self.affords_hessians(n_problems)

    def affords_hessians(self, n_problems: int) -> bool:
        """Whether the Hessians of so many problems take little time."""
        n_pairs, width = self.n_classes * (self.n_classes - 1) // 2, self.shape[1] + 1
        size = (self.n_distinct or self.shape[0]) * n_problems * n_pairs * width**2
        return self.has_hessians and size <= AFFORDABLE

    def indicators(self, rows: Any) -> Array:
        """Which class each row has (C, B)."""
        return (np.arange(self.n_classes)[:, None] == self.codes[rows]).astype(float)


def _n_coefficients(shape: tuple[int, ...], n_classes: int) -> int:
    return (n_classes - 1) * (shape[1] + 1)


def make_labelled_table(
    X: Any, codes: Rows, n_classes: int, n_distinct: int | None = None
) -> LabelledTable | None:
    """The table, or None if it does not suit steps for all experts and folds."""
    numbers = finite_numbers(X)
    if numbers is None or n_classes < 2:
        return None
    most = MOST_COEFFICIENTS if numbers.shape[0] > numbers.shape[1] else NEWTON_LIMIT
    if _n_coefficients(numbers.shape, n_classes) > most:
        return None
    return LabelledTable(numbers, *column_units(numbers), codes, n_classes, n_distinct)
