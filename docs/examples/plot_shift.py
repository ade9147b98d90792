"""
An estuary that does not stand still
====================================

A probe is towed up a river every day. In salt water its reading rises with the temperature, in
fresh water it falls. Over the summer the sea comes further up the river: the regions shift, and the
rules within them hold. Then the probe is exchanged: the rules change as well. What keeps up?

Run `python docs/examples/plot_shift.py PICTURE.png` to write the picture to a file.
"""

import sys
from copy import deepcopy

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Ridge

from sklearn_moe import MixtureOfExpertsRegressor

# %%
# The stream
# ----------
# Forty days of 150 readings each. Salt water reaches 3 km up the river at first, and 7 km in the
# end; on day 30 the other probe is put in.
N_DAYS, EXCHANGED = 40, 30
border = 3.0 + 4.0 * np.clip((np.arange(N_DAYS) - 5) / 20, 0, 1)


def readings(day):
    rng = np.random.default_rng(day)
    X = rng.uniform([0, 5], [10, 25], size=(150, 2))
    place, warmth = X.T
    old = np.where(place < border[day], 2 + 0.8 * warmth, 24 - 0.6 * warmth)
    new = np.where(place < border[day], 8 + 0.8 * warmth, 20 - 0.2 * warmth)
    reading = new if day >= EXCHANGED else old
    return X, reading + rng.normal(0, 0.8, size=len(X))


days = [readings(day) for day in range(N_DAYS)]


def window(day, n_days=4):
    """The last days, up to this one."""
    parts = days[max(day + 1 - n_days, 0) : day + 1]
    return np.concatenate([X for X, _ in parts]), np.concatenate([y for _, y in parts])


# %%
# Three ways to keep up
# ---------------------
# Each day is scored before anything has learnt from it. Then the gate alone, or the whole mixture
# from where it stands, or one expert, is fitted to the last four days; one mixture stays as it was.
# The days to come are the verdict: nobody need be asked for one in each window.
first = MixtureOfExpertsRegressor(
    Ridge(), n_experts=2, warm_start=True, verdict=False, random_state=0
)
first.fit(*window(3))
one = MixtureOfExpertsRegressor(Ridge(), n_experts=1, random_state=0).fit(*window(3))
models = {"kept": first, "gate alone": deepcopy(first), "whole mixture": deepcopy(first)}
models["one expert"] = one


def half_way(mixture):
    """Where on the river, at mean temperature, both experts are equally likely."""
    river = np.column_stack([np.linspace(0, 10, 201), np.full(201, 15.0)])
    return river[np.abs(mixture.gate_proba(river)[:, 0] - 0.5).argmin(), 0]


scores = {name: [] for name in models}
borders = {name: [] for name in ("kept", "gate alone", "whole mixture")}
for day in range(4, N_DAYS):
    for name, model in models.items():
        scores[name].append(model.log_prob(*days[day]).mean())
    models["gate alone"].update_gate(*window(day))
    models["whole mixture"].fit(*window(day))
    models["one expert"].fit(*window(day))
    for name, places in borders.items():
        places.append(half_way(models[name]))

for name, values in scores.items():
    before, after = np.mean(values[: EXCHANGED - 4]), np.mean(values[EXCHANGED - 4 :])
    print(f"{name:14} mean log density {before:7.2f}, once the probe is another {after:7.2f}")

# %%
# The picture
# -----------
# Left: where the gates see the border. Right: how well each day is foreseen. Once the probe is
# another, what is kept and the gate alone are below the picture.
figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
colors = {"kept": "0.6", "gate alone": "C0", "whole mixture": "C3", "one expert": "C2"}
shown = np.arange(4, N_DAYS)
axes[0].plot(border, color="k", linestyle="--", linewidth=1, label="salt water ends")
for name, places in borders.items():
    axes[0].plot(shown, places, color=colors[name], label=name)
axes[0].set(title="the border, as the gates see it", xlabel="day", ylabel="km from the sea")
axes[0].legend()

for name, values in scores.items():
    axes[1].plot(shown, values, color=colors[name], label=name)
axes[1].axvline(EXCHANGED, color="k", linestyle=":", linewidth=1)
axes[1].annotate("other probe", (EXCHANGED + 0.4, -8.7))
axes[1].set(
    title="each day, before it is learnt from",
    xlabel="day",
    ylabel="mean log density",
    ylim=(-9, -1),
)
axes[1].legend(loc="lower left")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
else:
    plt.show()
