"""The suites of the command `tabular`: which tables, and how each is split.

`uci` has the published splits. The other suites draw a training part of at most `max_train` rows
and test on others, at most `MAX_TEST` of them: a test costs little and should decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks.data import Table, data_folder, load
from benchmarks.tabular_uci import TABLES as UCI

MAX_TEST = 4000
TEST_SHARE = 0.25
N_SYNTHETIC = 3000
NOISE = 0.5

# All tables of some rows and several columns but those of the suite above.
REGRESSION = (
    *("abalone", "ailerons", "ais", "ames", "auto_mpg", "bank32nh", "bank8fm", "bike_sharing"),
    *("california_housing", "cars", "communities_crime", "cps88_wages", "cpu_act"),
    *("delta_elevators", "diamonds", "elevators", "fried", "grid_stability", "health_insurance"),
    *("hitters", "kin40k", "kings_county", "laser", "medical_cost", "music_origin", "mv", "no2"),
    *("pol", "puma32h", "puma8nh", "qsar_fish_toxicity", "quake", "servo", "socmob", "space_ga"),
    *("stock", "treasury", "two_d_planes", "wage", "wine_white"),
)
# All of at most seven classes, but for the two whose boosting takes longest.
CLASSIFICATION = (
    *("adult", "attrition", "banana", "bank_marketing", "banknote", "breast_w", "car", "cmc"),
    *("coil2000", "credit_scoring", "electricity", "eucalyptus", "german_credit"),
    *("heart_cleveland", "hmda", "horse_colic", "ionosphere", "kr_vs_kp", "mushroom", "nursery"),
    *("page_blocks", "phoneme", "pima", "ringnorm", "segment", "sick", "sonar", "spambase"),
    *("splice", "telco_churn", "titanic", "vehicle", "waveform"),
)
# Simulated: the rule that chooses a regime can be read from X, wholly, partly, or there is none.
SYNTHETIC = ("linear rule", "nonlinear rule", "overlapping", "no regime", "no regime, smooth")
# Tables that are known to have regimes (medical_cost, two_d_planes, mv: their makers' formulas).
REAL_REGIMES = ("medical_cost", "two_d_planes", "mv", "bike_sharing", "pol")
SUITES: dict[str, tuple[str, ...]] = {
    "uci": UCI,
    "regression": REGRESSION,
    "classification": CLASSIFICATION,
    "regimes": (*SYNTHETIC, *REAL_REGIMES),
}
N_PUBLISHED_SPLITS = {"protein": 5}
QUICK = {
    "uci": ("yacht",),
    "regression": ("servo", "auto_mpg"),
    "classification": ("titanic", "heart_cleveland"),
    "regimes": ("linear rule", "no regime"),
}


@dataclass(frozen=True)
class Case:
    """A table of a suite and the number of its split."""

    suite: str
    table: str
    split: int

    def parts(self, max_train: int, data: str | None) -> tuple[Table, Table]:
        """Training and test part."""
        if self.suite == "uci":
            return _published(self.table, self.split, data)
        if self.table in SYNTHETIC:
            return _drawn(synthetic(self.table, self.split), max_train, self.split)
        return _drawn(load(self.table, data), max_train, self.split)

    def n_train(self, max_train: int, data: str | None) -> int:
        """Rows of the training part, before it is made; on `uci` those of the test part too."""
        if self.table in SYNTHETIC:
            return _n_train(N_SYNTHETIC, max_train)
        n_rows = _n_rows(self.table, data)
        return n_rows if self.suite == "uci" else _n_train(n_rows, max_train)


def cases(suite: str, tables: tuple[str, ...], n_splits: int) -> list[Case]:
    """Those of a suite, split by split, so that an early end leaves all tables."""
    return [
        Case(suite, table, split)
        for split in range(n_splits)
        for table in tables
        if suite != "uci" or split < N_PUBLISHED_SPLITS.get(table, 20)
    ]


def _published(name: str, split: int, data: str | None) -> tuple[Table, Table]:
    table, folder = load(name, data), data_folder(data)
    held = None if folder is None else Path(folder) / "regression" / f"{name}.splits.npz"
    if held is None or not held.exists():
        test = _first_splits(len(table.y), split)
    else:
        test = np.load(held)["test_idx"][split]
    train = np.setdiff1d(np.arange(len(table.y)), test)
    return table.take(train), table.take(test)


def _first_splits(n_rows: int, split: int) -> np.ndarray:
    """Test rows of a published split, by the rule that made them."""
    generator = np.random.RandomState(1)
    for _ in range(split + 1):
        order = generator.choice(n_rows, n_rows, replace=False)
    return np.sort(order[round(0.9 * n_rows) :])


@cache
def _n_rows(name: str, data: str | None) -> int:
    return len(load(name, data).y)


def _n_train(n_rows: int, max_train: int) -> int:
    return min(max_train, n_rows - int(TEST_SHARE * n_rows))


def _drawn(table: Table, max_train: int, seed: int) -> tuple[Table, Table]:
    n_rows = len(table.y)
    n_train = _n_train(n_rows, max_train)
    strata = table.y if table.task == "classification" else None
    train, test = train_test_split(
        np.arange(n_rows), train_size=n_train, random_state=seed, stratify=strata
    )
    return table.take(train), table.take(test[:MAX_TEST])


def synthetic(name: str, seed: int) -> Table:
    """A simulated table of six columns, with regimes or without."""
    rng = np.random.default_rng([SYNTHETIC.index(name), seed])
    X = rng.normal(size=(N_SYNTHETIC, 6))
    regime = RULES[name](X, rng)
    first = 3 * X[:, 1] + 2 * X[:, 2]
    second = -3 * X[:, 1] + 2 * X[:, 3]
    y = np.where(regime, first, second)
    if name == "no regime, smooth":
        y = first + 2 * np.sin(2 * X[:, 3]) + X[:, 4] * X[:, 5]
    y = y + NOISE * rng.normal(size=N_SYNTHETIC)
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    return Table(name, "regression", frame, pd.Series(y, name="target"))


def _by_chance(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A regime that depends on the first column, by a logistic law."""
    return rng.random(len(X)) < 1 / (1 + np.exp(-2 * X[:, 0]))


RULES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "linear rule": lambda X, rng: X[:, 0] + X[:, 4] > 0,
    "nonlinear rule": lambda X, rng: X[:, 0] ** 2 + X[:, 4] ** 2 > 1.4,
    "overlapping": _by_chance,
    "no regime": lambda X, rng: np.ones(len(X), dtype=bool),
    "no regime, smooth": lambda X, rng: np.ones(len(X), dtype=bool),
}
