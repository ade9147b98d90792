"""Logits of small tables, all at once: the same steps as block by block and fold by fold."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression, Ridge

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from sklearn_moe.linear._labelled_table import make_labelled_table
from sklearn_moe.logit import (
    FoldedLogits,
    StandardisedRows,
    _curvature,
    _few_rows,
    _folds,
    _hessians,
    folded_logits,
    sum_zero_basis,
)
from sklearn_moe.logit._few_rows import FewRows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(180, 3)) * [1.0, 3.0, 0.2] + [0.0, 5.0, 0.0]
CENTER, SCALE = X.mean(axis=0), X.std(axis=0)
FAR = np.array([0.0, 1e6, 0.0])
FOLDS = [np.flatnonzero(np.arange(180) % 7 // 2 == fold) for fold in range(4)]  # not of one size
DESIGNS = {
    "array": X,
    "single": StandardisedRows(X.astype(np.float32), CENTER, SCALE),
    "standardised": StandardisedRows(X, CENTER, SCALE),
    "far": StandardisedRows(X + FAR, CENTER + FAR, SCALE),
    "labelled": make_labelled_table(X, RNG.integers(3, size=180), 3),
}


def both(design, n_problems=1, exact=False, folds=FOLDS):
    """The logits of few rows, and those fold by fold."""
    ridge = np.full((len(folds or [None]), n_problems, 4), 0.7)
    ridge[..., -1] = 0.0
    few = folded_logits(design, folds, ridge, exact)
    assert type(few) is FewRows
    return few, FoldedLogits(design, folds, ridge, exact)


def targets_of(n_problems, n_classes):
    target = RNG.gamma(0.5, size=(n_problems, n_classes, 180))
    target[:, :, 5] = 0.0  # rows without weight
    return lambda rows: (target[..., rows], target[..., rows].sum(axis=1))


@pytest.mark.parametrize("folds", [FOLDS, None], ids=["folds", "all rows"])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("n_problems", [1, 3])
@pytest.mark.parametrize("design", DESIGNS)
def test_steps_are_those_fold_by_fold(design, n_problems, n_classes, exact, folds):
    few, each = both(DESIGNS[design], n_problems, exact, folds)
    targets = targets_of(n_problems, n_classes)
    theta = RNG.normal(size=(len(few.ridge), n_problems, n_classes - 1, 4))
    for _ in range(4):
        np.testing.assert_allclose(few.log_proba(theta), each.log_proba(theta), rtol=1e-9)
        moved, changed = few.step(theta, targets)
        expected = each.step(theta, targets)
        np.testing.assert_allclose(moved, expected[0], rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(changed, expected[1], rtol=1e-8, atol=1e-9)
        theta = moved


@pytest.mark.parametrize("n_problems", [1, 3])
@pytest.mark.parametrize("design", DESIGNS)
def test_whole_steps_are_those_block_by_block(design, n_problems):
    few, each = both(DESIGNS[design], n_problems, folds=None)
    theta, targets = 3 * RNG.normal(size=(1, n_problems, 2, 4)), targets_of(n_problems, 3)
    for _ in range(4):  # the first ones are no descent and are shortened
        found, expected = few.whole_step(theta, targets), each.whole_step(theta, targets)
        for part, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(part, other, rtol=1e-8, atol=1e-9)
        theta = found[0]


def test_scores_beyond_all_exponentials_do_no_harm():
    few, each = both(DESIGNS["standardised"])
    theta, targets = 1e4 * RNG.normal(size=(4, 1, 2, 4)), targets_of(1, 3)
    np.testing.assert_allclose(few.log_proba(theta), each.log_proba(theta), rtol=1e-9)
    for found, expected in zip(few.step(theta, targets), each.step(theta, targets), strict=True):
        assert np.isfinite(expected).all()
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_what_is_made_of_the_table_is_not_sent_to_workers():
    few, _ = both(DESIGNS["standardised"])
    theta, targets = RNG.normal(size=(4, 1, 2, 4)), targets_of(1, 3)
    moved = few.step(theta, targets)[0]
    sent = pickle.loads(pickle.dumps(few))
    assert (
        vars(sent).keys()
        == {"design", "folds", "ridge", "exact", "n_distinct", "absent"}
        < vars(few).keys()
    )
    np.testing.assert_array_equal(sent.step(theta, targets)[0], moved)


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_hessians_of_many_classes_are_put_together_otherwise(n_classes, monkeypatch):
    factors = np.random.default_rng(0).normal(size=(3, 2, n_classes * (n_classes - 1) // 2, 4, 9))
    grams, ridge = factors @ np.swapaxes(factors, -1, -2), np.full((3, 2, 4), 0.5)
    expected = _hessians.assemble_hessians(grams, n_classes, ridge)
    monkeypatch.setattr(_hessians, "MANY", 2)
    monkeypatch.delattr(_hessians, "shares_of_pairs")
    found = _hessians.assemble_hessians(grams, n_classes, ridge)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_tables_that_all_share_are_not_written_to():
    tables = [*_hessians.expert_pairs(3), _hessians.shares_of_pairs(3), sum_zero_basis(3)]
    assert not any(table.flags.writeable for table in tables)


@pytest.mark.parametrize("at_once", [1, 10**9])
def test_hessians_are_put_together_a_few_at_a_time(at_once, monkeypatch):
    few, _ = both(DESIGNS["standardised"], 3)
    theta, targets = RNG.normal(size=(4, 3, 2, 4)), targets_of(3, 3)
    moved = few.step(theta, targets)[0]
    monkeypatch.setattr(_curvature, "AT_ONCE", at_once)
    np.testing.assert_allclose(few.step(theta, targets)[0], moved, rtol=1e-12)


@pytest.mark.parametrize("limit", ["MOST_ELEMENTS", "is_sharp"])
def test_what_is_large_is_done_fold_by_fold(limit, monkeypatch):
    few, each = both(DESIGNS["standardised"])
    small = {"MOST_ELEMENTS": 0, "is_sharp": lambda *parts: False}
    monkeypatch.setattr(_few_rows if limit == "MOST_ELEMENTS" else _folds, limit, small[limit])
    theta, targets = RNG.normal(size=(4, 1, 2, 4)), targets_of(1, 3)
    np.testing.assert_array_equal(few.log_proba(theta), each.log_proba(theta))
    for found, expected in zip(few.step(theta, targets), each.step(theta, targets), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("design", [csr_array(X), np.zeros((180, 80))], ids=["sparse", "wide"])
def test_who_is_not_asked_all_at_once(design):
    ridge = np.ones((4, 1, design.shape[1] + 1))
    assert type(folded_logits(design, FOLDS, ridge)) is FoldedLogits


@pytest.mark.parametrize("cv", [5, None])
@pytest.mark.parametrize("expert", [Ridge(), LogisticRegression(solver="newton-cg")], ids=str)
def test_whole_fits_are_the_same(expert, cv, monkeypatch):
    y = np.where(X[:, 0] > 0, 1.0, -1.0) * (X[:, 1] - 5) + RNG.normal(size=180)
    kind, y = (MixtureOfExpertsRegressor, y)
    if isinstance(expert, LogisticRegression):
        kind, y = MixtureOfExpertsClassifier, np.digitize(y, [-1, 2])
    few = kind(expert, 3, cv=cv, random_state=0, n_init=2).fit(X, y)
    monkeypatch.setattr(_few_rows, "MOST_ELEMENTS", 0)
    each = kind(expert, 3, cv=cv, random_state=0, n_init=2).fit(X, y)
    np.testing.assert_allclose(few.lower_bounds_, each.lower_bounds_, rtol=1e-7)
    np.testing.assert_allclose(few.log_prob(X, y), each.log_prob(X, y), rtol=1e-5, atol=1e-7)
