"""
Watching EM divide the plane
============================

Three rules hold in three parts of a plane. A callback of scikit-learn (1.9 or newer) is handed the
mixture after each iteration of EM, as it would be if the fit ended there: here it looks at which
expert the gate would ask, and how well rows that the fit never sees are predicted.

Run `python docs/examples/plot_watching.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from sklearn_moe import MixtureOfExpertsRegressor


# %%
# The plane
# ---------
# Three sectors around the origin; in each the target rises in another direction.
def plane(n_samples, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_samples, 2))
    angle = np.arctan2(X[:, 1], X[:, 0])
    sector = np.digitize(angle, [-np.pi / 3, np.pi / 3])
    slopes = np.array([[3.0, 0.0], [-2.0, 2.0], [0.0, -3.0]])
    return X, (X * slopes[sector]).sum(axis=1) + rng.normal(0, 0.3, n_samples)


X, y = plane(900, seed=0)
X_new, y_new = plane(5000, seed=1)
grid = np.stack(np.meshgrid(np.linspace(-1, 1, 150), np.linspace(-1, 1, 150)), axis=-1)


# %%
# The callback
# ------------
# scikit-learn calls these four methods. `fitted_estimator` is made only because it is asked for.
class Watcher:
    def __init__(self):
        self.errors, self.maps = [], []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "iteration" and fitted_estimator is not None:
            self.errors.append(np.sqrt(np.mean((y_new - fitted_estimator.predict(X_new)) ** 2)))
            asked = fitted_estimator.gate_proba(grid.reshape(-1, 2)).argmax(axis=1)
            self.maps.append(asked.reshape(grid.shape[:2]))


watcher = Watcher()
mixture = MixtureOfExpertsRegressor(n_experts=3, init="random", verdict=False, random_state=3)
mixture.set_callbacks(watcher).fit(X, y)
print(
    f"{mixture.n_iter_} iterations; RMSE on new rows from {watcher.errors[0]:.3f} to "
    f"{watcher.errors[-1]:.3f}, where the noise is 0.3"
)

# %%
# The picture
# -----------
# Whom the gate would ask, after some of the iterations; and the error on new rows after each.
n_iter = len(watcher.maps)
first = mixture.n_iter_ - n_iter + 1  # the race has gone before
shown = [0, n_iter // 4, 2 * n_iter // 5, n_iter - 1]
figure, axes = plt.subplots(1, 5, figsize=(12, 2.6), layout="constrained")
colors = ListedColormap(["#c8553d", "#2f6f9f", "#e0b84c"])
for ax, at in zip(axes, shown, strict=False):
    ax.imshow(watcher.maps[at], extent=(-1, 1, -1, 1), origin="lower", cmap=colors, vmin=0, vmax=2)
    for angle in (-np.pi / 3, np.pi / 3, np.pi):
        ax.plot([0, 2 * np.cos(angle)], [0, 2 * np.sin(angle)], color="k", linewidth=0.8)
    ax.set(title=f"iteration {first + at}", xticks=[], yticks=[], xlim=(-1, 1), ylim=(-1, 1))
axes[-1].plot(np.arange(len(watcher.errors)) + first, watcher.errors, color="0.3", marker=".")
axes[-1].axhline(0.3, color="0.6", linestyle="--", linewidth=1)
axes[-1].set(title="RMSE on new rows", xlabel="iteration")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
