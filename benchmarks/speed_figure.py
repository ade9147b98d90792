"""The picture of `speed`: how an iteration grows with n, p and K, and what workers give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

BASE = {"n": 100_000, "p": 10, "K": 4}
LINES = {"in sample": "C0", "cross-fitted": "C1", "floor": "0.6"}


def draw(rows: Path, figure: Path) -> None:
    """Draw the rows of a CSV file of `speed`; needs matplotlib."""
    import matplotlib.pyplot as plt

    found = pd.read_csv(rows)
    canvas, axes = plt.subplots(1, 4, figsize=(14, 3.4), layout="constrained")
    for axis, name in zip(axes, BASE, strict=False):
        draw_growth(axis, found[found["part"] == "iterations"], name)
    draw_jobs(axes[3], found[found["part"] == "jobs"])
    axes[0].legend()
    axes[0].set_ylabel("milliseconds of an EM iteration")
    canvas.savefig(figure, dpi=110)


def draw_growth(axis: Any, rows: pd.DataFrame, name: str) -> None:
    """One of n, p and K varies, the others are at their base."""
    others = [other for other in BASE if other != name]
    here = rows[(rows[others] == pd.Series(BASE)[others]).all(axis=1)]
    for what, color in LINES.items():
        line = here[here["what"] == what].sort_values(name)
        axis.loglog(line[name], line["ms"], "o-", color=color, label=what)
    values = sorted(here[name].unique())
    axis.set_xticks(values, [f"{value:,}" for value in values])
    axis.tick_params(which="minor", labelbottom=False, labelleft=False)
    axis.set_ylim(0.5, 5000)
    axis.set_title(f"{name} varies; " + ", ".join(f"{other}={BASE[other]:,}" for other in others))
    axis.set_xlabel(name)


def draw_jobs(axis: Any, rows: pd.DataFrame) -> None:
    """How much faster whole fits are on several workers."""
    for expert, line in rows.groupby("expert"):
        workers = line["what"].str.removeprefix("n_jobs=").astype(int)
        axis.set_xticks(workers)
        axis.plot(workers, 1 / line["ratio"], "o-", label=expert)
    axis.set_title("whole fits on several workers")
    axis.set_xlabel("n_jobs")
    axis.set_ylabel("times as fast")
    axis.legend()
