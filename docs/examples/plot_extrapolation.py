"""
Rows unlike all others
======================

Parcels are charged by weight, to the islands far more than on land. Two linear experts find the two
tariffs. Then somebody leaves out the point in 14.5 kg: a line knows no end, and fifty such parcels
outweigh thousands of good predictions. What experts say is held near the charges that were seen.

Run `python docs/examples/plot_extrapolation.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Ridge

from sklearn_moe import MixtureOfExpertsRegressor


# %%
# The parcels
# -----------
# How far they go says which tariff holds.
def parcels(n_rows, seed):
    rng = np.random.default_rng(seed)
    distance, weight = rng.uniform(0, 1, size=n_rows), rng.uniform(0, 20, size=n_rows)
    charge = np.where(distance > 0.6, 15 + 3 * weight, 4 + 0.5 * weight)
    return np.column_stack([distance, weight]), charge + rng.normal(size=n_rows)


X, charge = parcels(400, seed=0)
X_new, truth = parcels(5000, seed=1)

# %%
# Two mixtures
# ------------
# They differ in nothing but the limits.
held = MixtureOfExpertsRegressor(Ridge(), n_experts=2, random_state=0).fit(X, charge)
free = MixtureOfExpertsRegressor(Ridge(), 2, extrapolation=None, random_state=0).fit(X, charge)
mixtures = {"free": free, "held": held}
print("charges seen:", np.round([charge.min(), charge.max()], 1).tolist())
print("limits:", held.prediction_limits_.round(1).tolist())

slips = [0, 1, 5, 20, 50]
errors: dict[str, list[float]] = {name: [] for name in mixtures}
for n_slips in slips:
    typed = X_new.copy()
    typed[:n_slips, 1] *= 10
    for name, mixture in mixtures.items():
        errors[name].append(float(np.sqrt(np.mean((mixture.predict(typed) - truth) ** 2))))
    print(f"{n_slips} slips among 5,000: error {errors['free'][-1]:.2f} without limits, "
          f"{errors['held'][-1]:.2f} with them")  # fmt: skip

# %%
# The picture
# -----------
# Left: what both say of parcels to the islands. Right: what slips cost.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
colors = {"free": "#c8553d", "held": "#2f6f9f"}
weights = np.linspace(0, 60, 300)
islands = np.column_stack([np.full_like(weights, 0.9), weights])
left.plot(X[:, 1], charge, ".", color="#bbbbbb", markersize=4, label="parcels")
for name, mixture in mixtures.items():
    left.plot(weights, mixture.predict(islands), color=colors[name], linewidth=1.5, label=name)
left.axhline(held.prediction_limits_[1], color="black", linestyle=":", linewidth=1)
left.text(0, held.prediction_limits_[1] + 4, "upper limit", fontsize=8)
left.set(xlabel="weight, kg", ylabel="charge", title="to the islands")
left.legend(frameon=False, fontsize=8, loc="lower right")
for name, line in errors.items():
    right.plot(slips, line, "o-", color=colors[name], label=name)
right.set(xlabel="slips among 5,000 parcels", ylabel="RMSE", title="what slips cost")
right.set_ylim(0)
right.legend(frameon=False)

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
