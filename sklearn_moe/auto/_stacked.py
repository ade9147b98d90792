"""Columns for mixtures that are stacked on other learners: the table's, and what these predict."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from .._content import content_ids, row_hashes
from .._cross_fitted import CrossFittedPredictions
from .._design import TabularEncoder
from .._folds import keep_rows, user_splits
from .._numeric import Array, Rows, weighted_moments
from .._rows import take_rows
from ._columns import MOST_CATEGORIES, indicators_each

# Predictions count this many times as much as columns, in standard deviations. Experts, which have
# one penalty for all coefficients, then follow predictions, while the gate, which has no units,
# uses whatever helps. With a weaker pull, experts of many columns would learn what was held out of
# a fold.
PULL = 100.0


class StackedColumns(TransformerMixin, BaseEstimator):
    """The columns of a table as numbers and, out of fold, what learners of several kinds predict.

    Parameters
    ----------
    learners : list of (name, estimator)
        Regressors that take numbers.
    boosting : HistGradientBoostingRegressor
        One more learner, which takes the table with its categories.
    cv : int, splitter or list of (train, test), default=5
        Folds of the predictions.
    n_jobs : int, default=None
        Number of jobs.
    random_state : int, default=None
        Seeds the learners.

    Attributes
    ----------
    encoder_ : TabularEncoder
        How columns become numbers.
    predictions_ : CrossFittedPredictions
        The learners that can predict as many outputs as there are.
    scale_ : ndarray of shape (n_predictions,)
        What predictions are multiplied by.
    """

    def __init__(
        self,
        learners: list[tuple[str, Any]],
        boosting: Any,
        cv: Any = 5,
        n_jobs: int | None = None,
        random_state: int | None = None,
    ) -> None:
        self.learners = learners
        self.boosting = boosting
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Array | None = None, groups: Any = None) -> Any:
        """Learn from a table (n, p) and its targets (n,) or (n, q)."""
        self.fit_transform(X, y, sample_weight, groups)
        return self

    def fit_transform(
        self, X: Any, y: Any, sample_weight: Array | None = None, groups: Any = None
    ) -> Array:
        """Learn from a table, and return its columns, whose predictions are out of fold.

        Learners see rows in an order that follows from what these hold: trees break ties by order,
        and by way of predictions that would change how rows are dealt to the folds of a mixture.
        """
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
        y = np.asarray(y)
        outputs = y.reshape(len(y), -1)
        self.encoder_ = TabularEncoder(indicators_each(X, MOST_CATEGORIES)).fit(X, None, weight)
        order = np.lexsort((weight, content_ids(row_hashes(X, y))))
        self.predictions_ = CrossFittedPredictions(
            self._learners(several=outputs.shape[1] > 1),
            cv=self._folds(X, y, groups, order),
            n_jobs=self.n_jobs,
            random_state=self.random_state,
        ).set_output(transform="default")
        table = [take_rows(part, order) for part in (X, y, weight, groups)]
        predicted = self.predictions_.fit_transform(*table)[np.argsort(order)]
        variance = weighted_moments(outputs, weight)[1]
        spread = np.sqrt(np.where(variance > 0, variance, 1.0))
        self.scale_ = PULL / np.tile(spread, len(self.predictions_.estimators))
        return self._beside_columns(X, predicted)

    def _folds(self, X: Any, y: Array, groups: Any, order: Rows) -> Any:
        """The folds of the rows in another order."""
        if isinstance(self.cv, Integral):
            return self.cv
        params = {} if groups is None else {"groups": groups}
        splits = user_splits(self.cv, X, y, is_classifier=False, params=params)
        renumbered = keep_rows(splits, order, len(y))
        return [(np.sort(train), np.sort(test)) for train, test in renumbered]

    def transform(self, X: Any) -> Array:
        """The columns of other rows."""
        return self._beside_columns(X, self.predictions_.transform(X))

    def _beside_columns(self, X: Any, predicted: Array) -> Array:
        return np.hstack([self.encoder_.transform(X), predicted * self.scale_])

    def _learners(self, several: bool) -> list[tuple[str, Any]]:
        """Learners that can predict one output, or `several`, from the table as it is."""
        of_numbers = [(n, make_pipeline(clone(self.encoder_), each)) for n, each in self.learners]
        return [
            (name, learner)
            for name, learner in [("boosting", self.boosting), *of_numbers]
            if not several or get_tags(learner).target_tags.multi_output
        ]
