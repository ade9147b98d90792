"""`family="auto"`: a Student-t law is tried beside the Gaussian, and the bound decides."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe import _fitting as fitting
from sklearn_moe.families import Contaminated, Gaussian, StudentT
from sklearn_moe.gates import MLPGate

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 2))
RULE = 2 * X[:, 0] + RNG.logistic(size=400) > 0
NOISE = {"gaussian": RNG.normal(size=400), "student_t": RNG.standard_t(2.5, size=400)}
LAWS = {"gaussian": Gaussian, "student_t": StudentT}
# Sure, for rows of the other rule would look like outliers in the first iterations.
START = np.where(np.column_stack([RULE, ~RULE]), 0.999, 0.001)
QUICK = {"max_iter": 4, "verdict": False, "random_state": 0}


def target(noise):
    """Two rules, and the noise."""
    return np.where(RULE, 3, -3) * X[:, 1] + 0.3 * NOISE[noise]


@pytest.mark.parametrize("noise", NOISE)
def test_what_is_kept_is_as_if_it_had_been_asked_for(noise):
    moe = MixtureOfExpertsRegressor(Ridge(), 2, init=START, **QUICK)
    said = {}
    for family in ("auto", noise):
        moe.set_params(family=family).fit(X, target(noise))
        assert type(moe.family_) is LAWS[noise]
        said[family] = moe.log_prob(X, target(noise))
    np.testing.assert_array_equal(said["auto"], said[noise])


def test_gain_is_over_one_expert_of_the_law_that_is_kept():
    moe = MixtureOfExpertsRegressor(Ridge(), 2, init=START, random_state=0)
    found = moe.set_params(family="auto").fit(X, target("student_t")).gain_
    assert found == moe.set_params(family="student_t").fit(X, target("student_t")).gain_ > 0


def test_one_expert_has_a_law_too():
    moe = MixtureOfExpertsRegressor(Ridge(), 1, family="auto", **QUICK)
    assert type(moe.fit(X, X[:, 0] + 0.3 * NOISE["student_t"]).family_) is StudentT
    assert type(moe.fit(X, X[:, 0] + 0.3 * NOISE["gaussian"]).family_) is Gaussian


def test_nothing_is_tried_without_folds():
    moe = MixtureOfExpertsRegressor(Ridge(), 2, family="auto", cv=None, **QUICK)
    assert type(moe.fit(X, target("student_t")).family_) is Gaussian


def test_law_and_gate_are_both_found():
    inside = (X**2).sum(axis=1) < 1.4
    y = np.where(inside, 3, -3) * X[:, 1] + 0.3 * NOISE["student_t"]
    moe = MixtureOfExpertsRegressor(Ridge(), 2, family="auto", gate="auto", cv=3, random_state=0)
    moe.set_params(max_iter=20).fit(X, y)
    assert (type(moe.family_), type(moe.gate_)) == (StudentT, MLPGate)
    moe.set_params(n_experts="auto").fit(X, y)
    assert (type(moe.family_), type(moe.gate_)) == (StudentT, MLPGate)
    assert moe.n_experts_ > 1


def test_large_table_tries_on_a_sample(monkeypatch):
    monkeypatch.setattr(fitting, "RACE_ROWS", 150)
    moe = MixtureOfExpertsRegressor(Ridge(), 2, family="auto", **QUICK)
    assert type(moe.fit(X, target("student_t")).family_) is StudentT


def test_background_is_beside_the_law_that_is_kept():
    moe = MixtureOfExpertsRegressor(Ridge(), 2, family="auto", outlier_fraction=0.01, **QUICK)
    moe.set_params(init=START).fit(X, target("gaussian"))
    assert isinstance(moe.family_, Contaminated)
    assert type(moe.family_.clean) is Gaussian
