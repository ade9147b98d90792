"""Labels of every kind come back as they were given, and rare ones are not lost."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from sklearn_moe import MixtureOfExpertsClassifier

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
