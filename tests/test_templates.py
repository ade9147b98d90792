"""Experts before they are fitted: copies that are as good as clones."""

import joblib
import numpy as np
import pytest
import sklearn
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import AdaBoostRegressor, BaggingRegressor
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import CrossFittedPredictions, MixtureOfExpertsRegressor, _templates
from sklearn_moe._templates import make_template, make_templates
from sklearn_moe.weighting._plan import (
    DRAWS_BY_WEIGHT,
    RESAMPLED,
    WEIGHTED,
    WeightPlan,
    plan_steps,
    plan_weights,
)
from sklearn_moe.weighting._requests import request_weights


class Own(Ridge):
    """An estimator that says how it is cloned."""

    def __sklearn_clone__(self):
        return Own(alpha=7.0)


SIMPLE = {
    "tree": DecisionTreeRegressor(max_depth=3, criterion="absolute_error"),
    "neighbours": KNeighborsRegressor(3, weights="distance"),
}


OTHERS = {
    "holds another": make_pipeline(StandardScaler(), Ridge()),
    "array": Ridge(np.array([1.0])),
    "random numbers": DecisionTreeRegressor(random_state=np.random.RandomState(0)),
    "dictionary": KNeighborsRegressor(metric="minkowski", metric_params={"w": np.ones(2)}),
    "estimator": AdaBoostRegressor(Ridge()),
    "own way": Own(),
}


def asked_for_weights(estimator):
    """A clone with a request, which its parameters do not tell of."""
    return clone(estimator).set_fit_request(sample_weight=True)


@pytest.fixture
def cloned(monkeypatch):
    """What has been cloned."""
    known = []
    monkeypatch.setattr(_templates, "clone", lambda one: known.append(one) or clone(one))
    return known


@pytest.mark.parametrize("name", [*SIMPLE, *OTHERS])
def test_a_copy_is_a_clone(name, cloned):
    template = make_template("one", (SIMPLE | OTHERS)[name], 0, {})
    cloned.clear()
    found, other, usual = template.fresh(), template.fresh(), clone(template.estimator)
    assert type(found) is type(usual)
    assert found.get_params().keys() == usual.get_params().keys()
    if name in SIMPLE:
        assert vars(found) == vars(usual)
    assert vars(found).keys() == vars(usual).keys()
    assert found is not other
    assert len(cloned) == (0 if name in SIMPLE else 2)


def test_requests_are_kept():
    with config_context(enable_metadata_routing=True):
        template = make_template("one", asked_for_weights(DecisionTreeRegressor()), 0, {})
        requests = template.fresh().get_metadata_routing().fit.requests
    assert requests["sample_weight"] is True


def test_what_a_clone_owns_is_not_shared():
    template = make_template("one", OTHERS["random numbers"], 0, {})
    X, y = np.random.default_rng(0).normal(size=(2, 60, 1))
    first, second = (template.fresh().set_params(splitter="random").fit(X, y[:, 0]) for _ in "12")
    np.testing.assert_array_equal(first.tree_.threshold, second.tree_.threshold)


@pytest.mark.parametrize("name", [*SIMPLE, *OTHERS])
def test_copies_of_one_estimator_are_made_as_the_first(name):
    expert = (SIMPLE | OTHERS)[name]
    copies = make_templates([("a", expert), ("b", expert)], [1, 2], {}, None)
    for template, alone, seed in zip(copies, "ab", (1, 2), strict=True):
        usual = make_template(alone, expert, seed, {})
        assert template.name == alone
        assert joblib.hash(template.estimator) == joblib.hash(usual.estimator)
        assert template.plan == usual.plan
        assert template.kind == usual.kind


def test_copies_are_seeded_apart_and_asked_for_weights_alike():
    inner = make_pipeline(StandardScaler(), DecisionTreeRegressor())
    copies = make_templates([("a", TransformedTargetRegressor(inner))] * 2, [1, 2], {}, None)
    seeds = [t.estimator.regressor[-1].random_state for t in copies]
    assert seeds[0] != seeds[1]
    with config_context(enable_metadata_routing=True):
        first, second = (t.estimator.regressor[-1].get_metadata_routing().fit for t in copies)
    assert first.requests == second.requests
    assert second.requests["sample_weight"] is True


@pytest.mark.parametrize("nested", [False, True])
def test_steps_before_bagging_of_pipelines_are_weighted(nested):
    """Where bagging draws by weight; an older one is given each row as often as it weighs."""
    bagging = BaggingRegressor(make_pipeline(StandardScaler(), Ridge()))
    inner = make_pipeline(bagging) if nested else bagging
    takers = ["pipeline__baggingregressor"] if nested else ["standardscaler", "baggingregressor"]
    names = tuple(f"{name}__sample_weight" for name in takers)
    drawn, resampled = WeightPlan(WEIGHTED, names, scales=True), WeightPlan(RESAMPLED, scales=True)
    plan = plan_weights(make_pipeline(StandardScaler(), inner))
    assert plan == (drawn if DRAWS_BY_WEIGHT else resampled)


def test_bagging_draws_rows_by_weight_from_the_release_in_which_it_does():
    release = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
    assert (release >= (1, 8)) == DRAWS_BY_WEIGHT


def test_weights_of_bagged_members_that_ask_for_metadata_are_routed():
    with config_context(enable_metadata_routing=True):
        member = make_pipeline(StandardScaler(), Ridge().set_fit_request(sample_weight=True))
        assert plan_weights(BaggingRegressor(member)).names is None


def test_weights_of_bagged_members_that_take_them_are_routed():
    assert plan_weights(BaggingRegressor(Ridge())).names is None
    assert plan_weights(BaggingRegressor()) == WeightPlan(WEIGHTED, ("sample_weight",))  # of trees


def test_weights_reach_predictions_that_encode_targets_within():
    """These see to the weights of their estimators, so the encoder is not in the way."""
    learner = make_pipeline(TargetEncoder(), Ridge())
    union = FeatureUnion([("said", CrossFittedPredictions([("learner", learner)]))])
    assert plan_weights(make_pipeline(union, Ridge())) == WeightPlan(WEIGHTED)


UNION = FeatureUnion([("scaled", StandardScaler())])
STEPS = [
    ([StandardScaler(), PCA()], ("standardscaler__sample_weight",), True),
    ([UNION], None, True),
    ([FeatureUnion([("axes", PCA())])], (), False),
    # Where an encoder of targets is among them, nothing may be routed.
    ([TargetEncoder(), UNION], (), True),
    ([TargetEncoder(), StandardScaler()], ("standardscaler__sample_weight",), True),
]


@pytest.mark.parametrize(("steps", "names", "scales"), STEPS)
def test_transformers_are_given_weights_by_name_or_by_request(steps, names, scales):
    plan = plan_steps(clone(make_pipeline(*steps)))
    assert plan == WeightPlan(WEIGHTED, names, scales)
    assert plan.is_routed is (names is None)


@pytest.mark.parametrize("expert", [make_pipeline(TargetEncoder(), Ridge()), KNeighborsRegressor()])
def test_mixtures_see_to_the_weights_of_what_is_within(expert):
    plan = plan_weights(MixtureOfExpertsRegressor(expert))
    assert plan == WeightPlan(WEIGHTED, ("sample_weight",))


@pytest.mark.parametrize(
    ("expert", "reached"),
    [
        (Ridge(), True),
        (KNeighborsRegressor(), False),
        (make_pipeline(StandardScaler(), Ridge()), True),
        (make_pipeline(PCA(), Ridge()), False),
        (make_pipeline(StandardScaler(), KNeighborsRegressor()), False),
        (make_pipeline(UNION, Ridge()), False),  # who is given them is not known
    ],
)
def test_whether_weights_reach_all_steps(expert, reached):
    assert plan_weights(clone(expert)).reaches_all_steps(expert) is reached


def test_weights_go_by_name_beside_an_encoder_of_targets_or_not_at_all():
    learner = make_pipeline(TargetEncoder(), Ridge())
    named = WeightPlan(WEIGHTED, ("ridge__sample_weight",))
    assert plan_weights(clone(learner)) == named
    within = TransformedTargetRegressor(learner)
    assert plan_weights(clone(within)) == WeightPlan(RESAMPLED)
    assert plan_weights(make_pipeline(StandardScaler(), within)) == WeightPlan(
        RESAMPLED, scales=True
    )


def asked_for(search):
    """The scorer of a search within an expert, once its requests are set."""
    with config_context(enable_metadata_routing=True):
        request_weights(search)
        return search.scoring


def by_hand(estimator, X, y):
    return estimator.score(X, y)


def test_only_scorers_that_can_be_weighted_and_ask_for_nothing_else_are_told_to_be():
    def weighted(scorer):
        search = GridSearchCV(Ridge(), {"alpha": [1.0]}, scoring=scorer)
        scorer = asked_for(search)
        with config_context(enable_metadata_routing=True):
            return scorer.get_metadata_routing().score.requests["sample_weight"]

    with config_context(enable_metadata_routing=True):
        refused = get_scorer("r2").set_score_request(sample_weight=False)
    assert weighted("r2") is True
    assert weighted("neg_max_error") is False  # whose metric takes none
    assert weighted(refused) is False
    assert asked_for(GridSearchCV(Ridge(), {"alpha": [1.0]}, scoring=by_hand)) is by_hand


@pytest.mark.parametrize("remainder", ["drop", "passthrough"])
def test_columns_that_are_left_alone_stay_so(remainder):
    columns = ColumnTransformer([("scaled", StandardScaler(), [0])], remainder=remainder)
    expert = make_pipeline(columns, RidgeCV())
    table = np.arange(12.0).reshape(6, 2) ** 2
    before = clone(columns).fit_transform(table)
    plan_weights(expert)
    np.testing.assert_array_equal(columns.fit_transform(table), before)


@pytest.mark.parametrize("scales", [False, True])
def test_numpy_warns_of_no_root_where_a_scaler_is_given_weights(scales):
    with np.errstate(invalid="raise"), WeightPlan(WEIGHTED, (), scales).in_force():
        assert np.geterr()["invalid"] == ("ignore" if scales else "raise")
