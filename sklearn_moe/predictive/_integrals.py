"""CRPS and entropy of mixtures: in closed form for Gaussians, else by quadrature."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtr

from .._numeric import Array, safe_log
from ..families import Gaussian
from ._marginal import Marginal, by_rows, by_size

# Levels of each component's quantiles between which integrands are smooth. With these nodes the
# relative error of CRPS is 2e-5 for Student-t of three degrees of freedom, less for lighter tails;
# 7e-3 for 1.05, 1e-3 for gamma laws of dispersion three, 1e-2 for those of dispersion ten.
LEVELS = np.concatenate([[1e-9, 1e-7, 1e-5], ndtr(np.linspace(-3.0, 3.0, 7))])
LEVELS = np.concatenate([LEVELS, 1 - LEVELS[2::-1]])
CRPS_NODES, ENTROPY_NODES = 4, 10
# Counts are summed in steps of this many; where they may be large, so many are.
COUNTS = 64
SINGLY = np.ones(1)


def crps(marginal: Marginal, y: Array) -> Array:
    """Continuous ranked probability scores (n,) of targets `y` (n,)."""
    is_known = np.isfinite(y)
    scores = by_size(_scores, marginal, np.where(is_known, y, 0.0))
    return np.where(is_known, scores, np.abs(y))


def _scores(marginal: Marginal, y: Array) -> Array:
    n_components = marginal.means.shape[1]
    # A subclass may have formulas of its own.
    if type(marginal.family).cdf is Gaussian.cdf:
        return by_rows(_gaussian_crps, marginal, n_components, y)
    if marginal.counts_singly:
        return by_rows(_count_crps, marginal, COUNTS, y)
    if marginal.family.is_discrete:
        size = ENTROPY_NODES * len(LEVELS) * n_components
        return by_rows(_large_count_crps, marginal, size, y)
    return by_rows(_crps, marginal, CRPS_NODES * len(LEVELS) * n_components, y)


def entropy(marginal: Marginal) -> Array:
    """Entropies (n,) in nats: differential ones, but for counts and a zero that has probability."""
    return by_size(_entropies, marginal)


def _entropies(marginal: Marginal) -> Array:
    if marginal.counts_singly:
        return by_rows(_count_entropy, marginal, COUNTS)
    return by_rows(_entropy, marginal, ENTROPY_NODES * len(LEVELS) * marginal.means.shape[1])


def _gaussian_crps(marginal: Marginal, y: Array) -> Array:
    """E|Y - y| - E|Y - Y'| / 2 (Grimit, Gneiting, Berrocal and Johnson, 2006)."""
    weights, means, variances = marginal.weights, marginal.means, marginal.law[0]
    apart = means[:, :, None] - means[:, None, :]
    spread = np.broadcast_to(variances[:, :, None] + variances[:, None, :], apart.shape)
    far = _mean_distance(y[:, None] - means, variances)
    between = np.einsum("ni,nj,nij->n", weights, weights, _mean_distance(apart, spread))
    return (weights * far).sum(axis=1) - 0.5 * between


def _mean_distance(center: Array, variance: Array) -> Array:
    """Mean absolute value of a Gaussian."""
    scale = np.sqrt(variance)
    ratio = center / scale
    with np.errstate(over="ignore"):  # of values beyond all numbers
        density = np.exp(-0.5 * ratio**2) / np.sqrt(2 * np.pi)
    return scale * (2 * density + ratio * (2 * ndtr(ratio) - 1))


def _crps(marginal: Marginal, y: Array) -> Array:
    """By quadrature."""
    points, lengths = _nodes(marginal, CRPS_NODES, y)
    below = marginal.rough_cdf(points) - (points >= y[:, None])
    return (below**2 * lengths).sum(axis=1)


def _large_count_crps(marginal: Marginal, y: Array) -> Array:
    """By quadrature over counts behind the first, which may be likely by themselves.

    A sum over counts is the integral from half a count before the first, of what is smooth there.
    """
    above = np.ceil(y)
    points, lengths = _nodes(marginal, ENTROPY_NODES, above - 0.5, least=COUNTS - 0.5)
    counts = np.floor(points)
    part, under, over = points - counts, marginal.cdf(counts), marginal.cdf(counts + 1)
    below = under + part * (over - under) - (points >= above[:, None] - 0.5)
    # The target is within a cell, not at its end.
    within = np.where(y > COUNTS, (above - y) * (1 - 2 * marginal.cdf(y[:, None])[:, 0]), 0.0)
    few = np.arange(COUNTS, dtype=float)
    first = _cells(_sums(marginal, few), y, few) + np.maximum(-y, 0.0)
    return (below**2 * lengths).sum(axis=1) + within + first


def _entropy(marginal: Marginal) -> Array:
    """By quadrature; of counts the first are summed."""
    if marginal.family.is_discrete:
        points, lengths = _nodes(marginal, ENTROPY_NODES, least=COUNTS - 0.5)
        first = _surprises(marginal, np.arange(COUNTS, dtype=float)[None]).sum(axis=1)
        return _surprises(marginal, np.rint(points), lengths).sum(axis=1) + first
    points, lengths = _nodes(marginal, ENTROPY_NODES, by_ratio=marginal.starts_at_zero)
    total, at_zero = _surprises(marginal, points, lengths).sum(axis=1), marginal.at_zero()
    return total - at_zero * np.log(np.where(at_zero > 0, at_zero, 1.0))


def _surprises(marginal: Marginal, points: Array, lengths: Array = SINGLY) -> Array:
    """Negative log density (n, M) at points (n or 1, M), times the probability of their lengths.

    Where densities overflow, the probabilities do not.
    """
    log_pdf = marginal.log_pdf(points)
    with np.errstate(divide="ignore"):  # of no length
        mass = np.exp(log_pdf + np.log(lengths))
    # Where the density is zero its logarithm does not count; nor do the two ends of the line.
    return -mass * np.where(np.isfinite(log_pdf), log_pdf, 0.0)


def _nodes(
    marginal: Marginal,
    n_nodes: int,
    *also: Array,
    least: float = -np.inf,
    by_ratio: bool = False,
) -> tuple[Array, Array]:
    """Nodes (n, M) and their weights, between the quantiles of the components and `also` (n,).

    None is below the `least`. If `by_ratio`, they lie evenly in the logarithm where there is one:
    the densities of skewed laws change with that.
    """
    ends = marginal.component_quantiles(LEVELS[None]).reshape(len(marginal), -1)
    if marginal.starts_at_zero:
        also = (*also, np.zeros(len(marginal)))
    ends = np.maximum(np.sort(np.column_stack([ends, *also]), axis=1), least)
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    points, lengths = _between(ends, nodes, weights)
    if by_ratio:
        above = (ends[:, :-1] > 0)[..., None]
        logs, steps = _between(safe_log(ends), nodes, weights)
        points = np.where(above, np.exp(logs), points)
        lengths = np.where(above, points * steps, lengths)
    return points.reshape(len(marginal), -1), lengths.reshape(len(marginal), -1)


def _between(ends: Array, nodes: Array, weights: Array) -> tuple[Array, Array]:
    """Nodes (n, M - 1, N) and their weights in each interval between `ends` (n, M)."""
    half = 0.5 * np.diff(ends, axis=1)[..., None]
    middle = 0.5 * (ends[:, 1:] + ends[:, :-1])[..., None]
    return middle + half * nodes, half * weights


def _count_crps(marginal: Marginal, y: Array) -> Array:
    total, last, below = np.maximum(-y, 0.0), 0.0, np.zeros((len(marginal), 1))
    for counts in _counts(marginal.last_counts):
        below = np.minimum(below[:, -1:] + _sums(marginal, counts), 1.0)
        total, last = total + _cells(below, y, counts), counts[-1]
    return total + np.maximum(y - (last + 1), 0.0)


def _sums(marginal: Marginal, counts: Array) -> Array:
    """Probability (n, M) of all of the `counts` up to each; distribution functions take longer."""
    return np.cumsum(np.exp(marginal.log_pdf(counts[None])), axis=1)


def _cells(below: Array, y: Array, counts: Array) -> Array:
    """The part (n,) of the score between each of the `counts` and the next one.

    The probability of values up to a count is `below` (n, M).
    """
    above = np.clip(counts + 1 - y[:, None], 0.0, 1.0)  # what of the cell is above the target
    return ((1 - above) * below**2 + above * (below - 1) ** 2).sum(axis=1)


def _count_entropy(marginal: Marginal) -> Array:
    parts = (_surprises(marginal, counts[None]) for counts in _counts(marginal.last_counts))
    return sum((part.sum(axis=1) for part in parts), np.zeros(len(marginal)))


def _counts(last: Array) -> Iterator[Array]:
    """All counts up to the largest of `last`, in pieces."""
    for first in range(0, int(last.max()) + 1, COUNTS):
        yield np.arange(first, first + COUNTS, dtype=np.float64)
