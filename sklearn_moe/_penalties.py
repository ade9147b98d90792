"""The penalty of logistic experts that find their own: found once, by one expert of all rows.

Each region, fold and iteration of EM would search anew, and has fewer rows to judge by. But regions
of opposite rules teach one expert nothing, which then is shrunk away, and those of a mixture are
not to be. So they begin with the usual penalty where the one expert asks for a stronger one, and
try the latter once their start is found.
"""

from __future__ import annotations

from dataclasses import replace

from sklearn import config_context
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from ._data import Data
from ._experts import fit_expert
from ._progress import Reporter
from ._templates import Template
from ._validation import last_step
from .linear import USUAL, without_steps
from .weighting import request_groups, way_to_last


class Penalties:
    """Penalties that the templates of a fit to `data` ask for; copies of one estimator ask once."""

    def __init__(self, data: Data, reporter: Reporter) -> None:
        self.data, self.reporter = data, reporter
        self.by_kind: dict[str | int, float] = {}

    def settle(self, template: Template) -> Template:
        """The template under its penalty, if it is to find one."""
        if not template.seeks_penalty:
            return template
        if template.kind not in self.by_kind:
            self.by_kind[template.kind] = self._find(template)
        C = self.by_kind[template.kind]
        only_expert = template.under_penalty(C)
        if C >= USUAL:
            return only_expert
        return replace(template.under_penalty(USUAL), only_expert=only_expert)

    def _find(self, template: Template) -> float:
        """The inverse penalty that one expert of all rows finds, which is reported."""
        grouped = self._grouped(template) if self.data.has_groups else template
        routes = None if grouped is template else grouped.plan.is_routed  # None: as the user has it
        # Its penalty is all that is asked for: to solve under it may take longer than the search.
        seeker = replace(grouped, estimator=without_steps(grouped.fresh()))
        with config_context(enable_metadata_routing=routes):
            expert = fit_expert(self.data, seeker, self.data.sample_weight, None)
        found = getattr(last_step(expert), "C_", None)
        if found is None:  # rows of a single class have made it a constant
            return USUAL
        self.reporter.penalty(template.name, found)
        return float(found)

    def _grouped(self, template: Template) -> Template:
        """The template whose last step is told of groups, if it takes them.

        Where the user has asked for metadata, they go where he has asked for them.
        """
        estimator = template.estimator
        has_asked = bool(template.params) and isinstance(estimator, Pipeline)
        if has_asked or not has_fit_parameter(last_step(estimator), "groups"):
            return template
        if not template.plan.is_routed:
            groups = {f"{way_to_last(estimator)}groups": self.data.clusters}
            return replace(template, params=groups | template.params)
        expert = template.fresh()
        with config_context(enable_metadata_routing=True):
            request_groups(expert)
        return replace(template, estimator=expert, params={"groups": self.data.clusters})
