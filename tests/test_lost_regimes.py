"""Regimes that some starts find and others miss: what is found is neither lost nor denied."""

import re

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from sklearn_moe import _fitting as fitting
from sklearn_moe import _second_witnesses as second_witnesses
from sklearn_moe._first_starts import ALL_LINEAR, BY_CHANCE
from sklearn_moe.starts import STARTS


def switching(n_samples, seed, n_features=10):
    """One rule and its opposite; what separates them is one column of many."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    slope = np.where(X[:, 0] > 0, 3.0, -3.0)
    return X, slope * X[:, 1] + 0.3 * rng.normal(size=n_samples) > 0


NEW = switching(5000, 999)


def loss(mixture):
    return log_loss(NEW[1], mixture.predict_proba(NEW[0]))


@pytest.fixture
def seconds(monkeypatch):
    """The folds that were given a second witness."""
    folds, raced = [], second_witnesses._raced

    def recorded(witness, stage, rule):
        folds.append(witness.fold)
        return raced(witness, stage, rule)

    monkeypatch.setattr(second_witnesses, "_raced", recorded)
    return folds


def test_witnesses_that_miss_what_the_fit_has_found_begin_again(seconds, capsys):
    X, y = switching(9000, 104)
    mixture = MixtureOfExpertsClassifier(random_state=0, verbose=1).fit(X, y)
    assert seconds == [0, 1]
    printed = capsys.readouterr().out
    assert "witnesses of folds [0, 1] have missed what the fit has found" in printed
    assert re.search(r"second witness of fold 1: bound -0\.\d+, kept", printed)
    assert mixture.gain_ > 0.5
    assert loss(mixture) < 0.2
    assert mixture.n_iter_ == len(mixture.lower_bounds_)
    lost, *_, found = mixture.heldout_log_probs_
    assert lost < -0.65
    assert found > -0.2


def test_of_few_rows_they_begin_again_as_well(seconds):
    rng = np.random.default_rng(11)
    X = rng.uniform(-1, 1, size=(400, 3))
    odds = np.where(X[:, 0] > 0, 6, -6) * X[:, 1] + rng.logistic(size=400)
    mixture = MixtureOfExpertsClassifier(random_state=0).fit(X, odds > 0)
    assert len(seconds) == 1
    assert mixture.gain_ > 0.3  # new rows gain 0.40


def test_a_user_is_told_if_they_miss_it_once_more(monkeypatch):
    X, y = switching(9000, 104)

    def missed(witness, *_):
        return witness
        yield

    monkeypatch.setattr(second_witnesses, "_second", missed)
    with pytest.warns(UserWarning, match="Witnesses have missed what the fit has found"):
        MixtureOfExpertsClassifier(random_state=0).fit(X, y)


def test_a_second_witness_that_fails_leaves_the_first(monkeypatch):
    X, y = switching(9000, 104)

    def failing(*_):
        raise ValueError("no")
        yield

    monkeypatch.setattr(second_witnesses, "_raced", failing)
    with pytest.warns(UserWarning, match="by 0.4"):
        mixture = MixtureOfExpertsClassifier(random_state=0).fit(X, y)
    assert mixture.gain_ < 0.01


def test_none_is_called_where_none_is_missed_or_experts_lose_rows(seconds):
    X, y = switching(1500, 0)
    MixtureOfExpertsClassifier(random_state=0).fit(X, y)
    tree = DecisionTreeClassifier(max_depth=3)
    with pytest.warns(ConvergenceWarning):
        MixtureOfExpertsClassifier(tree, cv=3, n_init=1, max_iter=3, random_state=0).fit(X, y)
    MixtureOfExpertsRegressor(random_state=0).fit(X, X[:, 0] + y)
    assert seconds == []


def test_what_a_race_on_some_rows_has_found_is_kept_on_all(monkeypatch):
    monkeypatch.setattr(fitting, "RACE_ROWS", 500)
    for seed in range(3):
        mixture = MixtureOfExpertsClassifier(init="principal", random_state=0)
        mixture.fit(*switching(1500, seed))
        # To begin anew on all rows is not as good as what the race has ended with.
        assert mixture.lower_bounds_[0] > max(mixture.start_bounds_.values())
        assert mixture.gain_ > 0.4


def test_it_is_kept_where_few_experts_act_on_a_row(monkeypatch):
    monkeypatch.setattr(fitting, "RACE_ROWS", 700)
    params = {"n_experts": 3, "top_k": 2, "verdict": False, "random_state": 0}
    mixture = MixtureOfExpertsClassifier(**params).fit(*switching(1500, 1))
    assert mixture.lower_bounds_[0] > max(mixture.start_bounds_.values()) - 0.1
    assert mixture.load_.sum() == pytest.approx(2.0)


def test_what_cannot_be_carried_over_is_made_anew(monkeypatch):
    def nothing(*_):
        return None
        yield

    monkeypatch.setattr(fitting, "RACE_ROWS", 200)
    monkeypatch.setattr(fitting, "assigned", nothing)
    X, y = switching(600, 0, n_features=2)
    mixture = MixtureOfExpertsClassifier(verdict=False, random_state=0).fit(X, y)
    kind = max(mixture.start_bounds_, key=mixture.start_bounds_.get)
    monkeypatch.setattr(fitting, "RACE_ROWS", 10_000)
    alone = MixtureOfExpertsClassifier(init=kind, n_init=1, verdict=False, random_state=0).fit(X, y)
    assert mixture.lower_bounds_[0] == pytest.approx(alone.lower_bounds_[0], abs=1e-6)


def test_one_start_races_others_on_some_rows_only(monkeypatch):
    monkeypatch.setattr(fitting, "RACE_ROWS", 300)
    sizes, race = [], fitting.race
    monkeypatch.setattr(
        fitting,
        "race",
        lambda model, *rest: sizes.append(model.data.n_samples) or race(model, *rest),
    )
    mixture = MixtureOfExpertsClassifier(n_init=1, random_state=0).fit(*switching(1000, 107))
    assert sizes == [300]
    assert len(mixture.start_bounds_) > 1


def test_more_starts_are_other_starts():
    X, y = switching(400, 0)
    params = {"max_iter": 1, "verdict": False, "random_state": 0}
    with pytest.warns(ConvergenceWarning):
        mixture = MixtureOfExpertsClassifier(n_init=13, **params).fit(X, y)
    assert list(mixture.start_bounds_)[:4] == list(ALL_LINEAR)
    again = {f"{kind}-2" for kind in BY_CHANCE}
    assert set(mixture.start_bounds_) == {*STARTS} | again
    bounds = [round(bound, 6) for bound in mixture.start_bounds_.values()]
    assert len(set(bounds)) > 10


def test_other_kinds_race_where_linear_experts_have_found_nothing():
    X, y = switching(1000, 107)
    mixture = MixtureOfExpertsClassifier(random_state=0).fit(X, y)
    assert set(mixture.start_bounds_) == {*STARTS}
    best = max(mixture.start_bounds_, key=mixture.start_bounds_.get)
    assert best not in ALL_LINEAR
    assert mixture.gain_ > 0.4
    named = MixtureOfExpertsClassifier(init="tree", random_state=0)
    assert set(named.fit(X, y).start_bounds_) == {"tree", "tree-2", "tree-3", "tree-4"}


def test_other_kinds_do_not_race_where_something_was_found():
    X, y = switching(1000, 100)
    mixture = MixtureOfExpertsClassifier(random_state=0).fit(X, y)
    assert list(mixture.start_bounds_) == list(ALL_LINEAR)
    tree = DecisionTreeClassifier(max_depth=3)
    params = {"cv": 3, "n_init": 1, "max_iter": 2, "random_state": 0, "verdict": False}
    with pytest.warns(ConvergenceWarning):
        mixture = MixtureOfExpertsClassifier(tree, **params).fit(X, y)
    assert len(mixture.start_bounds_) == 1
