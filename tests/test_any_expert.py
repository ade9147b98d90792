"""Any expert, any gate: all that scikit-learn ships, wrappers around it, and how weights arrive.

Every regressor and classifier is fitted as an expert, and every classifier as a gate, on a small
table. The few that are refused stand in `REFUSED` with the reason.
"""

import inspect
import pickle
import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.feature_selection import RFE, SelectFromModel, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import (
    Lasso,
    LogisticRegression,
    MultiTaskLasso,
    RANSACRegressor,
    Ridge,
    RidgeCV,
)
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import BernoulliNB
from sklearn.neighbors import (
    KNeighborsRegressor,
    RadiusNeighborsClassifier,
    RadiusNeighborsRegressor,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import all_estimators
from sklearn.utils.validation import has_fit_parameter

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, SoftmaxGate
from sklearn_moe._templates import seeded_clone
from sklearn_moe.gates import ClassifierGate
from sklearn_moe.weighting._fit import fit_weighted, systematic_sample
from sklearn_moe.weighting._plan import DRAWS_BY_WEIGHT

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few iterations, of the EM and of an MLP
    ),
    pytest.mark.filterwarnings(
        "ignore:Class PassiveAggressive:FutureWarning"  # listed by all_estimators until 1.10
    ),
    pytest.mark.filterwarnings(
        "ignore:y contains no unlabeled samples"  # SelfTrainingClassifier, whose rows are labelled
    ),
    pytest.mark.filterwarnings(
        "ignore:The (default value|fitted attributes|`scoring`).*:FutureWarning"  # its own default
    ),
]

REFUSED = {
    "ClassifierChain": "several targets only",
    "MultiOutputClassifier": "several targets only",
}
# Estimators that need two targets; `table` knows those that need other features.
TWO_TARGETS = {
    "MultiOutputRegressor",
    "MultiTaskElasticNet",
    "MultiTaskElasticNetCV",
    "MultiTaskLasso",
    "MultiTaskLassoCV",
    "RegressorChain",
}
# Their estimator has another name in scikit-learn 1.6, and both, neither required, in 1.7 and 1.8.
CHAINS = {"ClassifierChain", "RegressorChain"}
SETTINGS = {
    "CategoricalNB": {"min_categories": 5},
    "CCA": {"n_components": 1},
    "HistGradientBoostingClassifier": {"max_iter": 5},
    "HistGradientBoostingRegressor": {"max_iter": 5},
    "IsotonicRegression": {"out_of_bounds": "clip"},
    "ElasticNetCV": {"cv": 2, "eps": 0.1},
    "LassoCV": {"cv": 2, "eps": 0.1},
    "MultiTaskElasticNetCV": {"cv": 2, "eps": 0.1},
    "MultiTaskLassoCV": {"cv": 2, "eps": 0.1},
    "CalibratedClassifierCV": {"cv": 2},
    "MLPClassifier": {"hidden_layer_sizes": (5,), "max_iter": 20},
    "MLPRegressor": {"hidden_layer_sizes": (5,), "max_iter": 20},
    "LogisticRegressionCV": {"cv": 2, "Cs": 3},
    "NuSVC": {"nu": 0.1},
    "OutputCodeClassifier": {"code_size": 5},  # a short random code may not tell classes apart
    "PLSCanonical": {"n_components": 1},
    "QuantileRegressor": {"alpha": 0.01},
    "RadiusNeighborsClassifier": {"outlier_label": "most_frequent"},
    "RadiusNeighborsRegressor": {"radius": 5.0},
    "StackingClassifier": {"final_estimator": LogisticRegression(), "cv": 2},
    "StackingRegressor": {"final_estimator": Ridge(), "cv": 2},
    "TheilSenRegressor": {"max_subpopulation": 50},
    "TunedThresholdClassifierCV": {"cv": 2, "thresholds": 5},
}
FEW = {
    "max_iter": 2,
    "n_init": 1,
    "cv": 3,
    "init": "principal",
    "random_state": 0,
    "verdict": False,
}


def names(kind):
    return [name for name, _ in all_estimators(type_filter=kind)]


def build(name, kind):
    """The estimator of that name, small and fast."""
    cls = dict(all_estimators(type_filter=kind))[name]
    base = Ridge() if kind == "regressor" else LogisticRegression()
    known = inspect.signature(cls).parameters
    settings = {"n_estimators": 5} if "n_estimators" in known else {}
    for given in ("estimator", "base_estimator"):
        if given in known and known[given].default is inspect.Parameter.empty:
            settings[given] = base
    if name == "SelfTrainingClassifier" or (name in CHAINS and "estimator" in known):
        settings["estimator"] = base
    if "estimators" in known:
        settings["estimators"] = [("a", base), ("b", clone(base))]
    return cls(**{**settings, **SETTINGS.get(name, {})})


def table(name="", n=180):
    """Two regions along two correlated columns; positive X and y; both classes everywhere."""
    rng = np.random.default_rng(0)
    n = 3 * n if name == "QuadraticDiscriminantAnalysis" else n  # a covariance for each class
    side = rng.uniform(size=n)
    X = np.column_stack([side, side + 0.05 * rng.normal(size=n), rng.uniform(size=n)]) + 1.0
    flip = rng.uniform(size=n) < 0.3
    up = side > 0.5
    y = np.where(up, 2 + 3 * X[:, 2], 9 - 3 * X[:, 2]) + 0.1 * rng.normal(size=n)
    labels = np.where((X[:, 2] > 1.5) ^ up ^ flip, "yes", "no")
    if name == "CategoricalNB":
        X = np.clip(np.rint(4 * (X - 1.0)), 0, 4).astype(int)
    if name == "IsotonicRegression":
        X = X[:, :1]
    if name == "SelfTrainingClassifier":
        labels = labels.astype(object)
    return X, (np.column_stack([y, 2 * y]) if name in TWO_TARGETS else y), labels


def regressor(expert=None, n_experts=2, **settings):
    return MixtureOfExpertsRegressor(expert, n_experts, **{**FEW, **settings})


def classifier(expert=None, n_experts=2, **settings):
    return MixtureOfExpertsClassifier(expert, n_experts, **{**FEW, **settings})


def check_whole_life(mixture, X, y):
    """Fit a clone, predict, pickle, predict again."""
    mixture = clone(mixture).fit(X, y)
    said = mixture.predict(X)
    assert said.shape == y.shape
    assert said.dtype.kind != "f" or np.isfinite(said).all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mixture)).predict(X), said)
    np.testing.assert_allclose(mixture.gate_proba(X).sum(axis=1), 1.0)
    return mixture


# They take weights through what they hold, not by a parameter of `fit`.
FORWARDING = {
    "FixedThresholdClassifier",
    "OneVsOneClassifier",
    "OneVsRestClassifier",
    "OutputCodeClassifier",
    "RegressorChain",
    "SelfTrainingClassifier",
    "StackingClassifier",
    "StackingRegressor",
    "TunedThresholdClassifierCV",
    "VotingClassifier",
    "VotingRegressor",
}


def expected_mode(name, expert):
    takes = name in FORWARDING or has_fit_parameter(expert, "sample_weight")
    return "sample_weight" if takes else "resample"


# Everything that scikit-learn ships, as an expert.


@pytest.mark.parametrize("name", names("regressor"))
def test_every_regressor_is_an_expert(name):
    X, y, _ = table(name)
    expert = build(name, "regressor")
    mixture = check_whole_life(regressor(expert), X, y)
    assert mixture.weight_modes_ == [expected_mode(name, expert)] * 2
    assert mixture.experts_[0] is not mixture.experts_[1]


@pytest.mark.parametrize("name", [n for n in names("classifier") if n not in REFUSED])
def test_every_classifier_is_an_expert(name):
    X, _, labels = table(name)
    expert = build(name, "classifier")
    mixture = check_whole_life(classifier(expert), X, labels)
    assert mixture.weight_modes_ == [expected_mode(name, expert)] * 2
    proba = mixture.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
@pytest.mark.parametrize("routing", [False, True])
def test_weights_change_every_fit(kind, routing):
    unmoved = []
    for name in set(names(kind)) - set(REFUSED):
        X, y, _ = table(name)
        X = np.round(X, 1)  # copies with unlike targets: no tree can remember them all
        high = y.reshape(len(y), -1)[:, 0] > 5
        weight = np.where(high, 2.2, 0.4)
        y = y if kind == "regressor" else np.where(high, "yes", "no").astype(object)
        with config_context(enable_metadata_routing=routing):
            even, uneven = (says(name, kind, X, y, w) for w in (np.ones(len(y)), weight))
        unmoved += [name] * np.allclose(even, uneven)
    assert unmoved == []


def says(name, kind, X, y, weight):
    """What the estimator predicts after a fit under `weight`, probabilities if it has them."""
    expert = seeded_clone(build(name, kind), seed=0)
    expert = fit_weighted(expert, X, y, weight, np.arange(len(y)), labelled=kind != "regressor")
    query = next(q for q in ("predict_proba", "decision_function", "predict") if hasattr(expert, q))
    said = np.asarray(getattr(expert, query)(X))
    return said if said.dtype.kind == "f" else said == y[0]


# Everything that scikit-learn ships, as a gate.


def gives_probabilities(name):
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        return hasattr(build(name, "classifier"), "predict_proba")


CLASSIFIERS = names("classifier")
GATES = [name for name in CLASSIFIERS if gives_probabilities(name) and name not in REFUSED]


@pytest.mark.parametrize("name", GATES)
def test_every_classifier_with_probabilities_is_a_gate(name):
    X, y, _ = table(name)
    mixture = check_whole_life(regressor(gate=build(name, "classifier")), X, y)
    gate = mixture.gate_.classifier_
    assert type(gate).__name__ == name
    assert set(gate.classes_) == {0, 1}


@pytest.mark.parametrize("name", [n for n in CLASSIFIERS if not gives_probabilities(n)])
def test_classifier_without_probabilities_is_no_gate(name):
    X, y, _ = table()
    with pytest.raises(TypeError, match=r"(?s)gate=.*cannot give probabilities"):
        regressor(gate=build(name, "classifier")).fit(X, y)


def columns(X):
    return X[:, [0, 1]]


COMPOSITE_GATES = {
    "mlp": MLPClassifier((5,), max_iter=20, learning_rate_init=0.05),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
    "chosen columns": make_pipeline(
        ColumnTransformer([("keep", "passthrough", [0, 2])]), SoftmaxGate()
    ),
    "function": make_pipeline(FunctionTransformer(columns), SoftmaxGate(alpha=0.1)),
    "searched": GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
}


@pytest.mark.parametrize("name", COMPOSITE_GATES)
def test_composite_gate(name):
    X, y, _ = table()
    mixture = check_whole_life(regressor(gate=COMPOSITE_GATES[name]), X, y)
    assert mixture.gate_proba(X).std(axis=0).max() > 0.01


def test_pipeline_gate_looks_at_its_columns_only():
    X, y, _ = table()
    mixture = regressor(gate=COMPOSITE_GATES["function"]).fit(X, y)
    moved = X.copy()
    moved[:, 2] += 5.0
    np.testing.assert_array_equal(mixture.gate_proba(moved), mixture.gate_proba(X))


# A gate learns from soft targets.

SOFT = {
    "softmax": SoftmaxGate(),
    "logistic": ClassifierGate(LogisticRegression()),
    "bayes": ClassifierGate(BernoulliNB()),
    "tree": ClassifierGate(DecisionTreeClassifier()),
    "boosting": ClassifierGate(HistGradientBoostingClassifier(max_iter=20)),
    "resampled": ClassifierGate(RadiusNeighborsClassifier()),
    "pipeline": ClassifierGate(make_pipeline(StandardScaler(), LogisticRegression())),
}


@pytest.mark.parametrize("name", SOFT)
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_gate_learns_soft_targets_not_argmax(name, scale):
    X = np.ones((200, 2))
    gate = clone(SOFT[name]).fit(X, np.tile([0.7 * scale, 0.3 * scale], (200, 1)))
    np.testing.assert_allclose(gate.predict_proba(X[:3]), [[0.7, 0.3]] * 3, atol=0.02)


def test_gate_of_one_label_is_a_constant():
    gate = ClassifierGate(LogisticRegression()).fit(np.arange(20.0)[:, None], np.eye(2)[[0] * 20])
    proba = gate.predict_proba(np.zeros((1, 1)))
    assert proba[0, 0] > 0.9
    assert proba[0, 1] > 0.0


# Weights arrive.


class Recorder(RegressorMixin, BaseEstimator):
    """A mean that remembers the rows and weights it was given."""

    def fit(self, X, y, sample_weight=None):
        self.rows_ = np.asarray(X)[:, 0]
        self.weight_ = np.ones(len(X)) if sample_weight is None else sample_weight
        self.mean_ = np.average(y, axis=0, weights=self.weight_)
        return self

    def predict(self, X):
        return np.full((len(X), *np.shape(self.mean_)), self.mean_)


class Counter(Recorder):
    """The same, but it takes no weights."""

    def fit(self, X, y):
        return super().fit(X, y)


class LabelRecorder(ClassifierMixin, Recorder):
    """A classifier that says the same of all rows."""

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        return super().fit(X, np.searchsorted(self.classes_, y), sample_weight)

    def predict_proba(self, X):
        return np.tile([1.0 - self.mean_, self.mean_], (len(X), 1))

    def predict(self, X):
        return self.classes_[np.full(len(X), int(self.mean_ > 0.5))]


# The expert, and how the recorder is found in it once fitted.
RECORDED = {
    "bare": (Recorder(), lambda e: e),
    "pipeline": (make_pipeline(SelectFromModel(Lasso(0.01)), Recorder()), lambda e: e[-1]),
    "nested": (make_pipeline("passthrough", make_pipeline(Recorder())), lambda e: e[-1][-1]),
    "target": (TransformedTargetRegressor(Recorder()), lambda e: e.regressor_),
    "target of pipeline": (
        TransformedTargetRegressor(make_pipeline("passthrough", Recorder())),
        lambda e: e.regressor_[-1],
    ),
    "search": (GridSearchCV(Recorder(), {}, cv=2), lambda e: e.best_estimator_),
    "scored search": (
        GridSearchCV(Recorder(), {}, cv=2, scoring="neg_mean_absolute_error"),
        lambda e: e.best_estimator_,
    ),
    "vote": (VotingRegressor([("a", Recorder()), ("b", Ridge())]), lambda e: e.estimators_[0]),
    "hierarchy": (regressor(Recorder(), 1), lambda e: e),
    "mixture in a pipeline": (
        make_pipeline("passthrough", regressor(Recorder(), 1)),
        lambda e: e[-1].experts_[0],
    ),
}


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("routing", [False, True])
def test_weights_arrive_and_are_shared_out(name, routing):
    expert, recorder = RECORDED[name]
    X, y, _ = table()
    X = np.column_stack([np.arange(len(X)), X])
    weight = np.linspace(0.5, 2.0, len(X))
    with config_context(enable_metadata_routing=routing):
        mixture = regressor(expert, min_responsibility=0.0).fit(X, y, sample_weight=weight)
    assert mixture.weight_modes_ == ["sample_weight"] * 2
    heard = [recorder(fitted) for fitted in mixture.experts_]
    np.testing.assert_allclose(sum(r.weight_ for r in heard), weight, rtol=1e-9)
    assert np.ptp(heard[0].weight_ / weight) > 0.1


def test_weights_arrive_through_one_versus_rest():
    X, _, labels = table()
    expert = OneVsRestClassifier(LabelRecorder())
    mixture = classifier(expert, min_responsibility=0.0).fit(X, labels)
    heard = [fitted.estimators_[0] for fitted in mixture.experts_]
    np.testing.assert_allclose(sum(r.weight_ for r in heard), np.ones(len(X)), rtol=1e-9)


@pytest.mark.parametrize("wrap", [lambda e: e, TransformedTargetRegressor, make_pipeline])
def test_without_weights_rows_are_counted(wrap):
    X, y, _ = table()
    X[:, 0] = np.arange(len(X))
    weight = np.tile([1.0, 2.0, 3.0], len(X) // 3)
    expert = wrap(Counter())
    fitted = regressor(expert, n_experts=1).fit(X, y, sample_weight=weight).experts_[0]
    counter = getattr(fitted, "regressor_", fitted[-1] if wrap is make_pipeline else fitted)
    np.testing.assert_array_equal(np.bincount(counter.rows_.astype(int)), weight)


def test_resample_shares_rows_out():
    X, y, _ = table()
    X[:, 0] = np.arange(len(X))
    weight = np.full(len(X), 3.0)
    mixture = regressor(Counter(), min_responsibility=0.0).fit(X, y, sample_weight=weight)
    counts = [np.bincount(e.rows_.astype(int), minlength=len(X)) for e in mixture.experts_]
    assert np.abs(sum(counts) - weight).max() < 2
    np.testing.assert_allclose([c.sum() for c in counts], mixture.expert_mass_, atol=0.51)
    assert mixture.weight_modes_ == ["resample"] * 2


@pytest.mark.parametrize(
    "part",
    [
        {"experts": KNeighborsRegressor(2)},
        {"gate": KNeighborsRegressor(2)},
        {"gate": LinearDiscriminantAnalysis()},
    ],
    ids=str,
)
def test_weights_that_would_be_too_many_rows_are_refused(part):
    X, y, _ = table(n=40)
    mixture = MixtureOfExpertsRegressor(n_init=1, max_iter=1, verdict=False, tol=1e9, **part)
    mixture.fit(X, y, sample_weight=np.full(40, 100.0))
    with pytest.raises(ValueError, match=r"(?s)(KN|Linear).*takes no sample_weight.*by its mean"):
        mixture.fit(X, y, sample_weight=np.full(40, 1e4))


def test_a_few_heavy_rows_may_be_many():
    assert len(systematic_sample(np.full(6, 1e4), np.arange(6))) == 60_000


def test_systematic_sample_stays_within_one_of_the_weight():
    rng = np.random.default_rng(0)
    weight, rank = rng.uniform(0, 3, size=200), rng.permutation(200)
    counts = np.bincount(systematic_sample(weight, rank), minlength=200)
    assert np.abs(counts - weight).max() < 1
    assert abs(counts.sum() - weight.sum()) <= 0.5 + 1e-6


def test_rounding_draws_no_row_away_from_a_systematic_sample():
    half, rank = np.full(4, 0.5), np.arange(4)
    below = systematic_sample(half * (1 - 1e-12), rank)
    np.testing.assert_array_equal(below, systematic_sample(half, rank))


def test_of_rows_that_weigh_next_to_nothing_the_heaviest_is_drawn():
    assert systematic_sample(np.array([0.0, 0.1, 0.2, 0.1]), np.arange(4)).tolist() == [2]


def test_a_systematic_sample_is_in_the_order_of_the_rank():
    sampled = systematic_sample(np.array([1.0, 2.0, 1.0]), np.array([2, 0, 1]))
    assert sampled.tolist() == [1, 1, 2, 0]


def test_the_heaviest_row_is_drawn_whatever_its_rank():
    assert systematic_sample(np.array([0.0, 0.1, 0.2, 0.1]), np.array([3, 2, 0, 1])).tolist() == [2]


@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_experts_that_take_no_weights_see_rows_in_order_of_content(weight):
    X = np.arange(20.0)[:, None]
    fitted = fit_weighted(Counter(), X, X[:, 0], np.full(20, weight), np.arange(20)[::-1])
    np.testing.assert_array_equal(fitted.rows_, np.repeat(X[::-1, 0], int(weight)))


class ToldRecorder(Recorder):
    """A recorder that is told something of each row."""

    def fit(self, X, y, sample_weight=None, told=None):
        self.told_ = told
        return super().fit(X, y, sample_weight)


class ToldCounter(Counter):
    """The same, but it takes no weights."""

    def fit(self, X, y, told=None):
        self.told_ = told
        return super().fit(X, y)


@pytest.mark.parametrize("expert", [ToldRecorder(), ToldCounter()], ids=["weighted", "resampled"])
@pytest.mark.parametrize("weight", [[1.0], [0.0, 1.0], [0.0, 0.5, 2.0]], ids=str)
def test_what_is_told_of_rows_goes_with_them(expert, weight):
    X, rank = np.arange(24.0)[:, None], np.arange(24)[::-1]
    weight = np.tile(weight, 24 // len(weight))
    fitted = fit_weighted(clone(expert), X, X[:, 0], weight, rank, {"told": X[:, 0]})
    np.testing.assert_array_equal(fitted.told_, fitted.rows_)


def with_request(estimator, answer):
    """The estimator with the user's own request about weights."""
    with config_context(enable_metadata_routing=True):
        return estimator.set_fit_request(sample_weight=answer)


KNN, SCALER = KNeighborsRegressor(2), StandardScaler()
COLUMNS = ColumnTransformer([("scaled", SCALER, [0, 1])])
BY_NEIGHBOURS = SequentialFeatureSelector(KNN, n_features_to_select=2, cv=2)
MODES = [
    (make_pipeline(SCALER, Ridge()), "sample_weight"),
    (make_pipeline(SCALER, KNN), "resample"),
    (make_pipeline(SCALER, make_pipeline(SCALER, KNN)), "resample"),
    (make_pipeline(SCALER, AdaBoostRegressor(n_estimators=3)), "sample_weight"),
    (make_pipeline(COLUMNS, HistGradientBoostingRegressor(max_iter=3)), "sample_weight"),
    (make_pipeline(SCALER, RANSACRegressor()), "sample_weight"),
    (make_pipeline(SCALER, RidgeCV(cv=2)), "sample_weight"),
    (VotingRegressor([("a", Ridge()), ("b", KNN)]), "resample"),
    (VotingRegressor([("a", Ridge()), ("b", Lasso())]), "sample_weight"),
    (StackingRegressor([("a", Ridge()), ("b", KNN)], Ridge(), cv=2), "resample"),
    (StackingRegressor([("a", Ridge()), ("b", Lasso())], KNN, cv=2), "resample"),
    (StackingRegressor([("a", Ridge()), ("b", Lasso())], Ridge(), cv=2), "sample_weight"),
    (TransformedTargetRegressor(KNN), "resample"),
    (TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp), "sample_weight"),
    (BaggingRegressor(KNN, n_estimators=3), "resample"),
    (
        BaggingRegressor(make_pipeline(SCALER, Ridge()), n_estimators=3),
        "sample_weight" if DRAWS_BY_WEIGHT else "resample",
    ),
    (GridSearchCV(KNN, {"n_neighbors": [1, 2]}, cv=2), "resample"),
    (GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2, scoring="r2"), "sample_weight"),
    (RFE(Ridge(), n_features_to_select=2), "sample_weight"),
    (with_request(Ridge(), True), "sample_weight"),
    (with_request(Ridge(), False), "resample"),
    (with_request(Ridge(), "importance"), "resample"),
    (make_pipeline(SCALER, with_request(Ridge(), "importance")), "resample"),
    (FrozenEstimator(Ridge().fit(*table()[:2])), "resample"),
    (VotingRegressor([("a", make_pipeline(BY_NEIGHBOURS, Ridge()))]), "sample_weight"),
]


@pytest.mark.parametrize(("expert", "mode"), MODES)
def test_composite_expert(expert, mode):
    X, y, _ = table()
    mixture = check_whole_life(regressor(expert), X, y)
    assert mixture.weight_modes_ == [mode] * 2


def test_model_selection_inside_an_expert_is_weighted():
    X, y, _ = table()
    y = np.where(X[:, 0] > 1.5, 10 * X[:, 2], 5.0)
    search = GridSearchCV(Ridge(), {"alpha": [1e-3, 1e6]}, cv=2, scoring="r2")
    weight = np.where(X[:, 0] > 1.5, 1e-6, 0.9)
    fitted = fit_weighted(search, X, y + 0.1 * X[:, 1], weight, np.arange(len(y)))
    assert fitted.scorer_._get_metadata_request().score.requests["sample_weight"] is True


# Other ways to hand over experts.


def test_heterogeneous_list():
    X, y, _ = table()
    experts = [("ridge", Ridge()), ("knn", KNN), ("tree", DecisionTreeRegressor(max_depth=3))]
    mixture = check_whole_life(regressor(experts), X, y)
    modes = dict(zip(mixture.expert_names_, mixture.weight_modes_, strict=True))
    wanted = {"ridge": "sample_weight", "knn": "resample", "tree": "sample_weight"}
    assert modes == {name: wanted[name] for name in modes}


def test_two_targets():
    X, y, _ = table()
    Y = np.column_stack([y, -y])
    for expert in (MultiOutputRegressor(Lasso(0.01)), MultiOutputRegressor(KNN), Ridge()):
        assert check_whole_life(regressor(expert), X, Y).predict(X).shape == Y.shape


def test_hierarchy():
    X, y, labels = table()
    assert check_whole_life(regressor(regressor(Ridge())), X, y).score(X, y) > 0.8
    nested = classifier(classifier(LogisticRegression()))
    assert check_whole_life(nested, X, labels).predict_proba(X).shape == (len(X), 2)


@pytest.mark.parametrize("place", ["expert", "within", "gate"])
def test_scalers_have_nothing_to_say_of_constant_columns(place):
    """Under weights, rounding makes the variance of such a column less than zero."""
    table = np.random.default_rng(0).normal(size=(150, 3))
    y = np.where(table[:, 0] > 0, 3 * table[:, 1], -2 * table[:, 2])
    steps = [PolynomialFeatures(2), StandardScaler()]  # the first is a column of ones
    steps = [make_pipeline(*steps)] if place == "within" else steps
    expert, gate = make_pipeline(*steps, Ridge()), None
    if place == "gate":
        expert, gate = Ridge(), make_pipeline(*steps, SoftmaxGate())
    params = {"gate": gate, "n_init": 1, "max_iter": 3, "verdict": False, "random_state": 0}
    model = MixtureOfExpertsRegressor(expert, 2, **params).fit(table, y)
    assert np.isfinite(model.predict(table)).all()


def test_frozen_expert_is_not_fitted_again():
    X, y, _ = table()
    frozen = FrozenEstimator(Ridge().fit(X[:40], y[:40]))
    mixture = regressor([("frozen", frozen), ("free", Ridge())]).fit(X, y)
    np.testing.assert_array_equal(mixture.predict_experts(X)[:, 0], frozen.predict(X))


def test_hard_votes_where_there_are_no_probabilities():
    X, _, labels = table()
    said = classifier(SVC()).fit(X, labels).predict_experts(X)
    assert set(np.unique(said)) == {0.0, 1.0}


@pytest.mark.parametrize("expert", [LogisticRegression(), LinearDiscriminantAnalysis()])
def test_region_of_one_class_makes_a_constant(expert):
    X, _, _ = table()
    labels = np.where(X[:, 0] > 1.5, "a", np.where(X[:, 2] > 1.5, "b", "a"))
    weight = np.where(labels == "a", 1.0, 0.0)
    fitted = fit_weighted(expert, X, labels, weight, np.arange(len(X)), labelled=True)
    assert isinstance(fitted, DummyClassifier)


def test_sample_that_misses_a_class_makes_a_constant():
    X, _, labels = table()
    weight = np.where(labels == "yes", 1.0, 1e-6)
    fitted = fit_weighted(
        LinearDiscriminantAnalysis(), X, labels, weight, np.arange(len(X)), labelled=True
    )
    np.testing.assert_array_equal(fitted.predict(X[:2]), ["yes", "yes"])


# Refusals say which part failed, and why.

BAD_EXPERTS = [
    (MultiTaskLasso(), "'expert0' \\(MultiTaskLasso\\) failed to fit .* mono-task"),
    (MultiOutputRegressor(Ridge()), "'expert0' \\(MultiOutputRegressor\\) failed to fit"),
    (IsotonicRegression(), "'expert0' .* 1 feature"),
    (RadiusNeighborsRegressor(radius=1e-9), "'expert0' .* failed to predict: .* NaN"),
]


@pytest.mark.filterwarnings("ignore:One or more samples have no neighbors")
@pytest.mark.parametrize(("expert", "message"), BAD_EXPERTS)
def test_unfit_expert_is_named(expert, message):
    X, y, _ = table()
    with pytest.raises(ValueError, match=message) as caught:
        regressor(expert).fit(X, y)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("name", REFUSED)
def test_refused_classifier_is_named(name):
    X, y, labels = table()
    with pytest.raises(ValueError, match=f"Expert 'expert0' .{name}. failed to fit"):
        classifier(build(name, "classifier")).fit(X, labels)
    with pytest.raises(ValueError, match=f"(?s)gate={name}.* failed to fit"):
        regressor(gate=build(name, "classifier")).fit(X, y)


def test_frozen_classifiers_are_kept_whatever_they_know():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 2))
    y = np.where((X[:, 0] < 0) & (X[:, 1] > 0), "b", "a")
    left = LogisticRegression().fit(X, np.where(X[:, 1] > 0, "b", "a"))
    other = LogisticRegression().fit(X, np.where(X[:, 1] > 0, "c", "a"))
    scaled = make_pipeline(StandardScaler(), FrozenEstimator(other))
    named = [("left", FrozenEstimator(left)), ("right", scaled)]
    moe = MixtureOfExpertsClassifier(named, random_state=0, verdict=False).fit(X, y)
    assert [type(expert) for expert in moe.experts_] == [FrozenEstimator, Pipeline]
    said = moe.predict_experts(X)
    np.testing.assert_allclose(said[:, 0], left.predict_proba(X))
    np.testing.assert_allclose(said[:, 1], [[1.0, 0.0]] * 200)
    assert moe.score(X, y) > 0.9


class Stranger(ClassifierMixin, BaseEstimator):
    """It votes for what it was not told of."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), 7)


def test_a_label_that_is_no_class_is_refused():
    X, y = table()[:2]
    with pytest.raises(ValueError, match=r"Stranger predicted \[7\], which is no class"):
        MixtureOfExpertsClassifier(Stranger(), random_state=0).fit(X, y > np.median(y))


def test_votes_of_a_frozen_classifier_for_other_classes_count_for_none():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 2))
    y = np.where(X[:, 0] > 0, "b", "a")
    more = LinearSVC().fit(X, np.where(X[:, 1] > 1, "c", y))
    named = [("frozen", FrozenEstimator(more)), ("free", LogisticRegression())]
    moe = MixtureOfExpertsClassifier(named, random_state=0, verdict=False).fit(X, y)
    said = moe.predict_experts(X)[:, 0]
    np.testing.assert_array_equal(said[more.predict(X) == "c"], 0.5)
    np.testing.assert_array_equal(said[more.predict(X) == "b", 1], 1.0)
    other = FrozenEstimator(LogisticRegression().fit(X, y == "b"))
    with pytest.raises(ValueError, match="and none of those of y"):
        MixtureOfExpertsClassifier([("frozen", other), named[1]], random_state=0).fit(X, y)


class Unsorted(ClassifierMixin, BaseEstimator):
    """A tree that lists its classes from the last to the first."""

    def fit(self, X, y, sample_weight=None):
        self.tree_ = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y, sample_weight)
        self.classes_ = self.tree_.classes_[::-1]
        return self

    def predict(self, X):
        return self.tree_.predict(X)


class UnsortedProba(Unsorted):
    def predict_proba(self, X):
        return self.tree_.predict_proba(X)[:, ::-1]


@pytest.mark.parametrize("kind", [Unsorted, UnsortedProba])
def test_classes_may_be_in_any_order(kind):
    X, y = table()[:2]
    labels = np.where(y > np.median(y), "high", "low")
    moe = MixtureOfExpertsClassifier(kind(), n_experts=1).fit(X, labels)
    np.testing.assert_array_equal(moe.predict(X), moe.experts_[0].predict(X))
