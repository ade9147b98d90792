"""Experts that answer together with those of the folds, each of which has left one fold out."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier, is_regressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.inspection import partial_dependence
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.validation import check_is_fitted

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning",
    "ignore:Experts .* lost their rows:sklearn.exceptions.ConvergenceWarning",
    "ignore:One expert explains:UserWarning",
)
N = 300


def table():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(N, 3))
    y = np.where(X[:, 0] > 0, 3, -3) * X[:, 1] + 0.5 * rng.normal(size=N)
    return X, y, np.array(["a", "b", "c"])[np.digitize(y, [-0.5, 0.5])]


X, Y, LABELS = table()
FOLDS = KFold(3, shuffle=True, random_state=0)
FEW = {"cv": 3, "n_init": 1, "max_iter": 4, "verdict": False, "random_state": 0}
TREE = DecisionTreeRegressor(max_depth=4, random_state=0)


def regressor(experts=TREE, **params):
    return MixtureOfExpertsRegressor(experts, **{**FEW, "ensemble": True, **params})


def classifier(experts=None, **params):
    experts = DecisionTreeClassifier(max_depth=4) if experts is None else experts
    return MixtureOfExpertsClassifier(experts, **{**FEW, "ensemble": True, **params})


@pytest.mark.parametrize("expert", [TREE, Ridge(), HistGradientBoostingRegressor(max_iter=5)])
def test_half_of_one_expert_is_the_mean_of_its_fits_without_each_fold(expert):
    alone = clone(expert).set_params(**{"random_state": 0} if expert is not TREE else {})
    moe = regressor(alone, n_experts=1, cv=FOLDS).fit(X, Y)
    said = [clone(alone).fit(X[train], Y[train]).predict(X) for train, _ in FOLDS.split(X)]
    half = (clone(alone).fit(X, Y).predict(X) + np.mean(said, axis=0)) / 2
    np.testing.assert_allclose(moe.predict(X), half, rtol=1e-9, atol=1e-12)


def test_half_of_one_classifier_is_the_mean_of_its_fits_without_each_fold():
    expert = DecisionTreeClassifier(max_depth=3, random_state=0)
    moe = classifier(expert, n_experts=1, cv=FOLDS).fit(X, LABELS)
    fits = [clone(expert).fit(X[train], LABELS[train]) for train, _ in FOLDS.split(X)]
    said = np.mean([fit.predict_proba(X) for fit in fits], axis=0)
    said = (clone(expert).fit(X, LABELS).predict_proba(X) + said) / 2
    np.testing.assert_allclose(moe.experts_[0].predict_proba(X), said)
    np.testing.assert_array_equal(moe.experts_[0].predict(X), fits[0].classes_[said.argmax(axis=1)])


def test_em_knows_nothing_of_it():
    ensemble, plain = regressor(max_iter=6).fit(X, Y), regressor(ensemble=False).fit(X, Y)
    assert ensemble.lower_bounds_[:4] == plain.lower_bounds_
    plain = regressor(ensemble=False, max_iter=6).fit(X, Y)
    np.testing.assert_array_equal(ensemble.gate_proba(X), plain.gate_proba(X))
    np.testing.assert_array_equal(ensemble.dispersions_, plain.dispersions_)
    assert isinstance(plain.experts_[0], DecisionTreeRegressor)
    assert [type(e) for e in ensemble.experts_[0].fold_estimators] == [DecisionTreeRegressor] * 3
    alone = [expert.estimator.predict(X) for expert in ensemble.experts_]
    np.testing.assert_array_equal(np.column_stack(alone), plain.predict_experts(X))
    assert np.abs(ensemble.predict(X) - plain.predict(X)).max() > 0.01


def test_of_two_folds_both_have_their_fits():
    """Either leaves an expert about half of its rows."""
    moe = regressor(cv=2).fit(X, Y)
    assert [len(expert.fold_estimators) for expert in moe.experts_] == [2, 2]


def test_trees_err_less_together():
    rng = np.random.default_rng(1)
    new = rng.uniform(-1, 1, size=(5000, 3))
    truth = np.where(new[:, 0] > 0, 3, -3) * new[:, 1]
    deep = DecisionTreeRegressor(min_samples_leaf=2)
    errors = {
        ensemble: np.sqrt(
            np.mean((regressor(deep, ensemble=ensemble).fit(X, Y).predict(new) - truth) ** 2)
        )
        for ensemble in (True, False)
    }
    assert errors[True] < 0.9 * errors[False]


PARTS = {
    "dense": {},
    "witnesses": {"verdict": True},
    "sparse": {"n_experts": 3, "top_k": 1},
    "shared": {"n_experts": 2, "shared_expert": Ridge()},
    "spread": {"dispersion_estimator": DecisionTreeRegressor(max_depth=2)},
    "conformal": {"calibrate": "conformal", "verdict": True},
    "out of bag": {"experts": RandomForestRegressor(5, max_depth=3), "cv": "oob"},
    "left out": {"experts": Ridge(), "cv": "loo"},
    "resampled": {"experts": KNeighborsRegressor()},
    "named": {"experts": [("line", Ridge()), ("tree", TREE)]},
    "branches": {"experts": MixtureOfExpertsRegressor(TREE, 2), "n_experts": 2},
    "number": {"n_experts": "auto", "verdict": True, "max_iter": 2},
}


@pytest.mark.filterwarnings("ignore:Some inputs do not have OOB scores:UserWarning")
@pytest.mark.parametrize("params", PARTS.values(), ids=PARTS)
def test_it_goes_together_with_everything(params):
    moe = regressor(**params).fit(X, Y)
    n_folds = 5 if isinstance(params.get("cv"), str) else 3
    assert all(len(expert.fold_estimators) == n_folds for expert in moe.experts_)
    assert np.isfinite(moe.predict(X)).all()
    assert np.isfinite(moe.log_prob(X, Y)).all()
    folds = [np.mean([m.predict(X) for m in e.fold_estimators], axis=0) for e in moe.experts_]
    said = [(e.estimator.predict(X) + f) / 2 for e, f in zip(moe.experts_, folds, strict=True)]
    found = [expert.predict(X) for expert in moe.experts_]
    np.testing.assert_allclose(found, said, rtol=1e-9)


@pytest.mark.parametrize("cv", [3, FOLDS], ids=["dealt", "splitter"])
def test_weights_are_repeats(cv):
    times = np.random.default_rng(2).integers(0, 3, size=N)
    repeated = np.repeat(np.arange(N), times)
    if cv is FOLDS:  # copies of a row share a fold
        fold = np.random.default_rng(3).integers(0, 3, size=N)
        splits = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(3)]
        again = [tuple(np.flatnonzero(np.isin(repeated, side)) for side in pair) for pair in splits]
    else:
        splits = again = cv
    weighted = regressor(Ridge(), cv=splits).fit(X, Y, sample_weight=times)
    copied = regressor(Ridge(), cv=again).fit(X[repeated], Y[repeated])
    np.testing.assert_allclose(weighted.predict(X), copied.predict(X), rtol=1e-7, atol=1e-8)


def test_several_outputs_and_frames():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    moe = regressor().fit(frame, np.column_stack([Y, 2 * Y]))
    assert moe.predict(frame).shape == (N, 2)
    assert moe.experts_[0].predict(frame).shape == (N, 2)
    one = regressor().fit(frame, Y[:, None])
    assert one.predict(frame).shape == one.experts_[0].predict(frame).shape == (N, 1)


def test_a_class_that_a_fold_lacks_gets_no_probability_from_it():
    labels = LABELS.copy()
    labels[:2] = "rare"
    first, second = np.arange(N // 2), np.arange(N // 2, N)
    folds = [(second, first), (first, second)]
    moe = classifier(n_experts=1, cv=folds).fit(X, labels)
    lacks, knows = moe.experts_[0].fold_estimators
    assert "rare" not in lacks.classes_
    proba = moe.experts_[0].predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    assert proba.shape == (N, 4)
    rare = knows.predict_proba(X)[:, 3] / 2 + moe.experts_[0].estimator.predict_proba(X)[:, 3]
    np.testing.assert_allclose(proba[:, 3], rare / 2)


def test_classifiers_without_probabilities_vote():
    moe = classifier(LinearSVC(), n_experts=1, cv=FOLDS).fit(X, LABELS)
    expert = moe.experts_[0]
    votes = [fit.predict(X)[:, None] == moe.classes_ for fit in expert.fold_estimators]
    own = expert.estimator.predict(X)[:, None] == moe.classes_
    np.testing.assert_allclose(expert.predict_proba(X), (own + np.mean(votes, axis=0)) / 2)


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_probabilities_sum_to_one(voting):
    moe = classifier(LogisticRegression(), voting=voting).fit(X, LABELS)
    np.testing.assert_allclose(moe.predict_proba(X).sum(axis=1), 1.0)


def test_workers_change_nothing():
    one, two = regressor().fit(X, Y), regressor(n_jobs=2).fit(X, Y)
    np.testing.assert_array_equal(one.predict(X), two.predict(X))


def test_an_ensemble_is_an_estimator():
    moe = regressor().fit(X, Y)
    expert = pickle.loads(pickle.dumps(moe)).experts_[0]
    np.testing.assert_array_equal(expert.predict(X), moe.experts_[0].predict(X))
    check_is_fitted(expert)
    assert clone(expert) is expert is expert.fit(X, Y)
    assert is_regressor(expert)
    assert partial_dependence(expert, X, [0])["average"].shape[0] == 1
    assert "DecisionTreeRegressor" in repr(expert)
    assert is_classifier(classifier().fit(X, LABELS).experts_[0])


def test_a_warm_start_goes_on_from_it():
    moe = regressor(max_iter=3, warm_start=True).fit(X, Y)
    resp = moe.responsibilities(X, Y)
    again = regressor(max_iter=3, init=resp).fit(X, Y)
    np.testing.assert_array_equal(moe.fit(X, Y).predict(X), again.predict(X))


def test_in_sample_there_are_no_folds():
    moe = regressor(ensemble=False).fit(X, Y)
    before = moe.predict(X)
    with pytest.raises(ValueError, match=r"ensemble=True .* cv is None\. Use cv=5"):
        moe.set_params(ensemble=True, cv=None).fit(X, Y)
    np.testing.assert_array_equal(moe.predict(X), before)


def test_a_branch_may_not_differ():
    branch = MixtureOfExpertsRegressor(TREE, 2, ensemble=True)
    regressor(branch, n_experts=2).fit(X, Y)
    with pytest.raises(ValueError, match="has ensemble=True"):
        regressor(branch, n_experts=2, ensemble=False).fit(X, Y)


class Fails(RegressorMixin, BaseEstimator):
    """Predicts NaN where the first column is above two."""

    def fit(self, X, y, sample_weight=None):
        self.mean_ = np.average(y, weights=sample_weight)
        return self

    def predict(self, X):
        return np.where(X[:, 0] > 2, np.nan, self.mean_)


def test_a_member_that_predicts_nan_is_named():
    moe = regressor(Fails(), n_experts=1).fit(X, Y)
    with pytest.raises(ValueError, match="Fails predicted NaN"):
        moe.predict(np.full((2, 3), 3.0))


def test_parameters_cannot_be_counted():
    moe = regressor(Ridge()).fit(X, Y)
    with pytest.raises(ValueError, match="cannot be counted"):
        moe.information_criteria(X, Y)


def test_a_fold_that_is_the_region_of_an_expert_has_no_say_in_it():
    rng = np.random.default_rng(0)
    group = np.repeat(range(3), 60)
    Z = np.column_stack([group + 0.2 * rng.uniform(-1, 1, 180), rng.uniform(-1, 1, 180)])
    y = 20.0 * group + 5 * Z[:, 1] * (-1.0) ** group + 0.2 * rng.normal(size=180)
    tree = DecisionTreeRegressor(min_samples_leaf=5)
    moe = regressor(tree, n_experts=3, cv=GroupKFold(3), init=np.eye(3)[group], max_iter=1)
    moe.fit(Z, y, groups=group)
    assert [len(expert.fold_estimators) for expert in moe.experts_] == [2, 2, 2]
    plain = clone(moe).set_params(ensemble=False).fit(Z, y, groups=group)
    for mixture in (moe, plain):
        assert np.sqrt(np.mean((mixture.predict(Z) - y) ** 2)) < 1


def test_one_whose_folds_all_lack_it_stands_alone():
    group = np.repeat([0, 1], [150, 150])
    rows = np.arange(N)
    # Neither training side has the rows of the first expert.
    folds = [(rows[150:][1::2], rows[::2]), (rows[150:][::2], rows[1::2])]
    moe = regressor(n_experts=2, cv=folds, init=np.eye(2)[group], max_iter=1).fit(X, Y)
    first, second = moe.experts_
    assert first.fold_estimators == [first.estimator]
    assert len(second.fold_estimators) == 2


@pytest.mark.parametrize(("part", "n_fits"), [(0.4, 5), (0.95, 4)])
def test_a_fold_that_has_most_of_a_region_has_no_say_in_it(part, n_fits):
    """Less than half of what an even share leaves must not be left."""
    rows, region = np.arange(N), np.repeat([0, 1], [100, N - 100])
    fold = rows % 5
    fold[:100] = np.searchsorted([part], rows[:100] / 100, side="right") * (1 + rows[:100] % 4)
    folds = [(rows[fold != k], rows[fold == k]) for k in range(5)]
    moe = regressor(n_experts=2, cv=folds, init=np.eye(2)[region], max_iter=1).fit(X, Y)
    assert [len(expert.fold_estimators) for expert in moe.experts_] == [n_fits, 5]


def test_an_ensemble_is_frozen():
    moe = regressor(HistGradientBoostingRegressor(max_iter=3)).fit(
        pd.DataFrame(X, columns=["a", "b", "c"]), Y
    )
    expert = moe.experts_[0]
    with pytest.raises(ValueError, match=r"no parameters to set; got \['estimator__max_depth'\]"):
        expert.set_params(estimator__max_depth=1)
    assert expert.set_params() is expert
    assert set(expert.get_params()) == {"estimator", "fold_estimators", "target_shape"}
    assert expert.n_features_in_ == 3
    assert list(expert.feature_names_in_) == ["a", "b", "c"]
    assert expert.__sklearn_tags__().input_tags.allow_nan
    assert not hasattr(regressor().fit(X, Y).experts_[0], "feature_names_in_")
