"""The honest first look: does a mixture beat one expert, and does it know whether it does?

For each cell (table, expert, seed) three models are fitted to the same training rows and scored on
the same test rows: one expert, the average of K bootstrapped experts, the mixture of K experts.
The loss is the RMSE, or the log-loss of the predicted probabilities, no probability below 1e-6.
The NLL is the mean negative log density of the test targets. For the two rivals it is made as the
mixture makes its own: Gaussian noise of the variance of 5-fold out-of-fold residuals of the
training rows; for classes, probabilities moved toward the class rates by the share under which
the out-of-fold probabilities of the training rows are most likely.

The mixture's own claims stand beside the truth: its cross-fitted bound (`-lower_bound_`) and its
held-out NLL (`-heldout_log_prob_`, if there is one) beside its test NLL, and `gain_` with
`gain_stderr_` beside the test NLL of the expert less that of the mixture.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.optimize import minimize_scalar
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict

from benchmarks import report
from benchmarks.data import Table, check_tables, load
from benchmarks.models import EXPERTS, N_EXPERTS, Average, mixture, seeded
from benchmarks.options import add_output, add_tables, command, positive
from benchmarks.records import Progress, append_row, commit, keys_in, machine_facts, write_facts

TABLES = [
    *("concrete", "energy", "california_housing", "kings_county", "bike_sharing", "medical_cost"),
    *("adult", "electricity", "phoneme", "telco_churn", "splice", "optdigits"),
]
CLIP = 1e-6
N_FOLDS = 5
RIVAL_COLUMNS = ("loss", "nll", "seconds")
IDENTITY = ("table", "expert", "n_experts", "seed", "max_rows", "max_iter")
COLUMNS = (
    *("commit", *IDENTITY, "task", "n_train", "n_test"),
    *(f"single_{name}" for name in RIVAL_COLUMNS),
    "single_nll_raw",
    *(f"average_{name}" for name in RIVAL_COLUMNS),
    *(f"mixture_{name}" for name in RIVAL_COLUMNS),
    *("bound", "heldout", "gain", "gain_stderr", "true_gain", "true_gain_stderr"),
    *("n_iter", "converged", "start", "n_experts_left", "warnings", "error"),
)


@dataclass(frozen=True)
class Cell:
    """One comparison: the expert `expert`, K times, on one split of a table."""

    table: str
    expert: str
    seed: int
    n_experts: int
    max_rows: int
    max_iter: int
    data: str | None


@dataclass(frozen=True)
class Score:
    """How a fitted model does on the test rows; `log_prob` (n,) is kept by row."""

    loss: float
    log_prob: np.ndarray
    seconds: float

    @property
    def nll(self) -> float:
        return -float(self.log_prob.mean())

    def columns(self, model: str) -> dict[str, float]:
        """The figures under the column names of `model`."""
        return {f"{model}_{name}": getattr(self, name) for name in RIVAL_COLUMNS}


def class_codes(classes: np.ndarray, y: pd.Series) -> np.ndarray:
    """Position of each label in the sorted `classes`."""
    return np.searchsorted(classes, y.to_numpy())


def of_label(proba: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Probability (n,) that each row gives its own label."""
    return proba[np.arange(len(codes)), codes]


def loss_of(model: Any, test: Table) -> float:
    """RMSE, or the log-loss with no probability below `CLIP`."""
    if test.task == "regression":
        return float(np.sqrt(np.mean((test.y - model.predict(test.X)) ** 2)))
    own = of_label(model.predict_proba(test.X), class_codes(model.classes_, test.y))
    return -float(np.log(np.maximum(own, CLIP)).mean())


def out_of_fold(model: Any, train: Table, seed: int) -> np.ndarray:
    """What clones of `model` say of the training rows that they have not seen."""
    is_regression = train.task == "regression"
    folds = (KFold if is_regression else StratifiedKFold)(N_FOLDS, shuffle=True, random_state=seed)
    method = "predict" if is_regression else "predict_proba"
    return cross_val_predict(model, train.X, train.y, cv=folds, method=method)


def gaussian_log_prob(residual: np.ndarray, variance: float) -> np.ndarray:
    """Log density (n,) of the residuals under Gaussian noise."""
    return -0.5 * (residual**2 / variance + np.log(2 * np.pi * variance))


def smoothing_share(own: np.ndarray, prior: np.ndarray) -> float:
    """Share moved from the probabilities `own` (n,) to `prior` (n,) that makes labels likeliest."""

    def nll(share: float) -> float:
        return -float(np.log((1 - share) * own + share * prior).mean())

    return float(minimize_scalar(nll, bounds=(1e-9, 1.0), method="bounded").x)


def calibrated_log_prob(model: Any, train: Table, test: Table, seed: int) -> np.ndarray:
    """Test log density (n,) of a fitted rival, its noise taken from out-of-fold training rows."""
    held_out = out_of_fold(model, train, seed)
    if train.task == "regression":
        variance = float(np.mean((train.y - held_out) ** 2))
        return gaussian_log_prob(test.y.to_numpy() - model.predict(test.X), variance)
    seen, codes = (class_codes(model.classes_, part.y) for part in (train, test))
    prior = np.bincount(seen) / len(seen)
    share = smoothing_share(of_label(held_out, seen), prior[seen])
    own = of_label(model.predict_proba(test.X), codes)
    return np.log((1 - share) * own + share * prior[codes])


def score_rival(model: Any, train: Table, test: Table, seed: int) -> Score:
    """Fit and score one expert, or an average of experts; only the fit is timed."""
    begun = perf_counter()
    model.fit(train.X, train.y)
    seconds = perf_counter() - begun
    return Score(loss_of(model, test), calibrated_log_prob(model, train, test, seed), seconds)


def score_mixture(model: Any, train: Table, test: Table) -> Score:
    """Fit and score the mixture, which has a density of its own; only the fit is timed."""
    begun = perf_counter()
    model.fit(train.X, train.y)
    seconds = perf_counter() - begun
    return Score(loss_of(model, test), model.log_prob(test.X, test.y), seconds)


def raw_nll(model: Any, score: Score, test: Table) -> float:
    """NLL of a fitted expert's own probabilities, unclipped but for the float's last digit."""
    if test.task == "regression":
        return score.nll
    own = of_label(model.predict_proba(test.X), class_codes(model.classes_, test.y))
    return -float(np.log(np.maximum(own, np.finfo(float).eps)).mean())


def claims(model: Any) -> dict[str, Any]:
    """What a fitted mixture says of itself."""
    heldout = getattr(model, "heldout_log_prob_", None)
    return {
        "bound": -model.lower_bound_,
        "heldout": np.nan if heldout is None else -float(np.mean(heldout)),
        "gain": model.gain_,
        "gain_stderr": model.gain_stderr_,
        "n_iter": model.n_iter_,
        "converged": model.converged_,
        "start": max(model.start_bounds_, key=model.start_bounds_.get),
        "n_experts_left": model.n_experts_,
    }


def truth(single: Score, mixed: Score) -> dict[str, float]:
    """What the mixture really gained on the test rows, and the standard error of that."""
    difference = mixed.log_prob - single.log_prob
    stderr = difference.std(ddof=1) / np.sqrt(len(difference))
    return {"true_gain": float(difference.mean()), "true_gain_stderr": float(stderr)}


def compare(cell: Cell) -> dict[str, Any]:
    """Fit and score the three models of a cell."""
    table = load(cell.table, cell.data).capped(cell.max_rows)
    train, test = table.split(cell.seed)
    expert = seeded(EXPERTS[cell.expert](table.task), cell.seed)
    single = score_rival(expert, train, test, cell.seed)
    average = Average(expert, cell.n_experts, cell.seed)
    averaged = score_rival(average, train, test, cell.seed)
    template = EXPERTS[cell.expert](table.task)
    model = mixture(table.task, template, cell.n_experts, cell.seed)
    model.set_params(max_iter=cell.max_iter)
    mixed = score_mixture(model, train, test)
    return {
        **{"task": table.task, "n_train": len(train.y), "n_test": len(test.y)},
        **single.columns("single"),
        "single_nll_raw": raw_nll(expert, single, test),
        **averaged.columns("average"),
        **mixed.columns("mixture"),
        **claims(model),
        **truth(single, mixed),
    }


def run_cell(cell: Cell, code: str) -> dict[str, Any]:
    """The row of a cell: its figures, the warnings it raised, the error that ended it."""
    identity = {name: getattr(cell, name) for name in IDENTITY}
    row = dict.fromkeys(COLUMNS, "") | identity | {"commit": code}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            row |= compare(cell)
        except Exception as error:
            row["error"] = one_text(error)
    row["warnings"] = "; ".join(sorted({one_line(entry) for entry in caught}))
    return row


def one_line(entry: warnings.WarningMessage) -> str:
    """Kind and beginning of a warning."""
    return f"{entry.category.__name__}: {' '.join(str(entry.message).split())[:80]}"


def one_text(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def describe(row: dict[str, Any]) -> str:
    """A finished cell in one line."""
    name = f"{row['table']} {row['expert']} seed {row['seed']}"
    if row["error"]:
        return f"{name}: {row['error'][:200]}"
    return (
        f"{name}: NLL {row['single_nll']:.4f} -> {row['mixture_nll']:.4f} "
        f"(bound {row['bound']:.4f}, held out {row['heldout']:.4f}), "
        f"loss {row['single_loss']:.4g} -> {row['mixture_loss']:.4g}, "
        f"{row['n_iter']} iterations, {row['mixture_seconds']:.1f} s"
    )


def run_cells(cells: Sequence[Cell], jobs: int) -> Iterator[dict[str, Any]]:
    """Rows of the cells, as they finish."""
    work = partial(run_cell, code=commit())
    yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(work)(cell) for cell in cells
    )


def make_cells(options: argparse.Namespace) -> list[Cell]:
    """The cells that the options ask for and the output file does not hold.

    Split by split, cheap experts first.
    """
    chosen = sorted(options.experts, key=list(EXPERTS).index)
    done = keys_in(options.output, IDENTITY)
    cells = [
        Cell(
            table=table,
            expert=expert,
            seed=seed,
            n_experts=options.n_experts or N_EXPERTS[expert],
            max_rows=options.max_rows,
            max_iter=options.max_iter,
            data=options.data,
        )
        for seed, expert, table in product(range(options.seeds), chosen, options.tables)
    ]
    return [c for c in cells if tuple(str(getattr(c, name)) for name in IDENTITY) not in done]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Options of the command."""
    parser = command("first_look", __doc__)
    add = parser.add_argument
    add_tables(parser, TABLES)
    add("--experts", nargs="+", default=list(EXPERTS), choices=list(EXPERTS))
    add("--seeds", type=positive, default=2, help="number of splits")
    add("--max-rows", type=positive, default=4000, help="rows drawn from a larger table")
    add("--n-experts", type=positive, help="K; 4 by default, 2 for boosting")
    add("--max-iter", type=positive, default=100, help="EM iterations of the mixture, at most")
    add("--jobs", type=positive, default=1, help="cells at a time")
    add_output(parser, "first_look")
    options = parser.parse_args(argv)
    check_tables(options.tables, options.data)
    return options


def main(argv: Sequence[str]) -> int:
    """Run the cells, write each row as it finishes, report on all rows of the file."""
    options = parse(argv)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_facts(options.output, machine_facts(vars(options)))
    cells = make_cells(options)
    progress = Progress(len(cells))
    for row in run_cells(cells, options.jobs):
        append_row(options.output, row)
        progress.tell(describe(row))
    print(report.text(pd.read_csv(options.output)))
    return 0
