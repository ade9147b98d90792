"""Predictive distributions of mixtures, for all rows at once."""

from ._distribution import MixtureDistribution

__all__ = ["MixtureDistribution"]
