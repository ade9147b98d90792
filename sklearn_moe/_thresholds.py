"""How experts specialise, by kind: which rows leave their fits, and what rows are lent to them."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ._data import Data
from ._experts import fit_expert
from ._folds import Splits
from ._numeric import Array
from ._specialisation import ON_GRID, Specialisation
from ._templates import Template, one_of_each_kind
from ._training import Training
from ._validation import last_step

# A row whose responsibility is below this part of an equal share leaves an expert's fit.
DROP_SHARE = 0.05
# Below this, a row counts for nothing even to a linear expert. If only such rows gave a column any
# spread, a scaler would divide by it, and the expert send the column's other rows to infinity. In
# sample the limit is so low that it does not affect the bound.
NEGLIGIBLE, NEGLIGIBLE_IN_SAMPLE = 1e-8, 1e-12
# Rows that an expert is fitted to in order to see whether it is linear.
KIND_ROWS = 200
# The part of its weight that a row gives to each expert, where pooling is tried.
POOLED = 0.2


def specialisations(
    min_responsibility: float | str,
    pooling: float | str,
    training: Training,
    templates: list[Template],
    top_k: int | None,
) -> tuple[Specialisation, Specialisation | None]:
    """How routed experts specialise; and how they might instead, if that is to be tried.

    Pooling is tried for experts that specialise by losing rows. They can tell regions apart by
    themselves, and if they need many rows, a little of all is better. It is not tried with `top_k`:
    each expert would have to learn all rows.
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
    in-sample bound is monotone only if every row keeps its weight. Other experts would remember the
    rows that they are meant to leave, however little these weigh.
    """
    n_experts = len(templates)
    if not isinstance(min_responsibility, str):
        _check_threshold(min_responsibility, n_experts)
        return np.full(n_experts, float(min_responsibility))
    if n_experts == 1:
        return np.zeros(1)
    rows = None if splits is None else splits[0][0]
    linear = {t.kind: is_linear(t, data, rows) for t in one_of_each_kind(templates)}
    # In sample no row is dropped, but weights are put on a grid on which sums are exact.
    threshold = ON_GRID if splits is None else DROP_SHARE / n_experts
    negligible = NEGLIGIBLE_IN_SAMPLE if splits is None else NEGLIGIBLE
    return np.array([negligible if linear[t.kind] else threshold for t in templates])


def is_linear(template: Template, data: Data, rows: NDArray[np.intp] | None) -> bool:
    """Whether the expert, or the last step of its pipeline, has coefficients once fitted.

    A sample of the rows tells as much as all; if it is too small for the expert, all are taken.
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
            f"{1.0 / n_experts:.3g}, or all experts could lose a row. Lower it, or use fewer "
            "experts."
        )
