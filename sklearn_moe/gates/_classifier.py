"""Any classifier as a gate, by weighted row expansion."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from .._content import content_ids, row_hashes
from .._information import count_estimator
from .._numeric import Array, safe_log
from .._validation import check_is_fitted, get_tags, n_rows, take_rows
from .._weighting import fit_weighted
from ._base import Gate

NEGLIGIBLE = 1e-4


class ClassifierGate(Gate):
    """Any classifier with `predict_proba`, fitted to responsibilities by row expansion.

    Each row is repeated once for each expert, labelled with the expert and weighted with the
    responsibility: the weighted log-likelihood of the classifier is then the gate's objective.
    Argmax labels, which would make the gate over-confident, are never used. Classifiers that take
    no weights see a systematic sample of the expanded rows.

    Parameters
    ----------
    classifier : classifier or Pipeline
        Any scikit-learn classifier with `predict_proba`, or a pipeline that ends in one.

    Attributes
    ----------
    classifier_ : classifier
        The fitted classifier; its classes are the positions of the experts.
    n_experts_ : int
        Number of experts.
    """

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier

    def fit(self, X: Any, expert_weights: Array) -> ClassifierGate:
        """Fit to soft targets `expert_weights` (n, K)."""
        rows, labels, weight = _expand(np.asarray(expert_weights, dtype=np.float64))
        self.n_experts_ = np.shape(expert_weights)[1]
        self.floor_ = 1.0 / (1.0 + weight.sum())
        # Sampled label by label: row by row, the likelier label of each row would always win.
        content = content_ids(row_hashes(X, np.zeros(n_rows(X))))
        rank = labels * n_rows(X) + content[rows]
        expanded = take_rows(X, rows)
        try:
            self.classifier_ = fit_weighted(
                clone(self.classifier), expanded, labels, weight, rank, labelled=True
            )
        except Exception as error:
            raise ValueError(
                f"gate={self.classifier!r} failed to fit on {len(rows)} rows labelled with "
                f"experts: {error}"
            ) from error
        return self

    def predict_log_proba(self, X: Any) -> Array:
        """Log probabilities (n, K); no probability is below one pseudo-count's share."""
        check_is_fitted(self, "classifier_")
        proba = np.zeros((n_rows(X), self.n_experts_))
        proba[:, self.classifier_.classes_] = self.classifier_.predict_proba(X)
        proba = (1.0 - self.floor_) * proba + self.floor_ / self.n_experts_
        return safe_log(proba / proba.sum(axis=1, keepdims=True))

    def count_parameters(self) -> int:
        """Number of free parameters of the classifier, if it is a linear one."""
        return count_estimator(self.classifier_, "gate")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.classifier).input_tags
        tags.input_tags.sparse = inner.sparse
        tags.input_tags.allow_nan = inner.allow_nan
        tags.input_tags.categorical = inner.categorical
        return tags


def _expand(expert_weights: Array) -> tuple[np.ndarray, np.ndarray, Array]:
    """Rows, expert labels and weights of the expanded table, without its negligible rows."""
    share = expert_weights / np.maximum(expert_weights.sum(axis=1, keepdims=True), 1e-300)
    rows, labels = np.nonzero(share > NEGLIGIBLE)
    return rows, labels, expert_weights[rows, labels]
