"""Many columns: is a mixture of linear experts better than one linear model, and than one tree?

Each table is drawn down to `--max-rows`, split 75/25, and imputed, scaled and one-hot encoded by
its training part. Each model is chosen by 3-fold cross-validation of the same loss within the
training part, out of 30 settings or, a mixture, 40; the test part is scored once.

- linear: ridge or logistic regression, 30 penalties.
- tree: 6 depths, 5 sizes of the smallest leaf. Its leaves count one row more of each class than
  they hold, or a leaf of one class would make the log-loss of any tree absurd.
- mixture: the linear model's 30, and beside these mixtures of 10 `SHAPES` whose experts have the
  best penalty. The search may say that one expert is enough, and is then exactly the linear model.

Losses are RMSE or log-loss. The splits of a table share rows, so whether the mean of R differences
is more than luck is judged by the corrected resampled t-test, two-sided: the variance of the mean
is taken for (1/R + test/train) times that of the differences, not 1/R. Splits that the output file
holds are skipped. Seconds are those of the processor, for search and fit.

C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 52(3), 2003 (the
test). F. Provost and P. Domingos, "Tree induction for probability-based ranking", same issue (the
leaves).
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from itertools import product
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from benchmarks.data import Table, check_tables, load
from benchmarks.models import dense_encoder
from benchmarks.models import mixture as plain_mixture
from benchmarks.options import add_output, add_tables, command, natural, positive
from benchmarks.records import Progress, append_row, commit, keys_in, machine_facts, write_facts
from sklearn_moe import SoftmaxGate
from sklearn_moe.gates import ClassifierGate

TABLES = ["splice", "optdigits", "spambase", "communities_crime", "texture"]
# From the weakest to the strongest; that of a logistic regression is 1 / C.
PENALTIES = {"regression": (1e-2, 1e4), "classification": (1e-3, 1e3)}
N_PENALTIES = 30
DEPTHS, LEAVES = (2, 4, 6, 9, 13, None), (1, 3, 10, 20, 30)
# Number of experts, pooling, start and gate: what did well on other tables, in a few seconds.
SHAPES = [
    (2, 0.1, "residual", "stiff"), (3, 0.1, "kmeans_xy", "stiff"), (3, 0.1, "tree", "stiff"),
    (3, 0.0, "kmeans_xy", "stiff"), (3, 0.0, "residual", "stiff"), (5, 0.2, "kmeans_xy", "stiff"),
    (3, 0.1, "kmeans_xy", "linear"), (2, 0.1, "kmeans_xy", "tree"), (3, 0.1, "kmeans_xy", "tree"),
    (3, 0.1, "tree", "tree"),
]  # fmt: skip
GATE_ALPHAS = {"linear": 1, "stiff": 10}
# In sample: the search guards against overfitting, and cross-fitted EM takes many times as long.
BRIEF = {"cv": None, "n_init": 1, "max_iter": 10}
CHOSEN = ("n_experts", "pooling", "init", "gate", "alpha", "C", "max_depth", "min_samples_leaf")
SURE = 0.05
LIKELY = 1e-6  # No class counts as less likely than this where it is the row's own.


class SmoothedTree(DecisionTreeClassifier):
    """A tree whose leaves count one row more of each class than they hold."""

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Class probabilities (n, C)."""
        held = self.tree_.n_node_samples[self.apply(X)][:, None]
        return (held * super().predict_proba(X) + 1) / (held + len(self.classes_))


def expert(task: str, penalty: float) -> Any:
    """One linear model."""
    if task == "regression":
        return Ridge(penalty)
    return LogisticRegression(C=1 / penalty, max_iter=1000)


def linear_models(task: str) -> list[Any]:
    """Linear models whose penalties are evenly spaced in the logarithm."""
    return [expert(task, penalty) for penalty in np.geomspace(*PENALTIES[task], N_PENALTIES)]


def penalty_of(model: Any) -> float:
    """The penalty of a linear model."""
    return model.alpha if isinstance(model, Ridge) else 1 / model.C


def trees(task: str) -> list[Any]:
    """Trees of all depths and leaves."""
    kind = DecisionTreeRegressor if task == "regression" else SmoothedTree
    return [
        kind(max_depth=depth, min_samples_leaf=leaf, random_state=0)
        for depth, leaf in product(DEPTHS, LEAVES)
    ]


def mixtures(task: str, alone: Any) -> list[Any]:
    """Mixtures of all shapes, whose experts are penalised as `alone` is."""
    return [
        plain_mixture(task, expert(task, penalty_of(alone)), n_experts, seed=0).set_params(
            gate=gate_of(kind, n_experts), pooling=pooling, init=init, **BRIEF
        )
        for n_experts, pooling, init, kind in SHAPES
    ]


def gate_of(kind: str, n_experts: int) -> Any:
    """A linear gate, or a tree of twice as many leaves as there are experts."""
    if kind != "tree":
        return SoftmaxGate(alpha=GATE_ALPHAS[kind])
    tree = DecisionTreeClassifier(max_leaf_nodes=2 * n_experts, min_samples_leaf=30, random_state=0)
    return ClassifierGate(tree)


def loss(model: Any, X: np.ndarray, y: np.ndarray) -> float:
    """RMSE, or log-loss."""
    if not hasattr(model, "classes_"):
        return float(np.sqrt(np.mean((model.predict(X) - y) ** 2)))
    own = model.predict_proba(X)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return float(-np.log(np.maximum(own, LIKELY)).mean())


class Search:
    """Chooses among models by 3-fold cross-validation on one training part."""

    def __init__(self, task: str, X: np.ndarray, y: np.ndarray) -> None:
        kind = KFold if task == "regression" else StratifiedKFold
        self.task, self.X, self.y = task, X, y
        self.folds = list(kind(3, shuffle=True, random_state=0).split(X, y))

    def risk(self, model: Any) -> float:
        """Mean loss on rows left out."""
        X, y = self.X, self.y
        losses = [
            loss(clone(model).fit(X[train], y[train]), X[test], y[test])
            for train, test in self.folds
        ]
        return float(np.mean(losses))

    def linear(self) -> Any:
        """The best linear model."""
        return min(linear_models(self.task), key=self.risk)

    def tree(self) -> Any:
        """The best tree."""
        return min(trees(self.task), key=self.risk)

    def mixture(self) -> Any:
        """The best mixture, which may be one expert alone."""
        alone = self.linear()
        return min([alone, *mixtures(self.task, alone)], key=self.risk)


MODELS: dict[str, Callable[[Search], Any]] = {
    "linear": Search.linear,
    "tree": Search.tree,
    "mixture": Search.mixture,
}
RIVALS = ("linear", "tree")
COLUMNS = ["commit", "table", "seed", "max_rows", "n_train", "n_test", "columns"] + [
    f"{model}_{figure}" for model in MODELS for figure in ("loss", "seconds", "setting")
]


def setting(model: Any) -> str:
    """The parameters that a search has chosen, in short."""
    params = model.get_params() | getattr(model, "experts", model).get_params()
    chosen = {name: params[name] for name in CHOSEN if name in params}
    short = {n: f"{v:.4g}" if isinstance(v, float) else str(v) for n, v in chosen.items()}
    return " ".join(f"{name}={''.join(value.split())}" for name, value in short.items())


def numbers(train: Table, test: Table) -> tuple[np.ndarray, np.ndarray]:
    """Both parts encoded as the training part says."""
    columns = dense_encoder()
    return columns.fit_transform(train.X), columns.transform(test.X)


def cell(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One split of one table: search, fit and score of each model."""
    train, test = load(name, options.data).capped(options.max_rows).split(seed)
    X, X_test = numbers(train, test)
    search = Search(train.task, X, train.y.to_numpy())
    row = {"commit": commit(), "table": name, "seed": seed, "max_rows": options.max_rows}
    row |= {"n_train": len(X), "n_test": len(X_test), "columns": X.shape[1]}
    for label, choose in MODELS.items():
        begun = process_time()
        model = choose(search)
        model.fit(X, search.y)
        row[f"{label}_seconds"] = round(process_time() - begun, 2)
        row[f"{label}_loss"] = loss(model, X_test, test.y.to_numpy())
        row[f"{label}_setting"] = setting(model)
    return {column: row[column] for column in COLUMNS}


def corrected_t(differences: np.ndarray, test_to_train: float) -> tuple[float, float]:
    """Statistic and two-sided p of the corrected resampled t-test; 0 and 1 if there are none."""
    number = len(differences)
    if number < 2 or not np.any(differences):
        return 0.0, 1.0
    stderr = np.sqrt((1 / number + test_to_train) * np.var(differences, ddof=1))
    statistic = float(np.mean(differences) / stderr)
    return statistic, float(2 * student.sf(abs(statistic), number - 1))


def against(rows: pd.DataFrame, rival: str) -> tuple[str, bool]:
    """How the mixture did against a rival on one table, and whether it is significantly better."""
    gains = (rows[f"{rival}_loss"] - rows["mixture_loss"]).to_numpy()
    statistic, p = corrected_t(gains, float((rows["n_test"] / rows["n_train"]).mean()))
    gain, share = gains.mean(), gains.mean() / rows[f"{rival}_loss"].mean()
    said = "wins" if gain > 0 else "LOSES" if gain < 0 else "same"
    said += "" if p < SURE else ", perhaps by luck"
    text = f"  against {rival:6} {share:+7.1%}  better on {np.mean(gains > 0):4.0%} of the splits"
    return f"{text}  t {statistic:+6.2f}  p {p:.4f}  {said}", bool(gain > 0 and p < SURE)


def report(rows: pd.DataFrame) -> str:
    """Each table, then how many were won."""
    lines, won = [], []
    for name, mine in rows.groupby("table", sort=False):
        means = "  ".join(
            f"{model} {mine[f'{model}_loss'].mean():.5g} ({mine[f'{model}_seconds'].mean():.0f} s)"
            for model in MODELS
        )
        lines.append(f"{name}, {mine['columns'].max()} columns, {len(mine)} splits: {means}")
        mixed = mine["mixture_setting"].astype(str).str.contains("n_experts").sum()
        lines.append(f"  more than one expert chosen on {mixed} of {len(mine)} splits")
        said, sure = zip(*(against(mine, rival) for rival in RIVALS), strict=True)
        lines += said
        won.append([*sure, all(sure)])
    counts = zip(np.sum(won, axis=0), [*RIVALS, "both"], strict=True)
    text = ", ".join(f"{number} over {rival}" for number, rival in counts)
    return "\n".join([*lines, f"Of {len(won)} tables, significantly better (p < {SURE}): {text}."])


def run(options: argparse.Namespace) -> None:
    """Measure the splits that the output does not hold; write each as it finishes."""
    options.output.parent.mkdir(parents=True, exist_ok=True)
    done = keys_in(options.output, ("table", "seed", "max_rows"))
    cells = product(range(options.first_seed, options.first_seed + options.seeds), options.tables)
    rows = str(options.max_rows)
    wanted = [(name, seed) for seed, name in cells if (name, str(seed), rows) not in done]
    write_facts(options.output, machine_facts(vars(options)))
    progress = Progress(len(wanted))
    for name, seed in wanted:
        row = cell(name, seed, options)
        append_row(options.output, row)
        losses = ", ".join(f"{model} {row[f'{model}_loss']:.4f}" for model in MODELS)
        progress.tell(f"{name} seed {seed}: {losses} ({row['mixture_setting']})")


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing and report on all rows of the file."""
    parser = command("wide", __doc__)
    add = parser.add_argument
    add_tables(parser, TABLES)
    add("--max-rows", type=positive, default=2000, help="rows drawn from a larger table")
    add("--seeds", type=positive, default=20, help="number of splits")
    add("--first-seed", type=natural, default=100, help="seed of the first split")
    add_output(parser, "wide")
    options = parser.parse_args(argv)
    check_tables(options.tables, options.data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        run(options)
    print(report(pd.read_csv(options.output)))
    return 0
