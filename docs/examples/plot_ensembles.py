"""
Trees that answer together
==========================

A kiln is fired with wood or with gas, as the price of gas has it, and burns differently with each.
Trees learn both fuels, but a tree of many leaves also learns what was chance. With `ensemble=True`
each expert answers together with the trees that have left one fold out.

Run `python docs/examples/plot_ensembles.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor

# %%
# The kiln
# --------
# With wood the heat rises and falls with the draught, with gas it rises with the flow of air.
rng = np.random.default_rng(0)
price, air = rng.uniform(0, 1, size=(2, 1500))
gas = rng.uniform(size=1500) < 1 / (1 + np.exp(40 * (price - 0.5)))
heat = np.where(gas, 4 * air, 2 + 1.5 * np.sin(7 * air)) + 0.4 * rng.normal(size=1500)
X = np.column_stack([price, air])
X_train, X_test, y_train, y_test = train_test_split(X, heat, train_size=600, random_state=0)

# %%
# Two ways to keep the experts
# ----------------------------
# EM is the same for both. What is kept differs: one tree for each fuel, or that tree and the three
# that are fitted without one fold each.
leaves = [1, 2, 5, 10, 20, 40]
mixtures = {}
for n_rows in leaves:
    plain = MixtureOfExpertsRegressor(
        DecisionTreeRegressor(min_samples_leaf=n_rows), n_experts=2, cv=3, random_state=0
    )
    ensemble = clone(plain).set_params(ensemble=True)
    mixtures[n_rows] = plain.fit(X_train, y_train), ensemble.fit(X_train, y_train)
errors = {
    n_rows: [np.sqrt(np.mean((y_test - mixture.predict(X_test)) ** 2)) for mixture in pair]
    for n_rows, pair in mixtures.items()
}
for n_rows, (alone, together) in errors.items():
    print(f"leaves of {n_rows} rows: RMSE {alone:.3f} of single trees, {together:.3f} of ensembles")

# %%
# The picture
# -----------
# Left: what the experts say of a dear and of a cheap day, with leaves of five rows. Right: the
# error on unseen rows.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
span = np.linspace(0, 1, 400)
truth = {0.1: 4 * span, 0.9: 2 + 1.5 * np.sin(7 * span)}
for day, line in truth.items():
    left.plot(span, line, "k--", linewidth=1, label="truth" if day < 0.5 else None)
    rows = np.column_stack([np.full_like(span, day), span])
    for mixture, color, name in zip(
        mixtures[5], ("#c8553d", "#2f6f9f"), ("single trees", "ensembles"), strict=True
    ):
        label = name if day < 0.5 else None
        left.plot(span, mixture.predict(rows), color=color, linewidth=1.2, label=label)
left.set(xlabel="air", ylabel="heat", title="two days, leaves of five rows")
left.legend(frameon=False)
for at, (color, name) in enumerate((("#c8553d", "single trees"), ("#2f6f9f", "ensembles"))):
    right.plot(leaves, [pair[at] for pair in errors.values()], "o-", color=color, label=name)
right.set(xscale="log", xlabel="rows of a leaf, at least", ylabel="RMSE", title="unseen rows")
right.set_xticks(leaves, map(str, leaves), minor=False)
right.minorticks_off()
right.legend(frameon=False)

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
