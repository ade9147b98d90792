"""Plans: work that asks for its jobs to be done, and goes on with their results.

A plan is a generator that yields lists of independent jobs and is sent their results. It knows
neither who does them nor what else is going on, so several plans can be followed in step: the jobs
of all starts, witnesses, experts and folds of one round go to the workers as one list. What follows
a plan keeps no results once they are handed over: they may be as large as the table.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar, cast

T = TypeVar("T")
E = TypeVar("E", bound=Exception)
Job = tuple[Callable[..., Any], tuple]
Plan = Generator[list[Job], list[Any], T]


class Mergeable(Protocol):
    """A job that can be done at once with others whose `kind` is the same; None is no kind.

    `results_with` others returns the results of all, its own first.
    """

    def __call__(self) -> Any: ...
    @property
    def kind(self) -> Hashable: ...
    def results_with(self, others: Sequence[Any]) -> Sequence[Any]: ...


def do(function: Callable[..., T], *arguments: Any) -> Plan[T]:
    """The plan of a single job."""
    (result,) = yield [(function, arguments)]
    return result


def together(*plans: Plan[Any]) -> Plan[list[Any]]:
    """One plan that follows several in step; their results, in order."""
    results: dict[int, Any] = {}
    answers: dict[int, Any] = dict.fromkeys(range(len(plans)))
    while answers:
        wanted: dict[int, list[Job]] = {}
        for i in list(answers):
            try:
                wanted[i] = plans[i].send(answers.pop(i))
            except StopIteration as stop:
                results[i] = stop.value
        done = (yield [job for jobs in wanted.values() for job in jobs])[::-1] if wanted else []
        answers = {i: [done.pop() for _ in jobs] for i, jobs in wanted.items()}
    return [results[i] for i in range(len(plans))]


def attempt(plan: Plan[T], kind: type[E]) -> Plan[T | E]:
    """The plan; its result, or the error of a `kind` that has ended it. Others in step go on."""
    resume: Callable[[], list[Job]] = partial(next, plan)
    while True:
        try:
            jobs = resume()
        except StopIteration as stop:
            return stop.value
        except kind as error:
            return error
        del resume
        answers = yield [(_answer, (kind, *job)) for job in jobs]
        results, errors = zip(*answers, strict=True) if answers else ((), ())
        failures = [error for error in errors if error is not None]
        resume = partial(plan.throw, failures[0]) if failures else partial(plan.send, [*results])
        del answers, results


def _answer(
    kind: type[E], function: Callable[..., T], arguments: tuple
) -> tuple[T | None, E | None]:
    """The result of a job and no error, or none and the error, which is not raised.

    So attempts can be nested.
    """
    try:
        return function(*arguments), None
    except kind as error:
        return None, error


def follow(plan: Plan[T], run: Callable[[list[Job]], list[Any]]) -> T:
    """Result of the plan, whose jobs are done by `run`; it is told of a job that fails."""
    resume: Callable[[], list[Job]] = partial(next, plan)
    while True:
        try:
            jobs = resume()
        except StopIteration as stop:
            return stop.value
        del resume
        try:
            resume = partial(plan.send, run(jobs))
        except BaseException as error:
            resume = partial(plan.throw, error)


def follow_here(plan: Plan[T]) -> T:
    """Result of the plan, whose jobs are done one after the other."""
    return follow(plan, run_here)


def run_merged(jobs: list[Job]) -> list[Any]:
    """Results of the jobs, done here; those of one `kind` are done at once.

    On few rows numpy's calls cost more than its numbers, and on many one pass serves all jobs.
    """
    results: list[Any] = [None] * len(jobs)
    alike: dict[Hashable, list[int]] = {}
    for place, (function, _) in enumerate(jobs):
        kind = getattr(function, "kind", None)
        alike.setdefault(place if kind is None else kind, []).append(place)
    for places in alike.values():
        for place, result in zip(places, _at_once([jobs[at] for at in places]), strict=True):
            results[place] = result
    return results


def _at_once(jobs: list[Job]) -> Sequence[Any]:
    """Results of jobs of one kind."""
    if len(jobs) == 1:
        return run_here(jobs)
    first, *others = (function for function, _ in jobs)
    return cast(Mergeable, first).results_with(others)


def run_here(jobs: list[Job]) -> list[Any]:
    """Results of the jobs, done one after the other."""
    return [function(*arguments) for function, arguments in jobs]
