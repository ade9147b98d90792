"""What every benchmark's command line begins with."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Sequence
from math import inf
from pathlib import Path

PICTURES = (".png", ".svg", ".pdf", ".jpg", ".jpeg")


class BadOutput(ValueError):
    """The file for the rows holds others."""


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


def natural(text: str) -> int:
    """A number to begin to count at, zero or more."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no whole number from zero on")
    return int(text)


def seconds(text: str) -> float:
    """A limit of time."""
    try:
        limit = float(text)
    except ValueError:
        limit = inf
    if not 0 < limit < inf:
        raise ArgumentTypeError(f"{text!r} is no number of seconds above zero")
    return limit


def rows_file(text: str) -> Path:
    """Where rows are kept; what else is written stands beside them under other endings."""
    path = Path(text)
    if path.suffix.lower() != ".csv":
        raise ArgumentTypeError(f"{text!r} does not end in .csv")
    if any(parent.exists() and not parent.is_dir() for parent in path.parents):
        raise ArgumentTypeError(f"{text!r} lies below a file")
    return path


def add_output(parser: ArgumentParser, name: str) -> None:
    """The option `--output` of a command that leaves rows."""
    default = Path(f"results/{name}.csv")
    parser.add_argument("--output", type=rows_file, default=default, help="CSV to add rows to")


def add_tables(parser: ArgumentParser, tables: Sequence[str], text: str | None = None) -> None:
    """The options `--data` and `--tables` of a command that reads tables."""
    parser.add_argument("--data", help="folder of the tables")
    parser.add_argument("--tables", nargs="+", default=tables, metavar="NAME", help=text)


def picture(text: str) -> Path:
    """Where a picture is to be drawn."""
    if (path := Path(text)).suffix.lower() not in PICTURES:
        raise ArgumentTypeError(f"{text!r} does not end in one of {', '.join(PICTURES)}")
    return path
