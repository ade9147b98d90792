"""What the laws of real targets have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .._numeric import IMPOSSIBLE, Array
from ._base import Family, without_points
from ._target import Target

RELATIVE_FLOOR = 1e-8
# The relative error that rounding may leave after many steps. A larger one would show in the
# dispersions of targets far from zero, such as times in seconds.
ROUNDING = 1e-13
# A positive law has no mean of zero. Lower means are raised to this part of the target's: an expert
# that has seen only zeros is not sure that there is nothing else.
LEAST_MEAN = 1e-3
# Means below this part of the target's are zero but for rounding.
NO_MEAN = 1e-12
# An expert with less than this part of its weight on rows that are not zero is one for zeros.
NEGLIGIBLE = 1e-3
# From this number on, some whole numbers cannot be told from their neighbours.
LARGEST_COUNT = 2.0**53
# From this count on, formulas by logarithms of factorials leave too few digits.
LARGE_COUNT = 1e6


@dataclass(frozen=True, kw_only=True)
class RealFamily(Family):
    """Law of a real target around what an expert says; several outputs are independent.

    A subclass writes the law for one output, in formulas where `y` is (n, 1) or (n, K), `mean`
    (n, K), and each parameter of the law (K,) or (n, K). The first parameter is the dispersion, on
    the scale of a variance. In arrays of all outputs the parameters come last: (K, q, P), or
    (n, K, q, P) where they differ by row.

    Parameters
    ----------
    shared : bool, default=False
        Whether all experts have the same dispersion.
    """

    shared: bool = False
    target: Target | None = field(default=None, repr=False)

    n_parameters: ClassVar[int] = 1
    is_discrete: ClassVar[bool] = False
    is_location_scale: ClassVar[bool] = False
    exact_ppf: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._check_switch("shared", self.shared)
        if not (self.exact_ppf or isinstance(self, PositiveFamily)):
            raise TypeError(
                f"exact_ppf=False is for laws of positive targets; {type(self).__name__} is no "
                "PositiveFamily. Write its ppf, to the last digit."
            )

    def _check_switch(self, name: str, value: Any) -> None:
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name}={value!r} must be True or False.")

    # What a law writes.

    @abstractmethod
    def frozen(self, mean: Array, *law: Array) -> Any:
        """The law as a frozen distribution of scipy."""

    @abstractmethod
    def fit_output(self, y: Array, mean: Array, weights: Array) -> tuple[Array, ...]:
        """Most likely parameters, each (K,), of one output under `weights` (n, K)."""

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log density, or log probability, of `y`."""
        law_at = self.frozen(mean, *law)
        return law_at.logpmf(y) if self.is_discrete else law_at.logpdf(y)

    def cdf(self, y: Array, mean: Array, *law: Array) -> Array:
        """Probability of values up to `y`."""
        return self.frozen(mean, *law).cdf(y)

    def rough_cdf(self, y: Array, mean: Array, *law: Array) -> Array:
        """Probability of values up to `y` to 1e-6, enough for integrals; a law may be faster."""
        return self.cdf(y, mean, *law)

    def ppf(self, level: Array, mean: Array, *law: Array) -> Array:
        """Quantile at `level`; a rough one if the law says that `exact_ppf` is false."""
        return self.frozen(mean, *law).ppf(level)

    def variance(self, mean: Array, *law: Array) -> Array:
        """Variance around the mean."""
        return np.broadcast_to(self.frozen(mean, *law).var(), mean.shape)

    def draw(self, generator: np.random.RandomState, mean: Array, *law: Array) -> Array:
        """One draw for each entry of `mean`."""
        return self.frozen(mean, *law).rvs(size=mean.shape, random_state=generator)

    def latent_output(self, y: Array, mean: Array, *law: Array) -> Array | None:
        """Latent weights (n, K) of one output; None where all weigh the same."""
        return None

    def admit(self, mean: Array, output: int, *law: Array) -> Array:
        """The means (n, K) that the law takes in place of `mean`; itself by default."""
        return mean

    def check_target(self, y: Array, takes_zeros: bool) -> None:
        """Raise a ValueError if the target (n, q) is not of this law; by default all real are."""

    # What follows from that for all outputs.

    def prepared(self, y: Array, sample_weight: Array, takes_zeros: bool = False) -> RealFamily:
        """The law with what it takes from a target (n, q).

        `takes_zeros` says that there is a special expert for zeros.
        """
        self.check_target(y, takes_zeros)
        return replace(self, target=Target.of(y, sample_weight))

    @cached_property
    def floor(self) -> Array:
        """Smallest dispersions (q,).

        A target that was rounded, to whole numbers say, is known up to a step, and the density of a
        narrow law at one value would grow without bound. That of a Gaussian law is limited to one
        per step: nobody can be more than certain of a value.
        """
        mean, variance = self.moments
        # Means of neighbours, trees and boosting are sums, whose rounding is that of many steps.
        rounding = (ROUNDING * np.abs(mean)) ** 2
        floor = np.maximum(RELATIVE_FLOOR * variance, rounding)
        if self.target is not None:
            floor = np.maximum(floor, self.target.step**2 / (2 * np.pi))
        return np.where(floor > 0, floor, np.finfo(np.float64).eps)

    def floored(self, dispersion: Array) -> Array:
        """Parameters (..., q, P) with no dispersion below the floor; a point mass stays one."""
        if not self.is_location_scale or (dispersion[..., 0] >= self.floor).all():
            return dispersion
        floored = dispersion.copy()
        floored[..., 0] = np.maximum(floored[..., 0], self.floor)
        return floored

    @property
    def moments(self) -> tuple[Array, Array]:
        """Mean and variance (q,) of the target; zero as long as none is known."""
        if self.target is None:
            return np.zeros(1), np.zeros(1)
        return self.target.mean, self.target.variance

    def log_prob(self, y: Array, mean: Array, dispersion: Array) -> Array:
        """Log density (n, K), summed over outputs."""
        densities = self.outputs(y, mean, self.floored(dispersion))
        # Laws of users may return what cannot be written to.
        total = np.require(self.log_density(*next(densities)), np.float64, "W")
        for parts in densities:
            total += self.log_density(*parts)
        return total

    def outputs(self, y: Array, mean: Array, dispersion: Array) -> Iterator[tuple[Array, ...]]:
        """For each output its targets, means and parameters."""
        for output in range(mean.shape[-1]):
            law = self.law_of(dispersion, output)
            yield _column(y, output), self.admit(mean[..., output], output, *law), *law

    def law_of(self, dispersion: Array, output: int) -> tuple[Array, ...]:
        """The parameters of one output."""
        return tuple(dispersion[..., output, p] for p in range(self.n_parameters))

    def fit_dispersion(
        self, y: Array, mean: Array, expert_weights: Array, relative: Array | None = None
    ) -> Array:
        """Most likely parameters (K, q, P)."""
        if relative is not None:
            # Residuals in units of their own spread: a location-scale law does not see the change.
            y = mean + (y[:, None] - mean) / np.sqrt(relative)
        fitted = [
            self._fit_column(_column(y, output), mean[..., output], expert_weights, output)
            for output in range(mean.shape[-1])
        ]
        return np.stack([np.stack(law, axis=-1) for law in fitted], axis=1)

    def _fit_column(self, y: Array, mean: Array, weights: Array, output: int) -> tuple:
        mean = self.admit(mean, output)
        at_output = self.of_outputs([output])
        if not self.shared:
            return at_output.fit_output(y, mean, weights)
        flat = [np.broadcast_to(part, mean.shape).reshape(-1, 1) for part in (y, mean, weights)]
        return tuple(np.repeat(value, mean.shape[1]) for value in at_output.fit_output(*flat))

    def latent_weights(self, y: Array, mean: Array, dispersion: Array) -> Array | None:
        """Latent weights (n, K); of several outputs their mean."""
        parts_of = self.outputs(y, mean, self.floored(dispersion))
        by_output = [self.latent_output(*parts) for parts in parts_of]
        known = [weights for weights in by_output if weights is not None]
        return sum(known[1:], start=known[0]) / len(known) if known else None

    def adjust(self, mean: Array, dispersion: Array) -> Array:
        """The means (n, K, q) that the law takes."""
        if type(self).admit is RealFamily.admit:
            return mean
        laws = [self.law_of(dispersion, output) for output in range(mean.shape[-1])]
        return np.stack(
            [self.admit(mean[..., output], output, *law) for output, law in enumerate(laws)],
            axis=-1,
        )

    def of_outputs(self, outputs: Any) -> RealFamily:
        """The law of some of the outputs."""
        if self.target is None or list(outputs) == list(range(len(self.target.mean))):
            return self  # with the floor that it has found
        return replace(self, target=self.target.take(outputs))

    @property
    def n_estimated(self) -> int:
        """How many of its parameters the law estimates; all by default."""
        return self.n_parameters

    def count_parameters(self, dispersion: Array) -> int:
        """Numbers estimated: of each expert and output, or output; none for a point mass."""
        estimated = dispersion[..., 0] != 0
        if self.shared:
            estimated = estimated.any(axis=0)
        return self.n_estimated * int(np.count_nonzero(estimated))

    @property
    def pools_dispersion(self) -> bool:
        """Whether all experts have the same dispersion."""
        return self.shared

    def of_means(self) -> RealFamily:
        """The law around means that have been adjusted."""
        return self

    def attributes(self, dispersion: Array) -> dict[str, Any]:
        """Dispersions (K,) or (K, q); no degrees of freedom."""
        law = self.floored(dispersion)
        return {"dispersions_": without_output(law[..., 0]), "df_": None, "_law": law}


class PositiveFamily(RealFamily):
    """Law of a target that is not negative.

    An expert that predicts zero for every row, but for rounding, is a point mass at zero, of
    dispersion zero (where the law allows zeros anyway, only if the expert's rows are zero, too).
    The means of all other experts are at least a thousandth of the target's.
    """

    allows_zero: ClassVar[bool] = False

    @property
    def has_point_mass(self) -> bool:
        """An expert for zeros."""
        return True

    def check_target(self, y: Array, takes_zeros: bool) -> None:
        """Raise if a target is negative, or zero where the law cannot be."""
        name, lowest = type(self).__name__, float(y.min())
        if (y == 0).all(axis=0).any():
            raise ValueError(f"The {name} law needs a target that is not zero everywhere.")
        if lowest < 0:
            raise ValueError(
                f"The {name} law is for targets that are not negative; y holds {lowest:.6g}. Use "
                "family='gaussian', 'student_t' or 'laplace'."
            )
        if lowest == 0 and not (self.allows_zero or takes_zeros):
            raise ValueError(
                f"The {name} law is for positive targets; y holds 0. Use family='tweedie', or add "
                "an expert for zeros: ('zero', DummyRegressor(strategy='constant', constant=0))."
            )

    def surprise(self, y: Array, log_prob: Array) -> Array:
        """How badly (n,) rows are explained; positive amounts count in units of the mean.

        Zeros may have probabilities, while amounts have densities, which depend on a unit.
        """
        unit = np.log(np.maximum(self.moments[0], np.finfo(np.float64).tiny))
        return -log_prob - np.where(y > 0, unit, 0.0).sum(axis=1)

    def admit(self, mean: Array, output: int, *law: Array) -> Array:
        """Means of at least a small part of the target's own."""
        known = self.moments[0]
        # A law of one output, or one that knows no target, has one mean for all.
        least = LEAST_MEAN * known[min(output, len(known) - 1)]
        return np.maximum(mean, max(least, np.finfo(np.float64).tiny))

    def telling_weights(self, y: Array, weights: Array) -> Array:
        """Rows that the law cannot explain say nothing of its dispersion."""
        if self.allows_zero or not (y == 0).any():
            return weights
        return np.where((y > 0).all(axis=1, keepdims=True), weights, 0.0)

    def says_zero(self, mean: Array) -> NDArray[np.bool_]:
        """Whether means (..., q) are zero but for rounding."""
        return np.abs(mean) <= NO_MEAN * self.moments[0]

    def adjust(self, mean: Array, dispersion: Array) -> Array:
        """The means (n, K, q) that the law takes; zero for a point mass."""
        return np.where(dispersion[..., 0] == 0, 0.0, super().adjust(mean, dispersion))

    def fit_dispersion(
        self, y: Array, mean: Array, expert_weights: Array, relative: Array | None = None
    ) -> Array:
        """Most likely parameters (K, q, P), those of the expert for zeros all zero."""
        weights = self.telling_weights(y, expert_weights)
        # An expert without rows that tell takes those of all experts or, if there are none, any.
        for rest in (weights.sum(axis=1, keepdims=True), 1.0):
            weights = np.where(weights.sum(axis=0) > 0, weights, 1e-300 * rest)
        says_zero = np.asarray(self.says_zero(mean).all(axis=0))
        if self.allows_zero:
            # An expert that predicts zero by chance is no point mass while it holds other rows.
            share = np.einsum("nk,nq->kq", expert_weights, y > 0)
            says_zero &= share < NEGLIGIBLE * expert_weights.sum(axis=0)[:, None]
        if self.pools_dispersion and not (silent := says_zero.all(axis=1)).all():
            weights = np.where(silent, 0.0, weights)  # a point mass has none to share
        law = super().fit_dispersion(y, mean, weights)
        law[says_zero] = 0.0
        return law

    def log_prob(self, y: Array, mean: Array, dispersion: Array) -> Array:
        """Log density (n, K), summed over outputs; very low, not infinite, where impossible."""
        return self._log_prob(y, mean, dispersion, IMPOSSIBLE)

    def exact_log_prob(self, y: Array, mean: Array, dispersion: Array) -> Array:
        """Log density (n, K), summed over outputs."""
        return self._log_prob(y, mean, dispersion, -np.inf)

    def _log_prob(self, y: Array, mean: Array, dispersion: Array, least: float) -> Array:
        total = np.zeros(mean.shape[:2])
        for target, center, *law in self.outputs(y, mean, dispersion):
            none = law[0] == 0
            live = [without_points(value, none) for value in law]
            with np.errstate(divide="ignore", invalid="ignore"):
                density = self.log_density(target, center, *live)
            density = np.where(np.isfinite(density), density, -np.inf)
            point = np.where(target == 0, 0.0, least)
            total += np.where(none, point, np.maximum(density, least))
        return total


class CountFamily(PositiveFamily):
    """Law of counts."""

    is_discrete: ClassVar[bool] = True
    allows_zero: ClassVar[bool] = True

    def surprise(self, y: Array, log_prob: Array) -> Array:
        """How badly (n,) rows are explained: all have probabilities."""
        return -log_prob

    def check_target(self, y: Array, takes_zeros: bool) -> None:
        """Raise if a target is no count."""
        super().check_target(y, takes_zeros)
        fractions = y[y != np.rint(y)]
        if fractions.size:
            raise ValueError(
                f"The {type(self).__name__} law is for counts; y holds {fractions[0]:.6g}. Use "
                "family='gamma' or 'tweedie' for amounts."
            )
        if y.max() > LARGEST_COUNT:
            raise ValueError(
                f"The {type(self).__name__} law is for counts of up to 2**53; y holds "
                f"{y.max():.6g}, and above this floats skip whole numbers. Use family='gamma'."
            )

    def _log_prob(self, y: Array, mean: Array, dispersion: Array, least: float) -> Array:
        total = super()._log_prob(y, mean, dispersion, least)
        is_count = ((y >= 0) & (y == np.rint(y))).all(axis=-1)
        return np.where(is_count if y.ndim == 3 else is_count[:, None], total, least)


class UndispersedFamily(CountFamily):
    """Law of counts that is known by its mean; its dispersion is reported as one."""

    @property
    def n_estimated(self) -> int:
        """No parameter is estimated."""
        return 0

    def fit_output(self, y: Array, mean: Array, weights: Array) -> tuple[Array, ...]:
        """Ones (K,)."""
        return (np.ones(weights.shape[1]),)


def without_output(values: Array) -> Array:
    """Values (K,) where there is one output, (K, q) where there are several."""
    return values[:, 0] if values.shape[1:] == (1,) else values


def _column(y: Array, output: int) -> Array:
    """One output of targets (n, q) as (n, 1), of targets (n, K, q), one for each expert, (n, K)."""
    return y[:, output, None] if y.ndim == 2 else y[..., output]
