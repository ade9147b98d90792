"""The experts that benchmarks use, and the rivals of a mixture that are built from them.

Each expert is complete: it takes the raw frame, and does its own imputing, scaling and encoding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

CATEGORICAL = make_column_selector(dtype_include="category")
# Enough for the categories; weighted quantiles for 255 bins take longer than the boosting (1.9).
MAX_BINS = 80
NUMERIC = make_column_selector(dtype_exclude="category")


def encoder(**params: Any) -> ColumnTransformer:
    """Imputed, scaled, one-hot encoded columns; `params` are those of the transformer."""
    numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    return make_column_transformer((numbers, NUMERIC), (categories, CATEGORICAL), **params)


def dense_encoder() -> ColumnTransformer:
    """The same, never sparse."""
    return encoder(sparse_threshold=0)


def linear(task: str) -> Any:
    """Ridge or logistic regression on imputed, scaled, one-hot encoded columns."""
    last = Ridge() if task == "regression" else LogisticRegression(max_iter=1000)
    return make_pipeline(encoder(), last)


def tree(task: str) -> Any:
    """A tree of depth 6 on ordinally encoded columns."""
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
    )
    columns = make_column_transformer((codes, CATEGORICAL), remainder="passthrough")
    kind = DecisionTreeRegressor if task == "regression" else DecisionTreeClassifier
    return make_pipeline(columns, kind(max_depth=6))


def boosting(task: str) -> Any:
    """Histogram gradient boosting with 80 bins, else as it comes; categories go in natively."""
    if task == "regression":
        return HistGradientBoostingRegressor(max_bins=MAX_BINS)
    return HistGradientBoostingClassifier(max_bins=MAX_BINS)


EXPERTS: dict[str, Callable[[str], Any]] = {"linear": linear, "tree": tree, "boosting": boosting}
N_EXPERTS = {"linear": 4, "tree": 4, "boosting": 2}


def seeded(estimator: Any, seed: int) -> Any:
    """A clone of which every open random state is `seed`."""
    names = [name for name in estimator.get_params() if name.split("__")[-1] == "random_state"]
    return clone(estimator).set_params(**dict.fromkeys(names, seed))


def mixture(task: str, expert: Any, n_experts: int, seed: int) -> Any:
    """The mixture with everything else at its default."""
    if task == "regression":
        return MixtureOfExpertsRegressor(expert, n_experts, random_state=seed)
    return MixtureOfExpertsClassifier(expert, n_experts, random_state=seed)


class Average(BaseEstimator):
    """The mean of what `n_experts` clones of `expert` say, each fitted to a bootstrap sample.

    (scikit-learn's bagging turns frames into arrays, and categories with them into text.)
    """

    def __init__(self, expert: Any, n_experts: int, seed: int) -> None:
        self.expert = expert
        self.n_experts = n_experts
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: Any) -> Average:
        """Fit all clones."""
        y, generator = np.asarray(y), np.random.RandomState(self.seed)
        self.classes_, self.experts_ = np.unique(y), []
        for k in range(self.n_experts):
            rows = generator.randint(len(y), size=len(y))
            expert = seeded(self.expert, self.seed + k)
            self.experts_.append(expert.fit(X.iloc[rows], y[rows]))
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Mean prediction (n,)."""
        return np.mean([expert.predict(X) for expert in self.experts_], axis=0)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Mean class probabilities (n, C); a class that a clone has not seen gets zero from it."""
        proba = np.zeros((len(X), len(self.classes_)))
        for expert in self.experts_:
            seen = np.searchsorted(self.classes_, expert.classes_)
            proba[:, seen] += expert.predict_proba(X) / self.n_experts
        return proba
