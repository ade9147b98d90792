"""Where a mixture is dense: its mode, and regions of highest density, which may be in pieces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from .._numeric import Array, next_count, safe_log
from ._marginal import Marginal, by_rows, by_size

Places = NDArray[np.intp]

# Quantiles of each component that make up a grid fine where the density changes.
LEVELS = ndtr(np.linspace(-5.0, 5.0, 81))
# Parts of the highest quantile: the least that a point may be; points where quantiles are rough.
SMALLEST = 1e-60
FRACTIONS = np.geomspace(1e-9, 1.0, 64)
GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
# Densities below this part of the highest, in nats, are in no region.
LOWEST = 300.0
N_STEPS, N_COUNTS = 45, 100
# How near to the coverage is near enough, and to a level, in nats, where the probability jumps.
EXACT, NARROW = 1e-10, 1e-11
FIRST_STRIDE, MOST_LOOKS = 0.01, 60
QUARTILES = np.array([[0.25, 0.75]])


def modes(marginal: Marginal) -> Array:
    """Points (n,) of highest density; zero where it has half of the probability."""
    return by_size(lambda part: by_rows(_modes, part, _width(part)), marginal)


def _width(marginal: Marginal) -> int:
    """How many points the grid of a row has."""
    if marginal.counts_singly:
        return int(marginal.last_counts.max()) + 2
    return len(LEVELS) * marginal.means.shape[1] + len(FRACTIONS)


def _modes(marginal: Marginal) -> Array:
    grid = _grid(marginal)
    log_pdf = marginal.log_pdf(grid)
    best = log_pdf.argmax(axis=1)
    rows = np.arange(len(marginal))
    if marginal.counts_singly:
        return grid[rows, best]
    low, high = _beside(marginal, grid, grid[rows, best])
    if marginal.family.is_discrete:
        return _likeliest_between(marginal, low, high)
    found = _climb(marginal, low, high)
    return np.where(marginal.at_zero() >= 0.5, 0.0, found)


def _beside(marginal: Marginal, grid: Array, point: Array) -> tuple[Array, Array]:
    """The points of the grid (n, M) before and behind a `point` (n,) of it, if there are any.

    Components that are alike have their quantiles in one place, but for rounding: what is nearer
    than a part of the narrowest of them is one point.
    """
    rows, spans = np.arange(len(grid)), np.ptp(marginal.component_quantiles(QUARTILES), axis=-1)
    apart = 1e-9 * np.where(marginal.weights > 0, spans, np.inf).min(axis=1)
    before = (grid < (point - apart)[:, None]).sum(axis=1) - 1
    behind = (grid <= (point + apart)[:, None]).sum(axis=1)
    return grid[rows, np.maximum(before, 0)], grid[rows, np.minimum(behind, grid.shape[1] - 1)]


def _likeliest_between(marginal: Marginal, low: Array, high: Array) -> Array:
    """The likeliest counts from `low` to `high` (n,), by ever closer looks at a hundred of them."""
    while (high > low).any():
        counts = np.rint(np.linspace(low, high, N_COUNTS, axis=1))
        best = marginal.log_pdf(counts).argmax(axis=1)[:, None]
        if (high - low < N_COUNTS * (next_count(high) - high)).all():
            return np.take_along_axis(counts, best, axis=1)[:, 0]
        sides = np.clip([best - 1, best + 1], 0, N_COUNTS - 1)
        low, high = (np.take_along_axis(counts, side, axis=1)[:, 0] for side in sides)
    return low


def _climb(marginal: Marginal, low: Array, high: Array) -> Array:
    """Golden section between `low` and `high` (n,)."""
    for _ in range(N_STEPS):
        reach = GOLDEN * (high - low)
        at = marginal.log_pdf(np.column_stack([high - reach, low + reach]))
        rising = at[:, 0] < at[:, 1]
        low, high = np.where(rising, high - reach, low), np.where(rising, high, low + reach)
    return 0.5 * (low + high)


def _grid(marginal: Marginal) -> Array:
    """Points (n, M) in rising order; whole numbers for counts, all that have any probability."""
    if marginal.counts_singly:
        last = int(marginal.last_counts.max()) + 1
        return np.broadcast_to(np.arange(last + 1.0), (len(marginal), last + 1))
    ends = marginal.component_quantiles(LEVELS[None])
    ends = np.where((marginal.weights > 0)[..., None], ends, ends[:, :1]).reshape(len(ends), -1)
    if marginal.starts_at_zero:
        # Zero may have a probability, which is no density; and rough quantiles may lie too high.
        highest = ends.max(axis=1, keepdims=True)
        ends = np.maximum(np.hstack([ends, highest * FRACTIONS]), SMALLEST * highest)
    return np.sort(np.rint(ends) if marginal.family.is_discrete else ends, axis=1)


def highest_density(marginal: Marginal, coverage: float) -> Array:
    """The smallest regions that hold `coverage`: pieces (n, P, 2), NaN where a row has fewer."""

    def regions(part: Marginal) -> Array:
        return by_rows(lambda rows: _regions(rows, coverage), part, 2 * _width(part))

    return by_size(regions, marginal)


def widened(pieces: Array, most: int) -> Array:
    """Pieces (n, P, 2) as `most` of them, those that are lacking NaN."""
    lacking = ((0, 0), (0, most - pieces.shape[1]), (0, 0))
    return np.pad(pieces, lacking, constant_values=np.nan)


def _regions(marginal: Marginal, coverage: float) -> Array:
    grid = _grid(marginal)
    density = np.exp(marginal.log_pdf(grid))
    if marginal.counts_singly:
        rows, place, first, last = _runs(_likeliest(density, coverage))
        return _placed(len(grid), rows, place, grid[rows, first], grid[rows, last])
    at_zero = marginal.at_zero()
    level = np.exp(_log_level(marginal, grid, density, coverage - at_zero))
    pieces = _pieces(grid, density, np.where(at_zero >= coverage, np.inf, level))
    if marginal.family.is_discrete:
        return _whole(pieces)
    return _with_zero(pieces, grid, at_zero) if marginal.starts_at_zero else pieces


def _log_level(marginal: Marginal, grid: Array, density: Array, needed: Array) -> Array:
    """Logarithms (n,) of the highest densities above which the probability `needed` (n,) lies."""

    def surplus(level: Array, rows: Places) -> Array:
        part = marginal.take(rows)
        return _mass_above(part, grid[rows], density[rows], np.exp(level)) - needed[rows]

    highest = np.log(density.max(axis=1))
    start = np.clip(_rough_log_level(grid, density, needed), highest - LOWEST, highest)
    return _last_enough(surplus, highest - LOWEST, start, highest)


def _last_enough(
    surplus: Callable[[Array, Places], Array], low: Array, start: Array, high: Array
) -> Array:
    """The last arguments (n,) at which the falling `surplus` of the rows is not negative.

    From `start` in growing strides until it has two signs, then by the Illinois method.
    """
    found, rows, point, before = low.copy(), np.arange(len(low)), start, np.zeros_like(low)
    # The surplus at `low` and `high`, as long as it is not known.
    at_low, at_high = np.full_like(low, np.nan), np.full_like(low, np.nan)
    stride, n_looks = FIRST_STRIDE, 0
    while len(rows):
        now = surplus(point, rows)
        enough = now >= 0
        # Where the other end stays once more it counts half as much, lest it stays for long.
        fade = np.where(before * now > 0, 0.5, 1.0)
        low, at_low = np.where(enough, [point, now], [low, fade * at_low])
        high, at_high = np.where(enough, [high, fade * at_high], [point, now])
        found[rows] = np.where(np.abs(now) <= EXACT, point, low)
        left = (np.abs(now) > EXACT) & (high - low > NARROW)
        rows, before = rows[left], now[left]
        low, high, at_low, at_high = (v[left] for v in (low, high, at_low, at_high))
        secant = (high * at_low - low * at_high) / (at_low - at_high)
        reach = np.where(np.isnan(at_high), low + stride, high - stride)
        point = np.clip(np.where(np.isnan(secant), reach, secant), low, high)
        stride, n_looks = 8 * stride, n_looks + 1
        if n_looks > MOST_LOOKS:  # by halves, where probabilities jump
            point = 0.5 * (low + high)
    return found


def _rough_log_level(grid: Array, density: Array, needed: Array) -> Array:
    """Log density above which there is as much as `needed`, by whole trapezoids of the grid."""
    left, right = density[:, :-1], density[:, 1:]
    order = np.argsort(-left - right, axis=1)
    mass = 0.5 * np.diff(grid, axis=1) * (left + right)
    total = np.cumsum(np.take_along_axis(mass, order, axis=1), axis=1)
    last = np.minimum((total < needed[:, None]).sum(axis=1), order.shape[1] - 1)
    rows = np.arange(len(grid))
    return safe_log(0.5 * (left + right)[rows, order[rows, last]])


def _whole(pieces: Array) -> Array:
    """The pieces from their first count to their last, without those that hold none."""
    first, last = np.ceil(pieces[..., 0]), np.floor(pieces[..., 1])
    holds = first <= last
    order = np.argsort(~holds, axis=1, kind="stable")[..., None]
    found = np.where(holds[..., None], np.stack([first, last], axis=-1), np.nan)
    return np.take_along_axis(found, order, axis=1)[:, : max(1, int(holds.sum(axis=1).max()))]


def _with_zero(pieces: Array, grid: Array, at_zero: Array) -> Array:
    """The pieces and zero itself, where it has a probability: the densest point of all."""
    touches = pieces[:, :1, 0] == grid[:, :1]
    pieces = pieces.copy()
    pieces[touches[:, 0], 0, 0] = 0.0
    zero = np.where((at_zero > 0)[:, None] & ~touches, 0.0, np.nan)
    found = np.concatenate([np.stack([zero, zero], axis=-1), pieces], axis=1)
    order = np.argsort(found[..., 0], axis=1)[..., None]
    found = np.take_along_axis(found, order, axis=1)
    return found[:, ~np.isnan(found[..., 0]).all(axis=0)]


def _mass_above(marginal: Marginal, grid: Array, density: Array, level: Array) -> Array:
    """Probability (n,) of the pieces where the density exceeds `level` (n,), less that of zero."""
    pieces = _pieces(grid, density, level)
    if marginal.starts_at_zero:
        # What lies below the first point belongs to the piece that begins there.
        pieces = np.where(pieces == grid[:, :1, None], 0.0, pieces)
    if marginal.family.is_discrete:  # the first count belongs to the piece
        pieces = np.stack([np.ceil(pieces[..., 0]) - 1, pieces[..., 1]], axis=-1)
    ends = np.where(np.isnan(pieces), 0.0, pieces).reshape(len(pieces), -1)
    below = marginal.cdf(ends).reshape(pieces.shape)
    return np.where(np.isnan(pieces[..., 0]), 0.0, below[..., 1] - below[..., 0]).sum(axis=1)


def _pieces(grid: Array, density: Array, level: Array) -> Array:
    """Pieces (n, P, 2) where the density, linear between the points, is at least `level` (n,)."""
    rows, place, first, last = _runs(density >= level[:, None])

    def edge(inside: Places, outside: Places) -> Array:
        """Where the density crosses the level, or the end of the grid."""
        outside = np.clip(outside, 0, grid.shape[1] - 1)
        above = density[rows, inside] - level[rows]
        drop = density[rows, inside] - density[rows, outside]
        part = above / np.where(drop > 0, drop, np.inf)
        return grid[rows, inside] + part * (grid[rows, outside] - grid[rows, inside])

    return _placed(len(grid), rows, place, edge(first, first - 1), edge(last, last + 1))


def _runs(inside: NDArray[np.bool_]) -> tuple[Places, Places, Places, Places]:
    """Of each run of `inside` (n, M) its row, which of the row's it is, its first and last."""
    none = np.zeros((len(inside), 1), dtype=bool)
    rows, columns = np.nonzero(np.diff(np.hstack([none, inside, none]), axis=1))
    rows, first, last = rows[::2], columns[::2], columns[1::2] - 1
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    return rows, place, first, last


def _placed(n_rows: int, rows: Places, place: Places, begins: Array, ends: Array) -> Array:
    """Pieces (n, P, 2), one at least."""
    pieces = np.full((n_rows, 1 + int(place.max(initial=0)), 2), np.nan)
    pieces[rows, place, 0], pieces[rows, place, 1] = begins, ends
    return pieces


def _likeliest(probability: Array, coverage: float) -> NDArray[np.bool_]:
    """The likeliest counts (n, M) that hold `coverage` between them."""
    order = np.argsort(-probability, axis=1, kind="stable")
    total = np.cumsum(np.take_along_axis(probability, order, axis=1), axis=1)
    needed = np.hstack([np.ones((len(total), 1), dtype=bool), total[:, :-1] < coverage])
    inside = np.zeros_like(needed)
    np.put_along_axis(inside, order, needed, axis=1)
    return inside
