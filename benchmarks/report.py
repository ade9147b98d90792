"""Report on the rows of `first_look`: where the mixture loses, then all cells, then the summary.

A cell here is a table, an expert and the options of its fits: the seeds are averaged.
"""

from __future__ import annotations

import pandas as pd

CELL = ["table", "expert", "n_experts", "max_rows", "max_iter"]
SLACK = 1.02
COLUMNS = {
    "single_loss": "one",
    "average_loss": "average",
    "mixture_loss": "mixture",
    "single_nll": "one.nll",
    "average_nll": "avg.nll",
    "mixture_nll": "mix.nll",
    "bound": "bound",
    "heldout": "heldout",
    "gain": "gain",
    "gain_stderr": "+-",
    "true_gain": "true",
    "true_gain_stderr": "+-test",
    "n_iter": "iter",
    "single_seconds": "s.one",
    "mixture_seconds": "s.mix",
}


def text(rows: pd.DataFrame) -> str:
    """The whole report."""
    cells = mean_over_seeds(rows)
    parts = [losses(cells), troubles(rows), every_cell(cells), summary(cells, rows)]
    return "\n\n".join(["", f"Commits: {', '.join(map(str, rows['commit'].unique()))}", *parts])


def mean_over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each table and expert; cells that failed are left out."""
    done = rows[rows["error"].isna()]
    order = {name: position for position, name in enumerate(done["expert"].unique())}
    cells = done.groupby(CELL, sort=False)[list(COLUMNS)].mean().reset_index()
    return cells.sort_values("expert", key=lambda names: names.map(order), kind="stable")


def losses(cells: pd.DataFrame) -> str:
    """The cells in which a rival does better."""
    parts = []
    for rival, name in (("single", "one expert"), ("average", "the average of K experts")):
        worse_nll = cells["mixture_nll"] >= cells[f"{rival}_nll"]
        worse_loss = cells["mixture_loss"] > SLACK * cells[f"{rival}_loss"]
        parts += [
            f"Where the mixture loses to {name}, by NLL:",
            _names(cells[worse_nll], "mixture_nll", f"{rival}_nll"),
            f"Where the mixture loses to {name}, by RMSE or log-loss (over 2 %):",
            _names(cells[worse_loss], "mixture_loss", f"{rival}_loss"),
        ]
    return "\n".join(parts)


def _names(cells: pd.DataFrame, mine: str, theirs: str) -> str:
    lines = [
        f"  {row.table} {row.expert}: {getattr(row, mine):.4g} against {getattr(row, theirs):.4g}"
        for row in cells.itertuples()
    ]
    return "\n".join(lines) or "  nowhere"


def troubles(rows: pd.DataFrame) -> str:
    """Errors and warnings, with the cells that had them."""
    lines = [
        f"  {row.table} {row.expert} seed {row.seed}: {message}"
        for row in rows.itertuples()
        for message in (row.error, row.warnings)
        if isinstance(message, str)
    ]
    return "\n".join(["Errors and warnings:", *(lines or ["  none"])])


def every_cell(cells: pd.DataFrame) -> str:
    """The table of all cells."""
    shown = cells.set_index(CELL).rename(columns=COLUMNS)
    return shown.to_string(float_format=lambda value: f"{value:.4g}", sparsify=False)


def summary(cells: pd.DataFrame, rows: pd.DataFrame) -> str:
    """The shares of cells that went well, and how far the mixture's claims are from the truth."""
    groups = [("all", cells, rows)] + [
        (expert, part, rows[rows["expert"] == expert])
        for expert, part in cells.groupby("expert", sort=False)
    ]
    table = pd.DataFrame({name: figures(part, splits) for name, part, splits in groups})
    return "Summary:\n" + table.to_string(float_format=lambda value: f"{value:.3g}")


def figures(cells: pd.DataFrame, rows: pd.DataFrame) -> dict[str, float]:
    """The figures of the summary for some cells and the splits (one row each) behind them."""
    done = rows[rows["error"].isna()]
    bound, heldout = (done["mixture_nll"] - done[name] for name in ("bound", "heldout"))
    error = done["gain"] - done["true_gain"]
    spread = (done["gain_stderr"] ** 2 + done["true_gain_stderr"] ** 2) ** 0.5
    claimed = done["gain"] > 2 * done["gain_stderr"]
    return {
        "cells": len(cells),
        "NLL better than one expert": (cells["mixture_nll"] < cells["single_nll"]).mean(),
        "NLL better than the average": (cells["mixture_nll"] < cells["average_nll"]).mean(),
        "loss within 2 % of one expert": _within(cells, "single"),
        "loss within 2 % of the average": _within(cells, "average"),
        "median |test NLL - bound|": bound.abs().median(),
        "median (test NLL - bound)": bound.median(),
        "median |test NLL - held-out NLL|": heldout.abs().median(),
        "median (test NLL - held-out NLL)": heldout.median(),
        "splits whose gain_ is within 2 standard errors": (error.abs() <= 2 * spread).mean(),
        "splits that claim a gain (over 2 standard errors)": claimed.mean(),
        "of these, truly better": (done.loc[claimed, "true_gain"] > 0).mean(),
        "median seconds": done["mixture_seconds"].median(),
        "median seconds over one expert's": (
            done["mixture_seconds"] / done["single_seconds"]
        ).median(),
    }


def _within(cells: pd.DataFrame, rival: str) -> float:
    return (cells["mixture_loss"] <= SLACK * cells[f"{rival}_loss"]).mean()
