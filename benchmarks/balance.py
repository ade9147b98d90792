"""What balanced experts cost: ways to keep all experts in use, at several strengths.

Each table is imputed, scaled and one-hot encoded, and split 75/25. A mixture of sixteen linear
experts of which two act on a row is fitted without balance, and with each way at each strength.
Shown are the imbalance of the load (its deviation over its mean, on test rows) and the mean
log density of the test rows. The summary tells, for each way, how much of the imbalance is left at
each strength, and what that costs in nats per row.

- `prior`: the package's own `balance`, an entropy prior in the E-step;
- `auxiliary`: responsibilities times exp(-strength K load): the gradient step of the auxiliary loss
  (Fedus, Zoph and Shazeer, 2022);
- `bias`: a bias of each expert for the choice alone, raised after each iteration where its load is
  low (Wang et al., 2024);
- `capacity`: for the first iterations experts choose rows, so many each (Zhou et al., 2022).
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from time import perf_counter
from typing import Any
from unittest import mock

import numpy as np

import sklearn_moe._mixture as mixture
from benchmarks.data import check_tables, load
from benchmarks.models import dense_encoder
from benchmarks.options import add_output, add_tables, command, positive
from benchmarks.records import append_row, commit, machine_facts, write_facts
from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from sklearn_moe._mixture import MixtureModel
from sklearn_moe._numeric import log_normalize
from sklearn_moe._routing import Routing, Slots, route

TABLES = [
    "concrete", "bike_sharing", "kin8nm", "cpu_act", "wine_white", "kings_county", "phoneme",
    "electricity",
]  # fmt: skip
STRENGTHS = {
    "prior": [0.25, 0.5, 1.0, 2.0, 4.0],
    "auxiliary": [0.25, 0.5, 1.0, 2.0, 4.0],
    "bias": [0.02, 0.05, 0.1, 0.25, 0.5],
    "capacity": [3, 10, 20, 30],
}
N_EXPERTS, TOP_K = 16, 2


class Auxiliary(MixtureModel):
    """Favours experts in proportion to what their load lacks."""

    strength = 0.0

    def _balanced(self, resp: np.ndarray) -> np.ndarray:
        share = self.data.sample_weight @ resp / self.data.sample_weight.sum()
        favoured = resp * np.exp(-self.strength * len(share) * (share - share.min()))
        return favoured / favoured.sum(axis=1, keepdims=True)


class Biased(MixtureModel):
    """Chooses experts by biased probabilities, and weights them by those of the gate."""

    strength = 0.0
    bias: dict[int, float] = {}

    def _route(self, log_gate: np.ndarray) -> Routing:
        bias = np.array([self.bias.get(k, 0.0) for k in range(log_gate.shape[1])])
        routing = chosen_by(log_gate, log_gate + bias)
        if routing.slots.index is None:
            return routing
        load = np.bincount(routing.slots.index.ravel(), minlength=log_gate.shape[1])
        bias -= self.strength * np.log(np.maximum(load / load.mean(), 1e-3))
        self.bias.update(enumerate(bias))
        return routing


class Capacity(MixtureModel):
    """For the first iterations each expert takes the rows that suit it best, as many as another."""

    strength = 0
    rounds: list[int] = []

    def _route(self, log_gate: np.ndarray) -> Routing:
        self.rounds.append(1)
        if len(self.rounds) > self.strength:
            return super()._route(log_gate)
        size = len(log_gate) * TOP_K // log_gate.shape[1]
        taken = np.argpartition(-log_gate, size, axis=0)[:size]
        scores = log_gate - 50.0
        np.put_along_axis(scores, taken, np.take_along_axis(log_gate, taken, 0), axis=0)
        return chosen_by(scores, scores)


def chosen_by(log_gate: np.ndarray, scores: np.ndarray) -> Routing:
    """The routing to the experts of highest `scores`, weighted by the gate."""
    index = route(scores, TOP_K, shared=False).slots.index
    if index is None:  # so many experts have been lost that all act
        return route(log_gate, TOP_K, shared=False)
    return Routing(log_normalize(np.take_along_axis(log_gate, index, axis=1))[0], Slots(index))


WAYS = {"auxiliary": Auxiliary, "bias": Biased, "capacity": Capacity}


def fit(task: str, way: str, strength: float, X: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """The mixture balanced in a way, and the model that it was fitted by."""
    kind = MixtureOfExpertsRegressor if task == "regression" else MixtureOfExpertsClassifier
    moe = kind(
        n_experts=N_EXPERTS, top_k=TOP_K, cv=3, n_init=1, verdict=False, max_iter=30,
        balance=strength if way == "prior" else 0.0, random_state=seed,
    )  # fmt: skip
    if way not in WAYS:
        return moe.fit(X, y), None
    state = {"strength": strength, "bias": {}, "rounds": []}
    model = type(way, (WAYS[way],), {k: v for k, v in state.items() if hasattr(WAYS[way], k)})
    with mock.patch.object(mixture, "MixtureModel", model):
        return moe.fit(X, y), model


def judge(moe: Any, model: Any, X: Any, y: Any) -> tuple[float, float]:
    """Imbalance of the load and mean log density, on test rows."""
    if model is not None and issubclass(model, Biased):
        bias = np.array([model.bias.get(k, 0.0) for k in range(moe.n_experts_)])

        def routing_at(X: Any) -> Routing:
            log_gate = moe.gate_.predict_log_proba(X)
            return chosen_by(log_gate, log_gate + bias)

        moe._routing_at = routing_at
    load = np.count_nonzero(moe.gate_proba(X), axis=0)
    load = np.append(load, np.zeros(N_EXPERTS - len(load)))
    return float(load.std() / load.mean()), float(moe.log_prob(X, y).mean())


def compare(name: str, way: str, strength: float, seed: int, options: Any) -> dict[str, Any]:
    """One table, way, strength and split."""
    train, test = load(name, options.data).capped(options.max_rows).split(seed)
    columns = dense_encoder()
    X, X_test = columns.fit_transform(train.X), columns.transform(test.X)
    begun = perf_counter()
    imbalance, log_prob = judge(*fit(train.task, way, strength, X, train.y, seed), X_test, test.y)
    figures = {"commit": commit(), "table": name, "way": way, "strength": strength, "seed": seed}
    figures |= {"imbalance": round(imbalance, 4), "log_prob": round(log_prob, 5)}
    return figures | {"seconds": round(perf_counter() - begun, 2)}


def cells(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All comparisons, each table and split first without balance."""
    for name in options.tables:
        for seed in range(options.seeds):
            yield compare(name, "none", 0.0, seed, options)
            for way in options.ways:
                for strength in STRENGTHS[way]:
                    yield compare(name, way, strength, seed, options)


def summary(rows: list[dict[str, Any]]) -> str:
    """For each way and strength the imbalance that is left, and what it costs."""
    plain = {(r["table"], r["seed"]): r for r in rows if r["way"] == "none"}
    lines = [f"{'way':10} {'strength':>8} {'imbalance':>10} {'left':>6} {'cost':>9} {'median':>8}"]
    for way, strength in dict.fromkeys((row["way"], row["strength"]) for row in rows):
        mine = [row for row in rows if (row["way"], row["strength"]) == (way, strength)]
        before = [plain[row["table"], row["seed"]] for row in mine]
        cost = np.array([b["log_prob"] - r["log_prob"] for b, r in zip(before, mine, strict=True)])
        imbalance = np.mean([row["imbalance"] for row in mine])
        left = imbalance / np.mean([row["imbalance"] for row in before])
        lines.append(
            f"{way:10} {strength:8} {imbalance:10.3f} {left:6.0%} {cost.mean():9.4f} "
            f"{np.median(cost):8.4f}"
        )
    return "\n".join([*lines, "cost: mean log density lost on test rows, in nats per row"])


def main(argv: list[str] | None = None) -> None:
    """Compare, print and keep."""
    parser = command("balance", __doc__)
    add = parser.add_argument
    add_tables(parser, TABLES)
    add("--ways", nargs="+", default=list(STRENGTHS), choices=list(STRENGTHS))
    add("--max-rows", type=positive, default=3000, help="rows drawn from a larger table")
    add("--seeds", type=positive, default=1, help="number of splits")
    add_output(parser, "balance")
    options = parser.parse_args(argv)
    check_tables(options.tables, options.data)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    write_facts(options.output, machine_facts(vars(options)))
    rows = []
    for row in cells(options):
        append_row(options.output, row)
        print(*(f"{key} {value}" for key, value in row.items() if key != "commit"), flush=True)
        rows.append(row)
    print(summary(rows))
