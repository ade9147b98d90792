"""Gates: one file for each way to divide the input space."""

from ._base import Gate
from ._classifier import ClassifierGate
from ._constant import ConstantGate
from ._gaussian import GaussianGate
from ._hierarchical import HierarchicalGate
from ._mlp import MLPGate
from ._pipeline import check_gate, plan_gate
from ._regressor import RegressorGate
from ._resolve import fit_gate, gates_to_try, keeping, log_proba_of, next_gate, resolve_gate
from ._softmax import SoftmaxGate
from ._table import GateTable

__all__ = [
    "ClassifierGate",
    "ConstantGate",
    "Gate",
    "GateTable",
    "GaussianGate",
    "HierarchicalGate",
    "MLPGate",
    "RegressorGate",
    "SoftmaxGate",
    "check_gate",
    "fit_gate",
    "gates_to_try",
    "keeping",
    "log_proba_of",
    "next_gate",
    "plan_gate",
    "resolve_gate",
]
