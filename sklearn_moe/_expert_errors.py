"""What goes wrong in an expert, told as the expert's, with what can be done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ._validation import InvalidParameterError

REMEDY = (
    "If its inputs do not suit it (text, missing values, scales), encode the table in a pipeline "
    "before the mixture, or the expert's own in a pipeline of its own: that sees only the rows of "
    "its region, so an encoder of categories needs handle_unknown='ignore'. If the region is too "
    "small for it, use fewer experts, fewer folds or a simpler expert."
)
ALONE = (
    "If its inputs do not suit it (text, missing values, scales), put it into a pipeline that "
    "encodes them. If the rows of a fold are too few for it, use fewer folds or a simpler one."
)
SEVERAL = " For several outputs put one that takes a single one into a MultiOutputRegressor."


class PartError(ValueError):
    """An expert, or a gate, could not be fitted to the rows that it was given, or predict others.

    EM ends where that happens, and keeps what it has come to.
    """


@contextmanager
def blaming(expert: str, what: str, several: bool) -> Iterator[None]:
    """Say of an error that it is the expert's, and `what` it has failed to do.

    `several` outputs are what many estimators do not take. Experts are anyone's code, and what they
    raise (KeyError, TypeError, ...) does not say that it is theirs; nothing is hidden, for it is
    raised again with its cause.
    """
    try:
        yield
    except MemoryError:  # it says nothing of the rows, and another start would meet it too
        raise
    except Exception as error:
        raise PartError(f"Expert {expert} {what}: {_explained(error, several)}") from error


@contextmanager
def blaming_estimators() -> Iterator[None]:
    """Say of what goes wrong in an expert that it is an estimator's, where there is no mixture."""
    try:
        yield
    except PartError as error:
        text = str(error).removeprefix("Expert").replace(REMEDY, ALONE)
        raise ValueError(f"Estimator{text}") from error.__cause__


def _explained(error: Exception, several: bool) -> str:
    """What the error says, with a full stop; what can be done, unless that is said already."""
    text = f"{str(error).rstrip().rstrip('.')}."
    if isinstance(error, InvalidParameterError):
        return text
    return f"{text} {REMEDY}{SEVERAL if several else ''}"
