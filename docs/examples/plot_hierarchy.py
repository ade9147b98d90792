"""
Four soils and a river
======================

A river parts a field. West of it the soil changes at one latitude, east of it at another, and on
each of the four soils the yield follows the field in its own way. A flat gate compares all four
experts at once and must bend its borders; a mixture of mixtures asks first which bank a place is
on, and then what is divided there.

Run `python docs/examples/plot_hierarchy.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from sklearn_moe import MixtureOfExpertsRegressor

# %%
# The field
# ---------
SLOPES = np.array([[3, 1], [-2, 3], [0, -3], [2, -1.0]])


def field(n_samples, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_samples, 2))
    soil = soil_of(X)
    return X, (X * SLOPES[soil]).sum(axis=1) + rng.normal(0, 0.3, size=n_samples)


def soil_of(X):
    east, north = X.T
    return np.where(east < 0, 0 + (north > 0.4), 2 + (north > -0.4))


X, y = field(1200, seed=0)
X_new, y_new = field(5000, seed=1)

# %%
# A flat gate, and a tree of gates
# --------------------------------
# A mixture as an expert of a mixture: the whole is fitted as one model.
flat = MixtureOfExpertsRegressor(n_experts=4, verdict=False, random_state=0).fit(X, y)
branch = MixtureOfExpertsRegressor(n_experts=2)
tree = MixtureOfExpertsRegressor(branch, n_experts=2, verdict=False, random_state=0).fit(X, y)
for name, mixture in (("flat gate", flat), ("tree of gates", tree)):
    error = np.sqrt(np.mean((mixture.predict(X_new) - y_new) ** 2))
    density = mixture.log_prob(X_new, y_new).mean()
    print(f"{name}: RMSE {error:.3f} where the noise is 0.3, mean log density {density:.3f}")
print("experts of the tree:", ", ".join(tree.expert_names_))

# %%
# The picture
# -----------
# The soils, and which expert each mixture would ask; black lines are the true borders.
grid = np.stack(np.meshgrid(np.linspace(-1, 1, 200), np.linspace(-1, 1, 200)), axis=-1)
places = grid.reshape(-1, 2)
colors = ["#c8553d", "#2f6f9f", "#e0b84c", "#5b8c5a"]


def shown(regions):
    """Numbers of regions, in the colour of the soil that most of each lies on."""
    soil = soil_of(places)
    names = [np.bincount(soil[regions == k], minlength=4).argmax() for k in range(4)]
    return np.array(names)[regions].reshape(grid.shape[:2])


figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
maps = {
    "the four soils": soil_of(places),
    "flat gate": flat.gate_proba(places).argmax(axis=1),
    "tree of gates": tree.gate_proba(places).argmax(axis=1),
}
for axis, (title, regions) in zip(axes, maps.items(), strict=True):
    look = {"extent": (-1, 1, -1, 1), "origin": "lower", "interpolation": "nearest"}
    axis.imshow(shown(regions), cmap=ListedColormap(colors), **look)
    axis.plot([0, 0], [-1, 1], color="k", linewidth=1)
    axis.plot([-1, 0], [0.4, 0.4], color="k", linewidth=1)
    axis.plot([0, 1], [-0.4, -0.4], color="k", linewidth=1)
    axis.set(title=title, xlabel="east", ylabel="north")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
