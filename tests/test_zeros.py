"""Experts for zeros beside others: hurdles, and inflations of zeros."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe._first_starts import zeros_apart
from sklearn_moe._templates import make_template
from sklearn_moe.families import Gamma, Gaussian, Poisson

ZERO = DummyRegressor(strategy="constant", constant=0)


def draw(n_rows, rng, law):
    X = rng.uniform(-1, 1, size=(n_rows, 2))
    is_amount = rng.uniform(size=n_rows) < 1 / (1 + np.exp(-4 * X[:, 0]))
    mean = 20 * np.exp(X[:, 1])
    amount = rng.poisson(mean) if law == "poisson" else rng.gamma(5, mean / 5)
    return X, np.where(is_amount, amount, 0)


@pytest.mark.parametrize(("law", "seed", "least"), [("poisson", 5, -2.2), ("tweedie", 1, -2.5)])
def test_a_mixture_with_an_expert_for_zeros_is_found_to_help(law, seed, least):
    rng = np.random.default_rng(seed)
    (X, y), unseen = draw(400, rng, law), draw(2000, rng, law)
    amount = DecisionTreeRegressor(min_samples_leaf=10, random_state=0)
    experts = [("zero", ZERO), ("amount", amount)]
    moe = MixtureOfExpertsRegressor(experts, family=law, random_state=0).fit(X, y)
    assert moe.n_experts_ == 2
    assert moe.gain_ > 2 * moe.gain_stderr_
    assert moe.log_prob(*unseen).mean() > least
    on = unseen[0][:, 0] > 0.8
    assert moe.gate_proba(unseen[0][on])[:, 1].mean() > 0.8


def starting(family, *experts):
    templates = [make_template(str(i), expert, 0, {}) for i, expert in enumerate(experts)]
    return SimpleNamespace(family=family, templates=templates)


@pytest.mark.parametrize("family", [Gamma(), Poisson()])
def test_zeros_begin_with_the_experts_for_them(family):
    target = np.array([[0.0, 0.0], [0.0, 3.0], [2.0, 1.0], [1.0, 1.0]])
    resp = np.array([[0.2, 0.2, 0.6], [0.5, 0.1, 0.4], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = zeros_apart(resp, starting(family, ZERO, Ridge(), Ridge()), target)
    expected = [[1.0, 0.0, 0.0], [0.0, 0.2, 0.8], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    "recipe",
    [
        starting(Gaussian(), ZERO, Ridge()),
        starting(Poisson(), ZERO, ZERO),
        starting(Poisson(), DummyRegressor(strategy="constant", constant=1), Ridge()),
        starting(Poisson(), DummyRegressor(), Ridge()),
    ],
)
def test_where_no_expert_is_for_zeros_alone_starts_are_left_as_they_are(recipe):
    resp = np.array([[0.3, 0.7], [1.0, 0.0]])
    assert zeros_apart(resp, recipe, np.array([[0.0], [2.0]])) is resp
