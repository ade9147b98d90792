"""
Distributions with several peaks
================================

How long does a journey take? By the fast road or by the slow one: which, nobody wrote down, and the
hour only tells how probable each is. The mean of both is a time that hardly any journey took. The
mixture predicts the whole distribution: two peaks, how probable each is at each hour, and regions
of highest density in two pieces.

Run `python docs/examples/plot_distribution.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from sklearn_moe import MixtureOfExpertsRegressor, SoftmaxGate
from sklearn_moe.metrics import calibration_error, crps, interval_coverage, log_score

# %%
# The journeys
# ------------
rng = np.random.default_rng(0)
hour = rng.uniform(6, 22, size=1000)
rush = np.exp(-((hour - 8.5) ** 2)) + np.exp(-((hour - 17.5) ** 2) / 2)
slow = rng.uniform(size=1000) < 0.15 + 0.7 * rush / rush.max()
minutes = np.where(slow, 55 + 25 * rush, 30 + 3 * rush)
minutes = minutes + np.where(slow, 4.0, 1.5) * rng.normal(size=1000)
X_train, X_test, y_train, y_test = train_test_split(hour[:, None], minutes, random_state=0)

# %%
# The fit
# -------
# Boosted trees as experts, and a gate that may bend: a softmax over splines of the hour.
mixture = MixtureOfExpertsRegressor(
    HistGradientBoostingRegressor(max_iter=30, max_leaf_nodes=8),
    n_experts=2,
    cv=3,
    gate=make_pipeline(SplineTransformer(12), SoftmaxGate()),
    random_state=0,
).fit(X_train, y_train)
single = MixtureOfExpertsRegressor(mixture.experts, n_experts=1, cv=3, random_state=0)
single.fit(X_train, y_train)

for name, model in (("one expert", single), ("mixture", mixture)):
    law = model.predict_dist(X_test)
    inside = interval_coverage(y_test, model.predict_interval(X_test, 0.8))
    region = np.nansum(np.diff(law.interval(0.8, kind="highest_density"), axis=2), axis=1)
    print(f"{name}: log score {log_score(y_test, law):.2f}, CRPS {crps(y_test, law):.2f} minutes")
    print(f"    calibration error {calibration_error(y_test, law):.3f}; ", end="")
    print(f"80% interval holds {inside:.0%}, 80% region is {region.mean():.0f} minutes wide")

# %%
# The picture
# -----------
# Left: the predicted density at each hour, with the mean dashed. Right: the densities at two hours,
# and under each the region that holds 80%.
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
hours, times = np.linspace(6, 22, 161), np.linspace(20, 95, 201)
law = mixture.predict_dist(hours[:, None])
density = np.array([law.pdf(np.full(len(hours), time)) for time in times])
axes[0].pcolormesh(hours, times, np.sqrt(density), cmap="Blues", rasterized=True)
axes[0].scatter(X_test[:, 0], y_test, s=4, color="k", alpha=0.4)
axes[0].plot(hours, law.mean(), "--", color="#c8553d", label="mean")
axes[0].set(title="predicted density", xlabel="hour", ylabel="minutes", ylim=(20, 95))
axes[0].legend(loc="upper right")

for row, (at, color) in enumerate(((12.0, "#2f6f9f"), (17.5, "#c8553d"))):
    law = mixture.predict_dist([[at]])
    curve = law[np.zeros(len(times), dtype=int)].pdf(times)
    axes[1].fill_between(times, curve, color=color, alpha=0.3, label=f"{at:.1f} h")
    for low, high in law.interval(0.8, kind="highest_density")[0]:
        axes[1].plot([low, high], [-0.006 * (row + 1)] * 2, color=color, linewidth=4)
axes[1].set(title="two hours, and the regions that hold 80%", xlabel="minutes", yticks=[])
axes[1].legend()

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
