"""Rivals of the in-sample fit of linear experts, from the same start where they take one.

Each returns seconds and the log-likelihood reached, or None where it is not installed.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks import floor

Outcome = tuple[float, float]


def plain_em(X: np.ndarray, y: np.ndarray, resp: np.ndarray) -> float:
    """EM in plain numpy; the log-likelihood it reaches."""
    A = floor.with_intercept(X)
    gate, before = np.zeros((resp.shape[1], A.shape[1])), -np.inf
    for _ in range(200):
        resp, gate, total = floor.iterate(A, y, resp, gate)
        if abs(total - before) < 1e-6 * abs(total):
            break
        before = total
    return total


def in_r(
    package: str, X: np.ndarray, y: np.ndarray, resp: np.ndarray, *options: str
) -> Outcome | None:
    """The fit of an R package, by the script of its name, which may take `options`."""
    script = Path(__file__).with_name(f"{package}.R")
    with tempfile.TemporaryDirectory() as folder:
        np.savetxt(f"{folder}/table.csv", np.column_stack([y, X]), delimiter=",")
        np.savetxt(f"{folder}/resp.csv", resp, delimiter=",")
        command = ["Rscript", str(script), folder, *options]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            why = getattr(error, "stderr", None) or str(error)
            print(f"no {package}: {' '.join(why.split())[-200:]}")
            return None
    seconds, total = map(float, done.stdout.split()[-2:])
    return seconds, total


def conditional_mixture(X: np.ndarray, y: np.ndarray, resp: np.ndarray) -> Outcome | None:
    """cgmm's mixture of experts; its gate is not trained."""
    try:
        from cgmm import MixtureOfExpertsRegressor as Rival
    except ImportError as error:
        print(f"cgmm is not here: {type(error).__name__}")
        return None
    # Twenty iterations, from its own start: two hundred would take a quarter of an hour.
    model = Rival(n_components=resp.shape[1], max_iter=20, tol=1e-6, random_state=0)
    begun = perf_counter()
    model.fit(X, y)
    seconds = perf_counter() - begun
    return seconds, float(np.sum(model.log_prob(X, y)))
