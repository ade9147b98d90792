"""One level of parallel work for a whole fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, TypeVar

from joblib import cpu_count, effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from ._plans import Job, Plan, follow, run_here
from ._validation import threadpool_controller

T = TypeVar("T")

# Handing a list of jobs to workers costs about ten milliseconds, whatever their number.
WORTH_SENDING = 0.02


class Workers:
    """Follows plans: does their lists of jobs, in order, on the workers of one joblib context.

    Lists that would take less time than sending them are done where they are. The results are the
    same either way.
    """

    def __init__(self, parallel: Parallel | None) -> None:
        self._parallel = parallel
        self._pace = 0.0  # seconds of a job, as of the last list that was done here

    def follow(self, plan: Plan[T]) -> T:
        """Result of the plan."""
        return follow(plan, self._run)

    def _run(self, jobs: list[Job]) -> list[Any]:
        if self._parallel is None:
            return run_here(jobs)
        done: list[Any] = []
        if not self._is_worth_sending(jobs):
            done, jobs = self._run_timed(jobs[:1]), jobs[1:]
        if self._is_worth_sending(jobs):
            return [*done, *self._parallel(delayed(f)(*arguments) for f, arguments in jobs)]
        return [*done, *self._run_timed(jobs)]

    def _is_worth_sending(self, jobs: list[Job]) -> bool:
        return len(jobs) > 1 and self._pace * len(jobs) > WORTH_SENDING

    def _run_timed(self, jobs: list[Job]) -> list[Any]:
        begun = perf_counter()
        done = run_here(jobs)
        if jobs:
            self._pace = (perf_counter() - begun) / len(jobs)
        return done


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
