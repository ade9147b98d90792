"""From which responsibility down a row leaves an expert's fit.

Weights alone make most experts specialise. Some remember a row however little it weighs, as a fully
grown tree does: its leaf predicts the row's own target. Such an expert would go on explaining the
rows that it is meant to leave to others, so they are taken away from it. Whether it is of that kind
is found out by a trial: a part of the rows is made light, and we look whether they are predicted
better for having been there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._content import uniform_by_content
from ._experts import Data, Template, fit_one
from ._numeric import WEIGHT_GRID, Array, weighted_mean

# A row whose responsibility is below this part of an equal share leaves the fit of an expert that
# remembers light rows: one for which rows of weight LIGHT lose more than this part of their error.
DROP_SHARE = 0.05
LIGHT = 0.01
REMEMBERED = 0.25


def specialisation_thresholds(
    min_responsibility: float | str, data: Data, templates: list[Template], cross_fitted: bool
) -> Array:
    """Responsibilities (K,) below which a row leaves an expert's fit."""
    n_experts = len(templates)
    if not isinstance(min_responsibility, str):
        _check_threshold(min_responsibility, n_experts)
        return np.full(n_experts, float(min_responsibility))
    if n_experts == 1:
        return np.zeros(1)
    by_kind = {template.kind: template for template in templates}
    found = {
        kind: _threshold(data, template, n_experts, cross_fitted)
        for kind, template in by_kind.items()
    }
    return np.array([found[template.kind] for template in templates])


def _check_threshold(min_responsibility: float, n_experts: int) -> None:
    if n_experts > 1 and min_responsibility >= 1.0 / n_experts:
        raise ValueError(
            f"min_responsibility={min_responsibility} must be below 1 / n_experts = "
            f"{1.0 / n_experts:.3g}, or rows could be lost to all experts."
        )


def _threshold(data: Data, template: Template, n_experts: int, cross_fitted: bool) -> float:
    """0 for experts with `coef_`, whose bound is monotone in sample only if all rows stay.

    The others get at least the smallest weight of the grid on which sums are exact.
    """
    light = uniform_by_content(data.hashes, seed=0) < 0.5
    try:
        expert, with_light = _trial(data, template, np.where(light, LIGHT, 1.0))
        if _has_coefficients(expert):
            return 0.0
        if cross_fitted and light.any() and not light.all():
            without = _trial(data, template, np.where(light, 0.0, 1.0))[1]
            if _lost_error(data, light, without, with_light) > REMEMBERED:
                return DROP_SHARE / n_experts
    except ValueError:
        # Half of the rows are too few for the expert. Whether all are too few, the fit will tell.
        pass
    return 1.0 / WEIGHT_GRID


def _trial(data: Data, template: Template, factor: Array) -> tuple[Any, Array]:
    """The expert fitted under sample weights times `factor` (n,), and what it says of all rows."""
    return fit_one(data, template, factor * data.sample_weight, None, None)


def _has_coefficients(expert: Any) -> bool:
    """Whether the expert, or the last step of its pipeline, is linear."""
    while hasattr(expert, "steps"):
        expert = expert.steps[-1][1]
    return hasattr(expert, "coef_")


def _lost_error(data: Data, rows: NDArray[np.bool_], before: Array, after: Array) -> float:
    """The part of their squared error that `rows` lost from one prediction to the other."""
    target = data.target if data.classes is None else np.eye(len(data.classes))[data.target]
    weight = data.sample_weight[rows]
    errors = [weighted_mean((p - target)[rows] ** 2, weight) for p in (before, after)]
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.nan_to_num(errors[1] / errors[0], nan=1.0, posinf=1.0)
    return float(1.0 - left.mean())
