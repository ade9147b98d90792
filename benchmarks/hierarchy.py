"""A tree of gates beside a flat one: is it as accurate, and how much is there to read?

Ridge experts on real tables, imputed, scaled and one-hot encoded, split 75/25 several times. For 4
and 8 experts: the flat softmax gate, and the tree of two-way gates (Jordan and Jacobs, 1994). Shown
are test RMSE and log density, on how many splits the tree is better, and what a reader must look at
to know which expert acts on a row: the gate coefficients on the way to it.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from benchmarks.data import check_tables, load
from benchmarks.models import dense_encoder
from benchmarks.options import add_output, add_tables, command, positive
from benchmarks.records import append_row, commit, machine_facts, write_facts
from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe.gates import HierarchicalGate

TABLES = ["concrete", "kin8nm", "bike_sharing", "california_housing", "cpu_act", "abalone"]
DEPTHS = [2, 3]


def models(depth: int) -> dict[str, Any]:
    """The flat gate and the tree, for as many experts."""
    return {"flat": None, "tree": HierarchicalGate.of_depth(depth)}


def compare(name: str, depth: int, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One table, number of experts and split."""
    train, test = load(name, options.data).capped(options.max_rows).split(seed)
    columns = dense_encoder()
    X, X_test = columns.fit_transform(train.X), columns.transform(test.X)
    figures: dict[str, Any] = {
        "commit": commit(), "table": name, "n_experts": 2**depth, "seed": seed,
        "ridge_rmse": rmse(Ridge().fit(X, train.y), X_test, test.y),
    }  # fmt: skip
    for label, gate in models(depth).items():
        begun = perf_counter()
        moe = MixtureOfExpertsRegressor(
            Ridge(), 2**depth, gate=gate, verdict=False, random_state=seed
        ).fit(X, train.y)
        figures[f"{label}_seconds"] = round(perf_counter() - begun, 2)
        figures[f"{label}_rmse"] = rmse(moe, X_test, test.y)
        figures[f"{label}_log_prob"] = round(float(moe.log_prob(X_test, test.y).mean()), 5)
    directions = {"flat": 2**depth - 1, "tree": depth}
    return figures | {f"{label}_to_read": n * X.shape[1] for label, n in directions.items()}


def rmse(model: Any, X: Any, y: Any) -> float:
    """Root mean squared error."""
    return round(float(np.sqrt(np.mean((model.predict(X) - y) ** 2))), 5)


def cells(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All comparisons."""
    for name in options.tables:
        for depth in DEPTHS:
            for seed in range(options.seeds):
                yield compare(name, depth, seed, options)


def summary(rows: list[dict[str, Any]]) -> str:
    """For each table and number of experts the means over the splits."""
    lines = [
        f"{'table':20} {'K':>2} {'ridge':>9} {'flat':>9} {'tree':>9} {'better':>7} "
        f"{'flat nats':>10} {'tree nats':>10} {'to read':>9}"
    ]
    for name, n_experts in dict.fromkeys((row["table"], row["n_experts"]) for row in rows):
        mine = [r for r in rows if (r["table"], r["n_experts"]) == (name, n_experts)]
        mean = {key: np.mean([r[key] for r in mine]) for key in mine[0] if key.count("_") > 0}
        better = sum(row["tree_rmse"] < row["flat_rmse"] for row in mine)
        lines.append(
            f"{name:20} {n_experts:2} {mean['ridge_rmse']:9.4g} {mean['flat_rmse']:9.4g} "
            f"{mean['tree_rmse']:9.4g} {better:3} of {len(mine)} {mean['flat_log_prob']:10.3f} "
            f"{mean['tree_log_prob']:10.3f} {mean['flat_to_read']:4.0f}/{mean['tree_to_read']:.0f}"
        )
    ratios = [np.log(row["tree_rmse"] / row["flat_rmse"]) for row in rows]
    nats = [row["tree_log_prob"] - row["flat_log_prob"] for row in rows]
    return "\n".join(
        [
            *lines,
            f"tree over flat: RMSE x {np.exp(np.mean(ratios)):.3f}, {np.mean(nats):+.3f} nats",
            "to read: gate coefficients that say which expert acts on a row, flat/tree",
        ]
    )


def main(argv: list[str] | None = None) -> None:
    """Compare, print and keep."""
    parser = command("hierarchy", __doc__)
    add = parser.add_argument
    add_tables(parser, TABLES)
    add("--max-rows", type=positive, default=3000, help="rows drawn from a larger table")
    add("--seeds", type=positive, default=4, help="number of splits")
    add_output(parser, "hierarchy")
    options = parser.parse_args(argv)
    check_tables(options.tables, options.data, "regression")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    write_facts(options.output, machine_facts(vars(options)))
    rows = []
    for row in cells(options):
        append_row(options.output, row)
        print(*(f"{key} {value}" for key, value in row.items() if key != "commit"), flush=True)
        rows.append(row)
    print(summary(rows))
