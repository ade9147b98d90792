"""Mixtures of mixtures, fitted as one model; gates that follow shifting data."""

import copy

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_moe import (
    ConstantGate,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SoftmaxGate,
)
from sklearn_moe.families import Laplace, StudentT
from sklearn_moe.gates import HierarchicalGate

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning",
    "ignore:Experts .* lost their rows:sklearn.exceptions.ConvergenceWarning",
)
RNG = np.random.default_rng(0)
N = 500
X = RNG.uniform(-1, 1, size=(N, 3))
RIGHT = X[:, 0] > 0
BRANCH = 2 * RIGHT + (np.where(RIGHT, X[:, 1], X[:, 2]) > 0)
SLOPES = np.array([[3.0, 1, 0], [-2.0, 0, 2], [0, 3, -2], [1, -3, 1]])
Y = (X * SLOPES[BRANCH]).sum(axis=1) + 0.1 * RNG.normal(size=N)
LABELS = np.where(Y > 0, "up", "down")
FEW = {"cv": 3, "n_init": 1, "max_iter": 10, "verdict": False, "random_state": 0}


def regressor(experts=None, n_experts=2, **params):
    return MixtureOfExpertsRegressor(experts, n_experts, **{**FEW, **params})


def classifier(experts=None, n_experts=2, **params):
    return MixtureOfExpertsClassifier(experts, n_experts, **{**FEW, **params})


def inner(expert=None, n_experts=2, **params):
    return MixtureOfExpertsRegressor(expert, n_experts, **params)


@pytest.mark.parametrize("top_k", [None, 2])
def test_a_mixture_of_mixtures_is_the_flat_one_with_their_gates(top_k):
    nested = regressor(inner(Ridge(2.0)), top_k=top_k).fit(X, Y)
    flat = regressor(Ridge(2.0), 4, gate=HierarchicalGate([2, 2]), top_k=top_k).fit(X, Y)
    assert nested.lower_bounds_ == flat.lower_bounds_
    np.testing.assert_array_equal(nested.predict(X), flat.predict(X))
    assert nested.expert_names_ == [f"expert{i}/expert{j}" for i in range(2) for j in range(2)]


def test_without_a_look_a_hierarchy_is_flat():
    """Proportions of proportions are proportions, whatever the tree."""
    start = RNG.dirichlet(np.ones(4), size=N)
    nested = regressor(inner(gate=ConstantGate()), gate=ConstantGate(), init=start).fit(X, Y)
    flat = regressor(n_experts=4, gate=ConstantGate(), init=start).fit(X, Y)
    np.testing.assert_allclose(nested.lower_bounds_, flat.lower_bounds_, rtol=1e-10)
    np.testing.assert_allclose(nested.predict(X), flat.predict(X), rtol=1e-8)


def test_a_branch_answers_with_its_whole_density():
    moe = regressor(inner()).fit(X, Y)
    top, resp = np.exp(moe.gate_.top_.predict_log_proba(X)), moe.responsibilities(X, Y)
    said = np.exp(-0.5 * (Y[:, None] - moe.predict_experts(X)) ** 2 / moe.dispersions_)
    said /= np.sqrt(2 * np.pi * moe.dispersions_)
    within = [np.exp(gate.predict_log_proba(X)) for gate in moe.gate_.within_]
    density = [(within[b] * said[:, 2 * b : 2 * b + 2]).sum(axis=1) for b in range(2)]
    joint = top * np.column_stack(density)
    by_branch = np.column_stack([resp[:, :2].sum(axis=1), resp[:, 2:].sum(axis=1)])
    np.testing.assert_allclose(by_branch, joint / joint.sum(axis=1, keepdims=True), rtol=1e-9)
    np.testing.assert_allclose(moe.log_prob(X, Y), np.log(joint.sum(axis=1)), rtol=1e-9)


def test_in_sample_a_hierarchy_never_falls():
    moe = regressor(inner(LinearRegression()), cv=None, max_iter=40, tol=1e-6).fit(X, Y)
    assert min(np.diff(moe.lower_bounds_)) > -1e-9
    assert len(moe.lower_bounds_) > 5


def test_uneven_trees_of_any_depth():
    deep = inner([("pair", inner()), ("tree", DecisionTreeRegressor(max_depth=3))])
    moe = regressor([("deep", deep), ("line", Ridge())]).fit(X, Y)
    assert moe.expert_names_ == ["deep/pair/expert0", "deep/pair/expert1", "deep/tree", "line"]
    assert moe.gate_.groups == [3, 1]
    assert moe.gate_.within_[0].groups == [2, 1]
    np.testing.assert_allclose(moe.gate_proba(X).sum(axis=1), 1.0)
    assert moe.score(X, Y) > Ridge().fit(X, Y).score(X, Y)


def test_branches_have_their_own_gates():
    moe = regressor(
        [("a", inner(gate=DecisionTreeClassifier(min_samples_leaf=20))), ("b", inner())],
        gate=make_pipeline(StandardScaler(), LogisticRegression()),
    ).fit(X, Y)
    kinds = [type(gate).__name__ for gate in (moe.gate_.top_, *moe.gate_.within_)]
    assert kinds == ["ClassifierGate", "ClassifierGate", "SoftmaxGate"]


def test_classifiers_nest_with_weights_and_workers():
    weight = 1 + np.arange(N) % 3
    branch = MixtureOfExpertsClassifier(LogisticRegression(), 2)
    moe = classifier(branch).fit(X, LABELS, sample_weight=weight)
    again = clone(moe).set_params(n_jobs=2).fit(X, LABELS, sample_weight=weight)
    np.testing.assert_allclose(moe.predict_proba(X), again.predict_proba(X), rtol=1e-12)
    rows = np.repeat(np.arange(N), weight)
    repeated = clone(moe).fit(X[rows], LABELS[rows])
    np.testing.assert_allclose(moe.predict_proba(X), repeated.predict_proba(X), atol=1e-6)


# The penalty of ridge experts may stop EM in sample, and has no part in this.
@pytest.mark.filterwarnings("ignore:In-sample EM stopped rising")
def test_a_lost_expert_leaves_its_branch():
    rng = np.random.default_rng(3)
    near = np.column_stack([np.where(rng.uniform(size=N) < 0.5, 1.0, -1.0)])
    line = near[:, 0] + 0.01 * rng.normal(size=N)
    moe = regressor(inner(n_experts=4), n_experts=2, cv=None, max_iter=60, init="random")
    moe.fit(near, line)
    assert moe.n_experts_ < 8
    assert sum(moe.gate_.groups) == moe.n_experts_
    np.testing.assert_allclose(moe.gate_proba(near).sum(axis=1), 1.0)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"family": "laplace"}, r"'branch'.*family='laplace'"),
        ({"top_k": 1}, "top_k=1"),
        ({"n_experts": 0}, "n_experts"),
    ],
)
def test_a_branch_that_asks_for_another_model_is_refused(params, reason):
    with pytest.raises(ValueError, match=reason):
        regressor([("branch", inner(**params)), ("line", Ridge())]).fit(X, Y)
    both = regressor([("branch", inner(family="laplace")), ("line", Ridge())], family="laplace")
    assert both.fit(X, Y).n_experts_ == 3


class Listener(Ridge):
    """Notes the metadata that it was given."""

    def fit(self, X, y, sample_weight=None, shade=None):
        self.shade_, self.rows_ = shade, len(X)
        return super().fit(X, y, sample_weight=sample_weight)


def test_metadata_reach_the_leaves():
    with config_context(enable_metadata_routing=True):
        asks = Listener().set_fit_request(shade=True, sample_weight=True)
        deaf = Listener().set_fit_request(shade=False, sample_weight=True)
        moe = regressor([("pair", inner([("asks", asks), ("deaf", deaf)])), ("line", Ridge())])
        moe.fit(X, Y, shade=np.arange(N))
    seen = moe.experts_[0]
    assert len(seen.shade_) == seen.rows_ > 50
    assert (np.diff(seen.shade_) > 0).all()
    assert moe.experts_[1].shade_ is None


@pytest.mark.parametrize("nested", [True, False])
def test_a_hierarchy_that_is_not_worth_it_becomes_one_expert(nested):
    noise = np.random.default_rng(5)
    Z, y = noise.normal(size=(60, 8)), noise.normal(size=60)
    moe = regressor(LinearRegression(), 4, gate=HierarchicalGate([2, 2]), verdict=True)
    if nested:
        moe = regressor(inner(LinearRegression()), verdict=True)
    with pytest.warns(UserWarning, match="One expert explains"):
        moe.fit(Z, y)
    assert moe.n_experts_ == 1
    assert moe.predict(Z).shape == (60,)


def test_clones_are_known_by_their_content():
    one = Ridge(2.0)
    same = [(f"e{k}", one) for k in range(4)]
    moe = regressor(same, gate=HierarchicalGate([2, 2])).fit(X, Y)
    assert clone(moe).fit(X, Y).lower_bounds_ == moe.lower_bounds_
    nested, given = regressor(inner()).fit(X, Y), regressor(inner(Ridge(tol=1e-10))).fit(X, Y)
    assert nested.lower_bounds_ == given.lower_bounds_


def test_names_must_differ_once_unfolded():
    with pytest.raises(ValueError, match="a/expert0"):
        regressor([("a/expert0", Ridge()), ("a", inner())]).fit(X, Y)


def test_a_branch_has_no_shared_expert():
    with pytest.raises(ValueError, match="shared_expert"):
        regressor([("a", inner(shared_expert=Ridge())), ("b", Ridge())]).fit(X, Y)


# Shifting data.


def shifted(border, seed):
    """Rows of two rules, whose border has moved."""
    rng = np.random.default_rng(seed)
    Z = rng.uniform(-1, 1, size=(N, 3))
    y = np.where(Z[:, 0] > border, 3.0, -3.0) * Z[:, 1] + 0.1 * rng.normal(size=N)
    return Z, y


@pytest.mark.parametrize("gate", [None, DecisionTreeClassifier(min_samples_leaf=20)])
@pytest.mark.parametrize("top_k", [None, 1])
def test_the_gate_follows_a_border_that_moves(gate, top_k):
    moe = regressor(gate=gate, max_iter=50, n_init=4).fit(*shifted(-0.5, seed=0))
    moe = moe.with_top_k(top_k)
    experts, later = moe.experts_, shifted(0.5, seed=1)
    before = moe.log_prob(*later).mean()
    assert moe.update_gate(*shifted(0.5, seed=2)) is moe
    assert moe.log_prob(*later).mean() > before + 0.5
    assert moe.experts_ is experts
    assert moe.score(*later) > 0.9


def test_the_update_is_em_for_the_gate():
    moe = regressor(max_iter=50).fit(*shifted(0.0, seed=0))
    new = shifted(0.4, seed=3)
    loose, one = copy.deepcopy(moe).update_gate(*new, tol=1e9), copy.deepcopy(moe)
    bounds = []
    for _ in range(6):
        bounds.append(moe.log_prob(*new).sum() - moe.gate_.penalty())
        moe.update_gate(*new, max_iter=1)
    assert min(np.diff(bounds)) > -1e-6
    assert bounds[-1] > bounds[0] + 10
    one.update_gate(*new, max_iter=1)
    np.testing.assert_array_equal(loose.gate_.coef_, one.gate_.coef_)


def test_the_update_counts_weights_and_refuses_what_it_cannot_use():
    first, new = shifted(0.0, seed=0), shifted(0.4, seed=3)
    weight = 1 + np.arange(N) % 2
    rows = np.repeat(np.arange(N), weight)
    weighted = regressor().fit(*first).update_gate(*new, sample_weight=weight)
    repeated = regressor().fit(*first).update_gate(new[0][rows], new[1][rows])
    np.testing.assert_allclose(weighted.gate_.coef_, repeated.gate_.coef_, rtol=1e-5, atol=1e-6)
    gate = weighted.gate_
    with pytest.raises(ValueError, match="features"):
        weighted.update_gate(new[0][:, :2], new[1])
    with pytest.raises(ValueError, match="y holds NaN"):
        weighted.update_gate(new[0], np.where(np.arange(N) == 3, np.nan, new[1]))
    with pytest.raises(ValueError, match="without a finite log density"):
        weighted.update_gate(new[0], 1e200 * new[1])
    wanted = {"max_iter": "a whole number, at least 1", "tol": "a number, at least 0"}
    for name, value in [("max_iter", 0), ("max_iter", 0.5), ("tol", -1.0), ("tol", np.nan)]:
        with pytest.raises(ValueError, match=f"{name}=.* should be {wanted[name]}"):
            weighted.update_gate(*new, **{name: value})
    assert weighted.gate_ is gate


@pytest.mark.parametrize("gate", [KNeighborsRegressor(15), DecisionTreeClassifier(max_depth=3)])
def test_an_update_never_makes_the_new_rows_less_likely(gate):
    moe = regressor(n_experts=3, gate=gate).fit(*shifted(0.0, seed=0))
    for seed in range(4):
        Z, y = shifted(0.0, seed=seed + 10)
        before = moe.log_prob(Z[:60], y[:60]).mean()
        moved = copy.deepcopy(moe).update_gate(Z[:60], y[:60])
        assert moved.log_prob(Z[:60], y[:60]).mean() >= before


def test_use_is_told_of_the_new_rows():
    moe = regressor().fit(*shifted(-0.5, seed=0))
    new = shifted(0.5, seed=1)
    moe.update_gate(*new)
    np.testing.assert_allclose(moe.importance_, moe.gate_proba(new[0]).mean(axis=0))


@pytest.mark.parametrize("build", [regressor, classifier])
def test_frozen_mixture_is_an_expert_like_any_other(build):
    y = Y if build is regressor else LABELS
    old = build().fit(X[:250], y[:250])
    new = Ridge() if build is regressor else LogisticRegression()
    mixture = build([("old", FrozenEstimator(old)), ("new", new)]).fit(X[250:], y[250:])
    said = mixture.predict_experts(X)[:, 0]
    expected = old.predict(X) if build is regressor else old.predict_proba(X)
    np.testing.assert_allclose(said, expected, rtol=1e-12)


def test_a_law_has_the_same_name_in_the_whole_and_in_a_branch():
    branch = inner(Ridge(), family=StudentT())
    moe = regressor(branch, family="student_t").fit(X, Y)
    assert moe.n_experts_ == 4
    with pytest.raises(ValueError, match="has family=Laplace"):
        regressor(inner(Ridge(), family=Laplace()), family="student_t").fit(X, Y)


@pytest.mark.parametrize("seed", [4, 7])
def test_gates_without_penalty_are_silent_on_few_rows(seed):
    """Their steps may lead beyond all numbers before they are shortened."""
    rng, gate = np.random.default_rng(seed), SoftmaxGate(alpha=0.0)
    rows, y = rng.normal(size=(12, 3)), rng.normal(size=12)
    moe = regressor(inner(Ridge(), gate=gate), gate=gate, top_k=2, n_init=2)
    proba = moe.set_params(cv=2, max_iter=100, random_state=seed).fit(rows, y).gate_proba(rows)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
