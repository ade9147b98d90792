"""Any regressor as a gate, fitted to the responsibilities themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.multioutput import MultiOutputRegressor
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from .._content import content_ids, row_hashes
from .._numeric import Array, safe_log
from .._rows import n_rows
from .._validation import HasMethods, fit_context, last_step, with_inputs_of
from ..weighting import fit_weighted
from ._base import Gate, beside_weights, naming, routing_of_fit
from ._encoded import check_expert_weights, rows_of_weight, shares_and_weights


class RegressorGate(Gate):
    """Any regressor, fitted to the responsibilities as a target of several outputs.

    The target of a row is its responsibilities and its weight is the sample weight; predictions are
    clipped at zero and normalised. A regressor that averages (neighbours, trees, forests) predicts
    probabilities by itself, and sees each row once, not once for each expert. Single-output
    regressors are fitted once for each expert; regressors that take no weights see a systematic
    sample of the rows.

    Parameters
    ----------
    regressor : regressor or Pipeline
        Any scikit-learn regressor, or a pipeline that ends in one.

    Attributes
    ----------
    regressor_ : regressor
        The fitted regressor, with one output for each expert.
    floor_ : float
        Probability mass added and spread evenly over the experts, ``1 / (1 + sum of weights)``.
    n_experts_ : int
        Number of experts.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> from sklearn_moe.gates import RegressorGate
    >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> responsibilities = np.array([[1.0, 0.0], [0.8, 0.2], [0.2, 0.8], [0.0, 1.0]])
    >>> gate = RegressorGate(KNeighborsRegressor(2)).fit(X, responsibilities)
    >>> gate.predict_proba([[-3.0]]).round(2)
    array([[0.83, 0.17]])
    """

    _parameter_constraints = {"regressor": [HasMethods(["fit", "predict"])]}

    def __init__(self, regressor: Any) -> None:
        self.regressor = regressor

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, expert_weights: Array, **fit_params: Any) -> RegressorGate:
        """Fit to soft targets.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Features.
        expert_weights : array-like of shape (n_samples, n_experts)
            Responsibilities times sample weights, none negative.
        **fit_params : dict
            Metadata for the regressor's `fit`.

        Returns
        -------
        self : RegressorGate
            The fitted gate.

        Raises
        ------
        ValueError
            If the regressor cannot be fitted to them.
        """
        expert_weights = check_expert_weights(X, expert_weights)
        X, expert_weights, fit_params = rows_of_weight(X, expert_weights, fit_params)
        share, weight = shares_and_weights(expert_weights)
        rank = content_ids(row_hashes(X, share))
        with naming(self.regressor, f"fit to the responsibilities of {n_rows(X)} rows"):
            regressor = _for_outputs(self.regressor)
            params = beside_weights(fit_params)
            self.regressor_ = fit_weighted(regressor, X, share, weight, rank, params)
        self.n_experts_ = share.shape[1]
        self.floor_ = 1.0 / (1.0 + weight.sum())
        return self

    def predict_log_proba(self, X: Any) -> Array:
        check_is_fitted(self, "regressor_")
        with naming(self.regressor, f"predict {n_rows(X)} rows"):
            predicted = np.asarray(self.regressor_.predict(X), dtype=np.float64)
        n_outputs = predicted.shape[1] if predicted.ndim == 2 else 1
        if n_outputs != self.n_experts_:
            raise TypeError(
                f"gate={self.regressor!r} has {n_outputs} outputs; there are {self.n_experts_} "
                "experts. A regressor that was fitted before must have one output for each expert."
            )
        share = np.clip(predicted.reshape(-1, self.n_experts_), 0.0, 1.0)
        share += self.floor_ / self.n_experts_
        return safe_log(share / share.sum(axis=1, keepdims=True))

    def get_metadata_routing(self) -> Any:
        """What the regressor asks for.

        Returns
        -------
        routing : MetadataRouter
            Requests of the regressor.
        """
        return routing_of_fit(self, regressor=self.regressor)

    def __sklearn_tags__(self) -> Any:
        return with_inputs_of(super().__sklearn_tags__(), self.regressor)


def _for_outputs(regressor: Any) -> Any:
    """A clone that takes several outputs, one by one if it cannot take them together.

    A frozen regressor is taken as it is.
    """
    last = last_step(regressor)
    together = isinstance(last, FrozenEstimator) or get_tags(last).target_tags.multi_output
    return clone(regressor) if together else MultiOutputRegressor(clone(regressor))
