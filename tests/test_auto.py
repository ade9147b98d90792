"""Mixtures that are found: what is chosen, by what, and what they are then asked."""

import datetime
import pickle
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler, TargetEncoder
from sklearn.utils import get_tags

from sklearn_moe import (
    AutoMixtureClassifier,
    AutoMixtureRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from sklearn_moe._content import content_ids, row_hashes
from sklearn_moe._design import TabularEncoder
from sklearn_moe.auto import _search
from sklearn_moe.auto._base import flat, within_classes
from sklearn_moe.auto._candidate import Candidate
from sklearn_moe.auto._columns import CategoryColumns, KernelColumns
from sklearn_moe.auto._usual import classifiers, regressors
from sklearn_moe.gates import HierarchicalGate

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUICK = {"init": "principal", "n_init": 1, "max_iter": 4, "random_state": 0}
rng = np.random.default_rng(3)
X = rng.normal(size=(150, 3))
Y = np.where(X[:, 0] > 0, 3, -3) * X[:, 1] + 0.3 * rng.normal(size=150)
LABELS = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")

# How a `TargetEncoder` is asked for folds in blocks, before scikit-learn 1.9 and since.
BLOCKS = {"cv": 3, "shuffle": False} if TargetEncoder().shuffle is True else {"cv": KFold(3)}


class Broken(Ridge):
    """An expert that cannot be fitted."""

    def fit(self, X, y, sample_weight=None):
        raise ValueError("it broke")


def lines(n_experts=2, **params):
    return MixtureOfExpertsRegressor(Ridge(), n_experts, **{**QUICK, **params})


def pair():
    return [("one", lines(1)), ("two", lines())]


def test_the_mixture_that_explains_unseen_rows_best_is_kept():
    auto = AutoMixtureRegressor(pair()).fit(X, Y)
    assert auto.best_name_.startswith("two")
    assert auto.log_probs_["two"] > auto.log_probs_["one"]
    assert auto.mixture_ is auto.best_estimator_[-1]


def test_scores_are_those_of_the_witnesses():
    auto = AutoMixtureRegressor(pair()).fit(X, Y)
    mixture = lines(cv=3).fit(X, Y)
    assert auto.log_probs_["two"] == mixture.calibrated_log_prob_


def test_what_is_kept_is_the_candidate_fitted_to_all_rows():
    auto = AutoMixtureRegressor([("lines", lines(16))]).fit(X, Y)
    expected = lines(16).fit(X, Y)
    assert np.array_equal(auto.predict(X), expected.predict(X))
    assert auto.mixture_.cv == 5


def test_a_fit_that_was_judged_is_not_repeated(monkeypatch):
    fits = []
    usual = _search.Sample.fit
    monkeypatch.setattr(
        _search.Sample, "fit", lambda self, c: fits.append(c.name) or usual(self, c)
    )
    auto = AutoMixtureRegressor([("lines", lines(16, cv=3))]).fit(X, Y)
    assert fits == ["lines"]
    assert np.array_equal(auto.predict(X), lines(16, cv=3).fit(X, Y).predict(X))


def test_experts_are_doubled_as_long_as_that_helps():
    corner = 2.0 * (X[:, 0] > 0) + (X[:, 1] > 0)
    y = np.choose(corner.astype(int), [3, -3, 1, -1]) * X[:, 2] + 4 * corner
    auto = AutoMixtureRegressor([("two", lines(init="auto", max_iter=20))]).fit(X, y)
    names = list(auto.log_probs_)
    assert names[:2] == ["two", "two, n_experts=4"]
    assert auto.mixture_.n_experts_ >= 4
    best = max(auto.log_probs_.values())
    assert auto.log_probs_[auto.best_name_] == best


def test_rounding_neither_doubles_experts_nor_makes_copies_answer():
    generator = np.random.default_rng(0)
    expert = LogisticRegression()
    for _ in range(4):
        table, order = generator.normal(size=(100, 2)), generator.permutation(100)
        for rows in (table, table[order]):
            one = MixtureOfExpertsClassifier(expert, random_state=0, n_init=1, max_iter=5)
            auto = AutoMixtureClassifier([("it", one)]).fit(rows, np.zeros(100))
            assert auto.weights_ == {"it": 1.0}


def test_a_given_number_and_a_list_of_experts_are_left_as_they_are():
    listed = MixtureOfExpertsRegressor([("a", Ridge()), ("b", Ridge(10.0))], **QUICK)
    grown = lines("auto")
    for mixture in (listed, grown, lines(16)):
        assert not list(_search.larger(_search.Candidate("it", flat(mixture)), 1000))


@pytest.mark.parametrize(("n_rows", "most"), [(39, 2), (40, 4), (159, 8), (160, 16), (9999, 16)])
def test_experts_are_doubled_as_long_as_there_are_rows_for_them(n_rows, most):
    more = list(_search.larger(_search.Candidate("it", flat(lines())), n_rows))
    assert [candidate.mixture.n_experts for candidate in more] == [4, 8, 16][: len(more)]
    assert 2 ** (1 + len(more)) == most


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cv", [3, 5])
def test_what_is_kept_may_warn_and_others_may_not(cv):
    hasty, sound = ("hasty", lines(16, cv=cv)), ("sound", lines(1, cv=cv))
    with pytest.warns(ConvergenceWarning, match="did not settle"):
        AutoMixtureRegressor([hasty]).fit(X, Y)
    AutoMixtureRegressor([("hasty", lines(2, family="laplace", init="random")), sound]).fit(
        X, X[:, 0] + rng.normal(size=150)
    )


def test_what_becomes_of_experts_that_were_our_idea_is_not_told(monkeypatch):
    told = []
    monkeypatch.setattr(_search.warnings, "warn", lambda message, **_: told.append(message))
    of_user = Candidate("lines", make_pipeline(lines()))
    ours = of_user.of_number(4)
    warning = ConvergenceWarning("Experts ['expert3'] lost their rows twice")
    fits = [SimpleNamespace(candidate=each, warnings=[warning]) for each in (of_user, ours)]
    _search._warn_of(fits)
    assert told == [warning]


# Large tables.


def test_of_many_rows_the_better_half_is_judged_again(monkeypatch):
    monkeypatch.setattr(_search, "FIRST_ROWS", 60)
    sizes = []
    usual = _search.Sample.fit
    monkeypatch.setattr(
        _search.Sample, "fit", lambda self, c: sizes.append((c.name, len(self.y))) or usual(self, c)
    )
    candidates = [("one", lines(1)), ("two", lines()), ("worse", lines(1, family="laplace"))]
    auto = AutoMixtureRegressor(candidates, max_rows=120).fit(X, Y)
    first = [name for name, n_rows in sizes if n_rows == 40]
    second = [name for name, n_rows in sizes if n_rows == 120]
    assert first == ["one", "two", "worse"]
    assert "two" in second[:2]
    assert len(set(second) & set(first)) == 2
    assert sizes[-1] == (auto.best_name_, 150)
    assert set(auto.log_probs_) == set(second)


def test_who_would_answer_is_judged_again_too(monkeypatch):
    monkeypatch.setattr(_search, "FIRST_ROWS", 60)
    candidates = [("one", lines(1)), ("two", lines()), ("worse", lines(1, family="laplace"))]
    halved = AutoMixtureRegressor(candidates, max_rows=120, stacking=False).fit(X, Y)
    (dropped,) = {"one", "two", "worse"} - set(halved.log_probs_)
    usual = _search.Judge.weights
    even = {halved.best_name_.split(",")[0]: 0.5, dropped: 0.5}
    monkeypatch.setattr(
        _search.Judge,
        "weights",
        lambda judge, best: even if len(judge.sample.y) == 40 else usual(judge, best),
    )
    assert dropped in AutoMixtureRegressor(candidates, max_rows=120).fit(X, Y).log_probs_
    alone = AutoMixtureRegressor(candidates, max_rows=120, stacking=False).fit(X, Y)
    assert alone.log_probs_ == halved.log_probs_


@pytest.mark.parametrize(
    ("n_rows", "expected"),
    [(50, [50]), (1999, [1999]), (3000, [1000, 3000]), (9000, [1000, 3000, 9000])],
)
def test_sizes_grow_by_three(n_rows, expected):
    assert _search.sizes(n_rows) == expected


def test_first_rows_hold_every_class():
    labels = np.repeat(["rare", "common", "usual"], [4, 100, 196])
    rank = within_classes(rng.permutation(300), labels)
    assert np.array_equal(np.sort(rank), np.arange(300))
    few = labels[rank < 75]
    assert [np.count_nonzero(few == name) for name in ("rare", "common", "usual")] == [1, 25, 49]
    assert set(labels[rank < 3]) == {"rare", "common", "usual"}
    copies = within_classes(np.repeat(np.arange(10), 2), np.repeat(["a", "b"], 10))
    assert np.array_equal(copies[::2], copies[1::2])
    assert np.array_equal(np.sort(copies[::2]), np.arange(10))


def sample_of(table, y):
    rank = content_ids(row_hashes(table, y))
    return _search.Sample({"as given": table}, y, np.ones(len(y)), None, rank, np.arange(len(y)))


def test_rows_of_a_sample_are_chosen_by_what_they_hold():
    order, rows = rng.permutation(150), np.repeat(np.arange(150), np.arange(150) % 3 + 1)
    few, *others = (sample_of(X[part], Y[part]).few(50) for part in (np.arange(150), order, rows))
    assert len(few.y) == 50
    for other in others:
        assert np.array_equal(np.unique(other.y), np.unique(few.y))
    assert len(others[1].y) == (np.arange(150) % 3 + 1)[np.isin(Y, few.y)].sum()


@pytest.mark.parametrize("max_rows", [60, 3000])
def test_weights_are_repeats(max_rows):
    weight = np.arange(150) % 3
    rows = np.repeat(np.arange(150), weight)
    auto = AutoMixtureRegressor(pair(), max_rows=max_rows)
    weighted = clone(auto).fit(X, Y, sample_weight=weight)
    repeated = clone(auto).fit(X[rows], Y[rows])
    assert weighted.best_name_ == repeated.best_name_
    assert np.allclose(weighted.predict(X), repeated.predict(X), atol=1e-6)


def test_steps_are_fitted_as_in_a_pipeline():
    """Weights reach them, encoders of the target cross-fit, inner pipelines are no exception."""
    weight = np.arange(150) % 3
    rows = np.repeat(np.arange(150), weight)
    inner = make_pipeline(StandardScaler(), lines(16, cv=3))
    auto = AutoMixtureRegressor([("nested", make_pipeline("passthrough", StandardScaler(), inner))])
    weighted, repeated = clone(auto).fit(X, Y, weight), clone(auto).fit(X[rows], Y[rows])
    assert np.allclose(weighted.predict(X), repeated.predict(X), atol=1e-6)
    assert np.array_equal(weighted.best_estimator_.predict(X), weighted.predict(X))
    cut = make_column_transformer((KBinsDiscretizer(4, encode="ordinal", strategy="kmeans"), [0]))
    auto = AutoMixtureRegressor([("cut", make_pipeline(cut, lines(16, cv=3)))])
    weighted, repeated = clone(auto).fit(X, Y, weight), clone(auto).fit(X[rows], Y[rows])
    assert np.allclose(weighted.predict(X), repeated.predict(X), atol=1e-6)
    codes = np.column_stack([X[:, 0] > 0, X[:, 1]])
    encoder = TargetEncoder(**BLOCKS)
    beside = make_column_transformer((encoder, [0]), (StandardScaler(), [1]))
    for step in (make_pipeline(encoder), beside):
        model = make_pipeline(step, lines(16, cv=3))
        found = AutoMixtureRegressor([("encoded", model)]).fit(codes, Y)
        assert np.allclose(found.predict(codes), clone(model).fit(codes, Y).predict(codes))


def test_groups_share_folds():
    groups = np.arange(150) // 2
    twins = X[2 * groups // 2 * 2 % 150]
    auto = AutoMixtureRegressor([("lines", lines(16))]).fit(twins, Y, groups=groups)
    alone = lines(16, cv=3).fit(twins, Y, groups=groups)
    assert auto.log_probs_["lines"] == alone.calibrated_log_prob_
    assert auto.log_probs_["lines"] != lines(16, cv=3).fit(twins, Y).calibrated_log_prob_


def test_a_splitter_judges_too():
    groups = np.arange(150) // 2
    candidate = ("lines", lines(16, cv=GroupKFold(4)))
    auto = AutoMixtureRegressor([candidate]).fit(X, Y, groups=groups)
    expected = candidate[1].fit(X, Y, groups=groups)
    assert auto.log_probs_["lines"] == expected.calibrated_log_prob_


@pytest.mark.parametrize(
    "cv", [list(KFold(3).split(X)), PredefinedSplit(np.arange(len(X)) % 3), KFold(3)]
)
def test_folds_of_a_candidate_speak_of_the_whole_table(cv):
    weight = np.ones(len(X))
    weight[:10] = 0
    mixture = lines(16, cv=cv)
    auto = AutoMixtureRegressor([("lines", mixture)]).fit(X, Y, sample_weight=weight)
    alone = clone(mixture).fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(auto.predict(X), alone.predict(X), rtol=1e-12)
    assert auto.log_probs_["lines"] == pytest.approx(alone.calibrated_log_prob_, rel=1e-12)
    assert auto.mixture_.cv is not None
    few = AutoMixtureRegressor([("lines", mixture)], max_rows=60).fit(X, Y)
    whole = clone(mixture).fit(X, Y)
    np.testing.assert_allclose(few.predict(X), whole.predict(X), rtol=1e-12)


@pytest.mark.parametrize(
    "gate",
    [FrozenEstimator(LogisticRegression().fit(X, X[:, 0] > 0)), HierarchicalGate([1, 1])],
    ids=["frozen", "tree"],
)
def test_candidates_whose_gate_is_for_some_experts_are_not_tried_with_more(gate):
    auto = AutoMixtureRegressor([("lines", lines(gate=gate))]).fit(X, Y)
    assert list(auto.log_probs_) == ["lines"]
    assert auto.mixture_.n_experts_ == 2


def test_responsibilities_are_cut_to_the_rows_that_judge():
    side, weight = (X[:, 0] > 0).astype(float), np.arange(150) % 10 > 0
    init = np.column_stack([side, 1 - side])
    given = lines(init=init.tolist())
    auto = AutoMixtureRegressor([("lines", given)]).fit(X, Y, weight)
    alone = clone(given).fit(X, Y, weight)
    np.testing.assert_allclose(auto.predict(X), alone.predict(X), rtol=1e-12)
    assert auto.mixture_.init == given.init
    few = AutoMixtureRegressor([("lines", given)], max_rows=60).fit(X, Y)
    np.testing.assert_allclose(few.predict(X), clone(given).fit(X, Y).predict(X), rtol=1e-12)
    with pytest.raises(ValueError, match=r"'lines' has init of shape \(140, 2\), and X has 150"):
        AutoMixtureRegressor([("lines", lines(init=init[:140]))]).fit(X, Y)


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        (np.arange(80), "inconsistent numbers of samples"),
        (np.where(np.arange(150) > 3, 1.0, np.nan), "rows without a label"),
        (np.arange(150) % 2, r"groups holds 2 groups, .* Use cv=GroupKFold\(2\), or no groups"),
        (np.arange(150) % 4, r"groups holds 4 groups, .* Use cv=4, or no groups"),
        (np.ones(150), "groups holds 1 groups, .* Leave groups out"),
    ],
)
def test_bad_groups_are_refused_before_the_search(groups, text, monkeypatch):
    monkeypatch.setattr(_search.Sample, "fit", None)
    with pytest.raises(ValueError, match=text):
        AutoMixtureRegressor(pair()).fit(X, Y, np.arange(150) > 0, groups=groups)


def test_groups_for_which_no_candidate_has_folds_enough_are_refused_before_the_search(monkeypatch):
    given = [("few", lines(2, cv=4)), ("more", lines(4, cv=5))]
    groups = np.arange(150) % 4
    assert AutoMixtureRegressor(given[:1]).fit(X, Y, groups=groups).mixture_.cv == 4
    monkeypatch.setattr(_search.Sample, "fit", None)
    with pytest.raises(
        ValueError, match="groups holds 4 groups, and 5 folds need at least one each"
    ):
        AutoMixtureRegressor(given[1:]).fit(X, Y, groups=groups)


@pytest.mark.parametrize("usual", [regressors, classifiers])
def test_boosting_does_not_stop_early_on_a_table_of_many_rows(usual):
    """It would do so by the order of the rows, and fail where a class has few."""
    experts = [candidate.mixture.experts for candidate in usual(20_000, 5)]
    stops = [each.early_stopping for each in experts if hasattr(each, "early_stopping")]
    assert stops
    assert not any(stops)


@pytest.mark.parametrize("usual", [regressors, classifiers])
def test_many_rows_are_boosted_by_larger_trees(usual):
    def leaves(n_rows):
        (boosting,) = (c for c in usual(n_rows, 5) if c.name == "boosting")
        return boosting.mixture.experts.max_leaf_nodes

    assert leaves(1999) == 8
    assert leaves(2000) == 31


# The usual candidates, on few rows; what was judged in three folds is not fitted again in as many.

SOME = slice(0, 60)


def mixed_frame(n_rows=60):
    generator = np.random.default_rng(5)
    number = generator.normal(size=n_rows)
    return pd.DataFrame(
        {
            "number": np.where(generator.random(n_rows) < 0.1, np.nan, number),
            "text": pd.Series(generator.choice(["a", "b", "c"], n_rows), dtype=object),
            "kind": pd.Categorical(generator.choice(["x", "y"], n_rows)),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(n_rows), unit="D"),
            "flag": generator.random(n_rows) < 0.5,
        }
    )


def test_labels_that_follow_rules_are_boosted_for_long_and_others_are_not():
    X = np.random.default_rng(3).integers(0, 3, size=(300, 5))
    rules = np.where(X[:, 0] > X[:, 1], X[:, 2] + X[:, 3] > 2, X[:, 4] * X[:, 1] > 1)
    by_chance = rules ^ (np.random.default_rng(4).random(300) < 0.2)
    auto = AutoMixtureClassifier(["boosting", "long boosting"], cv=3, random_state=0)
    assert auto.fit(X, rules).best_name_ == "long boosting"
    assert auto.fit(X, by_chance).weights_ == {"boosting": 1.0}


NAMES = {
    AutoMixtureRegressor: {"linear", "kernel", "stacked", "boosting"},
    AutoMixtureClassifier: {"linear", "forest", "boosting", "long boosting", "metric"},
}


@pytest.mark.usefixtures("quick_candidates")
@pytest.mark.parametrize("kind", [AutoMixtureRegressor, AutoMixtureClassifier])
@pytest.mark.parametrize(
    "make", [mixed_frame, lambda: pl.DataFrame(mixed_frame()), lambda: X[SOME]]
)
def test_all_kinds_take_tables_as_they_come(kind, make):
    table = make()
    y = (Y if kind is AutoMixtureRegressor else LABELS)[SOME]
    auto = kind(cv=3, random_state=0).fit(table, y)
    names = {name.split(",")[0] for name in auto.log_probs_}
    assert names == NAMES[kind]
    assert np.isfinite(list(auto.log_probs_.values())).all()
    new = table[:20]
    assert len(auto.predict(new)) == 20
    gate = auto.mixture_.gate_proba(auto.encode(new))
    assert np.allclose(gate.sum(axis=1), 1.0)
    again = pickle.loads(pickle.dumps(auto))
    assert np.array_equal(again.predict(new), auto.predict(new))


@pytest.mark.usefixtures("quick_candidates")
@pytest.mark.parametrize("kind", ["linear", "kernel", "stacked", "boosting"])
def test_what_was_found_can_be_fitted_again(kind):
    frame = mixed_frame()
    auto = AutoMixtureRegressor([kind], cv=3, random_state=0).fit(frame, Y[SOME])
    again = clone(auto.best_estimator_).fit(frame, Y[SOME])
    assert np.allclose(again.predict(frame), auto.predict(frame))


@pytest.mark.usefixtures("quick_candidates")
def test_unknown_text_is_a_missing_value():
    frame = mixed_frame()
    auto = AutoMixtureRegressor(cv=3, random_state=0).fit(frame, Y[SOME])
    strange = frame.assign(text="never seen")
    assert np.isfinite(auto.predict(strange)).all()


@pytest.mark.usefixtures("quick_candidates")
def test_pairs_of_rows_may_be_the_folds_where_weights_are_zero():
    folds = list(KFold(3).split(X[SOME]))
    weight = np.arange(60) % 4
    auto = AutoMixtureRegressor(cv=folds, max_rows=50, random_state=0)
    auto.fit(X[SOME], Y[SOME], sample_weight=weight)
    kept = AutoMixtureRegressor(
        cv=PredefinedSplit(np.arange(60) // 20), max_rows=50, random_state=0
    )
    kept.fit(X[SOME], Y[SOME], sample_weight=weight)
    assert auto.log_probs_ == kept.log_probs_
    assert np.array_equal(auto.mixture_.cv[1][1], np.arange(20, 40))


@pytest.mark.usefixtures("quick_candidates")
def test_one_output_is_one_output():
    column = AutoMixtureRegressor(cv=3, random_state=0).fit(X[SOME], Y[SOME, None])
    assert "boosting" in column.log_probs_


def test_users_hear_nothing_of_verdicts_on_what_they_have_not_chosen():
    noise = np.random.default_rng(0).normal(size=60)
    auto = AutoMixtureRegressor(["linear"], cv=3, random_state=0, stacking=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        auto.fit(np.random.default_rng(1).normal(size=(60, 3)), noise)
    assert auto.mixture_.gain_ < -2 * auto.mixture_.gain_stderr_


@pytest.mark.usefixtures("quick_candidates")
def test_several_outputs_leave_boosting_out():
    auto = AutoMixtureRegressor(cv=3, random_state=0).fit(X[SOME], np.column_stack([Y, -Y])[SOME])
    assert {name.split(",")[0] for name in auto.log_probs_} == {"linear", "kernel", "stacked"}
    assert auto.predict(X).shape == (150, 2)
    assert auto.predict_interval(X).shape == (150, 2, 2)


@pytest.mark.usefixtures("quick_candidates")
@pytest.mark.parametrize("kind", [AutoMixtureRegressor, AutoMixtureClassifier])
def test_usual_kinds_by_name(kind):
    y = (Y if kind is AutoMixtureRegressor else LABELS)[SOME]
    auto = kind(["boosting", "linear"], cv=3, random_state=0).fit(mixed_frame(), y)
    assert {name.split(",")[0] for name in auto.log_probs_} == {"linear", "boosting"}
    assert get_tags(auto).input_tags == get_tags(kind()).input_tags


def test_several_outputs_have_no_boosting_to_name():
    with pytest.raises(ValueError, match=r"names \['boosting'\]; for this target use"):
        AutoMixtureRegressor(["boosting"]).fit(X[SOME], np.column_stack([Y, Y])[SOME])


@pytest.mark.usefixtures("quick_candidates")
def test_seed_decides_and_jobs_do_not():
    kinds = ["linear", "boosting"]
    first = AutoMixtureRegressor(kinds, random_state=0).fit(X[SOME], Y[SOME])
    second = AutoMixtureRegressor(kinds, random_state=0, n_jobs=2).fit(X[SOME], Y[SOME])
    assert first.log_probs_ == pytest.approx(second.log_probs_)
    assert np.allclose(first.predict(X), second.predict(X))


def test_parameters_reach_the_usual_candidates():
    made = regressors(1000, 3, family="poisson", cv=4, n_jobs=2, random_state=7)
    assert {c.mixture.family for c in made} == {"poisson"}
    assert {c.mixture.random_state for c in made} == {7}
    assert {c.name: c.mixture.cv for c in made} == {
        "linear": 4,
        "kernel": 4,
        "stacked": 4,
        "boosting": 3,
    }
    columns = made[2].model[0]
    assert (columns.cv, columns.n_jobs, columns.random_state) == (4, 2, 7)
    folds = GroupKFold(4)
    assert {c.mixture.cv for c in regressors(1000, 3, cv=folds)} == {folds}


def test_noise_changes_where_the_family_has_a_scale():
    for family, changes in (("auto", True), ("student_t", True), ("poisson", False)):
        boosting = regressors(1000, 3, family=family, cv=5)[-1].mixture
        assert (boosting.dispersion_estimator is not None) == changes


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "n_experts"),
    [(1000, 3, 8), (9000, 99, 5), (1000, 99, 5), (100, 9, 5), (50, 40, 2)],
)
def test_linear_experts_are_no_more_than_rows_can_tell_of(n_rows, n_columns, n_experts):
    assert regressors(n_rows, n_columns)[0].mixture.n_experts == n_experts


# Columns.


def test_the_order_of_rows_does_not_change_what_coordinates_hold():
    """Many rows in one column are so alike that most directions are rounding."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        table = np.column_stack([rng.normal(size=100).round(3), rng.integers(0, 2, size=100)])
        order, made = rng.permutation(100), []
        for rows in (np.arange(100), order):
            encoder = TabularEncoder().fit(table[rows])
            columns = KernelColumns().fit(encoder.transform(table[rows]))
            made.append(row_hashes(columns.transform(encoder.transform(table)), np.zeros(100)))
        np.testing.assert_array_equal(*made)


def test_coordinates_give_the_kernel_of_the_rows_that_they_are_made_of():
    columns = KernelColumns(n_components=1000).fit(X)
    landmarks = columns.kernel_.components_
    made = columns.transform(landmarks)
    assert np.array_equal(made[:, :3], landmarks)
    assert len(landmarks) == 150 // 4
    gamma = 0.5 / X.var(axis=0).sum()
    product = made[:, 3:] @ made[:, 3:].T
    assert np.allclose(product, rbf_kernel(landmarks, gamma=gamma), atol=1e-6)


def test_coordinates_do_not_depend_on_order_or_copies():
    rows = np.concatenate([rng.permutation(150), np.arange(30)])
    assert np.allclose(
        KernelColumns().fit(X).transform(X), KernelColumns().fit(X[rows]).transform(X)
    )


def test_tables_that_others_make_are_arrays_here():
    """Whatever scikit-learn is set to make of transformed tables."""
    plain = KernelColumns().fit(X).transform(X)
    (kernel,) = (c for c in regressors(150, 3, cv=5) if c.name == "kernel")
    with config_context(transform_output="pandas"):
        made = KernelColumns().fit(X).transform(X)
        seen = clone(kernel.mixture.gate)[0].fit_transform(made)
    np.testing.assert_array_equal(made, plain)
    assert isinstance(seen, np.ndarray)


def test_columns_that_hold_one_value_have_a_kernel():
    made = KernelColumns().fit_transform(np.ones((10, 2)))
    assert np.isfinite(made).all()


def test_a_column_without_a_value_is_missing_whatever_it_holds_later():
    known = pd.DataFrame({"x": [1.0, 2.0], "none": [None, None]})
    columns = CategoryColumns().fit(known)
    later = columns.transform(pd.DataFrame({"x": [3.0, 4.0], "none": ["a", None]}))
    assert later["none"].isna().all()


def test_text_becomes_categories_and_numbers_stay():
    frame = mixed_frame()
    columns = CategoryColumns().fit(frame)
    made = columns.transform(frame)
    assert [name for name, known in columns.columns_.items() if known is not None] == [
        "text",
        "kind",
    ]
    assert made["text"].dtype == "category"
    assert np.array_equal(made["number"], frame["number"], equal_nan=True)
    assert made["text"].astype(object).tolist() == frame["text"].tolist()


@pytest.mark.filterwarnings("error")
def test_categories_that_are_not_known_are_missing():
    frame = pd.DataFrame({"text": [f"t{i:03}" for i in range(285)], "n": np.arange(285.0)})
    columns = CategoryColumns().fit(frame)
    assert columns.n_categories_ == 255
    made = columns.transform(frame.assign(text="strange"))
    assert made["text"].isna().all()
    assert columns.transform(frame)["text"].isna().sum() == 30
    for other in (frame.to_numpy(), pl.DataFrame(frame)):
        assert columns.transform(other)["text"].equals(columns.transform(frame)["text"])
    with pytest.raises(ValueError, match="Column 'n' of X held numbers in fit"):
        columns.transform(frame.assign(n="x"))


def many_categories(n_rows, seed):
    """A column of text with a hundred categories, each of which has an effect of its own."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(100, size=n_rows)
    effect = 2 * np.random.default_rng(99).normal(size=100)
    frame = pd.DataFrame({"text": [f"t{code:02}" for code in codes], "n": rng.normal(size=n_rows)})
    return frame, effect[codes] + frame["n"].to_numpy() + 0.5 * rng.normal(size=n_rows)


def test_a_hundred_categories_are_told_apart():
    (frame, y), (new, truth) = many_categories(1000, 0), many_categories(1000, 1)
    auto = AutoMixtureRegressor(["stacked"], cv=3, random_state=0).fit(frame, y)
    assert auto.encode(new).shape[1] == 101 + 3  # with the predictions of three learners
    assert np.sqrt(np.mean((auto.predict(new) - truth) ** 2)) < 0.8  # without the column it is two


@pytest.mark.usefixtures("quick_candidates")
def test_categories_that_are_not_told_apart_are_named():
    frame = pd.DataFrame({"n": X[:60, 0], "of 30": [f"t{i % 30}" for i in range(60)]})
    assert AutoMixtureRegressor(["stacked"], cv=3).fit(frame, Y[:60]).encode(frame).shape[1] == 34
    frame["of 59"] = [f"t{i % 59}" for i in range(60)]
    with pytest.warns(
        UserWarning, match=r"more than the 30 .* none: 'of 59' \(48% of the rows\)\."
    ):
        AutoMixtureRegressor(["stacked"], cv=3).fit(frame, Y[:60])
    AutoMixtureRegressor(["boosting"], cv=3).fit(frame, Y[:60])  # is shown no indicators


@pytest.mark.usefixtures("quick_candidates")
@pytest.mark.parametrize("kind", ["linear", "stacked"])
def test_a_column_that_names_the_rows_is_not_known_by_heart(kind):
    frame = pd.DataFrame(X).rename(columns=str)
    plain = AutoMixtureRegressor([kind], cv=3, random_state=0).fit(frame, Y)
    frame["name"] = [f"t{i}" for i in range(len(X))]
    with pytest.warns(UserWarning, match="many rows .*'name'"):
        named = AutoMixtureRegressor([kind], cv=3, random_state=0).fit(frame, Y)
    assert named.log_probs_[kind] > plain.log_probs_[kind] - 0.2


def test_what_text_is_does_not_hang_on_the_batch():
    days = [datetime.date(2020, 1, 1 + i % 28) for i in range(150)]
    frame = pd.DataFrame({"n": X[:, 0], "day": [*days[:-1], "unknown"]})
    for make in (TabularEncoder, CategoryColumns):
        columns = make().fit(frame)
        whole, part = columns.transform(frame), columns.transform(frame[:50])
        assert np.asarray(whole)[:50].tolist() == np.asarray(part).tolist()


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, np.asarray])
def test_rows_are_predicted_in_blocks(make, monkeypatch):
    table = make(X)
    auto = AutoMixtureRegressor([("two", lines())], cv=3).fit(table, Y)
    whole, sizes = auto.predict(table), []
    usual = AutoMixtureRegressor._mean_of
    monkeypatch.setattr("sklearn_moe._rows.MOST_ELEMENTS", 1)
    monkeypatch.setattr("sklearn_moe._rows.ROWS_OF_BLOCK", 40)
    monkeypatch.setattr(
        AutoMixtureRegressor,
        "_mean_of",
        lambda self, query, rows: sizes.append(len(rows)) or usual(self, query, rows),
    )
    np.testing.assert_allclose(auto.predict(table), whole, rtol=1e-12)
    assert max(sizes) == 40
    assert sum(sizes) == len(X)


# Composition.


def test_it_works_in_pipelines_and_searches():
    auto = make_pipeline(StandardScaler(), AutoMixtureRegressor(pair()))
    grid = {"automixtureregressor__max_rows": [60, 100]}
    search = GridSearchCV(auto, grid, cv=2).fit(X, Y)
    assert search.best_score_ > 0.5


def test_the_law_is_that_of_the_mixture():
    auto = AutoMixtureRegressor([("scaled", make_pipeline(StandardScaler(), lines(16)))])
    auto.fit(X, Y)
    expected = lines(16).fit(StandardScaler().fit_transform(X), Y)
    scaled = StandardScaler().fit(X).transform(X)
    assert np.allclose(auto.predict_dist(X).logpdf(Y), expected.predict_dist(scaled).logpdf(Y))
    assert np.allclose(auto.predict_interval(X, 0.5), expected.predict_interval(scaled, 0.5))
    assert np.allclose(auto.predict(X, return_std=True)[1], expected.predict_dist(scaled).std())


def test_probabilities_are_those_of_the_mixture():
    mixture = MixtureOfExpertsClassifier(LogisticRegression(), 16, **QUICK)
    auto = AutoMixtureClassifier([("lines", mixture)]).fit(X, LABELS)
    expected = clone(mixture).fit(X, LABELS)
    assert np.array_equal(auto.predict_proba(X), expected.predict_proba(X))
    assert np.array_equal(auto.predict_log_proba(X), expected.predict_log_proba(X))
    assert auto.classes_.tolist() == ["other", "same"]


# What is refused, and what goes wrong.


@pytest.mark.parametrize(
    ("candidates", "error", "text"),
    [
        ([], ValueError, "must be a list of"),
        ("linear", ValueError, r"candidates='linear' must be a list of .* such as \['linear'\]"),
        (lines(), ValueError, "must be a list of"),
        ([lines()], ValueError, "must be a list of"),
        ([("a", lines()), ("a", lines(3))], ValueError, "no name twice"),
        ([("a, n_experts=4", lines())], ValueError, "must not hold"),
        ([("a", Ridge())], TypeError, "an instance of MixtureOfExpertsRegressor"),
        ([("a", MixtureOfExpertsRegressor)], TypeError, "an instance of MixtureOfExpertsReg"),
        ([("a", MixtureOfExpertsClassifier())], TypeError, "an instance of MixtureOfExpertsReg"),
        ([("a", None)], TypeError, "an instance of MixtureOfExpertsRegressor"),
        (["linear", ("a", lines())], ValueError, "must be a list of"),
        (["linear", "linear"], ValueError, "names a kind twice"),
        (["linear", "network"], ValueError, r"names \['network'\]; .* use some of \['linear', 'k"),
    ],
)
@pytest.mark.filterwarnings("ignore:The following error was raised")  # of None, scikit-learn 1.7
def test_bad_candidates_are_refused(candidates, error, text):
    with pytest.raises(error, match=text):
        AutoMixtureRegressor(candidates).fit(X, Y)


def test_a_candidate_that_cannot_be_fitted_is_out(capsys):
    bad = MixtureOfExpertsRegressor(Broken())
    with pytest.warns(
        UserWarning, match="Candidate 'bad' cannot be fitted, and is out: .*it broke"
    ):
        auto = AutoMixtureRegressor([("bad", bad), *pair()], verbose=1).fit(X, Y)
    assert auto.log_probs_["bad"] == -np.inf
    assert auto.best_name_.startswith("two")
    assert "bad: failed" in capsys.readouterr().out


def test_an_error_of_another_kind_names_the_candidate():
    with pytest.raises(TypeError) as caught:
        AutoMixtureRegressor([("odd", lines(gate=StandardScaler()))]).fit(X, Y)
    assert caught.value.__notes__ == ["This was candidate 'odd'."]


def test_a_bound_is_no_match_for_witnesses(monkeypatch):
    """It owes much to the rows that it speaks of; but among bounds the highest is the best."""
    usual = _search.judge_candidate

    def without_witnesses(sample, candidate):
        judged = usual(sample, candidate)
        is_blind = candidate.name in blind
        return replace(judged, score=np.nan, bound=9.0) if is_blind else judged

    monkeypatch.setattr(_search, "judge_candidate", without_witnesses)
    blind = {"one"}
    with pytest.warns(UserWarning, match="'one' has no witnesses, which others have"):
        with_one = AutoMixtureRegressor(pair()).fit(X, Y)
    assert with_one.best_name_.startswith("two")
    blind = {"one", "two"}
    monkeypatch.setattr(_search, "MOST_EXPERTS", 1)
    assert AutoMixtureRegressor(pair()).fit(X, Y).log_probs_ == {"one": 9.0, "two": 9.0}
    bad = ("bad", MixtureOfExpertsRegressor(Broken()))
    with pytest.warns(UserWarning, match="'bad' cannot be fitted"):
        left = AutoMixtureRegressor([bad, *pair()]).fit(X, Y)
    assert left.log_probs_ == {"bad": -np.inf, "one": 9.0, "two": 9.0}


def test_nobody_is_warned_of_numbers_that_are_ours():
    straight = np.where(X[:, 0] > 0, X[:, 1], -X[:, 1])  # no noise: most of eight experts are lost
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        auto = AutoMixtureRegressor(["linear"], random_state=0).fit(X, straight)
    assert auto.mixture_.n_experts_ < auto.mixture_.n_experts
    hasty = AutoMixtureRegressor([("hasty", lines(16, cv=3, max_iter=1, tol=0.0))])
    with pytest.warns(ConvergenceWarning):
        hasty.fit(X, Y)


def test_if_none_can_be_fitted_nothing_is_lost():
    auto = AutoMixtureRegressor(pair()).fit(X, Y)
    before = auto.predict(X)
    auto.candidates = [("bad", MixtureOfExpertsRegressor(Broken()))]
    with pytest.raises(ValueError, match=r"None of the candidates \['bad'\] can be used.*it broke"):
        auto.fit(X, Y)
    assert np.array_equal(auto.predict(X), before)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"max_rows": 3}, "max_rows"),
        ({"family": "gauss"}, "family"),
        ({"cv": None}, "cv"),
        ({"cv": "oob"}, "cv"),
    ],
)
def test_bad_parameters_are_named(params, text):
    with pytest.raises(ValueError, match=text):
        AutoMixtureRegressor(**params).fit(X, Y)


def test_groups_of_few_rows_are_in_the_search(monkeypatch):
    monkeypatch.setattr(_search, "FIRST_ROWS", 60)
    groups = np.r_[np.zeros(75), np.ones(72), np.full(3, 2)]
    auto = AutoMixtureRegressor([("lines", lines(cv=3))], max_rows=60).fit(X, Y, groups=groups)
    assert np.isfinite(auto.log_probs_["lines"])


@pytest.mark.parametrize("n_groups", [5, 30])
def test_few_rows_are_enough_where_all_groups_are_among_them(n_groups):
    sample = AutoMixtureRegressor()._prepared(X, Y, None, np.arange(150) % n_groups)[0]
    assert sample.few(100).n_distinct == 100


def test_the_best_is_out_if_it_cannot_be_fitted_as_it_asks():
    candidates = [("five", lines(cv=5)), ("three", lines(1, cv=3))]
    with pytest.warns(UserWarning, match="'five.*cannot be fitted to all rows, and is out"):
        auto = AutoMixtureRegressor(candidates).fit(X, Y, groups=np.arange(150) % 4)
    assert auto.best_name_.split(",")[0] == "three"


def test_rows_of_no_weight_have_no_say_in_columns():
    more, y = np.vstack([X, [[np.nan] * X.shape[1]]]), np.append(Y, 0.0)
    auto = AutoMixtureRegressor()
    views = auto._prepared(more, y, np.append(np.ones(len(Y)), 0.0), None)[1]
    assert views["numbers"].n_outputs_ == X.shape[1]
