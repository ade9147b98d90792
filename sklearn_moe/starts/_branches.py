"""The order of experts under a tree of gates: which experts share a branch.

This is settled where EM begins: regions move, but hardly ever from branch to branch. A gate can do
its part only if the rows of its branches lie apart, so clones are grouped such that a linear rule
of the features tells the groups well apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._numeric import Array, weighted_mean
from .._validation import last_step
from ..gates import HierarchicalGate
from ..gates._hierarchical import branches_of
from ._base import StartContext

# Distinct rows that are enough to see which regions lie apart.
BRANCH_ROWS = 5_000
# A ridge, in parts of the variance of a standardised feature: some features may be sums of others.
RIDGE = 1e-6
# Rounding errors depend on the order of the rows, and must not decide: shares are compared to this
# many digits, and memberships that vary by no more than this part of the weight count as constant.
DIGITS, STILL = 9, 1e-9

Columns = NDArray[np.intp]


def branches_apart(resp: Array, context: StartContext, gate: HierarchicalGate) -> Array:
    """Responsibilities (n, K) whose columns are in an order that suits the `gate`."""
    rows = context.sample(BRANCH_ROWS)
    seen = context if rows is None else context.take(rows)
    weights = (resp if rows is None else resp[rows]) * seen.weight[:, None]
    return resp[:, _leaves(gate, seen.Z, weights, np.arange(resp.shape[1]))]


def _leaves(gate: Any, Z: Array, weights: Array, columns: Columns) -> Columns:
    """The `columns` below a gate, in the order of the leaves."""
    tree = last_step(gate)
    if not isinstance(tree, HierarchicalGate) or len(columns) == 1:
        return columns
    branches = branches_of(tree, len(columns))
    branch = _told_apart(Z, weights[:, columns], [size for size, _ in branches])
    return np.concatenate(
        [_leaves(part, Z, weights, columns[branch == b]) for b, (_, part) in enumerate(branches)]
    )


def _told_apart(Z: Array, weights: Array, sizes: Sequence[int]) -> Columns:
    """The branch of each of the k columns of `weights` (n, k); branches have `sizes`.

    Columns change places two at a time, as long as a linear rule tells branches apart better.
    """
    branch, best = np.repeat(np.arange(len(sizes)), sizes), 0.0
    if not weights.any():
        return branch
    explained, total = _membership(Z, weights)
    still = STILL * weights.sum()
    while True:
        varied = _after_swaps(total, branch)
        linear = np.where(varied > still, _after_swaps(explained, branch), 0.0)
        shares = np.round(linear / np.maximum(varied, still), DIGITS)
        first, second = np.unravel_index(shares.argmax(), shares.shape)
        # The swap of a column with itself stands for no change.
        if shares[first, second] <= max(best, shares[0, 0]):
            return branch
        best = shares[first, second]
        branch[[first, second]] = branch[[second, first]]


def _membership(Z: Array, weights: Array) -> tuple[Array, Array]:
    """Cross products (k, k) of the memberships of rows: of their part linear in `Z`, and of all."""
    mass = weights.sum(axis=1)
    member = weights / np.where(mass > 0, mass, 1.0)[:, None]
    member, Z = member - weighted_mean(member, mass), Z - weighted_mean(Z, mass)
    heavy = mass[:, None] * member
    gram, cross = (mass[:, None] * Z).T @ Z, Z.T @ heavy
    gram[np.diag_indices_from(gram)] += RIDGE * mass.sum()
    return cross.T @ np.linalg.solve(gram, cross), member.T @ heavy


def _after_swaps(form: Array, branch: Columns) -> Array:
    """Sums (k, k) of a quadratic form within branches, once two columns have changed places."""
    together = branch[:, None] == branch
    by_branch = form @ (branch[:, None] == np.arange(branch.max() + 1))
    there, square = by_branch[:, branch], form.diagonal()
    gained = there - there.diagonal()[:, None] + square[:, None]
    change = gained + gained.T - 2 * form
    return form[together].sum() + 2 * np.where(together, 0.0, change)
