"""A fit that follows a witness to a better optimum."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor, _fitting, _following
from sklearn_moe._em import EMRule, run_em
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
        poor = yield from run_em(model, model.expect(np.eye(3)[labels]), EMRule(1, 0.0))
        expectation = replace(poor.expectation, held_out=heard.held_out, score=heard.score)
        return replace(
            stage, result=replace(stage.result, state=poor.state, expectation=expectation)
        )

    monkeypatch.setattr(_fitting, "run_witnessed", run)


def test_a_run_that_went_astray_goes_on_where_a_witness_has_come(astray, capsys):
    moe = build(verbose=1).fit(X, Y)
    assert moe.score(X, Y) > 0.85
    assert "what a witness has found: bound" in capsys.readouterr().out
    n_heard = len(moe.heldout_log_probs_)
    assert n_heard < moe.n_iter_ == len(moe.lower_bounds_)
    assert moe.gain_ > 2 * moe.gain_stderr_
    kept = ConvergenceDisplay.from_estimator(moe).best_iter
    assert kept > n_heard
    assert moe.lower_bounds_[kept - 1] == max(moe.lower_bounds_[n_heard:])


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


@pytest.mark.filterwarnings("ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning")
def test_experts_that_lose_rows_follow_only_where_they_lag(monkeypatch):
    def refuse(*_):
        raise AssertionError("a run is followed")

    monkeypatch.setattr(_following, "_follow", refuse)
    build(DecisionTreeRegressor(max_depth=3, min_samples_leaf=10), max_iter=4).fit(X, Y)
    with pytest.raises(AssertionError, match="followed"):
        build(max_iter=4).fit(X, Y)
