"""The demonstration: two real tables, three kinds of experts, and what came of it.

Each case compares, on held-out rows of several random splits, the mixture of K experts with one
expert and with the average of K bootstrapped ones. The verdict and the experts are those of the
first split. The cases were chosen to show one honest answer of each kind: the gate helps, it helps
trees that are too small, and it does not help a model that is already right. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import matplotlib
import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import BaggingClassifier, BaggingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from benchmarks.options import command, picture, positive
from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

N_EXPERTS = 2
MODELS = ("one expert", "average", "mixture")
COLORS = ("#9a9a9a", "#4d7ea8", "#c8553d")


@dataclass(frozen=True)
class Case:
    """A table, the question put to it, and the expert that answers."""

    title: str
    kind: str
    expert: Any
    X: np.ndarray
    y: np.ndarray
    features: list[str]

    @property
    def metric(self) -> str:
        return "accuracy" if is_classifier(self.expert) else "R2"

    def split(self, seed: int) -> list[np.ndarray]:
        """Training and test part of features and target, 70 to 30."""
        strata = self.y if is_classifier(self.expert) else None
        return train_test_split(self.X, self.y, test_size=0.3, random_state=seed, stratify=strata)

    def rivals(self, seed: int) -> list[Any]:
        """One expert, and the average of as many bootstrapped experts as the mixture has."""
        bagging = BaggingClassifier if is_classifier(self.expert) else BaggingRegressor
        alone = clone(self.expert)
        return [alone, bagging(self.expert, N_EXPERTS, random_state=seed)]

    def mixture(self, seed: int, **params: Any) -> Any:
        """The mixture, all else at its defaults."""
        labelled = is_classifier(self.expert)
        kind = MixtureOfExpertsClassifier if labelled else MixtureOfExpertsRegressor
        return kind(self.expert, N_EXPERTS, random_state=seed, **params)


@dataclass(frozen=True)
class Outcome:
    """Held-out `scores` (splits, models) and the mixture fitted on the first split."""

    scores: np.ndarray
    mixture: Any
    X_test: np.ndarray
    seconds: float


def cases() -> list[Case]:
    """Colour of wine from its chemistry; malignancy of a tumour, by trees and by a linear model."""
    wine, tumour = load_wine(), load_breast_cancer()
    color = wine.feature_names.index("color_intensity")
    names = [name for name in wine.feature_names if name != "color_intensity"]
    logistic = LogisticRegression(solver="newton-cholesky")
    linear = make_pipeline(StandardScaler(), Ridge())
    tree = DecisionTreeClassifier(max_depth=4, random_state=0)
    table = (tumour.data, tumour.target, list(tumour.feature_names))
    X = np.delete(wine.data, color, axis=1)
    return [
        Case("wine: colour intensity", "ridge", linear, X, wine.data[:, color], names),
        Case("tumours: malignant or not", "small trees", tree, *table),
        Case(
            "tumours: malignant or not",
            "logistic regression",
            make_pipeline(StandardScaler(), logistic),
            *table,
        ),
    ]


def compare(case: Case, n_splits: int) -> Outcome:
    """Fit and score all models on each split; keep the mixture of the first one."""
    begun, scores, mixtures = perf_counter(), [], []
    for seed in range(n_splits):
        X, X_test, y, y_test = case.split(seed)
        models = [*case.rivals(seed), case.mixture(seed)]
        scores.append([model.fit(X, y).score(X_test, y_test) for model in models])
        mixtures.append(models[-1])
    X_test = case.split(0)[1]
    return Outcome(np.array(scores), mixtures[0], X_test, perf_counter() - begun)


# What is printed.


def score_lines(case: Case, outcome: Outcome) -> list[str]:
    """The mean score of each model, and how the mixture stands to its two rivals."""
    lines = [
        f"  {name:12} {case.metric} {scores.mean():.3f}  (splits: {scores.min():.3f} to "
        f"{scores.max():.3f})"
        for name, scores in zip(MODELS, outcome.scores.T, strict=True)
    ]
    return lines + [
        standing(name, outcome.scores[:, k], outcome.scores[:, 2])
        for k, name in enumerate(("one expert", "the average"))
    ]


def standing(rival: str, theirs: np.ndarray, ours: np.ndarray) -> str:
    """One sentence on the mixture against a rival, split by split."""
    better, worse = int((ours > theirs).sum()), int((ours < theirs).sum())
    difference = float((ours - theirs).mean())
    word = "beats" if difference > 0 else "LOSES to" if difference < 0 else "equals"
    return (
        f"  The mixture {word} {rival} by {abs(difference):.3f} on average: better on {better}, "
        f"worse on {worse} of {len(ours)} splits."
    )


def verdict_line(mixture: Any) -> str:
    """What the mixture itself says of its gate, from the training rows alone."""
    gain, stderr = mixture.gain_, mixture.gain_stderr_
    if gain > 2 * stderr:
        words = "the gate helps"
    elif gain < -2 * stderr:
        words = "the gate harms: use one expert"
    else:
        words = "no evidence that the gate helps: one expert may do as well"
    return f"  Verdict of the fit: gain {gain:+.3f} +- {stderr:.3f} nats per row: {words}."


def leading_features(mixture: Any, features: Sequence[str], k: int, count: int = 3) -> list[int]:
    """Positions of the features with the largest gate coefficients of expert `k`."""
    return list(np.argsort(-np.abs(mixture.gate_.coef_[k]))[:count])


def expert_lines(case: Case, mixture: Any) -> list[str]:
    """A table of the experts: share of rows, noise, where the gate chooses them."""
    noise = "smoothing" if is_classifier(case.expert) else "noise sd"
    lines = [f"  {'expert':10}{'rows':>6}{noise:>12}   acts where the leading features are"]
    share = mixture.expert_mass_ / mixture.expert_mass_.sum()
    spread = mixture.dispersions_ if noise == "smoothing" else np.sqrt(mixture.dispersions_)
    for k, name in enumerate(mixture.expert_names_):
        leading = leading_features(mixture, case.features, k)
        signs = ["high" if mixture.gate_.coef_[k, j] > 0 else "low" for j in leading]
        where = ", ".join(f"{case.features[j]} {s}" for j, s in zip(leading, signs, strict=True))
        lines.append(f"  {name:10}{share[k]:6.0%}{spread[k]:12.4f}   {where}")
    return lines


def report(case: Case, outcome: Outcome) -> str:
    """All that is printed of a case."""
    rows, width = case.X.shape
    head = f"{case.title}, {case.kind} ({rows} rows, {width} features, K={N_EXPERTS})"
    last = f"  {outcome.seconds:.1f} s for {len(outcome.scores)} splits of three models"
    lines = [head, *score_lines(case, outcome), verdict_line(outcome.mixture)]
    return "\n".join([*lines, *expert_lines(case, outcome.mixture), last, ""])


# What is drawn.


def draw(pairs: list[tuple[Case, Outcome]], path: Path) -> None:
    """Gate map and scores of each case."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    size = (4.2 * len(pairs), 7.6)
    figure, axes = plt.subplots(2, len(pairs), figsize=size, layout="constrained")
    for column, (case, outcome) in enumerate(pairs):
        drawn = draw_gate(axes[0, column], case, outcome)
        draw_scores(axes[1, column], case, outcome)
    figure.suptitle("Above: the gate, other features at their median. Below: scores by split.")
    figure.colorbar(drawn, ax=axes[0, -1], label="gate probability of the second expert")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_gate(ax: Any, case: Case, outcome: Outcome) -> Any:
    """Gate over its two leading features, the others at their median; dots are held-out rows."""
    mixture, X = outcome.mixture, outcome.X_test
    across, up = leading_features(mixture, case.features, 1, count=2)
    edges = [(X[:, j].min(), X[:, j].max()) for j in (across, up)]
    grid = [np.linspace(a - 0.03 * (b - a), b + 0.03 * (b - a), 60) for a, b in edges]
    mesh = np.meshgrid(*grid)
    rows = np.tile(np.median(X, axis=0), (mesh[0].size, 1))
    rows[:, across], rows[:, up] = (part.ravel() for part in mesh)
    shade = mixture.gate_proba(rows)[:, 1].reshape(mesh[0].shape)
    style = {"vmin": 0, "vmax": 1, "cmap": "RdYlBu"}
    levels = np.linspace(0, 1, 41)
    ax.contourf(*grid, shade, levels, alpha=0.45, antialiased=True, **style)
    own = mixture.gate_proba(X)[:, 1]
    dots = ax.scatter(X[:, across], X[:, up], c=own, s=26, edgecolor="k", linewidth=0.5, **style)
    ax.set(xlabel=case.features[across], ylabel=case.features[up])
    ax.set_title(f"{case.title}\n{case.kind}", fontsize=11)
    return dots


def draw_scores(ax: Any, case: Case, outcome: Outcome) -> None:
    """Held-out scores: a line for each split, a bar for the mean."""
    places = np.arange(len(MODELS))
    ax.plot(places, outcome.scores.T, color="0.8", linewidth=1, zorder=1)
    for place, color, scores in zip(places, COLORS, outcome.scores.T, strict=True):
        ax.scatter(np.full(len(scores), place), scores, color=color, s=30, zorder=2)
        ax.hlines(scores.mean(), place - 0.25, place + 0.25, color=color, linewidth=3, zorder=3)
    gain = f"gain {outcome.mixture.gain_:+.3f} ± {outcome.mixture.gain_stderr_:.3f} nats"
    ax.set_title(gain, fontsize=10)
    ax.set_xticks(places, MODELS)
    ax.set(ylabel=f"held-out {case.metric}", xlim=(-0.5, 2.5))
    ax.spines[["top", "right"]].set_visible(False)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = command("demo", __doc__)
    parser.add_argument("--splits", type=positive, default=5, help="random splits for the scores")
    parser.add_argument("--output", type=picture, default=Path("results/demo.png"))
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Compare, print and draw all cases."""
    options = parse(argv)
    # A mixture that did not settle says so; the held-out scores show what that was worth.
    warnings.simplefilter("once", ConvergenceWarning)
    pairs = []
    for case in cases():
        pairs.append((case, compare(case, options.splits)))
        print(report(*pairs[-1]), flush=True)
    draw(pairs, options.output)
    print(f"Picture: {options.output.resolve()}")
    return 0
