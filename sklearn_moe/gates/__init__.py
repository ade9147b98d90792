"""Gates: one file for each way to divide the input space."""

from ._base import Gate
from ._classifier import ClassifierGate
from ._constant import ConstantGate
from ._gaussian import GaussianGate
from ._hierarchical import HierarchicalGate
from ._mlp import MLPGate
from ._regressor import RegressorGate
from ._softmax import SoftmaxGate
from ._tree import TreeGate

__all__ = [
    "ClassifierGate",
    "ConstantGate",
    "Gate",
    "GaussianGate",
    "HierarchicalGate",
    "MLPGate",
    "RegressorGate",
    "SoftmaxGate",
    "TreeGate",
]
