"""How often the verdict is wrong: `gain_` on simulated tables without regimes.

Each table follows one law that one expert can learn: linear for ridge, a few steps for a tree, a
smooth additive surface for boosting; a target of two classes follows it in its log-odds. Noise is
normal, or has the heavy tails of Student's t with three degrees of freedom. "The gate helps" is
said when `gain_` exceeds two standard errors. It is said wrongly when the fitted mixture is in
truth no better than one expert, as judged by the mean log density of 20,000 fresh rows. Also shown:
the mean gain by the verdict, by the bound of the fit itself (which the verdict corrects), and in
truth.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from benchmarks.options import add_output, command, positive
from benchmarks.records import append_row, commit, machine_facts, write_facts
from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

N_TEST = 20_000


def linear(X: np.ndarray) -> np.ndarray:
    """A plane."""
    return X @ np.linspace(1.0, -1.0, X.shape[1])


def steps(X: np.ndarray) -> np.ndarray:
    """Six boxes."""
    return 2.0 * (X[:, 0] > 0) + (X[:, 1] > 0.5) - 1.5 * (X[:, 2] > -0.3) * (X[:, 0] > 0)


def smooth(X: np.ndarray) -> np.ndarray:
    """A smooth additive surface."""
    return np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] ** 2 + X[:, 2]


def flat(X: np.ndarray) -> np.ndarray:
    """Nothing but noise."""
    return np.zeros(len(X))


CASES: dict[str, tuple[Callable, Any]] = {
    "ridge": (linear, Ridge()),
    "tree": (steps, DecisionTreeRegressor(max_depth=6, min_samples_leaf=5)),
    "boosting": (smooth, HistGradientBoostingRegressor(max_iter=30, max_bins=31)),
    "ridge_tails": (linear, Ridge()),
    "boosting_tails": (smooth, HistGradientBoostingRegressor(max_iter=30, max_bins=31)),
    "ridge_noise": (flat, Ridge()),
    "tree_noise": (flat, DecisionTreeRegressor(max_depth=6)),
    "logistic": (linear, LogisticRegression()),
    "tree_classes": (steps, DecisionTreeClassifier(max_depth=6, min_samples_leaf=5)),
    "boosting_classes": (smooth, HistGradientBoostingClassifier(max_iter=30, max_bins=31)),
}


def simulate(case: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of five standard normal features; a target with noise, or of two classes."""
    rng = np.random.default_rng(seed)
    X, (law, expert) = rng.standard_normal((n, 5)), CASES[case]
    if is_classifier(expert):
        return X, (law(X) + rng.logistic(size=n) > 0).astype(int)
    tails = case.endswith("_tails")
    return X, law(X) + (rng.standard_t(3, size=n) if tails else rng.standard_normal(n))


def trial(case: str, n: int, n_experts: int, seed: int) -> dict[str, Any]:
    """One table: the verdict and the truth."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", "One expert explains", UserWarning)
    expert = CASES[case][1]
    kind = MixtureOfExpertsClassifier if is_classifier(expert) else MixtureOfExpertsRegressor
    X, y = simulate(case, n, seed)
    X_test, y_test = simulate(case, N_TEST, seed + 10**6)
    mixture = kind(expert, n_experts, random_state=seed).fit(X, y)
    single = kind(expert, 1, random_state=seed).fit(X, y)
    truth = (mixture.log_prob(X_test, y_test) - single.log_prob(X_test, y_test)).mean()
    return {
        "case": case,
        "seed": seed,
        "gain": mixture.gain_,
        "stderr": mixture.gain_stderr_,
        "bound_gain": mixture.lower_bound_ - single.lower_bound_,
        "truth": truth,
        "heldout": mixture.heldout_log_prob_,
        "test": mixture.log_prob(X_test, y_test).mean(),
    }


def summary(rows: list[dict[str, Any]]) -> str:
    """One line for the trials of a case."""
    gain, stderr, bound, truth = (
        np.array([row[name] for row in rows]) for name in ("gain", "stderr", "bound_gain", "truth")
    )
    said, naive = gain > 2 * stderr, bound > 2 * stderr
    wrong, naive_wrong = (said & (truth <= 0)).mean(), (naive & (truth <= 0)).mean()
    return (
        f"{rows[0]['case']:12s} n={len(rows)}  said {said.mean():.2f}, wrongly {wrong:.2f} (by the "
        f"bound alone {naive_wrong:.2f}); mean gain {gain.mean():+.4f}, by the bound "
        f"{bound.mean():+.4f}, true {truth.mean():+.4f}; mean stderr {stderr.mean():.4f}, "
        f"spread of gain - truth {(gain - truth).std():.4f}"
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the simulation and print one line for each case."""
    parser = command("verdict", __doc__)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--repeats", type=positive, default=100)
    parser.add_argument("--rows", type=positive, default=500)
    parser.add_argument("--n-experts", type=positive, default=2)
    add_output(parser, "verdict")
    parser.add_argument("--jobs", type=positive, default=1, help="tables at a time")
    options = parser.parse_args(arguments)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_facts(options.output, machine_facts(vars(options)))
    for case in options.cases:
        rows = []
        for row in Parallel(n_jobs=options.jobs, return_as="generator")(
            delayed(trial)(case, options.rows, options.n_experts, seed)
            for seed in range(options.repeats)
        ):
            append_row(options.output, {"commit": commit()} | row)
            rows.append(row)
        print(summary(rows), flush=True)
