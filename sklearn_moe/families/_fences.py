"""How far out targets may lie before starts take them for gross errors.

Before there are predictions, nothing else tells gross errors from other targets, and a few far out
would lead all experts of least squares astray. Later the noise laws of the experts tell them.

J. W. Tukey, "Exploratory Data Analysis", Addison-Wesley, 1977 (the inner fences).
"""

from __future__ import annotations

import numpy as np

from .._numeric import DECIMALS, Array

# Distance of the fences from the quartiles, in interquartile ranges.
REACH = 1.5
QUARTILES = 0.25, 0.75


def held_within(y: Array, weight: Array) -> Array:
    """Targets (n, q) held between their fences."""
    return np.clip(y, *_fences(y, weight))


def weights_within(y: Array, weight: Array) -> Array:
    """Weights (n,) of rows: one between the fences, and the less the farther out they are.

    Outside, the square of the fences' distance from their middle over the target's; of several
    outputs, the smallest weight.
    """
    low, high = _fences(y, weight)
    beyond = np.abs(y - np.clip(y, low, high)) / (0.5 * (high - low))
    return ((1.0 + beyond) ** -2.0).min(axis=1)


def _fences(y: Array, weight: Array) -> tuple[Array, Array]:
    """Least and greatest targets (q,) between the fences."""
    low, high = np.empty(y.shape[1]), np.empty(y.shape[1])
    for output, values in enumerate(y.T):
        order = np.argsort(values, kind="stable")
        share = np.cumsum(weight[order])
        # Rounded, since sums in another order of the rows must not decide.
        place = np.searchsorted((share / share[-1]).round(DECIMALS), QUARTILES)
        low[output], high[output] = values[order][place]
    # An output that is the same on half of the rows has no fences.
    reach = np.where(high > low, REACH * (high - low), np.inf)
    return low - reach, high + reach
