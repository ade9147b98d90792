"""The basis of coefficients: scores of classes matter only up to a constant."""

from __future__ import annotations

from functools import lru_cache

import scipy.linalg
from numpy.typing import NDArray

from .._numeric import Array


@lru_cache
def sum_zero_basis(n_experts: int) -> Array:
    """Orthonormal columns (K, K - 1) that span the vectors of sum zero."""
    return kept(scipy.linalg.helmert(n_experts).T)


def kept(table: NDArray) -> NDArray:
    """The array, made read-only: all callers share it."""
    table.flags.writeable = False
    return table
