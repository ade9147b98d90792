"""Sparse mixtures: few experts act on a row; shared experts; balance; how experts are used."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, SoftmaxGate
from sklearn_moe._balance import balanced
from sklearn_moe._dispersion import fit_dispersion
from sklearn_moe._routing import ALL_ACT, Slots, clamped, route, route_blocks, truncate
from sklearn_moe._shrinkage import fit_shrinkage
from sklearn_moe.families import Categorical, Gaussian, Laplace, Poisson, StudentT
from sklearn_moe.gates import Gate

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning",
    "ignore:In-sample EM stopped:sklearn.exceptions.ConvergenceWarning",
    "ignore:Experts .* lost their rows:sklearn.exceptions.ConvergenceWarning",
)
RNG = np.random.default_rng(0)
N = 400
X = RNG.uniform(-1, 1, size=(N, 3))
REGION = np.minimum((2 * (X[:, 0] + 1)).astype(int), 3)
SLOPES = np.array([[3.0, 0, 1], [-3.0, 2, 0], [0, -3, 2], [2, 2, -2]])
Y = (X * SLOPES[REGION]).sum(axis=1) + 0.1 * RNG.normal(size=N)
LABELS = np.array(["a", "b", "c"])[np.digitize(Y, [-1.0, 1.0])]
FEW = {"n_experts": 4, "top_k": 2, "cv": 3, "n_init": 1, "verdict": False, "random_state": 0}


def regressor(experts=None, **params):
    return MixtureOfExpertsRegressor(experts, **{**FEW, "max_iter": 15, **params})


def classifier(experts=None, **params):
    return MixtureOfExpertsClassifier(experts, **{**FEW, "max_iter": 15, **params})


# Routing.


def test_route_keeps_the_largest_and_renormalises():
    proba = RNG.dirichlet(np.ones(6), size=50)
    routing = route(np.log(proba), 2, shared=False)
    order = np.argsort(-proba, axis=1)[:, :2]
    np.testing.assert_array_equal(routing.slots.index, order)
    kept = np.take_along_axis(proba, order, axis=1)
    np.testing.assert_allclose(np.exp(routing.log_gate), kept / kept.sum(axis=1, keepdims=True))
    whole = routing.slots.scatter(np.exp(routing.log_gate), 6)
    np.testing.assert_allclose(whole.sum(axis=1), 1.0)
    assert (np.count_nonzero(whole, axis=1) == 2).all()
    part = routing.take(slice(10, 20))
    np.testing.assert_array_equal(part.slots.scatter(np.exp(part.log_gate), 6), whole[10:20])


def test_route_knows_the_rows_of_each_expert():
    routing = route(RNG.normal(size=(60, 5)), 2, shared=True)
    assert routing.slots.index.shape == (60, 3)
    assert (routing.slots.index[:, 2] == 4).all()
    fold = np.arange(0, 60, 3)
    for expert in range(5):
        rows, slots = routing.slots.of_expert(expert)
        mine = np.flatnonzero((routing.slots.index == expert).any(axis=1))
        np.testing.assert_array_equal(np.sort(rows), mine)
        assert (routing.slots.index[rows, slots] == expert).all()
        in_fold, _ = routing.slots.of_expert(expert, fold)
        np.testing.assert_array_equal(in_fold, np.intersect1d(rows, fold))


def test_what_experts_say_one_by_one_is_spread_over_their_slots():
    routing = route(RNG.normal(size=(60, 7)), 3, shared=False)
    said = RNG.normal(size=(60, 7, 2))
    one_by_one = [said[routing.slots.of_expert(expert)[0], expert] for expert in range(7)]
    by_slot = routing.slots.from_experts(np.concatenate(one_by_one))
    np.testing.assert_array_equal(by_slot, routing.slots.gather(said, by_row=True))


def test_dispersions_of_experts_that_act_where_they_are_not_responsible_know_what_rows_weigh():
    routing = route(np.log(np.tile([0.5, 0.3, 0.2], (40, 1))), 1, shared=False)
    target, mean = RNG.normal(size=(40, 1)), np.zeros((40, 1, 1))
    weight = RNG.integers(1, 4, size=40).astype(float)
    elsewhere = weight[:, None] * [0.0, 0.5, 0.5]  # the one that acts has none
    law = fit_dispersion(Gaussian(), target, mean, elsewhere, None, routing.slots)
    np.testing.assert_allclose(law.ravel(), np.average(target[:, 0] ** 2, weights=weight))


def test_an_expert_without_weight_has_the_dispersion_of_all():
    target, mean = RNG.normal(size=(40, 1)), np.zeros((40, 2, 1))
    weights = np.column_stack([RNG.uniform(size=40), np.zeros(40)])
    for family in (Gaussian, StudentT, Laplace):
        law = fit_dispersion(family(), target, mean, weights, None, ALL_ACT)
        assert (law[0] == law[1]).all()
        far = mean + np.array([[0.0], [100.0]])  # of no weight in what all share
        both = fit_dispersion(family(shared=True), target, far, weights, None, ALL_ACT)
        one = fit_dispersion(family(), target, mean[:, :1], weights[:, :1], None, ALL_ACT)
        np.testing.assert_allclose(both, np.repeat(one, 2, axis=0), rtol=1e-6)


def test_a_probability_of_zero_has_a_finite_logarithm():
    assert clamped(np.array([[0.0, -np.inf]]), None).tolist() == [[0.0, -800.0]]


def test_truncated_starts_keep_the_leaders():
    resp = np.array([[0.5, 0.3, 0.15, 0.05], [0.925, 0.025, 0.025, 0.025]])
    kept = truncate(resp, 2, shared=False)
    np.testing.assert_allclose(kept, [[0.625, 0.375, 0, 0], [1, 0, 0, 0]])
    np.testing.assert_array_equal(truncate(resp, None, shared=False), resp)
    beside = np.array([[0.06, 0.04, 0.02, 0.88]])  # the last is shared
    expected = np.array([[0.06, 0.04, 0.0, 0.88]]) / 0.98
    np.testing.assert_allclose(truncate(beside, 2, shared=True), expected)
    assert (np.count_nonzero(truncate(np.full((5, 4), 0.25), 2, shared=False), axis=1) == 2).all()


# The mixture.


def test_so_many_experts_as_there_are_is_a_dense_mixture():
    dense, sparse = regressor(top_k=None).fit(X, Y), regressor(top_k=4).fit(X, Y)
    np.testing.assert_allclose(dense.lower_bounds_, sparse.lower_bounds_, rtol=1e-10)
    np.testing.assert_allclose(dense.predict(X), sparse.predict(X), rtol=1e-10)


@pytest.mark.parametrize("make", [regressor, classifier])
def test_two_experts_act_on_a_row(make):
    y = Y if make is regressor else LABELS
    moe = make().fit(X, y)
    for proba in (moe.gate_proba(X), moe.responsibilities(X, y)):
        assert (np.count_nonzero(proba, axis=1) <= 2).all()
        np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    assert moe.predict_experts(X).shape[:2] == (N, 4)
    alone = Ridge() if make is regressor else LogisticRegression()
    assert moe.score(X, y) > alone.fit(X, y).score(X, y) + 0.05


def test_it_recovers_regions_as_the_dense_one_does():
    Z = np.random.default_rng(1).uniform(-1, 1, size=(500, 3))
    truth = (Z * SLOPES[np.minimum((2 * (Z[:, 0] + 1)).astype(int), 3)]).sum(axis=1)
    sparse = regressor(max_iter=50, n_init=4, verdict=True).fit(X, Y)
    dense = regressor(max_iter=50, n_init=4, verdict=True, top_k=None).fit(X, Y)
    assert sparse.score(Z, truth) > dense.score(Z, truth) - 0.02
    assert sparse.score(Z, truth) > 0.85 > Ridge().fit(X, Y).score(Z, truth) + 0.5
    assert sparse.gain_ > 2 * sparse.gain_stderr_


def test_the_bound_in_sample_is_that_of_the_truncated_gate():
    moe = regressor(cv=None).fit(X, Y)
    bound = moe.log_prob(X, Y).mean() - moe.gate_.penalty() / N
    np.testing.assert_allclose(moe.lower_bound_, bound, rtol=1e-9)


def test_prediction_is_made_of_the_experts_that_act():
    moe = regressor(experts=DecisionTreeRegressor(max_depth=4)).fit(X, Y)
    expected = (moe.gate_proba(X) * moe.predict_experts(X)).sum(axis=1)
    np.testing.assert_allclose(moe.predict(X), expected, atol=1e-12)


class Counting(RegressorMixin, BaseEstimator):
    """Predicts the mean and counts how it is asked."""

    calls: list = []

    def fit(self, X, y, sample_weight=None):
        self.mean_ = np.average(y, weights=sample_weight)
        return self

    def predict(self, X):
        Counting.calls.append(len(X))
        return np.full(len(X), self.mean_)


@pytest.mark.parametrize("top_k", [1, 2, None])
def test_each_expert_is_asked_once_for_its_rows(top_k):
    moe = regressor(Counting(), top_k=top_k, init="kmeans_x").fit(X, Y)
    Counting.calls.clear()
    moe.predict(X)
    assert len(Counting.calls) <= moe.n_experts_
    assert sum(Counting.calls) == N * (top_k or moe.n_experts_)


# Another number of experts, without a fit.


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_truncation_keeps_within_its_bound(top_k):
    gate = SoftmaxGate(alpha=100.0)
    dense = regressor(LinearRegression(), top_k=None, max_iter=3, gate=gate).fit(X, Y)
    sparse = dense.with_top_k(top_k)
    lost, said = sparse.truncated_proba(X), dense.predict_experts(X)
    assert lost.max() > 0.01
    kept = (sparse.gate_proba(X) > 0) * dense.gate_proba(X)
    np.testing.assert_allclose(lost, 1 - kept.sum(axis=1), atol=1e-12)
    change = np.abs(sparse.predict(X) - dense.predict(X))
    assert (change <= lost * np.ptp(said, axis=1) + 1e-12).all()
    assert (sparse.log_prob(X, Y) - dense.log_prob(X, Y) <= -np.log1p(-lost) + 1e-12).all()


def test_truncation_moves_no_class_probability_by_more_than_it_cuts_off():
    dense = classifier(top_k=None, max_iter=3).fit(X, LABELS)
    sparse = dense.with_top_k(1)
    lost = sparse.truncated_proba(X)
    distance = 0.5 * np.abs(sparse.predict_proba(X) - dense.predict_proba(X)).sum(axis=1)
    assert lost.max() > 0.01
    assert (distance <= lost + 1e-12).all()
    assert distance.max() > 0.001


class Remembered(Gate):
    """A gate that keeps what it says."""

    def fit(self, X, proba):
        self.proba, self.log_proba = proba, np.log(np.maximum(proba, 1e-9))
        return self

    def predict_log_proba(self, X):
        return self.log_proba

    def predict_proba(self, X):
        return self.proba


def test_what_a_gate_keeps_is_not_written_to():
    proba = np.tile([0.5, 0.3, 0.2, 0.0], (N, 1))
    moe = regressor(max_iter=2).fit(X, Y)
    moe.gate_ = Remembered().fit(X, proba.copy())
    log_proba = moe.gate_.log_proba.copy()
    for _ in range(2):
        np.testing.assert_allclose(moe.truncated_proba(X), 0.2)
        moe.predict(X)
        moe.responsibilities(X, Y)
    np.testing.assert_array_equal(moe.gate_.proba, proba)
    np.testing.assert_array_equal(moe.gate_.log_proba, log_proba)


def test_experts_beyond_short_numbers_have_their_rows():
    index = np.array([[70_000, 3], [1, 70_000]])
    rows, slots = Slots(index).of_expert(70_000)
    assert (rows.tolist(), slots.tolist()) == ([0, 1], [0, 1])


def test_another_top_k_leaves_the_mixture_as_it_was():
    moe = regressor().fit(X, Y)
    before = moe.predict(X)
    whole = moe.with_top_k(None)
    assert (whole.top_k, whole.top_k_, moe.top_k, moe.top_k_) == (None, None, 2, 2)
    assert whole.experts_ is moe.experts_
    np.testing.assert_array_equal(whole.truncated_proba(X), 0.0)
    np.testing.assert_array_equal(whole.with_top_k(2).predict(X), before)
    np.testing.assert_array_equal(moe.predict(X), before)
    for wrong in (0, 1.5, "2", True):
        with pytest.raises(ValueError, match=f"top_k={wrong!r}"):
            moe.with_top_k(wrong)


def test_a_calibration_does_not_outlive_its_top_k():
    moe = regressor(calibrate="conformal").fit(X, Y)
    assert moe.calibration_ is not None
    other = moe.with_top_k(1)
    assert other.calibration_ is None
    np.testing.assert_allclose(other.predict_interval(X), other.predict_dist(X).interval(0.9))
    assert moe.calibration_ is not None
    assert moe.update_gate(X, Y).calibration_ is None


# With everything else.

SETTINGS = {
    "trees": (DecisionTreeRegressor(max_depth=4), {}),
    "in sample": (None, {"cv": None}),
    "leave one out": (Ridge(), {"cv": "loo"}),
    "out of bag": (RandomForestRegressor(20), {"cv": "oob", "max_iter": 3}),
    "splitter": (None, {"cv": KFold(3, shuffle=True, random_state=0)}),
    "student": (None, {"family": "student_t"}),
    "laplace": (DecisionTreeRegressor(max_depth=3), {"family": "laplace"}),
    "outliers": (None, {"outlier_fraction": 0.1}),
    "spread": (None, {"dispersion_estimator": Ridge()}),
    "conformal": (None, {"calibrate": "conformal"}),
    "pooling": (DecisionTreeRegressor(max_depth=3), {"pooling": 0.1}),
    "shared": (None, {"shared_expert": Ridge()}),
    "shared tree": (DecisionTreeRegressor(max_depth=4), {"shared_expert": Ridge(), "balance": 0.5}),
    "one acts": (DecisionTreeRegressor(max_depth=4), {"top_k": 1}),
    "witnesses": (DecisionTreeRegressor(max_depth=4), {"verdict": True, "max_iter": 3}),
    "tree gate": (None, {"gate": DecisionTreeClassifier(min_samples_leaf=20)}),
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_sparse_with_everything_else(kind):
    expert, params = SETTINGS[kind]
    weight = np.where(np.arange(N) % 7 == 0, 0.0, 1.0 + np.arange(N) % 2)
    moe = regressor(expert, **params).fit(X, Y, sample_weight=weight)
    again = regressor(expert, n_jobs=2, **params).fit(X, Y, sample_weight=weight)
    copy = pickle.loads(pickle.dumps(moe))
    assert np.isfinite(moe.lower_bound_)
    for other in (again, copy):
        np.testing.assert_allclose(other.predict(X), moe.predict(X), rtol=1e-9, atol=1e-9)
    distribution = moe.predict_dist(X)
    n_acting = moe.top_k + (moe.shared_expert is not None) + (moe.outlier_fraction > 0)
    assert distribution.weights.shape == (N, n_acting)
    np.testing.assert_allclose(np.exp(moe.log_prob(X, Y)), distribution.pdf(Y), rtol=1e-8)
    assert np.isfinite(moe.predict_interval(X)).all()
    assert moe.score(X, Y) > 0.6


def test_weights_are_repeats():
    repeats = 1 + np.arange(N) % 3
    rows = np.repeat(np.arange(N), repeats)
    for params in ({}, {"shared_expert": Ridge(), "balance": 0.3}, {"top_k": 1}):
        weighted = regressor(**params).fit(X, Y, sample_weight=repeats)
        repeated = regressor(**params).fit(X[rows], Y[rows])
        np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6, atol=1e-7)


def test_weights_are_repeats_where_an_expert_s_rows_all_lie_in_one_fold():
    """What is fitted to the others in its place knows what they weigh."""
    rng = np.random.default_rng(6)
    Z = rng.normal(size=(80, 3))
    y = np.where(Z[:, 0] > 0, 3, -3) * Z[:, 1] + 0.3 * rng.normal(size=80)
    weight = rng.integers(0, 3, size=80)
    rows = np.repeat(np.arange(80), weight)
    params = {"cv": 3, "max_iter": 5, "verdict": False}
    weighted = regressor(n_experts=6, **params).fit(Z, y, sample_weight=weight)
    repeated = regressor(n_experts=6, **params).fit(Z[rows], y[rows])
    np.testing.assert_allclose(weighted.log_prob(Z, y), repeated.log_prob(Z, y), atol=1e-8)


def test_several_outputs_and_frames():
    frame = pd.DataFrame(X, columns=list("abc")).assign(group=pd.Categorical(REGION.astype(str)))
    tree = DecisionTreeRegressor(max_depth=4)
    both = np.column_stack([Y, X[:, 1] - Y])
    moe = regressor([(f"tree{k}", tree) for k in range(4)]).fit(X, both)
    assert moe.predict(X).shape == (N, 2)
    assert moe.dispersions_.shape == (moe.n_experts_, 2)
    columns = regressor(Counting()).fit(frame, Y)
    assert np.isfinite(columns.predict(frame.iloc[:5])).all()


def test_classes_that_experts_have_not_seen():
    labels = np.where(REGION == 3, "only there", LABELS)
    for expert in (LogisticRegression(), DecisionTreeClassifier(max_depth=4)):
        moe = classifier(expert, init="kmeans_x").fit(X, labels)
        proba = moe.predict_proba(X)
        np.testing.assert_allclose(proba.sum(axis=1), 1.0)
        assert (proba > 0).all()
        hard = moe.set_params(voting="hard").predict_proba(X)
        np.testing.assert_allclose(hard.sum(axis=1), 1.0)
    tempered = classifier(DecisionTreeClassifier(max_depth=4), calibrate="temperature")
    assert tempered.fit(X, labels).temperatures_.shape == (tempered.n_experts_,)


def test_far_away_the_gate_stays_finite():
    moe = regressor().fit(X, Y)
    far = moe.gate_proba(1e6 * X)
    assert np.isfinite(far).all()
    assert np.isfinite(moe.predict(1e6 * X)).all()


@pytest.mark.parametrize("top_k", [None, 2])
def test_a_gate_may_be_certain(top_k):
    moe = regressor(gate=Certain(), init=np.eye(4)[REGION], top_k=top_k).fit(X, Y)
    proba = moe.gate_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_array_equal(proba.argmax(axis=1), REGION)
    assert moe.gate_entropy_ == 0.0
    np.testing.assert_allclose(moe.load_.sum(), top_k or 1)


class Certain(Gate):
    """Knows the regions, and gives all others no probability."""

    def fit(self, X, expert_weights):
        self.n_experts_ = expert_weights.shape[1]
        return self

    def predict_log_proba(self, X):
        region = np.minimum((2 * (X[:, 0] + 1)).astype(int), 3)
        with np.errstate(divide="ignore"):
            return np.log(np.eye(self.n_experts_)[region])


def test_experts_without_rows_have_an_even_spread():
    for seed in range(3):
        params = {"n_experts": 8, "top_k": 1, "dispersion_estimator": Ridge(), "max_iter": 6}
        moe = regressor(**params, random_state=seed).fit(X[:240], Y[:240])
        assert np.isfinite(moe.log_prob(X, Y)).all()


def test_spread_is_learnt_where_experts_act():
    params = {"n_experts": 2, "top_k": 1, "pooling": 0.3, "dispersion_estimator": Ridge()}
    moe = regressor(**params).fit(X, Y)
    assert moe.log_prob(X, Y).mean() > moe.lower_bound_ - 0.3


def test_few_distinct_rows():
    rows = np.repeat(np.arange(4), 3)
    moe = regressor(top_k=1).fit(X[rows], Y[rows])
    assert np.isfinite(moe.predict(X)).all()


# A shared expert.


def test_a_shared_expert_sees_all_rows_and_acts_on_each():
    moe = regressor(DecisionTreeRegressor(max_depth=3), shared_expert=Ridge()).fit(X, Y)
    assert moe.expert_names_[-1] == "shared_expert"
    np.testing.assert_allclose(moe.experts_[-1].coef_, Ridge().fit(X, Y).coef_, rtol=1e-9)
    assert moe.load_[-1] == 1.0
    assert (moe.gate_proba(X)[:, -1] > 0).all()
    assert moe.shrinkage_.shape == (moe.n_experts_,)
    assert moe.shrinkage_[-1] == 0.0
    assert ((moe.shrinkage_ >= 0) & (moe.shrinkage_ <= 1)).all()


def test_experts_lean_on_the_shared_one_in_their_part():
    tree = DecisionTreeRegressor(max_depth=3)
    moe = regressor(tree, shared_expert=Ridge(), lean=False).fit(X, Y)
    said = np.column_stack([expert.predict(X) for expert in moe.experts_])
    part = moe.shrinkage_
    leaning = (1 - part) * said + part * said[:, -1:]
    np.testing.assert_allclose(moe.predict_experts(X), leaning, atol=1e-12)
    np.testing.assert_allclose(
        moe.predict(X), (moe.gate_proba(X) * leaning).sum(axis=1), atol=1e-12
    )


def test_experts_that_know_nothing_lean_wholly_on_the_shared_one():
    lost = [(f"zero{k}", DummyRegressor(strategy="constant", constant=50.0)) for k in range(3)]
    line = X @ [1.0, 2.0, 3.0] + 0.1 * RNG.normal(size=N)
    moe = regressor(lost, shared_expert=LinearRegression(), init="kmeans_x").fit(X, line)
    assert (moe.shrinkage_[:-1] > 0.99).all()
    assert moe.score(X, line) > 0.99


@pytest.mark.parametrize("labelled", [False, True])
def test_the_part_is_the_best_one(labelled):
    rng, weights = np.random.default_rng(2), np.random.default_rng(3).dirichlet(np.ones(4), size=90)
    routing = route(np.log(weights), 2, shared=True)
    if labelled:
        target, mean = rng.integers(3, size=90), rng.dirichlet(np.ones(3), size=(90, 3))
    else:
        target, mean = rng.normal(size=(90, 2)), rng.normal(size=(90, 3, 2))
    family = Categorical(np.ones(3) / 3) if labelled else Gaussian()
    found = fit_shrinkage(target, mean, weights, routing.slots, family)
    grid = np.linspace(0, 1, 2001)
    for expert in range(3):
        rows, slots = routing.slots.of_expert(expert)
        own, shared, weight = mean[rows, slots], mean[rows, -1], weights[rows, expert]
        said = (1 - grid[:, None, None]) * own + grid[:, None, None] * shared
        if labelled:
            loss = -np.log(said[:, np.arange(len(rows)), target[rows]]) @ weight
        else:
            unit = np.average(
                (target - np.average(target, 0, _slots(weights, routing))) ** 2,
                0,
                _slots(weights, routing),
            )
            loss = (((said - target[rows]) ** 2 / unit).sum(axis=2)) @ weight
        assert abs(found[expert] - grid[loss.argmin()]) <= 0.0005
    assert found[3] == 0.0


def test_an_expert_that_thinks_a_class_impossible_leans_as_far_as_its_other_rows_let_it():
    mean = np.array([[[0.0, 1.0], [0.5, 0.5]], [[0.6, 0.4], [0.5, 0.5]]])
    weights = np.full((2, 2), 25.0)
    found = fit_shrinkage(np.array([0, 0]), mean, weights, ALL_ACT, Categorical(np.ones(2) / 2))
    assert found.tolist() == [1.0, 0.0]  # log(part / 2) + log(0.6 - part / 10) rises up to 1
    found = fit_shrinkage(np.array([0, 1]), mean, weights, ALL_ACT, Categorical(np.ones(2) / 2))
    assert found.tolist() == [1.0, 0.0]


def test_an_expert_for_zeros_leans_on_nobody():
    target, half = np.array([[0.0], [0.0], [2.0]]), np.full((3, 2), 0.5)
    mean = np.tile([[0.0], [1.0]], (3, 1, 1))
    law = Poisson().prepared(target, np.ones(3))
    assert fit_shrinkage(target, mean, half, ALL_ACT, law).tolist() == [0.0, 0.0]


def _slots(weights, routing):
    """Weight of each row over the experts that act on it."""
    return np.take_along_axis(weights, routing.slots.index, axis=1).sum(axis=1)


def test_given_responsibilities_are_those_of_the_routed_experts():
    init = np.eye(4)[REGION]
    moe = regressor(shared_expert=Ridge(), init=init, max_iter=5).fit(X, Y)
    assert moe.start_bounds_.keys() == {"array"}
    assert moe.n_experts_ == 5
    again = moe.set_params(warm_start=True).fit(X, Y)
    assert again.start_bounds_.keys() == {"warm"}


def test_a_mixture_may_be_the_shared_expert():
    shared = MixtureOfExpertsRegressor(n_experts=2, cv=None, n_init=1, verdict=False)
    moe = regressor(n_experts=2, shared_expert=shared, max_iter=3).fit(X, Y)
    assert moe.expert_names_ == ["expert0", "expert1", "shared_expert"]
    assert moe.pooling_.tolist() == [0.0, 0.0, 1.0]


def test_a_mixture_that_is_not_worth_it_becomes_one_expert():
    noise = np.random.default_rng(5)
    Z, y = noise.normal(size=(60, 8)), noise.normal(size=60)
    params = {"top_k": 2, "shared_expert": Ridge(), "verdict": True, "max_iter": 5}
    with pytest.warns(UserWarning, match="One expert explains"):
        moe = regressor(LinearRegression(), **params).fit(Z, y)
    assert moe.n_experts_ == 1
    assert moe.predict(Z).shape == (60,)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("top_k", [1, 2, 5])
def test_routing_block_by_block_is_that_of_the_whole_table(top_k, shared):
    scores = np.random.default_rng(top_k).normal(size=(50, 5))
    whole = route(scores, top_k, shared)
    pieces = route_blocks(np.split(scores.copy(), [7, 30]), top_k, shared)
    np.testing.assert_array_equal(pieces.log_gate, whole.log_gate)
    np.testing.assert_array_equal(pieces.slots.index, whole.slots.index)


def test_experts_act_on_the_rows_of_their_slots():
    routing = route(
        np.random.default_rng(0).normal(size=(40, 6)) - 9.0 * np.eye(6)[4], 2, shared=False
    )
    for expert in range(7):  # the last two of whom nobody has heard
        rows, slots = routing.slots.of_expert(expert)
        found, places = np.nonzero(routing.slots.index == expert)
        np.testing.assert_array_equal(np.sort(rows), found)
        np.testing.assert_array_equal(routing.slots.index[rows, slots], expert)
        assert len(slots) == len(places)


# Balance and use.


def test_balance_divides_by_a_power_of_the_shares():
    resp, weight = RNG.dirichlet([5.0, 1.0, 0.2, 1.0], size=80), RNG.uniform(1, 2, size=80)
    found = balanced(resp, weight, 0.5, shared=True)
    share = np.average(resp, axis=0, weights=weight)
    tilted = resp * np.append(share[:3] ** -0.5, (share[:3].sum() / 3) ** -0.5)
    np.testing.assert_allclose(found, tilted / tilted.sum(axis=1, keepdims=True))


def test_an_expert_of_next_to_no_share_is_favoured_as_one_of_a_thousandth():
    resp = np.tile([1 - 1e-9, 1e-9], (5, 1))
    found = balanced(resp, np.ones(5), 1.0, shared=False)
    np.testing.assert_allclose(found[:, 1], 1e-9 * 2 / 1e-3, rtol=1e-3)


def test_balance_gives_idle_experts_rows():
    skewed = X.copy()
    skewed[:, 0] = np.sign(X[:, 0]) * np.abs(X[:, 0]) ** 4
    spread = np.zeros((2, 3))
    for row, balance in zip(spread, (0.0, 2.0), strict=True):
        for seed in range(3):
            params = {"balance": balance, "n_experts": 6, "random_state": seed, "max_iter": 30}
            moe = regressor(**params).fit(skewed, Y)
            load = np.concatenate([moe.load_, np.zeros(6 - moe.n_experts_)])
            row[seed] = load.std() / load.mean()
    assert spread[1].mean() < 0.92 * spread[0].mean()


def test_use_of_the_experts():
    moe = regressor().fit(X, Y)
    proba = moe.gate_proba(X)
    np.testing.assert_allclose(moe.load_, (proba > 0).mean(axis=0))
    np.testing.assert_allclose(moe.load_.sum(), 2.0)
    np.testing.assert_allclose(moe.importance_, proba.mean(axis=0))
    logs = np.log(np.where(proba > 0, proba, 1.0))
    np.testing.assert_allclose(moe.gate_entropy_, -(proba * logs).sum(axis=1).mean())
    entropy = -(moe.importance_ * np.log(moe.importance_)).sum()
    np.testing.assert_allclose(moe.gate_information_, entropy - moe.gate_entropy_)
    np.testing.assert_allclose(regressor(top_k=4).fit(X, Y).load_, 1.0)
    dense = regressor(top_k=None).fit(X, Y)
    np.testing.assert_allclose(dense.load_, np.bincount(dense.apply(X), minlength=4) / N)


def test_noisy_gates_can_be_raced():
    moe = regressor(init="noisy", n_init=3, max_iter=30).fit(X, Y)
    assert set(moe.start_bounds_) == {"noisy", "noisy-2", "noisy-3"}
    assert len(set(moe.start_bounds_.values())) == 3
    assert moe.score(X, Y) > 0.8


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shared", [None, Ridge()], ids=["routed", "shared"])
@pytest.mark.parametrize("n_columns", [3, 12])
def test_who_acts_is_found_whatever_the_memory_looks_like(order, shared, n_columns):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, n_columns))
    y = np.abs(X).sum(axis=1)
    model = MixtureOfExpertsRegressor(
        Ridge(), 6, top_k=2, shared_expert=shared, cv=None, n_init=1, init="kmeans_x",
        max_iter=3, tol=1e9, verdict=False, random_state=0,
    ).fit(X, y)  # fmt: skip
    proba = model.gate_proba(np.asarray(X, order=order))
    scores = model.gate_.predict_log_proba(X)
    wanted = np.sort(np.argsort(scores[:, :6], axis=1)[:, -2:], axis=1)
    acting = np.nonzero(proba[:, :6])[1].reshape(-1, 2)
    np.testing.assert_array_equal(acting, wanted)
