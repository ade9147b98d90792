"""What every benchmark leaves behind: rows in a CSV file, facts of the run in a JSON file."""

from __future__ import annotations

import csv
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from pathlib import Path
from time import perf_counter
from typing import Any

import sklearn_moe
from benchmarks.options import BadOutput

# The rivals' are named if they are installed.
PACKAGES = (
    *("scikit-learn", "numpy", "scipy", "joblib", "pandas", "catboost", "cgmm", "cubist", "deskit"),
    *("deslib", "gmr", "lightgbm", "linear-tree", "mapie", "ngboost", "pytabkit"),
    *("quantile-forest", "smt", "xgboost-cpu"),
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@cache
def commit() -> str:
    """Commit of the checkout when it is first asked for, marked if it has changes.

    "unknown" outside of one.
    """
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    root = Path(sklearn_moe.__file__).parent
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def machine_facts(options: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader needs to know to repeat a run."""
    return {
        "commit": commit(),
        "versions": {"sklearn_moe": sklearn_moe.__version__, **versions()},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": {name: os.environ.get(name) for name in THREADS},
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": {name: str(value) for name, value in options.items() if name != "data"},
    }


def versions() -> dict[str, str]:
    """Versions of those packages that are installed."""
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def write_facts(output: Path, facts: Mapping[str, Any]) -> None:
    """Add the facts of a run to the JSON file beside `output`."""
    path = output.with_suffix(".json")
    runs = json.loads(path.read_text()) if path.exists() else []
    path.write_text(json.dumps([*runs, facts], indent=2) + "\n")


def append_row(output: Path, row: Mapping[str, Any]) -> None:
    """Add one row to the CSV file `output`, with a header if it is new.

    What a run has left of a row when it was ended is cut off.
    """
    lines = _whole_lines(output) if output.exists() else ""
    is_new = not lines
    if not is_new and next(csv.reader(StringIO(lines, newline=""))) != list(row):
        raise _of_another_kind(output)
    with output.open("a", newline="") as file:
        file.truncate(len(lines.encode()))
        writer = csv.DictWriter(file, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def keys_in(output: Path, names: Sequence[str]) -> set[tuple[str, ...]]:
    """What the columns `names` say in the rows of the CSV file `output`; nothing without a file.

    A row that was being written when a run was ended does not count.
    """
    if not output.exists() or not (lines := _whole_lines(output)):
        return set()
    rows = csv.DictReader(StringIO(lines, newline=""))
    if not set(names) <= set(rows.fieldnames or ()):
        raise _of_another_kind(output)
    return {tuple(row[name] for name in names) for row in rows}


def whole_rows(output: Path) -> StringIO:
    """The rows of the CSV file `output` that are whole, as a file."""
    return StringIO(_whole_lines(output), newline="")


def _of_another_kind(output: Path) -> BadOutput:
    return BadOutput(f"{output.name} holds rows of another kind; choose another --output.")


def _whole_lines(output: Path) -> str:
    """The lines of a file, without what stands behind the last that is whole."""
    with output.open(newline="") as file:
        lines, end, _ = file.read().rpartition("\n")
    return lines + end


class Progress:
    """Prints a line for each finished cell, with the time that the rest will take at this pace."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.begun = total, 0, perf_counter()

    def tell(self, text: str) -> None:
        """Count one cell and say what came of it."""
        self.done += 1
        left = (perf_counter() - self.begun) / self.done * (self.total - self.done)
        print(
            f"[{self.done}/{self.total}, {timedelta(seconds=round(left))} left] {text}", flush=True
        )
