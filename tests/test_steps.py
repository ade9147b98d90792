"""Targets that were rounded: no law is narrower than their step allows."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe.families import Gaussian
from sklearn_moe.families._target import Target

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 2))
# Marks from three to eight, as of wines: experts that say one number each explain them too well.
MARKS = np.clip(np.rint(5.5 + 0.5 * X[:, 0] + 0.6 * RNG.normal(size=300)), 3, 8)


def step_of(values, weight=None):
    values = np.asarray(values, dtype=float)
    weight = np.ones(len(values)) if weight is None else weight
    return Target.of(values.reshape(len(values), -1), weight).step


@pytest.mark.parametrize("unit", [1.0, 0.125, 0.1, 1e-9, 3e7])
@pytest.mark.parametrize("origin", [0.0, -17.3])
def test_the_step_is_found_in_any_unit(unit, origin):
    values = unit * (RNG.integers(0, 200, size=500) + origin)
    assert step_of(values)[0] == pytest.approx(unit, rel=1e-9)


def test_the_step_is_found_where_no_two_values_are_neighbours():
    assert step_of([0, 6, 15, 21])[0] == 3.0


def test_the_step_is_found_in_single_precision():
    values = ((RNG.integers(0, 100, size=500) - 50.3) / 31).astype(np.float32)
    assert step_of(values)[0] == pytest.approx(1 / 31, rel=1e-4)


def test_numbers_that_were_not_rounded_have_next_to_no_step():
    assert step_of(RNG.normal(size=500))[0] < 1e-4
    assert step_of(np.ones(500))[0] == 0.0


def test_each_output_has_its_step_and_rows_of_no_weight_have_no_say():
    y = np.column_stack([MARKS, 10 * MARKS])
    y[0] += 0.123
    weight = np.r_[0.0, np.ones(299)]
    np.testing.assert_allclose(step_of(y, weight), [1.0, 10.0])
    assert (step_of(y) < [0.5, 5.0]).all()
    np.testing.assert_allclose(Target.of(y, weight).take([1]).step, [10.0])


@pytest.mark.parametrize("unit", [1.0, 0.01])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"family": "student_t"},
        {"cv": None},
        {"outlier_fraction": 0.05},
        {"dispersion_estimator": DecisionTreeRegressor(max_depth=3, random_state=0)},
    ],
    ids=str,
)
def test_no_density_exceeds_one_per_step(params, unit):
    mixture = MixtureOfExpertsRegressor(Ridge(1e3), 6, random_state=0, **params)
    mixture.fit(X, unit * MARKS)
    assert mixture.log_prob(X, unit * MARKS).max() <= -np.log(unit) + 1e-9
    assert mixture.predict_dist(X).pdf(unit * MARKS).max() <= 1 / unit + 1e-9
    assert mixture.dispersions_.min() >= unit**2 / (2 * np.pi) * (1 - 1e-9)


def test_the_least_dispersion_is_that_of_one_per_step():
    law = Gaussian().prepared(np.tile([0.0, 0.5], 5)[:, None], np.ones(10))
    assert law.floor == pytest.approx(0.5**2 / (2 * np.pi))


def test_what_is_known_exactly_is_known_to_a_step():
    experts = DecisionTreeRegressor(min_samples_leaf=5, random_state=0)
    exact = np.rint(2 * np.sign(X[:, 0]) + 3)
    mixture = MixtureOfExpertsRegressor(experts, random_state=0).fit(X, exact)
    assert mixture.log_prob(X, exact).max() <= 1e-9


def test_only_the_output_that_was_rounded_is_held():
    y = np.column_stack([np.sign(X[:, 0]), X @ [1.0, 2.0]])
    mixture = MixtureOfExpertsRegressor(Ridge(1e-6), random_state=0).fit(X, y)
    assert mixture.dispersions_[:, 0].min() >= 4 / (2 * np.pi) * (1 - 1e-9)
    assert mixture.dispersions_[:, 1].max() < 1e-6


def test_a_law_that_knows_no_target_is_not_held():
    narrow = np.full((1, 1, 1), 1e-12)
    peak = Gaussian().log_prob(np.ones((1, 1)), np.ones((1, 1, 1)), narrow)
    assert peak[0, 0] == pytest.approx(-0.5 * np.log(2 * np.pi * 1e-12))
