"""
A tariff of rules
=================

A carrier has three price lists: one for light parcels, one for heavy parcels that stay in the
country, one for heavy parcels that go abroad. Each list is a line in weight and distance. The fit
knows neither the lists nor the limits; it is told to choose the gate by itself.

Run `python docs/examples/plot_tree_gate.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.tree import export_text

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe.gates import TreeGate

# %%
# The parcels
# -----------
# Weights in kilograms, distances in hundreds of kilometres. The limits are at 12 and at 6.
rng = np.random.default_rng(0)
weight, distance = rng.uniform(0, 30, size=2000), rng.uniform(0, 15, size=2000)
light, near = weight < 12, distance < 6
price = np.select(
    [light, near], [4 + 0.1 * weight + 0.2 * distance, 9 + 0.5 * weight], 20 + 1.5 * distance
)
X, y = np.column_stack([weight, distance]), price + 0.5 * rng.normal(size=2000)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# The fits
# --------
# The first has a linear gate, whose borders are straight lines that meet in a point. The second
# tries a network and a decision tree too, and keeps the tree.
fits = {
    "linear gate": MixtureOfExpertsRegressor(Ridge(), n_experts=3, random_state=0),
    "found gate": MixtureOfExpertsRegressor(Ridge(), n_experts=3, gate="auto", random_state=0),
}
for name, mixture in fits.items():
    mixture.fit(X_train, y_train)
    error = np.sqrt(np.mean((mixture.predict(X_test) - y_test) ** 2))
    print(f"{name}: {type(mixture.gate_).__name__}, RMSE {error:.2f}, that of the true lists 0.5")

# %%
# The tree has 16 leaves, most of which say the same. A tree of three that learns what the gate says
# is the tariff; limits are in standard deviations from the mean.
rules = TreeGate(max_leaf_nodes=3).fit(X_train, fits["found gate"].gate_proba(X_train))
print(export_text(rules.tree_, feature_names=["weight", "distance"]))
limits = rules.tree_.tree_.threshold[[0, 2]] * X_train.std(axis=0) + X_train.mean(axis=0)
print(f"limits found at {limits.round(2)}, true at 12 and 6")

# %%
# The picture
# -----------
# Which expert is the likeliest, the paler the less sure, and the limits of the lists, dashed.
figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained", sharey=True)
mesh = np.meshgrid(np.linspace(0, 30, 181), np.linspace(0, 15, 181))
grid = np.column_stack([part.ravel() for part in mesh])
colors = np.array([[0.18, 0.44, 0.62], [0.78, 0.33, 0.24], [0.45, 0.62, 0.30]])
for ax, (name, mixture) in zip(axes, fits.items(), strict=True):
    # The experts have the colours of the lists that they have learnt.
    order = np.argsort([expert.coef_[1] - 0.5 * expert.coef_[0] for expert in mixture.experts_])
    share = mixture.gate_proba(grid)[:, order]
    shade = 1 - 0.75 * (1 - share @ colors)
    ax.imshow(shade.reshape(181, 181, 3), origin="lower", extent=(0, 30, 0, 15), aspect="auto")
    ax.plot([12, 12], [0, 15], "k--", [12, 30], [6, 6], "k--", linewidth=1)
    ax.set(title=name, xlabel="weight, kg")
axes[0].set_ylabel("distance, 100 km")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
