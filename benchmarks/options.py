"""What every benchmark's command line begins with."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter


def command(name: str, text: str | None) -> ArgumentParser:
    """A parser for `python -m benchmarks NAME`, whose help begins with `text` as it is written."""
    return ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=text,
        formatter_class=RawDescriptionHelpFormatter,
    )
