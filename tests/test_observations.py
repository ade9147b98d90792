"""What counts as one observation: copies do, unless the same features come with other targets."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from sklearn_moe._content import content_ids, feature_hashes
from sklearn_moe._observations import FEW_VALUES, LEAST, MOST, by_content, observations

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
RNG = np.random.default_rng(0)
# Cells of two binary columns, in which a label has another chance each.
CHANCE = np.array([0.1, 0.35, 0.6, 0.9])
CELL = RNG.integers(4, size=1500)
X = np.column_stack([CELL // 2, CELL % 2]).astype(float)
LABEL = RNG.uniform(size=1500) < CHANCE[CELL]
SEEN, NEW = slice(0, 500), slice(500, None)
QUICK = {"n_experts": 2, "n_init": 1, "max_iter": 5, "random_state": 0, "verdict": False}


def masses(found):
    """The weight of each observation, by its hash."""
    place = content_ids(found.hashes)
    return dict(zip(np.unique(found.hashes), np.bincount(place, found.weight), strict=True))


def table_of(cells):
    """Rows, targets and weights from (features, target, weight) triples of few values."""
    features, target, weight = (
        np.array(column, dtype=float) for column in zip(*cells, strict=True)
    )
    return features[:, None], target[:, None], weight


CELLS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(1, 7)), min_size=1, max_size=30
)
COUNTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(1, 150)),
    min_size=1,
    max_size=12,
    unique_by=lambda cell: cell[:2],
)


@given(cells=COUNTS)
def test_a_weight_of_three_is_three_rows(cells):
    features, target, weight = table_of(cells)
    weighted = observations(features, target, weight)
    rows = np.repeat(np.arange(len(weight)), weight.astype(int))
    repeated = observations(features[rows], target[rows], np.ones(len(rows)))
    assert repeated.rows is None
    assert masses(weighted) == pytest.approx(masses(repeated), abs=1e-9)
    assert set(weighted.hashes) == set(repeated.hashes)


@given(cells=CELLS, seed=st.integers(0, 5))
def test_the_order_of_rows_does_not_matter(cells, seed):
    features, target, weight = table_of(cells)
    order = np.random.default_rng(seed).permutation(len(weight))
    shuffled = observations(features[order], target[order], weight[order])
    assert masses(shuffled) == pytest.approx(masses(observations(features, target, weight)))


@given(cells=COUNTS | CELLS, unit=st.sampled_from([0.3, 1.0, 1.37, 40.0]))
def test_parts_add_up_to_their_rows(cells, unit):
    features, target, weight = table_of(cells)
    found = observations(features, target, unit * weight)
    rows = np.arange(len(weight)) if found.rows is None else found.rows
    np.testing.assert_allclose(np.bincount(rows, found.weight), unit * weight, rtol=1e-9)
    assert found.weight.min() > 0
    assert len(found.hashes) == len(rows)
    np.testing.assert_array_equal(content_ids(found.hashes), found.rank)


def test_copies_without_contradiction_are_one_observation():
    features = np.array([[0.0], [0.0], [0.0], [1.0], [1.0]])
    target = np.array([2.0, 2.0, 2.0, 2.0, 5.0])
    found = observations(features, target, np.array([1.0, 1.0, 9.0, 1.0, 1.0]))
    np.testing.assert_array_equal(found.rank, by_content(features, target, np.ones(5)).rank)
    assert found.rows is None


def test_contradicted_rows_are_observations_of_their_own():
    features, target = np.zeros((7, 1)), np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    assert len(np.unique(observations(features, target, np.ones(7)).rank)) == 7
    for weight in (np.full(7, 0.1), np.full(7, 1e4)):  # weights of rows, which are no counts
        found = observations(features, target, weight)
        assert found.rows is None
        np.testing.assert_array_equal(found.weight, weight)
        assert len(np.unique(found.rank)) == 7


@pytest.mark.parametrize("n_values", [FEW_VALUES, FEW_VALUES + 1])
def test_equal_rows_of_targets_with_many_values_are_copies(n_values):
    target = np.repeat(np.arange(n_values), 2)
    labels = observations(np.zeros((len(target), 1)), target, np.ones(len(target)))
    assert len(np.unique(labels.rank)) == 2 * n_values
    real = observations(np.zeros((len(target), 1)), target[:, None], np.ones(len(target)))
    assert len(np.unique(real.rank)) == (2 if n_values == FEW_VALUES else 1) * n_values


def test_rows_that_differ_in_weight_are_told_apart_by_it():
    features, target = np.zeros((4, 1)), np.array([0.0, 0.0, 0.0, 1.0])
    weight = np.array([3.0, 0.5, 2.0, 1.0])
    found, again = (
        observations(features, target[order], weight[order])
        for order in (np.arange(4), np.array([2, 3, 0, 1]))
    )
    assert masses(found) == masses(again)
    assert sorted(masses(found).values()) == [0.5, 1.0, 2.0, 3.0]


def test_there_is_an_end_to_parts():
    found = observations(np.zeros((2, 1)), np.array([0.0, 1.0]), np.array([1e9, 3.0]))
    np.testing.assert_array_equal(np.bincount(found.rows), [MOST, 3])
    np.testing.assert_allclose(found.weight[found.rows == 0], 1e9 / MOST)
    target, many = np.tile([0.0, 1.0], 10_000), np.repeat(np.arange(1e4), 2)[:, None]
    found = observations(many, target, np.full(20_000, 1e3))
    assert (np.bincount(found.rows) == LEAST).all()
    assert observations(many, target, np.full(20_000, 1e300)).rows is None


def in_cells(labels, groups):
    """Each cell with each label once, and how often there are such rows."""
    found, weight = np.unique(np.column_stack([groups, labels]), axis=0, return_counts=True)
    n_features = groups.shape[1]
    values = found[:, n_features:]
    labels = values[:, 0] if values.shape[1] == 1 else values
    return found[:, :n_features], labels, weight.astype(float)


@pytest.mark.parametrize(
    "expert", [None, DecisionTreeClassifier(max_depth=3), LogisticRegression()], ids=str
)
def test_labels_of_few_cells_are_learned(expert):
    moe = MixtureOfExpertsClassifier(expert, **QUICK).fit(X[SEEN], LABEL[SEEN])
    best = log_loss(LABEL[NEW], np.column_stack([1 - CHANCE, CHANCE])[CELL[NEW]])
    assert log_loss(LABEL[NEW], moe.predict_proba(X[NEW])) < best + 0.02


def test_who_was_not_seen_is_not_told_of():
    """Folds that each hold the same share of every content would know the labels left out."""
    said = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        cells, noise = rng.integers(3, size=(300, 3)).astype(float), rng.integers(2, size=300)
        params = {**QUICK, "verdict": True, "random_state": seed}
        moe = MixtureOfExpertsClassifier(DecisionTreeClassifier(random_state=0), **params)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "One expert explains")
            said.append(moe.fit(cells, noise).heldout_log_prob_)
    assert np.mean(said) < -np.log(2)


def rated(n_outputs):
    """Targets of few values, of one output or of two."""
    noise = np.random.default_rng(1).normal(size=(500, n_outputs))
    scores = np.rint(2 + X[SEEN] @ np.ones((2, n_outputs)) + 0.5 * noise)
    return scores[:, 0] if n_outputs == 1 else scores


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, sp.csr_array])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_parts_of_rows_go_with_all_else(container, n_outputs):
    ratings, params = rated(n_outputs), {**QUICK, "verdict": True, "cv": 3}
    features, found, counts = in_cells(ratings, X[SEEN])
    expert = Ridge() if container is sp.csr_array else DecisionTreeRegressor(max_depth=2)
    by_row = MixtureOfExpertsRegressor(expert, **params).fit(container(X[SEEN]), ratings)
    by_cell = MixtureOfExpertsRegressor(expert, n_jobs=2, **params)
    by_cell = by_cell.fit(container(features), found, sample_weight=counts)
    stored = pickle.loads(pickle.dumps(by_cell))
    for moe in (by_cell, stored):
        said = moe.predict(container(X[:9]))
        np.testing.assert_allclose(said, by_row.predict(container(X[:9])), atol=1e-5)
    assert by_cell.gain_ == pytest.approx(by_row.gain_, abs=1e-5)


@pytest.mark.parametrize("cv", [5, "loo"])
def test_ratings_of_few_cells_have_their_own_noise(cv):
    score = np.clip(np.rint(3 + X[:, 0] - X[:, 1] + 0.7 * RNG.normal(size=1500)), 1, 5)
    expert = Ridge() if cv == "loo" else DecisionTreeRegressor(max_depth=3)
    moe = MixtureOfExpertsRegressor(expert, cv=cv, **QUICK).fit(X[SEEN], score[SEEN])
    mean, std = moe.predict(X[NEW], return_std=True)
    assert std.mean() == pytest.approx(np.sqrt(np.mean((mean - score[NEW]) ** 2)), rel=0.1)


@pytest.mark.parametrize("verdict", [True, False])
def test_counts_of_cells_are_their_rows(verdict):
    moe = MixtureOfExpertsClassifier(LogisticRegression(), **{**QUICK, "verdict": verdict})
    by_row = moe.fit(X[SEEN], LABEL[SEEN]).predict_proba(X[:9])
    gain = moe.gain_
    features, labels, counts = in_cells(LABEL[SEEN], X[SEEN])
    by_cell = moe.fit(features, labels, sample_weight=counts).predict_proba(X[:9])
    np.testing.assert_allclose(by_cell, by_row, atol=1e-6)
    assert moe.gain_ == pytest.approx(gain, abs=1e-6, nan_ok=True)


def test_rows_in_parts_keep_what_belongs_to_them():
    features, labels, counts = in_cells(LABEL[SEEN], X[SEEN])
    features, labels = np.vstack([features, features[:1]]), np.append(labels, labels[0])
    init = np.column_stack([features[:, 0], 1 - features[:, 0]])
    moe = MixtureOfExpertsClassifier(LogisticRegression(), init=init, **{**QUICK, "verdict": True})
    moe.fit(features, labels, sample_weight=np.append(counts, 0.0))
    assert moe.calibrated_log_probs_.shape == (9,)
    assert np.isnan(moe.calibrated_log_probs_).tolist() == [False] * 8 + [True]
    # What is said of a row is the mean of what is said of its parts.
    whole = moe.calibrated_log_probs_[:8]
    rows = X[SEEN]
    moe.set_params(init=np.column_stack([rows[:, 0], 1 - rows[:, 0]])).fit(rows, LABEL[SEEN])
    for cell, label, said in zip(features[:8], labels[:8], whole, strict=True):
        own = (rows == cell).all(axis=1) & (LABEL[SEEN] == label)
        assert said == pytest.approx(moe.calibrated_log_probs_[own].mean(), abs=1e-6)


def test_columns_that_span_all_numbers_have_hashes():
    table = sp.csr_matrix([[-1e308, 1.0], [1e308, 2.0], [0.0, 3.0]])
    assert len(np.unique(feature_hashes(table))) == 3


@pytest.mark.parametrize("far", [3e9, -1e300, None])
@pytest.mark.parametrize("shift", [0.0, 1.7e9])
def test_rows_of_a_sparse_table_are_told_apart_whatever_lies_far_out(far, shift):
    rng = np.random.default_rng(0)
    table = shift + rng.integers(1, 100, size=(300, 3)).astype(float)
    table[rng.uniform(size=table.shape) < 0.3] = 0.0
    if far is not None:
        table[0] = far
    table = np.vstack([table, table[5:9]])
    found = feature_hashes(sp.csr_matrix(table))
    np.testing.assert_array_equal(feature_hashes(table), found)
    same = np.unique(table, axis=0, return_inverse=True)[1].ravel()
    assert len(np.unique(found)) == len(np.unique(same)) == len(np.unique(same + 1j * found))
    # Nor do units, repeats and stored zeros matter.
    np.testing.assert_array_equal(feature_hashes(sp.csr_matrix(8 * table)), found)
    rows = np.r_[0, 0:304, 5, 5]
    np.testing.assert_array_equal(feature_hashes(sp.csc_matrix(table[rows])), found[rows])
    stored = sp.csr_matrix(np.where(table == 0, 0.5, table))
    stored.data[stored.data == 0.5] = 0.0
    np.testing.assert_array_equal(feature_hashes(stored), found)


@given(
    cells=st.lists(
        st.sampled_from([0.0, 0.0, 0.1, 0.2, 0.1 + 0.2, 0.3, 3.0, -7.5, 3e9, -1e300]),
        min_size=1,
        max_size=60,
    ),
    n_columns=st.integers(1, 4),
    kind=st.sampled_from([sp.csr_matrix, sp.csc_matrix, sp.coo_array]),
)
def test_a_sparse_table_is_the_dense_one(cells, n_columns, kind):
    table = np.resize(cells, (-(-len(cells) // n_columns), n_columns))
    np.testing.assert_array_equal(feature_hashes(kind(table)), feature_hashes(table))


@pytest.mark.parametrize("kind", [MixtureOfExpertsRegressor, MixtureOfExpertsClassifier])
def test_fits_to_a_sparse_table_are_those_to_the_dense_one(kind):
    table = sp.random(300, 8, density=0.4, format="csr", random_state=0)
    dense = table.toarray()
    y = np.where(dense[:, 0] > 0, 3 * dense[:, 1], -2 * dense[:, 2])
    y = y + np.random.default_rng(0).normal(scale=0.3, size=300)
    y = y if kind is MixtureOfExpertsRegressor else y > 0
    one, other = (kind(n_experts=2, cv=3, random_state=0).fit(X, y) for X in (table, dense))
    np.testing.assert_allclose(one.gate_proba(table), other.gate_proba(dense), atol=1e-9)
    # Gates centre no sparse columns: witnesses, whose steps are cut short, end a little apart.
    assert one.gain_ == pytest.approx(other.gain_, abs=2e-4)


def test_forecasts_name_rows_as_they_were_given():
    """Of a table of counts each unit of weight is an observation, and rows of none are left out."""
    X, y = np.repeat(np.arange(12.0), 7)[:, None], np.tile(np.arange(7.0), 12)
    weight = np.random.default_rng(0).integers(0, 6, size=len(y)).astype(float)
    model = MixtureOfExpertsRegressor(Ridge(), n_experts=2, cv=3, n_init=1, random_state=0)
    forecast = model._fit_forecasting(X, y, weight, None)
    assert forecast.rows.tolist() == np.flatnonzero(weight).tolist()
    assert forecast.target[:, 0].tolist() == y[forecast.rows].tolist()
    assert forecast.weight.tolist() == weight[forecast.rows].tolist()
