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


def naps(function, n_rounds=3):
    """A plan of rounds of six naps each; where those of the last round were done."""
    for _ in range(n_rounds):
        places = yield from together(*(do(function, 0.03) for _ in range(6)))
    return places


@pytest.fixture(autouse=True)
def short_trial(monkeypatch):
    monkeypatch.setattr(_parallel, "TRIAL_SECONDS", 0.02)


def processes(places):
    return {process for process, _ in places}


def threads(places):
    return {thread for _, thread in places}


def test_jobs_that_keep_each_other_waiting_go_to_processes():
    with open_workers(2) as workers:
        places = workers.follow(naps(nap))
    assert os.getpid() not in processes(places)


def test_jobs_that_cannot_travel_stay_in_threads():
    with open_workers(2) as workers:
        places = workers.follow(naps(lambda seconds: nap(seconds)))
    assert processes(places) == {os.getpid()}
    assert len(threads(places)) == 2


def test_threads_that_compute_are_kept(monkeypatch):
    monkeypatch.setattr(_parallel, "LEAST_SPEEDUP", 0.0)
    with open_workers(2) as workers:
        places = workers.follow(naps(nap))
    assert processes(places) == {os.getpid()}


def test_short_jobs_are_done_here():
    with open_workers(2) as workers:
        places = workers.follow(together(*(do(nap, 0.0) for _ in range(6))))
    assert threads(places) == {threading.get_ident()}


def test_one_worker_is_this_thread():
    with open_workers(1) as workers:
        places = workers.follow(naps(nap, 1))
    assert threads(places) == {threading.get_ident()}


def test_first_job_of_a_slow_list_is_timed_here_and_the_rest_sent():
    with open_workers(2) as workers:
        places = workers.follow(naps(nap, 1))
    assert places[0] == (os.getpid(), threading.get_ident())
    assert threading.get_ident() not in threads(places[1:])
