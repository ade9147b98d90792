"""Logistic regression on the coordinates of a kernel whose metric is learnt as for numbers."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from .._grams import GRAM_ROWS
from .._numeric import Array, row_blocks, safe_log, weighted_mean
from ._metric import Coordinates, learnt_coordinates, rows_that_count

# Variances of the coefficients that are tried, the least first.
VARIANCES = tuple(10.0 ** (k / 2) for k in range(-2, 7))


class MetricKernelClassifier(ClassifierMixin, BaseEstimator):
    """Probabilities of classes that are smooth under a metric that it learns.

    Metric and width are those of a regression of the indicators of classes.

    Parameters
    ----------
    n_landmarks : int, default=500
        Number of rows at most that others are compared with; no more than half of all.
    n_rounds : int, default=2
        How often the metric is learnt anew; the first one takes the columns as they are.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    coordinates_ : Coordinates
        What the logistic regression sees of a row.
    model_ : LogisticRegression or None
        That regression; None if there is a single class.
    """

    def __init__(self, n_landmarks: int = 500, n_rounds: int = 2) -> None:
        self.n_landmarks = n_landmarks
        self.n_rounds = n_rounds

    def fit(
        self, X: Array, y: NDArray, sample_weight: Array | None = None
    ) -> MetricKernelClassifier:
        """Learn labels (n,) from standardised columns (n, p); weights are repeats."""
        X, y, weight = rows_that_count(X, y, sample_weight)
        self.classes_, codes = np.unique(y, return_inverse=True)
        indicators = np.eye(len(self.classes_))[codes]
        sizes = self.n_landmarks, self.n_rounds
        self.coordinates_, few = learnt_coordinates(X, indicators, weight, *sizes)
        few |= ~np.isin(codes, codes[few])  # all rows of classes that would be unknown
        self.model_ = None
        if len(self.classes_) > 1:
            self.model_ = _most_probable(self._columns(X[few]), codes[few], weight[few])
        if self.model_ is not None and not few.all():
            self.model_.fit(self._columns(X), codes, weight)
        return self

    def _columns(self, X: Array) -> Array:
        """The columns (n, c) of rows, made block by block: they are many more than those of `X`."""
        at: Coordinates = self.coordinates_
        columns = np.empty((len(X), len(at.middle)))
        for rows in row_blocks(*columns.shape, GRAM_ROWS):
            np.subtract(at(X[rows] @ at.root), at.middle, out=columns[rows])
        return columns

    def predict_proba(self, X: Array) -> Array:
        """Probabilities (n, C) of the classes."""
        X = np.asarray(X, dtype=float)
        proba = np.ones((len(X), len(self.classes_)))
        if self.model_ is not None:
            for rows in row_blocks(len(X), len(self.coordinates_.middle), GRAM_ROWS):
                proba[rows] = self.model_.predict_proba(self._columns(X[rows]))
        return proba

    def predict(self, X: Array) -> NDArray:
        """The most probable classes (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def _most_probable(Z: Array, codes: NDArray[np.intp], w: Array) -> LogisticRegression:
    """The regression of classes (n,) on columns (n, c) under the variance that suits them best.

    Variances rise until the labels become less probable; each fit begins where the last has ended.
    """
    values = np.linalg.eigvalsh((Z * w[:, None]).T @ Z / w.sum())
    best, highest = LogisticRegression(tol=1e-6, max_iter=1000, warm_start=True), -np.inf
    for variance in VARIANCES:
        model = copy.deepcopy(best).set_params(C=variance).fit(Z, codes, w)
        height = _log_evidence(model, Z, codes, w, np.maximum(values, 0.0))
        if height <= highest:
            break
        best, highest = model, height
    return best


def _log_evidence(
    model: LogisticRegression, Z: Array, codes: NDArray[np.intp], w: Array, values: Array
) -> float:
    """The log probability of the labels under the model's variance, up to a constant.

    By Laplace's method (D. J. C. MacKay, "The evidence framework applied to classification
    networks", Neural Computation 4(5), 1992), with the mean curvature of each class in place of
    that of each row, so that eigenvalues (c,) of the columns tell its determinant.
    """
    proba = model.predict_proba(Z)
    n_free = proba.shape[1] - 1
    curvature = weighted_mean(proba * (1.0 - proba), w) * w.sum()
    volume = np.log1p(model.C * np.outer(curvature, values)).sum() * n_free / (n_free + 1)
    fit = w @ safe_log(proba[np.arange(len(codes)), codes])
    return float(fit - 0.5 * ((model.coef_**2).sum() / model.C + volume))
