"""Labels of every kind come back as they were given, and rare ones are not lost."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from sklearn_moe import MixtureOfExpertsClassifier, _fitting
from sklearn_moe._baseline import fit_baseline
from sklearn_moe.families import Categorical

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
Y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1] + 0.1 * RNG.normal(size=120)


def classifier(experts=None, **params):
    few = {"max_iter": 3, "n_init": 1, "cv": 3, "init": "principal", "verdict": False}
    return MixtureOfExpertsClassifier(experts, random_state=0, **{**few, **params})


LABELS = {
    "strings": np.array(["no", "perhaps", "yes"]),
    "objects": np.array(["no", "perhaps", "yes"], dtype=object),
    "negative": np.array([-7, -1, 12]),
    "floats": np.array([0.0, 1.0, 5.0]),
    "bool": np.array([False, True, True]),
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("expert", [None, HistGradientBoostingClassifier(max_iter=3)], ids=str)
def test_labels_come_back(kind, expert):
    codes = np.digitize(X[:, 1], [-0.5, 0.5])
    y = LABELS[kind][codes]
    moe = classifier(expert).fit(X, y)
    assert moe.predict(X).dtype == y.dtype
    np.testing.assert_array_equal(moe.classes_, np.unique(y))
    assert moe.score(X, y) > 0.6
    np.testing.assert_allclose(moe.log_prob(X, list(y)), moe.log_prob(X, y))


def test_an_expert_that_is_certain_of_all_rows_leaves_one_to_the_class_rates():
    prior = np.array([0.9, 0.1])
    certain, sure = np.tile([1.0, 0.0], (39, 1, 1)), np.tile([1 - 1e-6, 1e-6], (39, 1, 1))
    rows, weights = np.zeros(39, dtype=np.intp), np.ones((39, 2))
    said = np.concatenate([certain, sure], axis=1)
    tempered = Categorical(prior, tempered=True).fit_dispersion(rows, said, weights)
    np.testing.assert_allclose(tempered[0, 0], 1 / 40, rtol=1e-3)
    law = Categorical(prior)
    share = law.fit_dispersion(rows, said, weights)
    np.testing.assert_allclose(share, [1 / 40, 1 / 40**2])
    assert law.adjust(said, share)[0, 0, 1] == pytest.approx(0.1 / 40)
    np.testing.assert_allclose(law.in_sample_law().fit_dispersion(rows, said, weights), 1 / 40**2)
    said[7, 0], weights[7, 0] = 0.5, 0.0  # a row that it has no part in
    np.testing.assert_allclose(law.fit_dispersion(rows, said, weights), [1 / 39, 1 / 40**2])


def test_class_weight_speaks_of_the_users_labels():
    y = np.where(Y > 0, "yes", "no")
    weight = {"yes": 50.0, "no": 1.0}
    plain, weighted = (classifier(LogisticRegression(class_weight=w)) for w in (None, weight))
    assert (weighted.fit(X, y).predict(X) == "yes").mean() > (
        plain.fit(X, y).predict(X) == "yes"
    ).mean() + 0.1


@pytest.mark.parametrize("expert", [None, DecisionTreeClassifier(max_depth=2)], ids=str)
def test_class_of_two_rows(expert):
    y = np.where(Y > 0, "b", "c")
    y[[3, 50]] = "a"
    moe = classifier(expert).fit(X, y)
    assert moe.predict_proba(X).shape == (120, 3)
    assert (moe.predict_proba(X)[:, 0] > 0).all()
    assert np.isfinite(moe.log_prob(X, y)).all()


@pytest.mark.parametrize("cv", [3, None])
def test_expert_that_never_saw_a_class_gives_it_a_probability(cv):
    """The start deals all of class `a` to the first expert."""
    y = np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])]
    resp = np.column_stack([y == "a", y != "a"]).astype(float)
    expert = DecisionTreeClassifier(max_depth=2)
    moe = classifier(expert, init=resp, cv=cv, max_iter=1).fit(X, y)
    assert moe.predict_experts(X).shape == (120, 2, 3)
    np.testing.assert_allclose(moe.predict_experts(X).sum(axis=2), 1)
    assert (moe.predict_proba(X) > 0).all()


def test_unknown_label_of_a_query_is_named():
    moe = classifier().fit(X, np.where(Y > 0, "yes", "no"))
    for query in (moe.log_prob, moe.responsibilities):
        with pytest.raises(ValueError, match=r"(?s)perhaps.*not seen in fit"):
            query(X[:2], ["yes", "perhaps"])


@pytest.mark.filterwarnings(
    "ignore:Experts .* lost their rows", "ignore:Some inputs do not have OOB"
)
@pytest.mark.parametrize(
    ("expert", "params"),
    [
        (LogisticRegression(solver="newton-cholesky"), {}),
        (DecisionTreeClassifier(max_depth=3, random_state=0), {"top_k": 2}),
        (
            RandomForestClassifier(8, random_state=0),
            {"cv": "oob", "shared_expert": DecisionTreeClassifier(max_depth=2)},
        ),
    ],
    ids=["solved", "sparse", "out of bag"],
)
def test_the_fit_needs_no_more_than_the_own_class(expert, params, monkeypatch):
    X, y = load_iris(return_X_y=True)
    moe = MixtureOfExpertsClassifier(
        expert,
        3,
        init="kmeans_x",
        **{"cv": 3, "n_init": 1, "max_iter": 2, "random_state": 0, **params},
    )
    moe.fit(X, y)
    monkeypatch.setattr(MixtureOfExpertsClassifier, "_wants_all_classes", lambda self: True)
    whole = clone(moe).fit(X, y)
    np.testing.assert_allclose(moe.lower_bounds_, whole.lower_bounds_, rtol=1e-10)
    np.testing.assert_allclose(moe.predict_proba(X), whole.predict_proba(X), rtol=1e-10)


def test_one_expert_alone_is_fitted_only_if_it_is_asked(monkeypatch):
    X, y = load_iris(return_X_y=True)
    asked = []
    monkeypatch.setattr(
        _fitting, "fit_baseline", lambda *parts: asked.append(1) or fit_baseline(*parts)
    )
    moe = MixtureOfExpertsClassifier(cv=3, n_init=1, tol=0.1, init="kmeans_x", verdict=False)
    moe.fit(X, y)
    assert not asked
    moe.set_params(init="residual").fit(X, y)
    moe.set_params(init="kmeans_x", verdict=True).fit(X, y)
    assert len(asked) == 2


FOUR = {"n_experts": 4, "pooling": 1e-3}
BRANCH = MixtureOfExpertsClassifier(LogisticRegression(), **FOUR)


@pytest.mark.filterwarnings("ignore:Experts .* lost their rows")
@pytest.mark.parametrize(
    ("experts", "params"),
    [
        (LogisticRegression(), FOUR),
        ([("branch", BRANCH)], {"pooling": 1e-3}),
        (LogisticRegression(), {"n_experts": "auto"}),
    ],
    ids=["flat", "nested", "found"],
)
def test_expert_that_the_verdict_keeps_is_smoothed_as_the_verdict_has_it(experts, params):
    """One rule in many columns; and whatever parameters are set once the fit is done."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1300, 60))
    y = (X[:, 0] + X[:, 1] + rng.logistic(size=1300) > 0).astype(int)
    few = {"init": "ladder", "n_init": 1, "max_iter": 2, "cv": 3, "random_state": 0}
    mixture = MixtureOfExpertsClassifier(experts, **few | params)
    mixture.fit(X[:300], y[:300])
    assert mixture.n_experts_ == 1
    mixture.set_params(n_experts=1)
    said = mixture.predict_log_proba(X[300:])[np.arange(1000), y[300:]]
    np.testing.assert_allclose(said, mixture.log_prob(X[300:], y[300:]))
    alone = mixture.predict_experts(X[300:])[np.arange(1000), 0, y[300:]]
    assert said.mean() > np.log(alone).mean() + 0.01


def test_one_expert_that_was_asked_for_answers_as_by_itself():
    y, tree = Y > 0, DecisionTreeClassifier(max_depth=4, random_state=0)
    alone = clone(tree).fit(X, y)
    for experts in (tree, [("tree", tree)]):
        mixture = classifier(experts, n_experts=1).fit(X, y)
        np.testing.assert_array_equal(mixture.predict_proba(X), alone.predict_proba(X))
        np.testing.assert_array_equal(np.exp(mixture.predict_log_proba(X)), alone.predict_proba(X))


def test_labels_may_be_a_column_wherever_they_are_asked_for():
    y = np.where(Y > 0, "yes", "no")
    moe = classifier(LogisticRegression()).fit(X, y)
    for query in (moe.log_prob, moe.responsibilities):
        np.testing.assert_array_equal(query(X, y[:, None]), query(X, y))
    column = moe.information_criteria(X, y[:, None])
    assert column == moe.information_criteria(X, y)
    moe.update_gate(X, y[:, None])
    with pytest.raises(
        ValueError, match=r"cannot be compared with the labels seen in fit, \['no', "
    ):
        moe.log_prob(X[:2], np.array(["yes", None], dtype=object))


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, sp.coo_matrix, pd.DataFrame])
@pytest.mark.parametrize("params", [{}, {"top_k": 1}, {"voting": "hard"}])
def test_rows_are_asked_about_in_blocks(make, params, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 3))
    y = np.where(X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 0).astype(str)
    table = make(X)
    moe = classifier(**params)
    moe.fit(table, y)
    with np.errstate(divide="ignore"):
        whole = moe.predict_proba(table), moe.log_prob(table, y)
    monkeypatch.setattr("sklearn_moe._rows.MOST_ELEMENTS", 1)
    monkeypatch.setattr("sklearn_moe._rows.ROWS_OF_BLOCK", 500)
    seen = []
    usual = MixtureOfExpertsClassifier._laws_of
    monkeypatch.setattr(
        MixtureOfExpertsClassifier,
        "_laws_of",
        lambda self, rows: seen.append(rows.shape[0]) or usual(self, rows),
    )
    np.testing.assert_allclose(moe.predict_proba(table), whole[0], rtol=1e-12)
    np.testing.assert_allclose(moe.log_prob(table, y), whole[1], rtol=1e-12)
    assert seen == [500, 500, 200] * 2


def test_probabilities_of_votes_are_not_above_one():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    y = X[:, 0] > 0  # the experts agree on most rows, and three gate probabilities are summed
    moe = classifier(n_experts=3, voting="hard").fit(X, y)
    assert moe.predict_proba(X).max() == 1.0
