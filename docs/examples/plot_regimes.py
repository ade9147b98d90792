"""
Regimes recovered
=================

A machine is run in two ways, and nobody wrote down which. Below a temperature that depends on the
load its output rises with the load; above, it falls and is noisier. One linear model misses both
rules. The mixture finds them, where each holds and how noisy each is.

Run `python docs/examples/plot_regimes.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

from sklearn_moe import MixtureOfExpertsRegressor

# %%
# The machine
# -----------
# The regime is a function of the features, but the model is not told so.
rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, size=(900, 2))
load, temperature = X.T
hot = temperature > 0.8 * load
slope, offset, noise = np.where(hot, [[-2.0], [1.0], [0.7]], [[1.5], [-1.0], [0.25]])
y = slope * load + offset + noise * rng.normal(size=len(X))
X_train, X_test, y_train, y_test, _, hot_test = train_test_split(X, y, hot, random_state=0)

# %%
# The fit
# -------
single = Ridge().fit(X_train, y_train)
mixture = MixtureOfExpertsRegressor(Ridge(), n_experts=2, random_state=0).fit(X_train, y_train)
cold_expert, hot_expert = np.argsort(mixture.dispersions_)
found = mixture.apply(X_test) == hot_expert
print(f"R2 on test rows: one expert {single.score(X_test, y_test):.2f}, ", end="")
print(f"mixture {mixture.score(X_test, y_test):.2f}")
print(f"regime right for {np.mean(found == hot_test):.0%} of test rows")
print(f"noise {np.sqrt(mixture.dispersions_[[cold_expert, hot_expert]]).round(2)}, true 0.25, 0.7")
print(f"gain {mixture.gain_:.2f} +- {mixture.gain_stderr_:.2f} nats")

# %%
# The picture
# -----------
# Left: what one model sees. Middle: the gate, with the true border dashed. Right: the experts'
# lines, each over the rows that it leads, with bands of two noise widths.
figure, axes = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained")
colors = np.array(["#2f6f9f", "#c8553d"])
span = np.linspace(-2, 2, 101)

axes[0].scatter(X_test[:, 0], y_test, s=12, color="0.6")
axes[0].plot(span, single.predict(np.column_stack([span, 0 * span])), color="k")
axes[0].set(title="one expert", xlabel="load", ylabel="output")

mesh = np.meshgrid(span, span)
grid = np.column_stack([part.ravel() for part in mesh])
gate = mixture.gate_proba(grid)[:, hot_expert].reshape(mesh[0].shape)
shade = axes[1].contourf(*mesh, gate, np.linspace(0, 1, 21), cmap="RdBu_r", alpha=0.4)
axes[1].scatter(*X_test.T, s=16, c=colors[hot_test.astype(int)], edgecolor="w", linewidth=0.4)
axes[1].plot(span, 0.8 * span, "k--", linewidth=1)
axes[1].set(title="the gate, and the true regimes", xlabel="load", ylabel="temperature")
figure.colorbar(shade, ax=axes[1], ticks=[0, 0.5, 1], label="probability of the hot expert")

line = np.column_stack([span, 0 * span])
for k, color, leads in ((cold_expert, colors[0], ~found), (hot_expert, colors[1], found)):
    middle, width = mixture.predict_experts(line)[:, k], 2 * np.sqrt(mixture.dispersions_[k])
    axes[2].scatter(X_test[leads, 0], y_test[leads], s=12, color=color, alpha=0.6)
    axes[2].fill_between(span, middle - width, middle + width, color=color, alpha=0.15)
    axes[2].plot(span, middle, color=color, linewidth=2)
axes[2].set(title="the experts", xlabel="load", ylabel="output", ylim=axes[0].get_ylim())

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
