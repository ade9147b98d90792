"""From what the user passes to `fit` to the table, folds and metadata that the model works on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length

from ._content import group_ids, lowest_rows
from ._data import Data
from ._design import no_value
from ._experts import fit_expert
from ._folds import (
    USUAL_FOLDS,
    Splits,
    check_sides,
    content_folds,
    fold_count,
    group_folds,
    keep_rows,
    user_splits,
)
from ._numeric import Array
from ._observations import by_content, observations
from ._rows import n_rows, read_only, take_params, take_rows
from ._specialisation import ON_GRID, Specialisation
from ._templates import Template, one_of_each_kind
from ._validation import last_step

# A row whose responsibility is below this part of an equal share leaves an expert's fit.
DROP_SHARE = 0.05
# Below this, a row counts for nothing even to a linear expert. Where only such rows give a column
# any spread, a scaler would divide by it, and the expert send the column's other rows to infinity.
# In sample the limit is so low that the bound does not feel it.
NEGLIGIBLE, NEGLIGIBLE_IN_SAMPLE = 1e-8, 1e-12
# Rows that an expert is fitted to in order to see of what kind it is.
KIND_ROWS = 200
# The part of its weight that a row gives to each expert, where that is tried.
POOLED = 0.2


@dataclass(frozen=True)
class Training:
    """The table without its rows of zero weight, its folds, and metadata cut to the same rows."""

    data: Data
    splits: Splits | None
    kept: NDArray[np.intp] | None
    n_given: int
    params: dict[str, dict]

    def sample(self, n_rows: int) -> NDArray[np.intp] | None:
        """All copies of `n_rows` distinct rows; None if there are not twice as many to choose from.

        Which rows follows from their content, as do the folds, so no fold of ours is slighted; how
        a splitter chose its folds is not known, and its table is not cut.
        """
        if not (self.splits is None or self.splits.dealt):
            return None
        rows = lowest_rows(self.data.rank, self.data.distinct, n_rows)
        if rows is None or self.splits is None:
            return rows
        # Of few small groups it may hold no row, and a fold would be lost.
        held = keep_rows(self.splits, rows, self.data.n_samples)
        return rows if len(held) == len(self.splits) else None

    def among_given(self, values: Array) -> Array:
        """Values (n,) of these rows among the rows that were given, the others NaN."""
        if self.kept is None:
            return values
        weight = self.data.sample_weight
        of_row = np.bincount(self.kept, weight, minlength=self.n_given)
        # A row may be here in parts.
        whole = np.bincount(self.kept, weight / of_row[self.kept] * values, minlength=self.n_given)
        return np.where(of_row > 0, whole, np.nan)

    def take(self, rows: NDArray[np.intp]) -> Training:
        """The training table and folds of some rows; its metadata is not cut."""
        data, splits = self.data.take(rows), self.splits
        if splits is not None:
            splits = keep_rows(splits, rows, self.data.n_samples)
        return replace(self, data=data, splits=splits)


def make_training(
    X: Any,
    y: NDArray,
    target: NDArray,
    sample_weight: Array,
    classes: NDArray | None,
    cv: Any,
    params: dict[str, dict],
    groups: Any,
    all_classes: bool,
) -> Training:
    """Split the rows into folds, then drop those that weigh nothing.

    A number of folds deals observations, or whole groups if there are any. A splitter or an
    iterable speaks of the rows as the user gave them. Rows of one of the `groups` are dependent,
    also where the folds do not heed them; a splitter may know them by another name.
    """
    n_samples, n_folds = n_rows(X), fold_count(cv)
    kept = None if sample_weight.all() else np.flatnonzero(sample_weight)
    asked = params.get("splitter", {})
    groups = checked_groups(asked.get("groups", groups), X)
    if "groups" in asked:
        asked = asked | {"groups": groups}
    given = (
        None
        if cv is None or n_folds is not None
        else user_splits(cv, X, y, classes is not None, asked)
    )
    groups = take_rows(groups, kept)
    X, y, target, weight = (take_rows(part, kept) for part in (X, y, target, sample_weight))
    seen_as = observations if n_folds is not None and groups is None else by_content
    seen = seen_as(X, target, weight)
    if seen.rows is not None:
        X, y, target = (take_rows(part, seen.rows) for part in (X, y, target))
        kept = seen.rows if kept is None else kept[seen.rows]
    clusters = seen.rank if groups is None else group_ids(_numbered(groups), seen.hashes)
    data = Data(
        X=read_only(X),
        y=y,
        target=target,
        sample_weight=seen.weight,
        hashes=seen.hashes,
        rank=seen.rank,
        clusters=clusters,
        classes=classes,
        all_classes=all_classes,
    )
    if n_folds is not None:
        given = _dealt_folds(n_folds, data, groups is not None)
    elif given is not None and kept is not None:
        given = keep_rows(given, kept, n_samples)
    check_sides(cv, given)
    cut = {name: take_params(values, n_samples, kept) for name, values in params.items()}
    return Training(data, given, kept, n_samples, cut)


def checked_groups(groups: Any, X: Any) -> Any:
    """Labels (n,) of groups, one for each row of `X`, if there are any; a column is one, too."""
    if groups is None:
        return None
    shape = np.shape(groups)
    if len(shape) != 1 and shape[1:] != (1,):
        raise ValueError(
            f"groups has shape {shape}, and should be (n_samples,): one label for each row. Pass "
            "one column, or one label made of several."
        )
    check_consistent_length(X, groups)
    groups = groups if len(shape) == 1 else np.asarray(groups).ravel()
    # An array made of a list could hold the word "nan" in place of a gap.
    labels = np.asarray(groups, dtype=object if isinstance(groups, list | tuple) else None)
    if _has_gaps(labels):
        raise ValueError(
            "groups holds rows without a label (None or NaN). Give each its group, be it one of "
            "its own."
        )
    return groups


def _has_gaps(labels: NDArray) -> bool:
    if labels.dtype.kind in "fmM":
        return bool((labels != labels).any())  # NaN, NaT
    unclear = labels.dtype == object
    return unclear and any(no_value(type(label)) or label != label for label in labels)


def _numbered(groups: Any) -> NDArray[np.intp]:
    """The number of each row's group."""
    try:
        return np.unique(groups, return_inverse=True)[1]
    except TypeError as error:
        raise ValueError(
            f"groups must hold labels of one kind, numbers or strings: {error}"
        ) from error


def _dealt_folds(n_folds: int, data: Data, in_groups: bool) -> Splits:
    if in_groups:
        is_of_class = np.ones((data.n_samples, 1))
        if data.classes is not None:
            is_of_class = np.eye(len(data.classes))[data.target]
        mass = is_of_class * data.sample_weight[:, None]
        return group_folds(n_folds, data.clusters, mass)
    n_distinct = len(data.distinct)
    if n_folds > max(n_distinct, USUAL_FOLDS):
        raise ValueError(
            f"cv={n_folds} asks for more folds than there are distinct rows of positive weight, "
            f"which are {n_distinct}. Use fewer folds, such as cv={USUAL_FOLDS}."
        )
    if n_distinct < 2:
        raise ValueError(
            f"cv deals rows to {n_folds} folds, which takes 2 distinct ones of positive weight; "
            f"got n_samples={data.n_samples}, {n_distinct} of them distinct. Use more rows."
        )
    labels = None if data.classes is None else data.target
    return content_folds(n_folds, data.rank, labels)


def specialisations(
    min_responsibility: float | str,
    pooling: float | str,
    training: Training,
    templates: list[Template],
    top_k: int | None,
) -> tuple[Specialisation, Specialisation | None]:
    """How routed experts specialise; and how they might instead, if that is to be tried.

    Pooling is tried for experts that specialise by losing rows. They can tell regions apart by
    themselves, and those that need many rows are better off with a little of all. Where few
    experts act on a row it is not: each expert would have to learn all rows.
    """
    data, splits = training.data, training.splits
    thresholds = _thresholds(min_responsibility, data, templates, splits)
    if not isinstance(pooling, str):
        return Specialisation(thresholds, np.full(len(thresholds), float(pooling))), None
    plain = Specialisation(thresholds, np.zeros(len(thresholds)))
    flexible = thresholds > NEGLIGIBLE
    is_tried = splits is not None and isinstance(min_responsibility, str) and flexible.any()
    if not is_tried or top_k is not None:
        return plain, None
    return plain, replace(plain, pooling=np.where(flexible, POOLED, 0.0))


def _thresholds(
    min_responsibility: float | str, data: Data, templates: list[Template], splits: Splits | None
) -> Array:
    """Responsibilities (K,) below which a row leaves an expert's fit.

    A linear expert (one that has `coef_` once fitted) specialises by weights alone, and the
    in-sample bound is monotone only if every row keeps its weight. All others would remember the
    rows that they are meant to leave to others, however small their weights.
    """
    n_experts = len(templates)
    if not isinstance(min_responsibility, str):
        _check_threshold(min_responsibility, n_experts)
        return np.full(n_experts, float(min_responsibility))
    if n_experts == 1:
        return np.zeros(1)
    rows = None if splits is None else splits[0][0]
    linear = {t.kind: is_linear(t, data, rows) for t in one_of_each_kind(templates)}
    # In sample no row is dropped, but the weights are put on the grid where sums are exact.
    threshold = ON_GRID if splits is None else DROP_SHARE / n_experts
    negligible = NEGLIGIBLE_IN_SAMPLE if splits is None else NEGLIGIBLE
    return np.array([negligible if linear[t.kind] else threshold for t in templates])


def is_linear(template: Template, data: Data, rows: NDArray[np.intp] | None) -> bool:
    """Whether the expert, or the last step of its pipeline, has coefficients once fitted.

    A sample of the rows tells as much as all; if they are too few for the expert, all are taken.
    """
    if template.problem is not None:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expert = fit_expert(data, template, data.sample_weight, _sample(data, rows))
    except ValueError:
        expert = fit_expert(data, template, data.sample_weight, rows)
    return hasattr(last_step(expert), "coef_")


def _sample(data: Data, rows: NDArray[np.intp] | None) -> NDArray[np.intp]:
    """A few of the rows, chosen by their content, with at least one of each class."""
    rows = np.arange(data.n_samples) if rows is None else rows
    ordered = rows[np.argsort(data.rank[rows], kind="stable")]
    chosen = ordered[:KIND_ROWS]
    if data.classes is not None:
        firsts = ordered[np.unique(data.target[ordered], return_index=True)[1]]
        chosen = np.union1d(chosen, firsts)
    return np.sort(chosen)


def _check_threshold(min_responsibility: float, n_experts: int) -> None:
    if n_experts > 1 and min_responsibility >= 1.0 / n_experts:
        raise ValueError(
            f"min_responsibility={min_responsibility} must be below 1 / n_experts = "
            f"{1.0 / n_experts:.3g}, or rows could be lost to all experts."
        )
