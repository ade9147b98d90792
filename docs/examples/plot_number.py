"""
The number of experts, found
============================

A tariff changes at three levels of use, and the noise of the bills with it. How many tariffs are
there? `n_experts="auto"` splits experts until rows that nobody has seen are explained no better.

Run `python docs/examples/plot_number.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LinearRegression

from sklearn_moe import MixtureOfExpertsRegressor

# %%
# The bills
# ---------
rng = np.random.default_rng(1)
use = rng.uniform(0, 10, size=800)
tariff = np.digitize(use, [2, 5, 8])
bill = np.array([4, 0, 14, -2])[tariff] + np.array([0.5, 2.0, -1.5, 1.0])[tariff] * use
bill = bill + np.array([0.3, 0.6, 0.4, 0.9])[tariff] * rng.normal(size=len(use))
X = use[:, None]

# %%
# The fit
# -------
mixture = MixtureOfExpertsRegressor(LinearRegression(), n_experts="auto", random_state=0)
mixture.fit(X, bill)
path = mixture.n_experts_path_
print(f"{mixture.n_experts_} experts")
for n_experts, score in path.items():
    print(f"{n_experts}: mean log density of unseen rows {score:.3f}")

# %%
# The picture
# -----------
# Left: bills, and each expert's line where it leads. Right: what unseen rows say of each number.
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
leads = mixture.apply(X)
span = np.linspace(0, 10, 401)[:, None]
said, leads_there = mixture.predict_experts(span), mixture.apply(span)
for k in range(mixture.n_experts_):
    axes[0].scatter(use[leads == k], bill[leads == k], s=6, color=f"C{k}", alpha=0.4)
    here = leads_there == k
    axes[0].plot(span[here, 0], said[here, k], color=f"C{k}", linewidth=2.5)
axes[0].set(title=f"{mixture.n_experts_} experts, each where it leads", xlabel="use", ylabel="bill")

axes[1].plot(list(path), list(path.values()), "o-", color="0.4")
axes[1].plot(mixture.n_experts_, path[mixture.n_experts_], "o", color="C3", markersize=10)
axes[1].set(
    title="what unseen rows say",
    xlabel="number of experts",
    ylabel="mean log density",
    xticks=list(path),
)

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
