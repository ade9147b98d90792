"""A smooth function of the columns, under a metric that it learns from its own slopes.

Rows are compared by a kernel of their distance, in which a direction counts the more, the steeper
the function is along it (A. Radhakrishnan, D. Beaglehole, P. Pandit and M. Belkin, "Mechanism for
feature learning in neural networks and backpropagation-free machine learning models", Science 383,
2024). They are compared with some rows only, the landmarks (C. Williams and M. Seeger, "Using the
Nyström method to speed up kernel machines", NIPS 13, 2001). Of several widths, penalties and
metrics, those are taken under which the targets are most probable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from .._grams import GRAM_ROWS
from .._numeric import DECIMALS, Array, row_blocks, weighted_moments
from .._table_checks import check_weight
from ..linear._evidence import Spectrum

# Rows and landmarks from which metric and width are learnt, and the least rows for each landmark.
MOST_ROWS, FEW_LANDMARKS, ROWS_PER_LANDMARK = 1500, 300, 2
# Widths of the kernel that are tried, in root mean squared distances of two rows.
WIDTHS = (0.5, 1.0, 2.0)
# What columns are multiplied by, which stand beside the kernel's coordinates for a linear part.
LINEAR = 0.3
# Smaller eigenvalues of the kernel, beside the largest, are rounding.
LEAST_EIGENVALUE = 1e-6
# Beyond this many columns, the metric weighs columns, not directions.
MOST_DIRECTIONS = 200
TINY = float(np.finfo(np.float64).tiny)


class MetricKernelRegressor(RegressorMixin, BaseEstimator):
    """Kernel regression that finds its metric, width and penalty.

    Parameters
    ----------
    n_landmarks : int, default=1000
        Number of rows at most that others are compared with; no more than half of all.
    n_rounds : int, default=2
        How often the metric is learnt anew; the first one takes the columns as they are.

    Attributes
    ----------
    function_ : SmoothFunction
        The function that was found.
    """

    def __init__(self, n_landmarks: int = 1000, n_rounds: int = 2) -> None:
        self.n_landmarks = n_landmarks
        self.n_rounds = n_rounds

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> MetricKernelRegressor:
        """Learn targets (n,) or (n, q) from standardised columns (n, p); weights are repeats."""
        X, y, weight = rows_that_count(X, y, sample_weight)
        parts = X, np.asarray(y, dtype=float).reshape(len(X), -1), weight
        coordinates, _ = learnt_coordinates(*parts, self.n_landmarks, self.n_rounds)
        self.function_ = SmoothFunction.fitted(coordinates, *parts)
        self.target_shape_ = np.shape(y)[1:]
        return self

    def predict(self, X: Array) -> Array:
        """Predictions (n,) or (n, q)."""
        X = np.asarray(X, dtype=float)
        return self.function_(X).reshape(len(X), *self.target_shape_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def rows_that_count(X: Any, y: Any, sample_weight: Array | None) -> tuple[Array, NDArray, Array]:
    """Rows, targets and weights, without rows of no weight."""
    X, y, weight = np.asarray(X, dtype=float), np.asarray(y), check_weight(sample_weight, X)
    kept = weight > 0
    return X[kept], y[kept], weight[kept]


def learnt_coordinates(
    X: Array, y: Array, w: Array, n_landmarks: int, n_rounds: int
) -> tuple[Coordinates, NDArray[np.bool_]]:
    """Coordinates of the metric and width under which targets (n, q) are most probable.

    Also, whether each row (n,) is among the few from which these were learnt.
    """
    landmarks, few = _landmarks(X, n_landmarks)
    part = landmarks[:FEW_LANDMARKS], X[few], y[few], w[few]
    found = [_most_probable(np.eye(X.shape[1]), *part)]
    for _ in range(n_rounds):
        found.append(_most_probable(found[-1].learnt_root(*part[1:]), *part))
    best = max(found, key=lambda function: function.log_evidence).coordinates
    return replace(best, landmarks=landmarks @ best.root), few


def _landmarks(X: Array, most: int) -> tuple[Array, NDArray[np.bool_]]:
    """The landmarks (m, p), and whether each row (n,) is among the few to learn the metric from.

    Content decides, so neither copies of a row nor the order of rows matter.
    """
    distinct, place = np.unique(X.round(DECIMALS), axis=0, return_inverse=True)
    order = np.random.RandomState(0).permutation(len(distinct))
    n_landmarks = min(most, max(1, len(distinct) // ROWS_PER_LANDMARK))
    is_few = np.zeros(len(distinct), dtype=bool)
    is_few[order[:MOST_ROWS]] = True
    return distinct[order[:n_landmarks]], is_few[place.ravel()]


def _most_probable(root: Array, landmarks: Array, X: Array, y: Array, w: Array) -> SmoothFunction:
    """The function of the width under which targets (n, q) are most probable.

    The metric compares rows multiplied by a `root` (p, p), in units of the distance of two rows.
    """
    spread = 2.0 * weighted_moments(X @ root, w)[1].sum()
    root = root / np.sqrt(spread) if spread > TINY else np.zeros_like(root)  # all rows are one
    coordinates = [Coordinates(root, landmarks @ root, width) for width in WIDTHS]
    functions = [SmoothFunction.fitted(each, X, y, w) for each in coordinates]
    return max(functions, key=lambda function: function.log_evidence)


@dataclass(frozen=True)
class Coordinates:
    """Columns in which a smooth function is linear: coordinates of the kernel, and the rows.

    Rows (n, p) times the `root` (p, p) are rows under the metric; the `landmarks` (m, p) already
    are.
    """

    root: Array
    landmarks: Array
    width: float

    def __call__(self, Z: Array) -> Array:
        """The columns (n, c) of rows (n, p) under the metric."""
        return np.hstack([self._kernel(Z) @ self.whitening, LINEAR * Z])

    def distance(self, Z: Array) -> Array:
        """Distances (n, m) of rows under the metric to the landmarks, in units of the kernel."""
        squared = (Z**2).sum(axis=1)[:, None] + (self.landmarks**2).sum(axis=1)
        squared -= 2.0 * Z @ self.landmarks.T
        return np.sqrt(5.0 * np.maximum(squared, 0.0)) / self.width

    def _kernel(self, Z: Array) -> Array:
        distance = self.distance(Z)
        return (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)

    @cached_property
    def _directions(self) -> tuple[Array, Array]:
        """Eigenvalues (s,) and vectors (m, s) of the landmarks' own kernel, rounding left out."""
        values, vectors = np.linalg.eigh(self._kernel(self.landmarks))
        kept = values > LEAST_EIGENVALUE * values[-1]
        return values[kept], vectors[:, kept]

    @cached_property
    def whitening(self) -> Array:
        """The matrix (m, s) from similarities (n, m) to the landmarks to coordinates (n, s)."""
        values, vectors = self._directions
        return vectors / np.sqrt(values)

    @cached_property
    def middle(self) -> Array:
        """The mean (c,) of the landmarks' own columns."""
        values, vectors = self._directions
        return np.append((vectors * np.sqrt(values)).mean(0), LINEAR * self.landmarks.mean(0))


@dataclass(frozen=True)
class SmoothFunction:
    """A linear function of coordinates: coefficients (c, q), and the level (q,) in their middle.

    `log_evidence` is the log probability of the targets that it was fitted to.
    """

    coordinates: Coordinates
    coef: Array
    level: Array
    log_evidence: float

    @classmethod
    def fitted(cls, coordinates: Coordinates, X: Array, y: Array, w: Array) -> SmoothFunction:
        """The function under whose penalty targets (n, q) of weights (n,) are most probable."""
        n_columns = len(coordinates.middle)
        find = _spectrum_of_few if len(X) < n_columns else _spectrum
        spectrum, means = find(coordinates, X, y, w)
        penalty = spectrum.penalties()
        (coef,), (log_evidence,) = spectrum.solve(penalty), spectrum.log_evidence(np.log(penalty))
        level = means[n_columns:] - (means[:n_columns] - coordinates.middle) @ coef
        return cls(coordinates, coef, level, float(log_evidence))

    def __call__(self, X: Array) -> Array:
        """Values (n, q) of the function at rows (n, p)."""
        values = np.empty((len(X), len(self.level)))
        for rows in row_blocks(len(X), len(self.coef), GRAM_ROWS):
            columns = self.coordinates(X[rows] @ self.coordinates.root) - self.coordinates.middle
            values[rows] = columns @ self.coef + self.level
        return values

    def learnt_root(self, X: Array, y: Array, w: Array) -> Array:
        """The root (p, p) of the mean outer product of the function's slopes, at rows (n, p).

        Outputs (n, q) count alike, whatever their units.
        """
        root, variance = self.coordinates.root, weighted_moments(y, w)[1]
        weights = [w / (unit if unit > 0 else 1.0) for unit in variance]
        slopes = zip(self._slopes(X @ root), weights, strict=True)
        if len(root) > MOST_DIRECTIONS:
            steepness = sum(weight @ slope**2 for slope, weight in slopes)
            return np.diag(root.diagonal() * np.sqrt(steepness))
        products = sum(slope.T @ (slope * weight[:, None]) for slope, weight in slopes)
        values, vectors = np.linalg.eigh(root @ products @ root.T)
        return vectors * np.sqrt(np.maximum(values, 0.0))

    def _slopes(self, Z: Array) -> Iterator[Array]:
        """For each output the slopes (n, p) along the columns of rows under the metric."""
        to, whitening = self.coordinates, self.coordinates.whitening
        distance = to.distance(Z)
        falls = -5.0 / 3.0 / to.width**2 * (1.0 + distance) * np.exp(-distance)
        for coef in self.coef.T:
            smooth, linear = np.split(coef, [whitening.shape[1]])
            pull = falls * (whitening @ smooth)
            yield pull.sum(axis=1)[:, None] * Z - pull @ to.landmarks + LINEAR * linear


def _spectrum(coordinates: Coordinates, X: Array, y: Array, w: Array) -> tuple[Spectrum, Array]:
    """The spectrum for the penalty of a linear function of coordinates, and means of all columns.

    They come from products of columns, summed block by block.
    """
    n_columns = len(coordinates.middle)
    center = np.append(coordinates.middle, weighted_moments(y, w)[0])
    gram, sums = np.zeros((len(center), len(center))), np.zeros(len(center))
    for rows in row_blocks(len(X), n_columns, GRAM_ROWS):
        columns = np.hstack([coordinates(X[rows] @ coordinates.root), y[rows]]) - center
        sums += w[rows] @ columns
        gram += (columns * w[rows, None]).T @ columns
    gram -= np.outer(sums, sums) / w.sum()
    features, outputs = slice(n_columns), slice(n_columns, None)
    system, right = gram[features, features], gram[features, outputs]
    squares, total = gram[outputs, outputs].diagonal(), w.sum()
    spectrum = Spectrum.of(system[None], right[None], squares[None], total[None])
    return spectrum, center + sums / total


def _spectrum_of_few(
    coordinates: Coordinates, X: Array, y: Array, w: Array
) -> tuple[Spectrum, Array]:
    """As `_spectrum`, for a table that has fewer rows than columns."""
    columns = np.hstack([coordinates(X @ coordinates.root), y])
    means = weighted_moments(columns, w)[0]
    features, outputs = np.split(columns - means, [len(coordinates.middle)], axis=1)
    return Spectrum.of_rows(features, outputs, w), means
