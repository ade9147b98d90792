"""Noise laws: densities, dispersions, draws, and the targets that they refuse."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import special, stats
from scipy.integrate import quad
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe.families import (
    FAMILIES,
    Binomial,
    Contaminated,
    CountFamily,
    Gamma,
    Gaussian,
    InverseGaussian,
    Laplace,
    LogNormal,
    NegativeBinomial,
    Poisson,
    PositiveFamily,
    RealFamily,
    StudentT,
    Tweedie,
    _series,
)
from sklearn_moe.families._series import series_of, summed
from sklearn_moe.predictive import MixtureDistribution

LAWS = {
    "gaussian": (Gaussian(), (0.5,)),
    "student_t": (StudentT(), (0.5, 5.0)),
    "laplace": (Laplace(), (0.5,)),
    "lognormal": (LogNormal(), (0.3,)),
    "lognormal median": (LogNormal(expert_says="median"), (0.3,)),
    "gamma": (Gamma(), (0.4,)),
    "inverse gaussian": (InverseGaussian(), (0.2,)),
    "tweedie": (Tweedie(power=1.5), (0.8,)),
    "poisson": (Poisson(), (1.0,)),
    "negative binomial": (NegativeBinomial(), (0.4,)),
    "binomial": (Binomial(n_trials=9), (1.0,)),
}
WITHOUT_DISPERSION = ("poisson", "binomial")
MEANS = np.array([0.7, 2.0, 6.0])


def law_at(name, means=MEANS):
    """One component around each of the `means`."""
    family, law = LAWS[name]
    family = family.prepared(np.array([[1.0], [3.0]]), np.ones(2))
    law = np.reshape(law, (1, 1, -1))
    means = family.adjust(means[:, None, None], law)
    return MixtureDistribution(family.of_means(), np.zeros((len(means), 1)), means, law)


def test_all_names_are_tried():
    assert {type(family) for family, _ in LAWS.values()} == set(FAMILIES.values())


@pytest.mark.parametrize("name", LAWS)
def test_surprise_undoes_itself(name):
    y, log_prob = np.array([[0.0], [1.0], [4.0]]), np.array([-3.0, 0.5, -40.0])
    family = LAWS[name][0].prepared(np.array([[1.0], [3.0]]), np.ones(2))
    np.testing.assert_allclose(family.surprise(y, family.surprise(y, log_prob)), log_prob)


@pytest.mark.parametrize("name", LAWS)
def test_density_integrates_to_one_and_to_the_moments(name):
    law = law_at(name)
    for row, (mean, var) in enumerate(zip(law.mean(), law.var(), strict=True)):
        at = law[[row]]
        if law.is_discrete:
            counts = np.arange(400.0)
            density = np.array([at.pdf([count])[0] for count in counts])
            moments = [(density * counts**power).sum() for power in (0, 1, 2)]
        else:
            low = 0 if isinstance(law.family, PositiveFamily) else -np.inf
            moments = [
                sum(
                    quad(lambda y, p=power: y**p * at.pdf([y])[0], *ends, limit=200)[0]  # noqa: B023
                    for ends in ((low, mean), (mean, np.inf))
                )
                for power in (0, 1, 2)
            ]
            if name == "tweedie":
                moments[0] += at.pdf([0.0])[0]
        assert moments[0] == pytest.approx(1, abs=1e-6)
        assert moments[1] == pytest.approx(mean, rel=1e-5, abs=1e-6)
        assert moments[2] - mean**2 == pytest.approx(var, rel=1e-4)


@pytest.mark.parametrize("exponent", [-400, 400])
@pytest.mark.parametrize(
    ("name", "power"), [("gamma", 0), ("lognormal", 0), ("inverse gaussian", -1)]
)
def test_amounts_may_come_in_any_unit(name, power, exponent):
    family, law = LAWS[name]
    y, means = np.array([[0.5], [2.0], [3.0]]), np.array([[1.0, 2.5]])
    weights = np.array([[1.0, 0.5], [1.0, 2.0], [0.5, 1.0]])
    family = family.prepared(y, np.ones(3))
    of_unit = family.prepared(np.ldexp(y, exponent), np.ones(3))
    inside = family.log_density(y, means, *law)
    scaled = (np.ldexp(law[0], power * exponent), *law[1:])
    outside = of_unit.log_density(np.ldexp(y, exponent), np.ldexp(means, exponent), *scaled)
    np.testing.assert_allclose(outside + exponent * np.log(2), inside, rtol=1e-10)
    (found,) = family.fit_output(y, means, weights)
    (again,) = of_unit.fit_output(np.ldexp(y, exponent), np.ldexp(means, exponent), weights)
    np.testing.assert_allclose(np.ldexp(again, -power * exponent), found, rtol=1e-10)


@pytest.mark.parametrize("name", [name for name in LAWS if name != "tweedie"])
def test_density_and_probability_are_those_of_scipy(name):
    law = law_at(name)
    y = np.array([1.0, 3.0, 4.0])
    parts = [np.array([value]) for value in LAWS[name][1]]
    frozen = law.family.frozen(law.mean(), *parts)
    density = frozen.logpmf(y) if law.is_discrete else frozen.logpdf(y)
    np.testing.assert_allclose(law.logpdf(y), density, rtol=1e-10)
    np.testing.assert_allclose(law.cdf(y), frozen.cdf(y), rtol=1e-10)
    np.testing.assert_allclose(law.mean(), frozen.mean(), rtol=1e-10)
    np.testing.assert_allclose(law.var(), frozen.var(), rtol=1e-10)
    np.testing.assert_allclose(law.ppf(0.3), frozen.ppf(0.3), rtol=1e-8)


def test_tweedie_is_a_poisson_number_of_gammas():
    law, rng = law_at("tweedie"), np.random.default_rng(0)
    rate = law.mean() ** 0.5 / (0.8 * 0.5)
    np.testing.assert_allclose(law.pdf(np.zeros(3)), np.exp(-rate))
    number = rng.poisson(rate, size=(40_000, 3))
    amount = rng.gamma(np.maximum(number, 1), 0.8 * 0.5 * law.mean() ** 0.5) * (number > 0)
    below = (amount <= 1.5).mean(axis=0)
    np.testing.assert_allclose(law.cdf(np.full(3, 1.5)), below, atol=0.01)


def test_tweedie_series_of_shape_one_is_a_bessel_function():
    slope = np.concatenate([[-500.0], np.linspace(-60, 25, 1000)])
    series, t = series_of(1.0), 2 * np.exp(slope / 2)
    assert slope[0] < series.low < series.high < slope[-1]
    expected = slope[1:] / 2 + np.log(special.ive(1, t[1:])) + t[1:]
    np.testing.assert_allclose(series.log_sum(slope)[1:], expected, rtol=1e-11, atol=1e-9)
    ratio = t / 2 * special.ive(0, t) / np.maximum(special.ive(1, t), 1e-300)
    np.testing.assert_allclose(series.mean_number(slope)[1:], ratio[1:], rtol=1e-8)
    assert series.log_sum(slope)[0] == -500
    assert series.mean_number(slope)[0] == 1


@pytest.mark.parametrize("power", [1.005, 1.1, 1.9, 1.99])
def test_tweedie_series_in_a_table_is_that_of_its_terms(power):
    shape = (2 - power) / (power - 1)
    series = series_of(shape)
    ends = [series.low - 30, series.high + 0.5]
    slope = np.append(np.random.default_rng(0).uniform(*ends, size=500), ends)
    log_sum, number = summed(slope, shape)
    np.testing.assert_allclose(series.log_sum(slope), log_sum, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose(series.mean_number(slope), number, rtol=1e-7)


def test_tweedie_terms_may_come_in_any_blocks(monkeypatch):
    slope = np.linspace(-5, 20, 40)[:, None] + np.array([0.0, 0.3])
    whole = summed(slope, 2.3)
    monkeypatch.setattr(_series, "AT_ONCE", 200)
    np.testing.assert_allclose(summed(slope, 2.3), whole, rtol=1e-12)
    monkeypatch.setattr(_series, "LONGEST_TABLE", 0)
    np.testing.assert_allclose(summed(slope, 2.3), whole, rtol=1e-12)


@pytest.mark.parametrize("power", [1.2, 1.5, 1.8])
def test_tweedie_dispersion_is_the_most_likely_one(power):
    rng = np.random.default_rng(0)
    law, mean = Tweedie(power=power), rng.uniform(0.5, 4, size=(2000, 2))
    y = law.draw(rng, mean[:, :1], np.array([0.7]))
    law, weights = law.prepared(y, np.ones(2000)), rng.uniform(0, 1, size=(2000, 2))
    found = law.fit_output(y, mean, weights)[0]

    def likelihood(factor):
        return (weights * law.log_density(y, mean, factor * found)).sum(axis=0)

    assert (likelihood(1) > np.maximum(likelihood(0.999), likelihood(1.001))).all()
    assert found[0] == pytest.approx(0.7, rel=0.1)
    tiny = law.prepared(1e-30 * y, np.ones(2000)).fit_output(1e-30 * y, 1e-30 * mean, weights)[0]
    np.testing.assert_allclose(tiny, 1e-30 ** (2 - power) * found)
    rise = (likelihood(1 + 1e-4) - likelihood(1 - 1e-4)) / 2e-4
    np.testing.assert_allclose(rise / weights.sum(axis=0), 0, atol=1e-6)


def test_tweedie_of_tiny_dispersion_is_nearly_normal():
    family = Tweedie().prepared(np.array([[3.0]]), np.ones(1))
    law = MixtureDistribution(
        family, np.zeros((1, 1)), np.full((1, 1, 1), 3.0), np.full((1, 1, 1), 1e-4)
    )
    normal = stats.norm(3.0, law.std()[0])
    y = normal.ppf([0.2, 0.5, 0.9])
    np.testing.assert_allclose([law.cdf([at])[0] for at in y], [0.2, 0.5, 0.9], atol=0.01)
    np.testing.assert_allclose([law.pdf([at])[0] for at in y], normal.pdf(y), rtol=0.03)


@pytest.mark.parametrize("name", LAWS)
def test_draws_have_the_moments_and_fall_uniformly(name):
    law = law_at(name, np.full(4000, 2.0))
    drawn = law.sample(25, random_state=0)
    assert drawn.shape == (4000, 25)
    assert drawn.mean() == pytest.approx(law.mean()[0], rel=0.02)
    assert drawn.var() == pytest.approx(law.var()[0], rel=0.06)
    y = drawn[:, 0]
    below, up_to = law.cdf_below(y), law.cdf(y)
    assert (below <= up_to).all()
    if not (law.is_discrete or name == "tweedie"):
        np.testing.assert_array_equal(below, up_to)
    chance = np.random.default_rng(1).uniform(size=len(y))
    assert stats.kstest(below + chance * (up_to - below), "uniform").pvalue > 1e-3


def simulated(name, n=400, seed=0):
    """Targets, means of three experts that are all a little wrong, and weights."""
    family, _ = LAWS[name]
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.uniform(0, 2, size=(n, 1))) * np.array([1.0, 1.2, 0.8])
    y = law_at(name, mean[:, 0]).sample(1, random_state=seed)
    return family.prepared(y, np.ones(n)), y, mean[..., None], rng.dirichlet(np.ones(3), n)


@pytest.mark.parametrize("name", [name for name in LAWS if name not in WITHOUT_DISPERSION])
@pytest.mark.parametrize("shared", [False, True])
def test_dispersion_is_the_most_likely_one(name, shared):
    family, y, mean, weights = simulated(name)
    family = type(family)(**{**vars(family), "shared": shared})
    law = family.fit_dispersion(y, mean, weights)
    assert law.shape == (3, 1, family.n_parameters)
    assert (np.ptp(law, axis=0) == 0).all() == shared

    def likelihood(at):
        found = (weights * family.log_prob(y, mean, at)).sum(axis=0)
        return found.sum() if shared else found

    best = likelihood(law)
    for parameter in range(family.n_parameters):
        for factor in (0.99, 1.01):
            other = law.copy()
            other[..., parameter] *= factor
            assert np.all(likelihood(other) < best)
            slope = np.abs(best - likelihood(other)) / np.sum(weights)
            assert np.all(slope < 1e-3)


@pytest.mark.parametrize("name", LAWS)
def test_dispersion_does_not_depend_on_the_unit(name):
    family, y, mean, weights = simulated(name)
    if isinstance(family, CountFamily):
        pytest.skip("counts have no unit")
    law = family.fit_dispersion(y, mean, weights)
    scaled, big = LAWS[name][0].prepared(1000 * y, np.ones(len(y))), (1000 * y, 1000 * mean)
    change = scaled.log_prob(*big, scaled.fit_dispersion(*big, weights))
    change -= family.log_prob(y, mean, law)
    expected = -np.log(1000) * (y > 0 if name == "tweedie" else np.ones_like(y))
    np.testing.assert_allclose(change, np.broadcast_to(expected, change.shape), atol=1e-5)


@pytest.mark.parametrize("name", LAWS)
def test_weights_equal_repeats(name):
    family, y, mean, weights = simulated(name, 100)
    times = np.arange(100) % 3 + 1
    by_weight = family.fit_dispersion(y, mean, weights * times[:, None])
    rows = np.repeat(np.arange(100), times)
    repeated = family.fit_dispersion(y[rows], mean[rows], weights[rows])
    np.testing.assert_allclose(by_weight, repeated, rtol=1e-6)


def test_rows_far_away_count_for_less():
    residual = np.array([[0.0], [1.0], [10.0]])
    mean = np.zeros((3, 1, 1))
    for family, law in ((StudentT(), [[[1.0, 3.0]]]), (Laplace(), [[[1.0]]])):
        latent = family.latent_weights(residual, mean, np.array(law))
        assert (np.diff(latent[:, 0]) < 0).all()
        assert type(family)(reweight=False).latent_weights(residual, mean, np.array(law)) is None
    assert Gaussian().latent_weights(residual, mean, np.ones((1, 1, 1))) is None


def test_outputs_have_the_same_say_in_latent_weights():
    y, mean = np.array([[0.0, 5.0], [5.0, 0.0]]), np.zeros((2, 1, 2))
    found = StudentT().latent_weights(y, mean, np.tile([1.0, 3.0], (1, 2, 1)))
    assert found[0] == pytest.approx(found[1])


def test_each_output_has_a_least_mean_of_its_own():
    law = Gamma().prepared(np.array([[1.0, 1000.0]]), np.ones(1))
    found = law.adjust(np.full((1, 1, 2), 1e-9), np.ones((1, 2, 1)))
    np.testing.assert_allclose(found, [[[1e-3, 1.0]]])


def test_several_outputs_are_independent():
    rng = np.random.default_rng(0)
    y, mean = rng.gamma(2, size=(50, 2)), rng.gamma(5, size=(50, 3, 2))
    weights = rng.dirichlet(np.ones(3), 50)
    family = Gamma().prepared(y, np.ones(50))
    both = family.fit_dispersion(y, mean, weights)
    assert both.shape == (3, 2, 1)
    total = np.zeros((50, 3))
    for output in range(2):
        one = Gamma().prepared(y[:, [output]], np.ones(50))
        law = one.fit_dispersion(y[:, [output]], mean[..., [output]], weights)
        np.testing.assert_allclose(law[:, 0], both[:, output])
        total += one.log_prob(y[:, [output]], mean[..., [output]], law)
    np.testing.assert_allclose(family.log_prob(y, mean, both), total)


@pytest.mark.parametrize(
    ("family", "bad", "message"),
    [
        ("poisson", -1.0, "not negative.*holds -1.*gaussian"),
        ("poisson", 0.5, "for counts; y holds 0.5"),
        ("negative_binomial", 2.5, "for counts"),
        ("gamma", 0.0, "positive targets; y holds 0.*DummyRegressor"),
        ("lognormal", -2.0, "not negative"),
        ("inverse_gaussian", 0.0, "positive targets"),
        ("tweedie", -0.1, "not negative"),
        ("binomial", 0.5, "for counts; y holds 0.5"),
        ("binomial", 2.0, "n_trials=1; y holds 2.*Binomial.n_trials=2."),
    ],
)
def test_targets_that_are_not_of_the_law_are_refused(family, bad, message):
    X, y = np.arange(20.0)[:, None], np.ones(20)
    y[3] = bad
    with pytest.raises(ValueError, match=message):
        MixtureOfExpertsRegressor(family=family).fit(X, y)


def test_an_output_that_is_zero_everywhere_is_refused():
    with pytest.raises(ValueError, match="not zero everywhere"):
        Poisson().prepared(np.array([[0.0, 1.0], [0.0, 2.0]]), np.ones(2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StudentT(df=1.0), "df=1.0 must be a number above 1"),
        (lambda: StudentT(df="many"), "df='many'"),
        (lambda: StudentT(df=np.inf), "at most 1000000"),
        (lambda: Binomial(n_trials=0), "n_trials=0 must be a whole number"),
        (lambda: Binomial(n_trials=2.5), "n_trials=2.5"),
        (lambda: Binomial(n_trials=True), "n_trials=True"),
        (lambda: Tweedie(power=2.0), "power=2.0 must be a number above 1 and below 2.*gamma"),
        (lambda: Tweedie(power="1.5"), "power='1.5' must be a number"),
        (lambda: Gaussian(shared="no"), "shared='no' must be True or False"),
        (lambda: Binomial(shared=2), "shared=2"),
        (lambda: StudentT(reweight="no"), "reweight='no' must be True or False"),
        (lambda: Laplace(reweight=0), "reweight=0"),
        (lambda: Laplace(shared=None), "shared=None"),
        (lambda: Contaminated(clean=Gaussian(), fraction=2), "fraction=2 must be above 0"),
        (lambda: Contaminated(clean=Gaussian(), fraction=0.0), "fraction=0.0 must be above 0"),
        (lambda: LogNormal(expert_says="mode"), "expert_says='mode'.*median"),
    ],
)
def test_bad_parameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_laws_are_the_same_if_they_are_for_the_same_target(n_outputs):
    y = np.random.default_rng(0).gamma(2.0, size=(20, n_outputs))
    laws = [Gamma().prepared(target, np.ones(20)) for target in (y, y.copy(), 2 * y)]
    assert laws[0] == laws[1]
    assert laws[0] != laws[2]
    assert len({*laws, Gamma()}) == 3


def test_fixed_degrees_of_freedom_stay():
    _, y, mean, weights = simulated("student_t")
    fixed = StudentT(df=4.0).prepared(y, np.ones(len(y)))
    np.testing.assert_array_equal(fixed.fit_dispersion(y, mean, weights)[..., 1], 4.0)


def test_background_takes_what_no_expert_explains():
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(size=480), rng.uniform(-40, 40, size=20)])[:, None]
    law = Contaminated(clean=Gaussian().prepared(y, np.ones(500)), fraction=0.04)
    mean, weights = np.zeros((500, 1, 1)), np.ones((500, 1))
    variance = law.fit_dispersion(y, mean, weights)
    assert variance.item() == pytest.approx(1.0, abs=0.25)
    best = law.log_prob(y, mean, variance).sum()
    for factor in (0.98, 1.02):
        assert law.log_prob(y, mean, factor * variance).sum() < best
    clean = law.clean_proba(y, mean, variance)[:, 0]
    assert clean[np.abs(y[:, 0]) > 8].max() < 1e-3
    assert clean[np.abs(y[:, 0]) < 2].min() > 0.9


def test_background_of_a_constant_target_has_a_spread():
    law = Contaminated(clean=Gaussian().prepared(np.full((5, 1), 2.0), np.ones(5)), fraction=0.1)
    assert law.background[1] == law.clean.floor > 0


def test_background_and_tails_both_take_weight():
    y, mean = np.array([[0.0], [1.0], [3.0]]), np.zeros((3, 1, 1))
    law = Contaminated(clean=StudentT(df=3).prepared(y, np.ones(3)), fraction=0.1)
    said = y, mean, np.array([[[1.0, 3.0]]])
    expected = law.clean_proba(*said) * law.clean.latent_weights(*said)
    np.testing.assert_allclose(law.latent_weights(*said), expected)


def test_what_cannot_be_has_no_density():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(120, 2))
    hits = rng.binomial(10, 1 / (1 + np.exp(-table[:, 0]))).astype(float)
    moe = MixtureOfExpertsRegressor(family=Binomial(n_trials=10), verdict=False, random_state=0)
    moe.fit(table, hits)
    assert moe.log_prob(table[:1], [11.0])[0] == -np.inf
    assert moe.predict_dist(table[:1]).logpdf([11.0])[0] == -np.inf
    resp = moe.responsibilities(table[:5], np.full(5, 11.0))
    np.testing.assert_allclose(resp, moe.gate_proba(table[:5]))
    with pytest.raises(ValueError, match="without a finite log density"):
        moe.update_gate(table, np.full(120, 11.0))


def test_infinite_amounts_have_no_density():
    law, mean = Tweedie(), np.ones(4)
    density = law.log_density(np.array([np.inf, np.nan, -1.0, 0.0]), mean, np.ones(4))
    assert density[:3].tolist() == [-np.inf] * 3
    assert np.isfinite(density[3])


# The expert for zeros beside others that share their dispersion.


def zeros_and_amounts():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    return X, np.where(rng.random(200) < 0.4, 0.0, rng.gamma(100, np.exp(0.3 * X[:, 0]) / 100))


def with_zeros(**params):
    experts = [("zero", DummyRegressor(strategy="constant", constant=0))]
    experts += [("a", Ridge()), ("b", Ridge())]
    return MixtureOfExpertsRegressor(experts, cv=None, random_state=0, **params)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("top_k", [None, 2])
def test_a_point_mass_shares_no_dispersion(top_k):
    X, y = zeros_and_amounts()
    moe = with_zeros(family=Gamma(shared=True), top_k=top_k).fit(X, y)
    zero, *others = moe.dispersions_
    assert zero == 0 < others[0] == others[-1]
    assert np.isfinite(moe.log_prob(X, y)).all()


@pytest.mark.parametrize("law", [Tweedie(), NegativeBinomial()])
def test_rows_of_a_point_mass_do_not_widen_the_dispersion_of_others(law):
    y = zeros_and_amounts()[1]
    y = y if isinstance(law, Tweedie) else np.rint(10 * y)
    said = np.column_stack([np.zeros(200), np.full(200, y[y > 0].mean())])[..., None]
    weights = np.column_stack([y == 0, y > 0]).astype(float)
    law = law.prepared(y[:, None], np.ones(200), True)
    own = law.fit_dispersion(y[:, None], said, weights)
    shared = replace(law, shared=True).fit_dispersion(y[:, None], said, weights)
    np.testing.assert_allclose(shared, own, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("constant", [0.1, 1e6])
def test_rounding_of_a_constant_output_has_no_say(constant):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2))
    y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1] + 0.2 * rng.normal(size=120)
    start = rng.dirichlet(np.ones(2), size=120)
    options = {"extrapolation": None, "init": start, "max_iter": 3, "verdict": False}
    moe = MixtureOfExpertsRegressor(KNeighborsRegressor(weights="distance"), **options)
    without = moe.fit(X, np.column_stack([y, np.zeros(120)])).predict(X)
    beside = moe.fit(X, np.column_stack([y, np.full(120, constant)])).predict(X)
    np.testing.assert_allclose(beside[:, 0], without[:, 0], atol=1e-5)


@pytest.mark.parametrize("tiny", [0.0, 1e-17, -1e-17])
def test_what_rounding_has_left_of_zero_is_an_expert_for_zeros(tiny):
    y = np.array([[0.0], [1.0], [4.0]])
    law = Gamma().prepared(y, np.ones(3), True)
    mean = np.array([[[tiny], [2.0]]] * 3)
    weights = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    dispersion = law.fit_dispersion(y, mean, weights)
    assert dispersion[0, 0, 0] == 0.0 < dispersion[1, 0, 0]
    assert law.log_prob(y, mean, dispersion)[0, 0] == 0.0


def test_an_expert_of_zeros_alone_takes_the_dispersion_of_all_by_weights():
    y = np.array([[0.0], [1.0], [4.0]])
    mean = np.array([[[0.5], [1.5]], [[2.0], [1.5]], [[1.0], [1.5]]])
    weights = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    law, rows = Gamma().prepared(y, np.ones(3), True), [0, 1, 2, 2, 2]
    repeated = law.fit_dispersion(
        y[rows], mean[rows], np.minimum(weights, 1.0)[rows] * [[2], [1], [1], [1], [1]]
    )
    np.testing.assert_allclose(law.fit_dispersion(y, mean, weights), repeated, rtol=1e-9)
    weights[:, 1] = 0.0  # nobody acts on a row that tells
    assert np.isfinite(law.fit_dispersion(y, mean, weights)).all()


def test_rows_of_which_an_output_is_zero_say_nothing_of_dispersions():
    y = np.array([[0.0, 1.0], [1.0, 1.0]])
    assert Gamma().telling_weights(y, np.ones((2, 1))).tolist() == [[0.0], [1.0]]


def test_next_to_nothing_on_other_rows_leaves_an_expert_for_zeros_what_it_is():
    y, mean = np.array([[0.0], [0.0], [2.0]]), np.tile([[0.0], [1.0]], (3, 1, 1))
    weights = np.array([[1.0, 0.0], [1.0, 0.0], [1e-4, 1.0]])
    law = Poisson().prepared(y, np.ones(3))
    assert law.fit_dispersion(y, mean, weights).ravel().tolist() == [0.0, 1.0]


def test_an_expert_that_says_zero_of_one_output_shares_the_dispersion_of_others():
    y = np.array([[1.0, 4.0], [1.0, 4.0], [2.0, 1.0], [3.0, 2.0]])
    weights = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])
    mean = np.ones((4, 2, 2))
    mean[:, 0, 0] = 0.0
    both, second = (
        Gamma(shared=True)
        .prepared(y[:, part], np.ones(4))
        .fit_dispersion(y[:, part], mean[..., part], weights)
        for part in (slice(2), slice(1, 2))
    )
    np.testing.assert_allclose(both[:, 1], second[:, 0])


@dataclass(frozen=True, kw_only=True)
class Uniform(RealFamily):
    """A law that rules out what lies beyond its ends."""

    is_location_scale = True

    def frozen(self, mean, *law):
        half = np.sqrt(3 * law[0])
        return stats.uniform(mean - half, 2 * half)

    def fit_output(self, y, mean, weights):
        return ((weights * (y - mean) ** 2).sum(axis=0) / weights.sum(axis=0),)


def test_rows_that_every_expert_rules_out_do_not_end_the_fit():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1] + rng.uniform(-1, 1, size=300)
    moe = MixtureOfExpertsRegressor(family=Uniform(), n_init=1, cv=3, random_state=0).fit(X, y)
    assert moe.n_experts_ == 2
    assert np.isfinite([moe.lower_bound_, moe.gain_, moe.gain_stderr_]).all()
    np.testing.assert_allclose(moe.responsibilities(X, y).sum(axis=1), 1.0)


@dataclass(frozen=True, kw_only=True)
class ReadOnly(Gaussian):
    """A law that returns what cannot be written to."""

    def log_density(self, y, mean, *law):
        return np.broadcast_to(super().log_density(y, mean, *law)[None], (1, *mean.shape))[0]


def test_laws_may_return_what_cannot_be_written_to():
    X = np.random.default_rng(0).normal(size=(100, 2))
    Y = np.column_stack([X[:, 0], np.abs(X[:, 1])])
    mine, ours = (
        MixtureOfExpertsRegressor(family=law, n_init=1, cv=3, random_state=0).fit(X, Y)
        for law in (ReadOnly(), Gaussian())
    )
    assert mine.lower_bound_ == ours.lower_bound_


def test_quantiles_of_real_targets_are_to_be_exact():
    @dataclass(frozen=True, kw_only=True)
    class Rough(Gaussian):
        exact_ppf = False

    with pytest.raises(TypeError, match="exact_ppf=False is for laws of positive targets; Rough"):
        Rough()


def test_counts_that_have_no_neighbours_are_refused():
    X, y = np.zeros((4, 1)), np.array([1.0, 2.0, 2.0**53, 1e17])
    moe = MixtureOfExpertsRegressor(family="poisson")
    with pytest.raises(ValueError, match=r"up to 2\*\*53; y holds 1e\+17.*family='gamma'"):
        moe.fit(X, y)


@pytest.mark.parametrize("dispersion", [0.01, 0.4])
def test_large_counts_are_as_likely_as_amounts(dispersion):
    mean, levels = 1e12, np.array([0.01, 0.5, 0.99])
    amounts = stats.gamma(1 / dispersion, scale=dispersion * mean)
    y = np.rint(amounts.ppf(levels))
    law = NegativeBinomial()
    found = law.log_density(y, np.array(mean), np.array(dispersion))
    np.testing.assert_allclose(found, amounts.logpdf(y), rtol=1e-9)
    quantiles = law.ppf(levels, np.full(3, mean), np.full(3, dispersion))
    np.testing.assert_allclose(quantiles, y, rtol=1e-9)


@pytest.mark.parametrize("mean", [1e5, 2e6, 1e10, 1e15])
def test_large_counts_of_poisson_are_nearly_normal(mean):
    y = np.rint(mean + np.sqrt(mean) * np.array([-3.0, 0.0, 2.0]))
    score = (y - mean) / np.sqrt(mean)
    # The first terms of Edgeworth's series, and half of the second.
    skewed = (score**3 - 3 * score) / 6 / np.sqrt(mean)
    expected = stats.norm.logpdf(score) - 0.5 * np.log(mean) + skewed
    found = Poisson().log_density(y, np.array(mean), np.ones(1))
    np.testing.assert_allclose(found, expected, atol=20 / mean)
    assert Poisson().log_density(np.array([0.0, 1e7]), np.array(0.5), np.ones(1))[0] == -0.5


@pytest.mark.parametrize("n_trials", [2 * 10**6, 10**9, 4 * 10**9, 10**15])
@pytest.mark.parametrize("chance", [0.02, 0.5, 0.999])
def test_successes_in_many_trials_are_nearly_normal(n_trials, chance):
    mean, sd = n_trials * chance, np.sqrt(n_trials * chance * (1 - chance))
    y = np.rint(mean + sd * np.array([-3.0, 0.0, 2.0]))
    score, middle = (y - mean) / sd, (y + 0.5 - mean) / sd
    # The first terms of Edgeworth's series.
    skewness = (1 - 2 * chance) / sd
    law, means = Binomial(n_trials=n_trials), np.array(mean)
    expected = stats.norm.logpdf(score) - np.log(sd) + skewness * (score**3 - 3 * score) / 6
    np.testing.assert_allclose(law.log_density(y, means, np.ones(1)), expected, atol=20 / sd**2)
    expected = stats.norm.cdf(middle) - skewness * (middle**2 - 1) / 6 * stats.norm.pdf(middle)
    np.testing.assert_allclose(law.cdf(y, means, np.ones(1)), expected, atol=20 / sd**2)
    ends = np.array([-1.0, n_trials, n_trials + 1.0])
    assert law.cdf(ends, means, np.ones(1)).tolist() == [0.0, 1.0, 1.0]
    assert law.log_density(ends[2:], means, np.ones(1)) == -np.inf


def test_quantiles_far_in_the_tail_of_large_counts_take_no_time():
    found = NegativeBinomial().ppf(np.array([1 - 1e-12]), np.array([9e8]), np.array([900.0]))
    amounts = stats.gamma(1 / 900.0, scale=900.0 * 9e8)
    assert found[0] == pytest.approx(amounts.ppf(1 - 1e-12), rel=1e-6)
