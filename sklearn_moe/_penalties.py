"""The penalty of logistic experts that find their own: found once, by one expert of all rows.

Each region, fold and iteration of EM would search anew, and has fewer rows to judge by. But regions
of opposite rules teach one expert nothing, which then is shrunk away, and those of a mixture are
not to be. So they begin with the usual penalty where the one expert asks for a stronger one, and
try the latter once their start is found.
"""

from __future__ import annotations

from dataclasses import replace

from ._data import Data
from ._experts import fit_expert
from ._progress import Reporter
from ._templates import Template
from ._validation import last_step
from .linear import USUAL, CrossValidatedLogistic


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
            expert = fit_expert(self.data, self._grouped(template), self.data.sample_weight, None)
            # Rows of a single class have made it a constant.
            self.found[template.kind] = getattr(last_step(expert), "C_", USUAL)
            self.reporter.penalty(template.name, self.found[template.kind])
        C = self.found[template.kind]
        single = template.under_penalty(C)
        return single if C >= USUAL else replace(template.under_penalty(USUAL), single=single)

    def _grouped(self, template: Template) -> Template:
        """The template that is told of groups, if there are any, and no other step is before it."""
        if not isinstance(template.estimator, CrossValidatedLogistic) or not self.data.has_groups:
            return template
        return replace(template, params=template.params | {"groups": self.data.clusters})
