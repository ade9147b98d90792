"""Whole fits side by side: each in a process of its own, where processes can be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import starmap
from typing import Any, TypeVar

from joblib import effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend
from sklearn.utils.parallel import Parallel, delayed

from .._parallel import is_crash

T = TypeVar("T")


def side_by_side(
    fit: Callable[..., T], arguments: Sequence[tuple], n_jobs: int | None
) -> Iterator[T]:
    """Results of `fit` for each of the `arguments`, in order, as they come.

    Fits in this process run one after the other, each with all the workers: side by side they would
    hold the interpreter's lock, and record each other's warnings.
    """
    if len(arguments) < 2 or effective_n_jobs(n_jobs) == 1 or not _have_processes():
        yield from starmap(fit, arguments)
        return
    n_done = 0
    try:
        jobs = (delayed(_alone)(fit, each) for each in arguments)
        for result in Parallel(n_jobs=n_jobs, prefer="processes", return_as="generator")(jobs):
            n_done += 1
            yield result
    except Exception as error:
        if is_crash(error):
            raise
        # What pickling raises is up to the parts of a model, and cannot be told from what a fit
        # raises, so the fits are run again here, and what these raise is raised.
        yield from starmap(fit, arguments[n_done:])


def _have_processes() -> bool:
    """Whether joblib's context lets one have processes, which share no memory."""
    backend, _ = get_active_backend(prefer="processes")
    return not getattr(backend, "supports_sharedmem", False)


def _alone(fit: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    """The result of a fit that runs in one of the workers, and has no workers of its own."""
    with parallel_config("sequential"):
        return fit(*arguments)
