"""Keeping up with data that shift: electricity and bike_sharing in time order.

Each model is fitted to a first window. Then, block after block: the rows of the block are scored
(mean log density, before anything has learnt from them), and the model is refreshed from the window
that ends with the block. Shown are the mean score over all blocks and the seconds of a refresh.

- `mixture, kept`: never refreshed;
- `mixture, gate alone`: `update_gate` on the window;
- `mixture, warm`: `warm_start` and a fit on the window;
- `mixture, anew`: a fit on the window, starts raced again;
- `one expert, kept` and `one expert, anew`: the expert alone, never refreshed and refitted.

Columns that only ever grow are left out for all models, unless `--clocks`: from a window, what they
would say of the next block is a guess.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone

from benchmarks.data import Table, check_tables, load
from benchmarks.models import EXPERTS, N_EXPERTS, dense_encoder
from benchmarks.options import NoTable, add_output, add_tables, command, positive
from benchmarks.records import append_row, commit, machine_facts, write_facts
from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

TABLES = ["electricity", "bike_sharing"]
CLOCKS = {"electricity": ["date"], "bike_sharing": ["yr"]}


def keep(model: Any, X: Any, y: Any) -> Any:
    """No refresh."""
    return model


def follow(model: Any, X: Any, y: Any) -> Any:
    """The gate goes on."""
    return model.update_gate(X, y)


def warm(model: Any, X: Any, y: Any) -> Any:
    """EM goes on from where the mixture is, unless one expert was all that was left."""
    return model.set_params(warm_start=True).fit(X, y)


def anew(model: Any, X: Any, y: Any) -> Any:
    """Another fit."""
    return clone(model).fit(X, y)


Refresh = Callable[[Any, Any, Any], Any]
RUNS: dict[str, tuple[bool, Refresh]] = {
    "mixture, kept": (True, keep),
    "mixture, gate alone": (True, follow),
    "mixture, warm": (True, warm),
    "mixture, anew": (True, anew),
    "one expert, kept": (False, keep),
    "one expert, anew": (False, anew),
}


def make(table: Table, kind: str, is_mixture: bool) -> Any:
    """A mixture, or one expert with the noise law that makes it comparable."""
    estimator = MixtureOfExpertsRegressor
    if table.task == "classification":
        estimator = MixtureOfExpertsClassifier
    expert = EXPERTS[kind](table.task)
    expert = expert.steps[-1][1] if kind == "linear" else expert
    return estimator(expert, N_EXPERTS[kind] if is_mixture else 1, verdict=False, random_state=0)


def encoded(table: Table, kind: str, window: int) -> tuple[Any, np.ndarray]:
    """Features in the form that the expert takes, scaled by the first window."""
    if kind != "linear":
        return table.X, table.y.to_numpy()
    columns = dense_encoder()
    return columns.fit(table.X.iloc[:window]).transform(table.X), table.y.to_numpy()


def stream(table: Table, kind: str, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Scores and seconds of one way to keep up."""
    is_mixture, refresh = RUNS[name]
    X, y = encoded(table, kind, options.window)
    take = X.iloc.__getitem__ if hasattr(X, "iloc") else X.__getitem__
    first = slice(0, options.window)
    begun = perf_counter()
    model = make(table, kind, is_mixture).fit(take(first), y[first])
    fitting, scores, seconds = perf_counter() - begun, [], []
    for start in range(options.window, len(y) - options.block + 1, options.block):
        block = slice(start, start + options.block)
        scores.append(model.log_prob(take(block), y[block]).mean())
        window = slice(block.stop - options.window, block.stop)
        begun = perf_counter()
        model = refresh(model, take(window), y[window])
        seconds.append(perf_counter() - begun)
    return {
        "commit": commit(),
        "table": table.name,
        "expert": kind,
        "model": name,
        "blocks": len(scores),
        "log_prob": round(float(np.mean(scores)), 4),
        "median": round(float(np.median(scores)), 4),
        "first_fit": round(fitting, 3),
        "refresh": round(float(np.mean(seconds)), 4),
    }


def cells(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All streams."""
    for name in options.tables:
        table = load(name, options.data)
        table = table.take(range(min(len(table.y), options.max_rows)))
        if options.window + options.block > len(table.y):
            raise NoTable(
                f"{name!r}, of {len(table.y)} rows, holds no --window {options.window} with a "
                f"--block {options.block} behind it."
            )
        if not options.clocks:
            X = table.X.drop(columns=CLOCKS.get(name, []))
            table = Table(table.name, table.task, X, table.y)
        for kind in options.experts:
            for model in RUNS:
                yield stream(table, kind, model, options)


def summary(rows: list[dict[str, Any]]) -> str:
    """A table for each stream."""
    lines = []
    for table, kind in dict.fromkeys((row["table"], row["expert"]) for row in rows):
        lines.append(f"{table}, {kind}: {'log_prob':>20} {'median':>8} {'s/refresh':>10}")
        for row in (r for r in rows if (r["table"], r["expert"]) == (table, kind)):
            lines.append(
                f"  {row['model']:26} {row['log_prob']:10.4f} {row['median']:8.4f} "
                f"{row['refresh']:10.3f}"
            )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Score, print and keep."""
    parser = command("shift", __doc__)
    add = parser.add_argument
    add_tables(parser, TABLES, "tables in time order")
    add("--experts", nargs="+", default=["linear", "tree"], choices=list(EXPERTS))
    add("--window", type=positive, default=3000, help="rows that a refresh sees")
    add("--block", type=positive, default=500, help="rows between refreshes")
    add("--max-rows", type=positive, default=12_000, help="rows of the stream")
    add("--clocks", action="store_true", help="keep columns that only ever grow")
    add_output(parser, "shift")
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
