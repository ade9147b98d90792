"""Experts that answer together with those of the folds, each of which has left one fold out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import get_tags

from ._numeric import Array
from ._predictions import ExpertTable


class Ensemble(BaseEstimator):
    """A fitted estimator and others of its kind that answer by a mean; half of it is the first's.

    They are what they are: `fit` changes nothing, parameters cannot be set, and a clone is the
    same, as with ``sklearn.frozen.FrozenEstimator``.
    """

    def __init__(self, estimator: Any, fold_estimators: Sequence[Any]) -> None:
        self.estimator = estimator
        self.fold_estimators = fold_estimators

    @property
    def n_features_in_(self) -> int:
        """Number of features that the first has seen."""
        return self.estimator.n_features_in_

    @property
    def feature_names_in_(self) -> NDArray:
        """Their names, if it has seen any."""
        return self.estimator.feature_names_in_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> Ensemble:
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """What it was made of; parameters of the fitted parts are not its own."""
        return super().get_params(deep=False)

    def set_params(self, **params: Any) -> Ensemble:
        """Raise if there is anything to set."""
        if params:
            raise ValueError(
                f"An ensemble of fitted estimators has no parameters to set; got {sorted(params)}. "
                "Set those of the mixture's experts and fit it again."
            )
        return self

    def fit(self, X: Any, y: Any = None) -> Ensemble:
        """Nothing is done: the estimators are fitted."""
        return self

    def _mean(self, X: Any, classes: NDArray | None = None) -> Array:
        """Mean of their outputs (n, q), or of their class probabilities (n, C)."""
        part = 0.5 / len(self.fold_estimators)
        table = ExpertTable(X)
        mean = 0.5 * table.predict(self.estimator, classes)
        for estimator in self.fold_estimators:
            mean += part * table.predict(estimator, classes)
        return mean


class EnsembleRegressor(RegressorMixin, Ensemble):
    """The mean of what fitted regressors predict."""

    def __init__(
        self, estimator: Any, fold_estimators: Sequence[Any], target_shape: tuple[int, ...] = ()
    ) -> None:
        super().__init__(estimator, fold_estimators)
        self.target_shape = target_shape

    def predict(self, X: Any) -> Array:
        """Mean prediction, (n,) or (n, q)."""
        mean = self._mean(X)
        return mean.reshape(len(mean), *self.target_shape)


class EnsembleClassifier(ClassifierMixin, Ensemble):
    """The mean of the class probabilities of fitted classifiers; a class that one lacks is zero."""

    def __init__(self, estimator: Any, fold_estimators: Sequence[Any], classes: NDArray) -> None:
        super().__init__(estimator, fold_estimators)
        self.classes = classes

    @property
    def classes_(self) -> NDArray:
        """The classes, in the order of the probabilities."""
        return self.classes

    def predict_proba(self, X: Any) -> Array:
        """Mean class probabilities (n, C)."""
        return self._mean(X, self.classes)

    def predict(self, X: Any) -> NDArray:
        """Most probable class (n,)."""
        return self.classes[self.predict_proba(X).argmax(axis=1)]
