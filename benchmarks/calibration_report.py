"""Report on the rows of `calibration`: every model over the tables, who beats whom, and where.

A model made of experts counts once for each kind of expert. The seeds are averaged, coverage before
it is compared with what was asked for: intervals promise it on average over training and test rows.
Models are compared on the seeds that all have done.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.forecasters import MIXTURES

OURS = tuple(f"{kind}{name}" for name in MIXTURES for kind in ("", "conformal "))
JUDGED = {"coverage_50": 0.5, "coverage_80": 0.8, "coverage_95": 0.95}
FIGURES = {"coverage_error": "coverage error", "crps": "CRPS", "nll": "NLL"}
AVERAGED = [*JUDGED, *FIGURES, "crps_closed", "width_90", "seconds"]


def read(path: Path) -> pd.DataFrame:
    """The rows of a CSV file, each model named with its expert."""
    rows = pd.read_csv(path)
    label = rows["model"] + " " + rows["expert"].fillna("")
    return rows.assign(label=label.str.strip())


def text(rows: pd.DataFrame) -> str:
    """The whole report."""
    cells, alike = mean_over_seeds(rows), mean_over_seeds(common_seeds(rows))
    parts = [f"Commits: {', '.join(map(str, rows['commit'].unique()))}"]
    parts += [troubles(rows), overview(cells, alike)]
    if ours_in(cells):
        parts += [misses(cells), *(wins(alike, figure) for figure in FIGURES), losses(alike)]
    return "\n\n".join(["", *parts])


def common_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the seeds that all models of their table have done."""
    done = rows[rows["error"].isna()]
    on_table = done.groupby("table")["label"].transform("nunique")
    return done[done.groupby(["table", "seed"])["label"].transform("nunique") == on_table]


def mean_over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each table and label; cells that failed are left out.

    `coverage_error` becomes that of the mean coverage; `split_error` is the mean over the seeds.
    """
    groups = rows[rows["error"].isna()].groupby(["table", "label", "model"], sort=False)
    cells = groups[AVERAGED].mean().assign(n_test=groups["n_test"].sum(), seeds=groups.size())
    missed = 100 * (cells[list(JUDGED)] - list(JUDGED.values())).abs().mean(axis=1)
    return cells.assign(split_error=cells["coverage_error"], coverage_error=missed).reset_index()


def wide(cells: pd.DataFrame, figure: str) -> pd.DataFrame:
    """A figure, table by label."""
    labels, tables = cells["label"].unique(), cells["table"].unique()
    return cells.pivot(index="table", columns="label", values=figure).loc[tables, labels]


def distinct(cells: pd.DataFrame, figure: str) -> pd.DataFrame:
    """A figure, table by label, of the models that have it.

    Conformal mixtures are left out of all but coverage: their density is that of the mixture.
    """
    if figure != "coverage_error":
        cells = cells[~cells["model"].str.startswith("conformal")]
    return wide(cells, figure).dropna(axis=1, how="all")


def ranks(cells: pd.DataFrame, figure: str) -> pd.Series:
    """Mean rank (1 is best) over the tables where every model has the figure."""
    return distinct(cells, figure).dropna().rank(axis=1).mean()


def overview(cells: pd.DataFrame, alike: pd.DataFrame) -> str:
    """Means over the tables, for each model; ranks on the seeds that all have done."""
    groups = cells.groupby("label", sort=False)
    table = pd.DataFrame(
        {
            "tables": groups.size(),
            "seeds": groups["seeds"].mean(),
            "error": groups["coverage_error"].mean(),
            "by chance": groups["n_test"].apply(chance),
            "worst": groups["coverage_error"].max(),
            "one split": groups["split_error"].mean(),
            **{f"at {100 * c:.0f}": 100 * groups[name].mean() for name, c in JUDGED.items()},
            "width 90": groups["width_90"].mean(),
            "CRPS": groups["crps"].mean(),
            "rank CRPS": ranks(alike, "crps"),
            "NLL": groups["nll"].mean(),
            "rank NLL": ranks(alike, "nll"),
            "seconds": groups["seconds"].mean(),
        }
    ).loc[cells["label"].unique()]
    return (
        "Means over the tables. Error: of the coverage over all seeds of the model, in points; by "
        "chance: what true intervals would have.\n" + table.to_string(float_format="{:.3g}".format)
    )


def chance(n_test: pd.Series) -> float:
    """Mean coverage error, in points, of true intervals on as many test rows."""
    levels = np.array(list(JUDGED.values()))
    stderr = np.sqrt(levels * (1 - levels) / n_test.to_numpy()[:, None])
    return 100 * float(np.mean(np.sqrt(2 / np.pi) * stderr))


def ours_in(cells: pd.DataFrame) -> list[str]:
    """Labels of the mixtures."""
    return list(cells.loc[cells["model"].isin(OURS), "label"].unique())


def wins(cells: pd.DataFrame, figure: str) -> str:
    """Tables on which each mixture has the smaller figure than each rival, of those with both."""
    values = distinct(cells, figure)
    ours = [label for label in ours_in(cells) if label in values]
    rivals = [label for label in values if label not in ours]
    table = {mine: [_wins(values[mine], values[rival]) for rival in rivals] for mine in ours}
    title = f"Tables on which the mixture (column) beats the rival (row) by {FIGURES[figure]}:\n"
    return title + pd.DataFrame(table, index=rivals).to_string()


def _wins(mine: pd.Series, theirs: pd.Series) -> str:
    both = mine.notna() & theirs.notna()
    return f"{(mine < theirs)[both].sum()}/{both.sum()}"


def losses(cells: pd.DataFrame) -> str:
    """Where the default mixture is not the best, by CRPS and NLL: the tables, and by how much."""
    mine = cells["model"] == "mixture"
    ours, rivals = cells.loc[mine, "label"].unique(), cells.loc[~cells["model"].isin(OURS)]
    lines = [
        line
        for figure in ("crps", "nll")
        for label in ours
        for line in _losses(wide(cells, figure)[label], wide(rivals, figure), figure)
    ]
    return "\n".join(["Where a rival beats the mixture:", *lines])


def _losses(mine: pd.Series, rivals: pd.DataFrame, figure: str) -> list[str]:
    if rivals.empty:
        return []
    best, name = rivals.min(axis=1).reindex(mine.index), rivals.fillna(np.inf).idxmin(axis=1)
    lost = [
        f"    {table}: {mine[table]:.4g} against {best[table]:.4g} ({name[table]})"
        for table in mine.index[mine > best]
    ]
    return [f"  {mine.name} by {FIGURES[figure]}, {len(lost)} of {mine.notna().sum()}:", *lost]


def misses(cells: pd.DataFrame) -> str:
    """Coverage of the mixtures less what was asked for, in points, table by table."""
    parts = [f"Coverage less what was asked for, in points, at {', '.join(_percents())} %:"]
    table = pd.DataFrame({label: _misses(cells, label) for label in ours_in(cells)})
    return "\n".join([*parts, table.to_string()])


def _percents() -> list[str]:
    return [f"{100 * level:.0f}" for level in JUDGED.values()]


def _misses(cells: pd.DataFrame, label: str) -> pd.Series:
    part = cells[cells["label"] == label].set_index("table")
    missed = 100 * (part[list(JUDGED)] - list(JUDGED.values()))
    return missed.apply(lambda row: " ".join(f"{value:+5.1f}" for value in row), axis=1)


def troubles(rows: pd.DataFrame) -> str:
    """Errors and warnings, with how many cells of each model had them."""
    found = [
        (row.label, str(message)[:160])
        for row in rows.itertuples()
        for message in (row.error, row.warnings)
        if isinstance(message, str)
    ]
    counts = pd.Series(found, dtype=object).value_counts()
    lines = [f"  {label} ({count}): {message}" for (label, message), count in counts.items()]
    return "\n".join(["Errors and warnings:", *(lines or ["  none"])])
