"""Run work in processes of its own, several at a time, each under a limit of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Item = TypeVar("Item")


class OutOfTime(Exception):
    """The work took longer than it may."""


class Crashed(Exception):
    """The process ended without an answer."""


def _context(module: str) -> Any:
    """A server that has imported `module` and starts the processes, where the system has such."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([module])
    return context


def _answer(connection: Connection, function: Callable[[Any], Any], item: Any) -> None:
    connection.send(function(item))


def run_limited(context: Any, function: Callable[[Any], Any], item: Any, seconds: float) -> Any:
    """`function(item)` from another process, which is ended after `seconds`."""
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(there, function, item), daemon=True)
    process.start()
    there.close()
    try:
        if not here.poll(seconds):
            raise OutOfTime(f"not done within {seconds:g} s")
        return here.recv()
    except EOFError:
        process.join()
        raise Crashed(f"the process ended with code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()


def run_all(
    function: Callable[[Item], Any], items: Sequence[Item], jobs: int, seconds: float
) -> Iterator[tuple[Item, Any]]:
    """Items with their answers, or with what went wrong, as they finish.

    An interruption drops the items that have not begun, and waits for none of the others.
    """
    context = _context(function.__module__)
    with ThreadPoolExecutor(jobs) as pool:
        begun = {pool.submit(run_limited, context, function, item, seconds): item for item in items}
        try:
            for future in as_completed(begun):
                wrong = future.exception()
                yield begun[future], wrong if wrong else future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
