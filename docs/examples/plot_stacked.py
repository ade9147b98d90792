"""
What a forest does not say
==========================

A forest learns how long a ferry takes, from wind, waves, load and the hour. It says nothing of the
evenings, when a drawbridge may be up. A mixture of lines, which is given what the forest predicts
beside the columns, knows when that is to be trusted, and what happens when it is not.

Run `python docs/examples/plot_stacked.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline

from sklearn_moe import CrossFittedPredictions, EvidenceRidge, MixtureOfExpertsRegressor


# %%
# The ferry
# ---------
# After six in the evening the bridge is up for two ferries of five, which then wait.
def ferries(n_rows, seed):
    rng = np.random.default_rng(seed)
    wind, waves, load = rng.uniform(0, 1, size=(3, n_rows))
    hour = rng.uniform(6, 22, size=n_rows)
    minutes = 40 + 12 * np.sin(3 * wind) * waves + 10 * (wind - load) ** 2
    waits = (hour > 18) & (rng.random(n_rows) < 0.4)
    minutes += np.where(waits, 14, 0) + rng.normal(size=n_rows)
    return np.column_stack([wind, waves, load, hour]), minutes


X, y = ferries(500, seed=0)
X_new, y_new = ferries(5000, seed=1)

# %%
# The models
# ----------
# The forest alone has one noise for all hours. Three lines see the evening, and miss the curves.
# The last model has both: columns, and what a forest has said of each row without having seen it.
forest = ExtraTreesRegressor(100, min_samples_leaf=3, random_state=0)
predictions = CrossFittedPredictions([("forest", forest)])
columns = FeatureUnion([("columns", "passthrough"), ("predictions", predictions)])
models = {
    "a forest": make_pipeline(MixtureOfExpertsRegressor(forest, 1, cv=3)),
    "three lines": make_pipeline(MixtureOfExpertsRegressor(EvidenceRidge(), 3, random_state=0)),
    "three lines on a forest": make_pipeline(
        columns, MixtureOfExpertsRegressor(EvidenceRidge(), 3, random_state=0)
    ),
}
density = {}
for name, model in models.items():
    model.fit(X, y)
    made = model[:-1].transform(X_new) if len(model) > 1 else X_new
    density[name] = model[-1].predict_dist(made).logpdf(y_new).mean()
    print(f"{name}: test log density {density[name]:.2f}")

# %%
# The picture
# -----------
# Left: what test rows say of each. Right: how long the same ferry takes at noon and at eight in the
# evening, as the forest and the mixture see it.
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
lowest = min(density.values()) - 0.2
axes[0].barh(
    list(density),
    np.array(list(density.values())) - lowest,
    left=lowest,
    color=["0.6", "0.6", "C3"],
)
axes[0].invert_yaxis()
axes[0].set(title="what test rows say", xlabel="mean log density")

minutes = np.linspace(35, 75, 401)
for hour, colour in [(12.0, "C0"), (20.0, "C3")]:
    ferry = np.array([[0.6, 0.5, 0.5, hour]])
    for name, style in [("a forest", ":"), ("three lines on a forest", "-")]:
        model = models[name]
        made = model[:-1].transform(ferry) if len(model) > 1 else ferry
        law = model[-1].predict_dist(np.repeat(made, len(minutes), axis=0))
        label = f"{name}, at {hour:.0f}"
        axes[1].plot(minutes, law.pdf(minutes), style, color=colour, label=label)
axes[1].set(title="one ferry", xlabel="minutes", ylabel="density")
axes[1].legend(fontsize="small")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
