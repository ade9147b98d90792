"""What sparse routing costs as the number of experts grows: two experts act on a row.

Parts, each with tree, forest and network experts, 8 to 128 of them:

- `fit`: seconds of an in-sample EM iteration (a long run less a short one), sparse and, for few
  experts, dense;
- `bare`: seconds of as many fits of the expert without us, each to its share of the rows;
- `predict`: seconds to predict 100,000 rows, sparse and dense, over those of one expert of the same
  kind that was fitted to all rows and predicts them all; `gate`: those to find who acts on them.

The figure has both curves.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.tree import DecisionTreeRegressor

from benchmarks.options import add_output, command, picture, positive
from benchmarks.records import append_row, commit, machine_facts, write_facts
from benchmarks.timing import median_seconds
from sklearn_moe import MixtureOfExpertsRegressor

EXPERTS = {
    "tree": DecisionTreeRegressor(min_samples_leaf=5),
    "forest": RandomForestRegressor(20, min_samples_leaf=5, max_features=0.3),
    "network": MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=6, n_iter_no_change=100),
}
N_EXPERTS = [8, 16, 32, 64, 128]
MOST_DENSE = 8
TOP_K, N_FEATURES = 2, 10
SHORT, LONG = 2, 5


def simulate(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A smooth surface with folds in it: something for many experts to do."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, N_FEATURES))
    y = np.sin(3 * X[:, 0]) * X[:, 1] + X[:, 2] * np.sign(X[:, 3]) + np.abs(X[:, 4])
    return X, y + 0.1 * rng.standard_normal(n)


def mixture(kind: str, n_experts: int, top_k: int | None, max_iter: int) -> Any:
    """The mixture, of which all iterations are run."""
    return MixtureOfExpertsRegressor(
        clone(EXPERTS[kind]), n_experts, top_k=top_k, cv=None, init="kmeans_x", n_init=1,
        verdict=False, max_iter=max_iter, tol=0.0, random_state=0,
    )  # fmt: skip


def fits(kind: str, n_experts: int, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Seconds of an iteration, sparse and dense."""
    X, y = simulate(options.rows)
    for top_k in (TOP_K, None):
        if top_k is None and n_experts > MOST_DENSE:
            continue
        runs = {
            str(length): lambda length=length, k=top_k: mixture(kind, n_experts, k, length).fit(
                X, y
            )
            for length in (SHORT, LONG)
        }
        seconds = median_seconds(runs, options.repeats)
        per_iteration = (seconds[str(LONG)] - seconds[str(SHORT)]) / (LONG - SHORT)
        yield row("fit", kind, n_experts, top_k, per_iteration, np.nan)
    seconds = median_seconds({"bare": lambda: bare_fits(kind, n_experts, X, y)}, options.repeats)
    yield row("bare", kind, n_experts, TOP_K, seconds["bare"], np.nan)


def bare_fits(kind: str, n_experts: int, X: np.ndarray, y: np.ndarray) -> None:
    """Fit the expert to as many rows as `n_experts` would have of which two act on a row."""
    size = TOP_K * len(y) // n_experts
    for first in np.linspace(0, len(y) - size, n_experts, dtype=int):
        clone(EXPERTS[kind]).fit(X[first : first + size], y[first : first + size])


def predictions(kind: str, n_experts: int, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Seconds of a prediction, sparse, dense and by one expert."""
    X, y = simulate(options.rows)
    new = simulate(100_000, seed=1)[0]
    sparse = mixture(kind, n_experts, TOP_K, SHORT).fit(X, y)
    dense, one = sparse.with_top_k(None), clone(EXPERTS[kind]).fit(X, y)
    runs = {
        "one": lambda: one.predict(new),
        "sparse": lambda: sparse.predict(new),
        "dense": lambda: dense.predict(new),
        "gate": lambda: sparse._routing_at(new),
    }
    seconds = median_seconds(runs, options.repeats)
    for what, top_k in (("sparse", TOP_K), ("dense", None), ("gate", TOP_K)):
        part = "gate" if what == "gate" else "predict"
        yield row(part, kind, n_experts, top_k, seconds[what], seconds[what] / seconds["one"])


def row(
    part: str, kind: str, n_experts: int, top_k: int | None, seconds: float, ratio: float
) -> dict[str, Any]:
    """One figure; the ratio is to one expert."""
    return {
        "commit": commit(),
        "part": part,
        "expert": kind,
        "n_experts": n_experts,
        "top_k": top_k or "all",
        "seconds": round(seconds, 5),
        "ratio": round(ratio, 3),
    }


def cells(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All figures."""
    for kind in options.experts:
        for n_experts in options.n_experts:
            yield from fits(kind, n_experts, options)
            yield from predictions(kind, n_experts, options)


def summary(rows: list[dict[str, Any]]) -> str:
    """A table for each part: experts down, their number across."""
    lines = []
    for part, top_k, figure in (
        ("fit", TOP_K, "seconds"), ("bare", TOP_K, "seconds"), ("fit", "all", "seconds"),
        ("predict", TOP_K, "ratio"), ("predict", "all", "ratio"), ("gate", TOP_K, "ratio"),
    ):  # fmt: skip
        mine = [r for r in rows if (r["part"], r["top_k"]) == (part, top_k)]
        lines.append(f"{part}, {top_k} act: {figure}")
        for kind in dict.fromkeys(r["expert"] for r in mine):
            found = [f"{r['n_experts']}: {r[figure]:.3g}" for r in mine if r["expert"] == kind]
            lines.append(f"  {kind:8} " + "   ".join(found))
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]], figure: Path) -> None:
    """Both curves for each kind of expert; needs matplotlib."""
    import matplotlib.pyplot as plt

    canvas, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for axis, part, value, title in zip(
        axes, ("fit", "predict"), ("seconds", "ratio"),
        ("seconds of an EM iteration", "prediction, in times of one expert's"), strict=True,
    ):  # fmt: skip
        for color, kind in enumerate(EXPERTS):
            for top_k, style in ((TOP_K, "o-"), ("all", "x:")):
                mine = [
                    r for r in rows
                    if (r["part"], r["expert"], r["top_k"]) == (part, kind, top_k)
                ]  # fmt: skip
                x, y = [r["n_experts"] for r in mine], [r[value] for r in mine]
                label = f"{kind}, {top_k} act"
                axis.loglog(x, y, style, color=f"C{color}", label=label if part == "fit" else None)
        axis.set_title(title)
        axis.set_xlabel("number of experts")
        axis.set_xticks(N_EXPERTS, [str(k) for k in N_EXPERTS])
        axis.tick_params(which="minor", labelbottom=False)
    axes[0].legend(fontsize="small")
    axes[1].axhline(3, color="0.7", lw=0.8)
    canvas.savefig(figure, dpi=110)


def main(argv: list[str] | None = None) -> None:
    """Measure, print, draw and keep."""
    parser = command("sparse", __doc__)
    add = parser.add_argument
    add("--experts", nargs="+", default=list(EXPERTS), choices=list(EXPERTS))
    add("--n-experts", nargs="+", type=positive, default=N_EXPERTS, metavar="K")
    add("--rows", type=positive, default=20_000, help="rows of the fits")
    add("--repeats", type=positive, default=3, help="runs, of which the median is shown")
    add_output(parser, "sparse")
    add("--figure", type=picture, help="where to draw the curves")
    options = parser.parse_args(argv)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    write_facts(options.output, machine_facts(vars(options)))
    begun, rows = perf_counter(), []
    for found in cells(options):
        append_row(options.output, found)
        print(*(f"{key} {value}" for key, value in found.items() if key != "commit"), flush=True)
        rows.append(found)
    print(summary(rows), f"\n{perf_counter() - begun:.0f} s in all")
    if options.figure:
        draw(rows, options.figure)
