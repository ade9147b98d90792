"""The one split of a fit."""

import numpy as np
import pytest
from sklearn.model_selection import KFold

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe._folds import (
    Splits,
    content_folds,
    fold_splits,
    group_folds,
    keep_rows,
    user_splits,
)

FOLDS = fold_splits(np.arange(23) % 4)


def listed(splits):
    return [(train.tolist(), test.tolist()) for train, test in splits]


def spelt_out(splits):
    """The same splits, whose training rows are given."""
    return Splits([test for _, test in splits], [train for train, _ in splits])


def test_each_fold_trains_on_the_rest():
    pairs = KFold(4).split(np.zeros((23, 1)))
    found = Splits([test for _, test in pairs])
    assert listed(found) == [(a.tolist(), b.tolist()) for a, b in KFold(4).split(np.zeros((23, 1)))]
    assert listed(spelt_out(FOLDS)) == listed(FOLDS)
    assert FOLDS.leave_out
    assert spelt_out(FOLDS).leave_out


@pytest.mark.parametrize("without", [None, 2])
def test_rows_that_are_kept_are_renumbered(without):
    kept = FOLDS[2][0] if without is not None else np.arange(3, 20)
    short = keep_rows(FOLDS, kept, 23, without)
    assert listed(short) == listed(keep_rows(spelt_out(FOLDS), kept, 23, without))
    assert sorted(np.concatenate(short.tests)) == list(range(len(kept)))
    assert len(short) == (4 if without is None else 3)


def test_folds_that_lose_their_rows_vanish():
    short = keep_rows(FOLDS, np.flatnonzero(np.arange(23) % 4 != 1), 23)
    assert len(short) == 3
    assert short.leave_out


def test_training_rows_that_are_not_the_rest():
    whole = Splits(FOLDS.tests, [np.arange(23)] * 4)
    assert not whole.leave_out
    assert [len(train) for train, _ in whole] == [23] * 4
    assert not fold_splits(np.zeros(5, int)).leave_out
    tests = [np.array([0, 1]), np.array([2, 3])]
    assert Splits(tests, tests[::-1]).leave_out
    assert not Splits(tests, tests).leave_out  # they train on what they test
    assert not Splits(tests, [np.array([2, 2]), tests[0]]).leave_out  # a row counts twice


def test_rows_may_be_counted_from_the_end_and_folds_may_be_empty():
    X, rows = np.zeros((23, 1)), np.arange(23)
    pairs = [(rows[:10], rows[10:] - 23), (rows, rows[:0]), (rows[10:], rows < 10)]
    found = user_splits(pairs, X, np.zeros(23), False, {})
    first, last = rows[:10].tolist(), rows[10:].tolist()
    assert listed(found) == [(first, last), (last, first)]
    with pytest.raises(ValueError, match="names row -1, but X has 23 rows"):
        user_splits([(rows[1:], [-24]), (rows[:1], rows[1:])], X, np.zeros(23), False, {})
    with pytest.raises(ValueError, match="names row 23, but X has 23 rows"):
        user_splits([([1, 23], rows[:1]), (rows[:1], rows[1:])], X, np.zeros(23), False, {})


def test_no_fold_may_test_the_rows_that_it_is_trained_on():
    X, rows = np.zeros((23, 1)), np.arange(23)
    with pytest.raises(ValueError, match=r"tests 10 rows in folds that are trained on them"):
        user_splits([(rows, rows[:10]), (rows[:10], rows[10:])], X, np.zeros(23), False, {})


def test_a_fold_is_left_out_though_its_rows_are_kept():
    whole = Splits(FOLDS.tests, [np.arange(23)] * 4)
    left = keep_rows(whole, np.arange(23), 23, without=2)
    assert [test.tolist() for _, test in left] == [FOLDS.tests[k].tolist() for k in (0, 1, 3)]


def test_dealt_by_content():
    ids = np.array([4, 1, 1, 7, 7, 9, 4, 2])
    splits = content_folds(3, ids)
    assert splits.dealt
    for train, test in splits:
        assert not set(ids[train]) & set(ids[test])


def test_groups_of_one_class_each_are_dealt_to_the_lightest_fold():
    splits = group_folds(2, np.array([0, 1]), np.array([[4.0, 0.0], [0.0, 1.0]]))
    assert [test.tolist() for _, test in splits] == [[0], [1]]


@pytest.mark.parametrize("unit", [1.0, 1e-12])
def test_a_rare_class_is_spread_over_folds_as_a_frequent_one_is(unit):
    """Four groups, of which two have a row of it."""
    mass = np.array([[6.0, 0.0], [5.0, 1.0], [5.0, 1.0], [4.0, 0.0]])
    splits = group_folds(2, np.arange(4), unit * mass)
    assert [mass[test].sum(axis=0).tolist() for _, test in splits] == [[11.0, 1.0], [9.0, 1.0]]


def test_no_fold_at_all():
    X = np.arange(20.0)[:, None]
    with pytest.raises(ValueError, match=r"cv=\[\] yields no folds"):
        MixtureOfExpertsRegressor(cv=[]).fit(X, X[:, 0])


@pytest.mark.parametrize("n_samples", [3, 4, 9])
def test_few_rows_make_as_many_folds_as_they_can(n_samples):
    """The usual number of folds is for any table; who names a larger one means it."""
    X = np.arange(n_samples, dtype=float)[:, None]
    usual = MixtureOfExpertsRegressor(n_experts=1).fit(X, X[:, 0])
    fewer = MixtureOfExpertsRegressor(n_experts=1, cv=min(n_samples, 5)).fit(X, X[:, 0])
    assert usual.heldout_log_prob_ == fewer.heldout_log_prob_
    with pytest.raises(ValueError, match=f"cv=10 asks for more folds .*, which are {n_samples}"):
        MixtureOfExpertsRegressor(cv=10).fit(X, X[:, 0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("sizes", [(2, 4000, 6398), (2, 2, 10_396)])
def test_folds_of_tiny_groups_are_whole_in_the_race(sizes):
    rng, n_rows = np.random.default_rng(0), sum(sizes)
    table = rng.normal(size=(n_rows, 2))
    y = np.where(table[:, 0] > 0, 3, -3) * table[:, 1] + 0.3 * rng.normal(size=n_rows)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    moe = MixtureOfExpertsRegressor(cv=len(sizes), random_state=0, max_iter=2, verdict=False)
    assert moe.fit(table, y, groups=groups).score(table, y) > 0.5
