"""One level of parallel work for a whole fit."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import ceil
from threading import Thread
from time import perf_counter
from typing import Any, TypeVar, cast

from joblib import cpu_count, effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend
from sklearn.utils.parallel import Parallel, delayed

from ._plans import Job, Plan, follow, run_here
from ._validation import threadpool_controller

T = TypeVar("T")
Make = Callable[[str], Parallel]

# Handing a list of jobs to workers costs about ten milliseconds, whatever their number.
WORTH_SENDING = 0.02
# A kind of workers is tried for so many seconds, beside as many without.
CONTEST_SECONDS = 0.5
# Where threads are not so many times as fast as none, processes are tried in a fit that has lasted
# so long: it will not end at once, and wait for processes that nobody needs any more.
ENOUGH = 1.2
LONG_FIT = 5.0
# Jobs of which a half keeps two workers busy.
SEVERAL = 4


@dataclass
class Contest:
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
        return min(self.seconds.values()) > CONTEST_SECONDS

    @property
    def speedup(self) -> float:
        """How many times as fast the workers are as this thread."""
        pace = {where: self.seconds[where] / self.jobs[where] for where in self.jobs}
        return pace["here"] / pace["sent"]


class Workers:
    """Follows plans: does their lists of jobs, in order, on the workers of one joblib context.

    Lists that would take less time than sending them are done where they are. Of the first others,
    half of the jobs go to threads, which share the table. If these wait for each other (experts
    that hold the interpreter's lock), processes are started in a long fit, and tried in the same
    way once they are there; the fastest of threads, processes and this thread does the rest. The
    results are the same in any case. `make` makes `n_workers` of a kind; the `stack` dismisses
    them. Where there is but one kind, which joblib's context has `named`, there are no others to
    try.
    """

    def __init__(self, n_workers: int, make: Make, stack: ExitStack, named: bool = False) -> None:
        self._n_workers, self._make, self._stack = n_workers, make, stack
        self._begun = perf_counter()
        self._kind = "here"
        self._parallel: Parallel | None = None
        self._contest: Contest | None = None
        self._starting: Thread | None = None
        self._tried: dict[str, float] = {"here": 1.0} | ({"processes": 0.0} if named else {})
        self._pace = 0.0  # seconds of a job, as of the last list that was done here
        if n_workers > 1:
            self._try("threads")

    def follow(self, plan: Plan[T]) -> T:
        """Result of the plan."""
        return follow(plan, self._run)

    def _run(self, jobs: list[Job]) -> list[Any]:
        if self._n_workers == 1 or not jobs:
            return run_here(jobs)
        if self._lacks_processes and self._have_started(jobs[0]):
            self._try("processes")
        done: list[Any] = []
        if not self._is_worth_sending(jobs):
            done, jobs = self._run_timed(jobs[:1]), jobs[1:]
        if not self._is_worth_sending(jobs):
            return [*done, *self._run_timed(jobs)]
        now = jobs[: self._n_till_decision()]
        done += (self._run_contest if self._contest else self._send)(now)
        return [*done, *self._run(jobs[len(now) :])]

    def _n_till_decision(self) -> int | None:
        """Number of jobs to do before it is asked again who is to do them; None for all."""
        if not (self._contest or self._lacks_processes):
            return None
        # Half of them keep all workers busy to the end.
        return 2 * self._n_workers * ceil(CONTEST_SECONDS / self._pace / self._n_workers)

    @property
    def _lacks_processes(self) -> bool:
        """Whether threads were of little use, and processes are still to be tried."""
        missed = self._tried.get("threads", ENOUGH) < ENOUGH and "processes" not in self._tried
        return missed and not self._contest

    def _have_started(self, job: Job) -> bool:
        """Whether processes are there; in a long fit they start while others work."""
        if self._starting is None and perf_counter() - self._begun > LONG_FIT:
            self._starting = self._start(job)
        started = self._starting is not None and not self._starting.is_alive()
        return started and self._lacks_processes

    def _start(self, job: Job) -> Thread | None:
        """A thread that waits for processes to start, and to import what they need for the job.

        They are the same that are hired afterwards. None if they cannot do the job, so that they
        are not tried.
        """
        try:
            pickle.loads(pickle.dumps(job))
            parallel = self._make("processes")
        except Exception:  # what the parts of an expert raise, and backends, is up to them
            self._tried["processes"] = 0.0
            return None
        starting = Thread(target=self._greet, args=(parallel,), daemon=True)
        starting.start()
        # No fit ends before: whoever starts processes next would have to wait for them.
        self._stack.callback(starting.join)
        return starting

    def _greet(self, parallel: Parallel) -> None:
        """Give each of the workers an empty job."""
        try:
            parallel(delayed(_on_one_thread)(run_here, ([],)) for _ in range(self._n_workers))
        except Exception:  # what systems without processes raise is up to them
            self._tried["processes"] = 0.0

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
        except Exception as error:
            if self._kind != "processes" or is_crash(error):
                raise
            # What pickling raises is up to the parts of an expert, and cannot be told from what a
            # job raises; that is raised again.
            self._tried["processes"] = 0.0
            self._settle()
            return self._send(jobs)

    def _run_contest(self, jobs: list[Job]) -> list[Any]:
        """Do half of the jobs here and send the others; short lists go here and there in turn."""
        contest = cast(Contest, self._contest)
        contest.n_lists += 1
        # In turn, for kinds of jobs may alternate in a list.
        first = contest.n_lists % 2
        halves = {"here": slice(first, None, 2), "sent": slice(1 - first, None, 2)}
        parts = halves if len(jobs) >= SEVERAL else {contest.behind: slice(None)}
        done: list[Any] = [None] * len(jobs)
        for where, part in parts.items():
            begun = perf_counter()
            done[part] = (self._run_timed if where == "here" else self._send)(jobs[part])
            contest.note(where, perf_counter() - begun, len(jobs[part]))
        if contest.is_over and self._contest is contest:
            self._tried[contest.kind] = contest.speedup
            self._settle()
        return done

    def _settle(self) -> None:
        """End a contest, and go on with the fastest kind of those tried."""
        self._contest, best = None, max(self._tried, key=lambda kind: self._tried[kind])
        if best != self._kind:
            self._parallel = None if best == "here" else self._hire(best)
            self._kind = best

    def _try(self, kind: str) -> None:
        """Hire workers of a kind for a contest."""
        self._contest, self._parallel, self._kind = Contest(kind), self._hire(kind), kind

    def _hire(self, kind: str) -> Parallel:
        return self._stack.enter_context(self._make(kind))


def is_crash(error: Exception) -> bool:
    """Whether a job has brought a process down, as it would this one.

    Workers are broken, too, by what they cannot read, but that has a cause that they tell.
    """
    return isinstance(error, BrokenExecutor) and error.__cause__ is None


def _on_one_thread(function: Callable[..., Any], arguments: tuple) -> Any:
    """Do a job as it would be done here: with BLAS on one thread, in a process too."""
    with threadpool_controller().limit(limits=1, user_api="blas"):
        return function(*arguments)


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
        if n_workers > 1:
            share = max(1, cpu_count() // n_workers)
            stack.enter_context(controller.limit(limits=share, user_api="openmp"))
        if n_workers == 1 or not _is_backend_named():
            yield Workers(n_workers, lambda kind: Parallel(n_jobs=n_jobs, prefer=kind), stack)
            return
        ours = Parallel(n_jobs=n_jobs)
        # What runs in parallel within a job that is done here would dismiss our workers.
        stack.enter_context(parallel_config("threading", n_jobs=1))
        yield Workers(n_workers, lambda kind: ours, stack, named=True)


def _is_backend_named() -> bool:
    """Whether joblib's context has workers of its own, the same whenever one asks."""
    return get_active_backend()[0] is get_active_backend()[0]
