"""The result of an E-step, from which the next M-step begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ._numeric import Array, Rows
from .linear import Solution


@dataclass(frozen=True, kw_only=True)
class MixtureExpectation:
    """Result of an E-step.

    - `resp` (n, K): responsibilities, a column for each of `members`.
    - `members`: positions, in the list of templates, of the experts that are left.
    - `lower_bound`: mean log density of the rows; in sample the penalty is subtracted.
    - `log_evidence` (n,): log density of each row, None before the first iteration.
    - `gates`: the gates, of each fold or of all rows, from which the next ones go on.
    - `solution`: the solution of the plain linear experts, from which the next one goes on.
    - `reseeded`: members that were lost once already, and were given other rows.
    - `score`: what EM raises: the bound or, if witnesses lead, the mean of `held_out`.
    - `held_out` (n,): log density of each row by its witness, NaN if it has none.
    - `latent` (n, K): weights that the noise law gives to rows in the experts' fits.
    - `is_fixed`: whether another iteration would change nothing, as with one expert.
    """

    resp: Array
    members: tuple[int, ...]
    lower_bound: float = -np.inf
    log_evidence: Array | None = None
    gates: Any = None
    solution: Solution | None = None
    reseeded: frozenset[int] = frozenset()
    score: float = -np.inf
    held_out: Array | None = None
    latent: Array | None = None
    is_fixed: bool = False


class Dealt(NamedTuple):
    """First responsibilities (n, K) of a new number of experts, and which expert each continues.

    `origins` (K,) are positions among the former experts; None if none of these is continued.
    """

    resp: Array
    origins: Rows | None = None
