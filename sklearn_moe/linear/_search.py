"""Solutions that are searched for by steps, each search from where the last one ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array, Rows
from ..logit import SETTLED
from ._plain import NOTHING, without_scaler


class Effort(NamedTuple):
    """How many steps a solution may take, and the change of a score below which they end.

    For whole steps `last` is a change of the objective, in nats per unit of weight.
    """

    n_steps: int
    last: float


# An iteration of EM goes one step further; without a previous solution, steps must settle.
ONE_STEP, SETTLE = Effort(1, SETTLED), Effort(30, SETTLED)


@dataclass(frozen=True, kw_only=True)
class SearchedSolution(ABC):
    """Coefficients `theta` (F, K, ...), predictions `mean` out of fold, what is `solved` (F, K).

    The `units` are those of the table, without its rows. An exact solution took `n_iter` steps. If
    new rows are to be predicted, `whole` is nearly the solution for all rows. A solution `is_far`
    if its experts have been given other rows since.
    """

    problems: Sequence[Any]
    units: Any
    theta: Array
    mean: Array
    solved: NDArray[np.bool_]
    n_iter: int = 0
    whole: Self | None = None
    is_far: bool = False

    def handed_on(self, experts: Rows) -> Self:
        """Where other experts begin, which go on from `experts` (positions) with other rows."""
        return replace(
            self,
            problems=[self.problems[k] for k in experts],
            theta=self.theta[:, experts],
            mean=NOTHING,
            solved=self.solved[:, experts],
            whole=self.whole and self.whole.handed_on(experts),
            is_far=True,
        )

    @property
    def without_predictions(self) -> Self:
        """What is kept of the solution while EM goes on."""
        return replace(self, mean=NOTHING)

    def of_all_rows(self) -> Self | None:
        """The solution that leaves no row out; None if it has to be searched for."""
        return self if len(self.theta) == 1 else None

    def for_new_rows(self) -> Self | None:
        """The solution for all rows, or nearly that; None if it has to be searched for."""
        return self.whole or self.of_all_rows()

    def polish(self, estimator: Any, problem: int) -> None:
        """Give an `estimator` that was fitted without steps the coefficients and its tolerance."""
        coef, intercept = self.coefficients(problem)
        last, scaled = without_scaler(estimator)
        if scaled:
            scaler = estimator.steps[0][1]
            intercept, coef = intercept + coef @ scaler.mean_, coef * scaler.scale_
        self.hand_over(last, coef, intercept)
        last.set_params(tol=self.problems[problem].tol)

    @abstractmethod
    def coefficients(self, problem: int) -> tuple[Array, Array]:
        """Coefficients of a problem of the first fold, and intercepts, in units of the features."""

    @abstractmethod
    def hand_over(self, estimator: Any, coef: Array, intercept: Array) -> None:
        """Set coefficients, in the units of the last step of the estimator's pipeline."""


class Steps(Protocol):
    """Problems left out of folds, which take steps together."""

    @property
    def solvable(self) -> NDArray[np.bool_]:
        """Which problems (F, K) have a solution."""

    def step(self, theta: Array) -> tuple[Array, Array]:
        """Coefficients after one damped step, and how far (F, K) it moves any score."""

    def take(self, some: NDArray[np.bool_]) -> Self:
        """Some of the problems."""


def damped_steps(task: Steps, begun: Array, effort: Effort) -> tuple[Array, Array, int]:
    """Coefficients after steps; each problem rests once it has settled in all folds.

    Also, how far (F, K) the last step of each moved any score, and how many steps there were.
    """
    theta, moving = begun.copy(), np.arange(begun.shape[1])
    moved, n_steps = np.full(begun.shape[:2], np.inf), 0
    while n_steps < effort.n_steps:
        theta[:, moving], moved[:, moving] = task.step(theta[:, moving])
        n_steps += 1
        goes_on = np.any((moved[:, moving] >= effort.last) & task.solvable, axis=0)
        if not goes_on.any():
            break
        if not goes_on.all():
            moving, task = moving[goes_on], task.take(goes_on)
    return theta, moved, n_steps
