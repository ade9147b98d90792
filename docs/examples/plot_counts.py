"""
Counts, and days of none
========================

How many people come to a lake? When it is warm they bathe, when it freezes they skate, and in a
storm the gate is locked and there is nobody. Two Poisson regressions and an expert for zeros share
the days; one Poisson regression has to see a single rule in them.

Run `python docs/examples/plot_counts.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_moe import MixtureOfExpertsRegressor


# %%
# The lake
# --------
# Bathers grow by a tenth with each degree, skaters by a seventh with each degree of frost. Some
# days are livelier than others, so that counts vary more than Poisson's law would have them.
def lake(n_days, seed):
    rng = np.random.default_rng(seed)
    warmth, wind = rng.uniform(-15, 30, n_days), rng.gamma(4.0, 2.0, n_days)
    people = np.where(warmth > 4, np.exp(0.1 * warmth + 1.2), np.exp(2.0 - 0.14 * warmth))
    people *= rng.gamma(8.0, 1 / 8, n_days)
    return np.column_stack([warmth, wind]), rng.poisson(np.where(wind > 13, 0, people))


X, y = lake(900, seed=0)
X_new, y_new = lake(5000, seed=1)

# %%
# The experts
# -----------
# Poisson regressions are solved for all experts and folds at once, whatever the law; this one has
# room for livelier days.
rate = make_pipeline(StandardScaler(), PoissonRegressor(alpha=1e-3))
people = MixtureOfExpertsRegressor(
    [
        ("bathers", rate),
        ("skaters", rate),
        ("nobody", DummyRegressor(strategy="constant", constant=0)),
    ],
    family="negative_binomial",
    random_state=0,
).fit(X, y)
alone = MixtureOfExpertsRegressor(
    rate, n_experts=1, family="negative_binomial", random_state=0
).fit(X, y)
for name, model in [("one regression", alone), ("the mixture", people)]:
    low, high = model.predict_interval(X_new, 0.9).T
    density = model.predict_dist(X_new).logpdf(y_new).mean()
    covered = np.mean((low <= y_new) & (y_new <= high))
    print(f"{name}: log density {density:.2f}; {covered:.0%} within 90 % intervals")

# %%
# The picture
# -----------
# Left: the days, in the colour of the expert that is most responsible for each, and what is
# expected when the wind is low. Right: a gusty day of frost, on which the gate may be locked.
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
leads = people.responsibilities(X, y).argmax(axis=1)
for number, name in enumerate(people.expert_names_):
    axes[0].scatter(
        *X[leads == number, :1].T, y[leads == number], s=6, color=f"C{number}", label=name
    )
calm = np.column_stack([np.linspace(-15, 30, 200), np.full(200, 6.0)])
axes[0].plot(calm[:, 0], people.predict(calm), color="k", label="the mixture, calm")
axes[0].plot(calm[:, 0], alone.predict(calm), "k:", label="one regression")
axes[0].legend(fontsize="small")
axes[0].set(title="the days", xlabel="degrees", ylabel="people")

gusty, numbers = np.array([[-8.0, 12.8]]), np.arange(60)
for name, model, style in [("the mixture", people, "C1"), ("one regression", alone, "0.6")]:
    chance = np.exp(model.predict_dist(np.repeat(gusty, len(numbers), axis=0)).logpdf(numbers))
    axes[1].step(numbers, chance, where="mid", color=style, label=name)
axes[1].legend(fontsize="small")
axes[1].set(title="8 degrees of frost, gusts of 12.8", xlabel="people", ylabel="probability")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
