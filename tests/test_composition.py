"""A mixture among scikit-learn's tools: parameters, searches, display, splitters, metadata."""

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeCV
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    RepeatedKFold,
    ShuffleSplit,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler, TargetEncoder
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import estimator_html_repr

from sklearn_moe import (
    CrossFittedPredictions,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SoftmaxGate,
)
from sklearn_moe._content import group_ids, row_hashes
from sklearn_moe._folds import group_folds
from sklearn_moe.gates import ClassifierGate, RegressorGate
from sklearn_moe.weighting import _requests

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
FEW = {"max_iter": 3, "n_init": 1, "cv": 3, "init": "principal", "verdict": False}
FEW["random_state"] = 0
RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
Y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1] + 0.1 * RNG.normal(size=120)
GROUPS = np.arange(120) // 20
PAIR = [("line", Ridge()), ("tree", DecisionTreeRegressor(max_depth=2, random_state=0))]


def regressor(experts=None, **params):
    return MixtureOfExpertsRegressor(experts, **{**FEW, **params})


# Parameters.


def test_parameters_of_a_cloned_expert():
    moe = regressor(Ridge(), gate=SoftmaxGate())
    moe.set_params(experts__alpha=5.0, gate__alpha=2.0, n_experts=3).fit(X, Y)
    assert moe.get_params()["experts__alpha"] == 5.0
    assert [expert.alpha for expert in moe.experts_] == [5.0] * 3
    assert moe.gate_.alpha == 2.0


def test_parameters_of_named_experts():
    moe = regressor(clone_pair())
    moe.set_params(line__alpha=5.0, tree=Ridge(3.0)).fit(X, Y)
    assert [expert.alpha for expert in moe.experts_] == [5.0, 3.0]
    assert moe.expert_names_ == ["line", "tree"]
    assert moe.get_params()["tree__alpha"] == 3.0
    assert "line__alpha" not in moe.get_params(deep=False)


def test_dropped_expert_is_left_out():
    moe = regressor(clone_pair()).set_params(tree="drop").fit(X, Y)
    assert moe.n_experts_ == 1
    np.testing.assert_allclose(moe.predict(X), Ridge().fit(X, Y).predict(X))
    with pytest.raises(ValueError, match="'drop'"):
        moe.set_params(line="drop").fit(X, Y)


def test_unknown_parameter_is_named():
    with pytest.raises(ValueError, match="n_expert"):
        regressor().set_params(n_expert=3)


def test_clone_and_fit_leave_parameters_alone():
    moe = regressor(clone_pair(), gate=LogisticRegression())
    copy = clone(moe)
    assert copy.experts[0][1] is not moe.experts[0][1]
    before = str(moe.get_params())
    moe.fit(X, Y)
    assert str(moe.get_params()) == before
    assert not hasattr(moe.experts[0][1], "coef_")


def clone_pair():
    return [(name, clone(expert)) for name, expert in PAIR]


# Searches, pipelines, display.


def test_grid_search():
    grid = {"moe__n_experts": [1, 2], "moe__experts__alpha": [0.1, 10.0], "moe__gate__alpha": [1.0]}
    pipe = make_pipeline(StandardScaler(), regressor(Ridge(), gate=SoftmaxGate(), tol=1e-2))
    pipe.steps[1] = ("moe", pipe.steps[1][1])
    search = GridSearchCV(pipe, grid, cv=2).fit(X, Y)
    assert search.best_params_["moe__n_experts"] == 2
    assert search.best_estimator_["moe"].n_experts_ == 2


def test_cross_validation():
    pipe = make_pipeline(StandardScaler(), regressor(max_iter=50, init="kmeans_x"))
    assert cross_val_score(pipe, X, Y, cv=3).mean() > 0.6
    labels = np.where(Y > 0, "yes", "no")
    moe = MixtureOfExpertsClassifier(**FEW)
    proba = cross_val_predict(moe, X, labels, cv=3, method="predict_proba")
    assert proba.shape == (120, 2)


def test_frames_of_a_pipeline_reach_the_mixture():
    pipe = make_pipeline(StandardScaler(), regressor()).set_output(transform="pandas").fit(X, Y)
    assert list(pipe[-1].feature_names_in_) == ["x0", "x1", "x2", "x3"]
    np.testing.assert_allclose(pipe.predict(X), make_pipeline(*pipe).fit(X, Y).predict(X))


def test_diagram_shows_all_parts():
    moe = regressor(PAIR, gate=LogisticRegression(), dispersion_estimator=LinearRegression())
    for state in (moe, clone(moe).fit(X, Y)):
        html = estimator_html_repr(state)
        for part in (
            "line",
            "tree",
            "gate",
            "Ridge",
            "DecisionTreeRegressor",
            "LogisticRegression",
            "dispersion_estimator",
            "LinearRegression",
        ):
            assert part in html


# Splitters and metadata.

SPLITTERS = {
    "splitter": KFold(4, shuffle=True, random_state=0),
    "splits": list(KFold(4).split(X)),
    "masks": [(k != GROUPS, k == GROUPS) for k in range(6)],
}


@pytest.mark.parametrize("kind", SPLITTERS)
def test_splitters(kind):
    moe = regressor(cv=SPLITTERS[kind], verdict=True).fit(X, Y)
    assert np.isfinite([moe.lower_bound_, moe.gain_, moe.gain_stderr_]).all()


@pytest.mark.parametrize("splitter", [GroupKFold(3), LeaveOneGroupOut()], ids=str)
@pytest.mark.parametrize("routing", [False, True])
def test_groups_reach_the_splitter(splitter, routing):
    with config_context(enable_metadata_routing=routing):
        moe = regressor(cv=splitter, verdict=True).fit(X, Y, groups=GROUPS)
    explicit = regressor(cv=list(splitter.split(X, groups=GROUPS))).fit(X, Y)
    assert moe.lower_bounds_ == explicit.lower_bounds_
    assert moe.gain_stderr_ > 0


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored by KFold")
@pytest.mark.parametrize("routing", [False, True])
def test_groups_are_taken_where_folds_do_not_heed_them(routing):
    with config_context(enable_metadata_routing=routing):
        moe = regressor(cv=KFold(3), verdict=True, calibrate=None).fit(X, Y, groups=GROUPS)
        regressor(cv=None).fit(X, Y, groups=GROUPS)
    apart = regressor(cv=KFold(3), verdict=True, calibrate=None).fit(X, Y)
    assert moe.gain_ == apart.gain_  # noise is calibrated where that is sure, by groups
    assert moe.gain_stderr_ != apart.gain_stderr_


@pytest.mark.parametrize("cv", [3, GroupKFold(3)], ids=str)
@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame], ids=["array", "frame"])
def test_groups_may_be_a_column(make, cv):
    moe = regressor(cv=cv).fit(X, Y, groups=make(GROUPS[:, None]))
    assert moe.lower_bounds_ == regressor(cv=cv).fit(X, Y, groups=GROUPS).lower_bounds_


def test_a_splitter_may_know_groups_by_another_name():
    with config_context(enable_metadata_routing=True):
        splitter = GroupKFold(3).set_split_request(groups="patient")
        renamed = regressor(cv=splitter, verdict=True).fit(X, Y, patient=GROUPS)
        moe = regressor(cv=GroupKFold(3), verdict=True).fit(X, Y, groups=GROUPS)
    assert renamed.gain_stderr_ == moe.gain_stderr_


def test_groups_reach_folds_that_are_dealt_through_pipelines_and_searches():
    direct = regressor().fit(X, Y, groups=GROUPS)
    assert direct.lower_bounds_ != regressor().fit(X, Y).lower_bounds_
    with config_context(enable_metadata_routing=True):
        piped = make_pipeline(FunctionTransformer(), regressor()).fit(X, Y, groups=GROUPS)
        outer = GroupKFold(2)
        found = cross_validate(
            regressor(), X, Y, params={"groups": GROUPS}, cv=outer, return_estimator=True
        )
    assert piped[-1].lower_bounds_ == direct.lower_bounds_
    for model, (train, _) in zip(found["estimator"], outer.split(X, Y, GROUPS), strict=True):
        wanted = regressor().fit(X[train], Y[train], groups=GROUPS[train])
        assert model.lower_bounds_ == wanted.lower_bounds_


@pytest.mark.parametrize(
    ("splitter", "reason"),
    [
        (TimeSeriesSplit(3), "30 rows in no test fold"),
        (RepeatedKFold(n_splits=3, n_repeats=2), "120 in several"),
        (ShuffleSplit(3, random_state=0), "every row"),
        ([(np.arange(60), np.arange(60, 120))], "60 rows in no test fold"),
    ],
    ids=["time series", "repeated", "shuffle", "one split"],
)
def test_splits_that_do_not_test_each_row_once_are_refused(splitter, reason):
    with pytest.raises(ValueError, match=rf"(?s)cv=.*{reason}"):
        regressor(cv=splitter).fit(X, Y)


class Listener(Ridge):
    """Notes the metadata that its last `fit` was given, in full."""

    def fit(self, X, y, sample_weight=None, shade=None):
        self.shade_, self.rows_ = shade, X.shape[0]
        return super().fit(X, y, sample_weight=sample_weight)


class ListeningGate(SoftmaxGate):
    """A gate that takes metadata; it must see the rows itself."""

    def fit(self, X, expert_weights, shade=None):
        self.shade_ = shade
        self.proportions_ = expert_weights.sum(axis=0) / expert_weights.sum()
        return self

    def predict_log_proba(self, X):
        return np.tile(np.log(self.proportions_), (X.shape[0], 1))

    def penalty(self):
        return 0.0


@pytest.mark.parametrize("weighted", [False, True])
def test_metadata_reaches_the_parts_that_ask(weighted):
    weight = np.where(np.arange(120) < 10, 0.0, 1.0) if weighted else None
    with config_context(enable_metadata_routing=True):
        asks = Listener().set_fit_request(shade=True, sample_weight=True)
        silent = Listener().set_fit_request(shade=False, sample_weight=True)
        gate = ListeningGate().set_fit_request(shade=True)
        moe = regressor([("asks", asks), ("silent", silent)], gate=gate)
        moe.fit(X, Y, sample_weight=weight, shade=np.arange(120))
    seen = np.arange(10 if weighted else 0, 120)
    np.testing.assert_array_equal(moe.experts_[0].shade_, seen)
    np.testing.assert_array_equal(moe.gate_.shade_, seen)
    assert moe.experts_[1].shade_ is None


def test_metadata_without_routing_is_refused():
    with pytest.raises(TypeError, match=r"shade.*enable_metadata_routing"):
        regressor(Listener()).fit(X, Y, shade=np.arange(120))


def groups_of(n_folds, groups, weight=None, labels=None):
    """The folds that are dealt: for each group the one it is in."""
    groups = np.unique(groups, return_inverse=True)[1]
    weight = np.ones(len(groups)) if weight is None else weight
    mass = weight[:, None] if labels is None else np.eye(labels.max() + 1)[labels] * weight[:, None]
    fold = np.empty(len(groups), dtype=int)
    for number, (_, test) in enumerate(group_folds(n_folds, groups, mass)):
        fold[test] = number
    assert all(len(np.unique(fold[groups == group])) == 1 for group in np.unique(groups))
    return fold


def test_whole_groups_are_dealt_evenly():
    sizes = [200, 10, 10, 10, 10, 200, 10, 10, 10, 10, 10, 10]
    groups = np.repeat(np.arange(12), sizes)
    fold = groups_of(3, groups)
    assert sorted(np.bincount(fold)) == [100, 200, 200]
    order = RNG.permutation(len(groups))
    np.testing.assert_array_equal(groups_of(3, groups[order]), fold[order])
    light = np.where(groups == 0, 0.01, 1.0)
    assert np.ptp(np.bincount(groups_of(2, groups, light), weights=light)) < 120


def test_classes_are_spread_over_groups():
    groups = np.repeat([f"{k:02d}_{kind}" for k in range(30) for kind in ("case", "control")], 4)
    labels = np.array([name.endswith("case") for name in groups]).astype(int)
    for n_folds in (2, 3, 4):
        share = np.bincount(groups_of(n_folds, groups, labels=labels), weights=labels)
        assert np.ptp(share) <= 4


@pytest.mark.parametrize("routing", [False, True])
def test_a_number_of_folds_keeps_groups_together(routing):
    with config_context(enable_metadata_routing=routing):
        moe = regressor(cv=3, verdict=True).fit(X, Y, groups=GROUPS)
    fold = groups_of(3, group_ids(GROUPS, row_hashes(X, Y)))
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(3)]
    explicit = regressor(cv=splits).fit(X, Y)
    np.testing.assert_allclose(moe.lower_bounds_, explicit.lower_bounds_, rtol=1e-9)
    assert moe.lower_bound_ != regressor(cv=3).fit(X, Y).lower_bound_


def test_folds_do_not_hang_on_the_names_of_groups():
    named = np.random.default_rng(0).permutation(len(np.unique(GROUPS)))[GROUPS]
    fits = [regressor(cv=3).fit(X, Y, groups=g) for g in (GROUPS, named, GROUPS.astype(str))]
    assert fits[0].lower_bound_ == fits[1].lower_bound_ == fits[2].lower_bound_
    rows, weight = np.repeat(np.arange(len(Y)), 1 + GROUPS % 2), 1.0 + GROUPS % 2
    repeated = regressor(cv=3).fit(X[rows], Y[rows], groups=GROUPS[rows])
    weighted = regressor(cv=3).fit(X, Y, groups=GROUPS, sample_weight=weight)
    assert repeated.lower_bound_ == pytest.approx(weighted.lower_bound_, rel=1e-9)


# Warm starts on other tables.


def test_a_warm_start_may_have_other_names():
    moe, plain = (regressor(warm_start=True).fit(X, Y) for _ in range(2))
    frame = pd.DataFrame(X, columns=list("abcdefgh")[: X.shape[1]])
    named = moe.fit(frame, Y).predict(frame)
    assert list(moe.start_bounds_) == ["warm"]
    np.testing.assert_allclose(named, plain.fit(X, Y).predict(X), rtol=1e-6)
    assert list(moe.fit(X, Y).start_bounds_) == ["warm"]


def test_a_warm_start_follows_the_names_of_experts():
    lines = [(name, Ridge(alpha)) for name, alpha in zip("abc", (0.1, 1.0, 10.0), strict=True)]
    same, other = (regressor(lines, warm_start=True).fit(X, Y) for _ in range(2))
    expected = same.fit(X, Y).responsibilities(X, Y)
    assert np.abs(expected[:, 0] - expected[:, 2]).mean() > 0.1
    other.set_params(experts=[lines[2], ("d", lines[1][1]), lines[0]]).fit(X, Y)
    assert list(other.start_bounds_) == ["warm"]
    np.testing.assert_allclose(other.responsibilities(X, Y), expected[:, [2, 1, 0]], rtol=1e-6)


def test_clones_go_on_from_their_places():
    moe, again = (regressor(n_experts=3, warm_start=True).fit(X, Y) for _ in range(2))
    again.expert_names_ = ["expert0", "expert2", "expert3"]  # as if one of four had been lost
    expected = moe.fit(X, Y).responsibilities(X, Y)
    np.testing.assert_allclose(again.fit(X, Y).responsibilities(X, Y), expected)


def test_a_warm_start_that_does_not_suit_begins_anew():
    moe = regressor(warm_start=True).fit(X, Y)
    wider = np.column_stack([X, X[:, 0]])
    with pytest.warns(UserWarning, match="begins anew: X has 5 features"):
        again = moe.fit(wider, Y)
    assert list(again.start_bounds_) == ["principal"]
    np.testing.assert_allclose(again.predict(wider), regressor().fit(wider, Y).predict(wider))
    assert list(moe.fit(wider, Y).start_bounds_) == ["warm"]


def test_a_warm_start_tells_shared_experts_from_others():
    moe = MixtureOfExpertsRegressor(n_experts=3, warm_start=True, **FEW).fit(X, Y)
    moe.set_params(n_experts=2, shared_expert=Ridge()).fit(X, Y)
    assert "warm" not in moe.start_bounds_
    assert list(moe.fit(X, Y).start_bounds_) == ["warm"]
    assert "warm" not in moe.set_params(n_experts=3, shared_expert=None).fit(X, Y).start_bounds_


def test_a_warm_start_takes_the_place_of_an_array_for_another_number():
    moe = MixtureOfExpertsRegressor(n_experts="auto", warm_start=True, **FEW)
    more = moe.set_params(verdict=True).fit(X, Y).n_experts_ + 1
    moe.init = np.eye(more)[np.arange(len(X)) % more]
    assert more > 2
    assert list(moe.fit(X, Y).start_bounds_) == ["warm"]


def test_an_array_for_more_experts_than_were_kept_begins_anew():
    moe = MixtureOfExpertsRegressor(n_experts="auto", warm_start=True, random_state=0)
    moe.init = np.eye(3)[np.arange(len(X)) % 3]
    assert moe.fit(X, X[:, 0]).n_experts_ == 1
    assert list(moe.fit(X, Y).start_bounds_) == ["array"]


def test_a_warm_start_does_not_see_rows_of_no_weight():
    labels = np.where(Y > 0, "yes", "no")
    other = np.where(X[:, 1] > 1, "new", labels)
    moe = MixtureOfExpertsClassifier(warm_start=True, **FEW).fit(X, labels)
    weight = (other != "new").astype(float)
    assert list(moe.fit(X, other, sample_weight=weight).start_bounds_) == ["warm"]
    with pytest.warns(UserWarning, match=r"begins anew: y holds labels \['new'\]"):
        moe.fit(X, other)
    assert list(moe.classes_) == ["new", "no", "yes"]


# Experts that route, whatever they route to.


@pytest.mark.parametrize(
    "scoring",
    [
        ["r2", "neg_mean_squared_error"],
        ("r2", "neg_mean_squared_error"),
        {"r2": "r2", "own": make_scorer(mean_absolute_error, greater_is_better=False)},
    ],
    ids=lambda scoring: type(scoring).__name__,
)
def test_a_search_by_several_metrics_weighs_them_all(scoring):
    search = GridSearchCV(Ridge(), {"alpha": [1e-3, 1e6]}, cv=2, scoring="r2")
    several = clone(search).set_params(scoring=scoring, refit="r2")
    found, usual = (regressor(each, n_experts=2).fit(X, Y) for each in (several, search))
    np.testing.assert_allclose(found.predict(X), usual.predict(X))
    scorers = found.experts_[0].scorer_.values()
    requests = [scorer._get_metadata_request().score.requests for scorer in scorers]
    assert [request["sample_weight"] for request in requests] == [True, True]


@pytest.mark.parametrize("nested", [False, True])
def test_a_target_encoder_may_come_before_an_expert(nested):
    frame = pd.DataFrame({"town": np.where(X[:, 0] > 0, "Ulm", "Bonn"), "v": X[:, 1]})
    encoder = TargetEncoder(cv=2)
    if nested:
        encoder = make_column_transformer((encoder, ["town"]), (StandardScaler(), ["v"]))
        expert = make_pipeline(encoder, Ridge())
    else:
        expert = make_pipeline(FunctionTransformer(only_town), encoder, Ridge())
    moe = regressor(expert, n_experts=2).fit(frame, Y, sample_weight=np.arange(1, 121))
    assert np.isfinite(moe.predict(frame)).all()


def only_town(frame):
    return frame[["town"]]


@pytest.mark.parametrize("loses", [_requests.LOSES_REMAINDER, True])
@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame])
def test_columns_that_a_step_leaves_alone_pass(monkeypatch, kind, loses):
    """Also where scikit-learn (1.8) would not find them while weights are routed."""
    monkeypatch.setattr(_requests, "LOSES_REMAINDER", loses)
    rest = make_column_transformer((StandardScaler(), [0, 1]), remainder="passthrough")
    named = make_column_transformer((StandardScaler(), [0, 1]), ("passthrough", [2, 3]))
    table = kind(X)
    left, told = (
        regressor(
            make_pipeline(step, Ridge()), n_experts=2, gate=make_pipeline(step, SoftmaxGate())
        ).fit(table, Y, sample_weight=np.arange(1, 121))
        for step in (rest, named)
    )
    np.testing.assert_array_equal(left.predict(table), told.predict(table))
    names = left.experts_[0][0].get_feature_names_out()
    assert [name.partition("__")[0] for name in names] == ["standardscaler"] * 2 + ["remainder"] * 2


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"gate": "auto"}, "gate__alpha"),
        ({}, "dispersion_estimator__alpha"),
        ({}, "shared_expert__alpha"),
        ({"experts": PAIR}, "experts__alpha"),
        ({}, "family__df"),
        ({}, "gate__alpha"),
    ],
)
def test_parameters_of_what_has_none_are_refused(params, name):
    moe = regressor(**params)
    with pytest.raises(ValueError, match=f"{name} cannot be set: {name.partition('__')[0]}="):
        moe.set_params(**{name: 1.0})


class Asking(GaussianNB):
    """A classifier that keeps what it was told of its rows."""

    def fit(self, X, y, sample_weight=None, told=None):
        self.told_ = told
        return super().fit(X, y, sample_weight)


class AskingRidge(Ridge):
    """A regressor that keeps what it was told of its rows."""

    def fit(self, X, y, sample_weight=None, told=None):
        self.told_ = told
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("weight", [None, np.arange(1.0, 121)], ids=["even", "weighted"])
def test_metadata_reach_experts_in_pipelines(weight):
    with config_context(enable_metadata_routing=True):
        asks = AskingRidge().set_fit_request(told=True)
        moe = regressor(make_pipeline(StandardScaler(), asks), n_experts=2)
        moe.fit(X, Y, told=np.arange(120), sample_weight=weight)
    plain = regressor(make_pipeline(StandardScaler(), Ridge()), n_experts=2)
    for expert in moe.experts_:
        assert np.isin(expert[-1].told_, np.arange(120)).all()
    same = plain.fit(X, Y, sample_weight=weight).predict(X)
    np.testing.assert_allclose(moe.predict(X), same)


class Scaler(StandardScaler):
    """A transformer whose class asks for metadata, and that keeps what it was told."""

    __metadata_request__fit = {"told": True}

    def fit(self, X, y=None, sample_weight=None, told=None):
        self.told_ = told
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("weight", [None, np.arange(1.0, 121)], ids=["even", "weighted"])
def test_what_classes_ask_for_reaches_experts_and_gates_in_pipelines(weight):
    with config_context(enable_metadata_routing=True):
        gate = make_pipeline(Scaler(), LogisticRegression())
        moe = regressor(make_pipeline(Scaler(), Ridge()), n_experts=2, gate=gate)
        moe.fit(X, Y, told=np.arange(120), sample_weight=weight)
    for part in (*moe.experts_, moe.gate_.classifier_):
        assert np.isin(part[0].told_, np.arange(120)).all()
    plain = regressor(
        make_pipeline(StandardScaler(), Ridge()),
        n_experts=2,
        gate=make_pipeline(StandardScaler(), LogisticRegression()),
    )
    same = plain.fit(X, Y, sample_weight=weight).predict(X)
    np.testing.assert_allclose(moe.predict(X), same)


@pytest.mark.parametrize("groups", [None, GROUPS], ids=["none", "groups"])
@pytest.mark.parametrize("routing", [False, True])
def test_predictions_across_folds_may_come_before_an_expert(routing, groups):
    expert = make_pipeline(CrossFittedPredictions([("line", Ridge())], cv=3), Ridge())
    with config_context(enable_metadata_routing=routing):
        moe = regressor(expert, n_experts=2).fit(X, Y, groups=groups)
    assert moe.n_experts_ == 2
    assert np.isfinite(moe.predict(X)).all()


@pytest.mark.parametrize(
    ("make", "fitted"),
    [
        (lambda: Asking().set_fit_request(told=True), lambda gate: gate.classifier_),
        (
            lambda: ClassifierGate(Asking().set_fit_request(told=True)),
            lambda gate: gate.classifier_,
        ),
        (
            lambda: make_pipeline(StandardScaler(), Asking().set_fit_request(told=True)),
            lambda gate: gate.classifier_[-1],
        ),
        (lambda: AskingRidge().set_fit_request(told=True), lambda gate: gate.regressor_),
        (
            lambda: make_pipeline(
                StandardScaler(), ClassifierGate(Asking().set_fit_request(told=True))
            ),
            lambda gate: gate[-1].classifier_,
        ),
        (
            lambda: make_pipeline(
                StandardScaler(), RegressorGate(AskingRidge().set_fit_request(told=True))
            ),
            lambda gate: gate[-1].regressor_,
        ),
        (
            lambda: make_pipeline(
                StandardScaler(), make_pipeline(ClassifierGate(Asking().set_fit_request(told=True)))
            ),
            lambda gate: gate[-1][-1].classifier_,
        ),
    ],
    ids=[
        "classifier",
        "gate",
        "pipeline",
        "regressor",
        "gate at an end",
        "regressor at an end",
        "gate at an inner end",
    ],
)
def test_metadata_reach_any_gate(make, fitted):
    with config_context(enable_metadata_routing=True):
        moe = regressor(gate=make(), n_experts=2).fit(X, Y, told=X[:, 0] > 0)
        told = fitted(moe.gate_).told_
    assert set(np.unique(told)) == {False, True}
    assert len(told) >= len(X)


class Prior(TransformerMixin, BaseEstimator):
    """A transformer that asks for metadata, and takes no weights."""

    def fit(self, X, y=None, prior=None):
        self.seen_ = prior
        return self

    def transform(self, X):
        return np.asarray(X)


def test_metadata_reach_transformers_that_take_no_weights():
    with config_context(enable_metadata_routing=True):
        asks = Prior().set_fit_request(prior=True)
        expert = make_pipeline(make_column_transformer((asks, [0, 1])), Ridge())
        moe = regressor(expert, n_experts=2).fit(X, Y, prior=np.arange(120))
    seen = moe.experts_[0][0].named_transformers_["prior"].seen_
    assert np.isin(seen, np.arange(120)).all()


class OwnPipeline(Pipeline):
    """A pipeline of another package."""


def test_a_gate_at_the_end_of_another_pipeline_is_weighted_once():
    steps = [("scale", StandardScaler()), ("gate", ClassifierGate(LogisticRegression()))]
    other, usual = (
        regressor(n_experts=2, gate=kind(steps)).fit(X, Y) for kind in (OwnPipeline, Pipeline)
    )
    np.testing.assert_allclose(other.gate_proba(X), usual.gate_proba(X), atol=1e-6)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda encoder: make_pipeline(FunctionTransformer(), make_pipeline(encoder, Ridge())),
        lambda encoder: GridSearchCV(make_pipeline(encoder, Ridge()), {"ridge__alpha": [1.0]}),
        lambda encoder: make_pipeline(encoder, GridSearchCV(Ridge(), {"alpha": [1.0]})),
    ],
    ids=["nested", "searched", "search after"],
)
def test_a_target_encoder_in_a_wrapper_is_resampled(wrap):
    town = np.where(X[:, 1] > 0, "Ulm", "Bonn")[:, None]
    target = np.where(X[:, 1] > 0, Y, -Y)
    init = np.column_stack([X[:, 0] > 0, X[:, 0] <= 0]).astype(float)
    moe = regressor(wrap(TargetEncoder(cv=2)), n_experts=2, init=init)
    moe.set_params(gate=SoftmaxGate()).fit(town, target)
    assert moe.weight_modes_ == ["resample"] * moe.n_experts_


def test_a_metric_without_weights_may_choose_within_a_pipeline():
    expert = make_pipeline(StandardScaler(), RidgeCV(scoring="neg_max_error"))
    assert np.isfinite(regressor(expert, n_experts=2).fit(X, Y).predict(X)).all()


def test_experts_may_have_the_names_of_methods():
    moe = regressor([("score", Ridge()), ("log_prob", Ridge())]).set_params(score__alpha=2.0)
    assert moe.get_params()["score__alpha"] == 2.0
    search = GridSearchCV(moe, {"score__alpha": [0.1, 1.0]}, cv=2).fit(X, Y)
    assert search.best_estimator_.n_experts_ >= 1
    with pytest.raises(ValueError, match="a__alpha cannot be set: a='drop' is no estimator"):
        regressor([("a", "drop"), ("b", Ridge())]).set_params(a__alpha=1.0)
