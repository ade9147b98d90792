"""Experts that EM is about to lose: each gets other rows once, and is removed the next time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ._content import uniform_by_content
from ._data import Data
from ._expectation import MixtureExpectation
from ._numeric import Array, Rows, row_sum
from ._specialisation import Specialisation
from .families import Family

# An expert is lost when its share of the weight falls below this part of an equal share.
LOST_SHARE = 0.02


def keep_alive(
    expectation: MixtureExpectation,
    data: Data,
    specialisation: Specialisation,
    family: Family,
    shared: bool,
) -> MixtureExpectation:
    """Give a lost expert the worst-explained rows, once; remove it the second time.

    If the last expert is `shared`, it cannot be lost: it has all rows.
    """
    while len(expectation.members) > 1:
        lost = _lost(expectation, data, specialisation, shared)
        if not lost.size:
            break
        position = int(lost[0])
        if expectation.members[position] in expectation.reseeded:
            expectation = without(expectation, position)
        else:
            expectation = _reseeded(expectation, position, data, family)
    return expectation


def _lost(
    expectation: MixtureExpectation, data: Data, specialisation: Specialisation, shared: bool
) -> Rows:
    """Positions of experts with too little weight, or too few rows, for a fit."""
    how = specialisation.take(expectation.members)
    specialised = data.weighted(how.kept(expectation.resp))
    n_experts, distinct = specialised.shape[1], data.distinct
    share = specialised.sum(axis=0) / data.sample_weight.sum()
    holds = specialised > 0.1 * data.sample_weight[:, None] / n_experts
    if len(distinct) < len(holds):
        holds = holds[distinct]
    rows = np.count_nonzero(holds, axis=0)
    fewest = np.clip(0.1 * len(distinct) / n_experts, 1, 10)
    lost = np.flatnonzero((share < LOST_SHARE / n_experts) | (rows < fewest))
    return lost[lost < n_experts - shared]


def _reseeded(
    expectation: MixtureExpectation, position: int, data: Data, family: Family
) -> MixtureExpectation:
    """The expectation in which an expert has been given the worst-explained rows."""
    evidence = expectation.log_evidence
    surprise = partial(family.surprise, data.target)
    if evidence is None:  # then rows are drawn at random; `surprise` is its own inverse
        evidence = surprise(-uniform_by_content(data.hashes, seed=position))
    worst = _lowest(-surprise(evidence), 1.0 / len(expectation.members), data)
    resp = expectation.resp.copy()
    resp[worst] *= 0.1
    resp[worst, position] += 0.9
    return replace(
        expectation,
        resp=resp / row_sum(resp)[:, None],
        # So the next expert that is lost is given other rows.
        log_evidence=np.where(worst, np.inf, evidence),
        latent=None,
        reseeded=expectation.reseeded | {expectation.members[position]},
    )


def _lowest(evidence: Array, share: float, data: Data) -> NDArray[np.bool_]:
    """The rows (a mask) of lowest evidence that make up a share of the weight.

    Copies of a row go together, so that repeats stay the same as weights.
    """
    content = np.unique(data.rank, return_inverse=True)[1]
    order = np.argsort(evidence[data.distinct], kind="stable")
    mass = np.bincount(content, data.sample_weight)[order]
    cut = np.searchsorted(np.cumsum(mass) / mass.sum(), share - 1e-9)
    return np.isin(content, order[: max(1, cut)])


def without(expectation: MixtureExpectation, position: int) -> MixtureExpectation:
    """The expectation of the other experts, who share the rows of the one that is removed."""
    members = expectation.members[:position] + expectation.members[position + 1 :]
    remaining = np.delete(expectation.resp, position, axis=1)
    # Rows that were its own alone are shared equally: nothing says whose they are.
    remaining[row_sum(remaining) == 0] = 1.0
    return replace(
        expectation,
        resp=remaining / row_sum(remaining)[:, None],
        members=members,
        gates=None,
        solution=None,
        latent=None,
    )
