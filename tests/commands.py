"""The command line of the benchmarks, in the tests' own process: another takes seconds to start."""

import warnings
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments):
    """What `python -m benchmarks` returns and prints."""
    told, complaints = StringIO(), StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(told),
        redirect_stderr(complaints),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        patch.syspath_prepend(str(ROOT))
        patch.chdir(ROOT)
        from benchmarks.__main__ import main

        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
    return SimpleNamespace(returncode=code, stdout=told.getvalue(), stderr=complaints.getvalue())
