"""The mixture of experts for real targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.linear_model import Ridge

from ._base import BaseMixtureOfExperts
from ._numeric import Array
from ._training import Training
from ._validation import StrOptions, check_is_fitted, check_real_target, fit_context
from .families import Family, Gaussian, gaussian_for


class MixtureOfExpertsRegressor(RegressorMixin, BaseMixtureOfExperts):
    """placeholder"""

    _parameter_constraints = {
        **BaseMixtureOfExperts._parameter_constraints,
        "family": [StrOptions({"gaussian"})],
    }

    def __init__(
        self,
        experts: Any = None,
        n_experts: int = 2,
        *,
        gate: Any = None,
        family: str = "gaussian",
        cv: Any = 5,
        init: Any = "auto",
        n_init: int = 4,
        min_responsibility: float | str = "auto",
        max_iter: int = 100,
        tol: float = 1e-4,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.experts = experts
        self.n_experts = n_experts
        self.gate = gate
        self.family = family
        self.cv = cv
        self.init = init
        self.n_init = n_init
        self.min_responsibility = min_responsibility
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> Any:
        """Fit."""
        return self._fit(X, y, sample_weight, fit_params)

    def predict(self, X: Any) -> Array:
        """Predict."""
        check_is_fitted(self)
        log_gate, mean = self._parts_at(X)
        predicted = np.einsum("nk,nkq->nq", np.exp(log_gate), mean)
        return predicted.reshape(-1, *self.target_shape_)

    def predict_experts(self, X: Any) -> Array:
        """What each expert predicts on its own."""
        check_is_fitted(self)
        mean = self._parts_at(X)[1]
        return mean.reshape(*mean.shape[:2], *self.target_shape_)

    def _default_expert(self) -> Any:
        # Exact also for sparse input, where Ridge solves iteratively.
        return Ridge(tol=1e-10)

    def _check_target(self, X: Any, y: Any, weight: Array) -> tuple[NDArray, NDArray, Any]:
        y = check_real_target(self, X, y)
        return y, y.reshape(len(y), -1).astype(np.float64), None

    def _fit_family(self, training: Training) -> Family:
        return gaussian_for(training.data.target, training.data.sample_weight)

    def _target_attributes(self, training: Training) -> dict[str, Any]:
        return {"target_shape_": training.data.y.shape[1:]}

    @property
    def _dispersion(self) -> Array:
        return self.dispersions_.reshape(self.n_experts_, -1)

    def _encode_target(self, y: Any) -> NDArray:
        y = np.asarray(y, dtype=np.float64)
        return y.reshape(len(y), -1)

    @property
    def _family(self) -> Family:
        return Gaussian(np.zeros(1))

    def __sklearn_tags__(self) -> Any:
        return super().__sklearn_tags__()
