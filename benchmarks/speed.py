"""What a fit costs, beside the least it could cost and beside what does the same.

Each part prints medians of repeated runs, made in turn in one process, and their ratios:

- `iterations`: linear experts, per EM iteration, in sample and cross-fitted, against the floor in
  plain numpy (`floor.py`) and against whole fits of ridge, `GaussianMixture` and boosting;
- `peers`: the whole in-sample fit from the same responsibilities, with the log-likelihood reached;
- `fits`: whole default fits of linear, tree and boosting experts as K grows, in bare fits of one
  expert, and what share of the time is spent inside the experts;
- `defaults`: whole default fits of linear experts as n grows, race and witnesses included, beside
  one boosting;
- `counts`: fits of Poisson experts, solved at once, fitted one by one, and by a rival;
- `jobs`: whole default fits on one worker and on several;
- `predict`: prediction against the sum of the experts' own;
- `laws`: three quantiles, the CRPS and regions of highest density, of mixtures of eight components
  under several noise laws;
- `memory`: seconds and peak memory of a large cross-fitted fit, in sizes of X.
"""

from __future__ import annotations

import argparse
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from os import cpu_count
from time import perf_counter
from typing import Any

import numpy as np
from joblib import parallel_config
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.mixture import GaussianMixture
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer
from sklearn.tree import DecisionTreeRegressor

from benchmarks import floor
from benchmarks.counts import counts
from benchmarks.options import add_output, command, picture, positive
from benchmarks.records import append_row, machine_facts, write_facts
from benchmarks.rivals import conditional_mixture, in_r, plain_em
from benchmarks.speed_figure import draw
from benchmarks.timing import Row, fitter, median_seconds, row, simulate
from sklearn_moe import EvidenceRidge
from sklearn_moe._softmax_bank import SoftmaxBank
from sklearn_moe.families import FAMILIES
from sklearn_moe.linear import LeftOut
from sklearn_moe.predictive import MixtureDistribution

# Each of n, p and K varied from (100,000, 10, 4), and shapes where the gate is all that counts.
SHAPES = [
    (1_000, 10, 4), (10_000, 10, 4), (100_000, 10, 4), (1_000_000, 10, 4),
    (100_000, 2, 4), (100_000, 50, 4), (100_000, 10, 2), (100_000, 10, 8), (100_000, 10, 32),
    (10_000, 2, 2), (10_000, 50, 8), (10_000, 50, 32),
]  # fmt: skip
BOOSTING = HistGradientBoostingRegressor(max_iter=20, max_bins=63, early_stopping=False)
# mixtools knows two experts and one feature.
PEERS = {(20_000, 10, 4): ["flexmix"], (1_000, 1, 2): ["flexmix", "mixtools"]}
EXPERTS = {"ridge": Ridge(), "tree": DecisionTreeRegressor(max_depth=6), "boosting": BOOSTING}
LAWS = {
    "gaussian": (2.0,), "student_t": (2.0, 4.0), "gamma": (0.3,), "poisson": (1.0,),
    "negative_binomial": (0.3,),
}  # fmt: skip
PARTS = (
    "iterations", "peers", "fits", "defaults", "counts", "jobs", "predict", "laws", "memory",
)  # fmt: skip
# Experts that hold the interpreter's lock.
NETWORK = MLPRegressor(hidden_layer_sizes=(20,), max_iter=30, random_state=0)
WAITING = {"network": NETWORK, "splines": make_pipeline(SplineTransformer(), Ridge())}


# Parts: each yields rows of figures.


def iterations(repeats: int, shapes: list[tuple[int, int, int]]) -> Iterator[Row]:
    """Seconds of one EM iteration: those of sixteen less those of four, over twelve."""
    for n, p, n_experts in shapes:
        X, y, resp = simulate(n, p, n_experts)
        runs: dict[str, Callable] = {}
        for name, cv in (("in sample", None), ("cross-fitted", 5)):
            for length in (4, 16):
                options = {"cv": cv, "init": resp, "max_iter": length, "tol": 0, "verdict": False}
                runs[f"{name}, {length}"] = fitter(X, y, Ridge(), n_experts, **options)
        runs |= floor_runs(X, y, resp) | whole_fits(X, y, n_experts)
        seconds = median_seconds(runs, repeats if n < 10**6 else 1)
        for name in ("in sample", "cross-fitted"):
            long, short = seconds.pop(f"{name}, 16"), seconds.pop(f"{name}, 4")
            seconds[name] = (long - short) / 12
            seconds[f"{name}, all but the iterations"] = long - 16 * seconds[name]
            seconds |= shares_of(name, runs[f"{name}, 16"])
        for what, found in seconds.items():
            yield row("iterations", "ridge", (n, p, n_experts), what, found, seconds["floor"])


def shares_of(name: str, fit: Callable) -> dict[str, float]:
    """Seconds of one of sixteen iterations that go to the gate's step and to the experts."""
    with (
        seconds_in(SoftmaxBank, "steps") as gate,
        seconds_in(LeftOut, "__call__") as experts,
    ):
        fit()
    # The first step of the gate is from nothing; the first solution is that of one expert alone.
    return {
        f"{name}, gate": float(np.median(gate[1:])),
        f"{name}, experts": float(np.median(experts[1:])),
    }


def floor_runs(X: np.ndarray, y: np.ndarray, resp: np.ndarray) -> dict[str, Callable]:
    """One iteration of the floor, with an exact Newton step of the gate and with a bounded one."""
    A = floor.with_intercept(X)
    factor = floor.bound_factor(A, resp.shape[1])
    gate = np.zeros((resp.shape[1], A.shape[1]))
    first, gate, _ = floor.iterate(A, y, resp, gate, factor)
    return {
        "floor": lambda: floor.iterate(A, y, first, gate),
        "floor, bounded gate": lambda: floor.iterate(A, y, first, gate, factor),
    }


def whole_fits(X: np.ndarray, y: np.ndarray, n_experts: int) -> dict[str, Callable]:
    """Whole fits of other models to the same table."""
    joint = np.column_stack([X, y])
    return {
        "Ridge, whole fit": lambda: Ridge().fit(X, y),
        "GaussianMixture, 10 iterations": lambda: GaussianMixture(
            n_experts, max_iter=10, tol=0.0, init_params="random", random_state=0
        ).fit(joint),
        "HistGradientBoosting, whole fit": lambda: HistGradientBoostingRegressor().fit(X, y),
    }


def peers(repeats: int) -> Iterator[Row]:
    """The whole in-sample fit from the same responsibilities, to a relative change of 1e-6."""
    for shape, packages in PEERS.items():
        X, y, resp = simulate(*shape)
        # The bound is per row, the rivals' tolerance relative to the total, about -0.5 per row.
        options = {"cv": None, "init": resp, "tol": 5e-7, "max_iter": 200}
        ours = fitter(X, y, Ridge(1e-6), shape[2], **options)
        runs = {"ours": ours, "plain numpy": lambda: plain_em(X, y, resp)}  # noqa: B023
        seconds = median_seconds(runs, repeats)
        reached = {"ours": ours().log_prob(X, y).sum(), "plain numpy": plain_em(X, y, resp)}
        outcomes = {name: in_r(name, X, y, resp) for name in packages}
        outcomes["cgmm"] = conditional_mixture(X, y, resp)
        for name, outcome in outcomes.items():
            if outcome is not None:
                seconds[name], reached[name] = outcome
        for name, found in seconds.items():
            note = f"log-likelihood {reached[name]:.2f}"
            yield row("peers", "ridge", shape, name, found, seconds["ours"], note)


def fits(repeats: int, n: int, numbers: list[int]) -> Iterator[Row]:
    """Whole default fits in bare fits of one expert, as the number of experts grows."""
    X, y, _ = simulate(n, 10, 4)
    for name, expert in EXPERTS.items():
        bare = median_seconds({"bare": lambda: clone(expert).fit(X, y)}, repeats)["bare"]  # noqa: B023
        for n_experts in numbers:
            for label, verdict in (("default fit", True), ("without witnesses", False)):
                fit = fitter(X, y, expert, n_experts, verdict=verdict)
                seconds, share, mixture = time_in_experts(fit, expert)
                n_iter = mixture.n_iter_
                note = f"{n_iter} iterations, {5 * n_iter} bare fits; in experts {share:.0%}"
                yield row("fits", name, (n, 10, n_experts), label, seconds, bare, note)


@contextmanager
def seconds_in(owner: Any, *names: str) -> Iterator[list[float]]:
    """A list of the seconds that each call of the functions `names` of `owner` takes."""
    spent: list[float] = []

    def timed(function: Callable) -> Callable:
        @wraps(function)  # else the parameters of an expert's `fit` are hidden
        def call(*args: Any, **kwargs: Any) -> Any:
            begun = perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent.append(perf_counter() - begun)

        return call

    saved = {name: getattr(owner, name) for name in names}
    for name, function in saved.items():
        setattr(owner, name, timed(function))
    try:
        yield spent
    finally:
        for name, function in saved.items():
            setattr(owner, name, function)


def time_in_experts(fit: Callable, expert: Any) -> tuple[float, float, Any]:
    """Seconds of a fit, the share of them inside the experts' own fit and predict, the mixture."""
    with seconds_in(type(expert), "fit", "predict") as spent:
        begun = perf_counter()
        mixture = fit()
        seconds = perf_counter() - begun
        return seconds, sum(spent) / seconds, mixture


def defaults(repeats: int, sizes: list[int]) -> Iterator[Row]:
    """Whole default fits of four linear experts, with witnesses and without, and one boosting."""
    for n in sizes:
        X, y, _ = simulate(n, 10, 4)
        runs = {
            "default": fitter(X, y, Ridge(), 4),
            "without witnesses": fitter(X, y, Ridge(), 4, verdict=False),
            "EvidenceRidge": fitter(X, y, EvidenceRidge(), 4),
            "HistGradientBoosting": lambda: HistGradientBoostingRegressor().fit(X, y),  # noqa: B023
        }
        seconds = median_seconds(runs, repeats if n < 10**5 else 1)
        for what, found in seconds.items():
            unit = seconds["HistGradientBoosting"]
            yield row("defaults", "ridge", (n, 10, 4), what, found, unit)


def jobs(repeats: int, n: int) -> Iterator[Row]:
    """Whole default fits on one worker and on several; threads or processes as the fit chooses."""
    X, y, _ = simulate(n, 10, 4)
    numbers = [number for number in (1, 2, 4, 8) if number <= (cpu_count() or 1)]
    for name, expert in {**EXPERTS, **WAITING}.items():
        runs = {
            str(number): fitter(X, y, expert, 2, n_jobs=number, max_iter=10) for number in numbers
        }
        seconds = median_seconds(runs, repeats)
        for number, found in seconds.items():
            yield row("jobs", name, (n, 10, 2), f"n_jobs={number}", found, seconds["1"])


def predict(repeats: int, n: int) -> Iterator[Row]:
    """Prediction of a mixture against the sum of its experts' predictions."""
    X, y, resp = simulate(n, 10, 4)
    for name, expert in EXPERTS.items():
        fit = fitter(X[:5000], y[:5000], expert, 4, init=resp[:5000], max_iter=2, verdict=False)
        mixture = fit()
        runs = {
            "mixture": lambda: mixture.predict(X),  # noqa: B023
            "experts": lambda: [e.predict(X) for e in mixture.experts_],  # noqa: B023
        }
        seconds = median_seconds(runs, 3 * repeats)
        for what, found in seconds.items():
            yield row("predict", name, (n, 10, 4), what, found, seconds["experts"])


def laws(repeats: int, n: int, n_components: int) -> Iterator[Row]:
    """Questions to predictive distributions, against the Gaussian's quantiles."""
    rng = np.random.default_rng(0)
    log_weights = np.log(rng.dirichlet(np.full(n_components, 0.5), n))
    means = rng.uniform(1, 20, size=(n, n_components, 1))
    y, least = means[:, 0], None
    for name, parameters in LAWS.items():
        family = FAMILIES[name]().prepared(np.rint(y), np.ones(n))
        law = np.broadcast_to(parameters, (n_components, 1, len(parameters)))
        dist = MixtureDistribution(family, log_weights, means, law)
        runs = {
            "three quantiles": lambda: dist.ppf([0.05, 0.5, 0.95]),  # noqa: B023
            "CRPS": lambda: dist.crps(np.rint(y)[:, 0]),  # noqa: B023
            "highest density": lambda: dist.interval(0.9, "highest_density"),  # noqa: B023
        }
        for what, found in median_seconds(runs, repeats).items():
            least = least or found
            yield row("laws", name, (n, 1, n_components), what, found, least)


def memory(shape: tuple[int, int, int]) -> Iterator[Row]:
    """One cross-fitted fit of ridge experts to its end: seconds, and peak memory beyond X."""
    X, y, resp = simulate(*shape)
    for label, cv in (("in sample", None), ("cross-fitted", 5)):
        options = {"cv": cv, "init": resp, "verdict": False}
        begun = perf_counter()
        mixture = fitter(X, y, Ridge(), shape[2], **options)()
        seconds = perf_counter() - begun
        tracemalloc.start()
        fitter(X, y, Ridge(), shape[2], **options, max_iter=2)()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        note = f"{mixture.n_iter_} iterations, peak beyond X {peak / X.nbytes:.2f} sizes of X"
        yield row("memory", "ridge", shape, label, seconds, seconds, note)


def parts(options: argparse.Namespace) -> Iterator[Row]:
    """The rows of all parts asked for."""
    small = [shape for shape in SHAPES if shape[0] <= options.max_rows]
    sizes = [n for n in (1_000, 10_000, 100_000) if n <= options.max_rows]
    available: dict[str, Callable[[], Iterator[Row]]] = {
        "iterations": lambda: iterations(options.repeats, small),
        "peers": lambda: peers(options.repeats),
        "fits": lambda: fits(options.repeats, min(20_000, options.max_rows), [2, 4, 8, 16, 32]),
        "defaults": lambda: defaults(options.repeats, sizes),
        "counts": lambda: counts(options.repeats, sizes),
        "jobs": lambda: jobs(options.repeats, min(10_000, options.max_rows)),
        "predict": lambda: predict(options.repeats, min(100_000, options.max_rows)),
        "laws": lambda: laws(options.repeats, min(100_000, options.max_rows), 8),
        "memory": lambda: memory((options.max_rows, 20, 8)),
    }
    for name in options.parts or available:
        yield from available[name]()


def main(argv: list[str] | None = None) -> None:
    """Run the parts, print and keep each row."""
    parser = command("speed", __doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="default: all")
    parser.add_argument(
        "--max-rows",
        type=positive,
        default=10**6,
        help="largest table; peers have 20,000 rows or less",
    )
    parser.add_argument("--repeats", type=positive, default=3)
    add_output(parser, "speed")
    parser.add_argument(
        "--figure", type=picture, help="picture of all rows in the output, to write"
    )
    options = parser.parse_args(argv)
    warnings.simplefilter("ignore", ConvergenceWarning)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_facts(options.output, machine_facts(vars(options)))
    with parallel_config(n_jobs=1):
        for found in parts(options):
            append_row(options.output, found)
            print("{part:10} {expert:8} n={n} p={p} K={K:<3} {what:32} {ms:>11} ms "
                  "{ratio:>8} {note}".format(**found), flush=True)  # fmt: skip
    if options.figure:
        draw(options.output, options.figure)
