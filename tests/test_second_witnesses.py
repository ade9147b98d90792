"""Which witnesses have missed what the fit has found, and what a fit with second ones comes to."""

from types import SimpleNamespace

import numpy as np
import pytest

from sklearn_moe import _second_witnesses as second_witnesses
from sklearn_moe._em import EMResult
from sklearn_moe._plans import follow_here
from sklearn_moe._second_witnesses import FOLD_ROWS
from sklearn_moe._verdict import Stage


def missed(lead, stderr, n_rows=FOLD_ROWS, dealt=True, loses_rows=False, weight=None, n_copies=1):
    """Whether a witness, behind by a lead with this standard error, has missed something."""
    noise = stderr * np.sqrt(n_rows) * np.where(np.arange(n_rows) % 2, 1.0, -1.0)
    said = SimpleNamespace(log_evidence=np.append(np.zeros(5), lead + noise))
    test = np.arange(5, 5 + n_rows)
    witness = Witness(test, SimpleNamespace(log_prob=np.zeros(n_rows)))
    weight = np.ones(5 + n_rows) if weight is None else weight
    rank = np.arange(5 + n_rows) // n_copies
    data = SimpleNamespace(sample_weight=weight, clusters=np.arange(5 + n_rows), rank=rank)
    recipe = SimpleNamespace(specialisation=SimpleNamespace(loses_rows=loses_rows))
    model = SimpleNamespace(data=data, recipe=recipe, splits=SimpleNamespace(dealt=dealt))
    stage = Stage(model, EMResult(said), np.zeros((1, 1)), [witness])
    return second_witnesses._missed(stage) == [witness]


class Witness:
    """What was said by one of the rows of its fold."""

    def __init__(self, test, latest):
        self.test, self.latest = test, latest


def test_a_witness_far_behind_has_missed_something():
    assert missed(0.5, 0.01)
    assert not missed(0.05, 0.001)  # for the lack of rows to learn from
    assert not missed(0.5, 0.1)  # by chance
    assert not missed(0.5, 0.01, n_rows=FOLD_ROWS - 2)
    assert not missed(0.5, 0.01, n_copies=2)  # of a row, which count once


def test_rows_of_its_fold_count_by_their_weight():
    own = np.arange(FOLD_ROWS) % 2 == 1
    lead, heavy = np.where(own, 0.5, -0.5), np.where(own, 1.0, 1e-9)
    assert missed(lead, 0.0, weight=np.append(np.ones(5), heavy))
    assert not missed(lead, 0.0)


def test_witnesses_are_not_asked_again_of_folds_of_the_user_or_experts_that_lose_rows():
    assert not missed(0.5, 0.01, dealt=False)
    assert not missed(0.5, 0.01, loses_rows=True)


@pytest.mark.parametrize("score", [3.0, 1.0])
def test_a_fit_goes_on_with_second_witnesses_if_that_scores_higher(score, monkeypatch):
    begun = EMResult("last", "state", "kept", (1.0, 2.0, 2.5), (0.5, 2.0, 1.5), 2)
    stage = Stage(SimpleNamespace(), begun)

    def led(model, start, witnesses, session):
        assert start == EMResult("last")
        return Stage(model, EMResult("end", "new", "found", (2.6, 2.7), (1.8, score), 2))
        yield

    monkeypatch.setattr(second_witnesses, "run_led", led)
    after = follow_here(second_witnesses._gone_on(stage, [], None))
    if score < 2.0:
        assert after is stage
        return
    assert after.result.lower_bounds == (1.0, 2.0, 2.5, 2.6, 2.7)
    assert after.result.scores == (0.5, 2.0, 1.5, 1.8, 3.0)
    assert (after.result.best_iter, after.result.expectation) == (5, "found")


def session(left=9, was_ended=False):
    """As much of a session as second witnesses ask for."""
    quiet = SimpleNamespace(missed=lambda folds: None, trial=lambda *parts: None)
    return SimpleNamespace(
        left_after=lambda result: left,
        was_ended=lambda result: was_ended,
        within=lambda n_iter: ("within", n_iter),
        reporter=quiet,
        rule=None,
    )


def one_missed(monkeypatch, trouble=None):
    """A stage one of whose witnesses has missed something."""
    witness = SimpleNamespace(fold=0, expectation=SimpleNamespace(lower_bound=1.0))
    stage = Stage(SimpleNamespace(), EMResult("last"), None, (witness,), trouble)
    monkeypatch.setattr(second_witnesses, "_missed", lambda stage: [Hashed(witness)])
    return stage


class Hashed:
    """A witness that can be told from others."""

    def __init__(self, witness):
        self.fold, self.expectation = witness.fold, witness.expectation

    def going_on(self):
        return self


@pytest.mark.parametrize(
    ("cut", "trouble"),
    [({"left": 0}, None), ({"was_ended": True}, None), ({}, "a witness failed")],
    ids=["no iteration left", "ended by a callback", "trouble"],
)
def test_of_a_run_that_was_cut_short_no_witness_begins_again(cut, trouble, monkeypatch):
    stage = one_missed(monkeypatch, trouble)
    monkeypatch.setattr(second_witnesses, "_second", None)
    assert follow_here(second_witnesses.seconded(stage, session(**cut))) is stage


@pytest.mark.parametrize("bound", [2.0, 1.0])
def test_a_second_witness_leads_if_it_has_found_more(bound, monkeypatch):
    """The fit then goes on for as many iterations as are left."""
    stage, gone_on = one_missed(monkeypatch), []
    second = Hashed(SimpleNamespace(fold=0, expectation=SimpleNamespace(lower_bound=bound)))

    def raced(*_):
        return second
        yield

    def noted(stage, witnesses, session):
        gone_on.append((witnesses, session))
        return stage
        yield

    monkeypatch.setattr(second_witnesses, "_raced", raced)
    monkeypatch.setattr(second_witnesses, "_gone_on", noted)
    monkeypatch.setattr(second_witnesses, "_lead", lambda stage, witness: (0.0, 0.0))
    stage.witnesses[0].going_on = lambda: None
    follow_here(second_witnesses.seconded(stage, session(left=7)))
    assert gone_on == ([([second], ("within", 7))] if bound > 1.0 else [])
