"""Where gate, experts and family meet: the M-step and the E-step of the mixture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ._balance import balanced
from ._data import Data
from ._dispersion import fit_dispersion
from ._em import EMResult
from ._expectation import Dealt, MixtureExpectation
from ._experts import BankFit, WeightedExperts, fit_predict, fit_predict_new, solve_new
from ._folds import Splits
from ._forecasts import Forecast, Question
from ._gate_bank import GateBank, SoftmaxBank, make_gate_bank
from ._last_fits import fit_last
from ._lost_experts import keep_alive
from ._numeric import Array, normalize, row_blocks
from ._plans import Plan, together
from ._recipe import Recipe
from ._routing import ALL_ACT, Routing, Slots, log_gate_of, route, truncate
from ._shrinkage import fit_shrinkage, shrunk
from ._spread import Spread, finish_spread, fit_spread, new_spread
from ._usage import Usage, usage_of
from .families._base import law_by_row
from .families._fences import weights_within

NOTHING = np.empty((0, 0))
# Dispersions of a finished run have settled when they raise its bound by less, in nats per row.
SETTLED, MOST_ROUNDS = 1e-6, 100


@dataclass(frozen=True, kw_only=True)
class MixtureState:
    """Result of an M-step.

    Unless the model wanders, the state is kept after the E-step without its outputs: the
    predictions of the `bank` and the `routing`.

    - `basis`: the expectation that it was fitted to, after lost experts were dealt with.
    - `bank`: the experts' fit, which predicts out of fold if there are folds.
    - `dispersion`: parameters of the noise law of each expert.
    - `gates`: the gates, of each fold or of all rows.
    - `routing`: who acts on a row, and with what probability, as the gates say.
    - `spread`: how dispersions differ by row, None if they do not.
    - `shrinkage` (K,): the weight of the shared expert in what each says, None without one.
    - `forecast`: the forecast, if anybody asks for one, of a state kept without its outputs.
    """

    basis: MixtureExpectation
    bank: BankFit
    dispersion: Array
    gates: Any
    routing: Routing
    spread: Spread | None
    shrinkage: Array | None
    forecast: Forecast | None = None

    @property
    def members(self) -> tuple[int, ...]:
        """Positions of its experts in the list of templates."""
        return self.basis.members

    def law(self, rows: slice = slice(None)) -> Array:
        """Parameters of the law of the experts that act on `rows`, by row if these differ."""
        slots = self.routing.slots.take(rows)
        if self.spread is None:
            return slots.gather(self.dispersion)
        return slots.gather(law_by_row(self.dispersion, self.spread.relative[rows]), by_row=True)


@dataclass(frozen=True, kw_only=True)
class FittedMixture:
    """The mixture fitted to all rows.

    - `experts`: the fitted experts, or ensembles of them.
    - `gate`: the fitted gate.
    - `dispersion`: parameters of the noise law of each expert.
    - `members`: positions of the experts in the list of templates.
    - `expert_mass` (K,): summed responsibilities times sample weights.
    - `usage`: how the gate uses the experts.
    - `dispersion_experts`: estimators of log squared residuals, None if dispersions do not differ.
    - `shrinkage` (K,): the weight of the shared expert in what each says, None without one.
    """

    experts: list[Any]
    gate: Any
    dispersion: Array
    members: tuple[int, ...]
    expert_mass: Array
    usage: Usage
    dispersion_experts: list[Any] | None
    shrinkage: Array | None


@dataclass(frozen=True, kw_only=True)
class MixtureModel:
    """The statistical model of one fit, as the engine sees it: a recipe for a table.

    The `question` is what a finished run is to tell of its rows, out of fold. `baseline_fit`, if
    known, is the fit of its only expert under the sample weights.
    """

    recipe: Recipe
    data: Data
    splits: Splits | None
    gate_bank: GateBank | SoftmaxBank
    question: Question | None
    baseline_fit: BankFit | None = None

    @property
    def wanders(self) -> bool:
        """Whether EM may stop far from a fixed point."""
        return self.splits is not None and self.recipe.specialisation.loses_rows

    def expect(self, resp: Array) -> MixtureExpectation:
        """The expectation that EM begins from, for starting responsibilities (n, K)."""
        acting = truncate(resp, self.recipe.top_k, self.recipe.shared).copy()
        resp = self.recipe.specialisation.without_negligible(acting)
        members = tuple(range(len(self.recipe.templates)))
        return MixtureExpectation(resp=resp, members=members, latent=self._first_latent(resp))

    def _first_latent(self, resp: Array) -> Array | None:
        """Weights (n, K) of rows in the first fits, before any prediction can weigh them."""
        if not self.recipe.family.resists_outliers:
            return None
        weights = weights_within(self.data.target, self.data.sample_weight)
        return np.broadcast_to(weights[:, None], resp.shape)

    def begin(self, resp: Array) -> EMResult:
        """A run of EM that is about to begin from responsibilities (n, K)."""
        return EMResult(self.expect(resp))

    def expect_after(self, at: MixtureExpectation, dealt: Dealt) -> MixtureExpectation:
        """The expectation of another number of experts, which go on from those they continue."""
        expectation, solution = self.expect(dealt.resp), at.solution
        if dealt.origins is None or solution is None:
            return expectation
        if solution.solved.shape[1] < len(at.members):  # some are not linear
            return expectation
        return replace(expectation, solution=solution.handed_on(dealt.origins))

    def m_step(self, expectation: MixtureExpectation) -> Plan[MixtureState]:
        """Fit experts, dispersions and gate to the responsibilities."""
        data, recipe = self.data, self.recipe
        basis = keep_alive(expectation, data, recipe.specialisation, recipe.family, recipe.shared)
        weights, fit_weights = self._weights(basis)
        gates, routing, bank = yield from self._fit_parts(basis, weights, fit_weights)
        slots, shrinkage = routing.slots, None
        if recipe.shared:
            shrinkage = fit_shrinkage(data.target, bank.mean, weights, slots, recipe.family)
            bank = replace(bank, mean=shrunk(bank.mean, shrinkage, slots))
        spread = yield from self._fit_spread(bank.mean, fit_weights, slots)
        dispersion = self._fit_dispersion(bank.mean, weights, slots, spread)
        return MixtureState(
            basis=basis,
            bank=bank,
            dispersion=dispersion,
            gates=gates,
            routing=routing,
            spread=spread,
            shrinkage=shrinkage,
        )

    def _weights(self, basis: MixtureExpectation) -> tuple[Array, Array]:
        """Weights (n, K) for the fit of the gate, and for those of the experts."""
        how = self.recipe.specialisation.take(basis.members)
        specialised = how.fit_weights(basis.resp, basis.latent)
        return self.data.weighted(basis.resp), self.data.weighted(specialised)

    def _fit_parts(
        self, expectation: MixtureExpectation, weights: Array, fit_weights: Array
    ) -> Plan[tuple[Any, Routing, BankFit]]:
        """Gates, the routing that they ask for, and experts, all fitted.

        If all experts act on all rows, gates and experts are fitted in step. Otherwise the gates
        come first, since they decide which rows each expert has to predict.
        """
        gate = self.gate_bank.fit_predict(weights, expectation.gates, expectation.members)
        bank = partial(self._fit_experts, expectation, fit_weights)
        if self.recipe.top_k is None:
            (gates, log_gate), fitted = yield from together(gate, bank())
            return gates, Routing(log_gate), fitted
        gates, log_gate = yield from gate
        routing = self._route(log_gate)
        return gates, routing, (yield from bank(routing.slots))

    def _fit_experts(
        self, expectation: MixtureExpectation, fit_weights: Array, slots: Slots = ALL_ACT
    ) -> Plan[BankFit]:
        """Fit the experts, unless the only one has been fitted already, under the same weights."""
        known = self.baseline_fit
        if known is not None and np.array_equal(fit_weights[:, 0], self.data.sample_weight):
            return known
        experts = self._experts(expectation.members, fit_weights)
        return (yield from fit_predict(experts, self.splits, expectation.solution, slots))

    def _route(self, log_gate: Array) -> Routing:
        return route(log_gate, self.recipe.top_k, self.recipe.shared)

    def _fit_spread(self, mean: Array, fit_weights: Array, slots: Slots) -> Plan[Spread | None]:
        if self.recipe.spread_template is None:
            return None
        n_experts, target = fit_weights.shape[1], self.data.target[:, None]
        acts = slots.scatter(np.ones(mean.shape[:2]), n_experts)
        predicted = slots.scatter(mean, n_experts, fill=target)
        weights = fit_weights * acts
        return (
            yield from fit_spread(
                self.data, self.recipe.spread_template, predicted, weights, self.splits
            )
        )

    def _fit_dispersion(
        self, mean: Array, weights: Array, slots: Slots, spread: Spread | None
    ) -> Array:
        relative = None if spread is None else spread.relative
        return fit_dispersion(self.recipe.family, self.data.target, mean, weights, relative, slots)

    def conclude(self, state: MixtureState) -> tuple[MixtureState, MixtureExpectation]:
        """What is kept of a state, which is enough to finish it, and its expectation."""
        if self.wanders:
            return state, self.e_step(state)
        kept = replace(
            state,
            basis=replace(state.basis, log_evidence=None),
            bank=replace(state.bank, mean=NOTHING),
            routing=Routing(NOTHING),
            forecast=self.forecast_of(state),
        )
        return kept, self.e_step(state, overwrite=True)

    def e_step(self, state: MixtureState, overwrite: bool = False) -> MixtureExpectation:
        """Responsibilities and bound of a state; in sample the bound is the penalised one.

        With `overwrite`, responsibilities take the memory of the gate probabilities.
        """
        latent, n_experts, slots = self._latent(state), len(state.members), state.routing.slots
        resp, log_evidence = self._posterior(state, overwrite)
        weight = self.data.sample_weight
        height = float(weight @ log_evidence)
        if self.splits is None:
            height -= self.gate_bank.penalty(state.gates)
        bound = float(height / weight.sum())
        resp = self._balanced(slots.scatter(resp, n_experts))
        return MixtureExpectation(
            resp=self.recipe.specialisation.take(state.members).without_negligible(resp),
            members=state.members,
            lower_bound=bound,
            log_evidence=log_evidence,
            gates=state.gates,
            solution=state.bank.solution,
            reseeded=state.basis.reseeded,
            score=bound,
            latent=None if latent is None else slots.scatter(latent, n_experts, fill=1.0),
            is_fixed=n_experts == 1 and latent is None,
        )

    def _posterior(self, state: MixtureState, overwrite: bool) -> tuple[Array, Array]:
        """Responsibilities (n, S) of acting experts, and log evidence (n,), block by block."""
        log_gate, mean, target = state.routing.log_gate, state.bank.mean, self.data.target
        resp = log_gate if overwrite else np.empty_like(log_gate)
        log_evidence = np.empty(len(resp))
        for rows in row_blocks(*resp.shape):
            log_joint = self.recipe.family.log_prob(target[rows], mean[rows], state.law(rows))
            log_joint += log_gate[rows]
            resp[rows], log_evidence[rows] = normalize(log_joint)
        return resp, log_evidence

    def _latent(self, state: MixtureState) -> Array | None:
        return self.recipe.family.latent_weights(self.data.target, state.bank.mean, state.law())

    def _balanced(self, resp: Array) -> Array:
        """Responsibilities (n, K), raised for experts with small shares of the rows."""
        if not self.recipe.balance:
            return resp
        return balanced(resp, self.data.sample_weight, self.recipe.balance, self.recipe.shared)

    def forecast_of(self, state: MixtureState) -> Forecast | None:
        """The forecast of a state that has its outputs; None if there is no question."""
        if self.question is None:
            return None
        return self.question.answer(state.routing.log_gate, state.bank.mean, state.law())

    def settled(self, state: MixtureState) -> tuple[MixtureState, float]:
        """The state with the dispersions that suit its own predictions and gate, and its bound.

        The dispersions of an M-step belong to the responsibilities of the iteration before. Where
        EM wanders and is stopped early, they would lag behind. Only they are refitted, to outputs
        that the state must still have.
        """
        bounds = [-np.inf, (expectation := self.e_step(state)).lower_bound]
        slots = state.routing.slots
        while bounds[-1] - bounds[-2] > SETTLED and len(bounds) < MOST_ROUNDS:
            weights = self.data.weighted(expectation.resp)
            dispersion = self._fit_dispersion(state.bank.mean, weights, slots, state.spread)
            after = replace(state, dispersion=dispersion)
            expectation = self.e_step(after)
            if expectation.lower_bound > bounds[-1]:
                state = after
            bounds.append(expectation.lower_bound)
        return state, max(bounds)

    def finish(self, state: MixtureState) -> Plan[FittedMixture]:
        """The mixture of a state, its experts and gate fitted to all rows."""
        experts = yield from self._finish_experts(state)
        weights = self.data.weighted(state.basis.resp)
        gate, mass = self._finish_gate(state, weights), weights.sum(axis=0)
        del weights
        routing = self._route(log_gate_of(gate, self.data.X))
        spreads = None
        if state.spread is not None:
            spreads = yield from finish_spread(self.data, state.spread)
        return FittedMixture(
            experts=experts,
            gate=gate,
            dispersion=state.dispersion,
            members=state.members,
            expert_mass=mass,
            usage=usage_of(routing, len(experts), self.data.sample_weight, self.recipe.top_k),
            dispersion_experts=spreads,
            shrinkage=state.shrinkage,
        )

    def _finish_experts(self, state: MixtureState) -> Plan[list[Any]]:
        if state.bank.experts is not None:
            return state.bank.experts
        return (
            yield from fit_last(
                experts=self._experts(state.members, self._weights(state.basis)[1]),
                previous=state.bank.solution,
                splits=self.splits,
                ensemble=self.recipe.ensemble,
            )
        )

    def ready_for_new(self, state: MixtureState) -> Plan[MixtureState]:
        """The state with the solution of linear experts on all rows, before it is concluded.

        For a state that will be asked about new rows in each iteration: the next iteration begins
        its own search for that solution there.
        """
        left_out: Any = state.bank.solution
        if left_out is None or left_out.for_new_rows() is not None:
            return state
        experts = self._experts(state.members, self._weights(state.basis)[1])
        whole = yield from solve_new(experts, left_out, state.basis.solution)
        return replace(state, bank=replace(state.bank, solution=replace(left_out, whole=whole)))

    def predict_new(self, state: MixtureState, X: Any) -> Plan[tuple[Array, Array, Array]]:
        """Log gate probabilities (m, S), predictions and law at `X` by parts fitted to all rows."""
        weights, fit_weights = self._weights(state.basis)
        gate = self._finish_gate(state, weights, brief=True)
        routing = self._route(log_gate_of(gate, X))
        experts = self._experts(state.members, fit_weights)
        mean = yield from fit_predict_new(experts, X, state.bank.solution, routing.slots)
        if state.shrinkage is not None:
            mean = shrunk(mean, state.shrinkage, routing.slots)
        if state.spread is None:
            return routing.log_gate, mean, routing.slots.gather(state.dispersion)
        relative = yield from new_spread(self.data, state.spread, X)
        law = law_by_row(state.dispersion, relative)
        return routing.log_gate, mean, routing.slots.gather(law, by_row=True)

    def _finish_gate(self, state: MixtureState, weights: Array, brief: bool = False) -> Any:
        return self.gate_bank.finish(state.gates, weights, state.members, brief)

    def _experts(self, members: tuple[int, ...], fit_weights: Array) -> WeightedExperts:
        templates = [self.recipe.templates[member] for member in members]
        return WeightedExperts(self.data, templates, fit_weights)


def build_model(recipe: Recipe, data: Data, splits: Splits | None) -> MixtureModel:
    """The mixture of a recipe for the table `data`, cross-fitted over `splits`."""
    gate_bank = make_gate_bank(
        template=recipe.gate,
        data=data,
        splits=splits,
        seed=recipe.seed,
        params=recipe.gate_params,
        n_experts=len(recipe.templates),
    )
    return MixtureModel(
        recipe=recipe,
        data=data,
        splits=splits,
        gate_bank=gate_bank,
        question=recipe.question(data, splits),
    )
