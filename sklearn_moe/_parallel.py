"""One level of parallel work for a whole fit."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter, thread_time
from typing import Any, TypeVar

from joblib import cpu_count, effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from ._plans import Job, Plan, follow, run_here
from ._validation import threadpool_controller

T = TypeVar("T")
Hire = Callable[[str], Parallel]

# Handing a list of jobs to workers costs about ten milliseconds, whatever their number.
WORTH_SENDING = 0.02
# Threads have this many seconds to show that several compute more than one does; processes take
# about as long to start.
TRIAL_SECONDS = 1.0
LEAST_SPEEDUP = 1.2


class Workers:
    """Follows plans: does their lists of jobs, in order, on the workers of one joblib context.

    Lists that would take less time than sending them are done where they are. Others go to threads,
    which share the table, until these are seen to wait for each other (experts that hold the
    interpreter's lock); from then on to processes. The results are the same in any case.
    """

    def __init__(self, hire: Hire | None) -> None:
        self._hire = hire
        self._kind = "threads"
        self._parallel = hire(self._kind) if hire else None
        self._pace = 0.0  # seconds of a job, as of the last list that was done here
        self._spent = self._computed = 0.0  # seconds of threads: by the clock, by all their cores

    def follow(self, plan: Plan[T]) -> T:
        """Result of the plan."""
        return follow(plan, self._run)

    def _run(self, jobs: list[Job]) -> list[Any]:
        if self._parallel is None:
            return run_here(jobs)
        done: list[Any] = []
        if not self._is_worth_sending(jobs):
            done, jobs = self._run_timed(jobs[:1]), jobs[1:]
        return [*done, *(self._send if self._is_worth_sending(jobs) else self._run_timed)(jobs)]

    def _is_worth_sending(self, jobs: list[Job]) -> bool:
        return len(jobs) > 1 and self._pace * len(jobs) > WORTH_SENDING

    def _run_timed(self, jobs: list[Job]) -> list[Any]:
        begun = perf_counter()
        done = run_here(jobs)
        if jobs:
            self._pace = (perf_counter() - begun) / len(jobs)
        return done

    def _send(self, jobs: list[Job]) -> list[Any]:
        begun = perf_counter()
        sent = self._parallel(delayed(_with_seconds)(*job) for job in jobs)  # type: ignore[misc]
        if self._kind == "threads":
            self._spent += perf_counter() - begun
            self._computed += sum(seconds for _, seconds in sent)
            self._reconsider(jobs)
        return [result for result, _ in sent]

    def _reconsider(self, jobs: list[Job]) -> None:
        """Take processes from now on, if threads have been of no use and the jobs can travel."""
        useful = self._computed >= LEAST_SPEEDUP * self._spent
        if self._hire and self._spent > TRIAL_SECONDS and not useful and _can_travel(jobs[0]):
            self._kind = "processes"
            self._parallel = self._hire(self._kind)


def _with_seconds(function: Callable[..., Any], arguments: tuple) -> tuple[Any, float]:
    """What a job returns, and the seconds that it was computing."""
    begun = thread_time()
    return function(*arguments), thread_time() - begun


def _can_travel(job: Job) -> bool:
    try:
        pickle.dumps(job)
    except Exception:  # an expert's own way of pickling may fail in any way
        return False
    return True


@contextmanager
def open_workers(n_jobs: int | None) -> Iterator[Workers]:
    """Workers for one fit; of the kind that `joblib.parallel_config` says, if it says one.

    BLAS runs on one thread meanwhile: the matrices are tall and thin, and more threads make them
    slower and the sums different. OpenMP threads share the cores with the workers.
    """
    n_workers = effective_n_jobs(n_jobs)
    controller = threadpool_controller()
    with ExitStack() as stack:
        stack.enter_context(controller.limit(limits=1, user_api="blas"))
        if n_workers == 1:
            yield Workers(None)
            return
        share = max(1, cpu_count() // n_workers)
        stack.enter_context(controller.limit(limits=share, user_api="openmp"))
        yield Workers(lambda kind: stack.enter_context(Parallel(n_jobs=n_jobs, prefer=kind)))
