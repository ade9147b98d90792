"""Set up a fresh environment and do one job in it: `python3 .ci/setup.py demo` or `tests`.

Needs Python 3.11 or later and nothing else. The environment is made in the folder that the
variable SKLEARN_MOE_VENV names, else in `.venv-demo` or `.venv-tests` of the checkout, where a
second run finds it again. The job runs in the checkout, and so do relative paths in its options.
The exit code is that of the job.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VARIABLE = "SKLEARN_MOE_VENV"
# What each job needs beside the package, and what is run (after `python -m`).
JOBS = {
    "demo": ("plot", ["benchmarks", "demo"]),
    "tests": ("test", ["pytest", "-n", "2", "--dist", "worksteal"]),
}
# Numpy and scipy read these when they are imported: two workers, one thread each.
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "SCIPY_ARRAY_API": "1",
    "MPLBACKEND": "Agg",
}


def environment(folder: Path) -> Path:
    """The Python of the virtual environment in `folder`, which is made if it is not there, whole.

    Pip is what comes last: where it is missing, an earlier run was interrupted.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [python, "-m", "pip", "--version"]
    if not python.exists() or subprocess.run(pip, capture_output=True, check=False).returncode:
        venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    return python


def install(python: Path, extra: str) -> int:
    """Install the package, as it stands in the checkout, with what `extra` lists."""
    options = ["--quiet", "--disable-pip-version-check"]
    command = [python, "-m", "pip", "install", *options, "--editable", f".[{extra}]"]
    return subprocess.call(command, cwd=ROOT)


def main(argv: list[str]) -> int:
    """Do the job that `argv` names, with the options that follow; return the exit code."""
    if sys.version_info < (3, 11) or not argv or argv[0] not in JOBS:
        print(f"usage: python3 .ci/setup.py {{{','.join(JOBS)}}} [options], Python 3.11 or later")
        return 2
    extra, job = JOBS[argv[0]]
    folder = Path(os.environ.get(VARIABLE) or ROOT / f".venv-{argv[0]}")
    python = environment(folder.resolve())
    failed = install(python, extra)
    command = [python, "-m", *job, *argv[1:]]
    return failed or subprocess.call(command, cwd=ROOT, env={**os.environ, **SETTINGS})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
