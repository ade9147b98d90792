"""Class probabilities that lean on those of one expert of all rows."""

import pickle
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

from sklearn_moe import MixtureOfExpertsClassifier, _forecasts
from sklearn_moe._ensembles import EnsembleClassifier
from sklearn_moe._forecasts import Forecast
from sklearn_moe._noise import Noise
from sklearn_moe.families import Categorical
from sklearn_moe.leaning import UPRIGHT, LeaningLabels, find_leaning

TREE = DecisionTreeClassifier(min_samples_leaf=5)
QUICK = {"init": "principal", "n_init": 1, "max_iter": 4, "cv": 3, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:EM did not settle")

CLASSES = np.array(["bad", "fair", "good"])
PRIOR = np.full(3, 1 / 3)


def two_rules(n_rows=240, seed=0):
    """Labels of three classes by two rules that have much in common."""
    rng = np.random.default_rng(seed)
    table = rng.uniform(-1, 1, size=(n_rows, 4))
    rule = np.where(table[:, 0] > 0, table[:, 1], -table[:, 2]) + 2 * table[:, 3]
    return table, CLASSES[np.digitize(rule + 0.3 * rng.normal(size=n_rows), [-0.8, 0.8])]


X, Y = two_rules()
FRAME = pd.DataFrame(X, columns=["a", "b", "c", "d"])
WEIGHT = 1.0 + np.arange(len(X)) % 2


def forecast(own, other, n_rows=3000):
    """Two experts of half of the rows each, and one of all, whose logits are off by so much."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(n_rows, 3))
    target = (softmax(logits, axis=1).cumsum(axis=1) < rng.uniform(size=(n_rows, 1))).sum(axis=1)
    mean = softmax(logits[:, None] + own * rng.normal(size=(n_rows, 2, 3)), axis=2)
    one = softmax(logits + other * rng.normal(size=(n_rows, 3)), axis=1)
    rows, log_gate = np.arange(n_rows), np.log(np.where(np.eye(2)[np.arange(n_rows) % 2], 1, 1e-9))
    weight, law = np.ones(n_rows), np.full(2, 1e-6)
    return Forecast(rows, target, weight, rows, log_gate, mean, law), one


def powers(told, one, family=None):
    """The powers that are found, of an expert and of the one of all rows."""
    found = find_leaning(Noise(family or Categorical(PRIOR)), [told], one)
    return UPRIGHT if found is None else found.powers


def test_equals_in_error_are_averaged():
    own, other = powers(*forecast(own=1.0, other=1.0))
    assert own == pytest.approx(other, abs=0.1)
    # Two errors are less than either, so the average may be surer than each has a right to be.
    assert 0.6 < own + other < 1.0


def test_the_one_that_knows_is_listened_to():
    own, other = powers(*forecast(own=0.0, other=2.0))
    assert own == pytest.approx(1, abs=0.1)
    assert other <= 0.1
    own, other = powers(*forecast(own=2.0, other=0.0))
    assert other == pytest.approx(1, abs=0.1)
    assert own <= 0.1


def test_powers_are_the_most_likely_ones():
    told, one = forecast(own=0.7, other=1.2)
    found = find_leaning(Noise(Categorical(PRIOR)), [told], one)

    def height(own, other):
        leant = replace(found, powers=(own, other)).leaned_forecast(told, one)
        return leant.log_density(Noise(found.family)).mean()

    own, other = found.powers
    for step in (-0.05, 0.05):
        assert height(own + step, other) < height(own, other)
        assert height(own, other + step) < height(own, other)


def test_weights_equal_repeats():
    told, one = forecast(own=1.0, other=1.0, n_rows=400)
    times = np.arange(400) // 2 % 3
    rows = np.repeat(np.arange(400), times)
    weighted = replace(told, weight=times.astype(float))
    parts = (told.rows, told.target, told.weight, told.clusters, told.log_gate, told.mean)
    repeated = Forecast(*(part[rows] for part in parts), told.law)
    noise = Noise(Categorical(PRIOR))
    by_weight, by_repeats = (find_leaning(noise, [each], one) for each in (weighted, repeated))
    assert by_weight.powers == by_repeats.powers != UPRIGHT
    assert by_weight.smoothing == pytest.approx(by_repeats.smoothing)


def test_the_one_of_all_rows_is_smoothed_as_its_record_asks_for():
    told, one = forecast(own=1.0, other=1.0)
    sure = np.eye(3)[one.argmax(axis=1)]  # wrong votes are impossible without
    found = find_leaning(Noise(Categorical(PRIOR)), [told], sure)
    expected = Categorical(PRIOR).fit_dispersion(told.target, sure[:, None], np.ones((3000, 1)))
    assert found.smoothing == pytest.approx(expected[0])
    assert np.isfinite(found.leaned_forecast(told, sure).log_density(Noise(found.family))).all()


@pytest.fixture(scope="module")
def mixture():
    return MixtureOfExpertsClassifier(TREE, **QUICK).fit(X, Y)


def upright(moe, table):
    """What the experts say by themselves, (n, K, C), smoothed."""
    said = []
    for expert in moe.experts_:
        known = np.searchsorted(moe.classes_, expert.classes_)
        said.append(np.zeros((len(table), len(moe.classes_))))
        said[-1][:, known] = expert.predict_proba(table)
    said = np.stack(said, axis=1)
    if moe.shrinkage_ is not None:
        said += moe.shrinkage_[:, None] * (said[:, -1:] - said)
    if moe.temperatures_ is not None:
        said = np.maximum(said, 1e-12) ** (1 / moe.temperatures_[:, None])
        said /= said.sum(axis=2, keepdims=True)
    share = moe.dispersions_[:, None]
    return (1 - share) * said + share * moe.class_prior_


def by_hand(moe, table):
    """Products of powers, made to sum to one."""
    share, (own, other) = moe.baseline_dispersion_, moe.lean_powers_
    one = (1 - share) * moe.baseline_.predict_proba(table) + share * moe.class_prior_
    product = upright(moe, table) ** own * one[:, None] ** other
    return product / product.sum(axis=2, keepdims=True)


def test_probabilities_are_products_of_powers(mixture):
    said = by_hand(mixture, X)
    np.testing.assert_allclose(mixture.predict_experts(X), said, rtol=1e-9)
    expected = np.einsum("nk,nkc->nc", mixture.gate_proba(X), said)
    np.testing.assert_allclose(mixture.predict_proba(X), expected, rtol=1e-9)
    np.testing.assert_allclose(expected.sum(axis=1), 1)
    codes = np.searchsorted(CLASSES, Y)
    expected = np.log(expected[np.arange(len(X)), codes])
    np.testing.assert_allclose(mixture.log_prob(X, Y), expected, rtol=1e-9)


def test_new_rows_are_explained_better():
    """A mixture that does not lean is the same, but for its experts: see the test below."""
    table, digits = load_digits(n_class=4, return_X_y=True)
    train, new = np.arange(300), np.arange(300, len(digits))
    moe = MixtureOfExpertsClassifier(TREE, **QUICK).fit(table[train], digits[train])
    stands = np.einsum("nk,nkc->nc", moe.gate_proba(table[new]), upright(moe, table[new]))
    losses = [log_loss(digits[new], said) for said in (moe.predict_proba(table[new]), stands)]
    assert losses[0] < 0.9 * losses[1]


def test_em_knows_nothing_of_it(mixture):
    other = MixtureOfExpertsClassifier(TREE, lean=False, **QUICK).fit(X, Y)
    assert other.baseline_ is None
    assert other.baseline_dispersion_ == 0.0
    assert other.lean_powers_ == UPRIGHT
    for name in ("lower_bounds_", "heldout_log_prob_", "n_iter_"):
        assert getattr(other, name) == getattr(mixture, name)
    assert mixture.gain_ > other.gain_  # it is that of what is kept
    np.testing.assert_array_equal(other.gate_proba(X), mixture.gate_proba(X))
    expected = np.einsum("nk,nkc->nc", mixture.gate_proba(X), upright(mixture, X))
    np.testing.assert_allclose(other.predict_proba(X), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "params",
    [
        {"lean": False},
        {"verdict": False},
        {"n_experts": 1},
        {"experts": None},
        {"experts": [("logistic", LogisticRegression()), ("tree", TREE)]},
    ],
)
def test_where_experts_do_not_lean(params):
    moe = MixtureOfExpertsClassifier(**({"experts": TREE} | QUICK | params)).fit(X, Y)
    assert moe.baseline_ is None
    assert moe.lean_powers_ == UPRIGHT


def test_experts_with_coefficients_lean_if_told_to():
    moe = MixtureOfExpertsClassifier(LogisticRegression(C=100), lean=True, **QUICK).fit(X, Y)
    alone = LogisticRegression(C=100).fit(X, Y)
    np.testing.assert_allclose(moe.baseline_.coef_, alone.coef_, rtol=1e-3)
    np.testing.assert_allclose(moe.predict_experts(X), by_hand(moe, X), rtol=1e-9)
    before = deepcopy(moe)
    before.baseline_ = None
    several = moe.information_criteria(X, Y).n_parameters
    # Five coefficients for each of three classes, of which one is free; two powers and a share.
    assert several == before.information_criteria(X, Y).n_parameters + 10 + 3


@pytest.mark.parametrize("params", [{"cv": None}, {"verdict": False}])
def test_what_cannot_be_is_refused(params):
    with pytest.raises(ValueError, match="lean=True needs witnesses; got cv="):
        MixtureOfExpertsClassifier(TREE, lean=True, **params).fit(X, Y)


def test_branches_lean_as_the_whole_does():
    branch = MixtureOfExpertsClassifier(TREE, lean=False)
    with pytest.raises(ValueError, match="has lean=False"):
        MixtureOfExpertsClassifier([("branch", branch), ("tree", TREE)]).fit(X, Y)


BRANCH = MixtureOfExpertsClassifier(TREE, n_experts=2)
SETTINGS = {
    "plain": {},
    "ensemble": {"ensemble": True},
    "tempered": {"calibrate": "temperature"},
    "sparse": {"n_experts": 3, "top_k": 2},
    "oob": {
        "experts": RandomForestClassifier(16, max_depth=4, random_state=0),
        "cv": "oob",
        "max_iter": 2,
    },
    "shared": {"shared_expert": DecisionTreeClassifier(max_depth=3)},
    "auto": {"n_experts": "auto", "max_iter": 1},
    "gate": {"gate": "auto", "max_iter": 2},
    "tree": {"experts": [("branch", BRANCH), ("leaf", TREE)]},
    "kinds": {"experts": [("stump", DecisionTreeClassifier(max_depth=1)), ("tree", TREE)]},
    "boosting": {"experts": HistGradientBoostingClassifier(max_iter=5), "max_iter": 2},
}


@cache
def fitted(setting):
    """A mixture of a setting, and how it was made."""
    options = {"experts": TREE} | QUICK | SETTINGS[setting]
    return MixtureOfExpertsClassifier(**options).fit(FRAME, Y, WEIGHT), options


@pytest.mark.parametrize("setting", SETTINGS)
def test_goes_with_all_else(setting):
    moe, options = fitted(setting)
    moe = deepcopy(moe)
    assert moe.baseline_ is not None
    np.testing.assert_allclose(moe.predict_experts(FRAME), by_hand(moe, FRAME), rtol=1e-6)
    is_ensemble = setting == "ensemble"
    assert isinstance(moe.baseline_, EnsembleClassifier) == is_ensemble
    one = moe.baseline_.estimator if is_ensemble else moe.baseline_
    again = clone(one).fit(FRAME, Y, sample_weight=WEIGHT)
    np.testing.assert_array_equal(one.predict_proba(FRAME), again.predict_proba(FRAME))
    proba = moe.predict_proba(FRAME)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    own = proba[np.arange(len(Y)), np.searchsorted(CLASSES, Y)]
    np.testing.assert_allclose(moe.log_prob(FRAME, Y), np.log(own), rtol=1e-9)
    np.testing.assert_allclose(moe.responsibilities(FRAME, Y).sum(axis=1), 1)
    other = MixtureOfExpertsClassifier(n_jobs=2, **options).fit(FRAME, Y, WEIGHT)
    again = pickle.loads(pickle.dumps(other))
    np.testing.assert_allclose(again.predict_proba(FRAME), proba, rtol=1e-9)
    moe.update_gate(FRAME, Y)
    assert np.isfinite(moe.log_prob(FRAME, Y)).all()


def test_all_experts_act_without_top_k():
    sparse = fitted("sparse")[0]
    dense = sparse.with_top_k(None)
    expected = np.einsum("nk,nkc->nc", dense.gate_proba(FRAME), by_hand(sparse, FRAME))
    np.testing.assert_allclose(dense.predict_proba(FRAME), expected, rtol=1e-9)


@pytest.mark.parametrize("params", [{"top_k": 2, "n_experts": 3}, {"calibrate": "temperature"}])
def test_of_many_rows_some_are_asked(params, monkeypatch):
    """With `top_k` the law has a row for each row, of which the same are taken."""
    monkeypatch.setattr(_forecasts, "FORECAST_ROWS", 60)
    moe = MixtureOfExpertsClassifier(TREE, **QUICK | params).fit(X, Y)
    assert moe.baseline_ is not None
    np.testing.assert_allclose(moe.predict_experts(X), by_hand(moe, X), rtol=1e-6)


def test_groups_are_independent_of_each_other_alone():
    """What few rows are told beforehand weighs more where there are few groups."""
    told, one = forecast(own=0.3, other=2.0, n_rows=200)
    grouped = replace(told, clusters=np.arange(200) // 40)
    far, near = powers(told, one), powers(grouped, one)
    assert abs(near[0] - 0.5) + abs(near[1] - 0.5) < abs(far[0] - 0.5) + abs(far[1] - 0.5)


def test_votes_are_those_of_experts_that_lean(mixture):
    hard = deepcopy(mixture).set_params(voting="hard")
    votes = np.eye(3)[by_hand(mixture, X).argmax(axis=2)]
    expected = np.einsum("nk,nkc->nc", mixture.gate_proba(X), votes)
    np.testing.assert_allclose(hard.predict_proba(X), expected, rtol=1e-9)


def test_experts_that_only_vote_lean_too():
    moe = MixtureOfExpertsClassifier(RidgeClassifier(), lean=True, **QUICK).fit(X, Y)
    assert moe.baseline_dispersion_ > 0.1
    votes = np.eye(3)[np.searchsorted(CLASSES, moe.baseline_.predict(X))]
    share, other = moe.baseline_dispersion_, moe.lean_powers_[1]
    one = ((1 - share) * votes + share * moe.class_prior_) ** other
    before = deepcopy(moe)
    before.baseline_ = None
    own = before._family.adjust(before.predict_experts(X), before.dispersions_)
    product = own ** moe.lean_powers_[0] * one[:, None]
    expected = product / product.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(moe.predict_experts(X), expected, rtol=1e-9)


def test_a_class_that_some_folds_have_not_seen():
    rare = np.array(Y, dtype=object)
    rare[:2] = "never"
    moe = MixtureOfExpertsClassifier(TREE, **QUICK).fit(X, rare)
    assert moe.baseline_ is not None
    assert (moe.predict_proba(X) > 0).all()


def test_powers_of_one_and_none_change_nothing(mixture):
    family = Categorical(mixture.class_prior_)
    said, law = upright(mixture, X), np.zeros(2)
    leant, _ = LeaningLabels(None, family, UPRIGHT, 0.1).leaned(said, law, np.full((240, 3), 1 / 3))
    np.testing.assert_allclose(leant, said, rtol=1e-12)
