"""A fit that follows a witness to a better optimum."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import (
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    _fitting,
    _guided,
)
from sklearn_moe._em import EMRule, run_em
from sklearn_moe._plans import follow_here
from sklearn_moe._progress import Reporter, Session
from sklearn_moe._verdict import run_witnessed
from sklearn_moe.inspection import ConvergenceDisplay

rng = np.random.default_rng(0)
X = rng.uniform(-3, 3, size=(240, 2))
REGIME = np.digitize(X[:, 0], [-1.0, 1.0])
Y = np.array([2.0, -2.0, 1.0])[REGIME] * X[:, 1] + REGIME + 0.3 * rng.normal(size=240)


def build(expert=None, **params):
    params = {"cv": 3, "n_init": 1, "random_state": 0, **params}
    return MixtureOfExpertsRegressor(expert or Ridge(), 3, **params)


@pytest.fixture
def astray(monkeypatch):
    """Every run ends in a poor place, of which its witnesses know nothing."""

    def run(*args, **kwargs):
        stage = yield from run_witnessed(*args, **kwargs)
        model, heard = stage.model, stage.result.expectation
        labels = np.random.default_rng(0).integers(0, 3, model.data.n_samples)
        poor = yield from run_em(model, model.begin(np.eye(3)[labels]), EMRule(1, 0.0))
        expectation = replace(poor.expectation, held_out=heard.held_out, score=heard.score)
        return replace(
            stage, result=replace(stage.result, state=poor.state, expectation=expectation)
        )

    monkeypatch.setattr(_fitting, "run_witnessed", run)


def test_a_run_that_went_astray_goes_on_where_a_witness_has_come(astray, capsys):
    moe = build(verbose=1).fit(X, Y)
    assert moe.score(X, Y) > 0.85
    assert "what a witness has found: bound" in capsys.readouterr().out
    n_witnessed = len(moe.heldout_log_probs_)
    assert n_witnessed < moe.n_iter_ == len(moe.lower_bounds_)
    assert moe.gain_ > 2 * moe.gain_stderr_
    kept = ConvergenceDisplay.from_estimator(moe).best_iter
    assert kept > n_witnessed
    assert moe.lower_bounds_[kept - 1] == max(moe.lower_bounds_[n_witnessed:])


def test_what_the_witnesses_say_is_told_where_they_choose(capsys):
    def said(**params):
        moe = build(verbose=2, **params).fit(X, Y)
        text = capsys.readouterr().out
        assert f"; iteration {ConvergenceDisplay.from_estimator(moe).best_iter} kept, bound" in text
        return moe, text

    moe, text = said()
    last = moe.lower_bounds_[-1], moe.heldout_log_probs_[-1]
    assert f"iteration {moe.n_iter_}: bound {last[0]:.5f}, of witnesses {last[1]:.5f}\n" in text
    assert ", of witnesses" not in said(verdict=False)[1]


def test_weights_are_repeats_along_the_way(astray):
    weight = np.random.default_rng(1).integers(1, 4, size=len(X))
    rows = np.random.default_rng(2).permutation(np.repeat(np.arange(len(X)), weight))
    weighted, repeated = build().fit(X, Y, sample_weight=weight), build().fit(X[rows], Y[rows])
    assert weighted.n_iter_ > len(weighted.heldout_log_probs_)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-7)


def test_what_is_not_surely_better_is_not_followed():
    moe = build().fit(X, Y)
    assert moe.n_iter_ == len(moe.heldout_log_probs_)


def test_the_limit_of_iterations_holds_for_both_runs(astray):
    assert build(max_iter=8).fit(X, Y).n_iter_ <= 8


@pytest.fixture
def refusing(monkeypatch):
    """No run may be followed."""

    def refuse(*_):
        raise AssertionError("a run is followed")

    monkeypatch.setattr(_guided, "_go_on", refuse)


MANY = make_pipeline(PolynomialFeatures(6), Ridge())


@pytest.mark.filterwarnings("ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning")
def test_experts_that_are_not_stiff_follow_only_where_they_lag(refusing):
    build(DecisionTreeRegressor(max_depth=3, min_samples_leaf=10), max_iter=4).fit(X, Y)
    build(MANY, max_iter=4).fit(X, Y)
    build(max_iter=4).fit(PolynomialFeatures(9).fit_transform(X), Y)  # few rows for each of them
    labels = MixtureOfExpertsClassifier(n_experts=2, cv=3, n_init=1, max_iter=4, random_state=0)
    labels.fit(X, Y > 0)
    with pytest.raises(AssertionError, match="followed"):
        build(max_iter=4).fit(X, Y)


def test_experts_of_a_warm_start_keep_their_places(refusing, monkeypatch):
    monkeypatch.setattr(_guided, "_is_stiff", lambda stage: False)
    moe = build(warm_start=True).fit(X, Y)
    monkeypatch.undo()
    monkeypatch.setattr(_guided, "_go_on", None)
    assert list(moe.fit(X, Y).start_bounds_) == ["warm"]


def test_a_fit_that_lags_still_trusts_its_witnesses(monkeypatch):
    """Who lags and has nobody to follow is calibrated, and leans, by what they have said."""
    tree = DecisionTreeRegressor(min_samples_leaf=3, random_state=0)
    noisy = Y + 2 * np.random.default_rng(3).normal(size=len(Y))
    expected = build(tree).fit(X, noisy)
    assert expected.baseline_ is not None
    monkeypatch.setattr(_guided, "_lags", lambda stage, least=0.0: True)
    monkeypatch.setattr(_guided, "_guide", lambda stage: None)
    with pytest.warns(UserWarning, match="behind its witnesses"):
        moe = build(tree).fit(X, noisy)
    np.testing.assert_array_equal(moe.predict(X), expected.predict(X))
    assert moe.gain_ == expected.gain_


def test_nothing_is_followed_once_a_callback_has_had_enough(monkeypatch):
    monkeypatch.setattr(_guided, "_run_from", None)
    reporter = Reporter("", 0, None, None)
    level = SimpleNamespace(held_out=None)
    ended = SimpleNamespace(result=SimpleNamespace(n_iter=3, reason="callback", expectation=level))
    monkeypatch.setattr(_guided, "_guide", lambda stage: object())
    assert follow_here(_guided._go_on(ended, Session(EMRule(10, 0.0), reporter))) is ended
    ended.result.reason, reporter.was_last_run = "tol", True
    assert follow_here(_guided._go_on(ended, Session(EMRule(10, 0.0), reporter))) is ended


def test_a_guide_that_fails_costs_the_second_run_alone(astray, monkeypatch, capsys):
    def fails(*_):
        raise ValueError("singular")
        yield

    monkeypatch.setattr(_guided, "_run_from", fails)
    with pytest.warns(UserWarning, match="behind its witnesses"):
        moe = build(verbose=1).fit(X, Y)
    assert "what a witness has found: failed, singular" in capsys.readouterr().out
    assert moe.n_iter_ == len(moe.heldout_log_probs_)


def test_a_fit_that_stays_behind_its_witnesses_says_so():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(150, 4))
    amount = np.exp(rows @ np.arange(1, 5) / 4 + 0.5 * rng.normal(size=150))
    target = np.where(rng.uniform(size=150) < 0.6, 0.0, amount)  # witnesses take zeros for a rule
    moe = build(DecisionTreeRegressor(max_depth=4, random_state=0), max_iter=6).fit
    with pytest.warns(UserWarning, match=r"behind its witnesses: out of fold.* gain_ is theirs"):
        behind = moe(rows, target)
    assert behind.heldout_log_prob_ > max(behind.lower_bounds_)
    moe(rows, amount)  # no warning
