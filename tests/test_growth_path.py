"""When growth is over and which number is kept, by what is said of unseen rows."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from sklearn_moe import MixtureOfExpertsRegressor, _growth
from sklearn_moe._baseline import Baseline
from sklearn_moe._data import Data
from sklearn_moe._em import EMRule
from sklearn_moe._expectation import MixtureExpectation
from sklearn_moe._growth import (
    MOST_EXPERTS,
    ROWS_TO_SPLIT,
    GrowthPath,
    SplitExpert,
    grow,
    merge,
    most_experts,
)
from sklearn_moe._plans import follow_here
from sklearn_moe._progress import Reporter, Session
from sklearn_moe._recalibration import Scores

MANY = 100


class Number:
    """A stage of so many experts, beside whom there may be a shared one."""

    def __init__(self, n_experts, shared=False, trouble=""):
        self.n_experts = n_experts
        self.trouble = trouble
        members = range(n_experts + shared)
        self.result = SimpleNamespace(expectation=SimpleNamespace(members=members))


def gains(mean, stderr=0.0):
    """Log densities of four rows that are higher by a mean with this standard error."""
    return mean + 2 * stderr * np.array([1.0, -1.0, 1.0, -1.0])


def path_of(found, alone=0.0, before=None):
    """The path of numbers and their gains over one expert, which says `alone` of each row."""
    data = SimpleNamespace(sample_weight=np.ones(4), clusters=np.arange(4))
    data.mean_and_stderr = partial(Data.mean_and_stderr, data)
    stages = [number if isinstance(number, Number) else Number(number) for number, _ in found]
    after = [gain for _, gain in found]
    said = {
        stage: Scores(alone + first, alone + last)
        for stage, first, last in zip(stages, before or after, after, strict=True)
    }
    said[None] = Scores(gains(alone), gains(alone))
    return GrowthPath(Baseline("", gains(alone), gains(alone)), data, stages, said)


def kept(path):
    stage = path.chosen()
    return 1 if stage is None else stage.n_experts


RISING = [(2, gains(1.0)), (3, gains(2.0)), (4, gains(3.0))]


def test_growth_is_over_at_the_largest_number():
    assert path_of(RISING).is_over(4)
    assert not path_of(RISING).is_over(5)


def test_growth_is_over_when_two_numbers_have_not_helped():
    still = [(2, gains(0.0)), (3, gains(0.0))]
    assert not path_of(still[:1]).is_over(MANY)
    assert path_of(still).is_over(MANY)
    assert path_of([*RISING, (5, gains(2.9)), (6, gains(3.0))]).is_over(MANY)
    assert not path_of([*RISING, (5, gains(2.9)), (6, gains(3.1))]).is_over(MANY)


def test_a_number_that_helped_is_compared_with_those_before_both():
    assert not path_of([(2, gains(1.0)), (3, gains(2.0)), (4, gains(1.9))]).is_over(MANY)


def test_a_gain_within_a_standard_error_does_not_help():
    assert path_of([(2, gains(0.1, 0.2)), (3, gains(0.1, 0.2))]).is_over(MANY)
    assert not path_of([(2, gains(0.1, 0.2)), (3, gains(0.3, 0.2))]).is_over(MANY)


def test_a_number_helps_by_figures_before_calibration_or_after():
    rise, rest = [gains(1.0), gains(2.0)], [gains(0.0), gains(0.0)]
    numbers = [2, 3]
    for after, before in ((rise, rest), (rest, rise)):
        assert not path_of(list(zip(numbers, after, strict=True)), before=before).is_over(MANY)
    assert path_of(list(zip(numbers, rest, strict=True)), before=rest).is_over(MANY)


@pytest.mark.parametrize(
    ("found", "number"),
    [
        ([(2, gains(1.0)), (3, gains(1.05, 0.1))], 2),
        ([(2, gains(1.0)), (3, gains(1.05, 0.04))], 3),
        ([(2, gains(0.1, 0.2)), (3, gains(0.1, 0.2))], 1),
        ([(2, gains(0.3, 0.2)), (3, gains(0.2, 0.2))], 2),
        ([(2, gains(1.0)), (4, gains(2.0)), (3, gains(2.0))], 3),
        ([(2, gains(-1.0)), (3, gains(-2.0))], 1),
        ([(2, gains(1e-13))], 1),
    ],
    ids=["within", "beyond", "one within", "one beyond", "merged", "none helps", "rounding"],
)
def test_the_smallest_number_within_a_standard_error_of_the_best_is_kept(found, number):
    assert kept(path_of(found)) == number


def test_scores_are_in_order_of_the_numbers_and_those_of_rows():
    path = path_of([(2, gains(1.0)), (4, gains(2.0)), (3, gains(2.5))], alone=-1.5)
    assert list(path.scores_by_number().items()) == [(1, -1.5), (2, -0.5), (3, 1.0), (4, 0.5)]


def test_a_shared_expert_counts_in_scores_by_number():
    assert path_of([(Number(2, shared=True), gains(1.0))]).scores_by_number() == {1: 0.0, 3: 1.0}


@pytest.mark.parametrize(
    ("threshold", "most"), [(0.0, MOST_EXPERTS), ("auto", MOST_EXPERTS), (0.3, 3), (0.25, 3)]
)
def test_no_row_may_fall_below_the_threshold_of_all_experts(threshold, most):
    assert most_experts(MixtureOfExpertsRegressor(min_responsibility=threshold)) == most


# How the path goes up and down again.


def coming_to(stage):
    """A plan without jobs, that comes to a stage."""
    return stage
    yield


@pytest.fixture
def grown(monkeypatch):
    """The number that is kept, and those of the path, of stages that growth comes to in turn."""

    def numbers(found, most=MANY, n_distinct=MANY * ROWS_TO_SPLIT, merged=()):
        path = path_of([*found, *merged])
        first, *larger = path.stages[: len(found)]
        turn = {"_larger": larger, "_move": path.stages[len(found) :]}
        for name, stages in turn.items():
            monkeypatch.setattr(_growth, name, lambda *_, left=stages: coming_to(left.pop(0)))
        monkeypatch.setattr(_growth, "caught_up", lambda stage, _: coming_to(stage))
        path.stages[:] = [first]
        path.data.distinct = np.arange(n_distinct)
        session = Session(EMRule(50, 0.0), Reporter("", 0, None, None))
        stage = follow_here(grow(path, lambda n_experts: n_experts, most, session))
        return getattr(stage, "n_experts", 1), [stage.n_experts for stage in path.stages]

    return numbers


def test_a_number_that_is_in_trouble_ends_growth(grown):
    troubled = Number(3, trouble="An expert has lost its rows.")
    assert grown([(2, gains(1.0)), (troubled, gains(2.0)), (4, gains(3.0))]) == (2, [2])


def test_an_expert_that_is_lost_on_the_way_ends_growth(grown):
    assert grown([(2, gains(1.0)), (Number(2), gains(2.0)), (3, gains(3.0))]) == (2, [2])


def test_there_are_no_more_experts_than_distinct_rows_allow(grown):
    found = [(2, gains(1.0)), (3, gains(2.0)), (4, gains(3.0))]
    assert grown(found, n_distinct=3 * ROWS_TO_SPLIT - 1) == (2, [2])
    assert grown(found, n_distinct=3 * ROWS_TO_SPLIT, merged=[(2, gains(0.0))]) == (3, [2, 3, 2])


def test_experts_are_merged_down_to_two_while_that_costs_nothing(grown):
    merged = [(3, gains(3.0)), (2, gains(3.0)), (1, gains(3.0))]
    assert grown([(4, gains(3.0))], most=4, merged=merged) == (2, [4, 3, 2])
    merged = [(3, gains(2.0)), (2, gains(3.0))]
    assert grown([(4, gains(3.0))], most=4, merged=merged) == (4, [4, 3])


def test_what_is_merged_is_not_kept_if_it_is_in_trouble(grown):
    troubled = Number(2, trouble="The fit is behind its witnesses.")
    assert grown([(3, gains(3.0))], most=3, merged=[(troubled, gains(4.0))]) == (3, [3])


def test_the_first_number_catches_up_with_its_witnesses(monkeypatch):
    path = path_of([(2, gains(1.0)), (2, gains(2.0))])
    first, caught_up = path.stages
    path.stages[:], path.data.distinct = [first], np.arange(2 * ROWS_TO_SPLIT)
    monkeypatch.setattr(_growth, "caught_up", lambda *_: coming_to(caught_up))
    session = Session(EMRule(50, 0.0), Reporter("", 0, None, None))
    assert follow_here(grow(path, None, MANY, session)) is caught_up


# What is split and merged.


SIZES = [30, 25, 20]


@pytest.fixture
def split(monkeypatch):
    """Who of three experts is split, by weights, surprise and distinct rows of each one's rows.

    Also, which rows are dealt, and whether outliers among them are resisted.
    """
    leads = np.repeat(np.arange(3), SIZES)

    def origins(weight, surprise, distinct, largest):
        dealt = []
        context = SimpleNamespace(of=lambda *parts: dealt.append(parts))
        monkeypatch.setattr(_growth, "StartContext", context)
        monkeypatch.setattr(_growth, "STARTS", {"ladder": lambda _: np.array([[0.3, 0.7]])})
        data = SimpleNamespace(
            sample_weight=np.array(weight, float)[leads],
            target=np.zeros((len(leads), 1)),
            distinct=np.concatenate(
                [np.flatnonzero(leads == k)[:n] for k, n in enumerate(distinct)]
            ),
            n_samples=len(leads),
            take=lambda rows: rows,
        )
        family = SimpleNamespace(surprise=lambda _, log_evidence: -log_evidence)
        family.resists_outliers = True
        recipe = SimpleNamespace(shared=False, seed=0, templates=[None] * 4, family=family)
        said = -np.array(surprise, float)[leads]
        at = MixtureExpectation(resp=np.eye(3)[leads], members=(0, 1, 2), log_evidence=said)
        last = SplitExpert("ladder", largest)(recipe, data, at).origins[-1]
        if distinct[last] >= ROWS_TO_SPLIT:
            (rows, _, n_parts, _, resists), *_ = dealt
            np.testing.assert_array_equal(rows, np.flatnonzero(leads == last))
            assert (n_parts, resists) == (2, True)
        else:
            assert not dealt
        return last

    return origins


def test_the_expert_of_most_weight_is_split(split):
    assert split([1, 9, 1], [0, 0, 9], SIZES, largest=True) == 1
    assert split([1, 1, 1], [0, 0, 9], SIZES, largest=True) == 0


def test_the_expert_whose_rows_are_explained_worst_is_split(split):
    """In the mean: neither many rows nor heavy ones count for more."""
    assert split([9, 1, 1], [1, 2, 3], SIZES, largest=False) == 2
    assert split([1, 1, 9], [2, 1, 3], SIZES, largest=False) == 2


def test_an_expert_of_few_distinct_rows_is_not_split_for_what_they_say(split):
    few = ROWS_TO_SPLIT - 1
    assert split([1, 1, 1], [1, 2, 3], [30, 25, few], largest=False) == 1
    assert split([1, 1, 9], [3, 2, 1], [few, few, few], largest=False) == 2


def test_merged_experts_share_most_for_their_size():
    """Large experts overlap in more weight, small ones in a larger part."""
    resp = np.vstack(
        [
            np.tile([0.9, 0.1, 0.0, 0.0], (50, 1)),
            np.tile([0.1, 0.9, 0.0, 0.0], (50, 1)),
            np.tile([0.0, 0.0, 0.5, 0.5], (4, 1)),
        ]
    )
    at = MixtureExpectation(resp=resp, members=(0, 1, 2, 3))
    dealt = merge(SimpleNamespace(shared=False), SimpleNamespace(sample_weight=np.ones(104)), at)
    assert dealt.origins.tolist() == [0, 1, 2]
    np.testing.assert_allclose(dealt.resp.sum(axis=0), [50.0, 50.0, 4.0])
