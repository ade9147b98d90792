"""What every benchmark leaves behind: rows in a CSV file, facts of the run in a JSON file."""

from __future__ import annotations

import csv
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import sklearn_moe

PACKAGES = ("scikit-learn", "numpy", "scipy", "joblib", "pandas")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def commit() -> str:
    """Commit of the checkout, marked if it has changes; "unknown" outside of one."""
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
        "versions": {"sklearn_moe": sklearn_moe.__version__, **{p: version(p) for p in PACKAGES}},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": {name: os.environ.get(name) for name in THREADS},
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": {name: str(value) for name, value in options.items() if name != "data"},
    }


def write_facts(output: Path, facts: Mapping[str, Any]) -> None:
    """Add the facts of a run to the JSON file beside `output`."""
    path = output.with_suffix(".json")
    if path == output:
        raise ValueError(f"--output {output} is where the facts go. Choose a .csv for the rows.")
    runs = json.loads(path.read_text()) if path.exists() else []
    path.write_text(json.dumps([*runs, facts], indent=2) + "\n")


def append_row(output: Path, row: Mapping[str, Any]) -> None:
    """Add one row to the CSV file `output`, with a header if it is new.

    What a run has left of a row when it was ended is cut off.
    """
    is_new = not output.exists() or not _whole_lines(output)
    if not is_new and header(output) != list(row):
        raise _of_another_kind(output)
    with output.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def keys_in(output: Path, names: Sequence[str]) -> set[tuple[str, ...]]:
    """What the columns `names` say in the rows of the CSV file `output`; nothing without a file.

    A row that was being written when a run was ended does not count.
    """
    if not output.exists() or not _whole_lines(output):
        return set()
    if not set(names) <= set(header(output)):
        raise _of_another_kind(output)
    with output.open(newline="") as file:
        return {tuple(row[name] for name in names) for row in csv.DictReader(file)}


def _of_another_kind(output: Path) -> ValueError:
    return ValueError(f"{output.name} holds rows of another kind; choose another --output.")


def _whole_lines(output: Path) -> bytes:
    """The lines of a file, which is cut behind the last that is whole."""
    lines, _, rest = output.read_bytes().rpartition(b"\n")
    if rest:
        output.write_bytes(lines + b"\n" if lines else b"")
    return lines


def header(output: Path) -> list[str]:
    """Column names of the CSV file `output`."""
    with output.open(newline="") as file:
        return next(csv.reader(file))


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
