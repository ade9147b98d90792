"""Which starts to race: every kind of start, alone, on real tables with three kinds of experts.

For each table and expert each kind is run alone. Shown are the mean rank of its test NLL, how often
it is best, and the regret (test NLL above that of the best kind, in nats). Then portfolios of the
kinds are raced as the estimators do it: the kind with the highest bound after three iterations is
taken, and its regret is counted. The single kinds were run to the end, so a race costs no new fit.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from benchmarks.data import check_tables, load
from benchmarks.options import add_output, add_tables, command, positive
from benchmarks.records import append_row, commit, keys_in, machine_facts, write_facts
from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from sklearn_moe.starts import STARTS

TABLES = [
    "california_housing", "bike_sharing", "concrete", "kin8nm", "medical_cost", "phoneme",
    "electricity", "vehicle",
]  # fmt: skip

IDENTITY = ("table", "rows", "n_experts")
CELL = [*IDENTITY, "expert"]


def experts(is_classifier: bool) -> dict[str, Any]:
    """Linear, tree and boosting experts."""
    if is_classifier:
        logistic = LogisticRegression(max_iter=200)
        return {
            "linear": make_pipeline(StandardScaler(), logistic),
            "tree": DecisionTreeClassifier(max_depth=6, min_samples_leaf=5),
            "boosting": HistGradientBoostingClassifier(max_iter=20, max_bins=31),
        }
    return {
        "linear": make_pipeline(StandardScaler(), Ridge()),
        "tree": DecisionTreeRegressor(max_depth=6, min_samples_leaf=5),
        "boosting": HistGradientBoostingRegressor(max_iter=20, max_bins=31),
    }


def numeric_part(name: str, data: str | None, rows: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """A seeded sample of a table's complete numeric columns, its target, whether it has classes."""
    table = load(name, data).capped(2 * rows)
    X = table.X.select_dtypes("number")
    X = X.fillna(X.median()).to_numpy(float)
    picked = np.random.default_rng(0).permutation(len(X))
    return X[picked], table.y.to_numpy()[picked], table.task == "classification"


def run(name: str, data: str | None, rows: int, n_experts: int) -> list[dict[str, Any]]:
    """All kinds of starts for all experts on one table; half of the sample is the test part."""
    X, y, is_classifier = numeric_part(name, data, rows)
    half = len(X) // 2
    mixture = MixtureOfExpertsClassifier if is_classifier else MixtureOfExpertsRegressor
    records, identity = [], {"table": name, "rows": rows, "n_experts": n_experts}
    for (label, expert), kind in itertools.product(experts(is_classifier).items(), STARTS):
        model = mixture(expert, n_experts, init=kind, n_init=1, random_state=0)
        model.fit(X[:half], y[:half])
        nll = -model.log_prob(X[half:], y[half:]).mean()
        bounds = {"race": model.start_bounds_[kind], "bound": model.lower_bound_}
        records.append(identity | {"expert": label, "start": kind, "nll": nll, **bounds})
    return records


def portfolio_regret(results: pd.DataFrame, kinds: tuple[str, ...]) -> pd.Series:
    """Mean regret by expert if `kinds` are raced."""
    raced = results[results["start"].isin(kinds)]
    winners = raced.loc[raced.groupby(CELL)["race"].idxmax()]
    return winners.groupby("expert")["regret"].mean()


def report(results: pd.DataFrame, largest: int = 4) -> None:
    """Print the table of single kinds and the best portfolios of each size."""
    cells = results.groupby(CELL)
    results["regret"] = results["nll"] - cells["nll"].transform("min")
    results["rank"] = cells["nll"].rank()
    single = results.groupby(["expert", "start"]).agg(
        rank=("rank", "mean"), best=("rank", lambda r: (r == 1).mean()), regret=("regret", "mean")
    )
    print(single.round(3).to_string())
    for size in range(1, largest + 1):
        options = itertools.combinations(STARTS, size)
        scored = {kinds: portfolio_regret(results, kinds) for kinds in options}
        for kinds in sorted(scored, key=lambda k: scored[k].mean())[:4]:
            parts = ", ".join(f"{name} {value:.3f}" for name, value in scored[kinds].items())
            print(f"{scored[kinds].mean():.4f}  {' + '.join(kinds)}  ({parts})")


def main(argv: list[str] | None = None) -> int:
    """Run the starts on tables that the output file does not hold; report on all of its rows."""
    parser = command("starts", __doc__)
    add_tables(parser, TABLES)
    parser.add_argument("--rows", type=positive, default=800, help="rows to train on")
    parser.add_argument("--n-experts", type=positive, default=3)
    add_output(parser, "starts")
    options = parser.parse_args(argv)
    check_tables(options.tables, options.data)
    warnings.simplefilter("ignore", ConvergenceWarning)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_facts(options.output, machine_facts(vars(options)))
    done, code = keys_in(options.output, IDENTITY), commit()
    for name in options.tables:
        if (name, str(options.rows), str(options.n_experts)) not in done:
            for record in run(name, options.data, options.rows, options.n_experts):
                append_row(options.output, {"commit": code} | record)
            print(f"{name} done", flush=True)
    report(pd.read_csv(options.output))
    return 0
