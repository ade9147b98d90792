"""
Which experts?
==============

A turbine's power follows the wind one way when it turns freely, and another when it is held back.
Are its rules lines, curves or steps? Mixtures of each kind are fitted, and rows that none of them
has seen decide which of them answer, and in what proportion.

Run `python docs/examples/plot_automatic.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import AutoMixtureRegressor, EvidenceRidge, MixtureOfExpertsRegressor


# %%
# The turbine
# -----------
# Above a wind of twelve it is held back, and its power trembles.
def turbine(n_rows, seed):
    rng = np.random.default_rng(seed)
    wind = rng.uniform(0, 20, size=n_rows)
    free = wind < 12
    power = np.where(free, 0.6 * wind**2 / 12, 5 + 1.5 * np.cos(0.9 * wind))
    return wind[:, None], power + np.where(free, 0.25, 0.6) * rng.normal(size=n_rows)


X, y = turbine(300, seed=0)
X_new, y_new = turbine(5000, seed=1)


# %%
# The candidates
# --------------
# In three folds, as they are judged: what is kept has then been fitted already.
def of(expert, n_experts):
    return MixtureOfExpertsRegressor(expert, n_experts, cv=3, random_state=0)


curve = make_pipeline(SplineTransformer(n_knots=6), EvidenceRidge())
candidates = [
    ("one line", of(EvidenceRidge(), 1)),
    ("lines", of(EvidenceRidge(), 2)),
    ("trees", of(DecisionTreeRegressor(max_depth=4), 2)),
    ("one curve", of(curve, 1)),
    ("curves", of(curve, 2)),
]
auto = AutoMixtureRegressor(candidates, verbose=1).fit(X, y)
for name, weight in auto.weights_.items():
    print(f"{weight:.2f} of the answer: {name}")
for name, model in [("the best", auto.best_estimator_[-1]), ("all together", auto)]:
    error = np.sqrt(np.mean((model.predict(X_new) - y_new) ** 2))
    density = model.predict_dist(X_new).logpdf(y_new).mean()
    print(f"{name}: test RMSE {error:.3f}, log density {density:.3f}")

# %%
# The picture
# -----------
# Left: what unseen rows say of each candidate, and of more experts of the best; those that answer
# in colour, with their weights. Right: what they say together, with its intervals.
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
names, scores = list(auto.log_probs_), list(auto.log_probs_.values())
colours = ["C3" if name in auto.weights_ else "0.7" for name in names]
lowest = min(scores) - 0.05
bars = axes[0].barh(names, np.array(scores) - lowest, left=lowest, color=colours)
shares = [f"{auto.weights_[name]:.2f}" if name in auto.weights_ else "" for name in names]
axes[0].bar_label(bars, shares, label_type="center", color="white")
axes[0].invert_yaxis()
axes[0].set(title="what unseen rows say", xlabel="mean log density")

span = np.linspace(0, 20, 401)[:, None]
low, high = auto.predict_interval(span, 0.9).T
axes[1].scatter(X[:, 0], y, s=6, color="0.6")
axes[1].fill_between(span[:, 0], low, high, color="C3", alpha=0.2, linewidth=0)
axes[1].plot(span[:, 0], auto.predict(span), color="C3")
axes[1].set(title="what they say together", xlabel="wind", ylabel="power")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
