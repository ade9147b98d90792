"""The predictive distribution: a mixture of the experts' noise laws for every row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .._numeric import Array, log_sum, row_blocks
from .._targets import real_numbers
from .._validation import check_coverage, check_number
from ..families import RealFamily
from ._integrals import crps, entropy
from ._marginal import Marginal
from ._quantiles import quantiles, quantiles_by_row
from ._regions import highest_density, modes, widened

KINDS = ("central", "highest_density")


@dataclass(frozen=True, eq=False)
class MixtureDistribution:
    """Predictive distribution of the targets of n rows, one mixture for each.

    Made by ``MixtureOfExpertsRegressor.predict_dist``. Below, *target shape* is (n,) where the
    target had one dimension, else (n, n_outputs). Given the expert, outputs are independent;
    results for one output are about its marginal. ``len(distribution)`` is n, and
    ``distribution[rows]`` is the distribution of some rows (an index, a slice, a mask).

    Parameters
    ----------
    family : RealFamily
        The noise law of the components.
    log_weights : ndarray of shape (n, J)
        Log probabilities of the components, of the gate if there is no background.
    means : ndarray of shape (n, J, n_outputs)
        Their means.
    law : ndarray of shape (J, n_outputs, P) or (n, J, n_outputs, P)
        Their parameters, the dispersion first.
    target_shape : tuple of int
        Empty, or (n_outputs,).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(500, 1))
    >>> y = np.where(rng.uniform(size=500) < 0.5, 2, -2) * X[:, 0] + 0.1 * rng.normal(size=500)
    >>> mixture = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
    >>> distribution = mixture.predict_dist([[1.0]])
    >>> distribution.interval(0.9, kind="highest_density").round(0)  # two pieces
    array([[[-2., -2.],
            [ 2.,  2.]]])
    """

    family: RealFamily
    log_weights: Array
    means: Array
    law: Array
    target_shape: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.log_weights)

    def __getitem__(self, rows: Any) -> MixtureDistribution:
        rows = np.atleast_1d(np.arange(len(self))[rows])
        if rows.ndim > 1 or not len(rows):
            raise IndexError(f"Select a row, or several; the selection has shape {rows.shape}.")
        law = self.law[rows] if self.law.ndim == 4 else self.law
        return MixtureDistribution(
            self.family, self.log_weights[rows], self.means[rows], law, self.target_shape
        )

    def __repr__(self) -> str:
        law = type(self.family).__name__
        return f"MixtureDistribution({len(self)} rows, {self.means.shape[1]} {law} components)"

    @property
    def is_discrete(self) -> bool:
        """Whether the target is a count."""
        return self.family.is_discrete

    @property
    def weights(self) -> Array:
        """Probabilities of the components, (n, J)."""
        return np.exp(self.log_weights)

    def mean(self) -> Array:
        """Means, of target shape."""
        return self._shaped(np.einsum("nk,nkq->nq", self.weights, self.means))

    def var(self) -> Array:
        """Variances, of target shape: those within the components and that between them."""
        return self.var_within() + self.var_between()

    def std(self) -> Array:
        """Standard deviations, of target shape."""
        return np.sqrt(self.var())

    def var_within(self) -> Array:
        """Mean variance within the components, of target shape: noise."""

        def within(part: Marginal) -> Array:
            # Leaves out products of a zero weight and an infinite variance.
            known = np.where(part.weights > 0, part.variances(), 0.0)
            return (part.weights * known).sum(axis=1)

        return self._each(within)

    def var_between(self) -> Array:
        """Variance between the components' means, of target shape: not knowing which one acts."""

        def between(part: Marginal) -> Array:
            mean = (part.weights * part.means).sum(axis=1, keepdims=True)
            return (part.weights * (part.means - mean) ** 2).sum(axis=1)

        return self._each(between)

    def logpdf(self, y: Any) -> Array:
        """Log density (log probability, for counts) of targets.

        Parameters
        ----------
        y : array-like of target shape
            Targets, one for each row.

        Returns
        -------
        logpdf : ndarray of shape (n,)
            Joint over outputs.
        """
        y = self._targets(y)
        parts = enumerate(self._marginals())
        total = sum(part.log_components(y[:, [j]])[..., 0] for j, part in parts)
        return log_sum((total + self.log_weights)[..., None])[:, 0]

    def pdf(self, y: Any) -> Array:
        """Density (probability, for counts) of targets.

        Parameters
        ----------
        y : array-like of target shape
            Targets, one for each row.

        Returns
        -------
        pdf : ndarray of shape (n,)
            Joint over outputs.
        """
        return np.exp(self.logpdf(y))

    def cdf(self, y: Any) -> Array:
        """Probability of values up to the targets.

        Parameters
        ----------
        y : array-like of target shape
            Targets, one for each row.

        Returns
        -------
        cdf : ndarray of target shape
            For each output by itself.
        """
        return self._each(lambda part, at: part.cdf(at[:, None])[:, 0], self._targets(y))

    def cdf_below(self, y: Any) -> Array:
        """Probability of values below the targets; equal to `cdf` for continuous laws.

        Parameters
        ----------
        y : array-like of target shape
            Targets, one for each row.

        Returns
        -------
        cdf_below : ndarray of target shape
            For each output by itself.
        """
        return self._each(lambda part, at: part.cdf_below(at[:, None])[:, 0], self._targets(y))

    def ppf(self, q: Any) -> Array:
        """Quantiles: the value that the target stays below with probability `q`.

        Found by Newton's method, kept within a bracket, to 1e-13 of the probability on the smaller
        side; for counts, the smallest count whose cumulative probability reaches `q`.

        Parameters
        ----------
        q : float or array-like of shape (m,)
            Levels between 0 and 1.

        Returns
        -------
        ppf : ndarray of target shape, or target shape + (m,)
            Quantiles.

        Raises
        ------
        ValueError
            If a level is not between 0 and 1.
        """
        levels = _levels(q, most_axes=1)
        found = self._each(lambda part: quantiles(part, np.atleast_1d(levels)))
        return found if levels.ndim else found[..., 0]

    def ppf_by_row(self, q: Any) -> Array:
        """Quantiles at another level for each row.

        Parameters
        ----------
        q : array-like of target shape
            Levels between 0 and 1.

        Returns
        -------
        ppf : ndarray of target shape
            Quantiles.

        Raises
        ------
        ValueError
            If a level is not between 0 and 1.
        """
        return self._each(quantiles_by_row, self._targets(_levels(q), "q", "level"))

    def interval(self, coverage: float = 0.9, kind: str = "central") -> Array:
        """Regions that hold the target with probability `coverage`.

        Parameters
        ----------
        coverage : float, default=0.9
            Between 0 and 1, both excluded.
        kind : {"central", "highest_density"}, default="central"
            Between two quantiles, with the same probability outside on either side; or the smallest
            region, which may be in several pieces. To find that, the density is interpolated on a
            grid of quantiles of the components; its probability is exact to about 1e-6.

        Returns
        -------
        interval : ndarray of target shape + (2,), or target shape + (n_pieces, 2)
            Lower and upper ends; pieces that a row does not have are NaN.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1, or `kind` is neither of these.
        """
        coverage = check_coverage(coverage)
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r} must be one of {KINDS}.")
        if kind == "central":
            return self.ppf([0.5 - 0.5 * coverage, 0.5 + 0.5 * coverage])
        regions = [highest_density(part, coverage) for part in self._marginals()]
        most = max(pieces.shape[1] for pieces in regions)
        return self._shaped(np.stack([widened(pieces, most) for pieces in regions], axis=1))

    def mode(self) -> Array:
        """Points of highest density, of target shape; the most probable count.

        For amounts, zero if it has at least half of the probability; else the densest of the
        others, since a density cannot be compared with a probability.
        """
        return self._each(modes)

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Array:
        """Draws.

        Parameters
        ----------
        n_samples : int, default=1
            Draws for each row.
        random_state : int, RandomState instance or None, default=None
            Source of randomness.

        Returns
        -------
        sample : ndarray of target shape + (n_samples,)
            Draws; the outputs of one draw come from one component.

        Raises
        ------
        ValueError
            If `n_samples` is not a whole number above 0.
        """
        check_number("n_samples", n_samples, Integral, 1)
        generator = check_random_state(random_state)
        chance, limits = generator.uniform(size=(len(self), n_samples, 1)), self.weights.cumsum(1)
        last = self.means.shape[1] - 1

        def draw(part: Marginal) -> Array:
            laws = [np.broadcast_to(value, part.means.shape) for value in part.live]
            drawn = np.empty(chance.shape[:2])
            for rows in row_blocks(len(self), n_samples * (last + 1)):
                chosen = np.minimum((chance[rows] > limits[rows, None]).sum(axis=2), last)
                at = np.arange(len(self))[rows, None], chosen
                law_at = (law[at] for law in laws)
                values = self.family.draw(generator, part.live_means[at], *law_at)
                drawn[rows] = np.where(part.points[at], 0.0, values)
            return drawn

        return self._each(draw)

    def crps(self, y: Any) -> Array:
        """Continuous ranked probability scores: mean absolute error for whole distributions.

        In closed form for Gaussian laws, else by quadrature: the relative error is 5e-5 for
        moderate tails (Student-t of three degrees of freedom), and 1e-2 for little more than one
        degree of freedom and for very skewed laws.

        Parameters
        ----------
        y : array-like of target shape
            Targets, one for each row.

        Returns
        -------
        crps : ndarray of target shape
            Scores in the unit of the target, lower is better; for each output by itself.

        References
        ----------
        T. Gneiting and A. E. Raftery, "Strictly proper scoring rules, prediction, and estimation",
        Journal of the American Statistical Association 102, 2007.
        """
        return self._each(crps, self._targets(y))

    def entropy(self) -> Array:
        """Entropies in nats, of target shape: differential, or of probabilities for counts.

        By quadrature between quantiles: too high for gamma laws of dispersions above 30, whose
        lowest quantiles are too small for floats.
        """
        return self._each(entropy)

    def to_skpro(self) -> Any:
        """The marginals as a distribution of skpro, which has to be installed.

        Returns
        -------
        distribution : skpro.distributions.base.BaseDistribution
            Of shape (n, n_outputs), with moments, densities, probabilities and quantiles.

        Raises
        ------
        ImportError
            If skpro is not installed.
        """
        from ._skpro import SkproMixture

        return SkproMixture(self, index=range(len(self)))

    # The way from all outputs to one and back.

    def _marginals(self) -> list[Marginal]:
        law = self.law if self.law.ndim == 4 else self.law[None]
        weights = self.weights
        return [
            Marginal(
                self.family,
                weights,
                self.means[..., output],
                tuple(law[:, :, output, p] for p in range(law.shape[-1])),
            )
            for output in range(self.means.shape[2])
        ]

    def _each(self, function: Callable[..., Array], *targets: Array) -> Array:
        """A function of each output's mixture, and targets (n, q), in target shape."""
        found = [
            function(part, *(target[:, output] for target in targets))
            for output, part in enumerate(self._marginals())
        ]
        return self._shaped(np.stack(found, axis=1))

    def _shaped(self, values: Array) -> Array:
        """Values (n, q, ...) without the axis of outputs if the target has none."""
        return values.reshape(len(values), *self.target_shape, *values.shape[2:])

    def _targets(self, y: Any, name: str = "y", what: str = "target") -> Array:
        y, shape = real_numbers(y), (len(self), *self.target_shape)
        if y.shape not in (shape, (*shape, 1)):  # one output may come as a column
            raise ValueError(
                f"{name} must have the shape {shape}, one {what} for each row of the "
                f"distribution; got {y.shape}."
            )
        return y.reshape(len(self), -1)


def _levels(q: Any, most_axes: int = 2) -> Array:
    """Levels of quantiles as an array of so many axes at most."""
    levels = np.asarray(q, dtype=np.float64)
    if levels.ndim > most_axes or not ((levels >= 0) & (levels <= 1)).all():
        raise ValueError(f"q={q!r} must be a level between 0 and 1, or an array of them.")
    return levels
