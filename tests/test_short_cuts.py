"""Cross-fitting without folds: leave-one-out in closed form, and out-of-bag predictions."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from sklearn_moe._experts import WeightedExperts, fit_predict
from sklearn_moe._out_of_bag import out_of_bag, with_out_of_bag
from sklearn_moe._plans import follow_here
from sklearn_moe._templates import make_templates
from sklearn_moe._training import make_training
from sklearn_moe.weighting._plan import DRAWS_BY_WEIGHT

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning",  # few iterations will do
)
FEW = {"max_iter": 2, "n_init": 1, "init": "principal", "random_state": 0}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3))
Y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1] + 0.1 * RNG.normal(size=90)
WEIGHTS = RNG.uniform(0.1, 1.0, size=(90, 2))


def predicted(expert, cv, X=X, y=Y, weights=WEIGHTS, classes=None):
    """What two copies of an expert say of the rows they learn from, (n, 2, q)."""
    target = y[:, None] if classes is None else y
    parts = X, y, target, np.ones(len(y)), classes, cv, {}
    training = make_training(*parts, groups=None, all_classes=True)
    templates = make_templates([("a", expert), ("b", expert)], [0, 0], {}, cv)
    plan = fit_predict(WeightedExperts(training.data, templates, weights), training.splits)
    return follow_here(plan).mean


@pytest.mark.parametrize("expert", [Ridge(3.0), LinearRegression()], ids=["ridge", "plain"])
@pytest.mark.parametrize("copies", [1, 3])
def test_leave_one_out_is_that_of_refits(expert, copies):
    rows = np.repeat(np.arange(30), copies)
    weights = WEIGHTS[rows] / copies
    found = predicted(expert, "loo", X[rows], Y[rows], weights)
    for row in (0, 7, 29):
        others, here = rows != row, np.flatnonzero(rows == row)
        for k in range(2):
            refit = clone(expert).fit(X[rows][others], Y[rows][others], weights[others, k])
            np.testing.assert_allclose(found[here, k, 0], refit.predict(X[[row]])[0], rtol=1e-8)


def test_row_that_alone_decides_a_coefficient_is_predicted_by_folds():
    """Without the only row where a column is not zero, nothing is known of the column."""
    table = np.column_stack([X, np.arange(90) == 4])
    found = predicted(LinearRegression(), "loo", table)
    np.testing.assert_allclose(found, predicted(LinearRegression(), 5, table))


FORESTS = {
    "forest": RandomForestRegressor(16, random_state=1),
    "extra": ExtraTreesRegressor(16, bootstrap=True, random_state=1),
    "bagging": BaggingRegressor(n_estimators=16, random_state=1),
    "pipeline": make_pipeline(StandardScaler(), RandomForestRegressor(16, random_state=1)),
    "columns": BaggingRegressor(n_estimators=16, max_features=0.7, random_state=1),
}
if DRAWS_BY_WEIGHT:
    of_pipelines = make_pipeline(SelectKBest(f_regression, k=1), Ridge())
    FORESTS["pipelines"] = BaggingRegressor(of_pipelines, n_estimators=16, random_state=1)


@pytest.mark.parametrize("name", FORESTS)
def test_out_of_bag_predictions_are_those_of_the_ensemble(name):
    ensemble = FORESTS[name]
    found = predicted(ensemble, "oob", weights=np.ones((90, 2)))
    last = ensemble[-1] if name == "pipeline" else ensemble
    keeper = (
        clone(last)
        .set_params(oob_score=True)
        .fit(StandardScaler().fit_transform(X) if name == "pipeline" else X, Y)
    )
    np.testing.assert_allclose(found[:, 0, 0], keeper.oob_prediction_)
    assert np.corrcoef(found[:, 0, 0], keeper.predict(X))[0, 1] < 0.999


@pytest.mark.parametrize("name", FORESTS)
def test_what_is_said_of_a_row_out_of_bag_knows_nothing_of_its_target(name):
    """Steps that take no weights must not see the rows that a member has not drawn."""
    found = predicted(FORESTS[name], "oob")
    for row in (0, 7, 29):
        other = Y.copy()
        other[row] += 100.0
        changed = predicted(FORESTS[name], "oob", y=other)
        np.testing.assert_allclose(changed[row], found[row], rtol=1e-12)
        assert np.abs(changed - found).max() > 1


def test_bagging_of_labels_and_of_several_outputs_is_asked_out_of_bag():
    labels = np.digitize(Y, [-1.0, 1.0])
    bagging = BaggingClassifier(n_estimators=30, random_state=0)
    even = {"weights": np.ones((90, 2))}
    found = predicted(bagging, "oob", y=labels, classes=np.arange(3), **even)
    own = clone(bagging).set_params(oob_score=True).fit(X, labels).oob_decision_function_
    np.testing.assert_allclose(found[:, 0], own)
    votes = BaggingClassifier(RidgeClassifier(), n_estimators=30, random_state=0)
    found = predicted(votes, "oob", y=labels, classes=np.arange(3), **even)
    own = clone(votes).set_params(oob_score=True).fit(X, labels).oob_decision_function_
    np.testing.assert_allclose(found[:, 0], own)
    both = MixtureOfExpertsRegressor(FORESTS["bagging"], cv="oob", **FEW)
    both.fit(X, np.column_stack([Y, -Y]))
    assert both.gain_ > 0
    np.testing.assert_allclose(*(both.predict(X) * [1, -1]).T, rtol=1e-9)


def test_a_bag_of_all_rows_is_not_asked():
    """Of an expert's two rows, one is told by the other, in a bag without it or in a fold."""
    pair = np.zeros((90, 2))
    pair[[3, 40]] = 1.0
    bagging = BaggingRegressor(n_estimators=8, random_state=1)
    found = predicted(bagging, "oob", weights=pair)
    np.testing.assert_allclose(found[[3, 40], 0, 0], Y[[40, 3]])


def test_rows_that_the_expert_never_saw_are_predicted_by_all_trees():
    weights = np.column_stack([X[:, 0] > 0, np.ones(90)]).astype(float)
    found = predicted(FORESTS["forest"], "oob", weights=weights)
    seen = X[:, 0] > 0
    n_drawn = int(seen.sum())
    forest = clone(FORESTS["forest"]).set_params(max_samples=n_drawn).fit(X[seen], Y[seen])
    np.testing.assert_allclose(found[~seen, 0, 0], forest.predict(X[~seen]))


@pytest.mark.filterwarnings("ignore:Some inputs do not have OOB scores")  # as whole fits do
def test_rows_in_every_bag_are_predicted_by_folds():
    forest = RandomForestRegressor(1, random_state=1)
    even = np.ones((90, 2))
    found, folded = predicted(forest, "oob", weights=even), predicted(forest, 5, weights=even)
    drawn = clone(forest).fit(X, Y).estimators_samples_[0]
    assert 40 < len(np.unique(drawn)) < 70
    np.testing.assert_allclose(found[drawn], folded[drawn])
    others = np.setdiff1d(np.arange(90), drawn)
    assert (found[others] != folded[others]).any()


def test_classes_that_an_expert_did_not_see_have_no_probability():
    X, y = load_iris(return_X_y=True)
    weights = np.column_stack([y != 2, np.ones(150), y == 2]).astype(float)
    forest = RandomForestClassifier(30, random_state=0)
    found = predicted(forest, "oob", X, y, weights[:, :2], np.arange(3))
    assert (found[:, 0, 2] == 0).all()
    np.testing.assert_allclose(found.sum(axis=2), 1)
    alone = predicted(forest, "oob", X, y, weights[:, 1:], np.arange(3))
    assert (alone[:, 1] == [0, 0, 1]).all()


REGRESSORS = {
    "forest, oob": (FORESTS["forest"], "oob"),
    "bagging, oob": (FORESTS["bagging"], "oob"),
    "some, oob": ([("line", Ridge()), ("forest", FORESTS["forest"])], "oob"),
    "ridge, loo": (Ridge(), "loo"),
    "some, loo": ([("line", Ridge()), ("scaled", make_pipeline(StandardScaler(), Ridge()))], "loo"),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_whole_fit(name):
    """The mixture predicts, judges itself, and is the same when copied or run on threads."""
    experts, cv = REGRESSORS[name]
    moe = MixtureOfExpertsRegressor(experts, 2, cv=cv, **FEW)
    weight = np.where(np.arange(90) % 3 == 0, 2.0, 1.0)
    moe.fit(X, Y, sample_weight=weight)
    assert np.isfinite([moe.gain_, moe.lower_bound_, moe.heldout_log_prob_]).all()
    again = clone(moe).set_params(n_jobs=2).fit(X, Y, sample_weight=weight)
    np.testing.assert_array_equal(again.predict(X), moe.predict(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(moe)).predict(X), moe.predict(X))
    ours, theirs = moe.experts_[-1].get_params(), again.experts_[-1].get_params()
    assert str(ours) == str(theirs)
    assert not ours.get("oob_score", False)  # as the user gave it


@pytest.mark.parametrize(
    "expert",
    [RandomForestClassifier(16), BaggingClassifier(DecisionTreeClassifier(), n_estimators=16)],
    ids=["forest", "bagging"],
)
def test_whole_fit_to_labels(expert):
    X, y = load_iris(return_X_y=True)
    moe = MixtureOfExpertsClassifier(expert, 2, cv="oob", **FEW).fit(X, y.astype(str))
    assert moe.score(X, y.astype(str)) > 0.9
    few = BaggingClassifier(DecisionTreeClassifier(), n_estimators=5)  # some rows are in every bag
    MixtureOfExpertsClassifier(few, 2, cv="oob", **FEW).fit(X, y)
    assert np.isfinite(moe.gain_)


@pytest.mark.parametrize(
    ("expert", "cv", "message"),
    [
        (Ridge(), "oob", r"cv='oob' is for .*got experts \['Ridge'\]"),
        (ExtraTreesRegressor(), "oob", r"bootstrap=True.*got experts \['ExtraTreesRegressor'\]"),
        (RandomForestRegressor(warm_start=True), "oob", r"got experts \['RandomForestRegressor'\]"),
        (make_pipeline(StandardScaler(), Ridge()), "loo", r"cv='loo' is for .*\['Pipeline'\]"),
        (Ridge(), "kfold", "'cv' parameter"),
    ],
)
def test_what_cannot_be_done_is_refused(expert, cv, message):
    with pytest.raises(ValueError, match=message):
        MixtureOfExpertsRegressor(expert, 2, cv=cv, **FEW).fit(X, Y)


def test_labels_are_not_left_one_out():
    with pytest.raises(ValueError, match="cv='loo'"):
        MixtureOfExpertsClassifier(LogisticRegression(), 2, cv="loo", **FEW).fit(X, Y > 0)


@pytest.mark.parametrize("unit", [1e-170, 1e170])
def test_the_unit_of_weights_does_not_size_bags(unit):
    keeper = with_out_of_bag(RandomForestRegressor(3), np.full(40, unit))
    assert keeper.max_samples == 40


def test_a_size_of_bags_that_the_user_has_set_is_kept():
    given = with_out_of_bag(RandomForestRegressor(3, max_samples=10), np.ones(40))
    assert given.max_samples == 10


def test_a_class_that_is_in_few_bags_takes_no_probability_of_another():
    """Members that have not met it number the others as it would be numbered."""
    labels = np.where(X[:, 0] > 0, "left", "right")
    labels[0] = "first"
    bagging = BaggingClassifier(KNeighborsClassifier(1), n_estimators=30, random_state=0)
    proba, answered = out_of_bag(bagging.fit(X, labels), X)
    assert answered.all()
    far = np.abs(X[:, 0]) > 0.5
    far[0] = False
    own = np.searchsorted(bagging.classes_, labels)
    assert proba[np.arange(90), own][far].mean() > 0.9
