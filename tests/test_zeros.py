"""Experts for zeros beside others: hurdles, and inflations of zeros."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe._first_starts import zeros_apart
from sklearn_moe._templates import make_template
from sklearn_moe.families import Gamma, Gaussian, Poisson, Tweedie

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


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("law", ["gamma", "tweedie"])
def test_the_unit_of_amounts_beside_zeros_does_not_matter(law):
    """Nor to which witness a fit goes on from."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(100, 2))
    y = np.exp(0.9 * np.sign(X[:, 0]) * X[:, 1]) * rng.gamma(4, 0.25, 100) * (rng.random(100) < 0.7)
    experts = [("zero", ZERO), ("one", Ridge()), ("other", Ridge())]
    quick = {"family": law, "n_init": 1, "max_iter": 8, "cv": 3, "random_state": 0}
    one, other = (
        MixtureOfExpertsRegressor(experts, **quick).fit(X, unit * y) for unit in (1.0, 2.0**12)
    )
    np.testing.assert_allclose(other.predict(X) / 2.0**12, one.predict(X), rtol=1e-6)
    assert other.gain_ == pytest.approx(one.gain_)


def test_formulas_see_no_number_of_another_unit_where_an_expert_is_for_zeros():
    seen = []

    @dataclass(frozen=True, kw_only=True)
    class Heard(Tweedie):
        def log_density(self, y, mean, *law):
            seen.append((np.min(mean), law[0]))
            return super().log_density(y, mean, *law)

    rng, unit = np.random.default_rng(0), 1e9
    X, y = draw(100, rng, "tweedie")
    experts = [("zero", ZERO), ("one", Ridge()), ("other", Ridge())]
    quick = {"n_init": 1, "max_iter": 5, "tol": 9.0, "cv": 3, "verdict": False, "random_state": 0}
    moe = MixtureOfExpertsRegressor(experts, family=Heard(), **quick).fit(X, unit * y)
    assert moe.dispersions_[0] == 0
    moe.predict_dist(X).logpdf(unit * y)
    least_mean, least_dispersion = 1e-3 * unit * y.mean(), 1e-3 * (unit * y.mean()) ** 0.5
    assert all(mean >= 0.99 * least_mean for mean, _ in seen)
    assert all((dispersion >= least_dispersion).all() for _, dispersion in seen)


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
