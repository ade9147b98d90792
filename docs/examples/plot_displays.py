"""
A mixture at a glance
=====================

A heat pump warms a building on cold days, cools it on hot ones and idles between; what it draws
depends on the weather and on whether the building is a school. Nobody wrote down what it was doing.
Four displays show what a mixture has made of the days: where each expert acts, what it says there,
how the fit went, and whether its intervals hold what they promise on days that it has not seen.

Run `python docs/examples/plot_displays.py PICTURE.png` to write the picture to a file.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe.inspection import (
    CalibrationDisplay,
    ConvergenceDisplay,
    ExpertsDisplay,
    GateDisplay,
)

# %%
# The days
# --------
rng = np.random.default_rng(0)
days = pd.DataFrame(
    {"outside": rng.normal(13, 9, size=1200), "wind": rng.gamma(2.0, 2.0, size=1200)}
)
days["building"] = rng.choice(["home", "office", "school"], size=1200)
heats, cools = days["outside"] < 12, days["outside"] > 20
heat = 2.0 * (12 - days["outside"]) + 1.5 * days["wind"] + 12 * (days["building"] == "school")
cold = 3.0 * (days["outside"] - 20) + 8 * (days["building"] == "office")
noise = np.select([heats, cools], [4.0, 2.5], 0.7) * rng.normal(size=1200)
power = 6 + np.select([heats, cools], [heat, cold], 0.0) + noise

# %%
# The fit
# -------
encode = make_column_transformer(
    (OneHotEncoder(), ["building"]), (StandardScaler(), ["outside", "wind"])
)
model = make_pipeline(encode, MixtureOfExpertsRegressor(Ridge(), n_experts=3, random_state=0))
model.fit(days[:800], power[:800])
print(f"R2 of new days {model.score(days[800:], power[800:]):.2f}")

# %%
# The displays
# ------------
# They take the pipeline as it is, and show columns as the table has them. Without `columns` they
# choose those that tell most.
figure, axes = plt.subplots(2, 3, figsize=(11, 6.4), layout="constrained")
gate = GateDisplay.from_estimator(
    model, days, columns=["outside", "building", ("outside", "wind")], ax=axes[0]
)
print("who acts is told by", {p.column.name: round(p.information, 2) for p in gate.panels[:2]})
ExpertsDisplay.from_estimator(model, days, power, columns=["outside"], ax=axes[1, 0])
ConvergenceDisplay.from_estimator(model, ax=axes[1, 1])
CalibrationDisplay.from_estimator(model, days[800:], power[800:], ax=axes[1, 2])
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=90)
else:
    plt.show()
