"""
Noise that unseen rows have a say in
====================================

What a house is worth follows one rule in the old town and another outside, and a few houses sell
far above or below their worth. A mixture whose noise is Gaussian, as EM finds it, makes room for
those and promises intervals that hold too much. By default its noise is calibrated by rows that
nobody has fitted.

Run `python docs/examples/plot_calibrated_noise.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe.metrics import pit_values


# %%
# The houses
# ----------
# The logarithm of the price rises with size, quickly in the old town; the noise is heavy-tailed.
def houses(n_samples, seed):
    rng = np.random.default_rng(seed)
    size, age, distance = rng.uniform([40, 0, 0], [200, 90, 10], size=(n_samples, 3)).T
    worth = np.where(distance < 3, 0.016 * size, 2 + 0.004 * size - 0.005 * age)
    X = np.column_stack([size, age, distance])
    return X, worth + 0.08 * rng.standard_t(2.5, size=n_samples)


X, y = houses(800, seed=0)
X_new, y_new = houses(20_000, seed=1)

# %%
# Two mixtures that differ in their noise only
# --------------------------------------------
raw = MixtureOfExpertsRegressor(calibrate=None, random_state=0).fit(X, y)
calibrated = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
mixtures = {"as EM finds it": raw, "calibrated": calibrated}
for name, mixture in mixtures.items():
    low, high = mixture.predict_interval(X_new, 0.5).T
    inside = np.mean((low <= y_new) & (y_new <= high))
    print(
        f"{name}: {type(mixture.family_).__name__}, R2 {mixture.score(X_new, y_new):.3f}, "
        f"{inside:.0%} in the 50% interval, log score {mixture.log_prob(X_new, y_new).mean():.3f}"
    )
print(f"dispersions times {calibrated.dispersion_factor_:.2f}, df {calibrated.df_[0]:.1f}")

# %%
# The picture
# -----------
# Left: the part of 20,000 new prices that central intervals hold, against what they promise. Right:
# where the prices fall in their own distributions, which for a true law is anywhere equally often.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
promised = np.linspace(0.02, 0.98, 49)
for color, (name, mixture) in zip(("#c8553d", "#2f6f9f"), mixtures.items(), strict=True):
    fell = pit_values(y_new, mixture.predict_dist(X_new))
    held = [np.mean(np.abs(fell - 0.5) <= 0.5 * coverage) for coverage in promised]
    left.plot(promised, held, color=color, label=name)
    right.hist(fell, 40, range=(0, 1), density=True, histtype="step", color=color, label=name)
left.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
left.set(xlabel="promised", ylabel="held", title="central intervals", aspect="equal")
right.axhline(1, color="0.6", linestyle="--", linewidth=1)
right.set(xlabel="probability below the price", ylabel="density", title="where prices fall")
left.legend(frameon=False)

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
