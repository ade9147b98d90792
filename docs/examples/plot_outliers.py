"""
A meter that sticks
===================

What a house draws falls with warmth as long as it is heated, and rises once it is cooled. Now and
then the meter sticks at the end of its scale. Least squares follow it there; under a law that
resists outliers experts keep to the house, and say which readings are the meter's own.

Run `python docs/examples/plot_outliers.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from sklearn_moe import MixtureOfExpertsRegressor


# %%
# The house
# ---------
# Two straight lines meet at 17 degrees, and one reading in twelve is the largest that there is.
def house(n_hours, seed):
    rng = np.random.default_rng(seed)
    warmth = rng.uniform(-10, 35, n_hours)
    power = np.where(warmth < 17, 2 + 0.3 * (17 - warmth), 2 + 0.5 * (warmth - 17))
    sticks = rng.uniform(size=n_hours) < 1 / 12
    read = np.where(sticks, 60.0, power + rng.normal(scale=0.4, size=n_hours))
    return warmth[:, None], power, read, sticks


X, _, y, sticks = house(600, seed=0)
X_new, power, _, _ = house(5000, seed=1)

# %%
# Three laws
# ----------
# Errors are those to the power itself, which no fit has seen.
laws = {
    "Gaussian": {},
    "Student-t": {"family": "student_t"},
    "Gaussian, with outliers": {"outlier_fraction": 0.05},
}
mixtures = {
    name: MixtureOfExpertsRegressor(random_state=0, **law).fit(X, y) for name, law in laws.items()
}
for name, mixture in mixtures.items():
    error = np.sqrt(np.mean((mixture.predict(X_new) - power) ** 2))
    print(f"{name}: root mean square error {error:.2f}")

# %%
# Whose readings are these?
# -------------------------
# A fraction that is a rough guess will do: here it is half of what there is.
proba = mixtures["Gaussian, with outliers"].outlier_proba(X, y)
print(f"taken for the meter's: {np.mean(proba > 0.5):.1%} of the readings, {sticks.mean():.1%} are")

# %%
# The picture
# -----------
# Left: all readings, and what the three laws make of them. Right: the house alone.
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
line = np.linspace(-10, 35, 300)[:, None]
for axis in axes:
    points = axis.scatter(X[:, 0], y, s=6, c=proba, cmap="coolwarm", vmin=0, vmax=1)
    for number, (name, mixture) in enumerate(mixtures.items()):
        axis.plot(line[:, 0], mixture.predict(line), color=f"C{number + 1}", label=name)
    axis.set(xlabel="degrees", ylabel="kW")
axes[0].legend(fontsize="small", loc="center left")
axes[1].set(ylim=(0, 14))
figure.colorbar(points, ax=axes, label="probability that a reading is the meter's")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
