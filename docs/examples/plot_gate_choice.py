"""
A region of any shape
=====================

A delivery firm charges by weight. In the city, whose limits are round, the rate is low and the
bills are even; outside it is high, and now and then a bill is far off. Nobody wrote down where the
city ends, nor how the bills err. The fit is told to choose the gate and the noise law by itself.

Run `python docs/examples/plot_gate_choice.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

from sklearn_moe import MixtureOfExpertsRegressor

# %%
# The bills
# ---------
# Position and weight are known; the rate depends on the position by a rule that is not.
rng = np.random.default_rng(0)
east, north, weight = rng.uniform([-3, -3, 1], [3, 3, 9], size=(1200, 3)).T
city = np.hypot(east, north - 0.5) < 1.7
error = np.where(city, 0.5 * rng.normal(size=1200), 0.6 * rng.standard_t(2.5, size=1200))
X, y = np.column_stack([east, north, weight]), np.where(city, 1.0, 3.0) * weight + 5 + error
X_train, X_test, y_train, y_test, _, city_test = train_test_split(X, y, city, random_state=0)

# %%
# The fits
# --------
# The first has a linear gate and Gaussian noise. The second tries a network beside the gate and
# heavier tails beside the noise, and keeps what raises the out-of-fold bound.
plain = MixtureOfExpertsRegressor(
    Ridge(), n_experts=2, verdict=False, calibrate=None, random_state=0
)
plain.fit(X_train, y_train)
found = MixtureOfExpertsRegressor(
    Ridge(), n_experts=2, gate="auto", family="auto", cv=3, random_state=0
).fit(X_train, y_train)
for name, mixture in (("plain", plain), ("found", found)):
    kinds = type(mixture.gate_).__name__, type(mixture.family_).__name__
    log_score = mixture.log_prob(X_test, y_test).mean()
    print(f"{name}: {kinds}, R2 {mixture.score(X_test, y_test):.2f}, log score {log_score:.2f}")
print(f"rates {[round(float(expert.coef_[2]), 2) for expert in found.experts_]}, true 1 and 3")

# %%
# The picture
# -----------
# Left and middle: the probability of the cheap rate at a weight of five, with the city limits
# dashed. Right: the errors of the bills outside, and the two laws.
figure, axes = plt.subplots(1, 3, figsize=(11, 3.5), layout="compressed")
mesh = np.meshgrid(np.linspace(-3, 3, 121), np.linspace(-3, 3, 121))
grid = np.column_stack([part.ravel() for part in mesh] + [np.full(mesh[0].size, 5.0)])
turn = np.linspace(0, 2 * np.pi, 200)
shown = {"linear gate": plain, "found gate": found}
for ax, (title, mixture) in zip(axes[:2], shown.items(), strict=True):
    cheap = np.argmin([expert.coef_[2] for expert in mixture.experts_])
    proba = mixture.gate_proba(grid)[:, cheap].reshape(mesh[0].shape)
    shade = ax.contourf(*mesh, proba, np.linspace(0, 1, 21), cmap="RdBu_r", alpha=0.5)
    ax.plot(1.7 * np.cos(turn), 0.5 + 1.7 * np.sin(turn), "k--", linewidth=1)
    ax.set(title=title, xlabel="east", ylabel="north", aspect="equal")
figure.colorbar(shade, ax=axes[:2], ticks=[0, 0.5, 1], label="probability of the cheap rate")

dear = np.argmax([expert.coef_[2] for expert in found.experts_])
outside = y_test[~city_test] - found.predict_experts(X_test[~city_test])[:, dear]
span = np.linspace(-8, 8, 300)
axes[2].hist(outside, np.linspace(-8, 8, 33), density=True, color="0.8", label="errors outside")
scale, degrees = np.sqrt(found.dispersions_[dear]), found.df_[dear]
heavy = (1 + (span / scale) ** 2 / degrees) ** (-(degrees + 1) / 2)
width = np.sqrt(max(plain.dispersions_))
light = np.exp(-0.5 * (span / width) ** 2)
for curve, color, label in ((light, "#2f6f9f", "Gaussian law"), (heavy, "#c8553d", "found law")):
    axes[2].plot(span, curve / (curve.sum() * (span[1] - span[0])), color=color, label=label)
axes[2].set(title="noise of the dear rate", xlabel="error of a bill", ylabel="density")
axes[2].legend(frameon=False)

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
