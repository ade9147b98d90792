"""Mixtures that are found: several kinds are fitted, and unseen rows choose."""

from ._classifier import AutoMixtureClassifier
from ._regressor import AutoMixtureRegressor

__all__ = ["AutoMixtureClassifier", "AutoMixtureRegressor"]
