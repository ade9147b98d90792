"""Do intervals cover what they say, and how sharp is the forecast? The mixture and its rivals.

Seeds 0 to 3 hold out a quarter of a table each, so that every row is held out once; seeds 4 to 7
do it again by other quarters. A model is fitted to at most `max_rows` of the other rows and judged
by at most `max_test_rows` of the quarter, in units of the deviation of the training targets.

coverage_50, _80, _95  share of test targets within the central intervals
coverage_error         mean distance of the three from what was asked for, in percentage points
crps                   twice the mean pinball loss over 20 levels, the same for all models
crps_closed            the CRPS in closed form, of models that have it
nll                    mean negative log density, of models that have a density
width_90               mean width of the 90 % interval
seconds                the time of all that the intervals rest on, held-out predictions included

Cells that the output file holds are skipped, failed ones too: remove their rows to try again.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.model_selection import KFold

from benchmarks import calibration_report as report
from benchmarks.data import Table, check_tables, load
from benchmarks.first_look import one_line, one_text
from benchmarks.forecasters import (
    LEVELS,
    MIXTURES,
    MODELS,
    WITH_EXPERT,
    Forecast,
    Setting,
    available,
)
from benchmarks.models import EXPERTS
from benchmarks.options import add_output, add_tables, command, natural, positive
from benchmarks.records import Progress, append_row, commit, keys_in, machine_facts, write_facts

# Twenty of 500 rows or more whose target is continuous: no value is that of over 5 % of the rows,
# and none is a count of few levels, for a density has no meaning there and quantiles jump. From
# small to large samples, little noise (treasury, energy, grid_stability) to much (wage,
# cps88_wages), even noise to prices whose noise grows with them. All were measured but energy,
# medical_cost (it has regimes) and grid_stability, which were simulated by models of their fields.
TABLES = [
    *("concrete", "power_plant", "energy", "grid_stability", "laser", "no2", "protein"),
    *("qsar_fish_toxicity", "space_ga", "stock", "treasury", "bike_sharing", "medical_cost"),
    *("california_housing", "kings_county", "ames", "cars", "diamonds", "wage", "cps88_wages"),
]
N_EXPERTS = {"linear": 3, "tree": 3, "boosting": 2}
JUDGED = (0.5, 0.8, 0.95)
WIDE = 0.9
N_QUARTERS = 4
IDENTITY = ("table", "seed", "max_rows", "max_test_rows", "model", "expert", "n_experts")
FIGURES = (
    *(f"coverage_{100 * coverage:.0f}" for coverage in JUDGED),
    *("coverage_error", "crps", "crps_closed", "nll", "width_90"),
)
COLUMNS = ("commit", *IDENTITY, "n_train", "n_test", *FIGURES, "seconds", "warnings", "error")


@dataclass(frozen=True)
class Cell:
    """One model on one split of a table; `expert` and `n_experts` are empty where it has none."""

    table: str
    seed: int
    max_rows: int
    max_test_rows: int
    model: str
    expert: str
    n_experts: int | str

    @property
    def key(self) -> tuple[str, ...]:
        """The identity as a CSV file holds it."""
        return tuple(str(getattr(self, name)) for name in IDENTITY)

    def setting(self) -> Setting:
        """What the model is made from."""
        return Setting(self.expert, int(self.n_experts or 1), self.seed)


def held_out(table: Table, seed: int, max_rows: int, max_test_rows: int) -> tuple[Table, Table]:
    """Training and test rows: those outside and inside the quarter of the seed, capped."""
    draw, quarter = divmod(seed, N_QUARTERS)
    folds = KFold(N_QUARTERS, shuffle=True, random_state=draw)
    train, test = list(folds.split(table.y))[quarter]
    return table.take(train).capped(max_rows, seed), table.take(test).capped(max_test_rows, seed)


def coverage(interval: np.ndarray, y: np.ndarray) -> float:
    """Share of `y` (n,) within the ends (n, 2)."""
    return float(np.mean((interval[:, 0] <= y) & (y <= interval[:, 1])))


def pinball(quantiles: np.ndarray, y: np.ndarray) -> float:
    """Twice the mean pinball loss of quantiles (n, m) at `LEVELS`: the CRPS on that grid."""
    above = y[:, None] - quantiles
    return 2 * float(np.maximum(LEVELS * above, (LEVELS - 1) * above).mean())


def figures(forecast: Forecast, y: np.ndarray, scale: float) -> dict[str, float]:
    """Figures of a forecast of `y` (n,) in units of `scale`; NaN where it does not have them."""
    covered = {c: coverage(forecast.intervals[c], y) for c in JUDGED}
    quantiles, log_density, crps = forecast.quantiles, forecast.log_density, forecast.crps
    return {
        **{f"coverage_{100 * c:.0f}": share for c, share in covered.items()},
        "coverage_error": 100 * float(np.mean([abs(s - c) for c, s in covered.items()])),
        "crps": np.nan if quantiles is None else pinball(quantiles, y) / scale,
        "crps_closed": np.nan if crps is None else float(crps.mean()) / scale,
        "nll": np.nan if log_density is None else -float(log_density.mean() + np.log(scale)),
        "width_90": float(np.diff(forecast.intervals[WIDE], axis=1).mean()) / scale,
    }


def measure(cell: Cell, train: Table, test: Table) -> dict[str, dict[str, float]]:
    """Figures of the model of a cell, and of its calibrated intervals if any; the fit is timed."""
    model = MODELS[cell.model](cell.setting())
    begun = perf_counter()
    model.fit(train)
    seconds = {"seconds": perf_counter() - begun}
    forecast = model.forecast(test)
    found = {cell.model: forecast}
    if forecast.calibrated is not None:
        found[f"conformal {cell.model}"] = replace(forecast, intervals=forecast.calibrated)
    y, scale = test.y.to_numpy(), float(train.y.std())
    return {name: figures(each, y, scale) | seconds for name, each in found.items()}


def run_cell(cell: Cell, data: str | None) -> list[dict[str, Any]]:
    """The rows of a cell: figures, the warnings it raised, the error that ended it."""
    whole = load(cell.table, data)
    train, test = held_out(whole, cell.seed, cell.max_rows, cell.max_test_rows)
    sizes = {"n_train": len(train.y), "n_test": len(test.y)}
    row = dict.fromkeys(COLUMNS, "") | asdict(cell) | sizes | {"commit": commit()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = measure(cell, train, test)
        except Exception as error:
            found = {cell.model: {"error": one_text(error)}}
    row["warnings"] = "; ".join(sorted({one_line(entry) for entry in caught}))
    return [row | {"model": name} | values for name, values in found.items()]


def cells_of(model: str, table: str, seed: int, options: argparse.Namespace) -> Iterator[Cell]:
    """The cells of a model on one split: one for each expert, if it is made of experts."""
    split = (table, seed, options.max_rows, options.max_test_rows)
    if model not in WITH_EXPERT:
        yield Cell(*split, model, "", "")
        return
    for expert in options.experts:
        n_experts = (options.n_experts or N_EXPERTS[expert]) if model in MIXTURES else 1
        yield Cell(*split, model, expert, n_experts)


def make_cells(options: argparse.Namespace) -> list[Cell]:
    """The cells that the options ask for and the output file does not hold."""
    splits = product(options.seeds, options.tables, available(options.models))
    cells = [
        cell for seed, table, model in splits for cell in cells_of(model, table, seed, options)
    ]
    done = keys_in(options.output, IDENTITY)
    return [cell for cell in cells if cell.key not in done]


def describe(row: dict[str, Any]) -> str:
    """A finished cell in one line."""
    name = f"{row['table']} {row['model']} {row['expert']} seed {row['seed']}"
    if row["error"]:
        return f"{name}: {row['error'][:200]}"
    shares = " ".join(f"{100 * row[f'coverage_{100 * c:.0f}']:.1f}" for c in JUDGED)
    return (
        f"{name}: coverage {shares}, CRPS {row['crps']:.4f}, NLL {row['nll']:.3f}, "
        f"{row['seconds']:.1f} s"
    )


def run(options: argparse.Namespace) -> None:
    """Run the cells that are missing; write each row as it finishes."""
    options.output.parent.mkdir(parents=True, exist_ok=True)
    cells = make_cells(options)
    write_facts(options.output, machine_facts(vars(options)))
    progress = Progress(len(cells))
    for cell in cells:
        rows = run_cell(cell, options.data)
        for row in rows:
            append_row(options.output, row)
        progress.tell(describe(rows[0]))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Options of the command."""
    parser = command("calibration", __doc__)
    add = parser.add_argument
    add_tables(parser, TABLES)
    add("--models", nargs="+", default=list(MODELS), choices=list(MODELS), metavar="NAME")
    add("--experts", nargs="+", default=list(EXPERTS), choices=list(EXPERTS))
    add("--n-experts", type=positive, help="K; 3 by default, 2 for boosting")
    add("--max-rows", type=positive, default=1500, help="training rows, of those that there are")
    add("--max-test-rows", type=positive, default=5000, help="test rows, of those that there are")
    add(
        "--seeds",
        type=natural,
        nargs="+",
        default=[0],
        help="quarters to hold out; 0 1 2 3 are all",
    )
    add_output(parser, "calibration")
    add("--report", type=Path, metavar="FILE", help="only report on the rows of this CSV file")
    options = parser.parse_args(argv)
    if options.report is None:
        check_tables(options.tables, options.data, "regression")
    return options


def main(argv: Sequence[str]) -> int:
    """Run the cells, report on all rows of the file."""
    options = parse(argv)
    if options.report is None:
        run(options)
    rows = options.report or options.output
    if not rows.exists():
        print(f"Nothing to run, and no rows in {rows} to report on.")
        return 1
    print(report.text(report.read(rows)))
    return 0
