"""Errors of experts, which name the expert and say what can be done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ._validation import InvalidParameterError

REMEDY = (
    "If its inputs do not suit it (text, missing values, scales), encode the table in a pipeline "
    "before the mixture, or put the expert into a pipeline of its own; this sees only the rows of "
    "its region, so an encoder of categories needs handle_unknown='ignore'. If the region is too "
    "small for it (without sample_weight it sees about as many rows as the weights add up to), use "
    "fewer experts, fewer folds or a simpler expert."
)
ALONE = (
    "If its inputs do not suit it (text, missing values, scales), put it into a pipeline that "
    "encodes them. If a fold leaves it too few rows, use fewer folds or a simpler estimator."
)
SEVERAL = " If it takes only one output, put it into a MultiOutputRegressor."


class PartError(ValueError):
    """An expert, or a gate, could not be fitted to the rows that it was given, or predict others.

    EM ends where that happens, and keeps its best state so far.
    """


@contextmanager
def blaming(expert: str, what: str, several: bool) -> Iterator[None]:
    """Turn an error into one that names the expert, and says `what` it has failed to do.

    With `several` outputs, which many estimators do not take, it also says what to do then. Experts
    are anyone's code, and what they raise (KeyError, TypeError, ...) does not say whose it is;
    nothing is hidden, for the error remains as the cause.
    """
    try:
        yield
    except MemoryError:  # it says nothing of the rows, and another start would meet it too
        raise
    except Exception as error:
        raise PartError(f"Expert {expert} {what}: {_explained(error, several)}") from error


@contextmanager
def blaming_estimators() -> Iterator[None]:
    """Turn errors of experts into errors of estimators, where there is no mixture."""
    try:
        yield
    except PartError as error:
        text = str(error).removeprefix("Expert").replace(REMEDY, ALONE)
        raise ValueError(f"Estimator{text}") from error.__cause__


def _explained(error: Exception, several: bool) -> str:
    """The text of an error, with a full stop, and what can be done, unless it says that itself."""
    text = f"{str(error).rstrip().rstrip('.')}."
    if isinstance(error, InvalidParameterError):
        return text
    return f"{text} {REMEDY}{SEVERAL if several else ''}"
