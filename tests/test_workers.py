"""Who does the jobs: this thread, other threads, or processes."""

import os
import threading
import time

import pytest

from sklearn_moe import _parallel
from sklearn_moe._parallel import open_workers
from sklearn_moe._plans import do, together


def nap(seconds):
    """A job that computes nothing; where it was done."""
    time.sleep(seconds)
    return os.getpid(), threading.get_ident()


def toil(seconds):
    """A job that never lets go of the interpreter's lock; where it was done."""
    total = 0
    for i in range(int(seconds * 2e7)):
        total += i
    return os.getpid(), threading.get_ident()


def rounds(function, n_rounds=12, n_jobs=8):
    """A plan of rounds of short jobs; where those of the last round were done."""
    for _ in range(n_rounds):
        places = yield from together(*(do(function, 0.01) for _ in range(n_jobs)))
    return places


@pytest.fixture(autouse=True)
def short_trial(monkeypatch):
    monkeypatch.setattr(_parallel, "TRIAL_SECONDS", 0.05)


def processes(places):
    return {process for process, _ in places}


def threads(places):
    return {thread for _, thread in places}


HERE = (os.getpid(), threading.get_ident())


def test_threads_are_kept_where_they_are_faster():
    with open_workers(2) as workers:
        places = workers.follow(rounds(nap))
    assert processes(places) == {os.getpid()}
    assert len(threads(places)) == 2
    assert threading.get_ident() not in threads(places)


@pytest.mark.parametrize("travels", [True, False])
def test_threads_are_left_where_they_wait_for_each_other(travels, monkeypatch):
    monkeypatch.setattr(_parallel, "_can_travel", lambda job: travels)
    with open_workers(2) as workers:
        places = workers.follow(rounds(toil))
    others = [place for place in places if place != HERE]
    assert os.getpid() not in processes(others)
    assert travels or not others


def test_the_fastest_kind_is_kept(monkeypatch):
    """Processes are tried if threads are not fast enough, and left if they are no faster."""
    monkeypatch.setattr(_parallel, "ENOUGH", 99.0)
    monkeypatch.setattr(_parallel.Trial, "speedup", property(lambda trial: FAKE[trial.kind]))
    for FAKE["threads"], FAKE["processes"], kept in ((2.0, 1.0, 1), (1.0, 2.0, 0), (0.5, 0.5, 1)):
        with open_workers(2) as workers:
            places = workers.follow(rounds(nap))
        assert (processes(places) == {os.getpid()}) == kept
    assert set(places) == {HERE}


FAKE = {}


def test_job_that_cannot_be_pickled_cannot_travel():
    assert _parallel._can_travel((nap, (0.1,)))
    assert not _parallel._can_travel((lambda: None, ()))


def test_results_are_in_order_during_a_trial():
    def plan():
        done = []
        for _ in range(12):
            yield from together(*(do(nap, 0.01) for _ in range(4)))
            done += yield from together(*(do(slow_double, i) for i in range(9)))
        return done

    with open_workers(2) as workers:
        assert workers.follow(plan()) == [2 * i for i in range(9)] * 12


def slow_double(number):
    time.sleep(0.005)
    return 2 * number


def test_short_jobs_are_done_here():
    with open_workers(2) as workers:
        places = workers.follow(together(*(do(nap, 0.0) for _ in range(6))))
    assert set(places) == {HERE}


def test_one_worker_is_this_thread():
    with open_workers(1) as workers:
        places = workers.follow(rounds(nap, 1))
    assert set(places) == {HERE}
