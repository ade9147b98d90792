"""Which gate? Mixtures of ridge experts that differ in nothing but the gate, on real tables.

Columns are imputed, scaled and one-hot encoded by the training part of one split 75/25; `circle` is
simulated, with one rule inside and another outside. Shown are the mean log density of test rows and
the processor's seconds of the fit, without a verdict. Gates named `slow` see the small tables only.
"""

from __future__ import annotations

import argparse
import warnings
from time import process_time
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from benchmarks.data import check_tables, load
from benchmarks.models import dense_encoder
from benchmarks.options import add_output, add_tables, command, positive
from benchmarks.records import append_row, commit, machine_facts, write_facts
from sklearn_moe import MixtureOfExpertsRegressor, SoftmaxGate
from sklearn_moe.gates import GaussianGate, HierarchicalGate, MLPGate, TreeGate

TABLES = ["circle", "concrete", "kin8nm", "california_housing", "bike_sharing"]
GATES: dict[str, Any] = {
    "softmax": SoftmaxGate(),
    "mlp": MLPGate(),
    "tree": TreeGate(),
    "gaussian": GaussianGate(),
    "gaussian diag": GaussianGate("diag"),
    "50 neighbours": KNeighborsRegressor(50),
    "tree regressor": DecisionTreeRegressor(min_samples_leaf=20),
    "tree classifier": DecisionTreeClassifier(min_samples_leaf=20),
    "hierarchical": HierarchicalGate([1, 2]),
    "forest, slow": RandomForestRegressor(min_samples_leaf=5),
    "MLPClassifier, slow": MLPClassifier((32,)),
}
SMALL = ("circle", "concrete")


def parts(name: str, options: argparse.Namespace) -> tuple[np.ndarray, ...]:
    """Training and test features and targets."""
    if name == "circle":
        rng = np.random.default_rng(0)
        X = rng.normal(size=(2000, 2))
        y = np.where((X**2).sum(axis=1) < 1.4, 3, -3) * X[:, 1] + 0.3 * rng.normal(size=2000)
        return X[:1500], y[:1500], X[1500:], y[1500:]
    train, test = load(name, options.data).capped(options.max_rows).split(0)
    columns = dense_encoder()
    X, X_test = columns.fit_transform(train.X), columns.transform(test.X)
    return X, train.y.to_numpy(), X_test, test.y.to_numpy()


def compare(table: str, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One table and gate."""
    X, y, X_test, y_test = parts(table, options)
    n_experts = 2 if table == "circle" else 3
    moe = MixtureOfExpertsRegressor(
        Ridge(), n_experts, gate=clone(GATES[name]), verdict=False, random_state=0
    )
    begun = process_time()
    moe.fit(X, y)
    seconds = round(process_time() - begun, 2)
    log_prob = round(float(moe.log_prob(X_test, y_test).mean()), 4)
    return {
        "commit": commit(), "table": table, "gate": name, "log_prob": log_prob, "seconds": seconds
    }  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> str:
    """Gates down, tables across: log density, and seconds in brackets."""
    tables = list(dict.fromkeys(row["table"] for row in rows))
    lines = [f"{'':20}" + "".join(f"{table:>22}" for table in tables)]
    for gate in dict.fromkeys(row["gate"] for row in rows):
        mine = [row for row in rows if row["gate"] == gate]
        found = {r["table"]: f"{r['log_prob']:.3f} ({r['seconds']:.1f})" for r in mine}
        lines.append(f"{gate:20}" + "".join(f"{found.get(table, ''):>22}" for table in tables))
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Compare, print and keep."""
    parser = command("gates", __doc__)
    add = parser.add_argument
    add_tables(parser, TABLES)
    add("--gates", nargs="+", default=list(GATES), choices=list(GATES))
    add("--max-rows", type=positive, default=4000, help="rows drawn from a larger table")
    add_output(parser, "gates")
    options = parser.parse_args(argv)
    check_tables(set(options.tables) - {"circle"}, options.data, "regression")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    write_facts(options.output, machine_facts(vars(options)))
    rows = []
    for gate in options.gates:
        for table in options.tables:
            too_long = "slow" in gate and table not in SMALL
            if too_long or (gate == "hierarchical" and table == "circle"):  # two experts, no tree
                continue
            rows.append(compare(table, gate, options))
            append_row(options.output, rows[-1])
            print(*(f"{k} {v}" for k, v in rows[-1].items() if k != "commit"), flush=True)
    print(summary(rows))
