"""Candidates of an automatic mixture that are fitted side by side, in processes."""

import os
import threading
import time
import warnings
from concurrent.futures import BrokenExecutor
from contextlib import nullcontext

import joblib
import numpy as np
import pytest
from joblib import effective_n_jobs
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.preprocessing import StandardScaler

from sklearn_moe import AutoMixtureRegressor, MixtureOfExpertsRegressor
from sklearn_moe.auto._side_by_side import side_by_side

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(4)
X = rng.normal(size=(120, 3))
Y = np.where(X[:, 0] > 0, 3, -3) * X[:, 1] + 0.3 * rng.normal(size=120)


class Broken(Ridge):
    """An expert that cannot be fitted."""

    def fit(self, X, y, sample_weight=None):
        raise ValueError("it broke")


class Bound(LinearRegression):
    """An expert that cannot leave its process once it is fitted."""

    def fit(self, X, y, sample_weight=None):
        self.lock_ = threading.Lock()
        return super().fit(X, y, sample_weight)

    def __deepcopy__(self, memo):
        return self


def at_home(home):
    """An expert that nobody but this process can make."""
    if os.getpid() != home:
        raise ImportError("no such module here")
    return Resident()


class Resident(LinearRegression):
    """An expert that processes can be sent, and cannot read."""

    def __reduce__(self):
        return at_home, (os.getpid(),)


def lines(n_experts, expert=None, **params):
    quick = {"n_init": 1, "max_iter": 3, "random_state": 0}
    return MixtureOfExpertsRegressor(expert or Ridge(), n_experts, **{**quick, **params})


def trio():
    return [("one", lines(1)), ("two", lines(2)), ("four", lines(4))]


def whereabouts(number):
    if number < 0:
        time.sleep(0.5)  # what comes before it is there
        raise ArithmeticError(f"{number} is negative")
    return number, (os.getpid(), threading.get_ident()), effective_n_jobs(2)


def test_results_come_in_order_from_processes_that_have_no_workers_of_their_own():
    found = side_by_side(whereabouts, [(1,), (2,), (3,)], 2)
    numbers, places, workers = zip(*found, strict=True)
    assert numbers == (1, 2, 3)
    assert os.getpid() not in dict(places)
    assert workers == (1, 1, 1)


@pytest.mark.parametrize(
    ("n_fits", "n_jobs", "backend"),
    [(1, 2, "loky"), (3, None, None), (3, 1, "loky"), (3, 2, "threading"), (3, 2, "sequential")],
)
def test_fits_stay_here_where_processes_are_none_or_of_no_use(n_fits, n_jobs, backend):
    arguments = [(number,) for number in range(n_fits)]
    with joblib.parallel_config(backend) if backend else nullcontext():
        found = list(side_by_side(whereabouts, arguments, n_jobs))
    assert {place for _, place, _ in found} == {(os.getpid(), threading.get_ident())}
    assert [number for number, *_ in found] == list(range(n_fits))


def test_the_number_of_processes_may_be_that_of_the_context():
    with joblib.parallel_config("loky", n_jobs=2):
        found = list(side_by_side(whereabouts, [(1,), (2,)], None))
    assert os.getpid() not in dict(place for _, place, _ in found)


def test_what_a_fit_raises_is_raised_here_once_those_before_it_have_come():
    numbers = []
    with pytest.raises(ArithmeticError, match="-2 is negative"):
        numbers.extend(number for number, *_ in side_by_side(whereabouts, [(1,), (-2,), (3,)], 2))
    assert numbers == [1]


def test_what_is_found_does_not_depend_on_processes():
    alone = AutoMixtureRegressor(trio()).fit(X, Y)
    beside = AutoMixtureRegressor(trio(), n_jobs=2).fit(X, Y)
    assert beside.log_probs_ == alone.log_probs_
    assert beside.weights_ == alone.weights_
    assert np.array_equal(beside.predict(X), alone.predict(X))
    assert {m.steps[-1][1].cv for m in beside.named_estimators_.values()} == {5}


@pytest.mark.parametrize("expert", [Bound(), Resident()])
def test_models_that_cannot_enter_or_leave_a_process_are_fitted_here(expert):
    candidates = [("bound", lines(2, expert, cv=3)), ("one", lines(1, cv=3))]
    alone = AutoMixtureRegressor(candidates).fit(X, Y)
    beside = AutoMixtureRegressor(candidates, n_jobs=2).fit(X, Y)
    assert beside.log_probs_ == alone.log_probs_
    assert np.array_equal(beside.predict(X), alone.predict(X))


def end_process(home):
    if os.getpid() != home:
        os._exit(1)
    return home


def test_what_brings_a_process_down_is_not_done_here():
    with pytest.raises(BrokenExecutor):
        list(side_by_side(end_process, [(os.getpid(),), (os.getpid(),)], 2))


def test_a_candidate_that_fails_in_a_process_is_out():
    candidates = [("bad", lines(2, Broken())), *trio()]
    with pytest.warns(UserWarning, match="'bad' cannot be fitted, and is out: .*it broke") as heard:
        auto = AutoMixtureRegressor(candidates, n_jobs=2).fit(X, Y)
    assert {warning.filename for warning in heard} == {__file__}
    assert auto.log_probs_["bad"] == -np.inf


def test_one_that_cannot_be_fitted_to_all_rows_is_replaced_by_the_next():
    candidates = [("five", lines(2, cv=5)), ("three", lines(2, cv=3)), ("one", lines(1, cv=3))]
    groups = np.arange(120) % 4
    with pytest.warns(UserWarning, match="'five.*cannot be fitted to all rows, and is out"):
        alone = AutoMixtureRegressor(candidates).fit(X, Y, groups=groups)
    with pytest.warns(UserWarning, match="'five.*cannot be fitted to all rows, and is out"):
        beside = AutoMixtureRegressor(candidates, n_jobs=2).fit(X, Y, groups=groups)
    assert beside.best_name_ == alone.best_name_
    assert beside.weights_ == alone.weights_


def test_a_fault_of_another_kind_names_the_candidate():
    candidates = [("one", lines(1)), ("odd", lines(2, gate=StandardScaler()))]
    with pytest.raises(TypeError) as caught:
        AutoMixtureRegressor(candidates, n_jobs=2).fit(X, Y)
    assert caught.value.__notes__ == ["This was candidate 'odd'."]


def test_what_is_kept_warns_of_what_it_has_warned_of_in_a_process():
    candidates = [("hasty", lines(16, cv=3, max_iter=1, tol=0.0)), ("bad", lines(2, Broken()))]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        AutoMixtureRegressor(candidates, n_jobs=2).fit(X, Y)
    assert any("max_iter" in str(warning.message) for warning in heard)
