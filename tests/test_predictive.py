"""The predictive distribution: its parts agree with one another and with scipy."""

import numpy as np
import pytest
from scipy import stats

from sklearn_moe.families import (
    Binomial,
    Gamma,
    Gaussian,
    InverseGaussian,
    Laplace,
    LogNormal,
    NegativeBinomial,
    Poisson,
    StudentT,
    Tweedie,
)
from sklearn_moe.predictive import MixtureDistribution
from sklearn_moe.predictive import _integrals as integrals
from sklearn_moe.predictive import _marginal as marginal

LAWS = {
    "gaussian": (Gaussian(), (0.5,)),
    "student_t": (StudentT(), (0.5, 4.0)),
    "laplace": (Laplace(), (0.5,)),
    "lognormal": (LogNormal(), (0.3,)),
    "gamma": (Gamma(), (0.4,)),
    "inverse_gaussian": (InverseGaussian(), (0.2,)),
    "tweedie": (Tweedie(power=1.4), (0.8,)),
    "poisson": (Poisson(), (1.0,)),
    "negative_binomial": (NegativeBinomial(), (0.4,)),
    "binomial": (Binomial(n_trials=15), (1.0,)),
}
WITHOUT_DISPERSION = ("poisson", "binomial")
DISCRETE = (*WITHOUT_DISPERSION, "negative_binomial")
CONTINUOUS = [name for name in LAWS if name not in (*DISCRETE, "tweedie")]
N_ROWS, N_EXPERTS = 12, 3


def mixture(name, n_outputs=1, by_row=False, seed=0, n_rows=N_ROWS):
    family, law = LAWS[name]
    rng = np.random.default_rng(seed)
    means = np.exp(rng.uniform(0, 2.5, size=(n_rows, N_EXPERTS, n_outputs)))
    log_weights = np.log(rng.dirichlet(np.ones(N_EXPERTS), n_rows))
    shape = (n_rows, N_EXPERTS, n_outputs) if by_row else (N_EXPERTS, n_outputs)
    laws = np.broadcast_to(law, (*shape, len(law))).copy()
    if name not in WITHOUT_DISPERSION:
        laws[..., 0] *= rng.uniform(0.5, 2, size=shape)
    shape = () if n_outputs == 1 else (n_outputs,)
    family = family.prepared(np.full((2, n_outputs), 3.0), np.ones(2))
    return MixtureDistribution(family, log_weights, means, laws, shape)


def components(distribution, row, output=0):
    law = distribution.law if distribution.law.ndim == 3 else distribution.law[row]
    means = distribution.means[row, :, output]
    return distribution.family.frozen(means, *law[:, output].T)


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("name", [name for name in LAWS if name != "tweedie"])
def test_is_the_mixture_of_the_components(name, by_row):
    dist = mixture(name, by_row=by_row)
    y = np.rint(dist.mean()) + 1
    for row in range(N_ROWS):
        parts, weights = components(dist, row), dist.weights[row]
        density = parts.pmf(y[row]) if dist.is_discrete else parts.pdf(y[row])
        assert dist.pdf(y)[row] == pytest.approx(weights @ density, rel=1e-9)
        assert dist.cdf(y)[row] == pytest.approx(weights @ parts.cdf(y[row]), rel=1e-9)
        mean = weights @ parts.mean()
        assert dist.mean()[row] == pytest.approx(mean, rel=1e-9)
        within = weights @ parts.var()
        between = weights @ (parts.mean() - mean) ** 2
        assert dist.var_within()[row] == pytest.approx(within, rel=1e-9)
        assert dist.var_between()[row] == pytest.approx(between, rel=1e-9)
    np.testing.assert_allclose(dist.std() ** 2, dist.var())
    np.testing.assert_allclose(dist.logpdf(y), np.log(dist.pdf(y)))


@pytest.mark.parametrize("name", LAWS)
def test_quantiles_are_exact(name):
    dist, levels = mixture(name), np.array([1e-6, 0.01, 0.3, 0.5, 0.99, 1 - 1e-6])
    found = dist.ppf(levels)
    assert found.shape == (N_ROWS, 6)
    assert (np.diff(found, axis=1) >= 0).all()
    np.testing.assert_array_equal(dist.ppf(0.3), found[:, 2])
    for level, at in zip(levels, found.T, strict=True):
        if name in CONTINUOUS:
            np.testing.assert_allclose(dist.cdf(at), level, rtol=0, atol=1e-10)
        else:
            assert (dist.cdf(at) >= level - 1e-10).all()
            assert (dist.cdf_below(at) <= level + 1e-10).all()


@pytest.mark.parametrize("name", LAWS)
def test_ends_of_the_line(name):
    dist = mixture(name)
    low = dist.ppf([0.0, 1.0])[:, 0]
    assert ((low == 0) | (low == -1) | (low == -np.inf)).all()
    last = dist.ppf(1.0)
    assert ((last > dist.ppf(1 - 1e-9)) | (last == getattr(dist.family, "n_trials", np.inf))).all()


def test_far_components_are_no_trouble():
    family = Gaussian()
    means, law = np.array([[[-1e6], [0.0], [1e9]]]), np.array([[[1e-6]], [[1.0]], [[1e6]]])
    dist = MixtureDistribution(family, np.log([[0.3, 0.3, 0.4]]), means, law)
    levels = np.linspace(0.001, 0.999, 41)
    found = dist.ppf(levels)[0]
    below = np.array([dist.cdf([at])[0] for at in found])
    np.testing.assert_allclose(below, levels, atol=1e-8)


@pytest.mark.parametrize("name", LAWS)
def test_crps_is_mean_distance_less_half_the_distance_between_draws(name):
    dist = mixture(name, n_rows=4)
    y = np.rint(dist.mean())
    draws = dist.sample(60_000, random_state=0)
    far = np.abs(draws - y[:, None]).mean(axis=1)
    between = np.abs(draws[:, ::2] - draws[:, 1::2]).mean(axis=1)
    np.testing.assert_allclose(dist.crps(y), far - 0.5 * between, atol=0.02 * dist.std().max())


def test_crps_by_quadrature_equals_the_closed_form(monkeypatch):
    dist = mixture("gaussian")
    y = dist.mean() + 1.0
    exact = dist.crps(y)
    monkeypatch.setattr(integrals, "Gaussian", Poisson)
    np.testing.assert_allclose(dist.crps(y), exact, rtol=1e-6)


@pytest.mark.parametrize("n_rows", [1, 7])
@pytest.mark.parametrize("df", [[1.0001, 1.05, 5.0], [2.0, 200.0, 1e6], [4.0, 4.0, 4.0]])
def test_rough_probabilities_are_next_to_exact_ones(df, n_rows):
    rng = np.random.default_rng(0)
    y = rng.standard_t(1.2, size=(7, 1, 40_000))
    y[0, 0, :3] = -np.inf, np.inf, 0.0
    means, scale2 = rng.normal(size=(7, 3, 1)), rng.uniform(0.1, 9.0, size=(n_rows, 3, 1))
    law = scale2, np.broadcast_to(np.reshape(df, (1, 3, 1)), scale2.shape)
    exact, found = (way(y, means, *law) for way in (StudentT().cdf, StudentT().rough_cdf))
    assert (found != exact).any()  # they come from tables
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found[0, :, :2], [[0.0, 1.0]] * 3)


def test_rough_probabilities_of_a_law_with_formulas_of_its_own():
    class Halved(StudentT):
        """A law that says half of each probability."""

        def cdf(self, y, mean, *law):
            return 0.5 * super().cdf(y, mean, *law)

    ones = np.ones((1, 1, 1))
    found = Halved().rough_cdf(np.zeros((1, 1, 2**14)), 0 * ones, ones, 3 * ones)
    np.testing.assert_allclose(found, 0.25)


@pytest.mark.parametrize("power", [1.01, 1.5, 1.9])
@pytest.mark.parametrize("dispersion", [1e-3, 0.3, 30.0])
def test_rough_tweedie_probabilities_are_next_to_exact_ones(power, dispersion):
    law, levels = Tweedie(power=power), np.linspace(0.0, 4.0, 41)
    for mean in (0.1, 1.0, 8.0):
        exact, found = (way(mean * levels, mean, dispersion) for way in (law.cdf, law.rough_cdf))
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-6)
        assert law.cdf(mean, mean, dispersion) == pytest.approx(exact[10])


def test_crps_of_a_law_with_formulas_of_its_own():
    class Narrow(Gaussian):
        """A law half as wide as its dispersion says."""

        def cdf(self, y, mean, *law):
            return super().cdf(y, mean, 0.25 * law[0])

        def ppf(self, level, mean, *law):
            return super().ppf(level, mean, 0.25 * law[0])

    log_weights, means, laws = np.zeros((4, 1)), np.ones((4, 1, 1)), np.ones((1, 1, 1))
    y = np.linspace(-1.0, 3.0, 4)
    narrow = MixtureDistribution(Narrow(), log_weights, means, laws)
    expected = MixtureDistribution(Gaussian(), log_weights, means, 0.25 * laws).crps(y)
    np.testing.assert_allclose(narrow.crps(y), expected, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in LAWS if name != "tweedie"])
def test_entropy_of_one_component_is_that_of_scipy(name):
    dist = mixture(name)
    alone = MixtureDistribution(dist.family, np.zeros((N_ROWS, 1)), dist.means[:, :1], dist.law[:1])
    expected = [np.ravel(components(alone, row).entropy())[0] for row in range(N_ROWS)]
    np.testing.assert_allclose(alone.entropy(), expected, rtol=1e-5)


@pytest.mark.parametrize("name", LAWS)
def test_entropy_is_the_mean_surprise_of_draws(name):
    dist = mixture(name, n_rows=3)
    draws = dist.sample(20_000, random_state=0)
    surprise = [-dist[[row]][np.zeros(20_000, int)].logpdf(draws[row]).mean() for row in range(3)]
    np.testing.assert_allclose(dist.entropy(), surprise, atol=0.04)


@pytest.mark.parametrize("name", LAWS)
def test_nothing_is_denser_than_the_mode(name):
    dist = mixture(name)
    mode = dist.mode()
    if name == "tweedie":
        assert (dist.cdf(np.zeros(N_ROWS))[mode == 0] >= 0.5).all()
    for drawn in dist.sample(300, random_state=0).T:
        comparable = (name != "tweedie") | (mode > 0) & (drawn > 0)
        denser = dist.logpdf(drawn) > dist.logpdf(mode) + 1e-9
        assert not (denser & comparable).any()


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_intervals_hold_what_they_promise(name, coverage):
    dist = mixture(name)
    central = dist.interval(coverage)
    assert central.shape == (N_ROWS, 2)
    held = dist.cdf(central[:, 1]) - dist.cdf_below(central[:, 0])
    assert (held >= coverage - 1e-9).all()
    densest = dist.interval(coverage, kind="highest_density")
    assert densest.shape[::2] == (N_ROWS, 2)
    held = np.zeros(N_ROWS)
    for low, high in np.moveaxis(densest, 0, -1):
        there = ~np.isnan(low)
        held[there] += dist[there].cdf(high[there]) - dist[there].cdf_below(low[there])
    width = np.nansum(densest[..., 1] - densest[..., 0], axis=1)
    if name in CONTINUOUS:
        np.testing.assert_allclose(held, coverage, atol=1e-9)
        assert (width <= central[:, 1] - central[:, 0] + 1e-3).all()
    else:
        assert (held >= coverage - 1e-9).all()


@pytest.mark.parametrize("name", CONTINUOUS)
def test_regions_of_a_row_do_not_depend_on_the_others(name):
    dist = mixture(name)
    whole = dist.interval(0.8, kind="highest_density")
    for row in (0, N_ROWS - 1):
        alone = dist[row].interval(0.8, kind="highest_density")[0]
        np.testing.assert_array_equal(whole[row, : len(alone)], alone)


def test_regions_of_two_far_regimes_are_two_pieces():
    dist = MixtureDistribution(
        Gaussian(), np.log([[0.5, 0.5]]), np.array([[[-5.0], [5.0]]]), np.ones((2, 1, 1))
    )
    pieces = dist.interval(0.9, kind="highest_density")
    reach = stats.norm.ppf(0.95)
    expected = [[-5 - reach, -5 + reach], [5 - reach, 5 + reach]]
    np.testing.assert_allclose(pieces[0], expected, atol=2e-3)


def test_a_region_of_one_gaussian_is_its_central_interval():
    dist = MixtureDistribution(
        Gaussian(), np.zeros((2, 1)), np.array([[[0.0]], [[3.0]]]), np.full((1, 1, 1), 4.0)
    )
    densest = dist.interval(0.8, kind="highest_density")
    np.testing.assert_allclose(densest[:, 0], dist.interval(0.8), atol=2e-3)
    np.testing.assert_allclose(dist.mode(), dist.mean(), atol=1e-6)


@pytest.mark.parametrize("dispersion", [3.0, 11.3, 30.0])
def test_entropies_of_laws_that_lie_mostly_at_zero(dispersion):
    law = np.full((1, 1, 1), dispersion)
    found = MixtureDistribution(Gamma(), np.zeros((1, 1)), np.full((1, 1, 1), 2.0), law).entropy()
    shape = 1 / dispersion
    assert found[0] == pytest.approx(stats.gamma(shape, scale=2 / shape).entropy(), rel=1e-6)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_components_that_are_alike_have_the_mode_of_one(name):
    for seed in range(4):
        dist = mixture(name, seed=seed)
        twice = MixtureDistribution(
            dist.family,
            np.hstack([dist.log_weights - np.log(2)] * 2),
            np.hstack([dist.means, dist.means * (1 + 1e-15)]),
            np.concatenate([dist.law] * 2),
        )
        np.testing.assert_allclose(twice.mode(), dist.mode(), rtol=1e-6)


def test_a_mode_is_found_beside_components_of_another_scale():
    means, laws = np.array([[[0.3], [0.1], [1.0]]]), np.array([1e-24, 1.0, 4.0]).reshape(3, 1, 1)
    dist = MixtureDistribution(Gaussian(), np.log([[0.4, 0.3, 0.3]]), means, laws)
    assert dist.mode()[0] == pytest.approx(0.3, abs=1e-15)


def test_quantiles_next_to_zero_are_found():
    dist = MixtureDistribution(
        Gamma(), np.log([[0.7, 0.3]]), np.array([[[3.0], [1e-80]]]), np.array([[[0.3]], [[0.5]]])
    )
    levels = np.array([0.001, 0.1, 0.25, 0.6])
    found = dist.ppf(levels)[0]
    np.testing.assert_allclose([dist.cdf([point])[0] for point in found], levels, atol=1e-10)


@pytest.mark.parametrize("name", ["gaussian", "student_t", "gamma", "poisson"])
def test_several_outputs_are_those_of_each(name):
    dist = mixture(name, n_outputs=2)
    y = np.rint(dist.mean()) + 1
    each = [
        MixtureDistribution(dist.family, dist.log_weights, dist.means[..., [o]], dist.law[:, [o]])
        for o in range(2)
    ]
    for query in ("mean", "var", "mode", "entropy"):
        both = np.stack([getattr(part, query)() for part in each], axis=1)
        np.testing.assert_allclose(getattr(dist, query)(), both)
    for query in ("cdf", "crps"):
        both = np.stack([getattr(part, query)(y[:, o]) for o, part in enumerate(each)], axis=1)
        np.testing.assert_allclose(getattr(dist, query)(y), both)
    assert dist.ppf([0.1, 0.9]).shape == (N_ROWS, 2, 2)
    assert dist.ppf(0.1).shape == (N_ROWS, 2)
    assert dist.interval(0.5).shape == (N_ROWS, 2, 2)
    assert dist.interval(0.5, "highest_density").shape[:2] == (N_ROWS, 2)
    assert dist.sample(7).shape == (N_ROWS, 2, 7)
    assert dist.logpdf(y).shape == (N_ROWS,)


def test_outputs_of_one_draw_come_from_one_component():
    means = np.array([[[-9.0, -9.0], [9.0, 9.0]]])
    dist = MixtureDistribution(Gaussian(), np.log([[0.5, 0.5]]), means, np.ones((2, 2, 1)), (2,))
    first, second = dist.sample(200, random_state=0)[0]
    assert (np.sign(first) == np.sign(second)).all()
    assert 60 < (first > 0).sum() < 140


def test_rows_can_be_taken():
    dist = mixture("gamma", by_row=True)
    y = dist.mean()
    assert len(dist) == N_ROWS
    for rows in (3, [3], slice(2, 5), np.arange(N_ROWS) > 8, [1, 1, 0]):
        at_rows, expected = np.atleast_1d(y[rows]), np.atleast_1d(dist.logpdf(y)[rows])
        np.testing.assert_array_equal(dist[rows].logpdf(at_rows), expected)
    assert "12 rows, 3 Gamma components" in repr(dist)
    with pytest.raises(AttributeError):
        dist.means = 0


@pytest.mark.parametrize("name", ["student_t", "poisson", "tweedie"])
def test_pieces_of_rows_are_as_good_as_the_whole(name, monkeypatch):
    dist = mixture(name)
    y = np.rint(dist.mean())
    whole = dist.ppf([0.2, 0.7]), dist.crps(y), dist.entropy(), dist.mode()
    monkeypatch.setattr(marginal, "CHUNK", 500)
    parts = dist.ppf([0.2, 0.7]), dist.crps(y), dist.entropy(), dist.mode()
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_a_component_of_no_dispersion_is_a_point_at_zero():
    means, law = np.array([[[0.0], [3.0]]]), np.array([[[0.0]], [[0.2]]])
    dist = MixtureDistribution(Gamma(), np.log([[0.4, 0.6]]), means, law)
    gamma = stats.gamma(5, scale=0.6)
    assert dist.pdf([0.0])[0] == pytest.approx(0.4)
    assert dist.pdf([2.0])[0] == pytest.approx(0.6 * gamma.pdf(2))
    assert (dist.cdf([0.0])[0], dist.cdf_below([0.0])[0]) == (pytest.approx(0.4), 0.0)
    assert dist.ppf(0.3)[0] == 0.0
    assert dist.ppf(0.7)[0] == pytest.approx(gamma.ppf(0.5))
    assert dist.var_within()[0] == pytest.approx(0.6 * gamma.var())
    assert (dist.sample(1000, random_state=0) == 0).mean() == pytest.approx(0.4, abs=0.05)


def test_where_zero_is_likely_it_is_the_mode_and_may_be_all_of_a_region():
    means, law = np.array([[[0.0], [5.0]]]), np.array([[[0.0]], [[0.1]]])
    likely, nearly_sure = (
        MixtureDistribution(Gamma(), np.log([[chance, 1 - chance]]), means, law)
        for chance in (0.6, 0.95)
    )
    assert likely.mode() == 0.0
    pieces = nearly_sure.interval(0.9, kind="highest_density")
    np.testing.assert_array_equal(pieces, [[[0.0, 0.0]]])


def test_below_a_fraction_are_the_counts_up_to_it():
    means = np.full((2, 1, 1), 3.0)
    dist = MixtureDistribution(Poisson(), np.zeros((2, 1)), means, np.ones((1, 1, 1)))
    np.testing.assert_allclose(dist.cdf_below([2.5, 3.0]), dist.cdf([2.0, 2.0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.ppf(1.2), "q=1.2 must be a level between 0 and 1"),
        (lambda d: d.ppf([[0.1]]), "must be a level"),
        (lambda d: d.ppf_by_row(np.full(len(d), 2.0)), "must be a level"),
        (lambda d: d.ppf_by_row([0.5]), "q must have the shape .* one level for each row"),
        (lambda d: d.interval(90), "coverage=90 must be strictly between 0 and 1"),
        (lambda d: d.interval("most"), "coverage='most' must be strictly between 0 and 1"),
        (lambda d: d.interval([0.5, 0.9]), "must be one number"),
        (lambda d: d.sample(0), "n_samples=0 should be a whole number, at least 1"),
        (lambda d: d.sample(True), "n_samples=True should be a whole number, at least 1"),
        (lambda d: d.interval(0.9, kind="widest"), "kind='widest'.*central"),
        (lambda d: d.logpdf([1.0]), r"shape \(12,\).*got \(1,\)"),
    ],
)
def test_bad_questions_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(mixture("gaussian"))


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("name", ["gaussian", "gamma", "poisson"])
def test_is_a_distribution_of_skpro(name, n_outputs):
    pytest.importorskip("skpro", reason="skpro is an optional package")
    dist = mixture(name, n_outputs)
    other = dist.to_skpro()
    y = np.rint(dist.mean()).reshape(N_ROWS, n_outputs) + 1
    assert other.shape == (N_ROWS, n_outputs)
    for query in ("mean", "var"):
        found = getattr(other, query)().to_numpy()
        np.testing.assert_allclose(found, getattr(dist, query)().reshape(found.shape))
    np.testing.assert_allclose(
        other.cdf(y).to_numpy(), dist.cdf(y.reshape(dist.mean().shape)).reshape(y.shape)
    )
    density = (other.log_pmf if dist.is_discrete else other.log_pdf)(y).to_numpy()
    if n_outputs == 1:
        np.testing.assert_allclose(density[:, 0], dist.logpdf(y[:, 0]))
    levels = np.full(y.shape, 0.3)
    np.testing.assert_allclose(other.ppf(levels).to_numpy().squeeze(), dist.ppf(0.3).squeeze())
    quantiles = other.quantile([0.1, 0.9]).to_numpy().reshape(N_ROWS, n_outputs, 2)
    np.testing.assert_allclose(quantiles.squeeze(), dist.ppf([0.1, 0.9]).squeeze())
    some = other.iloc[[3, 1], :]
    np.testing.assert_allclose(some.mean().to_numpy(), other.mean().to_numpy()[[3, 1]])
    mask = np.arange(N_ROWS) % 2 == 1
    np.testing.assert_allclose(other.iloc[mask].mean(), other.mean()[mask])
    np.testing.assert_allclose(other.iloc[1:3].mean(), other.mean()[1:3])
    for number in (other.iloc[3, 0], other.iat[3, 0], other.loc[3, 0], other.at[3, 0]):
        assert number.shape == ()
        assert number.mean() == pytest.approx(other.mean().iloc[3, 0])
        assert number.cdf(y[3, 0]) == pytest.approx(other.cdf(y).iloc[3, 0])
        assert number.sample(2).shape == (2, 1)
    assert dist[[0]].to_skpro().shape == (1, n_outputs)
    drawn = other.sample(3)
    assert drawn.shape == (3 * N_ROWS, n_outputs)


def test_levels_may_differ_by_row():
    dist, levels = mixture("student_t"), np.linspace(0.05, 0.95, N_ROWS)
    np.testing.assert_allclose(dist.cdf(dist.ppf_by_row(levels)), levels, atol=1e-10)


def held_by(dist, pieces):
    """Probability (n,) of pieces (n, P, 2)."""
    held = np.zeros(len(dist))
    for low, high in np.moveaxis(pieces, 0, -1):
        there = ~np.isnan(low)
        held[there] += dist[there].cdf(high[there]) - dist[there].cdf_below(low[there])
    return held


@pytest.mark.parametrize("dispersion", [0.01, 5.0, 50.0])
@pytest.mark.parametrize("family", [Gamma(), LogNormal(), InverseGaussian()], ids=str)
def test_regions_of_laws_that_are_densest_near_zero(family, dispersion):
    means = np.geomspace(1e-3, 1e6, 6)[:, None, None]
    law = np.full((1, 1, 1), dispersion)
    if isinstance(family, InverseGaussian):
        law = law / means.max()
    dist = MixtureDistribution(family, np.zeros((6, 1)), means, law)
    pieces = dist.interval(0.8, kind="highest_density")
    np.testing.assert_allclose(held_by(dist, pieces), 0.8, atol=1e-3)


@pytest.mark.parametrize("family", [Gamma(), Tweedie(), LogNormal()], ids=str)
def test_point_beside_every_law_of_amounts(family):
    means, law = np.array([[[0.0], [3.0]]]), np.array([[[0.0]], [[0.2]]])
    dist = MixtureDistribution(family, np.log([[0.4, 0.6]]), means, law)
    quantiles = dist.ppf([0.1, 0.39, 0.7, 0.95])[0]
    assert (quantiles[:2] == 0).all()
    np.testing.assert_allclose([dist.cdf([at])[0] for at in quantiles[2:]], [0.7, 0.95])
    assert np.isfinite([dist.crps([1.0])[0], dist.entropy()[0], dist.mode()[0]]).all()


def test_large_counts_are_no_work():
    means = np.array([[[2e6], [5e6]]])
    dist = MixtureDistribution(
        NegativeBinomial(), np.log([[0.4, 0.6]]), means, np.full((2, 1, 1), 0.01)
    )
    normal = MixtureDistribution(
        Gaussian(), dist.log_weights, means, (means + 0.01 * means**2)[0, :, :, None]
    )
    y = np.array([3e6])
    assert dist.crps(y)[0] == pytest.approx(normal.crps(y)[0], rel=0.02)
    assert dist.entropy()[0] == pytest.approx(normal.entropy()[0], abs=0.02)
    assert dist.mode()[0] == pytest.approx(2e6, rel=0.05)
    pieces = dist.interval(0.8, kind="highest_density")
    np.testing.assert_allclose(held_by(dist, pieces), 0.8, atol=0.01)


def test_no_law_beyond_its_support():
    for family in (Tweedie(), Poisson(), Gamma()):
        dist = MixtureDistribution(
            family, np.zeros((1, 1)), np.full((1, 1, 1), 2.0), np.ones((1, 1, 1))
        )
        assert dist.logpdf([-1.0])[0] == -np.inf
        assert dist.cdf([-1.0])[0] == 0
    counts = MixtureDistribution(
        Poisson(), np.zeros((1, 1)), np.full((1, 1, 1), 2.0), np.ones((1, 1, 1))
    )
    assert counts.logpdf([0.5])[0] == -np.inf
    assert counts.logpdf([1e4])[0] == pytest.approx(stats.poisson(2).logpmf(1e4))
    assert counts.ppf(0.0)[0] == 0


def test_a_component_of_no_weight_says_nothing():
    dist = MixtureDistribution(
        StudentT(),
        np.array([[0.0, -np.inf]]),
        np.zeros((1, 2, 1)),
        np.array([[[1.0, 5.0]], [[1.0, 1.5]]]),
    )
    assert dist.var()[0] == pytest.approx(5 / 3)
    assert dist.logpdf([1.0])[0] == pytest.approx(stats.t(5).logpdf(1))


@pytest.mark.parametrize("rows", [[], None, np.zeros((2, 2), dtype=int)], ids=str)
def test_selections_that_are_no_rows_are_refused(rows):
    with pytest.raises(IndexError, match="Select a row, or several; the selection has shape"):
        mixture("gaussian")[rows]


@pytest.mark.parametrize("name", LAWS)
def test_of_a_missing_target_nothing_is_known(name):
    dist = mixture(name)
    y = np.ones(np.shape(dist.mean()))
    y[0] = np.nan
    for found in (dist.logpdf(y), dist.pdf(y), dist.cdf(y), dist.crps(y)):
        assert np.isnan(found[0]).all()
        assert not np.isnan(found[1:]).any()


# Large counts beside small ones.


def counts_of(family, weights, means, dispersions):
    """Mixtures of one output; a dispersion of zero is a point mass at zero."""
    means = np.array(means, dtype=float)[..., None]
    law = np.array(dispersions, dtype=float)[..., None, None]
    with np.errstate(divide="ignore"):
        return MixtureDistribution(family, np.log(np.array(weights, dtype=float)), means, law)


def summed(weights, means, dispersions, most=400_000):
    """Probabilities of all counts under a mixture of negative binomial laws."""
    counts, total = np.arange(most), np.zeros(most)
    for weight, mean, dispersion in zip(weights, means, dispersions, strict=True):
        law = stats.nbinom(1 / dispersion, 1 / (1 + mean * dispersion)) if dispersion else None
        total += weight * (law.pmf(counts) if law else counts == 0)
    return total


LARGE = {
    "at zero": ([1.0], [1000.0], [5.0]),
    "long": ([1.0], [5.0], [100.0]),
    "two parts": ([0.4, 0.6], [0.0, 2000.0], [0.0, 0.5]),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_counts_are_summed_where_they_are_likely(name):
    probability = summed(*LARGE[name])
    mixture = counts_of(NegativeBinomial(), *([part] for part in LARGE[name]))
    counts = np.arange(len(probability))
    for coverage in (0.5, 0.9):
        pieces = mixture.interval(coverage, "highest_density")[0]
        pieces = pieces[~np.isnan(pieces[:, 0])]
        np.testing.assert_array_equal(pieces, np.rint(pieces))
        inside = ((counts >= pieces[:, :1]) & (counts <= pieces[:, 1:])).any(axis=0)
        least = np.sort(probability)[::-1].cumsum().searchsorted(coverage) + 1
        assert probability[inside].sum() == pytest.approx(coverage, abs=3e-3) or inside.sum() == 1
        assert inside.sum() <= 1.001 * least + 1
    positive = probability[probability > 0]
    entropy = -(positive * np.log(positive)).sum()
    assert mixture.entropy()[0] == pytest.approx(entropy, rel=1e-3)
    assert mixture.mode()[0] == probability.argmax()
    below = probability.cumsum()
    for y in (0, 3, 2500):
        score = ((below - (counts >= y)) ** 2).sum()
        assert mixture.crps([float(y)])[0] == pytest.approx(score, rel=1e-5)


def test_rows_of_small_counts_do_not_depend_on_the_others():
    both = counts_of(NegativeBinomial(), [[1.0], [1.0]], [[0.2], [500.0]], [[1.0], [1.0]])
    alone, found = both[:1], both.interval(0.9, "highest_density")
    np.testing.assert_array_equal(found[0, :1], alone.interval(0.9, "highest_density")[0])
    assert both.entropy()[0] == alone.entropy()[0]
    assert both.crps([1.0, 400.0])[0] == alone.crps([1.0])[0]
    assert both.mode()[0] == alone.mode()[0]


@pytest.mark.parametrize("mean", [1e10, 2e11])
def test_counts_beyond_the_quantiles_of_scipy_are_as_good_as_normal(mean):
    dist = counts_of(Poisson(), [[0.4, 0.6]], [[mean, mean]], [[1.0, 1.0]])
    normal = stats.norm(mean, np.sqrt(mean))
    levels = [1e-6, 0.05, 0.5, 0.95]
    np.testing.assert_allclose(dist.ppf(levels)[0], normal.ppf(levels), atol=1e-3 * normal.std())
    np.testing.assert_allclose(dist.ppf([0.0, 1.0])[0], [0.0, np.inf])
    held = dist.interval(0.9, "highest_density")[0, 0]
    np.testing.assert_allclose(held, normal.interval(0.9), atol=5e-3 * normal.std())
    assert dist.entropy()[0] == pytest.approx(normal.entropy(), rel=1e-4)
    assert dist.mode()[0] == pytest.approx(mean, abs=0.1 * normal.std())
    score = normal.std() * (np.sqrt(2) - 1) / np.sqrt(np.pi)  # of a Gaussian at its mean
    assert dist.crps([mean])[0] == pytest.approx(score, rel=1e-3)


@pytest.mark.parametrize("name", LAWS)
def test_no_level_has_no_quantile(name):
    assert mixture(name).ppf([]).shape == (N_ROWS, 0)


def test_targets_beyond_all_numbers_have_a_score():
    dist = MixtureDistribution(
        Gaussian(), np.zeros((1, 1)), np.zeros((1, 1, 1)), np.ones((1, 1, 1))
    )
    assert dist.crps([1e300])[0] == pytest.approx(1e300)


def test_a_component_of_no_weight_says_nothing_of_counts():
    mixture = counts_of(Poisson(), [[1.0, 0.0]], [[3.0, 20_000.0]], [[1.0, 1.0]])
    alone = counts_of(Poisson(), [[1.0]], [[3.0]], [[1.0]])
    expected = alone.interval(0.9, "highest_density")
    np.testing.assert_array_equal(mixture.interval(0.9, "highest_density"), expected)


@pytest.mark.parametrize("mean", [3.0, 30_000.0])
def test_crps_of_targets_that_are_no_counts(mean):
    targets = np.array([-3.0, 1.5, 2.9, mean + 0.25])
    law = stats.poisson(mean)
    scores = counts_of(Poisson(), [[1.0]] * 4, [[mean]] * 4, [[1.0]] * 4).crps(targets)
    grid = np.arange(-4, int(2 * mean) + 40)
    for y, score in zip(targets, scores, strict=True):
        above = np.clip(grid + 1 - y, 0, 1)
        below = law.cdf(grid)
        expected = ((1 - above) * below**2 + above * (below - 1) ** 2).sum()
        assert score == pytest.approx(expected, rel=1e-4)


def test_crps_of_targets_beyond_all_counts():
    scores = counts_of(Poisson(), [[1.0]] * 4, [[3.0]] * 4, [[1.0]] * 4)
    scores = scores.crps([np.inf, -np.inf, np.nan, 1e9])
    np.testing.assert_array_equal(scores[:3], [np.inf, np.inf, np.nan])
    assert scores[3] == pytest.approx(1e9, rel=1e-6)


@pytest.mark.parametrize("mean", [1e15, 1e16, 1e18])
def test_counts_without_neighbours_end_each_search(mean):
    means = np.array([[[mean]], [[3.0]]])
    law = np.array([[[0.4]]])
    found = MixtureDistribution(NegativeBinomial(), np.zeros((2, 1)), means, law)
    levels = np.array([0.1, 0.9])
    amounts = stats.gamma(1 / 0.4, scale=0.4 * mean)  # which such counts are as good as
    np.testing.assert_allclose(found.ppf(levels)[0], amounts.ppf(levels), rtol=1e-6)
    mode = np.floor((1 / 0.4 - 1) * 0.4 * means[:, 0, 0])
    np.testing.assert_allclose(found.mode(), mode, rtol=1e-3)
    pair = MixtureDistribution(
        NegativeBinomial(), np.log([[0.5, 0.5]]), np.array([[[mean], [3 * mean]]]), law[[0, 0]]
    )
    for level, quantile in zip([0.1, 0.9], pair.ppf([0.1, 0.9])[0], strict=True):
        assert pair.cdf([quantile])[0] == pytest.approx(level, rel=1e-6)


def test_zero_is_certain_where_the_mean_is_zero():
    zero = MixtureDistribution(
        NegativeBinomial(), np.zeros((1, 1)), np.zeros((1, 1, 1)), np.full((1, 1, 1), 0.4)
    )
    assert zero.logpdf([0]) == 0.0
    assert zero.crps([0]) == 0.0


@pytest.mark.parametrize("dispersion", [1.0, 10.0, 30.0, 190.0])
def test_entropy_of_densities_beyond_all_numbers(dispersion):
    shape = 1 / dispersion
    law = np.full((1, 1, 1), dispersion)
    found = MixtureDistribution(Gamma(), np.zeros((1, 1)), np.full((1, 1, 1), 2.0), law).entropy()
    exact = stats.gamma(shape, scale=2.0 / shape).entropy()
    if dispersion <= 30:
        assert found[0] == pytest.approx(exact, rel=1e-6)
    else:  # quantiles are zero
        assert exact < found[0] < -100
