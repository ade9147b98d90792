"""Mixtures of experts over any scikit-learn estimators, fitted by cross-fitted EM."""

from ._classifier import MixtureOfExpertsClassifier
from ._regressor import MixtureOfExpertsRegressor
from .gates import ConstantGate, SoftmaxGate

__all__ = [
    "ConstantGate",
    "MixtureOfExpertsClassifier",
    "MixtureOfExpertsRegressor",
    "SoftmaxGate",
]
__version__ = "0.1.0"
