"""What a fitted classifier says: labels, probabilities of the classes, and the law of a label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, column_or_1d

from ._base import BaseMixtureOfExperts
from ._information import count_estimator
from ._numeric import Array, positions_among
from ._predictions import predict_expert
from ._routing import Routing
from .families import Categorical
from .leaning import UPRIGHT, Leaning, LeaningLabels


class Labels(BaseMixtureOfExperts):
    """The law of a label, and queries about it; not for use."""

    classes_: NDArray
    class_prior_: Array
    temperatures_: Array | None
    baseline_: Any
    baseline_dispersion_: float
    lean_powers_: tuple[float, float]
    voting: str
    _family: Categorical
    # Whether only one expert was asked for: then it answers as the user's estimator would.
    _is_expert_alone: bool

    def predict(self, X: Any) -> NDArray:
        """Most probable class; with hard voting, the class of most gate-weighted votes.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted labels.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X: Any) -> Array:
        """Class probabilities of the mixture; with hard voting, shares of the vote.

        Consistent with `log_prob`, except that a single requested expert is returned unsmoothed if
        `calibrate` is None.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probabilities in the order of `classes_`; each row sums to one.
        """
        check_is_fitted(self)
        return self._in_blocks(self._proba_of, X)

    def _proba_of(self, X: Any) -> Array:
        """Class probabilities (n, C) for a checked table."""
        routing, proba, law = self._laws_of(X)
        if self.voting == "hard":
            proba = np.eye(len(self.classes_))[proba.argmax(axis=2)]
        elif not self._is_expert_alone or self.temperatures_ is not None:
            proba = self._family.adjust(proba, law)
        mean = np.einsum("nk,nkc->nc", routing.proba, proba)
        return np.minimum(mean, 1.0, out=mean)  # scikit-learn's log-loss refuses rounding above

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Natural logarithms; minus infinity for a class that is impossible, as it can be with
            hard voting or one expert.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict_experts(self, X: Any) -> Array:
        """Class probabilities of each expert, drawn toward a shared one, before smoothing.

        For leaning experts (see `lean`) the probabilities are already smoothed.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_experts_, n_classes)
            Probabilities; those of experts that do not lean are zero for classes that they have
            not seen.
        """
        return self._experts_at(X)

    def _encode_target(self, y: Any) -> NDArray:
        y = column_or_1d(y)
        try:
            codes, known = positions_among(y, self.classes_)
        except TypeError as error:  # of objects that have no order, such as text and None
            raise ValueError(
                "y holds values that cannot be compared with the labels seen in fit, "
                f"{self.classes_[:5].tolist()}: {error}."
            ) from error
        if not known.all():
            unknown = np.setdiff1d(y, self.classes_)
            raise ValueError(
                f"y holds labels {unknown[:5].tolist()} not seen in fit. Leave these rows out."
            )
        return codes

    def _laws_of(self, X: Any) -> tuple[Routing, Array, Array]:
        routing, proba, law = super()._laws_of(X)
        if self.baseline_ is not None:
            leaning = LeaningLabels(
                expert=self.baseline_,
                family=self._family,
                powers=self.lean_powers_,
                smoothing=self.baseline_dispersion_,
            )
            toward = predict_expert(self.baseline_, X, self.classes_)
            proba, law = leaning.leaned(proba, law, toward)
        return routing, proba, law

    def _count_leaning(self) -> int:
        if self.baseline_ is None:
            return 0
        # The powers, and the share that the baseline owes to the class rates.
        return count_estimator(self.baseline_, "baseline_") + len(self.lean_powers_) + 1


def leaning_attributes(leaning: Leaning | None) -> dict[str, Any]:
    """What experts lean on, and how far, as fitted attributes."""
    if not isinstance(leaning, LeaningLabels):
        return {"baseline_": None, "baseline_dispersion_": 0.0, "lean_powers_": UPRIGHT}
    return {
        "baseline_": leaning.expert,
        "baseline_dispersion_": leaning.smoothing,
        "lean_powers_": leaning.powers,
    }
