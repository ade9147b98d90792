"""
A landscape and its surveyors
=============================

Heights of a rough landscape, learnt by thirty-two surveyors, each of whom knows a plane: one patch
of ground. With `top_k=2` only two of them are asked about a place, whatever their number. Without
further care some have large districts and some next to none; `balance` evens that out.

Run `python docs/examples/plot_sparse.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from sklearn.linear_model import LinearRegression

from sklearn_moe import MixtureOfExpertsRegressor


# %%
# The landscape
# -------------
# A plain in the south, hills that grow steeper toward the north.
def height(places):
    east, north = places.T
    hills = np.sin(5 * east) * np.cos(4 * north) + 0.5 * np.sin(9 * east + 6 * north)
    return 1 / (1 + np.exp(-6 * (north - 0.4))) * hills


def survey(n_samples, seed):
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 1, size=(n_samples, 2)) * [2, 1]
    return places, height(places) + rng.normal(0, 0.03, size=n_samples)


X, y = survey(3000, seed=0)
X_new, y_new = survey(5000, seed=1)

# %%
# Few of many
# -----------
params = {"n_experts": 32, "top_k": 2, "n_init": 1, "init": "kmeans_x", "verdict": False}
mixtures = {
    balance: MixtureOfExpertsRegressor(
        LinearRegression(), balance=balance, random_state=0, **params
    ).fit(X, y)
    for balance in (0.0, 10.0)
}
for balance, mixture in mixtures.items():
    error = np.sqrt(np.mean((mixture.predict(X_new) - y_new) ** 2))
    print(
        f"balance {balance:g}: {mixture.n_experts_} experts, RMSE {error:.3f} where the noise is "
        f"0.03; loads from {mixture.load_.min():.1%} to {mixture.load_.max():.1%}"
    )

# %%
# More of them may act, or fewer, once it is fitted; and how probable all others were is known.
sparse = mixtures[0.0]
dense, single = sparse.with_top_k(None), sparse.with_top_k(1)
left_out = sparse.truncated_proba(X_new)
print(f"probability of all but two: mean {left_out.mean():.4f}, largest {left_out.max():.2f}")
for name, mixture in (("all act", dense), ("two act", sparse), ("one acts", single)):
    error = np.sqrt(np.mean((mixture.predict(X_new) - y_new) ** 2))
    print(f"{name}: RMSE {error:.3f}")

# %%
# The picture
# -----------
# What the two surveyors of each place say together; the districts of those who lead; their loads.
grid = np.stack(np.meshgrid(np.linspace(0, 2, 240), np.linspace(0, 1, 120)), axis=-1)
places = grid.reshape(-1, 2)
figure, axes = plt.subplots(2, 2, figsize=(10, 5), layout="constrained")
heights = {"the landscape": height(places), "as two of 32 see it": sparse.predict(places)}
for axis, (title, values) in zip(axes[0], heights.items(), strict=True):
    levels = np.linspace(-1.6, 1.6, 17)
    axis.contourf(*grid.T, values.reshape(120, 240).T, levels, cmap="terrain", extend="both")
    axis.set(title=title, xticks=[], yticks=[])

leads = sparse.apply(places).reshape(120, 240)
colors = ListedColormap(np.random.default_rng(1).uniform(0.25, 1, size=(32, 3)))
axes[1, 0].pcolormesh(*grid.T, leads.T, cmap=colors, vmin=0, vmax=31)
axes[1, 0].set(title="who leads where", xticks=[], yticks=[])
for balance, mixture in mixtures.items():
    axes[1, 1].plot(np.sort(mixture.load_)[::-1], ".-", label=f"balance={balance:g}")
axes[1, 1].axhline(2 / 32, color="0.6", linestyle="--", linewidth=1, label="equal shares")
axes[1, 1].set(title="share of places that an expert acts on", xlabel="experts, by load")
axes[1, 1].set_ylim(bottom=0)
axes[1, 1].legend()

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
