"""The penalty of logistic experts that find their own: found once, by one expert of all rows.

Each region, fold and iteration of EM would search anew, and has fewer rows to judge by. But regions
of opposite rules teach one expert nothing, which then is shrunk away, and those of a mixture are
not to be. So they begin with the usual penalty where the one expert asks for a stronger one, and
try the latter once their start is found.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

from sklearn import config_context

from ._data import Data
from ._experts import fit_expert
from ._progress import Reporter
from ._templates import Template
from ._validation import last_step
from .linear import USUAL, CrossValidatedLogistic
from .weighting import plan_weights


class Penalties:
    """Those that the templates of a fit to `data` ask for; copies of one estimator ask once."""

    def __init__(self, data: Data, reporter: Reporter) -> None:
        self.data, self.reporter = data, reporter
        self.found: dict[str | int, float] = {}

    def settle(self, template: Template) -> Template:
        """The template under its penalty, if it is to find one."""
        if not template.seeks_penalty:
            return template
        if template.kind not in self.found:
            self.found[template.kind] = self._find(template)
            self.reporter.penalty(template.name, self.found[template.kind])
        C = self.found[template.kind]
        single = template.under_penalty(C)
        return single if C >= USUAL else replace(template.under_penalty(USUAL), single=single)

    def _find(self, template: Template) -> float:
        """The inverse penalty that one expert of all rows finds."""
        grouped = self._grouped(template) if self.data.has_groups else template
        with nullcontext() if grouped is template else grouped.plan.in_force():
            expert = fit_expert(self.data, grouped, self.data.sample_weight, None)
        # Rows of a single class have made it a constant.
        return getattr(last_step(expert), "C_", USUAL)

    def _grouped(self, template: Template) -> Template:
        """The template that is told of groups, also behind other steps, if these can be routed.

        Where the user has asked for metadata, groups go where he has asked for them.
        """
        groups = {"groups": self.data.clusters}
        if isinstance(template.estimator, CrossValidatedLogistic):
            return replace(template, params=template.params | groups)
        expert = template.fresh()
        with config_context(enable_metadata_routing=True):
            last_step(expert).set_fit_request(groups=True)
        plan = plan_weights(expert)
        if template.params or not plan.is_routed:
            return template
        return replace(template, estimator=expert, plan=plan, params=groups)
