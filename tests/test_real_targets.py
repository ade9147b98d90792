"""Mixtures under every noise law: EM, references, and what the regressor says beside the mean."""

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import (
    GammaRegressor,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    TweedieRegressor,
)
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor, SoftmaxGate
from sklearn_moe.families import FAMILIES, LogNormal, StudentT
from sklearn_moe.families._fences import held_within, weights_within

GOLDEN = Path(__file__).parent / "golden"
NEWTON = {"solver": "newton-cholesky", "alpha": 0, "tol": 1e-10, "max_iter": 1000}
# For each law, experts that maximise its likelihood: then in-sample EM never goes down.
SUITED = {
    "gaussian": LinearRegression(),
    "student_t": LinearRegression(),
    "laplace": LinearRegression(),
    "poisson": PoissonRegressor(**NEWTON),
    "gamma": GammaRegressor(**NEWTON),
    "tweedie": TweedieRegressor(power=1.5, link="log", **NEWTON),
    "binomial": DummyRegressor(),
    "inverse_gaussian": TweedieRegressor(power=3, link="log", alpha=0, tol=1e-8, max_iter=10_000),
    LogNormal(expert_says="median"): TransformedTargetRegressor(
        LinearRegression(), func=np.log, inverse_func=np.exp
    ),
}
RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, size=(300, 2))
LEVEL = np.where(X[:, 0] > 0, np.exp(0.5 + X[:, 1]), np.exp(2.5 - X[:, 1]))
TARGETS = {
    "gaussian": LEVEL + RNG.normal(size=300),
    "student_t": LEVEL + RNG.standard_t(3, size=300),
    "laplace": LEVEL + RNG.laplace(size=300),
    "lognormal": LEVEL * np.exp(0.3 * RNG.normal(size=300)),
    "gamma": RNG.gamma(4, LEVEL / 4),
    "inverse_gaussian": RNG.wald(LEVEL, 5 * LEVEL),
    "tweedie": np.where(RNG.uniform(size=300) < 0.2, 0, RNG.gamma(4, LEVEL / 4)),
    "poisson": RNG.poisson(LEVEL).astype(float),
    "negative_binomial": RNG.negative_binomial(3, 3 / (3 + LEVEL)).astype(float),
    "binomial": (RNG.uniform(size=300) * LEVEL > 2).astype(float),
}
QUICK = {"init": "kmeans_xy", "n_init": 1, "cv": 3, "random_state": 0}


def name_of(family):
    return family if isinstance(family, str) else "lognormal"


@pytest.mark.parametrize("family", SUITED, ids=str)
@pytest.mark.filterwarnings("ignore:EM did not settle")
def test_in_sample_em_never_goes_down(family):
    resp = np.where(X[:, :1] > 0, [0.8, 0.2], [0.2, 0.8])
    moe = MixtureOfExpertsRegressor(
        SUITED[family], family=family, cv=None, init=resp, max_iter=25, tol=0
    ).fit(X, TARGETS[name_of(family)])
    assert len(moe.lower_bounds_) == 25
    assert np.diff(moe.lower_bounds_).min() > -1e-7
    assert moe.lower_bounds_[-1] > moe.lower_bounds_[0] + 1e-3


@pytest.mark.parametrize("family", SUITED, ids=str)
def test_mean_and_deviation_are_those_of_the_distribution(family):
    moe = MixtureOfExpertsRegressor(SUITED[family], 2, family=family, verdict=False, **QUICK)
    moe.set_params(max_iter=3, tol=1.0).fit(X, TARGETS[name_of(family)])
    mean, std = moe.predict(X[:50], return_std=True)
    told = moe.predict_dist(X[:50])
    np.testing.assert_allclose(mean, told.mean(), rtol=1e-9)
    np.testing.assert_allclose(std, told.std(), rtol=1e-9)


def golden(name):
    parts = json.loads(gzip.decompress((GOLDEN / name).read_bytes()))
    return {key: np.array(value) for key, value in parts.items()}


def start_of(parts):
    n_experts = len(parts["expert_intercept"])
    return 0.9 * np.eye(n_experts)[parts["labels"]] + 0.1 / n_experts


def gate_at(parts):
    scores = parts["X"] @ parts["gate_coef"] + parts["gate_intercept"]
    return np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))


@pytest.mark.parametrize("name", sorted(p.name for p in GOLDEN.glob("poisson_*.json.gz")))
def test_poisson_mixtures_are_those_of_flexmix(name):
    parts = golden(name)
    options = {"family": "poisson", "gate": SoftmaxGate(alpha=0), "cv": None}
    moe = MixtureOfExpertsRegressor(
        PoissonRegressor(**NEWTON),
        len(parts["expert_intercept"]),
        init=start_of(parts),
        tol=1e-11,
        max_iter=2000,
        **options,
    ).fit(parts["X"], parts["y"])
    total = moe.log_prob(parts["X"], parts["y"]).sum()
    assert total == pytest.approx(parts["log_likelihood"], abs=1e-5)
    coefs = np.column_stack([expert.coef_ for expert in moe.experts_])
    np.testing.assert_allclose(coefs, parts["expert_coef"], atol=1e-4)
    np.testing.assert_allclose(moe.gate_proba(parts["X"]), gate_at(parts), atol=1e-3)


@pytest.mark.parametrize("name", sorted(p.name for p in GOLDEN.glob("student_t_*.json.gz")))
def test_student_t_mixtures_are_those_of_direct_maximisation(name):
    parts = golden(name)
    moe = MixtureOfExpertsRegressor(
        LinearRegression(),
        len(parts["expert_intercept"]),
        family="student_t",
        gate=SoftmaxGate(alpha=0),
        cv=None,
        init=start_of(parts),
        tol=1e-11,
        max_iter=5000,
    ).fit(parts["X"], parts["y"])
    total = moe.log_prob(parts["X"], parts["y"]).sum()
    assert total == pytest.approx(parts["log_likelihood"], abs=1e-5)
    coefs = np.column_stack([expert.coef_ for expert in moe.experts_])
    np.testing.assert_allclose(coefs, parts["expert_coef"], atol=1e-4)
    np.testing.assert_allclose(moe.dispersions_, parts["scale2"], rtol=1e-3)
    np.testing.assert_allclose(moe.df_, parts["df"], rtol=1e-3)
    np.testing.assert_allclose(moe.gate_proba(parts["X"]), gate_at(parts), atol=1e-3)


@pytest.mark.filterwarnings("ignore:EM did not settle", "ignore:The fit is behind")
@pytest.mark.parametrize("expert", [Ridge(1e-3), DecisionTreeRegressor(max_depth=4)], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_every_law_with_any_expert(family, expert, n_outputs):
    y = TARGETS[family]
    y = y if n_outputs == 1 else np.column_stack([y, y[::-1]])
    moe = MixtureOfExpertsRegressor(
        expert, family=family, calibrate="conformal", max_iter=3, **QUICK
    ).fit(X, y, sample_weight=np.random.default_rng(0).integers(1, 3, size=300))
    new, y = X[:100], y[:100]
    dist = moe.predict_dist(new)
    assert moe.lower_bound_ > -np.inf
    assert moe.dispersions_.shape == ((moe.n_experts_, 2) if n_outputs == 2 else (moe.n_experts_,))
    np.testing.assert_allclose(moe.log_prob(new, y), dist.logpdf(y), rtol=1e-10)
    np.testing.assert_allclose(moe.responsibilities(new, y).sum(axis=1), 1)
    mean, std = moe.predict(new, return_std=True)
    if moe.n_experts_ > 1:
        np.testing.assert_allclose(mean, dist.mean())
    np.testing.assert_allclose(std**2, moe.predict_var(new))
    np.testing.assert_array_equal(moe.predict_quantiles(new, [0.1, 0.7]), dist.ppf([0.1, 0.7]))
    interval = moe.predict_interval(new, 0.8)
    assert interval.shape == (*y.shape, 2)
    assert (interval[..., 0] <= interval[..., 1]).all()
    assert moe.sample_y(new, 3, random_state=0).shape == (*y.shape, 3)
    again = pickle.loads(pickle.dumps(moe))
    np.testing.assert_array_equal(again.predict_interval(new, 0.8), interval)
    assert (moe.df_ is None) == (not isinstance(moe.family_, StudentT))
    assert family in ("gaussian", "student_t") or moe.df_ is None


def test_one_law_after_another_leaves_nothing_behind():
    moe = MixtureOfExpertsRegressor(family="student_t", random_state=0).fit(X, TARGETS["student_t"])
    assert moe.df_.shape == (2,)
    moe.set_params(family="gaussian", calibrate=None).fit(X, TARGETS["student_t"])
    assert moe.df_ is None


def test_laws_can_be_searched():
    search = GridSearchCV(
        MixtureOfExpertsRegressor(random_state=0, n_init=1, verdict=False, calibrate=None),
        {"family": ["gaussian", StudentT(df=4.0), "laplace"]},
        cv=2,
        scoring=lambda moe, X, y: moe.log_prob(X, y).mean(),
    ).fit(X, TARGETS["student_t"])
    assert search.best_params_["family"] != "gaussian"
    assert clone(search.best_estimator_).family == search.best_params_["family"]


def test_student_t_experts_are_robust():
    y = np.where(X[:, 0] > 0, 4 + 2 * X[:, 1], -3 - 2 * X[:, 1]) + 0.3 * np.random.default_rng(
        0
    ).normal(size=300)
    spoilt = y.copy()
    spoilt[::15] += 30
    options = {"random_state": 0, "verdict": False}
    error = {}
    for family in ("gaussian", "student_t", "laplace"):
        moe = MixtureOfExpertsRegressor(family=family, **options).fit(X, spoilt)
        error[family] = np.sqrt(np.mean((moe.predict(X) - y) ** 2))
    assert error["student_t"] < 0.5 * error["gaussian"]
    assert error["laplace"] < 0.8 * error["gaussian"]


def test_median_experts_go_without_latent_weights():
    law = FAMILIES["laplace"](reweight=False)
    moe = MixtureOfExpertsRegressor(
        DummyRegressor(strategy="median"),
        family=law,
        cv=None,
        init=np.eye(2)[(X[:, 0] > 0).astype(int)],
    ).fit(X, TARGETS["laplace"])
    assert np.diff(moe.lower_bounds_).min() > -1e-7


def test_hurdle_of_zeros_and_amounts():
    rng = np.random.default_rng(1)
    none = rng.uniform(size=600) < 1 / (1 + np.exp(3 * (Z := rng.uniform(-1, 1, (600, 2)))[:, 0]))
    amount = np.exp(1 + Z[:, 1])
    y = np.where(none, 0.0, rng.gamma(5, amount / 5))
    zero = DummyRegressor(strategy="constant", constant=0)
    tree = HistGradientBoostingRegressor(max_iter=30)
    moe = MixtureOfExpertsRegressor(
        [("zero", zero), ("amount", tree)], family="gamma", random_state=0, verdict=False
    ).fit(Z, y)
    assert moe.expert_names_ == ["zero", "amount"]
    resp = moe.responsibilities(Z, y)
    np.testing.assert_allclose(resp[:, 0], none, atol=1e-9)
    assert moe.dispersions_[0] == 0
    assert moe.dispersions_[1] == pytest.approx(0.2, abs=0.06)
    dist = moe.predict_dist(Z)
    truth = 1 / (1 + np.exp(3 * Z[:, 0]))
    assert np.abs(dist.cdf(np.zeros(600)) - truth).mean() < 0.05
    assert moe.predict(Z) == pytest.approx(dist.mean())
    assert np.corrcoef(moe.predict(Z), (1 - truth) * amount)[0, 1] > 0.95
    with pytest.raises(ValueError, match="add an expert for zeros"):
        MixtureOfExpertsRegressor(tree, family="gamma").fit(Z, y)


def test_zero_inflated_counts():
    rng = np.random.default_rng(1)
    Z = rng.uniform(-1, 1, (800, 2))
    absent = rng.uniform(size=800) < 1 / (1 + np.exp(4 * Z[:, 0]))
    y = np.where(absent, 0, rng.poisson(np.exp(1.5 + Z[:, 1])))
    zero = DummyRegressor(strategy="constant", constant=0)
    experts = [("zero", zero), ("count", PoissonRegressor(alpha=1e-6))]
    moe = MixtureOfExpertsRegressor(experts, family="poisson", random_state=0).fit(Z, y)
    assert moe.experts_[1].coef_ == pytest.approx([0, 1], abs=0.12)
    assert moe.gain_ > 5 * moe.gain_stderr_


def test_outliers_go_to_the_background():
    y = np.where(X[:, 0] > 0, 4 + 2 * X[:, 1], -3 - 2 * X[:, 1]) + 0.3 * np.random.default_rng(
        0
    ).normal(size=300)
    spoilt = y.copy()
    spoilt[::15] += np.random.default_rng(0).choice([-30, 30], size=20)
    moe = MixtureOfExpertsRegressor(outlier_fraction=0.1, random_state=0, verdict=False)
    moe.fit(X, spoilt)
    proba = moe.outlier_proba(X, spoilt)
    assert proba[::15].min() > 0.99
    assert np.delete(proba, np.s_[::15]).max() < 0.9
    clean = clone(moe).fit(X, y)
    error, least = (np.sqrt(np.mean((m.predict(X) - y) ** 2)) for m in (moe, clean))
    assert error < 1.05 * least
    assert moe.dispersions_ == pytest.approx([0.09, 0.09], rel=0.5)
    dist = moe.predict_dist(X)
    np.testing.assert_allclose(dist.logpdf(spoilt), moe.log_prob(X, spoilt), rtol=1e-10)
    np.testing.assert_allclose(dist.weights.sum(axis=1), 1)
    assert (dist.std() > 3).all()
    plain = MixtureOfExpertsRegressor(random_state=0, verdict=False).fit(X, spoilt)
    np.testing.assert_array_equal(plain.outlier_proba(X, spoilt), 0)


@pytest.mark.parametrize("family", ["gaussian", "laplace", "student_t"])
def test_targets_beyond_all_numbers_are_the_background_s(family):
    y = X[:, 0] + 0.3 * np.random.default_rng(0).normal(size=300)
    moe = MixtureOfExpertsRegressor(
        outlier_fraction=0.05, family=family, max_iter=50, verdict=False, random_state=0
    ).fit(X, y)
    far = [y[0], 1e3, 1e150, 1e200, np.inf, -np.inf]
    np.testing.assert_allclose(moe.outlier_proba(X[:6], far)[1:], 1.0)
    assert moe.outlier_proba(X[:1], y[:1]) < 0.5


def test_conformal_intervals_hold_what_they_promise_for_laws_that_are_wrong():
    rng = np.random.default_rng(0)
    Z = rng.uniform(-1, 1, (4000, 2))
    y = Z[:, 0] + rng.exponential(size=4000) ** 2  # nothing like a Gaussian
    train, test = slice(0, 2000), slice(2000, None)
    off = {}
    for calibrate in (None, "conformal"):
        moe = MixtureOfExpertsRegressor(n_experts=1, calibrate=calibrate, random_state=0).fit(
            Z[train], y[train]
        )
        inside = []
        for coverage in (0.5, 0.8, 0.95):
            low, high = moe.predict_interval(Z[test], coverage).T
            inside.append(np.mean((low <= y[test]) & (y[test] <= high)))
        off[calibrate] = np.abs(np.array(inside) - [0.5, 0.8, 0.95]).max()
    assert off["conformal"] < 0.03 < off[None]


def test_conformal_levels_are_order_statistics():
    moe = MixtureOfExpertsRegressor(calibrate="conformal", random_state=0)
    moe.fit(X, TARGETS["gaussian"])
    fell = np.sort(moe.calibration_.up_to[:, 0])
    low, high = moe.calibration_.levels(0.9)
    assert (low, high) == (fell[int(0.05 * 301) - 1], fell[-int(0.05 * 301)])
    assert moe.calibration_.levels(0.999) == ([0.0], [1.0])
    assert np.isinf(moe.predict_interval(X, 0.999)).all()


def test_conformal_ends_of_counts_do_not_cross():
    y = np.minimum(TARGETS["poisson"], 2)
    moe = MixtureOfExpertsRegressor(
        n_experts=1, family="poisson", calibrate="conformal", random_state=0
    ).fit(X, y)
    for coverage in (0.05, 0.3, 0.9):
        low, high = moe.predict_interval(X, coverage).T
        assert (low <= high).all()
        assert np.mean((low <= y) & (y <= high)) >= coverage


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_conformal_weights_equal_repeats(family):
    times = np.arange(300) % 3 + 1
    options = {"family": family, "calibrate": "conformal", "random_state": 0, "verdict": False}
    by_weight = MixtureOfExpertsRegressor(**options).fit(X, TARGETS[family], times)
    rows = np.repeat(np.arange(300), times)
    repeated = MixtureOfExpertsRegressor(**options).fit(X[rows], TARGETS[family][rows])
    for coverage in (0.5, 0.9):
        levels = [np.ravel(moe.calibration_.levels(coverage)) for moe in (by_weight, repeated)]
        np.testing.assert_allclose(*levels, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"calibrate": "conformal", "cv": None}, "calibrate='conformal' needs out-of-fold.*cv=5"),
        ({"outlier_fraction": 0.1, "family": "gamma"}, "outlier_fraction=0.1 is for family='gauss"),
        ({"outlier_fraction": 0.7}, "outlier_fraction"),
        ({"dispersion_estimator": Ridge(), "family": "poisson"}, "dispersion_estimator=Ridge"),
        ({"family": "cauchy"}, "family"),
    ],
)
def test_what_does_not_go_together_is_refused(options, message):
    moe = MixtureOfExpertsRegressor(**options)
    with pytest.raises(ValueError, match=message):
        moe.fit(X, TARGETS["poisson"] + 1)
    assert not hasattr(moe, "experts_")


def test_frames_and_workers_make_no_difference():
    frame = pd.DataFrame(X, columns=["a", "b"])
    options = QUICK | {"family": "student_t", "calibrate": "conformal"}
    one = MixtureOfExpertsRegressor(**options).fit(X, TARGETS["student_t"])
    two = MixtureOfExpertsRegressor(n_jobs=2, **options).fit(frame, TARGETS["student_t"])
    np.testing.assert_allclose(one.predict_interval(X), two.predict_interval(frame), rtol=1e-7)


SPREAD = np.exp(X[:, 1])
NOISY = np.where(X[:, 0] > 0, 4, -4) + 0.5 * SPREAD * RNG.normal(size=300)


@pytest.mark.filterwarnings("ignore:In-sample EM stopped rising")  # it regresses logarithms
@pytest.mark.parametrize("cv", [3, None])
@pytest.mark.parametrize("family", ["gaussian", "student_t", "laplace"])
def test_dispersion_of_a_row_is_predicted(family, cv):
    options = QUICK | {"init": "auto", "family": family, "cv": cv, "outlier_fraction": 0.01}
    moe = MixtureOfExpertsRegressor(dispersion_estimator=Ridge(), **options).fit(X, NOISY)
    dist = moe.predict_dist(X)
    np.testing.assert_allclose(moe.log_prob(X, NOISY), dist.logpdf(NOISY), rtol=1e-9)
    inside = np.abs(X[:, 0]) > 0.3  # where it is clear which expert acts
    log_noise = 0.5 * np.log((dist.weights * dist.law[..., 0, 0]).sum(axis=1))
    assert np.corrcoef(log_noise[inside], X[inside, 1])[0, 1] > 0.3
    assert [expert.coef_[1] for expert in moe.dispersion_experts_] == pytest.approx([2, 2], abs=0.6)
    plain = MixtureOfExpertsRegressor(**options).fit(X, NOISY)
    assert moe.lower_bound_ > plain.lower_bound_ + 0.03


def test_predicted_dispersions_go_with_all_else():
    weight = np.arange(300) % 2 + 1
    y = np.column_stack([NOISY, -3 * NOISY])
    moe = MixtureOfExpertsRegressor(
        DecisionTreeRegressor(max_depth=3),
        dispersion_estimator=DecisionTreeRegressor(max_depth=2),
        calibrate="conformal",
        tol=1e-2,
        n_jobs=2,
        **QUICK,
    ).fit(pd.DataFrame(X), y, weight)
    assert len(moe.dispersion_experts_) == moe.n_experts_
    interval = moe.predict_interval(pd.DataFrame(X), 0.8)
    inside = (interval[..., 0] <= y) & (y <= interval[..., 1])
    assert np.average(inside.mean(axis=1), weights=weight) == pytest.approx(0.8, abs=0.08)
    assert moe.predict_dist(X)[:3].crps(y[:3]).shape == (3, 2)
    again = clone(moe).set_params(dispersion_estimator__max_depth=1)
    assert again.dispersion_estimator.max_depth == 1


def test_predicted_dispersions_do_not_depend_on_the_unit():
    options = {"dispersion_estimator": Ridge(), "random_state": 0}
    one = MixtureOfExpertsRegressor(**options).fit(X, NOISY)
    thousand = MixtureOfExpertsRegressor(**options).fit(X, 1000 * NOISY)
    difference = one.log_prob(X, NOISY) - thousand.log_prob(X, 1000 * NOISY)
    np.testing.assert_allclose(difference, np.log(1000), atol=1e-5)


def test_one_expert_that_is_kept_alone_predicts_its_dispersion_too():
    rng = np.random.default_rng(4)
    Z = rng.normal(size=(120, 12))
    y = Z[:, 0] + np.exp(0.8 * Z[:, 1]) * rng.normal(size=120)
    # So few rows for so many coefficients that EM may follow rounding; here the verdict is clear.
    moe = MixtureOfExpertsRegressor(
        Ridge(1e-3), n_experts=4, dispersion_estimator=Ridge(), random_state=3
    ).fit(Z, y)
    assert moe.n_experts_ == len(moe.dispersion_experts_) == 1
    assert np.ptp(moe.predict_var(Z)) > 0.1


@pytest.mark.parametrize("outlier_fraction", [0.0, 0.02])
@pytest.mark.parametrize("unit", [1e-5, 1e6])
def test_predicted_dispersions_and_background_know_no_unit(outlier_fraction, unit):
    options = {"random_state": 0, "outlier_fraction": outlier_fraction, "verdict": False}
    moe = MixtureOfExpertsRegressor(dispersion_estimator=Ridge(), **options)
    bound = moe.fit(X, NOISY).lower_bound_
    assert moe.fit(X, unit * NOISY).lower_bound_ == pytest.approx(bound - np.log(unit), abs=1e-4)


ZERO = ("zero", DummyRegressor(strategy="constant", constant=0.0))
STUMPS = [(name, DecisionTreeRegressor(max_depth=2)) for name in "ab"]


@pytest.mark.parametrize("unit", [1 / 128, 128])  # powers of two leave no rounding
@pytest.mark.parametrize(
    "params",
    [
        {"family": "tweedie", "init": "residual"},
        {"family": "tweedie", "experts": STUMPS[0][1], "n_experts": 6},
        {"family": "tweedie", "experts": Ridge(), "n_experts": "auto", "max_iter": 2},
        {"family": "gamma", "experts": [ZERO, *STUMPS], "init": "residual"},
    ],
    ids=["two", "six", "grown", "by an expert"],
)
@pytest.mark.filterwarnings("ignore:EM did not settle", "ignore:Experts .* lost their rows")
def test_zeros_beside_amounts_do_not_depend_on_the_unit(params, unit):
    """Zeros have probabilities and amounts densities: which are explained worse, in which unit?"""
    options = {"n_init": 1, "max_iter": 4, "random_state": 0, "verdict": False, "cv": 3} | params
    moe, Z, y = MixtureOfExpertsRegressor(**options), X[:120], TARGETS["tweedie"][:120]
    plain = clone(moe).fit(Z, y).predict_dist(Z)
    scaled = moe.fit(Z, unit * y).predict_dist(Z)
    np.testing.assert_allclose(scaled.mean(), unit * plain.mean(), rtol=1e-6)
    np.testing.assert_allclose(scaled.cdf(unit * y), plain.cdf(y), rtol=1e-5)


def test_predicted_dispersions_do_not_depend_on_how_far_regimes_are_apart():
    bounds = []
    for gap in (4, 400):
        y = np.where(X[:, 0] > 0, gap, -gap) + SPREAD * np.random.default_rng(0).normal(size=300)
        moe = MixtureOfExpertsRegressor(
            dispersion_estimator=Ridge(), init=np.eye(2)[(X[:, 0] > 0).astype(int)]
        )
        bounds.append(moe.fit(X, y).lower_bound_)
    assert bounds[1] > bounds[0] - 0.2


def test_predicted_dispersions_stay_within_bounds():
    moe = MixtureOfExpertsRegressor(dispersion_estimator=Ridge(), random_state=0).fit(X, NOISY)
    far = 1e6 * X[:5]
    assert np.isfinite(moe.predict_interval(far)).all()
    assert (np.ptp(moe.predict_interval(far), axis=1) > 0).all()


def test_one_expert_of_medians_predicts_means():
    y = np.exp(np.random.default_rng(0).normal(size=300))
    moe = MixtureOfExpertsRegressor(
        DummyRegressor(strategy="median"), 1, family=LogNormal(expert_says="median")
    ).fit(X, y)
    np.testing.assert_allclose(moe.predict(X), moe.predict_dist(X).mean())
    assert moe.predict(X)[0] == pytest.approx(np.exp(0.5), rel=0.2)


@pytest.mark.parametrize("family", ["gamma", "inverse_gaussian", "tweedie", "lognormal"])
def test_every_question_about_a_hurdle_has_an_answer(family):
    y = np.where(X[:, 0] > 0, TARGETS["gamma"], 0)
    zero = DummyRegressor(strategy="constant", constant=0)
    moe = MixtureOfExpertsRegressor(
        [("zero", zero), ("amount", Ridge())], family=family, random_state=0, verdict=False
    ).fit(X, y)
    dist = moe.predict_dist(X[:20])
    assert (dist.sample(3, random_state=0) >= 0).all()
    for answer in (dist.mode(), dist.entropy(), dist.crps(y[:20]), dist.std(), dist.ppf(0.9)):
        assert np.isfinite(answer).all()


def test_an_expert_that_says_zero_by_chance_is_no_point_mass():
    y = np.random.default_rng(0).poisson(0.3, size=300).astype(float)
    moe = MixtureOfExpertsRegressor(DummyRegressor(strategy="median"), 1, family="poisson")
    assert moe.fit(X, y).lower_bound_ > -10


@pytest.mark.parametrize(
    ("y", "message"),
    [(np.zeros((5, 2)), "y has shape"), (np.zeros(3), "inconsistent numbers of samples")],
)
def test_targets_of_a_query_are_held_to_the_shape(y, message):
    moe = MixtureOfExpertsRegressor(random_state=0, n_init=1).fit(X, NOISY)
    with pytest.raises(ValueError, match=message):
        moe.log_prob(X[:5], y)


@pytest.mark.parametrize("given", [Ridge, LogisticRegression()], ids=str)
def test_only_regressors_predict_dispersions(given):
    moe = MixtureOfExpertsRegressor(dispersion_estimator=given)
    with pytest.raises(TypeError, match="is not a regressor"):
        moe.fit(X, NOISY)
    assert not hasattr(moe, "experts_")


@pytest.mark.parametrize(("n_features", "shift", "seed"), [(2, 50, 3), (3, 50, 0), (3, 200, 1)])
def test_gross_outliers_do_not_lead_the_starts_astray(n_features, shift, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(300, n_features))
    y = np.where(rows[:, 0] > 0, 3, -3) * rows[:, 1] + 0.3 * rng.normal(size=300)
    y[::20] += shift
    moe = MixtureOfExpertsRegressor(outlier_fraction=0.05, verdict=False, random_state=0)
    moe.fit(rows, y)
    assert moe.dispersions_.max() < 0.2
    assert moe.outlier_proba(rows, y)[::20].min() > 0.99
    repeated = np.repeat(np.arange(300), 2)
    twice = moe.fit(rows, y, sample_weight=np.full(300, 2.0)).dispersions_
    np.testing.assert_allclose(moe.fit(rows[repeated], y[repeated]).dispersions_, twice, rtol=1e-6)


@pytest.mark.parametrize(
    "law", [{"family": "student_t"}, {"family": "auto"}, {"outlier_fraction": 0.05}]
)
@pytest.mark.parametrize("signs", [1.0, (-1.0, 1.0)])
def test_laws_that_resist_outliers_are_not_led_astray(law, signs):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3))
    rule = np.where(rows[:, 0] > 0, 3 * rows[:, 1] + 2, -3 * rows[:, 2] - 2)
    y = rule + 0.5 * rng.normal(size=400)
    y[::10] += 500 * np.resize(signs, 40)  # twice as many as the fraction
    moe = MixtureOfExpertsRegressor(verdict=False, random_state=0, **law).fit(rows, y)
    assert np.mean((moe.predict(rows) - rule) ** 2) < 0.8
    assert moe.family_.resists_outliers


def test_fences_know_no_unit_and_keep_what_is_rare():
    target = np.r_[np.linspace(-1, 1, 98), 50.0, -80.0][:, None]
    held, weights = held_within(target, np.ones(100)), weights_within(target, np.ones(100))
    np.testing.assert_array_equal(held[:98], target[:98])
    assert np.abs(held).max() < 3
    np.testing.assert_array_equal(weights[:98], 1.0)
    # The fences are two from the middle.
    np.testing.assert_allclose(weights[98:], [(2.05 / 50) ** 2, (2.05 / 80) ** 2], rtol=0.1)
    for unit in (1e-12, 1e12):
        np.testing.assert_array_equal(held_within(target, np.full(100, unit)), held)
        np.testing.assert_allclose(weights_within(unit * target, np.ones(100)), weights)
    times = np.arange(100) % 3
    repeated = np.repeat(target, times, axis=0)
    np.testing.assert_allclose(
        weights_within(target, times)[times > 0],
        weights_within(repeated, np.ones(99))[np.cumsum(times)[times > 0] - 1],
    )
    rare = np.r_[np.zeros(97), 1.0, 2.0, 3.0][:, None]
    np.testing.assert_array_equal(held_within(rare, np.ones(100)), rare)
    np.testing.assert_array_equal(weights_within(rare, np.ones(100)), 1.0)
    # Of several outputs the one farthest out counts.
    both = np.hstack([target, target[::-1]])
    least = np.minimum(weights, weights[::-1])
    np.testing.assert_array_equal(weights_within(both, np.ones(100)), least)
