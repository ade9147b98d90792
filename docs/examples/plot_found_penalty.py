"""
A penalty that is found, for labels
===================================

A sorter tells three kinds of grain by ten measurements, each in a unit of its own. Wet grain asks
for other rules than dry. In one harvest the kinds lie far apart, in the other they all but overlap,
and coefficients should be held back fifty times as strongly. The default experts of
`MixtureOfExpertsClassifier` find by how much, whatever the units.

Run `python docs/examples/plot_found_penalty.py PICTURE.png` to write the picture to a file.
"""

import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from sklearn_moe import MixtureOfExpertsClassifier

warnings.simplefilter("ignore", ConvergenceWarning)  # of penalties that are too weak


# %%
# The harvests
# ------------
# The first measurement is moisture. How far kinds lie apart is the `clearness` of a harvest.
def harvest(n_rows, clearness, seed):
    rng, rules = np.random.default_rng(seed), np.random.default_rng(1)
    grains = rng.normal(size=(n_rows, 10))
    common, moist = rules.normal(size=(2, 10, 3))
    scores = grains @ common + np.sign(grains[:, :1]) * (grains @ moist)
    kinds = (clearness * scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    return grains * 10.0 ** rules.uniform(-3, 3, size=10), kinds


# %%
# Penalties that are set, and one that is found
# ---------------------------------------------
strengths = 10.0 ** np.arange(-5, 6)
results = {}
for name, clearness in (("kinds far apart", 20.0), ("kinds that overlap", 0.15)):
    X, y = harvest(400, clearness, seed=0)
    new = harvest(4000, clearness, seed=2)

    def loss(experts=None, table=(X, y), new=new):
        mixture = MixtureOfExpertsClassifier(experts, verdict=False, random_state=0).fit(*table)
        return mixture, log_loss(new[1], mixture.predict_proba(new[0]))

    mixture, found = loss()
    with_units = [loss(LogisticRegression(C=C, max_iter=1000))[1] for C in strengths]
    results[name] = with_units, found
    print(f"{name}: log-loss {found:.3f} with C={mixture.experts_[0].C:.2g}, which was found; "
          f"on columns as they are {min(with_units):.3f} at best")  # fmt: skip

# %%
# The picture
# -----------
# Along a curve `C` is set, and the columns are as they are; on the level line it was found.
figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for axis, (name, (with_units, found)) in zip(axes, results.items(), strict=True):
    axis.plot(strengths, with_units, "o-", color="#c8553d", markersize=3,
              label="LogisticRegression(C)")  # fmt: skip
    axis.axhline(found, color="#2f6f9f", label="default experts")
    axis.set(xscale="log", xlabel="C", ylabel="log-loss of new rows", title=name)
axes[0].legend(frameon=False, fontsize=8)

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
