"""Where gate, experts and family meet: the M-step and the E-step of the mixture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._content import uniform_by_content
from ._experts import BankFit, Data, fit_all_rows, fit_predict, fit_predict_new
from ._folds import Rows, Splits
from ._gate_bank import GateBank, SoftmaxBank, make_gate_bank
from ._numeric import WEIGHT_GRID, Array, law_by_row, log_normalize, safe_log
from ._plans import Plan, together
from ._spread import Spread, finish_spread, fit_spread, new_spread
from ._templates import Template
from ._validation import take_params
from .families import Family

# An expert is lost when its share of the weight falls below this part of an equal share.
LOST_SHARE = 0.02
NOTHING = np.empty((0, 0))
# The dispersions of a finished run have settled when its bound rises by less, in nats per row.
SETTLED, MOST_ROUNDS = 1e-6, 100


@dataclass(frozen=True)
class MixtureExpectation:
    """Result of an E-step. Columns belong to `members`, positions in the list of templates.

    `latent` (n, K) are weights that the noise law gives to rows in the experts' fits. The score is
    the bound or, where rows are held out, their mean log density.
    """

    log_resp: Array
    members: tuple[int, ...]
    lower_bound: float = -np.inf
    log_evidence: Array | None = None
    gates: Any = None
    solver_state: Array | None = None
    reseeded: frozenset[int] = frozenset()
    score: float = -np.inf
    held_out: Array | None = None
    latent: Array | None = None


@dataclass(frozen=True)
class MixtureState:
    """Result of an M-step; `bank.mean` and `log_gate` are out of fold if it is cross-fitted.

    `weights` (n, K) are those of the gate, `specialised` those of the experts. What is kept of a
    state after its E-step has an empty `bank.mean` and `log_gate`.
    """

    members: tuple[int, ...]
    weights: Array
    specialised: Array
    bank: BankFit
    dispersion: Array
    gates: Any
    log_gate: Array
    reseeded: frozenset[int]
    spread: Spread | None = None

    @property
    def law(self) -> Array:
        """Parameters of the noise law, of each row if they differ."""
        if self.spread is None:
            return self.dispersion
        return law_by_row(self.dispersion, self.spread.relative)


@dataclass(frozen=True)
class FittedMixture:
    """The mixture fitted to all rows."""

    experts: list[Any]
    gate: Any
    dispersion: Array
    members: tuple[int, ...]
    expert_mass: Array
    dispersion_experts: list[Any] | None = None


@dataclass(frozen=True)
class MixtureModel:
    """The statistical model of one fit, as the engine sees it.

    `thresholds` (K,) are the responsibilities below which a row leaves an expert's fit; `pooling`
    (K,) is the part of its weight that each row gives to an expert whatever its responsibility. If
    it `keeps_outputs`, a finished run still knows its predictions.
    """

    data: Data
    templates: Sequence[Template]
    thresholds: Array
    pooling: Array
    family: Family
    gate_bank: GateBank | SoftmaxBank
    splits: Splits | None
    keeps_outputs: bool = False
    spread_template: Template | None = None

    @property
    def wanders(self) -> bool:
        """Whether EM may stop far from a fixed point: experts specialise by losing rows."""
        return self.splits is not None and bool((self.thresholds >= 1.0 / WEIGHT_GRID).any())

    def expect(self, resp: Array) -> MixtureExpectation:
        """Starting responsibilities (n, K) as the expectation that EM begins from."""
        return MixtureExpectation(safe_log(resp), tuple(range(len(self.templates))))

    def m_step(self, expectation: MixtureExpectation) -> Plan[MixtureState]:
        """Fit experts, dispersions and gate to the responsibilities."""
        expectation, resp, kept = self._keep_alive(expectation)
        members, weights = expectation.members, self.data.weighted(resp)
        specialised = self._with_latent(self._pooled(kept, members), expectation)
        templates, before = self._templates(members), expectation.solver_state
        bank, (gates, log_gate) = yield from together(
            fit_predict(self.data, templates, specialised, self.splits, before),
            self.gate_bank.fit_predict(weights, expectation.gates),
        )
        spread, relative = None, None
        if self.spread_template is not None:
            spread = yield from fit_spread(
                self.data, self.spread_template, bank.mean, specialised, self.splits
            )
            relative = spread.relative
        dispersion = self.family.fit_dispersion(self.data.target, bank.mean, weights, relative)
        return MixtureState(
            members,
            weights,
            specialised,
            bank,
            dispersion,
            gates,
            log_gate,
            expectation.reseeded,
            spread,
        )

    def e_step(self, state: MixtureState) -> MixtureExpectation:
        """Responsibilities and bound of a state; in sample the bound is the penalised one."""
        parts = self.data.target, state.bank.mean, state.law
        log_prob = self.family.log_prob(*parts)
        log_prob += state.log_gate
        log_resp, log_evidence = log_normalize(log_prob, overwrite=True)
        weight = self.data.sample_weight
        bound = float(weight @ log_evidence) / weight.sum()
        if self.splits is None:
            bound -= self.gate_bank.penalty(state.gates) / weight.sum()
        return MixtureExpectation(
            log_resp,
            state.members,
            bound,
            log_evidence,
            state.gates,
            state.bank.state,
            state.reseeded,
            score=bound,
            latent=self.family.latent_weights(*parts),
        )

    def kept(self, state: MixtureState) -> MixtureState:
        """What is left of a state after its E-step: enough to finish it."""
        if self.keeps_outputs or self.wanders:
            return state
        return replace(state, bank=replace(state.bank, mean=NOTHING), log_gate=NOTHING)

    def settled(self, state: MixtureState) -> tuple[MixtureState, float]:
        """The state with the dispersions that suit its own predictions and gate, and its bound.

        Those of an M-step belong to responsibilities of the iteration before. Experts that wander
        are stopped early, and theirs would lag behind. Needs the outputs, which are not refitted.
        """
        bounds = [-np.inf, (expectation := self.e_step(state)).lower_bound]
        while bounds[-1] - bounds[-2] > SETTLED and len(bounds) < MOST_ROUNDS:
            weights = self.data.weighted(np.exp(expectation.log_resp))
            relative = None if state.spread is None else state.spread.relative
            parts = self.data.target, state.bank.mean, weights, relative
            after = replace(state, dispersion=self.family.fit_dispersion(*parts))
            expectation = self.e_step(after)
            if expectation.lower_bound > bounds[-1]:
                state = after
            bounds.append(expectation.lower_bound)
        return state, max(bounds)

    def finish(self, state: MixtureState) -> Plan[FittedMixture]:
        """A state fitted to all rows: what its bound speaks of."""
        experts = state.bank.experts
        if experts is None:
            templates = self._templates(state.members)
            experts = yield from fit_all_rows(
                self.data, templates, state.specialised, state.bank.state
            )
        gate, mass = self.gate_bank.finish(state.gates, state.weights), state.weights.sum(axis=0)
        spreads = None
        if self.spread_template is not None and state.spread is not None:
            spreads = yield from finish_spread(
                self.data, self.spread_template, state.spread, state.specialised
            )
        return FittedMixture(experts, gate, state.dispersion, state.members, mass, spreads)

    def predict_new(self, state: MixtureState, X: Any) -> Plan[tuple[Array, Array, Array]]:
        """Log gate probabilities (m, K), predictions and law at `X`, all rows being fitted."""
        templates = self._templates(state.members)
        mean = yield from fit_predict_new(
            self.data, templates, state.specialised, X, state.bank.state
        )
        gate, law = self.gate_bank.finish(state.gates, state.weights), state.dispersion
        if self.spread_template is not None and state.spread is not None:
            relative = yield from new_spread(
                self.data, self.spread_template, state.spread, state.specialised, X
            )
            law = law_by_row(law, relative)
        return gate.predict_log_proba(X), mean, law

    def _templates(self, members: tuple[int, ...]) -> list[Template]:
        return [self.templates[member] for member in members]

    def _specialised(self, resp: Array, members: tuple[int, ...]) -> Array:
        """Responsibilities (n, K) for the experts' fits, without those that are small.

        Where rows are dropped, the rest is rounded to a grid on which sums are exact: trees break
        ties by the last digit, and rounding noise must not decide how they grow.
        """
        threshold = self.thresholds[list(members)]
        kept = np.where(resp < threshold, 0.0, resp)
        coarse = threshold >= 1.0 / WEIGHT_GRID
        if coarse.any():
            rounded = np.rint(resp * WEIGHT_GRID) / WEIGHT_GRID
            kept = np.where(coarse, np.where(rounded >= threshold, rounded, 0.0), kept)
        return kept

    def _pooled(self, kept: Array, members: tuple[int, ...]) -> Array:
        """The same after every row has given its part to experts that pool; on the grid too."""
        pooling, threshold = self.pooling[list(members)], self.thresholds[list(members)]
        if not pooling.any():
            return kept
        pooled = (1.0 - pooling) * kept + pooling
        rounded = np.rint(pooled * WEIGHT_GRID) / WEIGHT_GRID
        return np.where(threshold >= 1.0 / WEIGHT_GRID, rounded, pooled)

    def _with_latent(self, kept: Array, expectation: MixtureExpectation) -> Array:
        """Weights (n, K) of the experts' fits: responsibilities, sample and latent weights."""
        if expectation.latent is None:
            return self.data.weighted(kept)
        weights = kept * expectation.latent
        coarse = self.thresholds[list(expectation.members)] >= 1.0 / WEIGHT_GRID
        return self.data.weighted(
            np.where(coarse, np.rint(weights * WEIGHT_GRID) / WEIGHT_GRID, weights)
        )

    def _keep_alive(
        self, expectation: MixtureExpectation
    ) -> tuple[MixtureExpectation, Array, Array]:
        """Give a lost expert the worst-explained rows, once; remove it the second time.

        Returns the expectation, its responsibilities, and those for the experts' fits.
        """
        while True:
            resp = np.exp(expectation.log_resp)
            kept = self._specialised(resp, expectation.members)
            lost = self._lost(self.data.weighted(kept))
            if not lost.size or len(expectation.members) == 1:
                return expectation, resp, kept
            position = int(lost[0])
            if expectation.members[position] in expectation.reseeded:
                expectation = _remove(expectation, position)
            else:
                expectation = self._reseed(expectation, position)

    def _lost(self, specialised: Array) -> Rows:
        """Positions of experts with too little weight, or too few rows, for a fit."""
        n_experts, distinct = specialised.shape[1], self.data.distinct
        share = specialised.sum(axis=0) / self.data.sample_weight.sum()
        holds = specialised > 0.1 * self.data.sample_weight[:, None] / n_experts
        if len(distinct) < len(holds):
            holds = holds[distinct]
        rows = np.count_nonzero(holds, axis=0)
        fewest = np.clip(0.1 * len(distinct) / n_experts, 1, 10)
        return np.flatnonzero((share < LOST_SHARE / n_experts) | (rows < fewest))

    def _reseed(self, expectation: MixtureExpectation, position: int) -> MixtureExpectation:
        evidence = expectation.log_evidence
        if evidence is None:
            evidence = uniform_by_content(self.data.hashes, seed=position)
        worst = self._lowest(evidence, 1.0 / len(expectation.members))
        resp = np.exp(expectation.log_resp)
        resp[worst] *= 0.1
        resp[worst, position] += 0.9
        member = expectation.members[position]
        return replace(
            expectation,
            log_resp=log_normalize(safe_log(resp))[0],
            latent=None,
            reseeded=expectation.reseeded | {member},
        )

    def _lowest(self, evidence: Array, share: float) -> NDArray[np.bool_]:
        """The rows (a mask) of lowest evidence that make up a share of the weight.

        Copies of a row go together, so that repeats stay the same as weights.
        """
        data = self.data
        content = np.unique(data.rank, return_inverse=True)[1]
        order = np.argsort(evidence[data.distinct], kind="stable")
        mass = np.bincount(content, data.sample_weight)[order]
        cut = np.searchsorted(np.cumsum(mass) / mass.sum(), share - 1e-9)
        return np.isin(content, order[: max(1, cut)])


def _remove(expectation: MixtureExpectation, position: int) -> MixtureExpectation:
    members = expectation.members[:position] + expectation.members[position + 1 :]
    remaining = np.delete(expectation.log_resp, position, axis=1)
    return replace(
        expectation,
        log_resp=log_normalize(remaining)[0],
        members=members,
        gates=None,
        solver_state=None,
        latent=None,
    )


@dataclass(frozen=True)
class Recipe:
    """All that makes a mixture but the table: the parts, seeded and named."""

    templates: Sequence[Template]
    thresholds: Array
    pooling: Array
    family: Family
    gate: Any
    gate_params: dict
    seed: int
    keeps_outputs: bool = False
    spread_template: Template | None = None

    def build(self, data: Data, splits: Splits | None) -> MixtureModel:
        """The mixture of these parts for the table `data`, cross-fitted over `splits`."""
        bank = make_gate_bank(self.gate, data, splits, self.seed, self.gate_params)
        return MixtureModel(
            data,
            self.templates,
            self.thresholds,
            self.pooling,
            self.family,
            bank,
            splits,
            self.keeps_outputs,
            self.spread_template,
        )

    def take(self, rows: Any, n_samples: int) -> Recipe:
        """The recipe for some rows of a table of `n_samples`: row-shaped metadata is cut."""
        templates = [template.take(rows, n_samples) for template in self.templates]
        gate_params = take_params(self.gate_params, n_samples, rows)
        return replace(self, templates=templates, gate_params=gate_params)
