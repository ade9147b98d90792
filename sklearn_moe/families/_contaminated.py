"""Any location-scale law with a few rows that are no expert's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._numeric import Array
from ._base import Family, law_by_row
from ._real import RealFamily

# The background's scale, in standard deviations of the target.
BREADTH = 3.0
BACKGROUND_DF = 3.0
N_STEPS, SETTLED = 50, 1e-8
# A finite log density that stands for none.
LEAST = -1e300


@dataclass(frozen=True, kw_only=True)
class Contaminated(Family):
    """The `clean` law, but for a `fraction` of the rows that come from a broad background.

    The background is the same law around the mean of the target (a Student-t one with three degrees
    of freedom), its scale three standard deviations of the target. Rows that it explains better
    than an expert does lose their weight in the expert's fit.
    """

    clean: RealFamily
    fraction: float

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise ValueError(f"fraction={self.fraction!r} must be above 0 and below 1.")

    @property
    def resists_outliers(self) -> bool:
        """Rows that the background explains lose their weight."""
        return True

    @property
    def pools_dispersion(self) -> bool:
        """Whether all experts have the same dispersion."""
        return self.clean.pools_dispersion

    @property
    def background(self) -> tuple[Array, Array]:
        """Mean (1, 1, q) and parameters (1, q, P) of the background."""
        center, variance = self.clean.moments
        rest = [np.full_like(variance, BACKGROUND_DF)] * (self.clean.n_parameters - 1)
        broad = np.maximum(BREADTH**2 * variance, self.clean.floor)
        return center[None, None], np.stack([broad, *rest], axis=-1)[None]

    def log_prob(self, y: Array, mean: Array, dispersion: Array) -> Array:
        """Log density (n, K), background included."""
        return np.logaddexp(*self._parts(self.clean.log_prob, y, mean, dispersion))

    def exact_log_prob(self, y: Array, mean: Array, dispersion: Array) -> Array:
        """Log density (n, K), background included, of any targets."""
        return np.logaddexp(*self._parts(self.clean.exact_log_prob, y, mean, dispersion))

    def surprise(self, y: Array, log_prob: Array) -> Array:
        """How badly (n,) rows are explained, in the terms of the clean law."""
        return self.clean.surprise(y, log_prob)

    def _parts(
        self, log_prob: Callable[..., Array], y: Array, mean: Array, dispersion: Array
    ) -> tuple[Array, Array]:
        center, law = self.background
        clean = log_prob(y, mean, dispersion)
        clean += np.log1p(-self.fraction)
        broad = log_prob(y, np.broadcast_to(center, (len(y), *center.shape[1:])), law)
        return clean, np.broadcast_to(np.log(self.fraction) + broad, clean.shape)

    def clean_proba(self, y: Array, mean: Array, dispersion: Array) -> Array:
        """Probability (n, K) that a row is the expert's, if it is its own or the background's."""
        clean, broad = self._parts(self.clean.log_prob, y, mean, dispersion)
        # Targets too large for a density under either are the background's.
        return np.exp(clean - np.logaddexp(clean, np.maximum(broad, LEAST)))

    def fit_dispersion(
        self, y: Array, mean: Array, expert_weights: Array, relative: Array | None = None
    ) -> Array:
        """Most likely parameters (K, q, P), by EM between rows and background."""
        law = self.clean.fit_dispersion(y, mean, expert_weights, relative)
        for _ in range(N_STEPS):
            before = law
            by_row = law if relative is None else law_by_row(law, relative)
            weights = expert_weights * self.clean_proba(y, mean, by_row)
            weights = np.where(weights.sum(axis=0) > 0, weights, expert_weights)
            law = self.clean.fit_dispersion(y, mean, weights, relative)
            if np.allclose(law, before, rtol=SETTLED, atol=0):
                break
        return law

    def latent_weights(self, y: Array, mean: Array, dispersion: Array) -> Array:
        """Probability that a row is an expert's, times the law's own weights."""
        clean = self.clean_proba(y, mean, dispersion)
        latent = self.clean.latent_weights(y, mean, dispersion)
        return clean if latent is None else clean * latent

    def with_background(
        self, log_gate: Array, mean: Array, dispersion: Array
    ) -> tuple[Array, Array, Array]:
        """Log weights (n, K + 1), means and parameters of the experts and the background."""
        center, law = self.background
        n_samples = len(log_gate)
        share = np.full((n_samples, 1), np.log(self.fraction))
        law = np.broadcast_to(law, (*dispersion.shape[:-3], *law.shape))
        return (
            np.hstack([log_gate + np.log1p(-self.fraction), share]),
            np.concatenate([mean, np.broadcast_to(center, (n_samples, *center.shape[1:]))], axis=1),
            np.concatenate([dispersion, law], axis=-3),
        )

    def adjust(self, mean: Array, dispersion: Array) -> Array:
        """The means that the law takes."""
        return self.clean.adjust(mean, dispersion)

    def floored(self, dispersion: Array) -> Array:
        """Parameters with no dispersion below the floor."""
        return self.clean.floored(dispersion)

    def count_parameters(self, dispersion: Array) -> int:
        """Parameters of the law: fraction and background are not estimated with it."""
        return self.clean.count_parameters(dispersion)

    def attributes(self, dispersion: Array) -> dict[str, Any]:
        """Fitted attributes of the law."""
        return self.clean.attributes(dispersion)
