"""The mixture of experts for class labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression

from ._base import BaseMixtureOfExperts
from ._numeric import Array
from ._training import Training
from ._validation import StrOptions, check_is_fitted, check_label_target, fit_context
from .families import Categorical, Family


class MixtureOfExpertsClassifier(ClassifierMixin, BaseMixtureOfExperts):
    """placeholder"""

    _parameter_constraints = {
        **BaseMixtureOfExperts._parameter_constraints,
        "voting": [StrOptions({"soft", "hard"})],
    }

    def __init__(
        self,
        experts: Any = None,
        n_experts: int = 2,
        *,
        gate: Any = None,
        voting: str = "soft",
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
        self.voting = voting
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

    def predict(self, X: Any) -> NDArray:
        """Predict."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X: Any) -> Array:
        """Probabilities."""
        check_is_fitted(self)
        log_gate, said = self._parts_at(X)
        if self.voting == "hard":
            said = np.eye(len(self.classes_))[said.argmax(axis=2)]
        elif self.n_experts_ > 1:
            said = self._family.adjust(said, self.dispersions_)
        proba = np.einsum("nk,nkc->nc", np.exp(log_gate), said)
        return proba

    def predict_experts(self, X: Any) -> Array:
        """Class probabilities of each expert on its own."""
        check_is_fitted(self)
        return self._parts_at(X)[1]

    def _default_expert(self) -> Any:
        return LogisticRegression(solver="newton-cholesky")

    def _check_target(self, X: Any, y: Any, weight: Array) -> tuple[NDArray, NDArray, Any]:
        y = check_label_target(self, X, y)
        # A class whose rows all weigh nothing is no class, as if its rows were not there.
        classes = np.unique(y[weight > 0])
        codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        return y, codes, classes

    def _fit_family(self, training: Training) -> Family:
        return Categorical(self._class_prior(training), in_sample=training.splits is None)

    def _class_prior(self, training: Training) -> Array:
        data = training.data
        mass = np.bincount(data.target, data.sample_weight, len(data.classes))
        return mass / mass.sum()

    def _target_attributes(self, training: Training) -> dict[str, Any]:
        return {"classes_": training.data.classes, "class_prior_": self._class_prior(training)}

    def _encode_target(self, y: Any) -> NDArray:
        y = np.asarray(y)
        codes = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
        if (self.classes_[codes] != y).any():
            unknown = np.setdiff1d(y, self.classes_)
            raise ValueError(f"y holds labels {list(unknown[:5])} that were not seen in fit.")
        return codes

    @property
    def _family(self) -> Family:
        return Categorical(self.class_prior_)
