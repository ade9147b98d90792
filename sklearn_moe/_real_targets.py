"""What a fitted regressor says besides the mean: distributions, intervals, quantiles, draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ._base import BaseMixtureOfExperts
from ._conformal import Calibration
from ._fitting import Fit
from ._forecasts import Forecast, joined
from ._information import count_estimator
from ._nesting import unfold
from ._noise import Noise
from ._numeric import Array
from ._predictions import held, limits_of, predict_acting, predict_expert
from ._queries import shares_of
from ._routing import Routing
from ._specialisation import Specialisation
from ._spread import relative_dispersion
from ._targets import real_numbers
from ._templates import Template, make_template, says_zero
from ._training import Training
from ._validation import HasMethods, Interval, StrOptions, check_coverage
from .families import FAMILIES, Contaminated, Family, RealFamily, resolve_family
from .families._base import law_by_row
from .leaning import Leaning, LeaningMeans, can_lean
from .predictive import MixtureDistribution
from .predictive._queries import DistributionQueries

# The laws that `family="auto"` stands for. Starts race under the first, which gross errors do not
# lead astray; in sample the last is taken, since a richer law always looks better there.
LAWS_TO_TRY = ["student_t", "gaussian"]


class RealTargets(DistributionQueries, BaseMixtureOfExperts):
    """The law of the target, and queries about it; not for use."""

    family_: RealFamily | Contaminated
    target_shape_: tuple[int, ...]
    calibration_: Calibration | None
    baseline_: Any
    lean_variance_: Any
    prediction_limits_: Array | None

    _parameter_constraints = {
        **BaseMixtureOfExperts._parameter_constraints,
        "family": [StrOptions({"auto", *FAMILIES}), RealFamily],
        "dispersion_estimator": [HasMethods(["fit", "predict"]), None],
        "outlier_fraction": [Interval(Real, 0, 0.5, closed="left")],
        "calibrate": [StrOptions({"noise", "conformal"}), None],
        "extrapolation": [Interval(Real, 0, None, closed="left"), None],
    }

    def predict_experts(self, X: Any) -> Array:
        """Predictions of each expert after shrinkage and leaning, clipped to `prediction_limits_`.

        For shrinkage see `shared_expert`, for leaning `lean`.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_experts_) or (n_samples, n_experts_, n_outputs)
            Predictions of the experts.
        """
        mean = self._experts_at(X)
        return mean.reshape(*mean.shape[:2], *self.target_shape_)

    def predict_dist(self, X: Any) -> MixtureDistribution:
        """Predictive distribution of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        distribution : MixtureDistribution
            Density, quantiles, intervals, draws and scores, for all rows at once.
        """
        routing, mean, law = self._laws_at(X)
        return distribution_of(self.family_, routing.log_gate, mean, law, self.target_shape_)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Array:
        """Central interval that holds the target with probability `coverage`.

        With ``calibrate="conformal"``, its ends are the quantiles between which that share of the
        targets of held-out rows fell in the distributions that were predicted for them; ends are
        infinite if there were too few rows to tell.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to predict.
        coverage : float, default=0.9
            Between 0 and 1, both excluded.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            Lower and upper ends.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1.

        References
        ----------
        V. Chernozhukov, K. Wüthrich and Y. Zhu, "Distributional conformal prediction", PNAS
        118(48), 2021. R. F. Barber, E. J. Candès, A. Ramdas and R. J. Tibshirani, "Predictive
        inference with the jackknife+", Annals of Statistics 49(1), 2021.
        """
        coverage, distribution = check_coverage(coverage), self.predict_dist(X)
        if self.calibration_ is None:
            return distribution.interval(coverage)
        low, high = self.calibration_.levels(coverage)
        levels = np.unique([low, high])
        ends = distribution.ppf(levels).reshape(len(distribution), -1, len(levels))
        outputs = np.arange(ends.shape[1])
        sides = [ends[:, outputs, np.searchsorted(levels, side)] for side in (low, high)]
        return np.stack(sides, axis=-1).reshape(len(distribution), *self.target_shape_, 2)

    def outlier_proba(self, X: Any, y: Any) -> Array:
        """Probability that each target came from the background and from no expert.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.

        Returns
        -------
        proba : ndarray of shape (n_samples,)
            Probabilities; zero if `outlier_fraction` is.
        """
        check_is_fitted(self)
        check_consistent_length(X, y)
        target = self._encode_target(y)
        if not isinstance(self.family_, Contaminated):
            return np.zeros(len(target))
        routing, mean, law = self._laws_at(X)
        with np.errstate(over="ignore"):  # of targets beyond all numbers
            log_prob = self._family.log_prob(target, mean, law)
            clean = self.family_.clean_proba(target, mean, law)
        return 1.0 - (shares_of(routing, routing.log_gate + log_prob) * clean).sum(axis=1)

    # What the law of the target is.

    def _validate_training(self, *given: Any) -> Training:
        training = super()._validate_training(*given)
        if training.splits is None:
            # EM in sample is monotone only if experts minimise the very error that it sees,
            # unclipped.
            return training
        limits = limits_of(training.data.target, self.extrapolation)
        return replace(training, data=replace(training.data, limits=limits))

    def _fit_families(self, training: Training) -> list[Family]:
        families = [self.family]
        if isinstance(self.family, str) and self.family == "auto":
            families = LAWS_TO_TRY[-1:] if training.splits is None else LAWS_TO_TRY
        return [self._prepared(training, resolve_family(family)) for family in families]

    def _prepared(self, training: Training, family: RealFamily) -> Family:
        """The law with what it takes from the target, and the background if there is one."""
        data = training.data
        for name, unused in (("outlier_fraction", 0.0), ("dispersion_estimator", None)):
            given = getattr(self, name)
            if given != unused and not family.is_location_scale:
                raise ValueError(
                    f"{name}={given} is for family='gaussian', 'student_t' and 'laplace'; got "
                    f"{self.family!r}. Use {name}={unused}."
                )
        family = family.prepared(data.target, data.sample_weight, self._has_expert_for_zeros())
        if not self.outlier_fraction:
            return family
        return Contaminated(clean=family, fraction=float(self.outlier_fraction))

    def _has_expert_for_zeros(self) -> bool:
        return any(says_zero(expert) for _, expert in unfold(self, {}).leaves)

    def _calibrates(self) -> bool:
        if self.calibrate == "conformal" and self.cv is None:
            raise ValueError(
                f"calibrate={self.calibrate!r} needs out-of-fold distributions, and cv is None. "
                "Use cv=5."
            )
        return self.calibrate is not None

    def _leans(self, how: Specialisation, family: Family) -> bool:
        if self.lean not in (False, "auto") and not can_lean(family):
            raise ValueError(
                f"lean=True needs a law with is_location_scale; got family={self.family!r}, "
                f"outlier_fraction={self.outlier_fraction}. Use lean='auto'."
            )
        return super()._leans(how, family) and can_lean(family)

    def _forecast_of(self, fit: Fit) -> Forecast | None:
        forecasts, noise = fit.kept.forecasts, fit.kept.noise
        if not forecasts:
            return None
        return joined(forecasts).under(noise.of_forecasts()).among_given(fit.training.kept)

    def _target_attributes(self, fit: Fit) -> dict[str, Any]:
        shape, found = fit.training.data.y.shape[1:], fit.kept
        calibration, limits = None, limits_of(fit.training.data.target, self.extrapolation)
        if self.calibrate == "conformal":
            calibration = calibration_of(found.noise.of_forecasts(), found.forecasts, shape)
        return {
            "target_shape_": shape,
            "family_": found.noise.family,
            "dispersion_factor_": _factors(found.noise, shape),
            "calibration_": calibration,
            "dispersion_experts_": found.mixture.dispersion_experts,
            "baseline_": None if found.leaning is None else found.leaning.expert,
            "lean_variance_": _variances(found.leaning, shape),
            "prediction_limits_": None if limits is None else limits.reshape(2, *shape),
        }

    def _spread_template(self, seed: int) -> Template | None:
        given = self.dispersion_estimator
        if given is None:
            return None
        if isinstance(given, type) or is_classifier(given):
            raise TypeError(
                f"dispersion_estimator={given!r} is not a regressor. Pass an instance of one, such "
                "as Ridge(); it predicts the logarithms of squared residuals."
            )
        return make_template("dispersion_estimator", given, seed, {})

    def _other_parts(self) -> dict[str, Any]:
        given = self.dispersion_estimator
        return {} if given is None else {"dispersion_estimator": given}

    def _laws_of(self, X: Any) -> tuple[Routing, Array, Array]:
        routing, mean, law = self._laws_of_experts(X)
        if self.baseline_ is not None:
            toward = self._clipped(predict_expert(self.baseline_, X, None))
            leaning = LeaningMeans(self.baseline_, np.ravel(self.lean_variance_))
            mean, law = leaning.leaned(mean, law, toward)
        return routing, mean, law

    def _clipped(self, predicted: Array) -> Array:
        limits = self.prediction_limits_
        return held(predicted, None if limits is None else limits.reshape(2, -1))

    def _encode_target(self, y: Any) -> NDArray:
        y = real_numbers(y)
        if np.isnan(y).any():
            raise ValueError("y holds NaN, for which there is no density. Leave these rows out.")
        n_outputs = math.prod(y.shape[1:])
        if n_outputs != self._law.shape[1]:
            raise ValueError(
                f"y has shape {y.shape}; the mixture was fitted to targets of shape "
                f"(n_samples,{''.join(f' {size}' for size in self.target_shape_)})."
            )
        return y.reshape(len(y), n_outputs)

    def _count_leaning(self) -> int:
        if self.baseline_ is None:
            return 0
        variances = int(np.count_nonzero(np.isfinite(self.lean_variance_)))
        return count_estimator(self.baseline_, "baseline_") + variances

    def _laws_of_experts(self, X: Any) -> tuple[Routing, Array, Array]:
        """The experts that act, what they say before they lean, and the parameters of their law."""
        routing, mean = self._parts_at(X)
        if self.dispersion_experts_ is None:
            return routing, mean, routing.slots.gather(self._law)
        predicted = predict_acting(self.dispersion_experts_, X, None, routing.slots)
        relative = relative_dispersion(predicted)
        return routing, mean, law_by_row(routing.slots.gather(self._law), relative)


def distribution_of(
    family: RealFamily | Contaminated,
    log_gate: Array,
    mean: Array,
    law: Array,
    target_shape: tuple[int, ...],
) -> MixtureDistribution:
    """The mixture of the experts' laws, and of the background if there is one."""
    mean, law = family.adjust(mean, law), family.floored(law)
    if isinstance(family, Contaminated):
        log_gate, mean, law = family.with_background(log_gate, mean, law)
        family = family.clean
    return MixtureDistribution(family.of_means(), log_gate, mean, law, target_shape)


def _factors(noise: Noise, target_shape: tuple[int, ...]) -> Any:
    """What the dispersions were multiplied by: a number, or (n_outputs,) for several outputs."""
    factors = [change.factor for change in noise.changes] or np.ones(target_shape).ravel().tolist()
    return np.array(factors) if target_shape else factors[0]


def _variances(leaning: Leaning | None, target_shape: tuple[int, ...]) -> Any:
    """Variance of experts around the baseline: a number, or (n_outputs,) for several outputs."""
    variance = np.full(target_shape, np.inf)
    if isinstance(leaning, LeaningMeans):
        variance = leaning.variance
    return variance.reshape(target_shape) if target_shape else float(variance.item())


def calibration_of(
    noise: Noise, forecasts: Sequence[Forecast], target_shape: tuple[int, ...]
) -> Calibration:
    """Where the targets of forecasts fell in their predicted distributions."""
    fallen = [_fallen(noise, forecast, target_shape) for forecast in forecasts]
    return Calibration(*(np.concatenate(parts) for parts in zip(*fallen, strict=True)))


def _fallen(
    noise: Noise, forecast: Forecast, target_shape: tuple[int, ...]
) -> tuple[Array, Array, Array]:
    """Probabilities (m, q) below and up to the targets, and the weights (m,) of the rows."""
    law, n_rows = noise.law_of(forecast.law), len(forecast.rows)
    distribution = distribution_of(
        noise.family, forecast.log_gate, forecast.mean, law, target_shape
    )
    targets = forecast.target.reshape(n_rows, *target_shape)
    below, up_to = distribution.cdf_below(targets), distribution.cdf(targets)
    return below.reshape(n_rows, -1), up_to.reshape(n_rows, -1), forecast.weight
