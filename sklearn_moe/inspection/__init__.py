"""Pictures of fitted mixtures, in the way of scikit-learn's displays.

``from_estimator`` computes what is to be shown, draws it and keeps it; ``plot`` draws it again.
Pipelines that end in a mixture, searches and automatic mixtures are taken as well, with the rows as
these take them. Drawing needs matplotlib.
"""

from ._calibration_display import CalibrationDisplay
from ._convergence_display import ConvergenceDisplay
from ._experts_display import ExpertsDisplay
from ._gate_display import GateDisplay

__all__ = ["CalibrationDisplay", "ConvergenceDisplay", "ExpertsDisplay", "GateDisplay"]
