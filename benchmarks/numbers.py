"""The number of experts: found by `n_experts="auto"`, or by a grid search with three folds.

Both see the training rows only. A row holds the log density of the test rows under each, the
difference with its standard error, and the seconds of each fit, the search's last fit included.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from itertools import product
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from benchmarks.data import Table, check_tables
from benchmarks.options import add_output, add_tables, command, natural, positive
from benchmarks.records import Progress, append_row, commit, machine_facts, write_facts
from benchmarks.tabular_models import linear_moe, moe
from benchmarks.tabular_suites import SYNTHETIC, Case

TABLES = [
    *("linear rule", "nonlinear rule", "no regime", "abalone", "cpu_act", "kin40k", "laser"),
    *("medical_cost", "puma8nh", "space_ga", "stock", "wine_white"),
]
EXPERTS = {"linear": linear_moe, "tree": moe("tree", 2)}
GATES = {"linear": None, "auto": "auto"}
NUMBERS = [1, 2, 3, 4, 6, 8]
PARAMETER = "mixtureofexpertsregressor__n_experts"
COLUMNS = (
    *("commit", "table", "expert", "gate", "split", "n_train", "auto", "grid", "delta", "stderr"),
    *("auto_number", "grid_number", "auto_seconds", "grid_seconds"),
)


def log_probs(model: Any, test: Table) -> np.ndarray:
    """Log density (n,) of the test rows under a fitted pipeline."""
    return model.law(test.X).logpdf(test.y.to_numpy())


def log_score(model: Any, X: pd.DataFrame, y: Any) -> float:
    """Mean log density, for the search."""
    return float(np.mean(model.law(X).logpdf(np.asarray(y))))


def timed(model: Any, train: Table) -> float:
    """Seconds of a fit."""
    begun = perf_counter()
    model.fit(train.X, train.y.to_numpy())
    return perf_counter() - begun


def compare(name: str, expert: str, split: int, options: argparse.Namespace) -> dict[str, Any]:
    """The row of a table, an expert and a split."""
    train, test = Case("", name, split).parts(options.max_train, options.data)
    base = EXPERTS[expert]("regression", split)
    base[-1].set_params(verdict=options.verdict, gate=GATES[options.gate])
    auto = clone(base).set_params(**{PARAMETER: "auto"})
    search = GridSearchCV(base, {PARAMETER: NUMBERS}, scoring=log_score, cv=3)
    auto_seconds, search_seconds = timed(auto, train), timed(search, train)
    mine, theirs = log_probs(auto, test), log_probs(search.best_estimator_, test)
    delta = mine - theirs
    return {
        **{"n_train": len(train.y), "auto": mine.mean(), "grid": theirs.mean()},
        **{"delta": delta.mean(), "stderr": delta.std(ddof=1) / np.sqrt(len(delta))},
        **{"auto_number": auto[-1].n_experts_, "grid_number": search.best_params_[PARAMETER]},
        **{"auto_seconds": auto_seconds, "grid_seconds": search_seconds},
    }


def report(rows: pd.DataFrame) -> str:
    """All rows, and how often the two are apart."""
    apart = rows["delta"].abs() > 2 * rows["stderr"]
    ratio = rows["auto_seconds"] / rows["grid_seconds"]
    lines = [
        rows.drop(columns="commit").to_string(index=False, float_format="%.3f"),
        f"auto surely worse on {(apart & (rows['delta'] < 0)).sum()} of {len(rows)}, surely better "
        f"on {(apart & (rows['delta'] > 0)).sum()}; mean difference {rows['delta'].mean():+.4f} "
        f"nats, median {rows['delta'].median():+.4f}",
        f"seconds over those of the search: median {ratio.median():.2f}, total "
        f"{rows['auto_seconds'].sum() / rows['grid_seconds'].sum():.2f}",
    ]
    return "\n".join(lines)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Options of the command."""
    parser = command("numbers", __doc__)
    add = parser.add_argument
    add_tables(parser, TABLES, f"also {', '.join(SYNTHETIC)}")
    add("--experts", nargs="+", default=["linear"], choices=list(EXPERTS))
    add("--max-train", type=positive, default=1000, help="training rows")
    add("--splits", type=positive, default=1, help="draws of each table")
    add("--first-split", type=natural, default=0, help="number of the first draw")
    add("--gate", default="linear", choices=list(GATES), help="gate of both")
    add("--no-verdict", dest="verdict", action="store_false", help="neither has witnesses")
    add_output(parser, "numbers")
    options = parser.parse_args(argv)
    if options.output.exists():
        parser.error(f"{options.output} exists: choose another --output")
    check_tables(set(options.tables) - set(SYNTHETIC), options.data, "regression")
    return options


def main(argv: Sequence[str]) -> int:
    """Run all comparisons, write each row as it finishes, report on all rows of the file."""
    options = parse(argv)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_facts(options.output, machine_facts(vars(options)))
    first = options.first_split
    cells = list(product(range(first, first + options.splits), options.tables, options.experts))
    progress, code = Progress(len(cells)), commit()
    for split, table, expert in cells:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = compare(table, expert, split, options)
        cell = {"table": table, "expert": expert, "gate": options.gate, "split": split}
        row = {"commit": code} | cell | found
        append_row(options.output, {name: row[name] for name in COLUMNS})
        progress.tell(f"{table} {expert}: {found['auto']:.3f} against {found['grid']:.3f}")
    print(report(pd.read_csv(options.output)))
    return 0
