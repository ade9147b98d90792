"""Temperatures of classifying experts: the most likely ones, out of fold."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.naive_bayes import GaussianNB

from sklearn_moe import MixtureOfExpertsClassifier
from sklearn_moe.families import Categorical

RNG = np.random.default_rng(0)
N, C = 2000, 3
LOGITS = RNG.normal(size=(N, C)) * 1.5
LABELS = (softmax(LOGITS, axis=1).cumsum(axis=1) < RNG.uniform(size=(N, 1))).sum(axis=1)
PRIOR = np.bincount(LABELS) / N
# Three experts that know the law, and are as sure as they should be, too sure, and not sure enough.
TRUST = np.array([1.0, 3.0, 0.5])
MEAN = softmax(LOGITS[:, None] * TRUST[:, None], axis=2)
WEIGHTS = RNG.dirichlet(np.ones(3), N)


def test_overconfidence_is_measured_and_mended():
    law = Categorical(PRIOR, tempered=True)
    dispersion = law.fit_dispersion(LABELS, MEAN, WEIGHTS)
    assert dispersion.shape == (3, 2)
    np.testing.assert_allclose(dispersion[:, 1], TRUST, rtol=0.15)
    assert dispersion[:, 0].max() < 0.05
    adjusted = law.adjust(MEAN, dispersion)
    np.testing.assert_allclose(adjusted.sum(axis=2), 1)
    np.testing.assert_allclose(adjusted[:, 1], MEAN[:, 0], atol=0.06)


def test_temperature_is_the_most_likely_one():
    law = Categorical(PRIOR, tempered=True)
    dispersion = law.fit_dispersion(LABELS, MEAN, WEIGHTS)

    def likelihood(at):
        return (WEIGHTS * law.log_prob(LABELS, MEAN, at)).sum(axis=0)

    best = likelihood(dispersion)
    for factor in (0.97, 1.03):
        assert (likelihood(dispersion * [1, factor]) < best).all()
    untempered = Categorical(PRIOR)
    share = untempered.fit_dispersion(LABELS, MEAN, WEIGHTS)
    plain = (WEIGHTS * untempered.log_prob(LABELS, MEAN, share)).sum(axis=0)
    assert (best > plain - 1e-6).all()
    assert best[1] > plain[1] + 10


def test_experts_that_know_next_to_nothing_are_not_made_worse():
    """Where all is left to the class rates the slope by the temperature is zero, and no top."""
    rng = np.random.default_rng(3)
    labels = rng.choice(C, size=300, p=[0.5, 0.3, 0.2])
    mean, weights = softmax(2 * rng.normal(size=(300, 20, C)), axis=2), np.ones((300, 20))
    prior = np.bincount(labels, minlength=C) / 300
    plain, law = Categorical(prior), Categorical(prior, tempered=True)
    height, least = (
        each.log_prob(labels, mean, each.fit_dispersion(labels, mean, weights)).sum(axis=0)
        for each in (law, plain)
    )
    assert (height >= least - 1e-6).all()
    assert (height > least + 0.01).any()


def test_a_temperature_of_one_changes_nothing():
    share = np.full(3, 0.01)
    plain, law = Categorical(PRIOR), Categorical(PRIOR, tempered=True)
    both = np.column_stack([share, np.ones(3)])
    np.testing.assert_allclose(law.adjust(MEAN, both), plain.adjust(MEAN, share))
    np.testing.assert_allclose(
        law.log_prob(LABELS, MEAN, both), plain.log_prob(LABELS, MEAN, share), rtol=1e-9
    )


def doubled(n_samples, seed):
    """Features that each appear four times: naive Bayes counts what they say four times."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 2))
    y = (X[:, 0] + rng.logistic(size=n_samples) > 0).astype(int)
    return np.repeat(X, 4, axis=1), y


@pytest.mark.parametrize("n_experts", [1, 2])
def test_probabilities_are_those_of_the_density(n_experts):
    train, test = doubled(600, 0), doubled(3000, 1)
    bounds = {}
    for calibrate in (None, "temperature"):
        moe = MixtureOfExpertsClassifier(
            GaussianNB(), n_experts, calibrate=calibrate, random_state=0, verdict=False
        ).fit(*train)
        bounds[calibrate] = moe.lower_bound_
        own = moe.predict_proba(test[0])[np.arange(3000), test[1]]
        if n_experts > 1 or calibrate:
            np.testing.assert_allclose(np.log(own), moe.log_prob(*test), rtol=1e-9)
    assert moe.temperatures_.shape == (n_experts,)
    assert bounds["temperature"] > bounds[None]
    # Naive Bayes is worse than no classifier at all on these; calibrated, it is better.
    rates = np.log(np.bincount(test[1]) / 3000)[test[1]].mean()
    naive = GaussianNB().fit(*train).predict_proba(test[0])[np.arange(3000), test[1]]
    assert np.log(naive).mean() < rates
    assert np.log(own).mean() > rates + 0.03


def test_weights_equal_repeats():
    X, y = doubled(200, 0)
    times = np.arange(200) % 3 + 1
    moe = MixtureOfExpertsClassifier(calibrate="temperature", random_state=0, n_init=1)
    by_weight = moe.fit(X, y, times).temperatures_
    repeated = moe.fit(np.repeat(X, times, axis=0), np.repeat(y, times)).temperatures_
    np.testing.assert_allclose(by_weight, repeated, rtol=1e-5)


def test_in_sample_there_is_nothing_to_calibrate_by():
    with pytest.raises(ValueError, match=r"calibrate='temperature' needs out-of-fold.*cv=5"):
        MixtureOfExpertsClassifier(calibrate="temperature", cv=None).fit(*doubled(50, 0))
