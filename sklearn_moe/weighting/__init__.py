"""How weights reach an estimator, whatever its nesting and whatever scikit-learn's configuration.

An estimator is weighted in one of two ways. `"sample_weight"`: its `fit`, or that of the final
predictors it forwards to, takes the weights. `"resample"`: it cannot be weighted (neighbours,
Gaussian processes, discriminant analysis, ...), and sees each row as many times as a systematic
sample of the weights picks it. Systematic sampling draws no random number and goes through the
rows in the order of their content, so the order of the table does not matter, and a row of weight
three is the same as three rows.
"""

from ._fit import fit_weighted
from ._learners import is_mixture
from ._plan import RESAMPLED, WEIGHTED, WeightPlan, plan_steps, plan_weights, way_to_last
from ._requests import request_groups
from ._steps import gate_with_weighted_steps, transform_weighted

__all__ = [
    "RESAMPLED",
    "WEIGHTED",
    "WeightPlan",
    "fit_weighted",
    "gate_with_weighted_steps",
    "is_mixture",
    "plan_steps",
    "plan_weights",
    "request_groups",
    "transform_weighted",
    "way_to_last",
]
