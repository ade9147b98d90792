"""Which rows leave an expert's fit: the trial that finds out who remembers light rows."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_moe._content import content_ids, row_hashes
from sklearn_moe._experts import Data, make_template
from sklearn_moe._specialisation import DROP_SHARE, specialisation_thresholds

ALL_STAY, FORGETS, REMEMBERS = 0.0, 2.0**-24, DROP_SHARE / 2


def noisy_table(n_samples=400, n_outputs=1, classes=None):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 3))
    y = X[:, :n_outputs] + rng.normal(size=(n_samples, n_outputs))
    target = y if classes is None else (y[:, 0] > 0).astype(int)
    hashes = row_hashes(X, target)
    rank = content_ids(hashes)
    y = target if classes is not None or n_outputs > 1 else y[:, 0]
    return Data(X, y, target, np.ones(n_samples), hashes, rank, rank, classes)


def thresholds(data, *experts, cross_fitted=True, given="auto"):
    templates = [make_template(f"e{k}", expert, k, {}) for k, expert in enumerate(experts)]
    return specialisation_thresholds(given, data, templates, cross_fitted)


TREE, STUMP = DecisionTreeRegressor(), DecisionTreeRegressor(max_depth=2)


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize(
    ("expert", "expected"),
    [
        (Ridge(), ALL_STAY),
        (make_pipeline(StandardScaler(), Ridge()), ALL_STAY),
        (STUMP, FORGETS),
        (TREE, REMEMBERS),
        (make_pipeline(StandardScaler(), TREE), REMEMBERS),
        # Bootstrap samples are drawn by weight, and neighbours from a sample drawn by weight.
        (RandomForestRegressor(20, random_state=0), FORGETS),
        (KNeighborsRegressor(3), FORGETS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_regressors(expert, expected, n_outputs):
    assert thresholds(noisy_table(n_outputs=n_outputs), expert, STUMP)[0] == expected


@pytest.mark.parametrize(
    ("expert", "expected"),
    [
        (LogisticRegression(), ALL_STAY),
        (GaussianNB(), FORGETS),
        (DecisionTreeClassifier(), REMEMBERS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_classifiers(expert, expected):
    data = noisy_table(classes=np.array([0, 1]))
    assert thresholds(data, expert, expert).tolist() == [expected] * 2


def test_in_sample_all_rows_stay():
    assert thresholds(noisy_table(), TREE, Ridge(), cross_fitted=False).tolist() == [FORGETS, 0.0]


def test_one_expert_keeps_all_rows():
    assert thresholds(noisy_table(), TREE).tolist() == [0.0]


def test_threshold_of_the_user_is_kept():
    assert thresholds(noisy_table(), TREE, Ridge(), given=0.1).tolist() == [0.1, 0.1]


def test_expert_that_needs_more_than_half_of_the_rows_loses_none():
    """Ten neighbours cannot be found among half of twelve rows; the fit itself is not in danger."""
    few = noisy_table(12)
    assert thresholds(few, KNeighborsRegressor(10, weights="distance"), STUMP)[0] == FORGETS


def test_unit_of_an_output_does_not_matter():
    data = noisy_table(n_outputs=2)
    scaled = Data(**{**vars(data), "y": data.y * [1.0, 1e6], "target": data.target * [1.0, 1e6]})
    assert thresholds(scaled, TREE, TREE).tolist() == thresholds(data, TREE, TREE).tolist()
