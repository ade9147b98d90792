"""
A penalty for each region
=========================

A press is watched by twenty sensors. Under load its force follows from them almost exactly; idle,
hardly at all. One penalty cannot suit both: what holds the expert of the idle rows back blurs that
of the others. `EvidenceRidge` experts find a penalty each, from their own rows.

Run `python docs/examples/plot_penalties.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Ridge

from sklearn_moe import EvidenceRidge, MixtureOfExpertsRegressor


# %%
# The press
# ---------
# The first sensor shows whether there is a load.
def press(n_rows, seed):
    rng = np.random.default_rng(seed)
    sensors = rng.normal(size=(n_rows, 20))
    loaded = sensors[:, 0] > 0
    sensors[:, 0] += np.where(loaded, 1.0, -1.0)
    exact = sensors @ np.random.default_rng(1).normal(size=20)
    vague = 0.2 * sensors[:, 1]
    noise = np.where(loaded, 0.05, 2.0) * rng.normal(size=n_rows)
    return sensors, np.where(loaded, exact, vague) + noise, loaded


X, y, _ = press(200, seed=0)
X_new, y_new, loaded = press(5000, seed=2)


# %%
# One penalty for all, or one each
# --------------------------------
# Errors are told apart by the state of the press.
def errors(expert):
    mixture = MixtureOfExpertsRegressor(
        expert, n_experts=2, n_init=1, verdict=False, random_state=0
    ).fit(X, y)
    squares = (mixture.predict(X_new) - y_new) ** 2
    return mixture, [float(np.sqrt(squares[part].mean())) for part in (loaded, ~loaded)]


penalties = np.logspace(-1, 3, 5)
common = np.array([errors(Ridge(penalty))[1] for penalty in penalties])
mixture, found = errors(EvidenceRidge())
for deviation, expert in zip(mixture.dispersions_**0.5, mixture.experts_, strict=True):
    print(f"noise {deviation:.2f}, penalty {expert.penalty_:.3g}")
best = common[common.sum(axis=1).argmin()]
print(f"loaded, idle: {found[0]:.2f}, {found[1]:.2f}; the best common penalty: "
      f"{best[0]:.2f}, {best[1]:.2f}")  # fmt: skip

# %%
# The picture
# -----------
# Along a curve both experts have one penalty; on the level lines each has found its own.
figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for axis, line, own, title in zip(axes, common.T, found, ("under load", "idle"), strict=True):
    axis.plot(penalties, line, "o-", color="#c8553d", markersize=3, label="Ridge, one penalty")
    axis.axhline(own, color="#2f6f9f", label="EvidenceRidge, one each")
    axis.set(xscale="log", xlabel="common penalty", ylabel="RMSE", title=title)
axes[0].set_yscale("log")
axes[0].legend(frameon=False, fontsize=8)

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
