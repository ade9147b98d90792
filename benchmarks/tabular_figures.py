"""Pictures of the command `tabular`: performance against cost, wins, calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.tabular_models import OURS
from benchmarks.tabular_scores import COVERAGES

SPLIT = ["suite", "table", "max_train", "split"]
INCHES_OF_A_NAME = 0.2
DASHES = ("-", "--", ":", "-.")


def draw_all(rows: pd.DataFrame, output: Path) -> None:
    """One picture for each suite and kind, beside `output`; none without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("No pictures: matplotlib is not installed")
        return
    for suite, part in rows[rows["error"].isna()].groupby("suite", sort=False):
        for name, draw in (("cost", cost), ("wins", wins), ("calibration", calibration)):
            figure = Figure(figsize=size(name, part["model"].nunique()), layout="constrained")
            if draw(part, figure.add_subplot()):
                figure.savefig(output.with_name(f"{output.stem}_{suite}_{name}.png"), dpi=120)


def size(name: str, n_models: int) -> tuple[float, float]:
    """Inches of a picture in which as many models can be told apart."""
    side = max(5.0, INCHES_OF_A_NAME * n_models)
    return {"cost": (10.0, 7.0), "wins": (side + 2.5, side + 1.5)}.get(name, (8.0, side))


def win_shares(loss: pd.DataFrame) -> pd.DataFrame:
    """Share of splits on which the model of the row has a lower loss than that of the column."""
    values = loss.to_numpy()
    mine, theirs = values[:, :, None], values[:, None, :]
    both = ~np.isnan(mine) & ~np.isnan(theirs)
    won = np.where(both, (mine < theirs) + 0.5 * (mine == theirs), 0.0).sum(axis=0)
    n_splits = both.sum(axis=0).astype(float)
    np.fill_diagonal(n_splits, 0.0)
    share = np.divide(won, n_splits, out=np.full(won.shape, np.nan), where=n_splits > 0)
    return pd.DataFrame(share, loss.columns, loss.columns)


def relative(rows: pd.DataFrame) -> pd.DataFrame:
    """Loss of each model over the best loss on its split (geometric mean), and median seconds.

    On the splits that all have done but models that lack more than a quarter of the usual ones.
    """
    loss = rows.pivot_table("loss", SPLIT, "model")
    loss = loss[loss.notna().mean(axis=1) >= 0.5]
    loss = loss.loc[:, loss.notna().mean() > 0.75].dropna()
    log_ratio = np.log(loss.div(loss.min(axis=1), axis=0))
    seconds = rows.pivot_table("fit_seconds", SPLIT, "model").loc[loss.index, loss.columns].median()
    return pd.DataFrame({"ratio": np.exp(log_ratio.mean()), "seconds": seconds})


def cost(rows: pd.DataFrame, axes: Any) -> bool:
    """Loss against seconds, one point for each model."""
    points = relative(rows)
    absent = sorted(set(rows["model"]) - set(points.index))
    if absent:
        axes.set_title("Not on these splits: " + ", ".join(absent), fontsize="x-small", wrap=True)
    for name, point in points.iterrows():
        colour = "C3" if name in OURS else "C0"
        axes.plot(point["seconds"], point["ratio"], "o", color=colour)
        axes.annotate(name, (point["seconds"], point["ratio"]), (3, 3), textcoords="offset points")
    axes.margins(x=0.2)
    axes.set(xscale="log", xlabel="median seconds of a fit", ylabel="loss over the best on a split")
    return True


def wins(rows: pd.DataFrame, axes: Any) -> bool:
    """The matrix of wins, models in the order of their mean share."""
    share = win_shares(rows.pivot_table("loss", SPLIT, "model"))
    order = share.mean(axis=1).sort_values(ascending=False).index
    image = axes.imshow(share.loc[order, order], cmap="RdBu", vmin=0, vmax=1)
    axes.set_xticks(range(len(order)), order, rotation=90)
    axes.set_yticks(range(len(order)), order)
    axes.figure.colorbar(image, label="share of splits won by the row")
    return True


def calibration(rows: pd.DataFrame, axes: Any) -> bool:
    """Coverage of intervals against what they promise; nothing to draw for labels."""
    names = [f"coverage_{100 * coverage:.0f}" for coverage in COVERAGES]
    found = rows.groupby("model", sort=False)[names].mean().dropna()
    if found.empty:
        return False
    for number, (name, shares) in enumerate(found.iterrows()):
        width, dashes = (2 if name in OURS else 0.8), DASHES[number // 10 % len(DASHES)]
        axes.plot(COVERAGES, shares, dashes, marker="o", markersize=3, linewidth=width, label=name)
    axes.plot(COVERAGES, COVERAGES, "k", linewidth=0.5)
    axes.set(xlabel="coverage promised", ylabel="mean share of test rows covered")
    axes.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return True
