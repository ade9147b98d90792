"""A gate that does not look: the mixture of regressions."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._numeric import Array, safe_log
from .._rows import n_rows
from .._validation import with_inputs_of
from ._base import Gate
from ._encoded import check_expert_weights

DIGITS = 12


class ConstantGate(Gate):
    """The same mixing proportions for every row, estimated by the mean responsibilities.

    Attributes
    ----------
    mixing_proportions_ : ndarray of shape (n_experts,)
        Proportion of each expert; they sum to one.
    n_experts_ : int
        Number of experts.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe.gates import ConstantGate
    >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> responsibilities = np.array([[1.0, 0.0], [0.9, 0.1], [0.8, 0.2], [0.5, 0.5]])
    >>> ConstantGate().fit(X, responsibilities).predict_proba([[5.0]])
    array([[0.8, 0.2]])
    """

    def fit(self, X: Any, expert_weights: Array) -> ConstantGate:
        """Fit the proportions.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Features, which are not looked at.
        expert_weights : array-like of shape (n_samples, n_experts)
            Responsibilities times sample weights.

        Returns
        -------
        self : ConstantGate
            The fitted gate.
        """
        mass = check_expert_weights(X, expert_weights).sum(axis=0)
        # Rounded, lest rounding errors tell equal proportions apart, and top_k choose by them.
        proportions = (mass / mass.sum()).round(DIGITS)
        self.mixing_proportions_ = proportions / proportions.sum()
        self.n_experts_ = len(mass)
        return self

    def predict_log_proba(self, X: Any) -> Array:
        """Log proportions, repeated for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows, which are only counted.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_experts)
            Log proportions.
        """
        check_is_fitted(self, "mixing_proportions_")
        return np.tile(safe_log(self.mixing_proportions_), (n_rows(X), 1))

    def count_parameters(self) -> int:
        """Number of free parameters.

        Returns
        -------
        count : int
            One less than there are experts.
        """
        return len(self.mixing_proportions_) - 1

    def __sklearn_tags__(self) -> Any:
        return with_inputs_of(super().__sklearn_tags__())
