"""One-dimensional searches for many experts at once."""

import numpy as np
import pytest

from sklearn_moe._maximise import N_STEPS, top_of
from sklearn_moe.families import StudentT

LOW, HIGH = np.full(6, -2.0), np.full(6, 5.0)
ZEROS = np.array([-1.999, -1.0, 0.0, 0.3, 3.0, 4.999])
SLOPES = {
    "line": lambda x: ZEROS - x,
    "cube": lambda x: (ZEROS - x) ** 3,
    "steep": lambda x: np.tanh(1e6 * (ZEROS - x)),
    "flat": lambda x: np.exp(ZEROS) - np.exp(x),
    "pole": lambda x: 1 / (x + 2.0001) - 1 / (ZEROS + 2.0001),
    "infinite": lambda x: np.where(x < -1.9999, np.inf, ZEROS - x),
}


@pytest.mark.parametrize("by_ends", [True, False])
@pytest.mark.parametrize("name", SLOPES)
def test_zeros_are_found_to_the_digits_of_bisection(name, by_ends):
    found = top_of(SLOPES[name], LOW, HIGH, by_ends=by_ends)
    np.testing.assert_allclose(found, ZEROS, atol=7 * 0.5**N_STEPS, rtol=0)


def test_it_looks_at_the_slope_less_often_than_bisection():
    looked = []
    top_of(lambda x: looked.append(x) or np.exp(ZEROS) - np.exp(x), LOW, HIGH)
    assert len(looked) <= N_STEPS / 2


@pytest.mark.parametrize("by_ends", [True, False])
@pytest.mark.parametrize(("sign", "end"), [(1.0, HIGH), (-1.0, LOW)])
def test_a_slope_of_one_sign_leads_to_an_end(sign, end, by_ends):
    found = top_of(lambda x: sign * np.exp(-x), LOW, HIGH, by_ends=by_ends)
    np.testing.assert_allclose(found, end, atol=7 * 0.5**N_STEPS, rtol=0)


def test_ends_that_are_one_are_the_answer():
    low = np.where(np.arange(6) == 2, HIGH, LOW)
    expected = np.where(np.arange(6) == 2, HIGH, ZEROS)
    found = top_of(SLOPES["line"], low, HIGH)
    np.testing.assert_allclose(found, expected, atol=7 * 0.5**N_STEPS, rtol=0)


def test_the_middle_has_the_first_word_where_ends_have_none():
    def slope(x):
        """It rises through zero at -1.9 and falls through it at -1."""
        return -(x + 1.9) * (x + 1)

    np.testing.assert_allclose(top_of(slope, LOW, HIGH, by_ends=False), -1.0, atol=1e-9)
    np.testing.assert_array_equal(top_of(slope, LOW, HIGH), LOW)


@pytest.mark.parametrize(("n_samples", "df"), [(150, 3.0), (1000, 2.0), (400, 1.2), (3000, 30.0)])
def test_no_scale_nor_degrees_of_freedom_are_more_likely(n_samples, df):
    rng = np.random.default_rng(0)
    y = rng.standard_t(df, size=(n_samples, 1))
    mean = np.broadcast_to(rng.normal(size=4), (n_samples, 4))
    weights = rng.dirichlet(np.ones(4), n_samples)
    family = StudentT()
    scale2, found = family.fit_output(y, mean, weights)

    def total(scale2, df):
        return (weights * family.log_density(y, mean, scale2, df)).sum(axis=0)

    inside = (found > 1.06) & (found < 199)
    assert inside.any()
    best = total(scale2, found)
    for step in (0.999, 1.001):
        assert (best > total(step * scale2, found)).all()
        assert (best > total(scale2, np.clip(step * found, 1.05, 200.0)))[inside].all()
