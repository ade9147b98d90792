"""`n_experts="auto"`: the number of experts is found, and every other feature goes with it."""

import pickle
import warnings
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, _growth, _guided
from sklearn_moe._baseline import Baseline
from sklearn_moe._data import Data
from sklearn_moe._em import EMResult, EMRule, run_em
from sklearn_moe._expectation import MixtureExpectation
from sklearn_moe._expert_errors import PartError
from sklearn_moe._growth import MOST_EXPERTS, ROWS_TO_SPLIT, GrowthPath, SplitExpert, merge
from sklearn_moe._guided import _lags, by_itself, caught_up
from sklearn_moe._plans import follow_here
from sklearn_moe._progress import Reporter, Session
from sklearn_moe._recalibration import Scores
from sklearn_moe._verdict import Stage, run_witnessed
from sklearn_moe.families import Gaussian
from sklearn_moe.gates import GaussianGate, HierarchicalGate
from sklearn_moe.linear import _logistic_bank
from sklearn_moe.linear._search import SETTLE

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
SLOPES = np.array([2.0, -2.0, 1.0, -3.0])
OFFSETS = np.array([0.0, 1.0, 3.0, 0.0])


def regimes(n_samples, n_regimes, seed=0):
    """Lines of different slopes over intervals of the first column."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3, 3, size=(n_samples, 2))
    regime = np.digitize(X[:, 0], np.linspace(-3, 3, n_regimes + 1)[1:-1])
    y = SLOPES[regime] * X[:, 1] + OFFSETS[regime] + 0.3 * rng.normal(size=n_samples)
    return X, y


def auto(expert=None, **params):
    return MixtureOfExpertsRegressor(expert, "auto", random_state=0, **params)


FEW = {"cv": 3, "init": "principal", "n_init": 1, "max_iter": 5}
X3, Y3 = regimes(300, 3)
X1, Y1 = regimes(300, 1)


@pytest.fixture(scope="module")
def three():
    return auto(cv=3).fit(X3, Y3)


@pytest.mark.parametrize(
    ("kind", "expert", "rule"),
    [
        (MixtureOfExpertsRegressor, LinearRegression(), lambda X: X @ [1.0, 2.0]),
        (MixtureOfExpertsClassifier, LogisticRegression(), lambda X: np.zeros(len(X), dtype=int)),
    ],
)
def test_where_there_is_nothing_to_gain_rounding_does_not_ask_for_more(kind, expert, rule):
    rng = np.random.default_rng(0)
    for _ in range(2):
        table, order = rng.normal(size=(60, 2)), rng.permutation(60)
        for rows in (table, table[order]):
            model = kind(expert, "auto", random_state=0, n_init=1, max_iter=5)
            assert model.fit(rows, rule(rows)).n_experts_ == 1


@pytest.mark.parametrize("n_regimes", [1, 2, 4])
def test_the_number_of_regimes_is_found(n_regimes):
    assert auto(cv=3).fit(*regimes(600, n_regimes, seed=1)).n_experts_ == n_regimes


def test_it_is_as_good_as_the_best_of_a_search(three):
    """Within a standard error (of the gain over one expert) of the best number fitted by itself."""
    single = [MixtureOfExpertsRegressor(n_experts=k, cv=3, random_state=0) for k in range(2, 6)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Experts .* lost their rows twice")
        found = [moe.fit(X3, Y3).heldout_log_prob_ for moe in single]
    assert three.n_experts_ == 3
    assert three.heldout_log_prob_ > max(found) - three.gain_stderr_


def test_the_path_tells_what_was_tried(three):
    path = three.n_experts_path_
    assert list(path) == sorted(path)
    assert path.keys() >= {1, 2, 3, 4, 5}
    assert max(path, key=path.get) == 3
    assert path[3] - path[1] == pytest.approx(three.gain_, abs=0.1)
    assert MixtureOfExpertsRegressor(random_state=0, **FEW).fit(X3, Y3).n_experts_path_ is None


def test_one_expert_is_a_legal_answer():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moe = auto().fit(X1, Y1)
    assert moe.n_experts_ == 1
    np.testing.assert_allclose(moe.predict(X1), Ridge().fit(X1, Y1).predict(X1), rtol=1e-10)
    assert max(moe.n_experts_path_.values()) - moe.n_experts_path_[1] < 0.05


def test_weights_are_repeats():
    """The path takes the same steps; folds of a repeated table hold the same rows."""
    weight = np.random.default_rng(0).integers(0, 3, size=len(X3))
    weighted = auto(cv=3).fit(X3, Y3, sample_weight=weight)
    repeated = auto(cv=3).fit(np.repeat(X3, weight, axis=0), np.repeat(Y3, weight))
    assert weighted.n_experts_path_ == pytest.approx(repeated.n_experts_path_, abs=1e-7)
    np.testing.assert_allclose(weighted.predict(X3), repeated.predict(X3), rtol=1e-6, atol=1e-6)


def test_the_order_of_the_rows_does_not_matter(three):
    order = np.random.default_rng(1).permutation(len(X3))
    moe = auto(cv=3).fit(X3[order], Y3[order])
    assert moe.n_experts_path_ == pytest.approx(three.n_experts_path_, abs=1e-7)


def test_units_do_not_matter(three):
    moe = auto(cv=3).fit(X3, 1000 * Y3 - 5)
    assert moe.n_experts_ == three.n_experts_
    assert moe.gain_ == pytest.approx(three.gain_, rel=1e-6)


def test_jobs_do_not_matter(three):
    moe = auto(cv=3, n_jobs=2).fit(X3, Y3)
    assert moe.n_experts_path_ == three.n_experts_path_
    np.testing.assert_array_equal(moe.predict(X3), three.predict(X3))


def test_copies_of_rows_ask_for_no_more_experts():
    """So many distinct rows for each, and three regimes that would be found else."""
    X, y = regimes(3 * ROWS_TO_SPLIT - 1, 3)
    rows = np.repeat(np.arange(len(X)), 5)
    assert max(auto(cv=3).fit(X[rows], y[rows]).n_experts_path_) == 2


def test_it_is_a_good_citizen(three):
    assert clone(auto()).n_experts == "auto"
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(three)).predict(X3), three.predict(X3))
    assert "expert1" not in auto()._repr_html_()
    assert "'auto'" in repr(auto())
    grid = {"n_experts": [1, "auto"], "experts__alpha": [1.0]}
    search = GridSearchCV(
        MixtureOfExpertsRegressor(Ridge(), random_state=0, **FEW | {"max_iter": 2}), grid, cv=2
    )
    assert search.fit(X3[:120], Y3[:120]).best_params_["n_experts"] == "auto"


def test_a_random_state_is_drawn_from_once():
    generator = np.random.RandomState(0)
    moe = MixtureOfExpertsRegressor(n_experts="auto", cv=3, random_state=generator).fit(X3, Y3)
    assert moe.n_experts_ == 3
    fresh = np.random.RandomState(0)
    fresh.randint(np.iinfo(np.int32).max, size=MOST_EXPERTS + 2)
    assert generator.randint(10**9) == fresh.randint(10**9)


@pytest.mark.parametrize(
    "params",
    [
        {"verdict": False},
        {"family": "student_t"},
        {"dispersion_estimator": Ridge()},
        {"outlier_fraction": 0.05},
        {"calibrate": "conformal"},
        {"gate": GaussianGate()},
        {"gate": make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky"))},
        {"top_k": 2},
        {"shared_expert": Ridge()},
        {"balance": 0.2},
        {"cv": "loo"},
        {"init": "kmeans_xy", "n_init": 1},
    ],
    ids=lambda params: next(iter(params)),
)
def test_features_go_with_it(params):
    moe = auto(**{**FEW, **params}).fit(X3, Y3)
    is_shared = moe.shrinkage_ is not None
    assert 3 <= moe.n_experts_ - is_shared <= 4
    assert moe.n_experts_ in moe.n_experts_path_
    assert (2 in moe.n_experts_path_) != is_shared  # the path begins with two to choose from
    assert moe.score(X3, Y3) > 0.8
    np.testing.assert_allclose(moe.gate_proba(X3).sum(axis=1), 1.0, rtol=1e-9)


@pytest.mark.parametrize(
    ("expert", "params"),
    [
        (DecisionTreeRegressor(max_depth=3), {}),
        (KNeighborsRegressor(), {}),
        (RandomForestRegressor(16, max_depth=3), {"cv": "oob", "max_iter": 1}),
        (make_pipeline(StandardScaler(), Ridge()), {}),
    ],
)
def test_any_expert_will_do(expert, params):
    train, test = (X3[:120], Y3[:120]), (X3[120:], Y3[120:])
    params = {"cv": 3, "max_iter": 2, "n_init": 1, **params}
    moe = auto(expert, **params).fit(*train)
    alone = MixtureOfExpertsRegressor(expert, 1, random_state=0, **params).fit(*train)
    assert moe.n_experts_ in moe.n_experts_path_
    assert moe.log_prob(*test).mean() > alone.log_prob(*test).mean()


@pytest.mark.filterwarnings("ignore:EM ended after:UserWarning")
def test_a_split_that_gives_an_expert_too_few_rows_leaves_the_others():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    rules = [3 * X[:, 1], -3 * X[:, 2], 4 + X[:, 1], X[:, 2] - 4, 3 * X[:, 2]]
    y = np.choose(np.digitize(X[:, 0], [-1, -0.3, 0.3, 1]), rules) + 0.2 * rng.normal(size=300)
    moe = auto(KNeighborsRegressor(30), cv=4, max_iter=5).fit(X, y)
    assert list(moe.n_experts_path_) == [1, 2, 3]


def test_several_outputs_share_the_number():
    regime = np.digitize(X3[:, 0], [-1, 1])
    rule = SLOPES[regime] * X3[:, 1] + OFFSETS[regime]
    other = -2 * rule + 0.6 * np.random.default_rng(1).normal(size=len(X3))
    moe = auto(cv=3).fit(X3, np.column_stack([Y3, other]))
    assert moe.n_experts_ == 3
    assert moe.dispersions_.shape == (3, 2)


def test_labels_and_frames():
    rng = np.random.default_rng(0)
    side = rng.choice(["left", "right"], size=200)
    x = rng.normal(size=200)
    logit = np.where(side == "left", 4, -4) * x
    labels = np.where(rng.random(200) < 1 / (1 + np.exp(-logit)), "yes", "no")
    frame = pd.DataFrame({"side": pd.Categorical(side), "x": x})
    columns = make_pipeline(_Codes(), LogisticRegression(solver="newton-cholesky"))
    few = {"cv": 3, "init": "principal", "n_init": 1, "max_iter": 2}
    moe = MixtureOfExpertsClassifier(columns, "auto", random_state=0, **few)
    moe.fit(frame, labels)
    assert moe.n_experts_ >= 2
    assert moe.gain_ > 5 * moe.gain_stderr_
    assert moe.score(frame, labels) > 0.8
    assert set(moe.classes_) == {"yes", "no"}


class _Codes(StandardScaler):
    """Categories as their codes, then scaled."""

    def fit(self, X, y=None, sample_weight=None):
        return super().fit(self._codes(X), y, sample_weight)

    def transform(self, X):
        return super().transform(self._codes(X))

    def _codes(self, X):
        return X.assign(side=X["side"].cat.codes).to_numpy(float)


def test_it_goes_on_from_where_it_was(three):
    moe = clone(three).set_params(warm_start=True).fit(X3, Y3).fit(X3, Y3)
    assert moe.n_experts_ == 3
    assert "warm" in moe.start_bounds_


def test_a_start_says_where_to_begin():
    resp = np.eye(3)[np.digitize(X3[:, 0], [-1, 1])]
    moe = auto(init=resp).fit(X3, Y3)
    assert moe.n_experts_ == 3
    assert 2 in moe.n_experts_path_  # two of the three were merged, and that was worse
    assert moe.n_experts_path_[2] < moe.n_experts_path_[3]


def test_experts_that_share_their_rows_are_merged():
    shared = np.array([[0.5, 0.0, 0.5], [0.4, 0.1, 0.5], [0.0, 1.0, 0.0]])
    at = MixtureExpectation(resp=shared, members=(0, 1, 2))
    recipe = type("Recipe", (), {"shared": False})
    data = type("Data", (), {"sample_weight": np.ones(3)})
    dealt = merge(recipe, data, at)
    np.testing.assert_allclose(dealt.resp, [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]], atol=1e-9)
    np.testing.assert_array_equal(dealt.origins, [0, 1])
    recipe.shared = True  # the last is not one of those that may be merged
    np.testing.assert_array_equal(merge(recipe, data, at).origins, [0, 2])


@pytest.mark.parametrize(("weight", "origins"), [([9.0, 1.0], [0, 2]), ([1.0, 9.0], [0, 1])])
def test_experts_share_rows_by_their_weight(weight, origins):
    resp = np.vstack([[[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]], np.eye(3)])
    at = MixtureExpectation(resp=resp, members=(0, 1, 2))
    data = SimpleNamespace(sample_weight=np.append(weight, np.ones(3)))
    assert merge(SimpleNamespace(shared=False), data, at).origins.tolist() == origins


def test_copies_of_few_rows_are_dealt_evenly():
    """They cannot tell two experts apart."""
    n_rows = 3 * ROWS_TO_SPLIT
    resp, evidence = np.ones((n_rows, 1)), np.zeros(n_rows)
    at = MixtureExpectation(resp=resp, members=(0,), log_evidence=evidence)
    data = SimpleNamespace(
        sample_weight=np.ones(n_rows),
        target=np.zeros((n_rows, 1)),
        distinct=np.arange(ROWS_TO_SPLIT - 1),
        n_samples=n_rows,
    )
    recipe = SimpleNamespace(shared=False, seed=0, templates=[None] * 2, family=Gaussian())
    dealt = SplitExpert("ladder", largest=True)(recipe, data, at)
    np.testing.assert_array_equal(dealt.resp, np.full((n_rows, 2), 0.5))


def test_logistic_experts_go_on_from_those_whose_rows_they_get(monkeypatch):
    """Where they settle, they come to what they would have come to from nothing."""
    began, solve = [], _logistic_bank.solve_left_out

    def spied(problems, table, weights, folds, start, effort):
        found = solve(problems, table, weights, folds, start, effort)
        if start is not None and effort == SETTLE:
            from_nothing = solve(problems, table, weights, folds, None, effort)
            began.append((start, found, from_nothing))
        return found

    monkeypatch.setattr(_logistic_bank, "solve_left_out", spied)
    rng = np.random.default_rng(0)
    labels = rng.random(300) < 1 / (1 + np.exp(-3 * Y3))
    params = {"cv": 3, "n_init": 1, "max_iter": 3, "tol": 1.0, "min_responsibility": 0.2}
    MixtureOfExpertsClassifier(LogisticRegression(), "auto", random_state=0, **params).fit(
        X3, labels
    )
    n_alike = set()
    for theta, found, from_nothing in began:
        gaps = np.abs(theta[:, :-1] - theta[:, -1:]).max(axis=(0, 2, 3))
        n_alike.add(np.count_nonzero(gaps == 0))
        np.testing.assert_allclose(found.mean, from_nothing.mean, atol=0.01)
    assert n_alike >= {1}  # after a split two have begun alike


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cv": None}, "n_experts='auto' needs rows held out; got cv=None"),
        ({"experts": MixtureOfExpertsRegressor()}, "not for mixtures as experts"),
        ({"gate": HierarchicalGate([1, 1])}, "not for trees of gates"),
        ({"experts": [("a", auto()), ("b", Ridge())]}, "'a' is a mixture with n_experts='auto'"),
    ],
)
def test_where_it_cannot_be_found(params, message):
    with pytest.raises(ValueError, match=message):
        auto().set_params(**params).fit(X3, Y3)


def test_a_list_has_its_own_number():
    moe = MixtureOfExpertsRegressor([("a", Ridge()), ("b", Ridge(10.0))], "auto", random_state=0)
    assert moe.fit(X3, Y3).n_experts_ == 2
    assert moe.n_experts_path_ is None


def test_what_is_said_of_unseen_rows_is_true():
    """A cap on the target is an optimum that a run, or its witnesses, may find or miss."""

    def table(n_samples, seed):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n_samples, 2))
        y = np.where(X[:, 0] > 0, 2, -1) * X[:, 1] + 0.5 * rng.normal(size=n_samples)
        return X, np.minimum(y, 1.5)

    moe = auto(cv=3).fit(*table(1200, 0))
    fresh = moe.log_prob(*table(4000, 1))
    stderr = np.hypot(moe.gain_stderr_, fresh.std() / np.sqrt(len(fresh)))
    assert abs(fresh.mean() - moe.heldout_log_prob_) < 4 * stderr
    assert moe.gain_ > 1.0


def four_rows():
    """As much of a table as differences of log densities are judged by."""
    data = SimpleNamespace(
        target=np.arange(4.0), n_samples=4, sample_weight=np.ones(4), clusters=np.arange(4)
    )
    data.mean_and_stderr = partial(Data.mean_and_stderr, data)
    return data


def stage_of(held_out, own, bound=0.0):
    """A stage whose witness, of the first two rows, and whose run say these things."""
    expectation = MixtureExpectation(
        resp=np.zeros((4, 2)),
        members=(0, 1),
        lower_bound=bound,
        log_evidence=np.array(own),
        held_out=np.array(held_out),
    )
    data = four_rows()
    witness = SimpleNamespace(test=np.array([0, 1]))
    model, result = SimpleNamespace(data=data), EMResult(expectation, expectation=expectation)
    return Stage(model, result, np.array([[9.0]]), [witness])


def test_a_run_that_witnesses_have_left_behind_is_known_by_its_own_word():
    behind = stage_of([1.0, 1.1, np.nan, np.nan], [0.0, 0.2, 5.0, 5.0])
    level = stage_of([1.0, 1.1, np.nan, np.nan], [1.1, 0.9, 5.0, 5.0])
    assert _lags(behind)
    assert not _lags(level)
    honest = by_itself(behind)
    np.testing.assert_array_equal(honest.unseen, [0.0, 0.2, np.nan, np.nan])
    np.testing.assert_allclose(honest.fold_log_probs, [[0.1]])
    assert not _lags(honest)


def test_witnesses_that_have_lost_experts_go_on():
    """Two of eight columns are nearly empty: experts die, in some witnesses and not in others."""
    X, y = regimes(200, 2, seed=0)
    rng = np.random.default_rng(0)
    resp = rng.dirichlet(np.ones(8), size=200)
    resp[:, 6:] *= 1e-3
    moe = auto(init=resp / resp.sum(axis=1, keepdims=True)).fit(X, y)
    assert moe.gain_ > 2 * moe.gain_stderr_
    assert moe.heldout_log_prob_ > moe.n_experts_path_[1]


def test_a_run_left_behind_follows_its_witnesses(monkeypatch):
    """Every run is replaced by a poor one; what its witnesses know brings it back."""

    def sabotaged(*args, **kwargs):
        stage = yield from run_witnessed(*args, **kwargs)
        model, heard = stage.model, stage.result.expectation
        labels = np.random.default_rng(0).integers(0, len(heard.members), model.data.n_samples)
        poor = model.begin(np.eye(len(heard.members))[labels])
        run = yield from run_em(model, poor, EMRule(1, 0.0))
        expectation = replace(run.expectation, held_out=heard.held_out, score=heard.score)
        kept = {"scores": stage.result.scores, "expectation": expectation}
        return replace(stage, result=replace(stage.result, state=run.state, **kept))

    monkeypatch.setattr(_growth, "run_witnessed", sabotaged)
    moe = auto().fit(X3, Y3)
    assert moe.n_experts_ >= 3
    assert moe.score(X3, Y3) > 0.85
    assert len(moe.lower_bounds_) == moe.n_iter_
    assert moe.lower_bound_ in moe.lower_bounds_


@pytest.mark.parametrize("fails", ["guide", "run"])
def test_a_run_that_cannot_follow_is_known_by_its_own_word(fails, monkeypatch):
    behind = stage_of([1.0, 1.1, np.nan, np.nan], [0.0, 0.2, 5.0, 5.0])

    def failing(*_):
        raise PartError("no rows are left")
        yield

    def led(*_):
        return np.ones((4, 2))
        yield

    guide = behind.witnesses[0]
    guide.best = SimpleNamespace(members=(0, 1), lower_bound=1.0)
    guide.model = behind.model
    guide.responsibilities = failing if fails == "guide" else led
    behind.model.begin = lambda resp: resp
    monkeypatch.setattr(_guided, "run_em", failing)
    behind.model.recipe = SimpleNamespace(templates=(None, None), top_k=None, family=Gaussian())
    plan = caught_up(behind, Session(EMRule(50, 0.0), Reporter("", 0, None, None)))
    found = follow_here(plan)
    np.testing.assert_array_equal(found.unseen, [0.0, 0.2, np.nan, np.nan])


@pytest.mark.parametrize("n_rules", [1, 2])
def test_heavy_tails_are_no_experts(n_rules):
    """Laws of several widths make up for tails, until noise is calibrated."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    rule = X @ [1.0, 2.0, -1.0]
    rule = np.where(X[:, 0] > 0, rule, -rule) if n_rules == 2 else rule
    y = rule + 0.5 * rng.laplace(size=500)
    moe = MixtureOfExpertsRegressor(Ridge(), "auto", random_state=0).fit(X, y)
    assert moe.n_experts_ == n_rules
    assert moe.n_experts_path_[moe.n_experts_] == pytest.approx(moe.calibrated_log_prob_)


def test_one_expert_gains_nothing_over_itself():
    moe = auto(max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is said of runs that were dropped
        moe.fit(X1, Y1)
    assert moe.n_experts_ == 1
    assert moe.gain_ == moe.gain_stderr_ == 0.0
    assert moe.heldout_log_prob_ == pytest.approx(moe.n_experts_path_[1])


def test_without_a_verdict_there_is_none_on_one_expert_either():
    moe = auto(verdict=False, max_iter=2).fit(X1[:45], Y1[:45])
    assert moe.n_experts_ == 1
    assert np.isnan([moe.gain_, moe.heldout_log_prob_, moe.calibrated_log_prob_]).all()


def test_a_threshold_limits_the_number():
    assert auto(min_responsibility=0.3, cv=3).fit(*regimes(400, 4)).n_experts_ <= 3


@pytest.mark.parametrize("shape", [(400,), (400, 1), (400, 17)])
def test_a_start_must_be_one_to_begin_from(shape):
    with pytest.raises(ValueError, match="needs 2 to 16 columns"):
        auto(init=np.ones(shape)).fit(X3, Y3)


def test_a_failed_fit_leaves_the_estimator_as_it_was(three):
    before = dict(vars(three))
    with pytest.raises(ValueError, match="NaN"):
        three.fit(np.where(X3 > 2.9, np.nan, X3), Y3)
    assert vars(three) == before


def test_the_better_of_two_stages_of_a_number_is_kept():
    data = four_rows()
    worse, better = (stage_of([np.nan] * 4, [0.0] * 4) for _ in range(2))
    for stage in (worse, better):
        stage.model.recipe = SimpleNamespace(shared=False)
    values = {None: np.zeros(4), worse: np.ones(4), better: np.array([1.1, 1.0, 1.1, 1.0])}
    said = {stage: Scores(each, each) for stage, each in values.items()}
    path = GrowthPath(Baseline("", np.zeros(4), np.zeros(4)), data, [worse, better], said)
    assert path.chosen() is better
    assert path.scores_by_number() == pytest.approx({1: 0.0, 2: 1.05})
