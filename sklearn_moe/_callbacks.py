"""What scikit-learn's callbacks are told of a fit: its tasks, and the mixture as it stands.

The tasks of a fit are the race of the starts and runs of EM, one for each number of experts that is
tried; those of a run are its iterations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sklearn import config_context, get_config


class NoCallbacks:
    """What takes the place of the mixin of scikit-learn before 1.9."""

    def _init_callback_context(self, **options: Any) -> Silence:
        return Silence()


try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:
    CallbackSupportMixin = NoCallbacks

__all__ = ["CallbackSupportMixin", "Tasks"]


class Silence:
    """A task of which nobody hears."""

    def subcontext(self, **options: Any) -> Silence:
        """Part of the task."""
        return self

    def call_on_fit_task_begin(self, **info: Any) -> None:
        """Tell nobody."""

    def call_on_fit_task_end(self, **info: Any) -> bool:
        """Nobody wants to stop."""
        return False


class Tasks:
    """The tasks that are under way, each a part of the one before; the first is the whole fit."""

    def __init__(self, owner: Any, X: Any, y: Any, sample_weight: Any) -> None:
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        self._info = {"estimator": owner, "X": X, "y": y, "metadata": metadata}
        self._open: list[Any] = []
        # A fit may skip the checks of its experts' parameters; what callbacks fit is not its own.
        skips = get_config()["skip_parameter_validation"]
        self._as_asked = partial(config_context, skip_parameter_validation=skips)
        # Whether a callback wanted the latest task that had parts to be the last.
        self.was_last = False
        # How many parts it has is not known where the number of experts is to be found.
        self._enter(owner._init_callback_context(max_subtasks=None))

    def begin(self, name: str, n_parts: int = 0) -> None:
        """Begin a part, itself of at most `n_parts`, of the task that is under way."""
        self._enter(self._open[-1].subcontext(task_name=name, max_subtasks=n_parts))

    def _enter(self, context: Any) -> None:
        self._open.append(context)
        with self._as_asked():
            context.call_on_fit_task_begin(**self._info)

    def end(self, attributes: Callable[[], dict[str, Any]] | None = None) -> bool:
        """End the latest task; whether a callback wants no more like it.

        The `attributes`, made if asked for, are those of an estimator fitted as far as that.
        """
        context = self._open.pop()
        with self._as_asked():
            return context.call_on_fit_task_end(**self._info, reconstruction_attributes=attributes)

    @contextmanager
    def task(self, name: str, n_parts: int = 0) -> Iterator[None]:
        """A part of the task that is under way; what it has left open ends with it."""
        depth = len(self._open)
        self.begin(name, n_parts)
        try:
            yield
        finally:  # a fit may go on where a witness, or a larger number of experts, has failed
            while len(self._open) > depth:
                self.was_last = self.end()
