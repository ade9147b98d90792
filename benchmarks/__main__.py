"""Dispatch `python -m benchmarks NAME [options]` to the module that measures NAME.

A command is a module of this package with a function `main(argv)`; name it in `COMMANDS`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from benchmarks.options import BadOutput, NoTable

COMMANDS = {
    "balance": "what it costs to keep all of many experts in use, in several ways",
    "calibration": "whether intervals cover what they say, beside other models with intervals",
    "demo": "what a mixture does on two tables that come with scikit-learn",
    "first_look": "the mixture against one expert and against an average of as many experts",
    "gates": "which gate: log density and seconds of mixtures that differ in it alone",
    "hierarchy": "a tree of gates beside a flat one: accuracy, and what there is to read",
    "numbers": "the number of experts: found, or searched for on a grid",
    "shift": "a mixture that keeps up with data in time order, in several ways",
    "sparse": "what sparse routing costs as the number of experts grows",
    "speed": "what a fit costs, beside the least it could cost and beside its rivals",
    "starts": "which kinds of start to race, on real tables",
    "tabular": "mixtures beside everything a user would pick instead, on suites of tables",
    "temperature": "whether a temperature for each classifying expert helps, on real tables",
    "verdict": "how often `gain_` is wrong, on simulated tables without regimes",
    "wide": "many columns: mixtures of linear experts beside one linear model and one tree",
}


def usage() -> str:
    """The list of commands."""
    lines = [f"  {name:12} {purpose}" for name, purpose in COMMANDS.items()]
    return "\n".join(["usage: python -m benchmarks NAME [--help] [options]", *lines])


def main(argv: Sequence[str]) -> int:
    """Run the command that `argv` names first; return the exit code."""
    if not argv or argv[0] not in COMMANDS:
        print(usage())
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    try:
        return import_module(f"benchmarks.{argv[0]}").main(argv[1:]) or 0
    except (NoTable, BadOutput) as error:
        print(f"python -m benchmarks {argv[0]}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
