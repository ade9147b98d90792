"""Experts that fail are named and leave no trace; lost ones are removed and reported."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import ConstantGate, MixtureOfExpertsRegressor, SoftmaxGate, _experts, _trials
from sklearn_moe._expert_errors import PartError
from sklearn_moe.gates import GaussianGate

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
FEW = {"max_iter": 3, "n_init": 1, "cv": 3, "init": "principal", "verdict": False}
FEW["random_state"] = 0
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1] + 0.1 * RNG.normal(size=60)
HALVES = np.column_stack([X[:, 0] > 0, X[:, 0] <= 0]).astype(float)


def regressor(experts=None, **params):
    return MixtureOfExpertsRegressor(experts, **{**FEW, **params})


def altered(table, value, dtype=float):
    """A copy of a table with one entry replaced."""
    table = np.array(table, dtype=dtype)
    table.flat[7] = value
    return table


class Fussy(RegressorMixin, BaseEstimator):
    """A ridge regression that fails, or answers NaN, if most of its rows have x0 below zero."""

    def __init__(self, fault="raise"):
        self.fault = fault

    def fit(self, X, y, sample_weight=None):
        weight = np.ones(len(X)) if sample_weight is None else sample_weight
        self.offended_ = np.average(X[:, 0] < 0, weights=weight) > 0.7
        if self.offended_ and self.fault == "raise":
            raise RuntimeError("not on this side")
        self.ridge_ = Ridge().fit(X, y, sample_weight)
        return self

    def predict(self, X):
        if self.offended_ and self.fault == "predict":
            raise RuntimeError("not on this side")
        return np.full(len(X), np.nan) if self.offended_ else self.ridge_.predict(X)


def huge(kind):
    """An estimator of a kind, too large for the memory."""

    def fit(self, X, y=None, sample_weight=None):
        raise MemoryError("no room for an array")

    return type("Huge", (kind,), {"fit": fit})()


FAULTS = {"raise": "not on this side", "predict": "not on this side", "nan": "predicted NaN"}


@pytest.mark.parametrize("cv", [3, None])
@pytest.mark.parametrize("fault", FAULTS)
def test_failing_expert_is_named(fault, cv):
    moe = regressor([("good", Ridge()), ("bad", Fussy(fault))], init=HALVES, cv=cv)
    with pytest.raises(ValueError, match=rf"(?s)'bad' \(Fussy\).*{FAULTS[fault]}") as caught:
        moe.fit(X, Y)
    assert caught.value.__cause__ is not None
    assert "fewer experts" in str(caught.value) or "pipeline" in str(caught.value)


class Careless(Ridge):
    """Its `fit` returns nothing, or its `predict` too little."""

    def __init__(self, fault="fit"):
        super().__init__()
        self.fault = fault

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        return None if self.fault == "fit" else self

    def predict(self, X):
        return super().predict(X)[1:]


@pytest.mark.parametrize(
    ("fault", "message"),
    [("fit", "its fit returned None"), ("predict", r"it predicted \d+ values for \d+ rows")],
)
def test_estimators_that_are_none_are_named(fault, message):
    with pytest.raises(ValueError, match=rf"'expert0' \(Careless\).*{message}"):
        regressor(Careless(fault)).fit(X, Y)


def answers_nothing_new(*args):
    """What an encoder within an expert may do."""
    raise KeyError("an unknown category")


def test_expert_that_fails_on_the_rows_of_a_witness_costs_the_verdict(monkeypatch):
    monkeypatch.setattr(_experts, "predict_expert", answers_nothing_new)
    moe = regressor(DecisionTreeRegressor(max_depth=2), n_experts=2, verdict=True)
    told = r"No verdict: Expert 'expert0' \(DecisionTreeRegressor\).*predict new rows.*unknown"
    with pytest.warns(UserWarning, match=told):
        moe.fit(X, Y)
    assert np.isnan(moe.gain_)
    assert np.isfinite(moe.predict(X)).all()


def test_forest_that_fails_on_rows_of_no_weight_is_named(monkeypatch):
    monkeypatch.setattr(_experts, "predict_expert", answers_nothing_new)
    moe = regressor(RandomForestRegressor(30), n_experts=2, cv="oob", init=HALVES)
    with pytest.raises(ValueError, match=r"'expert0' \(RandomForestRegressor\).*failed to predict"):
        moe.fit(X, Y)


@pytest.mark.parametrize("fitted_before", [False, True])
@pytest.mark.parametrize("fault", ["expert", "target", "weights", "init"])
def test_failed_fit_leaves_no_trace(fitted_before, fault):
    moe = regressor([("good", Ridge()), ("bad", Fussy())], init=HALVES[:, ::-1])
    if fitted_before:
        moe.fit(X, Y)
    table = np.column_stack([X, X]) * (-1.0 if fault == "expert" else 1.0)
    target = altered(Y, np.nan) if fault == "target" else Y
    weight = np.zeros(60) if fault == "weights" else None
    moe.set_params(init=HALVES[:9] if fault == "init" else HALVES[:, ::-1])
    before = dict(vars(moe))
    with pytest.raises(ValueError, match=r".+"):
        moe.fit(table, target, sample_weight=weight)
    assert vars(moe).keys() == before.keys()
    assert all(vars(moe)[name] is before[name] for name in before)


# Some failures a fit can do without.


def test_start_that_gives_an_expert_too_few_rows_is_out_of_the_race(capsys):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = np.where(X[:, 0] > 0, 3 * X[:, 1], -2 * X[:, 2]) + 0.2 * rng.normal(size=300)
    moe = MixtureOfExpertsRegressor(KNeighborsRegressor(30), 4, tol=9, random_state=0, verbose=1)
    for n_init in (4, 2):  # of which the first fails
        moe.set_params(n_init=n_init).fit(X, y)
        assert moe.n_experts_ == 4
        assert list(moe.start_bounds_) == ["residual", "kmeans_xy", "tree"][: n_init - 1]
        said = capsys.readouterr().out
        assert "ladder: failed, Expert 'expert0' (KNeighborsRegressor)" in said
        assert "residual: failed" not in said
    with pytest.raises(ValueError, match=r"n_neighbors = 70.*fewer experts"):
        moe.set_params(experts__n_neighbors=70).fit(X, y)
    said = capsys.readouterr().out  # of each start in its own name
    assert [said.count(f"{kind}: failed") for kind in ("ladder", "residual", "tree")] == [1, 1, 1]


@pytest.mark.parametrize("verdict", [True, False])
def test_where_all_starts_fail_others_of_the_portfolio_are_tried(verdict, capsys):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = np.where(X[:, 0] > 0, 3 * X[:, 1], -2 * X[:, 2]) + 0.2 * rng.normal(size=300)
    parts = {"n_init": 1, "random_state": 0, "verbose": 1, "max_iter": 4, "tol": 1.0}
    moe = MixtureOfExpertsRegressor(KNeighborsRegressor(30), 4, verdict=verdict, **parts)
    moe.fit(X, y)
    assert list(moe.start_bounds_) == ["residual" if verdict else "kmeans_xy"]
    assert "ladder: failed, Expert 'expert0' (KNeighborsRegressor)" in capsys.readouterr().out
    with pytest.raises(ValueError, match="n_neighbors = 30"):
        moe.set_params(init="ladder").fit(X, y)


def test_trial_that_fails_is_not_kept(monkeypatch, capsys):
    def fail(model, start, rule):
        yield from ()
        raise PartError("no.")

    quick = {"random_state": 0, "max_iter": 3, "verdict": False}
    bare = MixtureOfExpertsRegressor(family="student_t", **quick).fit(X, Y)
    monkeypatch.setattr(_trials, "run_em", fail)
    moe = MixtureOfExpertsRegressor(family="auto", verbose=1, **quick).fit(X, Y)
    assert "Gaussian: failed, no." in capsys.readouterr().out
    np.testing.assert_array_equal(moe.predict(X), bare.predict(X))


class Tiring(Ridge):
    """A ridge regression that can be fitted so many times."""

    left = 0

    def fit(self, X, y, sample_weight=None):
        Tiring.left -= 1
        if Tiring.left < 0:
            raise RuntimeError("had enough")
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("n_iter", [3, 4])  # the race runs for three iterations
def test_run_that_fails_keeps_what_it_has_come_to(n_iter):
    params = {"init": HALVES, "cv": None, "max_iter": 20, "tol": 0.0}
    Tiring.left = 2 + 2 * n_iter  # one fit is a trial of its weights; the last of all fails
    moe = regressor(Tiring(alpha=0.1), **params)
    told = rf"EM ended after iteration {n_iter}: Expert 'expert1'.*had enough"
    with pytest.warns(UserWarning, match=told):
        moe.fit(X, Y)
    assert moe.n_iter_ == n_iter
    assert not moe.converged_
    Tiring.left = 1000
    short = regressor(Tiring(alpha=0.1), **{**params, "max_iter": n_iter}).fit(X, Y)
    np.testing.assert_array_equal(moe.predict(X), short.predict(X))


# Collapse.


class Flat(RegressorMixin, BaseEstimator):
    """Predicts a value far from every target."""

    def fit(self, X, y, sample_weight=None):
        self.value_ = 1e3
        return self

    def predict(self, X):
        return np.full(len(X), self.value_)


@pytest.mark.parametrize("cv", [3, None])
def test_lost_expert_is_removed_and_reported(cv):
    moe = regressor([("good", LinearRegression()), ("hopeless", Flat())], cv=cv, max_iter=50)
    moe.set_params(gate=ConstantGate(), init=HALVES, extrapolation=None)
    with pytest.warns(ConvergenceWarning, match=r"\['hopeless'\].*n_experts_=1 of 2"):
        moe.fit(X, Y)
    assert moe.n_experts_ == 1
    assert moe.expert_names_ == ["good"]
    np.testing.assert_allclose(moe.predict(X), LinearRegression().fit(X, Y).predict(X))
    assert moe.gate_proba(X).tolist() == [[1.0]] * 60


def test_expert_without_rows_at_the_start_is_seeded():
    """A start that gives the second expert nothing does not lose it."""
    nothing = np.column_stack([np.ones(60), np.zeros(60)])
    moe = regressor(init=nothing, cv=None, max_iter=100).fit(X, Y)
    assert moe.n_experts_ == 2
    assert moe.expert_mass_.min() > 5


@pytest.mark.parametrize("cv", [3, None])
def test_column_that_only_vanishing_rows_vary_is_constant(cv):
    """Else the scaler divides by a spread of 1e-15, which iterative solvers do not survive."""
    flag = np.arange(60) % 6 == 0
    share = np.where(flag, 1e-30, HALVES[:, 0])
    moe = regressor(make_pipeline(StandardScaler(), Ridge()), cv=cv, max_iter=1)
    moe.set_params(init=np.column_stack([share, 1 - share])).fit(np.column_stack([X, flag]), Y)
    assert moe.experts_[0][0].scale_[-1] == 1.0
    assert moe.experts_[0][1].coef_[-1] == 0.0


def test_a_wrong_parameter_of_an_expert_needs_no_other_advice():
    X = np.random.default_rng(0).normal(size=(60, 2))
    with pytest.raises(ValueError, match="'max_depth' parameter") as told:
        MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=-1), n_init=1).fit(X, X[:, 0])
    assert "region" not in str(told.value)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_several_outputs_are_spoken_of_where_there_are_some(n_outputs):
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = X[:, :n_outputs].squeeze()
    with pytest.raises(ValueError, match="use fewer experts") as told:
        MixtureOfExpertsRegressor(SVR(kernel=lambda a, b: 1 / 0), n_init=1).fit(X, y)
    assert ("MultiOutputRegressor" in str(told.value)) == (n_outputs == 2)


@pytest.mark.parametrize(
    "part",
    [
        {"experts": huge(Ridge)},
        {"gate": huge(Ridge)},
        {"gate": huge(LogisticRegression)},
        {"gate": make_pipeline(huge(StandardScaler), SoftmaxGate())},
    ],
    ids=str,
)
def test_what_is_wrong_with_the_machine_is_not_said_of_a_part(part):
    with pytest.raises(MemoryError, match=r"^no room for an array$"):
        regressor(**part).fit(X, Y)


def test_a_gate_that_fails_ends_em():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 2))
    y = np.abs(X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=200)
    # The gate of a branch sees ever fewer rows.
    inner = MixtureOfExpertsRegressor(Ridge(), 2, gate=KNeighborsRegressor(20))
    parts = {"n_init": 1, "verdict": False, "random_state": 0, "max_iter": 40}
    moe = MixtureOfExpertsRegressor(inner, 2, **parts)
    with pytest.warns(UserWarning, match=r"EM ended after iteration \d: gate=KNeighborsRegressor"):
        moe.fit(X, y)
    assert np.isfinite(moe.log_prob(X, y)).all()


class OfWideRegions(GaussianGate):
    """A gate of someone's, which refuses regions of few rows."""

    def fit_table(self, table, expert_weights, *args, **kwargs):
        if expert_weights.sum(axis=0).min() < 30:
            raise np.linalg.LinAlgError("a region is too small")
        return super().fit_table(table, expert_weights, *args, **kwargs)


def test_start_that_a_gate_cannot_be_fitted_to_is_out_of_the_race(capsys):
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.normal(size=(300, 2)), rng.random(300) < 0.03])
    y = np.where(table[:, 0] > 0, table[:, 1], -table[:, 1]) + 0.2 * rng.normal(size=300)
    parts = {"gate": OfWideRegions(), "verdict": False, "random_state": 0, "verbose": 1}
    moe = MixtureOfExpertsRegressor(Ridge(), 4, n_init=4, max_iter=1, tol=9, **parts)
    assert moe.fit(table, y).n_experts_ == 4
    failed = "failed, gate=OfWideRegions() could not be fitted: a region is too small"
    assert 0 < capsys.readouterr().out.count(failed) < 4


@pytest.mark.parametrize("zeros", [False, True])
def test_latent_weights_of_any_size_are_no_reason_to_repeat_rows(zeros):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = np.where(X[:, 0] > 0, 2, -2) * X[:, 1] + 0.3 * rng.normal(size=200)
    y = np.where(X[:, 0] > 0, y, 0) if zeros else np.rint(y)
    parts = {"family": "laplace", "n_init": 1, "verdict": False, "max_iter": 4, "tol": 1.0}
    moe = MixtureOfExpertsRegressor(KNeighborsRegressor(5), 2, random_state=0, **parts).fit(X, y)
    assert moe.n_iter_ > 1  # what ends EM early is warned of
    assert moe.score(X, y) > 0.5
