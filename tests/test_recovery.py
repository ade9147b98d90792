"""Known regimes are found again, and the fit's own account of itself agrees with fresh rows."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import r2_score, root_mean_squared_error

from sklearn_moe import MixtureOfExpertsRegressor

FOREST = RandomForestRegressor(8, min_samples_leaf=3, random_state=0)


def sign_table(n_samples, seed):
    """A slope of 3 or -3 in one feature, by the sign of another, among five; noise 0.3."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 5))
    return X, np.where(X[:, 0] > 0, 3, -3) * X[:, 1] + 0.3 * rng.normal(size=n_samples)


def opposite_table(n_samples, seed):
    """A sum of three features whose sign turns at an oblique line, where trees are at a loss."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_samples, 5))
    turn = np.where(X[:, 3] + X[:, 4] > 0, 5.0, -5.0)
    return X, turn * X[:, :3].sum(axis=1) + 0.5 * rng.normal(size=n_samples)


@pytest.mark.parametrize("seed", range(10))
def test_default_settings_find_the_signs(seed):
    moe = MixtureOfExpertsRegressor(random_state=seed).fit(*sign_table(2000, seed))
    X, y = sign_table(5000, 100 + seed)
    assert moe.converged_
    assert r2_score(y, moe.predict(X)) >= 0.95
    assert moe.gain_ > 2 * moe.gain_stderr_


@pytest.fixture(scope="module")
def forests():
    """Two forests fitted to opposite regimes, the training table, and a fresh one."""
    train, test = opposite_table(1000, 0), opposite_table(4000, 99)
    moe = MixtureOfExpertsRegressor(FOREST, n_init=2, tol=1e-3, random_state=0)
    return moe.fit(*train), train, test


@pytest.mark.slow
def test_two_forests_beat_one(forests):
    moe, train, (X, y) = forests
    alone = root_mean_squared_error(y, FOREST.fit(*train).predict(X))
    assert root_mean_squared_error(y, moe.predict(X)) <= 0.6 * alone
    assert moe.gain_ > 2 * moe.gain_stderr_


@pytest.mark.slow
def test_account_of_the_fit_agrees_with_fresh_rows(forests):
    """The witnesses learn from four fifths of the rows, and may say less than is true, not more."""
    moe, _, test = forests
    fresh = moe.log_prob(*test).mean()
    print(f"fresh {fresh:.4f}, bound {moe.lower_bound_:.4f}, held out {moe.heldout_log_prob_:.4f}")
    assert moe.lower_bound_ == pytest.approx(fresh, rel=0.05)
    assert fresh - 0.1 < moe.heldout_log_prob_ < fresh + 2 * moe.gain_stderr_


@pytest.mark.slow
def test_one_regime_gains_nothing():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 5))
    y = X @ [1.0, 2.0, 3.0, 0.0, -1.0] + rng.normal(size=500)
    moe = MixtureOfExpertsRegressor(random_state=0, tol=1e-3).fit(X, y)
    assert abs(moe.gain_) < 3 * moe.gain_stderr_ + 0.02
