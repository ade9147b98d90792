"""Families: one file for each noise law."""

from ._base import Family
from ._categorical import Categorical
from ._gaussian import Gaussian, gaussian_for

__all__ = ["Categorical", "Family", "Gaussian", "gaussian_for"]
