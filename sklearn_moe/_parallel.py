"""One level of parallel work for a whole fit."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar, cast

from joblib import cpu_count, effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from ._plans import Job, Plan, follow, run_here
from ._validation import threadpool_controller

T = TypeVar("T")
Hire = Callable[[str], Parallel]

# Handing a list of jobs to workers costs about ten milliseconds, whatever their number.
WORTH_SENDING = 0.02
# A kind of workers is tried for so many seconds, beside as many without.
TRIAL_SECONDS = 0.5
# Where threads are not so many times as fast as none, processes are tried, once a fit has lasted so
# long that the second or two that they take to start are no great loss.
ENOUGH = 1.2
LONG_FIT = 5.0
# Jobs of which a half keeps two workers busy.
SEVERAL = 4


@dataclass
class Trial:
    """Seconds and numbers of jobs that were done by workers of a kind, and by this thread."""

    kind: str
    seconds: dict[str, float] = field(default_factory=lambda: {"here": 0.0, "sent": 0.0})
    jobs: dict[str, int] = field(default_factory=lambda: {"here": 0, "sent": 0})
    n_lists: int = 0

    def note(self, where: str, seconds: float, n_jobs: int) -> None:
        """Count some jobs."""
        self.seconds[where] += seconds
        self.jobs[where] += n_jobs

    @property
    def behind(self) -> str:
        """Where fewer jobs were done."""
        return min(self.jobs, key=lambda where: self.jobs[where])

    @property
    def is_over(self) -> bool:
        return min(self.seconds.values()) > TRIAL_SECONDS

    @property
    def speedup(self) -> float:
        """How many times as fast the workers are as this thread."""
        pace = {where: self.seconds[where] / self.jobs[where] for where in self.jobs}
        return pace["here"] / pace["sent"]


class Workers:
    """Follows plans: does their lists of jobs, in order, on the workers of one joblib context.

    Lists that would take less time than sending them are done where they are. Of the first others,
    half of the jobs go to threads, which share the table. If these wait for each other (experts
    that hold the interpreter's lock), a long fit tries processes in the same way; the fastest of
    threads, processes and this thread does the rest. The results are the same in any case.
    """

    def __init__(self, hire: Hire | None) -> None:
        self._hire = hire
        self._begun = perf_counter()
        self._kind = "here"
        self._parallel: Parallel | None = None
        self._trial: Trial | None = None
        self._tried: dict[str, float] = {"here": 1.0}
        self._pace = 0.0  # seconds of a job, as of the last list that was done here
        if hire:
            self._try("threads")

    def follow(self, plan: Plan[T]) -> T:
        """Result of the plan."""
        return follow(plan, self._run)

    def _run(self, jobs: list[Job]) -> list[Any]:
        if self._hire is None or not jobs:
            return run_here(jobs)
        if self._wants_processes():
            self._try("processes", jobs[0])
        done: list[Any] = []
        if not self._is_worth_sending(jobs):
            done, jobs = self._run_timed(jobs[:1]), jobs[1:]
        if not self._is_worth_sending(jobs):
            return [*done, *self._run_timed(jobs)]
        return [*done, *(self._run_trial if self._trial else self._send)(jobs)]

    def _wants_processes(self) -> bool:
        """Whether threads were of little use, and the fit is long."""
        missed = self._tried.get("threads", ENOUGH) < ENOUGH and "processes" not in self._tried
        return missed and not self._trial and perf_counter() - self._begun > LONG_FIT

    def _is_worth_sending(self, jobs: list[Job]) -> bool:
        return len(jobs) > 1 and self._pace * len(jobs) > WORTH_SENDING

    def _run_timed(self, jobs: list[Job]) -> list[Any]:
        begun = perf_counter()
        done = run_here(jobs)
        if jobs:
            self._pace = (perf_counter() - begun) / len(jobs)
        return done

    def _send(self, jobs: list[Job]) -> list[Any]:
        if self._parallel is None:
            return run_here(jobs)
        try:
            return self._parallel(delayed(_on_one_thread)(*job) for job in jobs)
        except pickle.PicklingError:
            if self._kind != "processes":
                raise  # the user chose processes
            self._tried["processes"] = 0.0
            self._settle()
            return self._send(jobs)

    def _run_trial(self, jobs: list[Job]) -> list[Any]:
        """Do half of the jobs here and send the others; short lists go here and there in turn."""
        trial = cast(Trial, self._trial)
        trial.n_lists += 1
        # In turn, for kinds of jobs may alternate in a list.
        first = trial.n_lists % 2
        halves = {"here": slice(first, None, 2), "sent": slice(1 - first, None, 2)}
        parts = halves if len(jobs) >= SEVERAL else {trial.behind: slice(None)}
        done: list[Any] = [None] * len(jobs)
        for where, part in parts.items():
            begun = perf_counter()
            done[part] = (run_here if where == "here" else self._send)(jobs[part])
            trial.note(where, perf_counter() - begun, len(jobs[part]))
        if trial.is_over and self._trial is trial:
            self._tried[trial.kind] = trial.speedup
            self._settle()
        return done

    def _settle(self) -> None:
        """End a trial, and go on with the fastest kind of those tried."""
        self._trial, best = None, max(self._tried, key=lambda kind: self._tried[kind])
        if best != self._kind:
            self._parallel = None if best == "here" else cast(Hire, self._hire)(best)
            self._kind = best

    def _try(self, kind: str, job: Job | None = None) -> None:
        """Hire workers of a kind for a trial, if they can do the job."""
        if kind == "processes" and not _can_travel(job):
            self._tried[kind] = 0.0
            return
        self._trial, self._parallel = Trial(kind), cast(Hire, self._hire)(kind)
        self._kind = kind
        if kind == "processes":
            # To start them takes a second, which is no part of a trial.
            self._send([(run_here, ([],))] * 2)


def _on_one_thread(function: Callable[..., Any], arguments: tuple) -> Any:
    """Do a job as it would be done here: with BLAS on one thread, in a process too."""
    with threadpool_controller().limit(limits=1, user_api="blas"):
        return function(*arguments)


def _can_travel(job: Job | None) -> bool:
    """Whether a process could be sent the job, before a second is spent on starting one."""
    try:
        pickle.dumps(job)
    except Exception:  # what the parts of an expert raise, if they refuse, is up to them
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
