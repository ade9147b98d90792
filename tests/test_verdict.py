"""Witnesses: they never see the rows they score, and the iteration they praise is the one kept."""

import pickle
import warnings
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_moe import (
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    _experts,
    _fitting,
    _verdict,
)
from sklearn_moe._first_starts import Start
from sklearn_moe._mixture import MixtureModel
from sklearn_moe._numeric import mean_and_stderr
from sklearn_moe._plans import follow_here
from sklearn_moe._recalibration import Scores
from sklearn_moe._verdict import LED_PATIENCE, Stage, Verdict, judge, unseen_best
from sklearn_moe._witnesses import HeldOut, Witness

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3))
Y = np.where(X[:, 0] > 0, 3, -3) * X[:, 1] + 0.3 * RNG.normal(size=300)
FOLDS = KFold(3, shuffle=True, random_state=0)
HALVES = np.eye(2)[(X[:, 0] > 0).astype(int)]
# Warm starts, and the `init` that they take the place of.
WARM = {
    "warm": "auto",
    "warm for an array": HALVES,
    "warm for a short array": HALVES[:9],
    "warm for a function": lambda X, y, n_experts, seed: HALVES,
}


def witness_of_first_fold(y, expert, start, monkeypatch):
    """The witness that a fit to `y` would give its first fold.

    If `start` is a warm one, there has been such a fit before.
    """
    caught = {}

    def keep(training, recipe, starts, *rest):
        caught.update(training=training, recipe=recipe, start=starts[0])
        raise InterruptedError

    moe = MixtureOfExpertsRegressor(expert, n_experts=2, cv=FOLDS, random_state=0, warm_start=True)
    if start in WARM:
        # Which start wins is the only thing that a witness takes from the fit: there is but one.
        moe.set_params(verdict=False, init="ladder", n_init=1).fit(X, y)
        moe.set_params(verdict=True, init=WARM[start])
    with monkeypatch.context() as patch:
        patch.setattr("sklearn_moe._base.run_fit", keep)
        with pytest.raises(InterruptedError):
            moe.fit(X, y)
    training = caught["training"]
    witness = Witness(caught["recipe"], training.data, training.splits, 0)
    is_warm = caught["start"].name == "warm"
    follow_here(witness.begin(caught["start"] if is_warm else Start(start)))
    assert is_warm == (start in WARM)
    return witness


@pytest.mark.parametrize("start", ["ladder", "residual", "kmeans_xy", "tree", "random", *WARM])
@pytest.mark.parametrize("expert", [Ridge(), DecisionTreeRegressor(max_depth=4)], ids=str)
def test_witness_never_saw_the_rows_it_scores(expert, start, monkeypatch):
    unseen = next(FOLDS.split(X))[1]
    changed = Y.copy()
    changed[unseen] = RNG.permutation(Y[unseen])
    said = []
    for y in (Y, changed):
        witness = witness_of_first_fold(y, expert, start, monkeypatch)
        witness.target = Y[unseen][:, None]
        said.append([follow_here(witness.advance()) for _ in range(3)])
    np.testing.assert_array_equal(*said)


@pytest.mark.parametrize(
    ("first", "then", "begin"), [("tree", "auto", "tree"), ("tree", "kmeans_x", "kmeans_x")]
)
def test_witnesses_of_a_warm_start_begin_as_its_first_fit_did(first, then, begin, monkeypatch):
    """Another kind of start may find another optimum, of which the verdict would speak."""
    called = []

    def hear(witness, start):
        called.append(start.anew.name)
        return begin_of(witness, start)

    begin_of = Witness.begin
    moe = MixtureOfExpertsRegressor(n_experts=2, init=first, random_state=0, warm_start=True)
    moe = pickle.loads(pickle.dumps(moe.fit(X, Y))).set_params(init=then)
    monkeypatch.setattr(Witness, "begin", hear)
    for _ in range(2):  # the second goes on from one that has begun warm
        assert list(moe.fit(X, Y).start_bounds_) == ["warm"]
    assert called == [begin] * 10


TAILS = RNG.standard_t(3, size=300)
KINDS = {
    "ridge": (MixtureOfExpertsRegressor(Ridge(), 2), 2 * X[:, 1] + TAILS),
    "leaning trees": (MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=4), 2), Y),
    "other law": (MixtureOfExpertsRegressor(Ridge(), 2, family="laplace"), Y + TAILS),
    "as it is": (MixtureOfExpertsRegressor(Ridge(), 2, calibrate=None), Y),
    "two outputs": (MixtureOfExpertsRegressor(Ridge(), 2), np.column_stack([Y + TAILS, Y])),
    "labels": (MixtureOfExpertsClassifier(DecisionTreeClassifier(max_depth=4), 2), Y > 0),
    "temperature": (MixtureOfExpertsClassifier(GaussianNB(), 2, calibrate="temperature"), Y > 0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_gain_is_of_what_is_kept(kind):
    """It is over the one expert as it would be kept, its noise calibrated too."""
    moe, y = KINDS[kind]
    weight = np.random.default_rng(0).uniform(0.5, 2.0, size=300)
    moe = clone(moe).set_params(random_state=0, verdict=True).fit(X, y, sample_weight=weight)
    alone = clone(moe).set_params(n_experts=1).fit(X, y, sample_weight=weight)
    if moe.n_experts_ == 1:
        assert moe.calibrated_log_prob_ == pytest.approx(alone.calibrated_log_prob_, rel=1e-6)
        return
    delta = moe.calibrated_log_probs_ - alone.calibrated_log_probs_
    assert moe.gain_ == pytest.approx(np.average(delta, weights=weight), abs=1e-9)
    stderr = np.sqrt(((weight * (delta - moe.gain_)) ** 2).sum()) / weight.sum()
    assert moe.gain_stderr_ == pytest.approx(stderr, rel=1e-9)


@pytest.mark.parametrize("law", ["student", "laplace"])
def test_heavy_tails_are_no_second_rule(law):
    """Two Gaussian experts of one rule and two widths are a law of heavy tails."""
    rng = np.random.default_rng(0)
    tails = rng.standard_t(3, (5, 300)) if law == "student" else rng.laplace(size=(5, 300))
    mixtures = [
        MixtureOfExpertsRegressor(Ridge(), 2, random_state=0).fit(X, 2 * X[:, 1] + each)
        for each in tails
    ]
    assert all(moe.gain_ < 2 * moe.gain_stderr_ for moe in mixtures)
    assert any(moe.n_experts_ == 2 for moe in mixtures)
    as_it_is = [clone(m).set_params(calibrate=None) for m in mixtures]
    fooled = [m.fit(X, 2 * X[:, 1] + each) for m, each in zip(as_it_is, tails, strict=True)]
    assert any(moe.gain_ > 2 * moe.gain_stderr_ for moe in fooled)


@pytest.mark.parametrize("slope", [0.0, 0.7, 1.0])
def test_rows_that_were_heard_speak_for_the_others(slope):
    """Of a large table some rows are heard; of the others it is known what they said before."""
    rng = np.random.default_rng(1)
    weight, alone = rng.uniform(0.5, 2.0, size=20_000), rng.normal(size=20_000)
    before = alone + rng.normal(size=20_000)
    after = 0.02 + slope * (before - alone) + 0.1 * rng.normal(size=20_000)
    known, heard = rng.random((2, 20_000)) < [[0.4], [0.3]]
    before[~known] = np.nan
    few = np.where(known & heard, after, np.nan)
    rival = Scores(alone, np.where(heard, 0.0, np.nan))
    values = Scores(before, few).minus(rival, weight)
    np.testing.assert_array_equal(np.isnan(values), ~known)
    gain, stderr = mean_and_stderr(values, weight, np.arange(20_000))
    assert mean_and_stderr(values, np.ldexp(weight, 600), np.arange(20_000)) == (gain, stderr)
    assert stderr < 1.3 * 0.1 / np.sqrt(2400) + slope / np.sqrt(8000)
    truth = np.average(after[known], weights=weight[known])
    assert abs(gain - truth) < 3 * 0.1 / np.sqrt(2400)
    whole = np.where(known, after, np.nan)
    values = Scores(before, whole).minus(Scores(alone, np.zeros(20_000)), weight)
    np.testing.assert_array_equal(values, whole)


def test_witnesses_of_two_folds_do_not_gain_by_noise():
    gains = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        table, noise = rng.normal(size=(150, 5)), rng.normal(size=150)
        moe = MixtureOfExpertsRegressor(Ridge(), 3, cv=2, random_state=0).fit(table, noise)
        gains.append(moe.gain_)
    assert max(gains) < 0


@pytest.mark.parametrize("groups", [None, np.arange(400) // 4], ids=["rows", "groups"])
@pytest.mark.parametrize("labels", [False, True])
def test_witnesses_of_two_folds_have_two_of_their_own(labels, groups):
    """In sample, trees would be sure of all rows but those that they are asked about."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(400, 3))
    score = np.where(table[:, 0] > 0, 3, -3) * table[:, 1] + 0.5 * rng.normal(size=400)
    kind, tree = MixtureOfExpertsRegressor, DecisionTreeRegressor(min_samples_leaf=3)
    if labels:
        kind, tree = MixtureOfExpertsClassifier, DecisionTreeClassifier(min_samples_leaf=3)
    moe = kind(tree, cv=2, random_state=0).fit(table, score > 0 if labels else score, groups=groups)
    assert moe.n_experts_ == 2
    assert moe.gain_ > moe.gain_stderr_
    assert moe.heldout_log_prob_ > (-1.0 if labels else -3.0)


@pytest.mark.parametrize("expert", [Ridge(), DecisionTreeRegressor(max_depth=4)], ids=str)
def test_kept_iteration_is_the_one_that_the_witnesses_praise(expert, monkeypatch):
    said = []
    monkeypatch.setattr(
        _fitting, "judge", lambda *given: said.append(given[1].fold_log_probs) or judge(*given)
    )
    moe = MixtureOfExpertsRegressor(expert, random_state=0).fit(X, Y)
    assert len(moe.heldout_log_probs_) == len(moe.lower_bounds_) == moe.n_iter_
    best = int(np.argmax(moe.heldout_log_probs_))
    np.testing.assert_allclose(moe.heldout_log_probs_, said[0].sum(axis=1), rtol=1e-12)
    # Others choose the iteration of each fold, so no luck of its own is in what it says.
    assert moe.heldout_log_prob_ == pytest.approx(unseen_best(said[0]), rel=1e-12)
    assert moe.heldout_log_prob_ <= moe.heldout_log_probs_[best]
    # The dispersions of experts that wander are settled in the end, which raises the bound.
    settled = moe.lower_bound_ - moe.lower_bounds_[best]
    assert settled == 0 if isinstance(expert, Ridge) else 0 <= settled < 0.05
    assert moe.n_iter_ <= best + 1 + LED_PATIENCE


def test_no_fold_chooses_its_own_iteration():
    said = np.array([[0.0, 3.0, 1.0], [2.0, 2.0, 3.0], [9.0, 0.0, 0.0]])
    assert unseen_best(said) == 2.0 + 0.0 + 0.0  # the second for the first fold, else the third
    assert unseen_best(said[:1]) == 4.0


def test_rounding_chooses_no_iteration():
    said = np.array([[-0.1, 0.3, 0.7], [-0.5, 0.3, 0.7], [-0.9, 0.3, 0.7]])
    for noise in (1e-15, -1e-15):
        told = said + noise * np.array([[0.0], [1.0], [2.0]])
        assert unseen_best(told) == pytest.approx(0.9)  # the first of those that are as good


def test_the_order_of_rows_does_not_choose_between_equal_iterations():
    """A table that is learnt without an error: from some iteration on they are all as good."""
    X = np.repeat(np.array(list(product([-1.0, 1.0], repeat=3))), 4, axis=0)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    gains = []
    for order in (np.arange(32), *(np.random.default_rng(s).permutation(32) for s in (1, 2))):
        moe = MixtureOfExpertsClassifier(random_state=0).fit(X[order], y[order])
        gains.append((moe.gain_, moe.n_experts_))
    np.testing.assert_allclose(gains, gains[:1] * 3, atol=1e-9)


def many_columns(n_samples, seed):
    """Labels by one linear rule in the first of sixty columns."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 60))
    return X, (X[:, 0] + X[:, 1] + rng.logistic(size=n_samples) > 0).astype(int)


def test_witnesses_end_em_before_it_learns_by_heart():
    train, test = many_columns(300, 0), many_columns(5000, 1)
    kind, expert = MixtureOfExpertsClassifier, LogisticRegression()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one expert may be better
        moes = [kind(expert, random_state=0, verdict=led).fit(*train) for led in (True, False)]
    led, by_bound = (moe.log_prob(*test).mean() for moe in moes)
    assert moes[0].n_iter_ < moes[1].n_iter_
    assert led > by_bound + 0.1
    assert moes[0].gain_ < 2 * moes[0].gain_stderr_


def test_one_expert_is_kept_where_it_is_better():
    X, y = many_columns(300, 0)
    expert, kinds = LogisticRegression(), [("a", LogisticRegression()), ("b", GaussianNB())]
    for experts in (expert, kinds):
        moe = MixtureOfExpertsClassifier(
            experts, n_experts=4, pooling=1e-3, random_state=0, max_iter=5
        )
        with pytest.warns(UserWarning, match="One expert explains.*verdict=False"):
            moe.fit(X, y)
        assert moe.gain_ < -2 * moe.gain_stderr_
        assert (moe.n_experts_, moe.expert_names_[0][0]) == (1, "e" if experts is expert else "a")
        alone = MixtureOfExpertsClassifier(expert, n_experts=1).fit(X, y)
        np.testing.assert_array_equal(moe.predict_experts(X)[:, 0], alone.predict_proba(X))
        np.testing.assert_array_equal(moe.log_prob(X, y), alone.log_prob(X, y))
        assert moe.lower_bound_ == pytest.approx(alone.lower_bound_, rel=1e-9)
        assert moe.expert_mass_ == pytest.approx([300.0])
        assert moe.pooling_ == [0.0]


def test_a_large_table_is_judged_by_some_of_its_folds(monkeypatch):
    called = []
    monkeypatch.setattr(Witness, "begin", record(called, Witness.begin))
    twice = [np.repeat(part, 2, axis=0) for part in (X, Y)]
    gains, errors = [], []
    for enough in (130, 3000):  # three folds of sixty hold 130 rows, all five hold 300
        monkeypatch.setattr("sklearn_moe._witnesses.WITNESS_ROWS", enough)
        for table, weight in ((twice, None), ((X, Y), np.full(300, 2.0)), ((X, Y), None)):
            moe = MixtureOfExpertsRegressor(random_state=0).fit(*table, weight)
            gains.append(moe.gain_)
            errors.append(moe.gain_stderr_)
    assert len(called) == 3 * 3 + 3 * 5
    np.testing.assert_allclose(gains[0:6:3], gains[1:6:3], rtol=1e-7)
    assert gains[2] == pytest.approx(gains[5], abs=2 * errors[2])
    assert errors[5] < errors[2] < 2 * errors[5]


@pytest.mark.filterwarnings("ignore:EM did not settle")
def test_rows_that_no_witness_was_asked_about_are_unknown(monkeypatch):
    """One expert, which is kept in place of the mixture, has a word on them too."""
    monkeypatch.setattr("sklearn_moe._witnesses.WITNESS_ROWS", 50)
    table, noise = np.random.default_rng(0).normal(size=(200, 30)), TAILS[:200]
    moe = MixtureOfExpertsRegressor(Ridge(1e-3), 4, init="kmeans_x", max_iter=2, random_state=0)
    with pytest.warns(UserWarning, match="One expert explains"):
        moe.fit(table, noise)
    assert np.isnan(moe.calibrated_log_probs_).sum() == 120  # of five folds two have a witness


def record(calls, function):
    def recorded(*args):
        calls.append(args)
        return function(*args)

    return recorded


def test_folds_of_a_splitter_all_have_a_witness(monkeypatch):
    called = []
    monkeypatch.setattr(Witness, "begin", record(called, Witness.begin))
    monkeypatch.setattr("sklearn_moe._witnesses.WITNESS_ROWS", 50)
    MixtureOfExpertsRegressor(cv=FOLDS, random_state=0).fit(X, Y)
    assert len(called) == 3


def test_a_verdict_is_against_a_mixture_beyond_two_standard_errors():
    assert not Verdict(0.0, gain=-0.19, stderr=0.1).is_against
    assert Verdict(0.0, gain=-0.21, stderr=0.1).is_against


def test_unseen_rows_are_known_by_the_iteration_that_the_other_folds_chose():
    model = SimpleNamespace(data=SimpleNamespace(n_samples=5))
    witnesses = [
        SimpleNamespace(test=[0, 3], held_out=HeldOut(-1.0), latest=HeldOut(9.0)),
        SimpleNamespace(test=[4, 1], held_out=HeldOut(-2.0), latest=HeldOut(9.0)),
    ]
    stage = Stage(model, SimpleNamespace(expectation=None), witnesses=witnesses)
    np.testing.assert_array_equal(stage.unseen, [-1.0, -2.0, np.nan, -1.0, -2.0])


def test_a_witness_that_goes_on_has_scored_nothing():
    witness = object.__new__(Witness)
    witness.held_out, witness.score_of_others = HeldOut(1.0), 5.0
    other = witness.going_on()
    assert np.isnan(other.held_out.log_prob)
    assert other.score_of_others == -np.inf
    assert witness.score_of_others == 5.0


@pytest.mark.filterwarnings("ignore:EM did not settle")
def test_what_witnesses_come_to_is_settled_as_what_is_kept_of_the_fit(monkeypatch):
    called = []
    monkeypatch.setattr(MixtureModel, "settled", record(called, MixtureModel.settled))
    tree = DecisionTreeRegressor(max_depth=4)
    MixtureOfExpertsRegressor(tree, cv=FOLDS, n_init=1, max_iter=2, random_state=0).fit(X, Y)
    assert {model.data.n_samples for model, _ in called} == {200, 300}


@pytest.mark.filterwarnings("ignore:EM did not settle")
def test_noise_is_calibrated_by_what_the_folds_leave_to_learn(monkeypatch):
    called = []
    monkeypatch.setattr(_verdict, "recalibrate", record(called, _verdict.recalibrate))
    MixtureOfExpertsRegressor(cv=4, n_init=1, max_iter=2, random_state=0).fit(X, Y)
    assert {left for *_, left in called} == {0.5}


def test_weights_equal_repeats_where_there_is_one_expert():
    times = np.arange(300) % 3
    one = MixtureOfExpertsRegressor(Ridge(), n_experts=1, random_state=0)
    weighted = one.fit(X, TAILS, times).heldout_log_prob_
    repeated = one.fit(np.repeat(X, times, axis=0), np.repeat(TAILS, times)).heldout_log_prob_
    assert weighted == pytest.approx(repeated)


def test_one_expert_needs_no_witnesses():
    moe = MixtureOfExpertsRegressor(n_experts=1).fit(X, Y)
    assert (moe.gain_, moe.gain_stderr_, moe.heldout_log_probs_) == (0.0, 0.0, [])
    assert moe.heldout_log_prob_ == pytest.approx(moe.lower_bound_, rel=1e-12)


@pytest.mark.parametrize("options", [{"verdict": False}, {"cv": None}], ids=str)
def test_without_witnesses_there_is_no_verdict(options):
    moe = MixtureOfExpertsRegressor(random_state=0, **options).fit(X, Y)
    assert np.isnan([moe.gain_, moe.gain_stderr_, moe.heldout_log_prob_]).all()
    assert moe.heldout_log_probs_ == []
    assert moe.lower_bound_ == max(moe.lower_bounds_)


class Choosy(Ridge):
    """Wants 140 rows; a fold of the fit leaves 200, one of a witness 133."""

    def fit(self, X, y, sample_weight=None):
        if len(X) < 140:
            raise ValueError(f"{len(X)} rows are too few.")
        return super().fit(X, y, sample_weight)


def test_fit_follows_the_bound_where_a_witness_fails():
    params = {"cv": FOLDS, "init": "kmeans_xy", "random_state": 0}
    noise = np.random.default_rng(1).normal(size=300)
    noisy = Y + 2 * noise  # so few rows are lost to an expert
    with pytest.warns(UserWarning, match="No verdict.*too few"):
        moe = MixtureOfExpertsRegressor(Choosy(), **params).fit(X, noisy)
    assert np.isnan(moe.gain_)
    bare = MixtureOfExpertsRegressor(Choosy(), verdict=False, **params).fit(X, noisy)
    np.testing.assert_array_equal(moe.predict(X), bare.predict(X))


def test_one_expert_that_is_left_is_judged_as_one():
    """What its witnesses say of two does not hold for it: they have found what it has not."""
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(600, 5)), rng.normal(size=600)
    X[rng.uniform(size=600) < 0.01] *= 1000
    y = np.where(X[:, 0] > 0, 2 * X[:, 1], 1 - X[:, 1]) + 0.3 * noise
    pair = [("first", Ridge()), ("second", Ridge())]
    lost = pytest.warns(ConvergenceWarning, match=r"\['first'\] lost their rows twice")
    with lost, pytest.warns(UserWarning, match=r"they with -4.74\. Another init"):
        moe = MixtureOfExpertsRegressor(pair, random_state=0).fit(X, y)
    one = MixtureOfExpertsRegressor(n_experts=1, random_state=0).fit(X, y)
    assert moe.expert_names_ == ["second"]
    assert moe.gain_ == pytest.approx(0.0, abs=1e-9)
    assert moe.calibrated_log_prob_ == pytest.approx(one.calibrated_log_prob_)
    np.testing.assert_allclose(moe.predict(X), one.predict(X))


def test_folds_that_train_twice_on_a_row_leave_no_row_unsaid(monkeypatch):
    """What no fold of a witness predicts would be whatever memory holds."""
    number, bounds = np.arange(300), []
    rest = [np.flatnonzero(number // 100 != fold) for fold in range(3)]
    folds = [(np.concatenate([a, a[:50]]), number[number // 100 == k]) for k, a in enumerate(rest)]
    empty = _experts.experts_first
    for value in (0.0, 1e3):
        with monkeypatch.context() as patch:

            def filled(*shape, value=value):
                made = empty(*shape)
                made[:] = value
                return made

            patch.setattr(_experts, "experts_first", filled)
            moe = MixtureOfExpertsRegressor(Ridge(), 2, cv=folds, random_state=0)
            bounds.append(moe.fit(X[:300], Y[:300]).heldout_log_prob_)
    assert bounds[0] == bounds[1]
