"""Noise with heavy tails: Student's t."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from scipy import stats
from scipy.special import digamma, gammaln, stdtr

from .._maximise import top_of
from .._numeric import Array
from ._real import RealFamily, without_output

LEAST_DF, MOST_DF = 1.05, 200.0
# Steps of the scale for each trial of the degrees of freedom, and at the end; a smaller change ends
# them.
SCALE_STEPS, LAST_STEPS = 8, 200
SETTLED = 1e-10
# Angles of a table of probabilities, which is linear between them to 3e-7; as many probabilities
# take as long without a table as to make one. And how many scales from the middle 45 degrees are.
N_ANGLES = MANY = 2**14
DIAGONAL = 3.0


@dataclass(frozen=True, kw_only=True)
class StudentT(RealFamily):
    """Student's t around the expert's output; the dispersion is the squared scale.

    A scale mixture of Gaussians: a row far from an expert's output gets a small latent weight in
    the expert's next fit, so squared-error experts become robust ones.

    Parameters
    ----------
    df : float, default=None
        Degrees of freedom, above 1; None estimates them for each expert, between 1.05 and 200. The
        variance is infinite up to 2.
    reweight : bool, default=True
        Whether experts are fitted under latent weights. False for experts that are robust by
        themselves.
    shared : bool, default=False
        Whether all experts have the same dispersion and degrees of freedom.

    References
    ----------
    D. Peel and G. J. McLachlan, "Robust mixture modelling using the t distribution", Statistics and
    Computing 10(4), 2000. F. Chamroukhi, "Robust mixture of experts modeling using the t
    distribution", Neural Networks 79, 2016. J. T. Kent, D. E. Tyler and Y. Vardi, "A curious
    likelihood identity for the multivariate t-distribution", Communications in Statistics 23(2),
    1994 (the step of the scale).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import MixtureOfExpertsRegressor
    >>> from sklearn_moe.families import StudentT
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1))
    >>> y = 2 * np.abs(X[:, 0]) + 0.1 * rng.standard_t(3, size=200)
    >>> mixture = MixtureOfExpertsRegressor(family=StudentT(df=3), random_state=0).fit(X, y)
    >>> mixture.df_
    array([3., 3.])
    """

    df: float | None = None
    reweight: bool = True

    # Beyond these degrees of freedom the law is Gaussian, and its formulas lose their digits.
    largest_df: ClassVar[float] = 1e6
    n_parameters: ClassVar[int] = 2
    is_location_scale: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_switch("reweight", self.reweight)
        most = self.largest_df
        if self.df is not None and not (isinstance(self.df, Real) and 1 < self.df <= most):
            raise ValueError(
                f"df={self.df!r} must be a number above 1 and at most {most:.0f}, or None to "
                "estimate it; for more use family='gaussian'."
            )

    @property
    def n_estimated(self) -> int:
        """The scale, and the degrees of freedom if they are not given."""
        return 2 if self.df is None else 1

    def count_parameters(self, dispersion: Array) -> int:
        """Squared scales, and degrees of freedom of each expert, or each output, if not given."""
        count, df = super().count_parameters(dispersion), dispersion[..., 1]
        if self.shared or self.df is not None:
            return count
        # Calibration finds one number for all experts, and none where there are no tails; estimates
        # are equal only at the ends of their range.
        at_end = np.isclose(df[0], LEAST_DF) | np.isclose(df[0], MOST_DF)
        common = (df == df[0]).all(axis=0) & ~at_end
        uses = np.count_nonzero(dispersion[:, common, 0], axis=0)
        found = (uses > 0) & (df[0, common] < self.largest_df)
        return count - int(uses.sum()) + int(found.sum())

    def frozen(self, mean: Array, *law: Array) -> Any:
        """The law as a frozen distribution of scipy."""
        return stats.t(law[1], mean, np.sqrt(law[0]))

    def log_density(self, y: Array, mean: Array, *law: Array) -> Array:
        """Log density of `y`."""
        return _log_density((mean - y) ** 2, *law)

    def cdf(self, y: Array, mean: Array, *law: Array) -> Array:
        """Probability of values up to `y`."""
        return stdtr(law[1], (y - mean) / np.sqrt(law[0]))

    def rough_cdf(self, y: Array, mean: Array, *law: Array) -> Array:
        """Probability of values up to `y` to 1e-6, from a table if points are many."""
        scale2, df = law
        ratio, df = (y - mean) / np.sqrt(scale2), df[:1] if (df == df[:1]).all() else df
        found = np.unique(df).tolist()
        if ratio.size < MANY * len(found) or type(self).cdf is not StudentT.cdf:
            return self.cdf(y, mean, *law)
        if len(found) == 1:
            return _looked_up(ratio, found[0])
        below = np.empty_like(ratio)
        for value in found:
            here = np.broadcast_to(df == value, ratio.shape)
            below[here] = _looked_up(ratio[here], value)
        return below

    def ppf(self, level: Array, mean: Array, *law: Array) -> Array:
        """Quantile at `level`."""
        return mean + np.sqrt(law[0]) * stats.t.ppf(level, law[1])

    @property
    def resists_outliers(self) -> bool:
        """Whether rows far from a prediction lose their weight: if it reweights them."""
        return self.reweight

    def latent_output(self, y: Array, mean: Array, *law: Array) -> Array | None:
        """The expected precision of each row, in units of the dispersion."""
        return _precision((mean - y) ** 2, *law) if self.reweight else None

    def fit_output(self, y: Array, mean: Array, weights: Array) -> tuple[Array, ...]:
        """Squared scale and degrees of freedom (K,), jointly most likely."""
        # An expert's rows side by side: they are summed many times.
        squared, weights = np.ascontiguousarray((mean - y).T) ** 2, np.ascontiguousarray(weights.T)
        scale2 = np.maximum(_means(squared, weights), self.floor)

        def improve(df: Array, n_steps: int) -> None:
            nonlocal scale2
            for _ in range(n_steps):
                pull = weights / (squared + (df * scale2)[:, None])
                before, scale2 = scale2, np.maximum(_means(squared, pull), self.floor)
                if (np.abs(scale2 - before) <= SETTLED * before).all():
                    break

        def slope(log_df: Array) -> Array:
            improve(df := np.exp(log_df), SCALE_STEPS)
            return _sums(weights, _slope(squared / scale2[:, None], df[:, None]))

        df = np.full(len(scale2), self.df or np.nan)
        if self.df is None:
            df = np.exp(top_of(slope, *np.log(np.outer([LEAST_DF, MOST_DF], np.ones_like(df)))))
        improve(df, LAST_STEPS)
        return scale2, df

    def attributes(self, dispersion: Array) -> dict[str, Any]:
        """Squared scales and degrees of freedom, each (K,) or (K, q)."""
        return super().attributes(dispersion) | {"df_": without_output(dispersion[..., 1])}


def _looked_up(ratio: Array, df: float) -> Array:
    """Probabilities of standard values up to each `ratio`, linear between those of a table.

    The angles of the table are evenly spaced, and the last of them stands for infinity.
    """
    place = (np.arctan(ratio / DIAGONAL) / np.pi + 0.5) * N_ANGLES
    first = np.clip(place.astype(np.intp), 0, N_ANGLES - 1)
    below, rise = _table(df)
    return below.take(first) + (place - first) * rise.take(first)


@lru_cache(maxsize=64)
def _table(df: float) -> tuple[Array, Array]:
    """Probabilities up to the angles, and how much lies between each and the next one."""
    angles = np.pi * (np.arange(N_ANGLES + 1) / N_ANGLES - 0.5)
    below = stdtr(df, DIAGONAL * np.tan(angles))
    below[[0, -1]] = 0.0, 1.0
    return below, np.diff(below)


def _means(values: Array, weights: Array) -> Array:
    """Weighted mean of each row."""
    return _sums(values, weights) / weights.sum(axis=1)


def _sums(values: Array, weights: Array) -> Array:
    return np.einsum("kn,kn->k", values, weights)


def _precision(squared: Array, scale2: Array, df: Array) -> Array:
    return (df + 1) / (df + squared / scale2)


def _log_density(squared: Array, scale2: Array, df: Array) -> Array:
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(np.pi * df * scale2)
    return constant - (df + 1) / 2 * np.log1p(squared / (df * scale2))


def _slope(ratio: Array, df: Array) -> Array:
    """Derivative of the log density by `df`; that of the scale, which is at its best, is zero."""
    constant = digamma((df + 1) / 2) - digamma(df / 2) - 1 / df
    return 0.5 * (constant - np.log1p(ratio / df) + (df + 1) * ratio / (df * (df + ratio)))
