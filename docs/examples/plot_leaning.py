"""
Experts that lean on one of all rows
====================================

The flow of a river follows its level, all year round. In summer a gauge measures it well; in winter
there is ice, and it is guessed. A mixture finds the two seasons by their noise, which tells it how
sure to be. But the expert of winter has only learnt from guesses, and is better off to lean on one
expert that has seen the whole year. How far, is found by rows that nobody has fitted.

Run `python docs/examples/plot_leaning.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.tree import DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsRegressor


# %%
# The river
# ---------
# Temperature says which season it is.
def river(n_rows, guess, seed):
    rng = np.random.default_rng(seed)
    cold, level = rng.uniform(-1, 1, size=(2, n_rows))
    flow = 1.5 * level + np.sin(4 * level)
    noise = np.where(cold > 0, guess, 0.1) * rng.normal(size=n_rows)
    return np.column_stack([cold, level]), flow + noise, flow


X_new, _, truth = river(4000, 0.0, seed=99)

# %%
# Two mixtures
# ------------
# They differ in nothing but whether their experts may lean.
leaning = MixtureOfExpertsRegressor(
    DecisionTreeRegressor(min_samples_leaf=5), n_experts=2, n_init=2, random_state=0
)
kinds = {"upright": clone(leaning).set_params(lean=False), "leaning": leaning}
guesses = [0.1, 1.0, 1.5]
errors: dict[str, list[float]] = {"upright": [], "leaning": []}
fits = {}
for guess in guesses:
    X, flow, _ = river(400, guess, seed=0)
    for name, mixture in kinds.items():
        fits[guess, name] = fit = clone(mixture).fit(X, flow)
        errors[name].append(float(np.sqrt(np.mean((fit.predict(X_new) - truth) ** 2))))
    print(f"guesses off by {guess}: error {errors['upright'][-1]:.3f} of experts that stand "
          f"upright, {errors['leaning'][-1]:.3f} of those that lean")  # fmt: skip

X, flow, _ = river(400, 1.0, seed=0)
upright, leaning = (fits[1.0, name] for name in kinds)
part = leaning.dispersions_ / (leaning.dispersions_ + leaning.lean_variance_)
print("parts of the one expert in what the others say:", np.round(part, 2))

# %%
# The picture
# -----------
# Left: what both say of a winter's day. Right: how far they are from the truth.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
span = np.linspace(-1, 1, 400)
winter = np.column_stack([np.full_like(span, 0.6), span])
colors = {"upright": "#c8553d", "leaning": "#2f6f9f"}
cold = X[:, 0] > 0
left.plot(X[cold, 1], flow[cold], ".", color="#bbbbbb", markersize=4, label="guesses in winter")
left.plot(span, 1.5 * span + np.sin(4 * span), "k--", linewidth=1, label="truth")
left.plot(span, upright.predict(winter), color=colors["upright"], linewidth=1.2, label="upright")
left.plot(span, leaning.predict(winter), color=colors["leaning"], linewidth=1.2, label="leaning")
left.set(xlabel="level", ylabel="flow", title="a winter's day", ylim=(-4.5, 4.5))
left.set_xticks([-1, -0.5, 0, 0.5, 1])
left.legend(frameon=False, fontsize=8)
for name, line in errors.items():
    right.plot(guesses, line, "o-", color=colors[name], label=name)
right.set(xlabel="standard error of a guess", ylabel="RMSE to the truth", title="the whole year")
right.set_ylim(0)
right.legend(frameon=False)

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
