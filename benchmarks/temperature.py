"""Does a temperature for each expert help? Test log-loss with and without, on real tables.

Each table is imputed, scaled and one-hot encoded, and split 75/25; the mixture of two experts is
fitted with `calibrate="temperature"` and without. Shown are the log-losses, their paired difference
with its standard error, and the temperatures. Smoothing toward the class rates is there in both.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from benchmarks.data import check_tables, load
from benchmarks.models import dense_encoder, mixture
from benchmarks.options import add_output, add_tables, command, positive
from benchmarks.records import append_row, commit, machine_facts, write_facts

TABLES = [
    "phoneme", "splice", "telco_churn", "vehicle", "german_credit", "pima", "yeast", "segment",
    "cmc", "electricity",
]  # fmt: skip


EXPERTS = {
    "linear": LogisticRegression(max_iter=1000),
    "tree": DecisionTreeClassifier(max_depth=6),
    "boosting": HistGradientBoostingClassifier(max_iter=30),
    "forest": RandomForestClassifier(30, min_samples_leaf=2),
    "bayes": GaussianNB(var_smoothing=1e-3),
}
N_EXPERTS = 2


def compare(name: str, kind: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One table, expert and split: log-losses without and with temperatures."""
    train, test = load(name, options.data).capped(options.max_rows).split(seed)
    columns = dense_encoder()
    X, X_test = columns.fit_transform(train.X), columns.transform(test.X)
    plain = mixture("classification", EXPERTS[kind], N_EXPERTS, seed)
    figures: dict[str, Any] = {"commit": commit(), "table": name, "expert": kind, "seed": seed}
    losses = {}
    for label, calibrate in (("plain", None), ("tempered", "temperature")):
        model, begun = clone(plain).set_params(calibrate=calibrate), perf_counter()
        model.fit(X, train.y)
        figures[f"{label}_seconds"] = round(perf_counter() - begun, 2)
        losses[label] = -model.log_prob(X_test, test.y)
        figures[label] = round(float(losses[label].mean()), 5)
    gain = losses["plain"] - losses["tempered"]
    figures["gain"] = round(float(gain.mean()), 5)
    figures["stderr"] = round(float(gain.std() / np.sqrt(len(gain))), 5)
    return figures | {"temperatures": " ".join(f"{t:.2f}" for t in model.temperatures_)}


def cells(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All comparisons."""
    for kind in options.experts:
        for name in options.tables:
            for seed in range(options.seeds):
                yield compare(name, kind, seed, options)


def summary(rows: list[dict[str, Any]]) -> str:
    """For each expert, on how many tables the temperature helps, and by how much."""
    lines = [
        f"{'expert':10} {'plain':>8} {'tempered':>9} {'better':>7} {'clearly':>8} {'worse':>6}"
    ]
    for kind in dict.fromkeys(row["expert"] for row in rows):
        mine = [row for row in rows if row["expert"] == kind]
        plain, tempered, gain, stderr = (
            np.array([row[key] for row in mine]) for key in ("plain", "tempered", "gain", "stderr")
        )
        lines.append(
            f"{kind:10} {plain.mean():8.4f} {tempered.mean():9.4f} {np.mean(gain > 0):7.0%} "
            f"{np.mean(gain > 2 * stderr):8.0%} {np.mean(gain < -2 * stderr):6.0%}"
        )
    return "\n".join([*lines, "clearly, worse: by more than two standard errors"])


def main(argv: list[str] | None = None) -> None:
    """Compare, print and keep."""
    parser = command("temperature", __doc__)
    add = parser.add_argument
    add_tables(parser, TABLES)
    add("--experts", nargs="+", default=list(EXPERTS), choices=list(EXPERTS))
    add("--max-rows", type=positive, default=2000, help="rows drawn from a larger table")
    add("--seeds", type=positive, default=1, help="number of splits")
    add_output(parser, "temperature")
    options = parser.parse_args(argv)
    check_tables(options.tables, options.data, "classification")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", "One expert explains")
    write_facts(options.output, machine_facts(vars(options)))
    rows = []
    for row in cells(options):
        append_row(options.output, row)
        print(*(f"{key} {value}" for key, value in row.items() if key != "commit"), flush=True)
        rows.append(row)
    print(summary(rows))
