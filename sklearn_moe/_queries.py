"""What a fitted mixture is asked: a common trunk, and the queries that branch off it."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ._gate_update import RowsToDivide
from ._information import InformationCriteria, count_estimator, criteria_of, uncountable_spread
from ._numeric import Array, log_sum, normalize, row_max
from ._predictions import predict_acting
from ._routing import Routing, WholeGate, log_gate_of, route, route_blocks
from ._rows import in_blocks, n_rows, take_rows
from ._shrinkage import shrunk
from ._table_checks import check_table, check_weight, names_missed, query_rows
from ._usage import usage_of
from ._validation import check_number, last_step
from .families import Family
from .gates import SoftmaxGate


class Queries(ABC):
    """Queries that the two estimators share; not for use."""

    experts_: list[Any]
    expert_names_: list[str]
    gate_: Any
    dispersions_: Array
    shrinkage_: Array | None
    calibration_: Any  # of real targets
    top_k_: int | None
    top_k: int | None
    _family: Family
    _law: Array  # dispersions in the shape that the family takes

    @abstractmethod
    def _encode_target(self, y: Any) -> NDArray:
        """Targets of a query in the form that formulas take."""

    def _clipped(self, predicted: Array) -> Array:
        """What experts predict, within the limits if there are any."""
        return predicted

    # The trunk.

    def _routing_at(self, X: Any) -> Routing:
        """The experts that act on each row of the checked table `X`."""
        asking = partial(names_missed, self, X)
        if self.top_k_ is None:
            return WholeGate(self.gate_, X, asking)
        shared = self.shrinkage_ is not None
        if type(self.gate_) is SoftmaxGate:
            return route_blocks(self.gate_.score_blocks(X), self.top_k_, shared)
        with asking():
            return route(log_gate_of(self.gate_, X), self.top_k_, shared)

    def _parts_at(self, X: Any) -> tuple[Routing, Array]:
        """The experts that act on the checked table, and what they say, (n, S, q) or (n, S, C)."""
        routing = self._routing_at(X)
        mean = predict_acting(self.experts_, X, getattr(self, "classes_", None), routing.slots)
        mean = self._clipped(mean)
        if self.shrinkage_ is not None:
            mean = shrunk(mean, self.shrinkage_, routing.slots)
        return routing, mean

    def _experts_at(self, X: Any) -> Array:
        """What all experts say, (n, K, q) or (n, K, C)."""
        return self.with_top_k(None)._laws_at(X)[1]

    def _laws_at(self, X: Any) -> tuple[Routing, Array, Array]:
        """The experts that act, what they say, and the parameters of their law."""
        with query_rows(self, X) as X:
            return self._laws_of(X)

    def _laws_of(self, X: Any) -> tuple[Routing, Array, Array]:
        """As `_laws_at`, for a checked table."""
        routing, mean = self._parts_at(X)
        return routing, mean, routing.slots.gather(self._law)

    def _log_joint(self, X: Any, y: Any) -> tuple[Routing, Array]:
        """The experts that act, and the log of gate probability times density of the target."""
        check_consistent_length(X, y)
        routing, mean, law = self._laws_at(X)
        return routing, self._joined(routing, mean, law, self._encode_target(y))

    def _joined(self, routing: Routing, mean: Array, law: Array, target: NDArray) -> Array:
        with np.errstate(over="ignore"):  # of targets beyond all numbers
            return routing.log_gate + self._family.exact_log_prob(target, mean, law)

    def _log_prob_of(self, X: Any, target: NDArray) -> Array:
        return log_sum(self._joined(*self._laws_of(X), target))

    def _in_blocks(self, answer: Callable[..., Array], X: Any, *parts: Any) -> Array:
        """The answer for a table and what goes with it, in blocks: all values may be far larger."""
        n_values = self.dispersions_.size * len(getattr(self, "classes_", (0,)))
        with query_rows(self, X) as X:
            return in_blocks(answer, n_values, X, *parts)

    def _forget_calibration(self) -> None:
        """Forget what was calibrated for another gate, if anything was."""
        if hasattr(self, "calibration_"):
            self.calibration_ = None

    # The queries.

    def gate_proba(self, X: Any) -> Array:
        """Probability that each expert acts on each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to divide.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_experts_)
            Gate probabilities; each row sums to one. Zero for experts that `top_k` leaves out.
        """
        with query_rows(self, X) as X:
            routing = self._routing_at(X)
            return routing.slots.scatter(routing.proba, len(self.experts_))

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
            Responsibilities; each row sums to one. Zero for experts that do not act. The gate's own
            probabilities where every expert's density underflows.
        """
        routing, log_joint = self._log_joint(X, y)
        return routing.slots.scatter(shares_of(routing, log_joint), len(self.experts_))

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
        check_is_fitted(self)
        check_consistent_length(X, y)
        return self._in_blocks(self._log_prob_of, X, self._encode_target(y))

    def information_criteria(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> InformationCriteria:
        """AIC, BIC and ICL of the mixture, if the parameters of all its parts can be counted.

        They can for linear experts (those with `coef_` and `intercept_` once fitted) and dummies,
        under any noise law, with a gate of type `SoftmaxGate`, `ConstantGate`, `GaussianGate`, a
        tree of these, or a linear classifier. At the end of a pipeline these count too, but not
        what its earlier steps have learnt. For three classes or more, a multinomial classifier
        counts one class less than one that tells each class from the rest.

        The criteria are meant for fits in sample (``cv=None``) and the rows of the fit: the
        log-likelihood is that of the final experts on the rows given. Penalised coefficients are
        counted as if they were free, so that the number is an upper bound of the effective one.
        What `calibrate` has found is not counted, except for degrees of freedom that differ by
        output (one for each output with tails); what experts lean on is counted. For all other fits
        there is `heldout_log_prob_`.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, none negative.

        Returns
        -------
        criteria : InformationCriteria
            With `log_likelihood`, `n_parameters`, `n_samples` (the sum of the weights), `aic`,
            `bic` and `icl`; for the last three, lower is better.

        Raises
        ------
        ValueError
            If the parameters of a part cannot be counted.

        References
        ----------
        C. Biernacki, G. Celeux and G. Govaert, "Assessing a mixture model for clustering with the
        integrated completed likelihood", IEEE Transactions on Pattern Analysis and Machine
        Intelligence 22(7), 2000 (ICL).

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_moe import MixtureOfExpertsRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(300, 1))
        >>> y = np.abs(X[:, 0]) + 0.2 * rng.normal(size=300)
        >>> mixture = MixtureOfExpertsRegressor(n_experts=2, cv=None, random_state=0).fit(X, y)
        >>> mixture.information_criteria(X, y).n_parameters  # two lines, two variances, a gate
        8
        """
        check_is_fitted(self)
        n_parameters = self._count_parameters()
        log_joint = self._log_joint(X, y)[1]
        return criteria_of(log_joint, check_weight(sample_weight, X), n_parameters)

    def _count_parameters(self) -> int:
        """Free parameters of experts, gate and noise law, and of shrinkage and leaning."""
        by_row = getattr(self, "dispersion_experts_", None)
        if by_row is not None:
            raise uncountable_spread(by_row[0])
        named = zip(self.expert_names_, self.experts_, strict=True)
        experts = sum(count_estimator(expert, f"expert {name!r},") for name, expert in named)
        drawn = 0 if self.shrinkage_ is None else len(self.shrinkage_) - 1
        gate = last_step(self.gate_).count_parameters()
        law_parameters = self._family.count_parameters(self._law)
        return experts + gate + law_parameters + drawn + self._count_leaning()

    def _count_leaning(self) -> int:
        """Free parameters of what experts lean on."""
        return 0

    def with_top_k(self, top_k: int | None) -> Any:
        """A fitted copy in which `top_k` experts act on each row.

        Nothing is fitted: the copy shares its parts with this one. `load_`, `importance_`,
        `gate_entropy_` and `gate_information_` stay those of the fit. A conformal calibration no
        longer holds: `calibration_` is None, and `predict_interval` takes plain quantiles.

        Let m be the gate probability that is cut off, `truncated_proba` of the copy. Compared to
        the mixture in which all experts act, no event changes its probability by more than m,
        the mean changes by at most m times the range of the experts' means for the row, and the log
        density of a target rises by at most -log(1 - m). Here 'means' are the means of the noise
        law, which differ from `predict_experts` for median experts and where a positive law raises
        them.

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
            If `top_k` is not a whole number above zero.
        """
        check_is_fitted(self)
        if top_k is not None:
            check_number("top_k", top_k, Integral, 1)
        other = copy.copy(self)
        other.top_k = other.top_k_ = top_k
        other._forget_calibration()
        return other

    def update_gate(
        self, X: Any, y: Any, sample_weight: Any = None, max_iter: int = 20, tol: float = 1e-4
    ) -> Any:
        """Fit the gate alone to new rows, by EM, while the experts stay as they are.

        For data whose regions shift while the rules within them hold. The gate goes on from where
        it is, if it can, else it is fitted anew; its penalty stays the same. Only the new rows
        count, earlier ones are forgotten: pass a window of some hundred rows. All experts are
        evaluated, also with `top_k`, so that rows can go to any of them. Of the gates of all
        iterations, the one under which the targets are most likely is kept. `load_`, `importance_`,
        `gate_entropy_` and `gate_information_` become those on the new rows. A conformal
        calibration no longer holds: `calibration_` becomes None, and `predict_interval` takes plain
        quantiles.

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
            EM ends when an iteration raises the mean log density of the targets by less than `tol`.

        Returns
        -------
        self : estimator
            The same mixture, with its new `gate_`.

        Raises
        ------
        ValueError
            If the rows do not suit the fitted mixture or a parameter is out of range; the mixture
            is then left as it was.
        """
        check_is_fitted(self)
        check_number("max_iter", max_iter, Integral, 1)
        check_number("tol", tol, Real, 0)
        check_consistent_length(X, y)
        X = check_table(self, X, reset=False)
        other, weight = self.with_top_k(None), check_weight(sample_weight, X)
        if not weight.all():  # gates of parts that take no weights would heed all rows
            X, y, weight = (take_rows(part, np.flatnonzero(weight)) for part in (X, y, weight))
        target = self._encode_target(y)
        with names_missed(self, X):
            _, mean, law = other._laws_of(X)
        with np.errstate(over="ignore"):  # of targets beyond all numbers
            log_prob = self._family.log_prob(target, mean, law)
            exact = self._family.exact_log_prob(target, mean, law)
        if not (np.isfinite(log_prob).all() and np.isfinite(exact).any(axis=1).all()):
            raise ValueError(
                "y holds NaN or infinity, or values without a finite log density under any expert. "
                "Leave these rows out."
            )
        rows = RowsToDivide(X, log_prob, weight, self.top_k_, self.shrinkage_ is not None)
        with names_missed(self, X):
            self.gate_ = rows.best_gate(self.gate_, max_iter, tol)
        usage = usage_of(self._routing_at(X), len(self.experts_), weight, self.top_k_)
        self.__dict__.update(usage.attributes())
        self._forget_calibration()
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
        with query_rows(self, X) as X:
            routing = self._routing_at(X)
            if routing.slots.index is None:
                return np.zeros(n_rows(X))
            proba = self.gate_.predict_proba(X).copy()  # a gate may keep what it returns
        np.put_along_axis(proba, routing.slots.index, 0.0, axis=1)
        return proba.sum(axis=1)


def shares_of(routing: Routing, log_joint: Array) -> Array:
    """Probabilities (n, S) that acting experts have produced the targets; `log_joint` is lost."""
    # A target that no expert can explain says nothing about which has produced it.
    lost = np.isneginf(row_max(log_joint))
    log_joint[lost] = routing.log_gate[lost]
    return normalize(log_joint)[0]
