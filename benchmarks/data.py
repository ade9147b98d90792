"""Load a table by name: features as a frame, categorical columns as pandas categories.

A folder of tables holds `regression/NAME.csv.gz` and `classification/NAME.csv.gz`, whose last
column is `target`. It is the folder given, else that of the environment variable SKLEARN_MOE_DATA,
else `shared/data` beside the checkout. Without any, tables that have a known OpenML id are fetched.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pandas.api.types import is_numeric_dtype
from sklearn.datasets import fetch_openml
from sklearn.model_selection import train_test_split

from benchmarks.options import NoTable

TASKS = ("regression", "classification")
VARIABLE = "SKLEARN_MOE_DATA"
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"

OPENML_IDS = {
    "concrete": ("regression", 44959),
    "energy": ("regression", 44960),
    "california_housing": ("regression", 44977),
    "kings_county": ("regression", 44989),
    "bike_sharing": ("regression", 42712),
    "adult": ("classification", 1590),
    "electricity": ("classification", 151),
    "phoneme": ("classification", 1489),
    "telco_churn": ("classification", 42178),
    "splice": ("classification", 46),
    "optdigits": ("classification", 28),
}


@dataclass(frozen=True)
class Table:
    """A named table: features `X` (n, p), target `y` (n,), and the task it poses."""

    name: str
    task: str
    X: pd.DataFrame
    y: pd.Series

    def take(self, rows: pd.Index) -> Table:
        """The table of the given rows."""
        return Table(self.name, self.task, self.X.iloc[rows], self.y.iloc[rows])

    def _strata(self) -> pd.Series | None:
        return self.y if self.task == "classification" else None

    def capped(self, max_rows: int, seed: int = 0) -> Table:
        """At most `max_rows` rows, drawn with `seed`, classes in proportion."""
        if len(self.y) <= max_rows:
            return self
        rows, _ = train_test_split(
            range(len(self.y)), train_size=max_rows, random_state=seed, stratify=self._strata()
        )
        return self.take(rows)

    def split(self, seed: int, test_size: float = 0.25) -> tuple[Table, Table]:
        """Training and test part, drawn with `seed`, classes in proportion."""
        train, test = train_test_split(
            range(len(self.y)), test_size=test_size, random_state=seed, stratify=self._strata()
        )
        return self.take(train), self.take(test)


def load(name: str, folder: str | Path | None = None) -> Table:
    """The table `name`, from a folder of tables or else from OpenML."""
    root = data_folder(folder)
    if root is not None:
        return _read(name, root)
    task, data_id = _openml_id(name)
    bunch = fetch_openml(data_id=data_id, as_frame=True)
    target = bunch.target if task == "regression" else bunch.target.astype(str)
    return _table(name, task, bunch.data, target)


def data_folder(folder: str | Path | None = None) -> Path | None:
    """Where the tables are: `folder`, the environment's, the one beside the checkout, or None."""
    named = folder or os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_dir():
            raise NoTable(f"{str(named)!r}, of --data or {VARIABLE}, is no folder.")
        return Path(named)
    return BESIDE if BESIDE.is_dir() else None


def check_tables(
    names: Iterable[str], folder: str | Path | None = None, task: str | None = None
) -> None:
    """Raise if one of the tables `names` is not to be had, or poses another task than `task`."""
    root = data_folder(folder)
    for name in names:
        posed = _openml_id(name)[0] if root is None else _task(name, root)
        if task not in (None, posed):
            raise NoTable(f"{name!r} is a table for {posed}, and only those for {task} will do.")


def _openml_id(name: str) -> tuple[str, int]:
    if name not in OPENML_IDS:
        raise NoTable(f"{name!r} has no known OpenML id: pass --data or set {VARIABLE}.")
    return OPENML_IDS[name]


def _path(name: str, task: str, root: Path) -> Path:
    return root / task / f"{name}.csv.gz"


def _task(name: str, root: Path) -> str:
    for task in TASKS:
        if _path(name, task, root).exists():
            return task
    known = sorted(path.name[:-7] for task in TASKS for path in (root / task).glob("*.csv.gz"))
    held = f"which holds {', '.join(known) or 'none'}"
    raise NoTable(f"No table {name!r} in the data folder, {held}.")


def _read(name: str, root: Path) -> Table:
    task = _task(name, root)
    frame = pd.read_csv(_path(name, task, root))
    return _table(name, task, frame.drop(columns="target"), frame["target"])


def _table(name: str, task: str, X: pd.DataFrame, y: pd.Series) -> Table:
    text = [column for column in X if not is_numeric_dtype(X[column])]
    y = y.astype(float) if task == "regression" else y
    return Table(name, task, X.astype(dict.fromkeys(text, "category")), y)
