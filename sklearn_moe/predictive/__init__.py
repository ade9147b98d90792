"""Predictive distributions of mixtures, for all rows at once."""

from ._distribution import MixtureDistribution
from ._pool import law_of_pool, pooled

__all__ = ["MixtureDistribution", "law_of_pool", "pooled"]
