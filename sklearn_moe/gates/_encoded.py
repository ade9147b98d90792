"""Gates that look at the standardised, encoded table."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from .._numeric import Array, on_weight_grid
from .._rows import n_rows, take_params, take_rows
from .._validation import fit_context, with_inputs_of
from ._base import Gate
from ._table import GateTable


class EncodedGate(Gate):
    """A gate that is written for encoded rows, and leaves tables to this class."""

    @abstractmethod
    def fit_table(
        self,
        table: GateTable,
        expert_weights: Array,
        start: Gate | None = None,
        brief: bool = False,
    ) -> Gate:
        """Fit to the encoded rows of a table, from a start if it helps.

        Parameters
        ----------
        table : GateTable
            The rows, and their encoded form, whose encoder is kept as `encoder_`.
        expert_weights : array-like of shape (n_samples, n_experts)
            Responsibilities times sample weights.
        start : Gate, default=None
            A fitted gate of the same shape, where the search for a solution may begin.
        brief : bool, default=False
            Whether a few steps will do, as they do while EM goes on.

        Returns
        -------
        self : Gate
            The fitted gate.
        """

    @abstractmethod
    def log_proba_encoded(self, Z: Any) -> Array:
        """Log probabilities of encoded rows.

        Parameters
        ----------
        Z : {ndarray, sparse matrix} of shape (n_samples, n_encoded)
            Rows as the gate's encoder makes them.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_experts)
            Log probabilities; the exponentials of each row sum to one.
        """

    # Unfitted gates have neither, and raise AttributeError, as they should.

    @property
    def n_features_in_(self) -> int:
        """Number of columns of the table that the gate was fitted to."""
        return len(self.encoder_.names_)

    @property
    def feature_names_in_(self) -> NDArray:
        """Their names, if it was a frame and they are strings."""
        if not self.encoder_.is_named_:
            raise AttributeError("The gate was fitted to columns without names.")
        return np.asarray(self.encoder_.names_, dtype=object)

    def _encode(self, X: Any) -> Any:
        """Rows of a query as `log_proba_encoded` takes them."""
        return self.encoder_.transform(X)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, expert_weights: Array) -> EncodedGate:
        """Fit to soft targets.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Features.
        expert_weights : array-like of shape (n_samples, n_experts)
            Responsibilities times sample weights, none negative.

        Returns
        -------
        self : Gate
            The fitted gate.

        Raises
        ------
        ValueError
            If `X` holds an infinity or `expert_weights` is not a table of weights.
        """
        expert_weights = check_expert_weights(X, expert_weights)
        self.fit_table(GateTable(X, expert_weights.sum(axis=1)), expert_weights)
        return self

    def predict_log_proba(self, X: Any) -> Array:
        """Log probabilities of the experts.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Rows to divide among the experts.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_experts)
            Log probabilities; the exponentials of each row sum to one.
        """
        check_is_fitted(self, "encoder_")
        return self.log_proba_encoded(self._encode(X))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the encoded columns, in the order of the coefficients of linear gates.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features,), default=None
            Names of the columns of the table; those of the frame that the gate was fitted to, else
            ``x0``, ``x1``, ...

        Returns
        -------
        names : ndarray of str objects of shape (n_encoded_features,)
            A numeric column keeps its name; the indicator of its missing values is called
            ``<name>_missing``, that of a category ``<name>_<category>``.

        Raises
        ------
        ValueError
            If there are not as many `input_features` as columns.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_moe.gates import SoftmaxGate
        >>> X = np.array([[0.0, 1.0], [1.0, np.nan], [2.0, 0.0]])
        >>> gate = SoftmaxGate().fit(X, [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> gate.get_feature_names_out(["age", "income"]).tolist()
        ['age', 'income', 'income_missing']
        """
        check_is_fitted(self, "encoder_")
        return self.encoder_.get_feature_names_out(input_features)

    def log_proba_table(self, table: GateTable) -> Array:
        """Log probabilities as `predict_log_proba` gives them, for rows that others look at too.

        Parameters
        ----------
        table : GateTable
            The rows, and their encoded form.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_experts)
            Log probabilities; the exponentials of each row sum to one.
        """
        # A subclass that overrides `predict_log_proba` must be asked by it.
        answers = type(self).predict_log_proba is not EncodedGate.predict_log_proba
        if answers or table.encoder is not self.encoder_:
            return self.predict_log_proba(table.X)
        return self.log_proba_encoded(table.Z)

    def __sklearn_tags__(self) -> Any:
        return with_inputs_of(super().__sklearn_tags__())


class SearchingGate(EncodedGate):
    """An encoded gate that searches for its solution, and can go on from the one it has."""

    def partial_fit(self, X: Any, expert_weights: Array) -> SearchingGate:
        """Go on from the present solution, on new rows.

        The objective is that of `fit` on the new rows alone; the search for its minimum starts at
        the present solution and takes at most `max_iter` steps. The encoding of the columns stays
        as it is. An unfitted gate is fitted as by `fit`.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            New rows, with the columns of those that the gate was fitted to.
        expert_weights : array-like of shape (n_samples, n_experts)
            Responsibilities times sample weights, none negative.

        Returns
        -------
        self : Gate
            The same gate.

        Raises
        ------
        ValueError
            If the number of experts is not that of the present solution.
        """
        if not hasattr(self, "encoder_"):
            return self.fit(X, expert_weights)
        expert_weights = check_expert_weights(X, expert_weights, self.n_experts_)
        table = GateTable(X, expert_weights.sum(axis=1), self.encoder_)
        self.fit_table(table, expert_weights, self)
        return self


def check_expert_weights(X: Any, expert_weights: Any, n_experts: int | None = None) -> Array:
    """Expert weights as float64 (n, K), finite and not negative, a row for each of `X`.

    If `n_experts` is known, they must have as many columns.
    """
    expert_weights = np.asarray(expert_weights, dtype=np.float64)
    are_weights = (expert_weights >= 0).all() and np.isfinite(expert_weights).all()
    if expert_weights.ndim != 2 or not are_weights or not expert_weights.any():
        raise ValueError(
            "expert_weights must be an array (n_samples, n_experts) of finite numbers that are not "
            f"negative, nor all zero; got shape {expert_weights.shape}. Pass responsibilities "
            "times sample weights."
        )
    if len(expert_weights) != n_rows(X):
        raise ValueError(
            f"expert_weights has {len(expert_weights)} rows, but X has {n_rows(X)}. Pass one row "
            "for each of X."
        )
    if n_experts not in (None, expert_weights.shape[1]):
        raise ValueError(
            f"expert_weights has {expert_weights.shape[1]} columns, but the gate is for "
            f"{n_experts} experts. Pass one column for each expert."
        )
    return expert_weights


def shares_and_weights(expert_weights: Array) -> tuple[Array, Array]:
    """Each expert's share (n, K) of a row's weight, and that weight (n,), less rounding noise.

    Trees break ties by the last digit, and the order of the rows must not decide how they grow.
    """
    weight = expert_weights.sum(axis=1)
    share = on_weight_grid(expert_weights / np.maximum(weight, np.finfo(float).tiny)[:, None])
    mantissa, exponent = np.frexp(weight)
    return share, np.ldexp(on_weight_grid(mantissa), exponent)


def rows_of_weight(X: Any, expert_weights: Array, params: dict) -> tuple[Any, Array, dict]:
    """The rows of some weight, with expert weights and metadata; the others have no say."""
    rows = np.flatnonzero(expert_weights.any(axis=1))
    if len(rows) == len(expert_weights):
        return X, expert_weights, params
    params = take_params(params, len(expert_weights), rows)
    return take_rows(X, rows), expert_weights[rows], params
