"""What fits of Poisson experts cost: solved at once, fitted one by one, and by flexmix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.linear_model import PoissonRegressor

from benchmarks.rivals import in_r
from benchmarks.timing import Row, fitter, median_seconds, row, simulate

# Next to no penalty, as flexmix has none.
FREE = {"alpha": 1e-9, "max_iter": 1000}


class OneByOne(PoissonRegressor):
    """A Poisson regression that is not taken for one, and so fitted expert by expert."""


def counts(repeats: int, sizes: list[int]) -> Iterator[Row]:
    """Fits of two Poisson experts, default ones and from given responsibilities in sample."""
    for n in sizes:
        X, y, resp = simulate(n, 10, 2)
        counted = np.random.default_rng(0).poisson(np.exp(0.2 * y))
        times = repeats if n < 10**5 else 1
        yield from default_fits(times, X, counted)
        yield from in_sample(times, X, counted, resp)


def default_fits(repeats: int, X: np.ndarray, y: np.ndarray) -> Iterator[Row]:
    """Whole default fits, in fits of one expert."""
    runs = {
        "PoissonRegressor": lambda: PoissonRegressor().fit(X, y),
        "default, at once": fitter(X, y, PoissonRegressor(), 2, family="poisson"),
        "default, one by one": fitter(X, y, OneByOne(), 2, family="poisson"),
    }
    seconds = median_seconds(runs, repeats)
    for what, found in seconds.items():
        yield row("counts", "poisson", (*X.shape, 2), what, found, seconds["PoissonRegressor"])


def in_sample(repeats: int, X: np.ndarray, y: np.ndarray, resp: np.ndarray) -> Iterator[Row]:
    """Fits from the same responsibilities, and the log-likelihood that each reaches."""
    options = {"cv": None, "init": resp, "tol": 2e-6, "max_iter": 200, "family": "poisson"}
    runs = {
        "in sample, at once": fitter(X, y, PoissonRegressor(**FREE), 2, **options),
        "in sample, one by one": fitter(X, y, OneByOne(**FREE), 2, **options),
    }
    seconds = median_seconds(runs, repeats)
    reached = {name: float(fit().log_prob(X, y).sum()) for name, fit in runs.items()}
    outcome = in_r("flexmix", X, y, resp, "poisson")
    if outcome is not None:
        seconds["in sample, flexmix"], reached["in sample, flexmix"] = outcome
    unit = seconds["in sample, at once"]
    for what, found in seconds.items():
        note = f"log-likelihood {reached[what]:.2f}"
        yield row("counts", "poisson", (*X.shape, 2), what, found, unit, note)
