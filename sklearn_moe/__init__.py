"""Mixtures of experts over any scikit-learn estimators, fitted by cross-fitted EM."""

from ._classifier import MixtureOfExpertsClassifier
from ._cross_fitted import CrossFittedPredictions
from ._regressor import MixtureOfExpertsRegressor
from .auto import AutoMixtureClassifier, AutoMixtureRegressor
from .gates import ConstantGate, SoftmaxGate
from .linear import CrossValidatedLogistic, EvidenceRidge

__all__ = [
    "AutoMixtureClassifier",
    "AutoMixtureRegressor",
    "ConstantGate",
    "CrossFittedPredictions",
    "CrossValidatedLogistic",
    "EvidenceRidge",
    "MixtureOfExpertsClassifier",
    "MixtureOfExpertsRegressor",
    "SoftmaxGate",
]
__version__ = "0.1.0"
