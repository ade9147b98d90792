"""How far out targets may lie before those who begin take them for gross errors.

Least squares that have not seen a prediction yet have nothing else to know them by, and a few that
lie far out would lead all experts astray. Once experts have answered, their laws tell.

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
    """What rows (n,) are to count: one between the fences, ever less the farther out they are.

    It is the square of the fences' distance from their middle, over that of the target; of several
    outputs the least counts.
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
    # An output that is the same on half of the rows has none.
    reach = np.where(high > low, REACH * (high - low), np.inf)
    return low - reach, high + reach
