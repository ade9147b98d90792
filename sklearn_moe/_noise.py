"""The noise law of a mixture after calibration: other widths, and maybe heavy tails."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._numeric import Array
from .families import StudentT


@dataclass(frozen=True)
class Change:
    """What is done to the noise of one output.

    Its dispersions are multiplied by `factor`, and it gets Student-t tails of `df` degrees of
    freedom, if any. These suit the mixture that is kept. Mixtures that make forecasts have seen
    fewer rows and err by more: their factor is `factor` times `forecast_factor`.
    """

    factor: float = 1.0
    df: float | None = None
    forecast_factor: float = 1.0


@dataclass(frozen=True)
class Noise:
    """The noise law of a mixture: the family `before`, with a change for each output.

    Without any changes the family is left as it is.
    """

    before: Any
    changes: tuple[Change, ...] = ()

    @property
    def family(self) -> Any:
        """The family of the changed noise: Student's t if an output has got tails."""
        dfs = {change.df for change in self.changes}
        if not dfs - {None}:
            return self.before
        df = dfs.pop() if len(dfs) == 1 else None
        return StudentT(shared=self.before.shared, target=self.before.target, df=df)

    def of_forecasts(self) -> Noise:
        """The noise that suits mixtures that make forecasts, which have learnt from fewer rows."""
        changes = [Change(c.factor * c.forecast_factor, c.df) for c in self.changes]
        return replace(self, changes=tuple(changes))

    def law_of(self, law: Array) -> Array:
        """The changed parameters (..., q, P), or (..., q, P + 1) with tails."""
        if not self.changes:
            return law
        scaled = law.copy()
        scaled[..., 0] *= [change.factor for change in self.changes]
        if self.family is self.before:
            return scaled
        df = [change.df or StudentT.largest_df for change in self.changes]
        return np.stack([scaled[..., 0], np.broadcast_to(df, scaled.shape[:-1])], axis=-1)

    def with_change(self, change: Change) -> Noise:
        """The noise of one output with another change."""
        return replace(self, changes=(change,))
