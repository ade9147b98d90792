"""Rows as experts take them, and what fitted ones say: outputs, or probabilities of all classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from ._nameless import bare_numbers
from ._numeric import Array, positions_among
from ._routing import Slots
from ._rows import column_names, is_frame, n_rows, take_rows
from .linear import predict_plain

# A class derived from one of these may see its rows otherwise.
TREES = (DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor)


@dataclass(frozen=True)
class ExpertTable:
    """A table as experts see it, to learn from it or to predict its rows.

    Trees take single precision. For them it is made and checked once (`single`), not by each: to
    check a few rows takes as long as to go down a tree, and half as long as to grow one.
    """

    X: Any

    @cached_property
    def single(self) -> NDArray[np.float32] | None:
        """The table in single precision, if it is one of numbers without gaps."""
        X = self.X if isinstance(self.X, np.ndarray) else bare_numbers(self.X)
        if X is None or X.ndim != 2 or X.dtype.kind not in "fiu":
            return None
        with np.errstate(over="ignore"):
            single = np.ascontiguousarray(X, dtype=np.float32)
        return single if np.isfinite(single).all() else None

    def for_fit(self, expert: Any, rows: Any) -> tuple[Any, dict[str, bool]]:
        """Rows (all, if None) as an expert takes them to learn from, and options of its `fit`."""
        # A fit that does not check its input keeps no names of columns, and takes negative targets
        # under the Poisson criterion.
        may_skip = isinstance(self.X, np.ndarray) and getattr(expert, "criterion", "") != "poisson"
        return self._rows(rows, type(expert) in TREES and may_skip)

    def predict(self, expert: Any, classes: NDArray | None, rows: Any = None) -> Array:
        """What a fitted expert says of rows, all if None."""
        X, options = self._rows(rows, type(expert) in TREES and self._has_columns_of(expert))
        return predict_expert(expert, X, classes, **options)

    def _rows(self, rows: Any, single: bool) -> tuple[Any, dict[str, bool]]:
        if single and self.single is not None:
            return take_rows(self.single, rows), {"check_input": False}
        return take_rows(self.X, rows), {}

    def _has_columns_of(self, tree: Any) -> bool:
        if is_frame(self.X):
            return column_names(self.X) == list(getattr(tree, "feature_names_in_", []))
        return np.shape(self.X)[1:] == (tree.n_features_in_,)


def predict_expert(expert: Any, X: Any, classes: NDArray | None, **options: Any) -> Array:
    """What a fitted expert says of each row: outputs (n, q), or class probabilities (n, C).

    Outputs may be infinite: they are to be `held`.
    """
    if classes is None:
        with np.errstate(over="ignore"):  # of exponentials
            predicted = np.asarray(expert.predict(X, **options), dtype=np.float64)
        if len(predicted) != n_rows(X):
            raise ValueError(f"it predicted {len(predicted)} values for {n_rows(X)} rows")
        predicted = predicted.reshape(n_rows(X), -1)
    else:
        predicted = np.asarray(_class_probabilities(expert, X, classes, options), dtype=np.float64)
    if (np.isnan(predicted) if classes is None else ~np.isfinite(predicted)).any():
        raise ValueError(
            f"{type(expert).__name__} predicted NaN. Scale its inputs or regularise it, for "
            "instance in a pipeline."
        )
    return predicted


def limits_of(target: Array, extrapolation: float | None) -> Array | None:
    """Lowest and highest predictions (2, q) so many ranges of a target (n, q) beyond it."""
    if extrapolation is None:
        return None
    least, greatest = target.min(axis=0), target.max(axis=0)
    room = extrapolation * (greatest - least)
    return np.stack([least - room, greatest + room])


def clipped(predicted: Array, limits: Array | None) -> Array:
    """Outputs (..., q) between `limits` (2, q); themselves if they are, or there are none."""
    if limits is None or not predicted.size:
        return predicted
    # All inside of the narrowest limits, as they are almost always, is seen without an array.
    if predicted.min() >= limits[0].max() and predicted.max() <= limits[1].min():
        return predicted
    return np.clip(predicted, *limits)


def held(predicted: Array, limits: Array | None) -> Array:
    """Outputs (..., q) of experts between `limits` (2, q), if there are any.

    Raises
    ------
    ValueError
        If there are none, and an output is infinite.
    """
    if limits is None and not np.isfinite(predicted).all():
        raise ValueError(
            "an expert predicted infinity. Scale its inputs or regularise it, for instance in a "
            "pipeline (a number as the extrapolation of a mixture would limit its predictions)."
        )
    return clipped(predicted, limits)


def _class_probabilities(expert: Any, X: Any, classes: NDArray, options: dict) -> Array:
    """Probabilities (n, C), zero for classes unseen; a hard vote where there are none."""
    if hasattr(expert, "predict_proba"):
        return align_classes(expert.predict_proba(X, **options), expert.classes_, classes)
    labels, seen = np.asarray(expert.predict(X)), np.sort(getattr(expert, "classes_", classes))
    place, known = positions_among(labels, seen)
    if not known.all():
        raise ValueError(
            f"{type(expert).__name__} predicted {labels[~known][:1].tolist()}, which is no class."
        )
    return align_classes(np.eye(len(seen))[place], seen, classes)


def align_classes(proba: Array, seen: NDArray, classes: NDArray) -> Array:
    """Probabilities (n, C) of all `classes`, from those of the classes `seen`.

    A frozen expert may know others, whose probability goes to those that are known to both.
    """
    if np.array_equal(seen, classes):
        return proba
    place, known = positions_among(seen, classes)
    if not known.any():
        raise ValueError(
            f"an expert knows the classes {seen.tolist()}, and none of those of y, which are "
            f"{classes.tolist()}."
        )
    aligned = np.zeros((len(proba), len(classes)))
    aligned[:, place[known]] = proba[:, known]
    if known.all():
        return aligned
    total = aligned.sum(axis=1, keepdims=True)
    return np.divide(aligned, total, out=np.full_like(aligned, 1 / len(classes)), where=total > 0)


def predict_bank(experts: Sequence[Any], X: Any, classes: NDArray | None) -> Array:
    """Predictions of all experts for all rows: (n, K, q) or (n, K, C)."""
    plain = predict_plain(experts, X) if classes is None else None
    if plain is not None:
        return plain
    table = ExpertTable(X)
    # Experts come before rows in memory, of which there are many.
    return np.stack([table.predict(expert, classes) for expert in experts]).transpose(1, 0, 2)


def predict_acting(experts: Sequence[Any], X: Any, classes: NDArray | None, slots: Slots) -> Array:
    """Predictions (n, S, q) or (n, S, C) of the experts that act: each sees its own rows only."""
    if slots.index is None:
        return predict_bank(experts, X, classes)
    table, predicted = ExpertTable(X), []
    for k, expert in enumerate(experts):
        rows, _ = slots.of_expert(k)
        if len(rows):
            predicted.append(table.predict(expert, classes, rows))
    return slots.from_experts(np.concatenate(predicted))
