"""Callbacks of scikit-learn: what they hear of a fit, and what they can do to it."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from sklearn_moe._callbacks import Silence, Tasks

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 has callbacks")


class Recorder:
    """Writes down the tasks that begin and end, and stops what it is told to.

    That is runs at their iteration `last`, and the path after `n_runs` of them.
    """

    def __init__(self, last: int | None = None, n_runs: int | None = None) -> None:
        self.last, self.n_runs = last, n_runs
        self.begun, self.ended, self.under_way = [], [], 0

    def setup(self, estimator, context):
        self.under_way += 1

    def teardown(self, estimator, context):
        self.under_way -= 1

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)
        if context.task_name == "EM":
            return self.ended.count("EM") == self.n_runs
        return context.task_name == "iteration" and context.task_id + 1 == self.last


def two_regimes(n_samples: int = 240):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 3))
    return X, np.where(X[:, 0] > 0, 3 * X[:, 1], -2 * X[:, 2]) + rng.normal(0, 0.2, n_samples)


def regressor(**params):
    given = {"n_experts": 2, "n_init": 1, "cv": 3, "random_state": 0} | params
    return MixtureOfExpertsRegressor(given.pop("experts", Ridge()), **given)


def test_tasks_are_the_race_and_the_iterations_of_em():
    recorder = Recorder()
    mixture = regressor().set_callbacks(recorder).fit(*two_regimes())
    iterations = mixture.n_iter_ * ["iteration"]
    assert recorder.begun == ["fit", "race", "EM", *iterations]
    assert recorder.ended == ["race", *iterations, "EM", "fit"]
    assert recorder.under_way == 0


def test_what_callbacks_fit_is_checked():
    """A fit trusts the parameters of its experts; a callback's own estimators may be anything."""
    refused = []

    class Refitting(Recorder):
        def on_fit_task_end(self, *args, **told):
            with pytest.raises(ValueError, match="alpha"):
                Ridge(alpha=-1).fit(*two_regimes())
            refused.append(True)

    mixture = regressor().set_callbacks(Refitting()).fit(*two_regimes())
    assert len(refused) > mixture.n_iter_


def test_a_grown_mixture_has_a_run_of_em_for_each_number():
    recorder = Recorder()
    regressor(n_experts="auto").set_callbacks(recorder).fit(*two_regimes())
    assert recorder.begun.count("EM") > 2
    assert sorted(recorder.begun) == sorted(recorder.ended)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"experts": DecisionTreeRegressor(max_depth=3)},
        {"cv": None, "calibrate": None},
        {"verdict": False},
        {"calibrate": "conformal"},
        {"top_k": 1, "n_experts": 3},
        {"dispersion_estimator": Ridge()},
        {"n_jobs": 2},
    ],
)
def test_a_monitor_scores_the_mixture_of_each_iteration(params):
    X, y = two_regimes()
    monitor = callback.ScoringMonitor(scoring="r2")
    mixture = regressor(**params, max_iter=15, tol=1e-3).set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs().data
    scores = [row["r2"] for row in log if row["task_name"] == "iteration"]
    # Without witnesses, the run goes on from the race, where nobody is asked.
    assert 0 < len(scores) <= mixture.n_iter_
    assert scores[-1] == mixture.score(X, y)
    assert next(row["r2"] for row in log if row["task_name"] == "fit") == scores[-1]
    plain = regressor(**params, max_iter=15, tol=1e-3).fit(X, y)
    np.testing.assert_array_equal(plain.predict(X), mixture.predict(X))


def test_an_iteration_before_the_last_scores_as_a_fit_that_ends_there():
    X, y = two_regimes()
    monitor = callback.ScoringMonitor(scoring="neg_mean_squared_error")
    regressor().set_callbacks(monitor).fit(X, y)
    with pytest.warns(ConvergenceWarning):
        short = regressor(max_iter=2).fit(X, y)
    scores = {tuple(r["task_id_path"]): list(r.values())[-1] for r in monitor.get_logs().data}
    (second,) = [score for path, score in scores.items() if path[1:] == (1, 1)]
    assert second == -np.mean((y - short.predict(X)) ** 2)


def test_a_classifier_is_monitored_with_its_weights():
    X, target = two_regimes()
    y, weight = np.where(target > 0, "yes", "no"), np.arange(len(X)) % 3
    monitor = callback.ScoringMonitor(scoring="neg_log_loss")
    mixture = MixtureOfExpertsClassifier(LogisticRegression(), n_init=1, cv=3, random_state=0)
    mixture.set_callbacks(monitor).fit(X, y, sample_weight=weight)
    proba = mixture.predict_proba(X)[np.arange(len(X)), (y == "yes").astype(int)]
    scores = [row["neg_log_loss"] for row in monitor.get_logs().data]
    assert scores[0] == pytest.approx(np.average(np.log(proba), weights=weight))


def test_a_monitor_scores_several_outputs_of_a_frame_with_weights():
    X, y = two_regimes()
    frame, targets = pd.DataFrame(X, columns=["a", "b", "c"]), np.column_stack([y, X[:, 0] - y])
    weight = np.arange(len(X)) % 3
    monitor = callback.ScoringMonitor(scoring="r2")
    mixture = regressor(calibrate="conformal").set_callbacks(monitor)
    mixture.fit(frame, targets, sample_weight=weight)
    scores = [row["r2"] for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    assert len(scores) == mixture.n_iter_
    assert scores[-1] == mixture.score(frame, targets, weight)


def test_a_callback_ends_the_run():
    recorder = Recorder(last=2)
    mixture = regressor(experts=DecisionTreeRegressor(max_depth=3))
    mixture.set_callbacks(recorder).fit(*two_regimes())  # and nothing warns that it is short
    assert mixture.n_iter_ == 2
    assert not mixture.converged_
    assert recorder.ended.count("iteration") == 2


@pytest.mark.parametrize("n_runs", [1, 2])
def test_a_callback_ends_the_path(n_runs):
    recorder = Recorder(last=2, n_runs=n_runs)
    mixture = regressor(n_experts="auto", verdict=False).set_callbacks(recorder)
    mixture.fit(*two_regimes())
    assert recorder.ended.count("EM") == n_runs
    assert list(mixture.n_experts_path_) == list(range(1, n_runs + 2))


def test_a_failed_fit_leaves_the_mixture_as_it_was():
    X, y = two_regimes()
    recorder = Recorder()
    mixture = regressor().set_callbacks(recorder).fit(X, y)
    before = dict(vars(mixture))
    mixture.set_params(experts=Failing())
    with pytest.raises(ValueError, match="no such"):
        mixture.fit(X, y)
    assert vars(mixture) == before | {"experts": mixture.experts}
    assert recorder.under_way == 0


class Failing(Ridge):
    """An expert that cannot be fitted."""

    def fit(self, X, y, sample_weight=None):
        raise ValueError("no such thing")


def test_clones_and_copies_keep_their_callbacks():
    monitor = callback.ScoringMonitor(scoring="r2")
    mixture = regressor().set_callbacks(monitor)
    assert clone(mixture)._skl_callbacks == [monitor]
    assert len(pickle.loads(pickle.dumps(mixture))._skl_callbacks) == 1
    assert not hasattr(mixture.set_callbacks(), "_skl_callbacks")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_progress_bar_goes_through_searches_and_pipelines(n_jobs, capfd):
    pytest.importorskip("rich", reason="progress bars are drawn by rich")
    X, y = two_regimes()
    steps = make_pipeline(StandardScaler(), regressor())
    grid = {"mixtureofexpertsregressor__init": ["random", "tree"]}
    search = GridSearchCV(steps, grid, cv=2, n_jobs=n_jobs)
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, y)
    shown = capfd.readouterr().out
    assert "MixtureOfExpertsRegressor - EM" in shown
    assert search.best_score_ > 0.5


def test_where_there_are_no_callbacks_nobody_hears():
    class Old:
        def _init_callback_context(self, **options):
            return Silence()

    tasks = Tasks(Old(), None, None, None)
    with tasks.task("EM", 3):
        tasks.begin("iteration")
        assert tasks.end(dict) is False
    assert tasks.end() is False
