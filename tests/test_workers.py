"""Who does the jobs: this thread, other threads, or processes."""

import os
import threading
import time
from concurrent.futures import BrokenExecutor

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from sklearn_moe import MixtureOfExpertsRegressor, _parallel
from sklearn_moe._parallel import open_workers
from sklearn_moe._plans import do, run_here, together


def nap(seconds):
    """A job that computes nothing; where it was done."""
    time.sleep(seconds)
    return os.getpid(), threading.get_ident()


def follow(plan, n_jobs=2):
    """What workers make of a plan."""
    with open_workers(n_jobs) as workers:
        return workers.follow(plan)


def rounds(function, n_rounds=12, n_jobs=8):
    """A plan of rounds of short jobs; where those of the last round were done."""
    for _ in range(n_rounds):
        places = yield from together(*(do(function, 0.01) for _ in range(n_jobs)))
    return places


class AtOnce(threading.Thread):
    """A thread whose work is done when it has been started."""

    def start(self):
        super().start()
        self.join()


class Never(threading.Thread):
    """A thread that does not get to its work."""

    def start(self):
        pass

    def is_alive(self):
        return True

    def join(self, timeout=None):
        pass


@pytest.fixture(autouse=True)
def short_contest(monkeypatch):
    monkeypatch.setattr(_parallel, "CONTEST_SECONDS", 0.05)
    monkeypatch.setattr(_parallel, "LONG_FIT", 0.0)
    monkeypatch.setattr(_parallel, "Thread", AtOnce)


def processes(places):
    return {process for process, _ in places}


def threads(places):
    return {thread for _, thread in places}


HERE = (os.getpid(), threading.get_ident())


def test_threads_are_kept_where_they_are_faster(monkeypatch):
    faster_by({"threads": 1.5}, monkeypatch)
    places = follow(rounds(nap))
    assert processes(places) == {os.getpid()}
    assert len(threads(places)) == 2
    assert threading.get_ident() not in threads(places)


@pytest.mark.parametrize(
    ("threads_gain", "processes_gain", "kept"),
    [(1.0, 2.0, "processes"), (1.1, 1.05, "threads"), (1.3, 2.0, "threads"), (0.6, 0.9, "here")],
)
def test_the_fastest_kind_is_kept(threads_gain, processes_gain, kept, monkeypatch):
    """Processes are tried where threads are of little use."""
    faster_by({"threads": threads_gain, "processes": processes_gain}, monkeypatch)
    places = follow(rounds(nap))
    assert (processes(places) == {os.getpid()}) == (kept != "processes")
    assert (set(places) == {HERE}) == (kept == "here")


def faster_by(gains, monkeypatch):
    """Let the contests end with these gains."""
    gain = property(lambda contest: gains[contest.kind])
    monkeypatch.setattr(_parallel.Contest, "speedup", gain)


def test_jobs_that_cannot_travel_are_not_sent_to_processes(monkeypatch):
    faster_by({"threads": 1.1, "processes": 2.0}, monkeypatch)
    places = follow(rounds(lambda seconds: nap(seconds)))
    assert processes(places) == {os.getpid()}


class Stuck:
    """What no process can be sent."""

    def __reduce__(self):
        raise TypeError("cannot be pickled")


def identify(thing):
    return type(thing).__name__, os.getpid()


def stick(thing):
    """A job whose result may be one that no process can send."""
    return Stuck() if thing else os.getpid()


def test_result_that_turns_out_not_to_travel_is_made_without_processes(monkeypatch):
    def plan():
        yield from rounds(nap)
        return (yield from together(*(do(stick, thing) for thing in (0, 1, 0, 0))))

    faster_by({"threads": 1.1, "processes": 2.0}, monkeypatch)
    first, second, *_ = follow(plan())
    assert first == os.getpid()
    assert isinstance(second, Stuck)


def fail(number):
    raise ArithmeticError(f"job {number}")


def test_errors_of_jobs_come_through(monkeypatch):
    def plan():
        yield from rounds(nap)
        return (yield from together(*(do(fail, number) for number in range(4))))

    faster_by({"threads": 1.1, "processes": 2.0}, monkeypatch)
    with pytest.raises(ArithmeticError, match="job"):
        follow(plan())


def end_process(here):
    """A job that brings its process down, unless that is this one."""
    if os.getpid() != here:
        os._exit(1)
    return here


def test_job_that_brings_a_process_down_is_not_done_here(monkeypatch):
    def plan():
        yield from rounds(nap)
        return (yield from together(*(do(end_process, os.getpid()) for _ in range(4))))

    faster_by({"threads": 1.1, "processes": 2.0}, monkeypatch)
    with pytest.raises(BrokenExecutor):
        follow(plan())


def at_home(home):
    """Here, as nobody but this process can read it."""
    if os.getpid() != home:
        raise ImportError("no such module here")
    return home


class Resident:
    """What processes can be sent, and cannot read."""

    def __reduce__(self):
        return at_home, (os.getpid(),)


def test_job_that_processes_cannot_read_is_done_without_them(monkeypatch):
    def plan():
        yield from rounds(nap)
        return (yield from together(*(do(identify, Resident()) for _ in range(4))))

    faster_by({"threads": 1.1, "processes": 2.0}, monkeypatch)
    assert follow(plan()) == [("Resident", os.getpid())] * 4


def test_job_that_turns_out_not_to_travel_is_done_without_processes(monkeypatch):
    def plan():
        yield from rounds(nap)
        first = yield from together(*(do(identify, i) for i in range(6)))
        then = yield from together(*(do(identify, thing) for thing in (1, Stuck(), 2)))
        return first, then

    faster_by({"threads": 1.1, "processes": 2.0}, monkeypatch)
    first, then = follow(plan())
    assert os.getpid() not in {process for _, process in first}
    assert then == [(name, os.getpid()) for name in ("int", "Stuck", "int")]


def test_empty_lists_are_done_at_once(monkeypatch):
    """Where all experts are solved for, no jobs are left for the rest."""
    faster_by({"threads": 1.0, "processes": 2.0}, monkeypatch)

    def plan():
        for _ in range(8):
            yield from rounds(nap, n_rounds=1)
            assert (yield []) == []

    follow(plan())


def test_work_goes_on_here_while_processes_start(monkeypatch):
    faster_by({"threads": 0.9, "processes": 2.0}, monkeypatch)
    monkeypatch.setattr(_parallel, "Thread", Never)
    places = follow(rounds(nap))
    assert set(places) == {HERE}


def test_processes_are_used_once_they_have_started(monkeypatch):
    def plan(seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            places = yield from rounds(nap, 1)
            if os.getpid() not in processes(places):
                break
        return places

    faster_by({"threads": 0.9, "processes": 2.0}, monkeypatch)
    monkeypatch.setattr(_parallel, "Thread", threading.Thread)
    places = follow(plan())
    assert os.getpid() not in processes(places)


def test_processes_that_cannot_start_are_done_without(monkeypatch):
    def refuse(function, arguments):
        if function is run_here:
            raise OSError("no processes here")
        return function(*arguments)

    faster_by({"threads": 0.9, "processes": 2.0}, monkeypatch)
    monkeypatch.setattr(_parallel, "_on_one_thread", refuse)
    places = follow(rounds(nap))
    assert set(places) == {HERE}


def test_no_start_of_processes_outlives_the_fit(monkeypatch):
    faster_by({"threads": 0.9, "processes": 0.9}, monkeypatch)
    monkeypatch.setattr(_parallel, "Thread", threading.Thread)
    with open_workers(2) as workers:
        workers.follow(rounds(nap, 4))
    assert workers._starting is not None
    assert not workers._starting.is_alive()


def test_processes_that_are_forbidden_are_done_without(monkeypatch):
    faster_by({"threads": 0.9, "processes": 2.0}, monkeypatch)
    with joblib.parallel_config(require="sharedmem"):
        places = follow(rounds(nap))
    assert set(places) == {HERE}


def test_short_fits_do_not_start_processes(monkeypatch):
    faster_by({"threads": 0.9, "processes": 2.0}, monkeypatch)
    monkeypatch.setattr(_parallel, "LONG_FIT", 60.0)
    places = follow(rounds(nap))
    assert processes(places) == {os.getpid()}


@pytest.mark.parametrize("gain", [0.9, 1.5])
def test_a_contest_takes_a_part_of_a_long_list(gain, monkeypatch):
    faster_by({"threads": gain}, monkeypatch)
    monkeypatch.setattr(_parallel, "Thread", Never)
    places = follow(rounds(nap, 1, 60))
    here = [place == HERE for place in places]
    assert any(here[:20])
    assert all(here[40:]) if gain < 1 else not any(here[40:])


def test_speedup_compares_the_paces():
    contest = _parallel.Contest("threads")
    contest.note("here", 3.0, 3)
    assert (contest.behind, contest.is_over) == ("sent", False)
    contest.note("sent", 2.0, 4)
    assert contest.is_over
    assert contest.speedup == 2.0


def test_results_are_in_order_during_a_contest():
    def plan():
        done = []
        for _ in range(12):
            yield from together(*(do(nap, 0.01) for _ in range(4)))
            done += yield from together(*(do(slow_double, i) for i in range(9)))
        return done

    assert follow(plan()) == [2 * i for i in range(9)] * 12


def slow_double(number):
    time.sleep(0.005)
    return 2 * number


def test_short_jobs_are_done_here(monkeypatch):
    monkeypatch.setattr(_parallel, "WORTH_SENDING", 10.0)
    places = follow(together(*(do(nap, 0.0) for _ in range(6))))
    assert set(places) == {HERE}


def test_one_worker_is_this_thread():
    places = follow(rounds(nap, 1), n_jobs=1)
    assert set(places) == {HERE}


@pytest.mark.filterwarnings("ignore:EM did not settle")
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_experts_and_gates_that_have_workers_of_their_own_do_not_dismiss_ours(backend):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = np.abs(X[:, 0])
    moe = MixtureOfExpertsRegressor(
        RandomForestRegressor(2),
        gate=RandomForestClassifier(2),
        n_init=1,
        max_iter=1,
        cv=2,
        random_state=0,
    )
    expected = clone(moe).fit(X, y).predict(X)
    with joblib.parallel_config(backend, n_jobs=2):
        np.testing.assert_allclose(moe.fit(X, y).predict(X), expected)
