"""What every benchmark's command line begins with."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from pathlib import Path

PICTURES = (".png", ".svg", ".pdf", ".jpg", ".jpeg")


class NoTable(ValueError):
    """There is no such table, or no such folder of tables."""


def command(name: str, text: str | None) -> ArgumentParser:
    """A parser for `python -m benchmarks NAME`, whose help begins with `text` as it is written."""
    return ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=text,
        formatter_class=RawDescriptionHelpFormatter,
    )


def positive(text: str) -> int:
    """A number of things, of which there has to be one."""
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text!r} is no whole number above zero")
    return int(text)


def picture(text: str) -> Path:
    """Where a picture is to be drawn."""
    if (path := Path(text)).suffix.lower() not in PICTURES:
        raise ArgumentTypeError(f"{text!r} does not end in one of {', '.join(PICTURES)}")
    return path
