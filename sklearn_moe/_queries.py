"""What a fitted mixture is asked: one trunk, and what hangs on it."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._numeric import Array, log_normalize, weighted_mean
from ._predictions import predict_acting, predict_bank
from ._routing import Routing, route
from ._shrinkage import shrunk
from ._validation import check_consistent_length, check_is_fitted, check_table, check_weight
from .families import Family
from .gates import next_gate


class Queries(ABC):
    """Queries that the two estimators share; not for use."""

    experts_: list[Any]
    gate_: Any
    dispersions_: Array
    shrinkage_: Array | None
    top_k_: int | None
    top_k: int | None

    @abstractmethod
    def _encode_target(self, y: Any) -> NDArray:
        """Targets of a query in the form that the formulas take."""

    @property
    @abstractmethod
    def _family(self) -> Family:
        """The noise law of the fitted estimator."""

    @property
    def _dispersion(self) -> Array:
        """Dispersions in the shape that the family takes."""
        return self.dispersions_

    # The trunk.

    def _routing_at(self, X: Any) -> Routing:
        """The experts that act on each row of the checked table `X`."""
        if self.top_k_ is None:
            return Routing(self.gate_.predict_log_proba(X))
        gate = self.gate_  # a pipeline has no scores
        scores = getattr(gate, "predict_scores", gate.predict_log_proba)(X)
        return route(scores, self.top_k_, self.shrinkage_ is not None)

    def _parts_at(self, X: Any) -> tuple[Routing, Array]:
        """Who acts, and what those who do say, (n, S, q) or (n, S, C)."""
        check_is_fitted(self)
        X = check_table(self, X, reset=False)
        routing = self._routing_at(X)
        mean = predict_acting(self.experts_, X, getattr(self, "classes_", None), routing)
        return routing, mean if self.shrinkage_ is None else shrunk(mean, self.shrinkage_, routing)

    def _experts_at(self, X: Any) -> Array:
        """What the experts say, (n, K, q) or (n, K, C)."""
        check_is_fitted(self)
        X = check_table(self, X, reset=False)
        return predict_bank(self.experts_, X, getattr(self, "classes_", None))

    def _laws_at(self, X: Any) -> tuple[Routing, Array, Array]:
        """Who acts, what they say, and the parameters of their law."""
        routing, mean = self._parts_at(X)
        return routing, mean, routing.at(self._dispersion)

    def _log_joint(self, X: Any, y: Any) -> tuple[Routing, Array]:
        """Who acts, and the log of their gate probability times the density of the target."""
        check_consistent_length(X, y)
        routing, mean, law = self._laws_at(X)
        return routing, routing.log_gate + self._family.log_prob(self._encode_target(y), mean, law)

    # What hangs on it.

    def gate_proba(self, X: Any) -> Array:
        """Probability that each expert acts on each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to divide.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_experts_)
            Gate probabilities; each row sums to one. With `top_k` those of all others are zero.
        """
        check_is_fitted(self)
        routing = self._routing_at(check_table(self, X, reset=False))
        return routing.whole(np.exp(routing.log_gate), len(self.experts_))

    def apply(self, X: Any) -> NDArray[np.intp]:
        """Index of the leading expert of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to divide.

        Returns
        -------
        index : ndarray of shape (n_samples,)
            Position in `experts_` of the expert with the highest gate probability.
        """
        return self.gate_proba(X).argmax(axis=1)

    def responsibilities(self, X: Any, y: Any) -> Array:
        """Probability that each expert produced each target: the E-step on given rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_experts_)
            Responsibilities; each row sums to one. Zero for experts that do not act.
        """
        routing, log_joint = self._log_joint(X, y)
        return routing.whole(np.exp(log_normalize(log_joint)[0]), len(self.experts_))

    def log_prob(self, X: Any, y: Any) -> Array:
        """Log density (log probability, for labels) of each target under the mixture.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            Natural logarithm of p(y given x).
        """
        return log_normalize(self._log_joint(X, y)[1])[1]

    def with_top_k(self, top_k: int | None) -> Any:
        """The same fitted mixture, of which another number of experts act on a row.

        Nothing is fitted: the copy shares its parts with this one. Let m be the gate probability
        that `truncated_proba` says is cut off. Then the two predictive distributions of a row
        differ by at most m in the probability of any event, the log density of a target rises by
        at most -log(1 - m), and the means differ by at most m times the range of the experts'
        predictions for the row.

        Parameters
        ----------
        top_k : int or None
            Number of experts that act on a row; None for all.

        Returns
        -------
        mixture : estimator
            A fitted copy.

        Raises
        ------
        ValueError
            If `top_k` is below one.
        """
        check_is_fitted(self)
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k={top_k} should be at least 1, or None for all experts.")
        other = copy.copy(self)
        other.top_k = other.top_k_ = top_k
        return other

    def update_gate(
        self, X: Any, y: Any, sample_weight: Any = None, max_iter: int = 20, tol: float = 1e-4
    ) -> Any:
        """Fit the gate alone to new rows, by EM, while the experts stay as they are.

        For data whose regions shift while the rules within them hold. The gate goes on from where
        it is, if it can, else it is fitted anew; its penalty is the same. All experts are asked,
        also with `top_k`, so that rows can go to any of them.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            New rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, none negative.
        max_iter : int, default=20
            Largest number of EM iterations.
        tol : float, default=1e-4
            EM ends when an iteration raises the mean log density of the targets by less.

        Returns
        -------
        self : estimator
            The mixture, of which `gate_` is another one.

        Raises
        ------
        ValueError
            If the rows do not suit the fitted mixture; it is then left as it was.
        """
        check_consistent_length(X, y)
        _, mean, law = self.with_top_k(None)._laws_at(X)
        log_prob = self._family.log_prob(self._encode_target(y), mean, law)
        X = check_table(self, X, reset=False)
        weight = check_weight(sample_weight, X)
        gate, reached = self.gate_, -np.inf
        for _ in range(max_iter if len(self.experts_) > 1 else 0):
            log_resp, log_evidence = log_normalize(gate.predict_log_proba(X) + log_prob)
            before, reached = reached, float(weighted_mean(log_evidence, weight))
            if reached - before < tol:
                break
            gate = next_gate(gate, X, np.exp(log_resp) * weight[:, None])
        self.gate_ = gate
        return self

    def truncated_proba(self, X: Any) -> Array:
        """Gate probability, before it is renormalised, of the experts that do not act.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        proba : ndarray of shape (n_samples,)
            What `top_k` cuts off; zero if all experts act.
        """
        check_is_fitted(self)
        X = check_table(self, X, reset=False)
        proba, routing = np.exp(self.gate_.predict_log_proba(X)), self._routing_at(X)
        if routing.index is None:
            return np.zeros(len(proba))
        np.put_along_axis(proba, routing.index, 0.0, axis=1)
        return proba.sum(axis=1)
