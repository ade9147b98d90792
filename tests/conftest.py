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


def quickly(usual):
    """The usual candidates with few trees and iterations."""

    def make(*args, **params):
        made = usual(*args, **params)
        for candidate in made:
            expert = candidate.mixture.experts
            few = {"max_iter": 3} if hasattr(expert, "max_leaf_nodes") else {}
            few = {"n_estimators": 2} if hasattr(expert, "n_estimators") else few
            expert.set_params(**few)
            if candidate.name == "stacked":
                columns = candidate.model[0].set_params(boosting__max_iter=3)
                columns.learners[0][1].set_params(n_estimators=2)
            candidate.mixture.set_params(max_iter=2, n_init=1, init="principal")
        return made

    return make


@pytest.fixture
def quick_candidates(monkeypatch):
    """They are not doubled beyond four experts, either."""
    from sklearn_moe.auto._usual import classifiers, regressors

    monkeypatch.setattr("sklearn_moe.auto._search.MOST_EXPERTS", 4)
    monkeypatch.setattr("sklearn_moe.auto._regressor.regressors", quickly(regressors))
    monkeypatch.setattr("sklearn_moe.auto._classifier.classifiers", quickly(classifiers))
