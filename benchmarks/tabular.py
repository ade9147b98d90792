"""Mixtures of experts beside everything a user would pick instead, on suites of tables.

A cell is a model on one split of a table. It runs in a process of its own, under `--time-limit`,
and its row is written as soon as it is done; `--resume` goes on where a run ended. The test part is
scored once, after the fit and all tuning, and is used for nothing else. `--report` writes the
tables and pictures of a finished run.
"""

from __future__ import annotations

import argparse
import signal
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import tabular_report
from benchmarks.data import check_tables, data_folder
from benchmarks.first_look import one_line, one_text
from benchmarks.limits import run_all
from benchmarks.options import add_output, command, positive, seconds
from benchmarks.records import Progress, append_row, commit, keys_in, machine_facts, write_facts
from benchmarks.tabular_models import MODELS, available
from benchmarks.tabular_scores import FIGURES, evaluate
from benchmarks.tabular_suites import QUICK, SUITES, SYNTHETIC, Case, cases

IDENTITY = ("suite", "table", "split", "max_train", "model")
COLUMNS = (
    *("commit", *IDENTITY, "task", "n_train", "n_test", "n_features"),
    *(*FIGURES, "warnings", "error"),
)
# The other suites have all models but those that are LEFT_OUT.
DEFAULT_MODELS = {
    "uci": (
        *("moe search", "moe boosting", "linear", "boosting", "forest", "lightgbm", "xgboost"),
        *("catboost", "ngboost"),
    ),
    "regimes": (
        *("moe linear", "moe tree", "moe boosting", "linear", "tree", "boosting", "4 trees"),
        *("2 boostings", "20 boostings", "forest", "lightgbm", "cubist"),
    ),
}
LEFT_OUT = (
    *("moe auto", "moe auto alone", "moe search", "moe search pool"),
    *("moe linear net", "moe boosting net", "moe linear auto"),
)
QUICK_MODELS = ("moe linear", "moe tree", "linear", "tree", "boosting", "forest")


@dataclass(frozen=True)
class Cell:
    """A model on one split of a table."""

    case: Case
    model: str
    max_train: int
    data: str | None
    commit: str

    @property
    def identity(self) -> dict[str, Any]:
        """What tells it from other cells."""
        return asdict(self.case) | {"max_train": self.max_train, "model": self.model}

    @property
    def key(self) -> tuple[str, ...]:
        """The identity as a CSV file holds it."""
        return tuple(str(self.identity[name]) for name in IDENTITY)


def run_cell(cell: Cell) -> dict[str, Any]:
    """The row of a cell: its figures, the warnings it raised, the error that ended it."""
    row = blank(cell)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            train, test = cell.case.parts(cell.max_train, cell.data)
            row |= {"task": train.task, "n_train": len(train.y), "n_test": len(test.y)}
            row["n_features"] = train.X.shape[1]
            model = MODELS[cell.model].ready(train.task, cell.case.split)
            row |= evaluate(model, train, test, cell.case.split)
        except Exception as error:  # whatever a rival raises; its row says so, and the rest goes on
            row["error"] = one_text(error)
    row["warnings"] = "; ".join(sorted({one_line(entry) for entry in caught}))
    return row


def blank(cell: Cell) -> dict[str, Any]:
    """A row that says of which cell it is."""
    return dict.fromkeys(COLUMNS, "") | cell.identity | {"commit": cell.commit}


def describe(row: dict[str, Any]) -> str:
    """A finished cell in one line."""
    name = f"{row['suite']} {row['table']} {row['split']} {row['model']}"
    if row["error"]:
        return f"{name}: {row['error'][:200]}"
    return f"{name}: loss {row['loss']:.4g}, NLL {row['nll']:.4g}, {row['fit_seconds']:.1f} s"


def make_cells(options: argparse.Namespace) -> list[Cell]:
    """The cells that the options ask for and the output file does not hold."""
    code = commit()
    cells = [
        Cell(case, model, options.max_train if suite != "uci" else 0, options.data, code)
        for suite in options.suite
        for case in cases(suite, tables_of(suite, options), options.splits)
        for model in models_of(suite, options)
        if can(MODELS[model], case, options)
    ]
    done = done_in(options.output, options.retry)
    cells = [cell for cell in cells if cell.key not in done]
    check_tables(sorted({cell.case.table for cell in cells} - set(SYNTHETIC)), options.data)
    return cells


def tables_of(suite: str, options: argparse.Namespace) -> tuple[str, ...]:
    """Tables of a suite that the options ask for."""
    tables = QUICK[suite] if options.quick else SUITES[suite]
    return tuple(t for t in tables if options.datasets is None or t in options.datasets)


def models_of(suite: str, options: argparse.Namespace) -> list[str]:
    """Models that the options ask for on a suite, those whose package is here."""
    wanted = options.models
    if wanted is None and options.quick:
        wanted = QUICK_MODELS
    if wanted is None:
        wanted = DEFAULT_MODELS.get(suite, [name for name in MODELS if name not in LEFT_OUT])
    here = set(available(wanted))
    return [name for name in wanted if name in here]


def can(model: Any, case: Case, options: argparse.Namespace) -> bool:
    """Whether the model is meant for the table."""
    task = "classification" if case.suite == "classification" else "regression"
    return model.can(
        task, 0 if model.max_rows is None else case.n_train(options.max_train, options.data)
    )


def done_in(output: Path, retry: bool) -> set[tuple[str, ...]]:
    """Identities of the cells in a CSV file; to `retry`, without those that ended in an error."""
    found = keys_in(output, (*IDENTITY, "error"))
    return {tuple(identity) for *identity, error in found if not (retry and error)}


def run(options: argparse.Namespace) -> None:
    """Run the cells that are missing; write each row as it finishes."""
    options.output.parent.mkdir(parents=True, exist_ok=True)
    cells = make_cells(options)
    write_facts(options.output, machine_facts(vars(options)))
    progress = Progress(len(cells))
    for cell, row in run_all(run_cell, cells, options.jobs, options.time_limit):
        if isinstance(row, BaseException):
            row = blank(cell) | {"error": one_text(row)}
        append_row(options.output, row)
        progress.tell(describe(row))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Options of the command."""
    parser = command("tabular", __doc__)
    add = parser.add_argument
    add("--suite", nargs="+", default=["all"], choices=["all", *SUITES])
    add("--datasets", nargs="+", metavar="NAME", help="only these tables of the suites")
    add("--models", nargs="+", metavar="NAME", choices=list(MODELS), help=", ".join(MODELS))
    add("--splits", type=positive, default=1, help="splits of each table; uci has 20 (protein 5)")
    add("--max-train", type=positive, default=1500, help="training rows, but on uci")
    add("--data", help="folder of the tables")
    add("--jobs", type=positive, default=1, help="cells at a time")
    add("--time-limit", type=seconds, default=1800.0, help="seconds of a cell, tuning included")
    add("--resume", action="store_true", help="add the cells that --output does not hold yet")
    add("--retry", action="store_true", help="with --resume: what ended in an error as well")
    add("--quick", action="store_true", help="a few small tables and fast models: minutes")
    add_output(parser, "tabular")
    add("--report", action="store_true", help="run nothing: report on the rows of --output")
    options = parser.parse_args(argv)
    options.suite = list(SUITES if "all" in options.suite else dict.fromkeys(options.suite))
    options.models = options.models and list(dict.fromkeys(options.models))
    if options.output.exists() and not (options.resume or options.report):
        parser.error(f"{options.output} exists: pass --resume to add to it, or another --output")
    unknown = unknown_tables(options)
    if unknown:
        parser.error(f"--datasets: no {' nor '.join(unknown)} in {', '.join(options.suite)}")
    return options


def unknown_tables(options: argparse.Namespace) -> list[str]:
    """Tables that the options ask for and no suite has."""
    known = {table for suite in options.suite for table in SUITES[suite]}
    return [table for table in options.datasets or () if table not in known]


def main(argv: Sequence[str]) -> int:
    """Run the cells, then report on all rows of the file."""
    options = parse(argv)
    if not options.report:
        data_folder(options.data)  # that it is none is told before anything runs
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # no cell outlives the command
        run(options)
    if not options.output.exists():
        print(f"Nothing to run, and no rows in {options.output} to report on.")
        return 1
    print(tabular_report.write(options.output))
    return 0
