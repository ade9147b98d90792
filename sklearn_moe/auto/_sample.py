"""The rows that the candidates of an automatic mixture are fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from .._folds import Splits, keep_rows
from .._forecasts import Forecast
from .._numeric import Array
from .._rows import take_rows
from ..weighting import plan_steps, transform_weighted
from ._candidate import Candidate

# Groups enough for any usual number of folds.
ENOUGH_GROUPS = 10
# In a table of twice as many distinct rows, only a part judges at first.
FIRST_ROWS = 1000


@dataclass(frozen=True)
class Sample:
    """Rows of a table in several views, with their targets, weights and groups.

    Rows of the same `rank` are copies; ranks follow from what rows hold. `place` are the positions
    of the rows in the whole table.
    """

    views: dict[str, Any]
    y: NDArray
    weight: Array
    groups: Any
    rank: NDArray[np.intp]
    place: NDArray[np.intp]

    @property
    def n_distinct(self) -> int:
        """Number of rows that are no copies."""
        return int(self.rank.max()) + 1

    def few(self, n_rows: int) -> Sample:
        """All copies of `n_rows` distinct rows; itself if there are no more, or too few groups."""
        if self.n_distinct <= n_rows:
            return self
        few = self.take(np.flatnonzero(self.rank < n_rows))
        # Few rows may miss small groups, and hold too few groups to make folds of.
        if self.groups is None or few.n_groups >= min(ENOUGH_GROUPS, self.n_groups):
            return few
        return self

    @property
    def n_groups(self) -> int:
        """Number of different groups."""
        return len(set(np.asarray(self.groups).tolist()))

    def take(self, rows: NDArray[np.intp]) -> Sample:
        """Some of the rows."""
        views = {name: take_rows(view, rows) for name, view in self.views.items()}
        return Sample(
            views,
            y=take_rows(self.y, rows),
            weight=take_rows(self.weight, rows),
            groups=take_rows(self.groups, rows),
            rank=self.rank[rows],
            place=self.place[rows],
        )

    def fit(self, candidate: Candidate) -> tuple[Pipeline, Forecast | None]:
        """The candidate's model, fitted as pipelines are, and its forecast of unseen rows.

        Weights and groups reach all steps.
        """
        model = clone(candidate.model)
        steps, mixture, X = model[:-1], model[-1], self.views[candidate.view]
        given = {name: model.get_params()[name] for name in candidate.of_table}
        model.set_params(**{name: self._cut(each) for name, each in candidate.of_table.items()})
        plan = plan_steps(steps)
        params = _of_groups(steps, self.groups, is_routed=plan.names is None)
        X = transform_weighted(steps, X, self.y, self.weight, plan, params)
        forecast = mixture._fit_forecasting(X, self.y, self.weight, self.groups)
        # A pipeline with a memory replaces its steps when they are fitted.
        fitted = Pipeline([*steps.steps, model.steps[-1]], memory=model.memory)
        return fitted.set_params(**given), forecast

    def _cut(self, of_table: Splits | NDArray) -> Any:
        """Folds, or rows, of the whole table for the rows of the sample."""
        if isinstance(of_table, Splits):
            return list(keep_rows(of_table, self.place, of_table.n_samples))
        return take_rows(of_table, self.place)


def _of_groups(steps: Pipeline, groups: Any, is_routed: bool) -> dict[str, Any]:
    """The groups as parameters of a fit, by name or routed, for steps that ask for them."""
    if groups is None:
        return {}
    if not is_routed:
        asking = [name for name, step in steps.steps if has_fit_parameter(step, "groups")]
        return {f"{name}__groups": groups for name in asking}
    with config_context(enable_metadata_routing=True):
        is_asked_for = get_routing_for_object(steps).consumes("fit", ["groups"])
    return {"groups": groups} if is_asked_for else {}
