"""Parts of a recipe that are tried in place of its own: which are kept, and which are tried."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sklearn_moe import _trials
from sklearn_moe._data import Data
from sklearn_moe._em import EMRule
from sklearn_moe._first_starts import Start
from sklearn_moe._plans import follow_here
from sklearn_moe._race import Raced
from sklearn_moe._templates import make_template
from sklearn_moe._trials import RUN_OFF, Trial, trials_of, try_all, with_parts
from sklearn_moe.families import Laplace, StudentT
from sklearn_moe.gates import HierarchicalGate, MLPGate, TreeGate

NOISE = np.array([1.0, -1.0, 1.0, -1.0])


def run(said):
    """A run that says these log densities of four rows."""
    said = np.array(said)
    return SimpleNamespace(lower_bound=said.mean(), expectation=SimpleNamespace(log_evidence=said))


def gains(mean):
    return np.full(4, mean)


def four_rows():
    """As much of a table as differences of log densities are judged by."""
    data = SimpleNamespace(sample_weight=np.ones(4), clusters=np.arange(4))
    data.mean_and_stderr = partial(Data.mean_and_stderr, data)
    return data


def wins(ahead, stderr, margin):
    """Whether a rival is kept that is ahead by a mean with this standard error."""
    own = 7.0 * NOISE[::-1] + 10.0  # what is said of rows that both find hard does not count
    return Trial("any", {}, margin).is_won(
        run(own), run(own + ahead + 2 * stderr * NOISE), four_rows()
    )


@pytest.mark.parametrize(
    ("ahead", "stderr", "margin", "kept"),
    [
        (0.1, 0.2, 0.0, True),
        (-0.1, 0.2, 0.0, False),
        (0.1, 0.2, 1.0, False),
        (0.3, 0.2, 1.0, True),
        (-0.1, 0.2, -1.0, True),
        (-0.3, 0.2, -1.0, False),
        (1e-13, 0.0, 0.0, False),
    ],
    ids=["ahead", "behind", "unsure", "sure", "little behind", "behind for sure", "rounding"],
)
def test_parts_are_kept_that_are_ahead_by_their_margin(ahead, stderr, margin, kept):
    assert wins(ahead, stderr, margin) == kept


def test_stiffer_parts_may_lose_a_little_and_richer_ones_have_to_gain():
    alone = make_template("only", Ridge(5.0), 0, {})
    one = SimpleNamespace(only_expert=alone, as_only_expert=alone, params={})
    found = trials_of([one], "pooled", [StudentT(), Laplace()], [MLPGate()])
    assert [(trial.name, trial.margin) for trial in found] == [
        ("penalty", -1.0),
        ("pooling", 0.0),
        ("StudentT", -1.0),
        ("Laplace", -1.0),
        ("MLPGate", 1.0),
    ]
    assert found[0].parts == {"templates": [alone]}
    one.params = {"told": np.arange(3)}  # which would have to be cut where rows are
    assert [trial.name for trial in trials_of([one], None, [], [])] == []
    assert trials_of([make_template("usual", Ridge(), 0, {})], None, [], []) == []


def test_gates_over_branches_go_by_the_one_at_the_top():
    gates = [HierarchicalGate([1, 1], top, [None, None]) for top in (MLPGate(), TreeGate())]
    trials = trials_of([], None, [], gates)
    assert [(trial.name, trial.has_run_off) for trial in trials] == [
        ("MLPGate", False),
        ("TreeGate", True),
    ]


def test_a_recipe_for_other_rows_has_the_parts_that_have_won():
    recipe = Trial("recipe", {})
    trials = [Trial("first", {"name": "one"}), Trial("second", {"margin": 3.0})]
    assert with_parts(recipe, trials, frozenset({"second"})) == Trial("recipe", {}, 3.0)
    assert with_parts(recipe, trials, frozenset({"first"})) == Trial("one", {})


def test_each_trial_is_held_against_what_has_won_before(monkeypatch):
    """And has as many iterations as the race's winner took."""
    bounds, rules, starts = {"first": 2.0, "second": 1.5, "third": 2.5}, [], []

    def run_em(rival, begun, rule):
        rules.append(rule)
        starts.append(begun)
        return run(gains(bounds[rival.recipe.name]))
        yield

    def model(recipe, data, splits):
        return SimpleNamespace(recipe=recipe, data=data, splits=splits, begin=lambda resp: resp)

    monkeypatch.setattr(_trials, "run_em", run_em)
    monkeypatch.setattr(_trials, "build_model", model)
    raced = Raced(run(gains(1.0)), Start("ladder"), "resp", {})
    raced.run.n_iter = 3
    reporter = SimpleNamespace(trial=lambda *parts: None)
    session = SimpleNamespace(reporter=reporter, rule=EMRule(50, 0.0))
    trials = [Trial(name, {"name": name}) for name in bounds]
    plan = try_all(trials, model(Trial("own", {}), four_rows(), None), raced, session)
    winner = follow_here(plan)
    assert winner.won == {"first", "third"}
    assert winner.model.recipe.name == "third"
    assert winner.raced.run.lower_bound == 2.5
    assert rules == [EMRule(3, 0.0)] * 3
    assert starts == ["resp"] * 3


@pytest.mark.parametrize(("goal", "wins"), [(1.5, False), (2.5, True)])
def test_run_off_decides_between_gates(goal, wins, monkeypatch):
    """One that is ahead after the race may have only been sooner."""
    goals, lengths = {"own": 2.0, "quick": goal}, []

    def run_em(model, begun, rule):
        lengths.append((model.recipe.name, rule.max_iter))
        bound = goals[model.recipe.name] if rule.max_iter > 3 else 1.25
        return SimpleNamespace(**vars(run(gains(bound))), n_iter=rule.max_iter)
        yield

    def model(recipe, data, splits):
        return SimpleNamespace(recipe=recipe, data=data, splits=splits, begin=lambda resp: resp)

    monkeypatch.setattr(_trials, "run_em", run_em)
    monkeypatch.setattr(_trials, "build_model", model)
    said = []
    reporter = SimpleNamespace(trial=lambda name, run, wins: said.append((run.lower_bound, wins)))
    session = SimpleNamespace(reporter=reporter, rule=EMRule(50, 0.0))
    raced = Raced(run(gains(1.0)), Start("ladder"), "resp", {})
    raced.run.n_iter = 3
    trial = Trial("quick", {"name": "quick"}, has_run_off=True)
    plan = try_all([trial], model(Trial("own", {}), four_rows(), None), raced, session)
    winner = follow_here(plan)
    assert lengths == [("quick", 3), ("own", RUN_OFF), ("quick", RUN_OFF)]
    assert said == [(goal, wins)]
    assert winner.model.recipe.name == ("quick" if wins else "own")
    assert winner.raced.run.lower_bound == max(goals.values())
