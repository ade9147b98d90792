"""One level of parallel work for a whole fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from joblib import cpu_count, effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from ._validation import threadpool_controller

# Handing a list of jobs to workers costs about ten milliseconds, whatever their number.
WORTH_SENDING = 0.02

Job = tuple[Callable[..., Any], tuple]


class Workers:
    """Runs lists of independent jobs, in order, on the workers of one joblib context.

    Lists that would take less time than sending them are run where they are. The results are the
    same either way.
    """

    def __init__(self, parallel: Parallel | None) -> None:
        self._parallel = parallel

    def run(self, jobs: Sequence[Job]) -> list[Any]:
        """Results of `function(*arguments)` for each job."""
        if self._parallel is None or len(jobs) < 2:
            return [function(*arguments) for function, arguments in jobs]
        begun = perf_counter()
        first = jobs[0][0](*jobs[0][1])
        if (perf_counter() - begun) * (len(jobs) - 1) < WORTH_SENDING:
            return [first, *(function(*arguments) for function, arguments in jobs[1:])]
        return [first, *self._parallel(delayed(f)(*arguments) for f, arguments in jobs[1:])]


@contextmanager
def open_workers(n_jobs: int | None) -> Iterator[Workers]:
    """Workers for one fit; threads unless `joblib.parallel_config` says otherwise.

    BLAS runs on one thread meanwhile: the matrices are tall and thin, and more threads make them
    slower and the sums different. OpenMP threads share the cores with the workers.
    """
    n_workers = effective_n_jobs(n_jobs)
    controller = threadpool_controller()
    with controller.limit(limits=1, user_api="blas"):
        if n_workers == 1:
            yield Workers(None)
            return
        openmp = controller.limit(limits=max(1, cpu_count() // n_workers), user_api="openmp")
        with openmp, Parallel(n_jobs=n_jobs, prefer="threads") as parallel:
            yield Workers(parallel)
