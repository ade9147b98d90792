"""What is wrong is refused with a reason and a remedy, and leaves the estimator as it was."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import (
    AutoMixtureRegressor,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    SoftmaxGate,
)
from sklearn_moe.families import Binomial
from sklearn_moe.gates import HierarchicalGate
from sklearn_moe.inspection import ExpertsDisplay, GateDisplay
from sklearn_moe.metrics import crps

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
FEW = {"max_iter": 3, "n_init": 1, "cv": 3, "init": "principal", "verdict": False}
FEW["random_state"] = 0
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1] + 0.1 * RNG.normal(size=60)
LABELS = np.where(Y > 0, "yes", "no")
HALVES = np.column_stack([X[:, 0] > 0, X[:, 0] <= 0]).astype(float)


def regressor(experts=None, **params):
    return MixtureOfExpertsRegressor(experts, **{**FEW, **params})


def classifier(experts=None, **params):
    return MixtureOfExpertsClassifier(experts, **{**FEW, **params})


def altered(table, value, dtype=float):
    """A copy of a table with one entry replaced."""
    table = np.array(table, dtype=dtype)
    table.flat[7] = value
    return table


# Parameters.

WRONG = [
    *[("experts", value) for value in (3, "ridge", Ridge, StandardScaler(), [], [Ridge()])],
    *[("experts", value) for value in ([("a", 3)], [("a", Ridge)])],
    ("experts", [("gate", Ridge()), ("b", Ridge())]),
    ("n_experts", 0),
    ("n_experts", 1.5),
    ("n_experts", "many"),
    ("n_experts", "Auto"),
    ("n_experts", None),
    *[("gate", value) for value in (3, "softmax", LinearSVC(), LogisticRegression)],
    ("gate", StandardScaler()),
    *[("top_k", value) for value in (0, 1.5, "two")],
    *[(name, True) for name in ("n_experts", "top_k", "n_init", "max_iter")],
    *[("shared_expert", value) for value in ("ridge", 3)],
    *[("balance", value) for value in (-1.0, "even")],
    ("gate", make_pipeline(StandardScaler(), LinearSVC())),
    *[("cv", value) for value in (0, 1, -3, "five", 2.5)],
    *[("init", value) for value in ("kmeans", 3, np.ones((60, 3)), np.ones(60), -HALVES)],
    ("init", 0 * HALVES),
    ("init", altered(HALVES, np.nan)),
    ("init", lambda X, y, n_experts, seed: np.ones((3, n_experts))),
    ("init", lambda X, y, n_experts, seed: None),
    ("n_init", 0),
    *[("min_responsibility", value) for value in (-0.1, 0.5, 0.9, 1.0, "low")],
    ("max_iter", 0),
    ("max_iter", 2.5),
    ("tol", -1.0),
    ("tol", "small"),
    ("verdict", "yes"),
    ("warm_start", "yes"),
    ("n_jobs", 1.5),
    ("random_state", "seed"),
    ("verbose", -1),
]


@pytest.mark.parametrize(
    ("name", "value"), WRONG, ids=lambda value: str(value).split(" at 0x")[0][:30]
)
@pytest.mark.parametrize("make", [regressor, classifier])
def test_wrong_parameter_is_named(make, name, value):
    moe = make(**{name: value})
    with pytest.raises((ValueError, TypeError), match=name):
        moe.fit(X, Y if make is regressor else LABELS)


def test_wrong_parameter_of_one_estimator_only():
    with pytest.raises(ValueError, match="family"):
        regressor(family="no such law").fit(X, Y)
    with pytest.raises(ValueError, match="voting"):
        classifier(voting="loud").fit(X, LABELS)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"gate": SoftmaxGate(alpha=-1.0)}, "alpha"),
        ({"gate": SoftmaxGate(max_iter=0)}, "max_iter"),
        ({"gate": LogisticRegression(C=-1.0)}, r"(?s)gate.*C"),
        ({"gate": Ridge(alpha=-1.0)}, r"(?s)gate.*alpha"),
        ({"gate": make_pipeline(StandardScaler(with_mean="x"), SoftmaxGate())}, "with_mean"),
        ({"gate": HierarchicalGate([1, 2], LogisticRegression(C=-1.0)), "n_experts": 3}, "C"),
        ({"experts": Ridge(alpha=-1.0)}, r"(?s)expert0.*alpha"),
        ({"experts": Ridge(alpha="x")}, r"(?s)expert0.*alpha"),
    ],
    ids=str,
)
def test_wrong_parameter_of_a_part_is_named(part, message):
    for verdict in (False, True):  # with it, experts are fitted alone before they are trusted
        with pytest.raises(ValueError, match=message):
            regressor(**part, verdict=verdict).fit(X, Y)


@pytest.mark.parametrize("names", [("a", "a"), ("a__b", "c"), ("n_experts", "b")])
def test_bad_name_of_an_expert_is_told(names):
    with pytest.raises(ValueError, match=names[0]):
        regressor([(name, Ridge()) for name in names]).fit(X, Y)


# Data.

BAD_DATA = {
    "no rows": (X[:0], Y[:0], "0 sample"),
    "no columns": (X[:, :0], Y, "0 feature"),
    "no outputs": (X, np.zeros((60, 0)), r"y has shape \(60, 0\), without a column"),
    "one dimension": (X[:, 0], Y, "[Rr]eshape"),
    "three dimensions": (X[:, :, None], Y, "dim"),
    "one sample": (X[:1], Y[:1], "(?s)(1 sample|n_samples=1)"),
    "fewer samples than experts": (X[:2], Y[:2], "(?s)n_samples=2.*n_experts=3.*fewer experts"),
    "other length": (X, Y[:50], r"inconsistent.*60, 50"),
    "NaN in y": (X, altered(Y, np.nan), "y contains NaN"),
    "infinity in y": (X, altered(Y, np.inf), "y contains infinity"),
    "infinity in X": (altered(X, np.inf), Y, "infinity"),
    "infinity in sparse X": (sp.csr_array(altered(X, np.inf)), Y, "infinity"),
    "NaN in X": (altered(X, np.nan), Y, "NaN"),
    "NaN in sparse X": (sp.csr_array(altered(X, np.nan)), Y, "NaN"),
    "words in X": (altered(X, "word", dtype=object), Y, "word"),
    "words in y": (X, LABELS, "numeric|convert"),
    "complex X": (X * 1j, Y, "Complex"),
    "no y": (X, None, "requires y"),
}


@pytest.mark.parametrize("kind", BAD_DATA)
def test_bad_data_is_refused(kind):
    table, target, message = BAD_DATA[kind]
    with pytest.raises(ValueError, match=message):
        regressor(n_experts=3).fit(table, target)


WEIGHTS = {
    "zero": (np.zeros(60), "zero"),
    "negative": (altered(np.ones(60), -1.0), "[Nn]egative"),
    "NaN": (altered(np.ones(60), np.nan), "NaN"),
    "infinite": (altered(np.ones(60), np.inf), "infinity"),
    "huge": (altered(np.ones(60), 1e101), r"holds 1e\+101, .* divide all weights"),
    "short": (np.ones(50), "sample_weight"),
    "table": (np.ones((60, 2)), "1D|2D"),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_bad_weights_are_refused(kind):
    weight, message = WEIGHTS[kind]
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, Y, sample_weight=weight)


@pytest.mark.parametrize(("moe", "target"), [(regressor(), Y), (classifier(), LABELS)])
def test_weights_that_are_shares_are_told_of_where_fit_is_called(moe, target):
    with pytest.warns(UserWarning, match="multiply them by") as caught:
        moe.fit(X, target, sample_weight=np.full(len(X), 1 / len(X)))
    (of_shares,) = [each for each in caught if "multiply them by" in str(each.message)]
    assert of_shares.filename == __file__


@pytest.mark.parametrize("y", [Y, altered(LABELS, None, dtype=object)], ids=["reals", "None"])
def test_bad_labels_are_refused(y):
    with pytest.raises((ValueError, TypeError), match=r"continuous|NaN|label|None"):
        classifier().fit(X, y)


@pytest.mark.parametrize("cv", [3, None])
def test_one_class_is_predicted(cv):
    moe = classifier(cv=cv, verdict=True).fit(X, ["only"] * 60)
    assert set(moe.predict(X)) == {"only"}
    np.testing.assert_allclose(moe.predict_proba(X), 1)


@pytest.mark.parametrize("cv", [3, None])
@pytest.mark.parametrize("value", [0.0, 7.0, 1e12])
def test_constant_target_is_predicted(value, cv):
    moe = regressor(cv=cv, verdict=True).fit(X, np.full(60, value))
    np.testing.assert_allclose(moe.predict(X), value, rtol=1e-9, atol=1e-12)
    assert np.isfinite(moe.log_prob(X, np.full(60, value))).all()


def test_queries_before_fit():
    for moe in (regressor(), classifier()):
        for query in (moe.predict, moe.gate_proba, moe.apply, moe.predict_experts):
            with pytest.raises(NotFittedError):
                query(X)
        with pytest.raises(NotFittedError):
            moe.log_prob(X, Y)
        with pytest.raises(NotFittedError):
            moe.update_gate(pd.DataFrame(X, columns=list("abcd")[: X.shape[1]]), Y)


# Kinds of experts.


@pytest.mark.parametrize(
    ("moe", "message"),
    [
        (classifier(Ridge()), r"experts=Ridge\(\) is of the wrong kind, .* of classifiers"),
        (regressor(LogisticRegression()), "experts=LogisticRegression.* of regressors"),
        (classifier(shared_expert=Ridge()), r"shared_expert=Ridge\(\) is of the wrong kind"),
        (regressor(shared_expert=Ridge), "shared_expert=.*Pass an instance"),
        (regressor(gate=SoftmaxGate), r"is a class. Pass an instance: SoftmaxGate\(\)"),
        (regressor([("a", regressor(LogisticRegression())), ("b", Ridge())]), "wrong kind"),
        (regressor([("a", classifier()), ("b", Ridge())]), "wrong kind"),
        (regressor(KMeans(2)), "experts=KMeans.* wrong kind, 'clusterer': .* of regressors"),
        (
            regressor(make_pipeline(StandardScaler(), IsolationForest())),
            "wrong kind, 'outlier_detector'",
        ),
    ],
)
def test_wrong_kind_is_told(moe, message):
    with pytest.raises(TypeError, match=message):
        moe.fit(X, LABELS if isinstance(moe, MixtureOfExpertsClassifier) else Y)


def test_parameters_of_what_is_not_named_are_refused():
    for name in ("experts__alpha", "gate__alpha"):
        with pytest.raises(ValueError, match=f"{name} cannot be set"):
            regressor().set_params(**{name: 2.0})
    with pytest.raises(ValueError, match=r"Pass experts=CrossValidatedLogistic\(\)"):
        classifier().set_params(experts__C=2.0)
    moe = regressor().set_params(experts=Ridge(), experts__alpha=2.0)
    assert moe.experts.alpha == 2.0


# Targets of queries.


def test_targets_without_a_density_are_told():
    moe = regressor().fit(X, Y)
    with pytest.raises(ValueError, match="y holds NaN"):
        moe.log_prob(X[:1], [np.nan])
    far = [np.inf, 1e200, -1e200]
    np.testing.assert_array_equal(moe.log_prob(X[:3], far), [-np.inf] * 3)
    np.testing.assert_array_equal(moe.predict_dist(X[:3]).logpdf(far), [-np.inf] * 3)
    np.testing.assert_allclose(moe.responsibilities(X[:3], far), moe.gate_proba(X[:3]))


@pytest.mark.parametrize("family", ["poisson", "negative_binomial", Binomial(n_trials=9)])
def test_what_is_no_count_is_next_to_impossible(family):
    counts = np.clip(RNG.poisson(2, size=len(X)), 0, 9)
    moe = regressor(DecisionTreeRegressor(max_depth=2), family=family).fit(X, counts)
    impossible = [0.5, -1.0, -0.3]
    assert (moe.log_prob(X[:3], impossible) < -700).all()
    assert np.isneginf(moe.predict_dist(X[:3]).logpdf(impossible)).all()
    resp = moe.responsibilities(X[:3], impossible)
    np.testing.assert_allclose(resp, moe.gate_proba(X[:3]), atol=1e-9)


DAYS = np.datetime64("2026-01-01", "ns") + np.arange(60).astype("timedelta64[D]")
DATES = {
    "dates": DAYS,
    "a missing date": altered(DAYS, np.datetime64("NaT", "ns"), dtype=None),
    "durations": DAYS - DAYS[0],
    "a missing duration": altered(DAYS - DAYS[0], np.timedelta64("NaT", "ns"), dtype=None),
    "dates of a zone": pd.Series(DAYS).dt.tz_localize("UTC"),
    "a column": pd.DataFrame({"day": DAYS}),
    "days of the calendar": DAYS.astype("datetime64[D]").astype(object),
}


@pytest.mark.parametrize("kind", DATES)
def test_dates_are_no_numbers_to_predict(kind):
    moe = regressor().fit(X, Y)
    for ask in (moe.fit, moe.log_prob, moe.update_gate):
        with pytest.raises(ValueError, match=r"y holds dates .*timedelta64\(1, 'D'\)"):
            ask(X, DATES[kind])
    with pytest.raises(ValueError, match="y holds dates"):
        moe.predict_dist(X).crps(DATES[kind])
    with pytest.raises(ValueError, match="y_true holds dates"):
        crps(DATES[kind], moe.predict_dist(X))


def test_a_missing_date_is_no_label():
    labels = np.where(Y > 0, DAYS[0], DAYS[1])
    assert set(classifier().fit(X, labels).classes_) == {*DAYS[:2]}
    with pytest.raises(ValueError, match="y contains NaT"):
        classifier().fit(X, altered(labels, np.datetime64("NaT", "ns"), dtype=None))


def test_targets_without_squares_are_refused():
    with pytest.raises(ValueError, match=r"y holds 2\.\d+e\+160, whose square overflows.* unit"):
        regressor().fit(X, 1e160 * Y / abs(Y).max() * 2.5)
    with pytest.raises(ValueError, match=r"y differ by .*e-160 at most, whose square.* unit"):
        regressor().fit(X, 1e-160 * Y)
    assert regressor().fit(X, np.full(len(Y), 1e-160)).predict(X[:2]).tolist() == [1e-160, 1e-160]


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "int64"])
def test_narrow_targets_are_targets(dtype):
    narrow = (10 * Y).astype(dtype)
    wide = regressor().fit(X, narrow.astype(float)).predict(X)
    np.testing.assert_allclose(regressor().fit(X, narrow).predict(X), wide, rtol=1e-3, atol=1e-3)


def test_targets_that_do_not_suit_are_told_in_plain_words():
    moe = regressor().fit(X, Y)
    for ask in (moe.log_prob, moe.update_gate, moe.outlier_proba):
        with pytest.raises(ValueError, match="y must hold real numbers"):
            ask(X, LABELS)
    with pytest.raises(ValueError, match=r"targets of shape \(n_samples,\)\."):
        moe.log_prob(X, np.column_stack([Y, Y]))
    wide = regressor().fit(X, np.column_stack([Y, Y]))
    with pytest.raises(ValueError, match=r"targets of shape \(n_samples, 2\)\."):
        wide.log_prob(X, Y)


# Folds.


@pytest.mark.parametrize(
    ("cv", "groups", "message"),
    [
        (3, np.arange(50), "inconsistent numbers of samples"),
        ([(np.arange(60), np.arange(60))], None, "tests 60 rows in folds that are"),
        (iter(()), None, "yields no folds"),
        (1000, None, "cv=1000 asks for more folds than .* rows .*, which are (60|59).*fewer folds"),
        (3, np.zeros(60), "more folds than there are groups .*, which are 1"),
        (3, np.array(["a", 1] * 30, dtype=object), "groups must hold labels of one kind"),
        *[(3, ["a", gap] * 30, "groups holds rows without a label") for gap in (None, np.nan)],
        (3, altered(np.arange(60), np.nan), "groups holds rows without a label"),
        (GroupKFold(2), pd.Series(["a", None] * 30), "groups holds rows without a label"),
        (3, pd.array([1, 2, None] * 20), "groups holds rows without a label"),
        (3, np.ones((60, 2)), r"groups has shape \(60, 2\), and should be \(n_samples,\)"),
        (3, 5, r"groups has shape \(\)"),
        ([([], np.arange(30)), (np.arange(30), np.arange(30, 60))], None, "no row of positive"),
        (list(KFold(3).split(np.empty(80))), None, "names row 79, but X has 60 rows"),
        (GroupKFold(2), np.arange(60) > 0, "makes 1 fold"),
    ],
)
def test_folds_that_cannot_be_are_refused(cv, groups, message):
    weight = np.ones(60)
    weight[0] = 0.0 if isinstance(cv, GroupKFold) else 1.0
    with pytest.raises(ValueError, match=message):
        regressor(cv=cv).fit(X, Y, sample_weight=weight, groups=groups)


@pytest.mark.parametrize("rows", [[0, 1], np.arange(100) % 2], ids=["two", "copies of two"])
def test_too_few_rows_for_witnesses_are_told(rows):
    with pytest.warns(UserWarning, match="No verdict: too few distinct rows"):
        moe = regressor(Ridge(), verdict=True).fit(X[rows], Y[rows])
    assert np.isnan(moe.gain_)


@pytest.mark.parametrize("query", ["log_prob", "responsibilities"])
def test_queries_of_no_rows_say_so(query):
    moe = MixtureOfExpertsRegressor(n_init=1, random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="0 sample"):
        getattr(moe, query)(X[:0], Y[:0])


def test_a_gate_is_not_updated_by_no_rows():
    moe = MixtureOfExpertsRegressor(n_init=1, random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="0 sample"):
        moe.update_gate(X[:0], Y[:0])


def test_an_init_that_takes_other_arguments_is_told_what_it_is_given():
    with pytest.raises(TypeError, match=r"called as init\(X, y, n_experts, seed\)"):
        regressor(init=lambda X, y: np.ones((len(X), 2))).fit(X, Y)
    with pytest.raises(TypeError, match="unsupported operand"):  # an error of its own
        regressor(init=lambda X, y, n_experts, seed: X + None).fit(X, Y)


@pytest.mark.parametrize("neighbours", [KNeighborsRegressor, KNeighborsClassifier])
def test_gates_that_cannot_predict_are_named(neighbours):
    moe = MixtureOfExpertsRegressor(gate=neighbours(33), n_init=1, random_state=0)
    with pytest.raises(ValueError, match=r"gate=KNeigh.*33\) failed to (predict|fit)"):
        moe.fit(X[:40], Y[:40])


def test_a_shared_expert_is_not_counted_among_those_asked_for():
    moe = MixtureOfExpertsRegressor(n_experts=5, shared_expert=LinearRegression())
    with pytest.raises(ValueError, match="n_experts=5, and one for shared_expert"):
        moe.fit(X[:4], Y[:4])


def test_no_rows_are_not_taken_for_no_weights():
    moe = MixtureOfExpertsRegressor(n_init=1, cv=3, verdict=False, random_state=0).fit(X, Y)
    for display in (GateDisplay, ExpertsDisplay):
        with pytest.raises(ValueError, match="0 sample"):
            display.from_estimator(moe, X[:0])


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, pd.DataFrame])
def test_numbers_whose_squares_overflow_are_refused(make):
    far = X.copy()
    far[3, 1] = -1e200
    automatic = [] if make is sp.csr_array else [AutoMixtureRegressor()]
    for mixture in (MixtureOfExpertsRegressor(), *automatic):
        with pytest.raises(ValueError, match=r"X holds 1e\+200.*in another unit"):
            mixture.fit(make(far), Y)
    weight = np.ones(len(Y))
    weight[3] = 0.0  # a row that nobody sees
    moe = MixtureOfExpertsRegressor(n_init=1, cv=3, verdict=False, random_state=0)
    assert moe.fit(make(far), Y, sample_weight=weight).n_experts_ == 2
