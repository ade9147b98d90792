"""The default gate: multinomial logit on soft targets."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._design import TabularEncoder
from .._numeric import Array, log_normalize, row_blocks
from .._validation import Interval
from ..logit import (
    SoftLogit,
    blocks_of,
    is_at_hand,
    numbers_of,
    proba_columns,
    row_scores,
    scores_of,
    solve,
    sum_zero_basis,
    weights_of_numbers,
)
from ._base import Gate
from ._encoded import SearchingGate
from ._table import GateTable

# Rows in a block of scores of many experts: fewer are not worth a call, more leave a core's cache.
SCORED_AT_ONCE = 2048


class SoftmaxGate(SearchingGate):
    """Linear softmax gate: a multinomial logit fitted to responsibilities.

    Minimises the cross-entropy between the responsibilities and the gate probabilities plus an L2
    penalty on the coefficients of the standardised features. The intercepts are not penalised.
    Missing values are put at the mean and marked by an indicator; text and categorical columns are
    one-hot encoded (the 30 heaviest categories of each); sparse input stays sparse.

    Parameters
    ----------
    alpha : float, default=0.1
        Strength of the L2 penalty, at least 0, on the scale of summed sample weights: the inverse
        of `C` in scikit-learn's ``LogisticRegression``. With 0 the gate is the maximum likelihood
        one, which does not exist where a hyperplane separates the regions.
    max_iter : int, default=100
        Largest number of Newton steps in one fit; of L-BFGS steps, ten times as many.
    tol : float, default=1e-8
        A fit ends when no entry of the gradient exceeds `tol`, per unit of sample weight.

    Attributes
    ----------
    coef_ : ndarray of shape (n_experts, n_encoded_features)
        Coefficients of the standardised, encoded features; each column sums to zero.
    intercept_ : ndarray of shape (n_experts,)
        Intercepts; they sum to zero.
    encoder_ : TabularEncoder
        How the features are standardised and encoded.
    n_experts_ : int
        Number of experts.
    n_iter_ : int
        Steps taken by the solver.

    References
    ----------
    M. I. Jordan and R. A. Jacobs, "Hierarchical mixtures of experts and the EM algorithm", Neural
    Computation 6(2), 1994. K. Chen, L. Xu and H. Chi, "Improved learning algorithms for mixture of
    experts in multiclass classification", Neural Networks 12(9), 1999 (why the Hessian must be the
    exact one).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import SoftmaxGate
    >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> responsibilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9]])
    >>> gate = SoftmaxGate(alpha=0.0).fit(X, responsibilities)
    >>> gate.predict_proba(X).round(2)
    array([[0.92, 0.08],
           [0.77, 0.23],
           [0.23, 0.77],
           [0.08, 0.92]])
    """

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, alpha: float = 0.1, *, max_iter: int = 100, tol: float = 1e-8) -> None:
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol

    def fit_table(
        self,
        table: GateTable,
        expert_weights: Array,
        start: Gate | None = None,
        brief: bool = False,
    ) -> SoftmaxGate:
        """Fit as `fit` does, to rows that other gates look at too, from a start if it helps.

        Parameters
        ----------
        table : GateTable
            The rows, and their encoded form.
        expert_weights : array-like of shape (n_samples, n_experts)
            Responsibilities times sample weights.
        start : Gate, default=None
            A fitted softmax gate for the same experts, from whose coefficients the search begins.
        brief : bool, default=False
            Whether a few steps from the start will do, as they do while EM goes on.

        Returns
        -------
        self : SoftmaxGate
            The fitted gate.
        """
        problem = SoftLogit(table.Z, expert_weights, float(self.alpha))
        theta = _coefficients(start, problem)
        steps = 1 if brief and theta is not None else self.max_iter
        return self.set_solution(table.encoder, *solve(problem, theta, steps, self.tol))

    def set_solution(self, encoder: TabularEncoder, theta: Array, n_iter: int) -> SoftmaxGate:
        """Take coefficients that were found elsewhere.

        Parameters
        ----------
        encoder : TabularEncoder
            The encoder of the table that they belong to.
        theta : ndarray of shape (n_experts - 1, n_encoded_features + 1)
            Coefficients in the basis of the solver, the intercepts last.
        n_iter : int
            Iterations that finding them took.

        Returns
        -------
        self : SoftmaxGate
            The fitted gate.
        """
        basis = sum_zero_basis(len(theta) + 1)
        self.encoder_ = encoder
        self.coef_ = basis @ theta[:, :-1]
        self.intercept_ = basis @ theta[:, -1]
        self.n_experts_ = len(basis)
        self.n_iter_ = n_iter
        return self

    def log_proba_encoded(self, Z: Any) -> Array:
        """Log probabilities of encoded rows.

        Parameters
        ----------
        Z : {ndarray, sparse matrix} of shape (n_samples, n_encoded_features)
            Rows as `encoder_` gives them.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_experts)
            Log probabilities.
        """
        return log_normalize(self._scores(Z), overwrite=True)[0]

    def score_blocks(self, X: Any) -> Iterator[Array]:
        """Yield the linear scores (log-odds before the softmax) block by block.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Rows to divide among the experts.

        Yields
        ------
        scores : ndarray of shape (n_rows, n_experts)
            Scores of the next rows.
        """
        check_is_fitted(self, "coef_")
        Z, weights = self.encoder_.by_block(X), np.column_stack([self.coef_, self.intercept_])
        weights = weights_of_numbers(Z, weights)
        for rows in blocks_of(Z, len(weights), fewest=SCORED_AT_ONCE):
            yield row_scores(numbers_of(Z[rows]), weights)

    def _proba(self, X: Any) -> Array:
        check_is_fitted(self, "coef_")
        if self._is_another("predict_log_proba", "log_proba_encoded"):
            return super()._proba(X)
        with np.errstate(over="ignore", invalid="ignore"):
            proba = self._shares(self.encoder_.by_block(X, unchecked=True))
        # A gap or infinity makes all probabilities of its row NaN, and these are fewer to check.
        return proba if np.isfinite(proba[:, 0]).all() else self._shares(self.encoder_.by_block(X))

    def _shares(self, Z: Any) -> Array:
        scores = self._scores(Z)
        for rows in row_blocks(*scores.shape):
            proba_columns(scores[rows].T)
        return scores

    def _is_another(self, *names: str) -> bool:
        """Whether a subclass overrides one of these methods, which must then be asked."""
        return any(getattr(type(self), name) is not getattr(SoftmaxGate, name) for name in names)

    def _encode(self, X: Any) -> Any:
        # A subclass that overrides the answer for encoded rows must get them.
        is_another = self._is_another("log_proba_encoded")
        return super()._encode(X) if is_another else self.encoder_.by_block(X)

    def _scores(self, Z: Any) -> Array:
        weights = np.column_stack([self.coef_, self.intercept_])
        if is_at_hand(Z):
            return scores_of(Z, weights).T
        scores = np.empty((len(weights), Z.shape[0]))
        for rows in blocks_of(Z, len(weights)):
            scores[:, rows] = scores_of(Z[rows], weights)
        return scores.T

    def penalty(self) -> float:
        """What the objective subtracts from the summed log-likelihood.

        Returns
        -------
        penalty : float
            Half of `alpha` times the sum of the squared `coef_`.
        """
        return 0.5 * self.alpha * float((self.coef_**2).sum())

    def count_parameters(self) -> int:
        """Number of free parameters.

        Returns
        -------
        count : int
            Encoded features plus one, for each expert but one.
        """
        n_experts, n_encoded = self.coef_.shape
        return (n_experts - 1) * (n_encoded + 1)


def _coefficients(start: Gate | None, problem: SoftLogit) -> Array | None:
    """Coefficients of a fitted gate in the solver's basis, if they are for such a problem."""
    if not isinstance(start, SoftmaxGate):
        return None
    both = np.column_stack([start.coef_, start.intercept_])
    fits = both.shape == (problem.shape[0] + 1, problem.shape[1])
    return problem.basis.T @ both if fits else None
