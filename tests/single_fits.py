"""Single fits that solutions of all experts and folds are held to, and folds to leave out."""

import numpy as np
from sklearn.base import clone


def fit_weighted(estimator, X, y, weight):
    """A clone fitted to weighted rows; each step of a pipeline is given the weights."""
    steps = estimator.steps if hasattr(estimator, "steps") else [("", estimator)]
    names = [f"{name}__sample_weight" if name else "sample_weight" for name, _ in steps]
    return clone(estimator).fit(X, y, **dict.fromkeys(names, weight))


def random_folds(n_samples, n_folds):
    """Rows that each fold leaves out."""
    return np.array_split(np.random.default_rng(1).permutation(n_samples), n_folds)
