"""Any classifier as a gate, by weighted row expansion."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .._content import content_ids, row_hashes
from .._information import count_estimator
from .._numeric import Array, safe_log
from .._rows import n_rows, take_params, take_rows
from .._validation import HasMethods, fit_context, with_inputs_of
from ..weighting import fit_weighted
from ._base import Gate, beside_weights, naming, routing_of_fit
from ._encoded import check_expert_weights, rows_of_weight, shares_and_weights
from ._frozen import frozen_gate, is_frozen

NEGLIGIBLE = 1e-4


class ClassifierGate(Gate):
    """Any classifier with `predict_proba`, fitted to responsibilities by row expansion.

    Each row is repeated once for each expert, labelled with the expert and weighted with the
    responsibility: the weighted log-likelihood of the classifier is then the gate's objective.
    Argmax labels, which would make the gate over-confident, are never used. Classifiers that take
    no weights see a systematic sample of the expanded rows.

    Parameters
    ----------
    classifier : classifier or Pipeline
        Any scikit-learn classifier with `predict_proba`, or a pipeline that ends in one. A
        `FrozenEstimator`, which is not fitted again, may hold the fitted gate of another mixture.

    Attributes
    ----------
    classifier_ : classifier
        The fitted classifier; its classes are the positions of the experts.
    floor_ : float
        Probability mass spread evenly over the experts, ``1 / (1 + sum of weights)``.
    n_experts_ : int
        Number of experts.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from sklearn_moe.gates import ClassifierGate
    >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> responsibilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]])
    >>> gate = ClassifierGate(DecisionTreeClassifier(max_depth=1)).fit(X, responsibilities)
    >>> gate.predict_proba([[-3.0], [3.0]]).round(2)
    array([[0.82, 0.18],
           [0.26, 0.74]])
    """

    _parameter_constraints = {"classifier": [HasMethods(["fit"])]}

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, expert_weights: Array, **fit_params: Any) -> ClassifierGate:
        """Fit to soft targets.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Features.
        expert_weights : array-like of shape (n_samples, n_experts)
            Responsibilities times sample weights, none negative.
        **fit_params : dict
            Metadata for the classifier's `fit`.

        Returns
        -------
        self : ClassifierGate
            The fitted gate.

        Raises
        ------
        ValueError
            If the classifier cannot be fitted to them.
        TypeError
            If it has no `predict_proba` once it is fitted, or its classes are not the experts. A
            frozen classifier may have other classes, as many as there are experts: they stand for
            the experts in order.
        """
        expert_weights = check_expert_weights(X, expert_weights)
        X, expert_weights, fit_params = rows_of_weight(X, expert_weights, fit_params)
        rows, labels, weight = _expand(expert_weights)
        # Sampled label by label: row by row, the likelier label of each row would always win.
        content = content_ids(row_hashes(X, np.zeros(n_rows(X))))
        rank = labels * n_rows(X) + content[rows]
        params = take_params(beside_weights(fit_params), n_rows(X), rows)
        expanded = take_rows(X, rows)
        with naming(self.classifier, f"fit on {len(rows)} rows labelled with experts"):
            fitted = fit_weighted(
                clone(self.classifier), expanded, labels, weight, rank, params, labelled=True
            )
        classes = self._classes_of(fitted, take_rows(X, slice(1)))
        self._expert_of_class = self._experts_of(classes, expert_weights.shape[1])
        self.classifier_, self.n_experts_ = fitted, expert_weights.shape[1]
        self.floor_ = 1.0 / (1.0 + weight.sum())
        return self

    def predict_log_proba(self, X: Any) -> Array:
        check_is_fitted(self, "classifier_")
        proba = np.zeros((n_rows(X), self.n_experts_))
        with naming(self.classifier, f"predict {n_rows(X)} rows"):
            proba[:, self._expert_of_class] = self.classifier_.predict_proba(X)
        proba = (1.0 - self.floor_) * proba + self.floor_ / self.n_experts_
        return safe_log(proba / proba.sum(axis=1, keepdims=True))

    def count_parameters(self) -> int:
        """Number of free parameters of the classifier, if it is a linear or constant one.

        Returns
        -------
        count : int
            Coefficients and intercepts, or the parameters of a constant.

        Raises
        ------
        ValueError
            If the classifier is neither.
        """
        if (gate := frozen_gate(self.classifier_)) is not None:
            return gate.count_parameters()
        return count_estimator(self.classifier_, "gate")

    def _classes_of(self, fitted: Any, X: Any) -> list[Any]:
        """The classes of the fitted classifier; of a frozen gate they are positions of experts.

        Only now can one see what is missing: classifiers that delegate (StackingClassifier) have it
        late.
        """
        if frozen_gate(fitted) is not None:
            return list(range(fitted.predict_proba(X).shape[1]))
        if not (hasattr(fitted, "predict_proba") and hasattr(fitted, "classes_")):
            raise TypeError(
                f"gate={self.classifier!r} cannot give probabilities of the experts: it has no "
                "predict_proba, or no classes. Pass a classifier that has them, or a regressor to "
                "RegressorGate."
            )
        return list(fitted.classes_.tolist())

    def _experts_of(self, classes: list[Any], n_experts: int) -> NDArray[np.intp]:
        """The expert of each class; an expert of little weight may be in no sample: it has none."""
        if not is_frozen(self) and set(classes) <= set(range(n_experts)):
            return np.array(classes, dtype=np.intp)
        if len(classes) != n_experts:
            raise TypeError(
                f"gate={self.classifier!r} tells {len(classes)} classes apart, {classes}; there "
                f"are {n_experts} experts. A classifier that was fitted before must have one class "
                "for each expert."
            )
        return np.arange(n_experts)

    def get_metadata_routing(self) -> Any:
        """What the classifier asks for.

        Returns
        -------
        routing : MetadataRouter
            Requests of the classifier.
        """
        return routing_of_fit(self, classifier=self.classifier)

    def __sklearn_tags__(self) -> Any:
        return with_inputs_of(super().__sklearn_tags__(), self.classifier)


def _expand(expert_weights: Array) -> tuple[np.ndarray, np.ndarray, Array]:
    """Rows, expert labels and weights of the expanded table, without its negligible rows."""
    share, weight = shares_and_weights(expert_weights)
    rows, labels = np.nonzero(share > NEGLIGIBLE)
    return rows, labels, share[rows, labels] * weight[rows]
