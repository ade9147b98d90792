"""Settings for all tests, and the folder of real tables.

Numpy and scipy read the variables below when they are imported, so they are set before anything
else here. `.ci/setup.py tests` sets the same ones before Python starts; here they serve those who
call pytest themselves, as long as no plugin has imported numpy earlier.
"""

import os

SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "SCIPY_ARRAY_API": "1",
}
for name, value in SETTINGS.items():
    os.environ.setdefault(name, value)

from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_folder():
    """Folder of real tables (see benchmarks/README.md); tests that need it skip without it."""
    named = os.environ.get("SKLEARN_MOE_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no folder of tables at {folder}: set SKLEARN_MOE_DATA to one")
    return folder
