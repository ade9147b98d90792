"""One-dimensional maximisation for many experts at once, with or without the slope."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._numeric import Array

GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
N_STEPS = 40


def top_of(
    slope: Callable[[Array], Array], low: Array, high: Array, n_steps: int = N_STEPS
) -> Array:
    """Arguments (K,) between `low` and `high` where the `slope` of what is maximised ends to rise.

    Bisection: it finds all digits, and an end where the slope has one sign.
    """
    low, high = np.array(low, dtype=float), np.array(high, dtype=float)
    for _ in range(n_steps):
        middle = 0.5 * (low + high)
        rising = slope(middle) > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    return 0.5 * (low + high)


def maximise(
    objective: Callable[[Array], Array], low: Array, high: Array, n_steps: int = N_STEPS
) -> Array:
    """Arguments (K,) between `low` and `high` of highest `objective`, which maps (K,) to (K,).

    Golden section: the objective is unimodal, and each entry depends on its own argument only. A
    step takes a third off the interval; half of the digits of the objective are left in the
    argument.
    """
    low, high = np.array(low, dtype=float), np.array(high, dtype=float)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = objective(left), objective(right)
    for _ in range(n_steps):
        rising = at_left < at_right
        low, high = np.where(rising, left, low), np.where(rising, high, right)
        new = np.where(rising, low + GOLDEN * (high - low), high - GOLDEN * (high - low))
        at_new = objective(new)
        left, right = np.where(rising, right, new), np.where(rising, new, left)
        at_left, at_right = np.where(rising, at_right, at_new), np.where(rising, at_new, at_left)
    return np.where(at_left < at_right, right, left)
