"""Run work in processes of its own, several at a time, each under a limit of time."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection
from threading import Lock
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
    if hasattr(os, "setsid"):
        os.setsid()  # so that what it starts can be ended with it
    connection.send(function(item))


def _end(process: Any) -> None:
    """End a process, and all that it has started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # it has no group yet, or no more
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


class Limited:
    """Calls `function` in processes of its own, each of which is ended after `seconds`."""

    def __init__(self, function: Callable[[Any], Any], seconds: float) -> None:
        self.function, self.seconds = function, seconds
        self.context = _context(function.__module__)
        self.running: set[Any] = set()
        self.lock, self.is_stopped = Lock(), False

    def __call__(self, item: Any) -> Any:
        """The answer for `item`."""
        here, there = self.context.Pipe(duplex=False)
        arguments = (there, self.function, item)
        process = self.context.Process(target=_answer, args=arguments, daemon=True)
        process.start()  # which may wait for the server
        with self.lock:
            self.running.add(process)
            is_late = self.is_stopped
        there.close()
        try:
            if is_late:
                raise Crashed("all was stopped before it began")
            if not here.poll(self.seconds):
                raise OutOfTime(f"not done within {self.seconds:g} s")
            return here.recv()
        except EOFError:
            process.join()
            raise Crashed(f"the process ended with code {process.exitcode}") from None
        finally:
            with self.lock:
                self.running.discard(process)
            _end(process)
            process.join()

    def stop(self) -> None:
        """End all that is running."""
        with self.lock:
            self.is_stopped = True
            for process in self.running:
                _end(process)


def run_all(
    function: Callable[[Item], Any], items: Sequence[Item], jobs: int, seconds: float
) -> Iterator[tuple[Item, Any]]:
    """Items with their answers, or with what went wrong, as they finish.

    An interruption ends those that are running and drops the others.
    """
    limited, pool = Limited(function, seconds), ThreadPoolExecutor(jobs)
    begun = {pool.submit(limited, item): item for item in items}
    try:
        for future in as_completed(begun):
            wrong = future.exception()
            yield begun[future], wrong if wrong else future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        limited.stop()
