"""Standardised rows of which no copy is made, and who reads them so."""

import tracemalloc

import numpy as np
import pytest
from scipy.special import log_softmax

from sklearn_moe import MixtureOfExpertsRegressor, SoftmaxGate
from sklearn_moe._design import TabularEncoder
from sklearn_moe.logit import SoftLogit, StandardisedRows, design_sums, scores_of

RNG = np.random.default_rng(0)
NUMBERS = 3.0 + 2.0 * RNG.normal(size=(60, 3))
WEIGHTS, VALUES = RNG.normal(size=(2, 4)), RNG.normal(size=(2, 60))
TABLES = {
    "float64": NUMBERS,
    "float32": NUMBERS.astype(np.float32),
    "integers": np.rint(NUMBERS).astype(np.int64),
    "booleans": NUMBERS > 3.0,
    "by columns": np.asfortranarray(NUMBERS),
    "far from zero": NUMBERS + 1e9,
    "far below zero": NUMBERS - 1e9,
    "far for its scale": NUMBERS * 1e-8 - 7.0,
    "a constant": NUMBERS * [1.0, 0.0, 1.0] + 7.0,
}


def encoded(X):
    encoder = TabularEncoder().fit(X)
    return encoder.by_block(X), encoder.transform(X)


@pytest.mark.parametrize("name", TABLES)
def test_products_are_those_with_the_encoded_table(name):
    rows, Z = encoded(TABLES[name])
    assert isinstance(rows, StandardisedRows)
    for some in (slice(5, 30), np.arange(0, 60, 7)):
        scores, sums = scores_of(rows[some], WEIGHTS), design_sums(rows[some], VALUES[:, some])
        np.testing.assert_allclose(scores, scores_of(Z[some], WEIGHTS), atol=1e-11)
        np.testing.assert_allclose(sums, design_sums(Z[some], VALUES[:, some]), atol=1e-11)


@pytest.mark.parametrize("name", TABLES)
def test_problem_is_that_of_the_encoded_table(name):
    rows, Z = encoded(TABLES[name])
    targets, theta = RNG.dirichlet([1, 1, 1], 60), RNG.normal(size=(2, 4))
    here, there = SoftLogit(rows, targets, 0.1), SoftLogit(Z, targets, 0.1)
    for mine, theirs in zip(here.evaluate(theta), there.evaluate(theta), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-10)
    proba = there.evaluate(theta)[2]
    np.testing.assert_allclose(here.hessian(proba), there.hessian(proba), atol=1e-10)


@pytest.mark.parametrize("n_experts", [2, 5])
@pytest.mark.parametrize("name", TABLES)
def test_a_gate_says_of_numbers_what_it_says_of_encoded_rows(name, n_experts):
    X = TABLES[name]
    gate = SoftmaxGate().fit(X, RNG.dirichlet(np.ones(n_experts), 60))
    expected = gate.log_proba_encoded(gate.encoder_.transform(X))
    np.testing.assert_allclose(gate.predict_log_proba(X), expected, rtol=0, atol=1e-11)
    scores = np.concatenate([*gate.score_blocks(X)])
    np.testing.assert_allclose(log_softmax(scores, axis=1), expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(scores.mean(axis=1), 0.0, atol=1e-10)  # as those of all experts are


@pytest.mark.parametrize("shift", [0.0, 1e9])
@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_found(hole, shift):
    numbers = NUMBERS + shift
    gate = SoftmaxGate().fit(numbers, RNG.dirichlet([1, 1], 60))
    X = numbers.copy()
    X[3, 1] = hole
    if np.isinf(hole):
        with pytest.raises(ValueError, match="infinity"):
            gate.predict_proba(X)
        return
    at_mean = numbers.copy()
    at_mean[3, 1] = numbers[:, 1].mean()
    np.testing.assert_allclose(gate.predict_proba(X), gate.predict_proba(at_mean), atol=1e-12)


def test_numbers_whose_sum_overflows_are_numbers():
    encoder = TabularEncoder().fit(NUMBERS)
    rows = encoder.by_block(np.full((4, 3), 1.5e308))
    assert np.isfinite(rows).all()


def test_prediction_makes_no_copy_of_the_table():
    X = RNG.normal(size=(20_000, 40))
    gate = SoftmaxGate().fit(X[:500], RNG.dirichlet([1, 1], 500))
    tracemalloc.start()
    gate.predict_proba(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * X.nbytes


@pytest.mark.parametrize("constant", [0.0, 900.0, -0.1, 1e9])
def test_a_constant_column_has_no_say_in_a_gate_without_a_penalty(constant):
    X = np.column_stack([RNG.normal(size=300), np.full(300, constant)])
    y = np.abs(X[:, 0]) + 0.3 * RNG.normal(size=300)
    options = {"n_experts": 2, "random_state": 0, "verdict": False, "max_iter": 50, "tol": 1e-2}
    mixture = MixtureOfExpertsRegressor(gate=SoftmaxGate(alpha=0.0), **options).fit(X, y)
    np.testing.assert_array_equal(mixture.gate_.coef_[:, 1], 0.0)
    elsewhere = X + np.array([0.0, 7.0])
    np.testing.assert_array_equal(mixture.gate_proba(elsewhere), mixture.gate_proba(X))


def test_a_subclass_that_answers_for_encoded_rows_gets_them():
    class Doubled(SoftmaxGate):
        def log_proba_encoded(self, Z):
            return super().log_proba_encoded(2.0 * Z)

    targets = RNG.dirichlet([1, 1], 60)
    plain, doubled = SoftmaxGate().fit(NUMBERS, targets), Doubled().fit(NUMBERS, targets)
    by_hand = plain.log_proba_encoded(2.0 * plain.encoder_.transform(NUMBERS))
    np.testing.assert_allclose(doubled.predict_log_proba(NUMBERS), by_hand, atol=1e-12)
