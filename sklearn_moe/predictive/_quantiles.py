"""Quantiles of mixtures: safeguarded Newton steps for all rows and levels at once."""

from __future__ import annotations

import numpy as np

from .._numeric import Array, next_count
from ._marginal import Marginal, by_rows

MAX_STEPS = 200
# Quantiles not found after this many steps are so near to zero that the logarithm is better
# searched.
LATE = 50
PRECISION = 1e-13
# After this many doublings, what is left of the probability is rounding.
MOST_DOUBLINGS = 200


def quantiles(marginal: Marginal, levels: Array) -> Array:
    """Quantiles (n, m) at `levels` (m,).

    A quantile of a mixture lies between those of its components, which gives the first bracket.
    Only laws of positive targets have rough quantiles: there the search begins above zero, and goes
    as high as it must.
    """
    return by_rows(lambda part: _quantiles(part, levels), marginal, 4 * len(levels))


def _quantiles(marginal: Marginal, levels: Array) -> Array:
    rows = np.repeat(np.arange(len(marginal)), len(levels))
    level = np.tile(levels, len(marginal))
    return quantiles_by_row(marginal.take(rows), level).reshape(len(marginal), -1)


def quantiles_by_row(marginal: Marginal, level: Array) -> Array:
    """Quantiles (n,), at one `level` for each row."""
    ends = marginal.component_quantiles(level[:, None])[..., 0]
    used = marginal.weights > 0
    low = np.where(used, ends, np.inf).min(axis=1)
    high = np.where(used, ends, -np.inf).max(axis=1)
    search = _search_counts if marginal.family.is_discrete else _search
    return search(marginal, level, low, high)


def _search(marginal: Marginal, level: Array, low: Array, high: Array) -> Array:
    """Quantiles (n,) between `low` and `high`, at one `level` for each row."""
    if not marginal.family.exact_ppf:
        low, high = np.zeros_like(low), _high_enough(marginal, level, high)
    found, left = high.copy(), (low < high) & np.isfinite(high)
    if marginal.starts_at_zero:
        # Where zero has a probability the distribution jumps, and Newton must not come near.
        at_zero = left & (marginal.at_zero() >= level)
        found[at_zero], left = 0.0, left & ~at_zero
    rows = np.flatnonzero(left)
    part, level, low, high = marginal.take(rows), level[rows], low[rows], high[rows]
    point, last = 0.5 * (low + high), high - low
    for n_steps in range(MAX_STEPS):
        if not len(rows):
            break
        miss = part.cdf(point[:, None])[:, 0] - level
        low, high = np.where(miss < 0, point, low), np.where(miss < 0, high, point)
        by_ratio = n_steps >= LATE and marginal.starts_at_zero
        step = _step(part, point, miss, low, high, last, by_ratio)
        new = np.clip(point - step, low, high)
        done = (np.abs(miss) <= PRECISION * np.minimum(level, 1 - level)) | (new == point)
        found[rows] = point
        rest = np.flatnonzero(~done)
        rows, part = rows[rest], part.take(rest)
        level, low, high, point, last = (
            values[rest] for values in (level, low, high, new, np.abs(step))
        )
    return found


def _high_enough(marginal: Marginal, level: Array, high: Array) -> Array:
    """Points (n,) from `high` on, below which the probability reaches `level`."""
    found = np.where(np.isfinite(high) & (high > 0), high, 1.0)
    for _ in range(MOST_DOUBLINGS):
        short = (level < 1) & (marginal.cdf(found[:, None])[:, 0] < level)
        if not short.any():
            break
        found = np.where(short, 2 * found, found)
    return np.where(level < 1, found, np.inf)


def _step(
    marginal: Marginal,
    point: Array,
    miss: Array,
    low: Array,
    high: Array,
    last: Array,
    by_ratio: bool,
) -> Array:
    """Newton's step where it stays within the bracket and halves the last; else to the middle."""
    middle = 0.5 * (low + high)
    if by_ratio:
        middle = np.sqrt(np.maximum(low, np.finfo(float).tiny)) * np.sqrt(high)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        newton = miss / np.exp(marginal.log_pdf(point[:, None])[:, 0])
        inside = (point - newton > low) & (point - newton < high)
        good = inside & (np.abs(newton) <= 0.5 * last)
    return np.where(good, newton, point - middle)


def _search_counts(marginal: Marginal, level: Array, low: Array, high: Array) -> Array:
    """The smallest counts (n,) whose probability, with all below, reaches the `level`."""
    low, high = np.maximum(low - 1, -1.0), high.copy()
    while (wide := np.flatnonzero(np.isfinite(high) & (high > next_count(low)))).size:
        middle = np.floor(0.5 * (low[wide] + high[wide]))
        reached = marginal.take(wide).cdf(middle[:, None])[:, 0] >= level[wide] - PRECISION
        high[wide] = np.where(reached, middle, high[wide])
        low[wide] = np.where(reached, low[wide], middle)
    return np.maximum(high, 0.0)
