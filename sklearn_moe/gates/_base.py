"""What every gate promises."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping

from .._expert_errors import PartError
from .._information import uncountable
from .._numeric import Array
from ._table import GateTable


class Gate(BaseEstimator):
    """Base class of gates: probabilities of the experts given the features.

    A gate learns from soft targets: `expert_weights` is responsibility times sample weight, so a
    gate needs no second weight and works as the last step of a pipeline.
    """

    _parameter_constraints: dict = {}

    @abstractmethod
    def fit(self, X: Any, expert_weights: Array) -> Gate:
        """Fit to `X` (n, p) and `expert_weights` (n, K); return self."""

    @abstractmethod
    def predict_log_proba(self, X: Any) -> Array:
        """Log probabilities (n, K) of the experts.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Rows to divide among the experts.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_experts)
            Log probabilities; the exponentials of each row sum to one.
        """

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n, K) of the experts.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Rows to divide among the experts.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_experts)
            Probabilities; each row sums to one.
        """
        return self._proba(X)

    def _proba(self, X: Any) -> Array:
        """Probabilities (n, K); a gate that can do without logarithms overrides this."""
        return np.exp(self.predict_log_proba(X))

    def penalty(self) -> float:
        """What the gate's own objective subtracts from the summed log-likelihood.

        Returns
        -------
        penalty : float
            The penalty at the fitted parameters; 0 for gates without one.
        """
        return 0.0

    def count_parameters(self) -> int:
        """Number of free parameters of the fitted gate, for information criteria.

        Returns
        -------
        count : int
            The number, for gates that have one.

        Raises
        ------
        ValueError
            If they cannot be counted, which is the default.
        """
        raise uncountable("gate", self)

    def fit_table(
        self,
        table: GateTable,
        expert_weights: Array,
        start: Gate | None = None,
        brief: bool = False,
    ) -> Gate:
        """Fit as `fit` does, to rows that other gates look at too, from a start if it helps.

        Parameters
        ----------
        table : GateTable
            The rows, and their encoded form.
        expert_weights : array-like of shape (n_samples, n_experts)
            Responsibilities times sample weights.
        start : Gate, default=None
            A fitted gate for the same experts, where the search for a solution may begin.
        brief : bool, default=False
            Whether a few steps from the start will do, as they do while EM goes on.

        Returns
        -------
        self : Gate
            The fitted gate.
        """
        return self.fit(table.X, expert_weights)

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
        return self.predict_log_proba(table.X)

    def keeping(self, members: tuple[int, ...], n_experts: int) -> Gate:
        """The template for some of the experts, once the others are lost.

        Parameters
        ----------
        members : tuple of int
            Positions of the experts that remain, in order.
        n_experts : int
            Number of experts at the beginning.

        Returns
        -------
        gate : Gate
            The gate itself, unless it has a part for each expert.
        """
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


@contextmanager
def naming(gate: Any, task: str) -> Iterator[None]:
    """Turn an error into one that says which gate has failed, and at what task.

    Parts of a gate are anyone's code, and what they raise does not say that a gate is to blame.
    """
    try:
        yield
    except MemoryError:  # it says nothing of the gate
        raise
    except Exception as error:
        raise PartError(f"gate={gate!r} failed to {task}: {error}") from error


def beside_weights(params: dict[str, Any]) -> dict[str, Any]:
    """Metadata of a gate's `fit` without `sample_weight`, which `expert_weights` include."""
    return {name: value for name, value in params.items() if name != "sample_weight"}


def routing_of_fit(owner: Any, **parts: Any) -> MetadataRouter:
    """The metadata requests of the parts that the `owner` fits in its own `fit`."""
    return MetadataRouter(owner).add(
        method_mapping=MethodMapping().add(caller="fit", callee="fit"), **parts
    )
