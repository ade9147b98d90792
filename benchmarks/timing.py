"""Whole fits to simulated tables, timed in turn, and the rows that say how long they took."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone

from benchmarks import floor
from benchmarks.records import commit
from sklearn_moe import MixtureOfExpertsRegressor

Row = dict[str, Any]


def simulate(n: int, p: int, n_experts: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Linear experts under overlapping softmax regions; features, target, blurred memberships."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    gate = 2.0 * rng.standard_normal((n_experts, p)) / np.sqrt(p)
    coef = rng.standard_normal((n_experts, p + 1))
    expert = (X @ gate.T + rng.gumbel(size=(n, n_experts))).argmax(axis=1)
    noise = rng.uniform(0.1, 0.5, n_experts)[expert] * rng.standard_normal(n)
    y = (floor.with_intercept(X) * coef[expert]).sum(axis=1) + noise
    resp = np.full((n, n_experts), 0.3 / n_experts)
    resp[np.arange(n), expert] += 0.7
    return X, y, resp


def median_seconds(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each function, all of them called in turn `repeats` times."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            begun = perf_counter()
            function()
            times[name].append(perf_counter() - begun)
    return {name: float(np.median(found)) for name, found in times.items()}


def fitter(X: np.ndarray, y: np.ndarray, expert: Any, n_experts: int, **params: Any) -> Callable:
    """A fit of a mixture, to be called."""
    params = {"random_state": 0, **params}
    return lambda: MixtureOfExpertsRegressor(clone(expert), n_experts, **params).fit(X, y)


def row(
    part: str, expert: str, shape: tuple, what: str, seconds: float, unit: float, note: str = ""
) -> Row:
    """One figure; `ratio` is in units of the part's yardstick."""
    n, p, n_experts = shape
    return {
        "commit": commit(), "part": part, "expert": expert, "n": n, "p": p, "K": n_experts,
        "what": what, "ms": round(1e3 * seconds, 3),
        "ratio": round(seconds / unit, 3), "note": note,
    }  # fmt: skip
