"""The models of the command `tabular`: mixtures, what they are made of, and plain rivals.

Each has `fit(X, y)` on raw frames and what `laws` asks for. `tuned` models search on the training
part only, all with the same number of candidates and folds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline

from benchmarks.local_peers import cubist
from benchmarks.models import EXPERTS, Average, dense_encoder, linear, mixture, seeded, tree
from benchmarks.peers import PEERS, Model, is_here
from benchmarks.uci_search import SearchedMixture
from sklearn_moe import (
    AutoMixtureClassifier,
    AutoMixtureRegressor,
    CrossValidatedLogistic,
    EvidenceRidge,
)
from sklearn_moe.gates import MLPGate

N_FOLDS = 3
Make = Callable[[str, int], Any]


class MixtureWithLaw(Pipeline):
    """Preprocessing and a mixture of experts, whose predictive distribution is the law."""

    def law(self, X: Any) -> Any:
        """The predictive distribution of the rows."""
        for _, step in self.steps[:-1]:
            X = step.transform(X)
        return self.steps[-1][1].predict_dist(X)


class AutoMixtureWithLaw(AutoMixtureRegressor):
    """A mixture that is found, whose predictive distribution is the law."""

    def law(self, X: Any) -> Any:
        """The predictive distribution of the rows."""
        return self.predict_dist(X)


class TunedMixture(GridSearchCV):
    """A search over mixtures, whose law is that of the best."""

    def law(self, X: Any) -> Any:
        """The predictive distribution of the rows."""
        return self.best_estimator_.law(X)


def with_law(*steps: Any) -> MixtureWithLaw:
    """`make_pipeline` for a mixture."""
    return MixtureWithLaw(make_pipeline(*steps).steps)


def numbered(task: str, last: Any) -> Pipeline:
    """Columns as numbers without gaps, then `last`."""
    return make_pipeline(tree(task)[0], SimpleImputer(keep_empty_features=True), last)


def one(expert: str) -> Make:
    """The expert by itself."""
    return lambda task, seed: seeded(EXPERTS[expert](task), seed)


def averaged(expert: str, n_experts: int) -> Make:
    """The mean of clones on bootstrap samples."""
    return lambda task, seed: Average(EXPERTS[expert](task), n_experts, seed)


def moe(expert: str, n_experts: int, **params: Any) -> Make:
    """A mixture of clones of the expert, each with its own preprocessing."""

    def make(task: str, seed: int) -> Any:
        model = mixture(task, EXPERTS[expert](task), n_experts, seed)
        return with_law(model.set_params(**params))

    return make


def linear_moe(task: str, seed: int, n_experts: Any = 4, gate: Any = None) -> MixtureWithLaw:
    """Columns as numbers once, then a mixture of ridge or logistic regressions."""
    last = linear(task)[-1]
    return with_law(dense_encoder(), mixture(task, last, n_experts, seed).set_params(gate=gate))


def evidence_moe(task: str, seed: int, n_experts: int = 8, gate: Any = None) -> MixtureWithLaw:
    """The same of regressions that find their own penalties."""
    model = linear_moe(task, seed, n_experts, gate)
    finds = EvidenceRidge() if task == "regression" else CrossValidatedLogistic()
    model[-1].set_params(experts=finds)
    return model


def tuned_linear_moe(task: str, seed: int) -> MixtureWithLaw:
    """What a search is to tune: logistic regressions as they are, for their penalties are in it."""
    return (evidence_moe if task == "regression" else linear_moe)(task, seed)


def auto_moe(task: str, seed: int, stacking: bool = True) -> Any:
    """Mixtures of the kinds that suit the table, or the one that suits it best."""
    kind = AutoMixtureWithLaw if task == "regression" else AutoMixtureClassifier
    return kind(stacking=stacking, random_state=seed)


def forest(task: str, seed: int) -> Pipeline:
    """A random forest at its defaults."""
    kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
    return numbered(task, kind(random_state=seed))


def team(task: str, seed: int) -> list[tuple[str, Any]]:
    """The three experts by name."""
    return [(name, one(name)(task, seed)) for name in EXPERTS]


def voting(task: str, seed: int) -> Any:
    """The mean of what the three experts say."""
    if task == "regression":
        return VotingRegressor(team(task, seed))
    return VotingClassifier(team(task, seed), voting="soft")


def stacking(task: str, seed: int) -> Any:
    """A linear model of what the three experts say out of fold."""
    if task == "regression":
        return StackingRegressor(team(task, seed), Ridge(), cv=folds(task, 5, seed))
    return StackingClassifier(team(task, seed), LogisticRegression(), cv=folds(task, 5, seed))


def folds(task: str, number: int, seed: int) -> KFold | StratifiedKFold:
    """Folds of rows at random: those of `uci` come in the order of the file, which may be one."""
    kind = KFold if task == "regression" else StratifiedKFold
    return kind(number, shuffle=True, random_state=seed)


def tuned(make: Make, grid: Callable[[str], dict[str, list]]) -> Make:
    """The best of the grid, by folds of the training part."""

    def make_tuned(task: str, seed: int) -> Any:
        scoring = "neg_mean_squared_error" if task == "regression" else "neg_log_loss"
        base = make(task, seed)
        kind = TunedMixture if hasattr(base, "law") else GridSearchCV
        cv = folds(task, N_FOLDS, seed)
        return kind(base, grid(task), scoring=scoring, cv=cv)

    return make_tuned


def penalties(task: str) -> dict[str, list]:
    """Six penalties of a linear model."""
    strengths = [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]
    if task == "regression":
        return {"ridge__alpha": strengths}
    return {"logisticregression__C": [1 / strength for strength in strengths]}


def depths(task: str) -> dict[str, list]:
    """Six sizes of a tree."""
    kind = "regressor" if task == "regression" else "classifier"
    return {
        f"decisiontree{kind}__max_depth": [4, 6, None],
        f"decisiontree{kind}__min_samples_leaf": [5, 20],
    }


def mixtures(task: str) -> dict[str, list]:
    """Six mixtures: numbers of experts, and gates or, for labels, penalties of the experts."""
    if task == "regression":
        name, more = "mixtureofexpertsregressor", {"gate": [None, "auto"]}
        numbers = [4, 8, 16]
    else:
        name, more = "mixtureofexpertsclassifier", {"experts__C": [1.0, 0.1]}
        numbers = [2, 4, 8]
    return {f"{name}__{key}": values for key, values in {"n_experts": numbers, **more}.items()}


def committees(task: str) -> dict[str, list]:
    """Six Cubists: members of a committee, and whether near training rows have a say."""
    return {"cubist__n_committees": [1, 5, 20], "cubist__neighbors": [None, 5]}


def boosters(task: str) -> dict[str, list]:
    """Six boostings."""
    return {"learning_rate": [0.05, 0.1], "max_leaf_nodes": [7, 15, 31]}


def fast_boosting(task: str, seed: int) -> Any:
    """Boosting as the experts have it, for the search."""
    kind = HistGradientBoostingRegressor
    if task == "classification":
        kind = HistGradientBoostingClassifier
    return kind(max_bins=80, random_state=seed)


MODELS: dict[str, Model] = {
    "moe linear": Model(linear_moe),
    "moe linear eight": Model(lambda task, seed: linear_moe(task, seed, 8)),
    "moe linear tuned": Model(tuned(tuned_linear_moe, mixtures)),
    "moe evidence": Model(evidence_moe, ("regression",)),
    "moe evidence gate": Model(
        lambda task, seed: evidence_moe(task, seed, 16, "auto"), ("regression",)
    ),
    "moe found penalty": Model(
        lambda task, seed: evidence_moe(task, seed, 4, "auto"), ("classification",)
    ),
    "moe tree": Model(moe("tree", 4)),
    "moe boosting": Model(moe("boosting", 2)),
    "moe linear net": Model(lambda task, seed: linear_moe(task, seed, gate=MLPGate())),
    "moe boosting net": Model(moe("boosting", 2, gate=MLPGate())),
    "moe linear auto": Model(lambda task, seed: linear_moe(task, seed, "auto", "auto")),
    "moe linear gate": Model(lambda task, seed: linear_moe(task, seed, gate="auto")),
    "moe tree gate": Model(moe("tree", 4, gate="auto")),
    "moe boosting gate": Model(moe("boosting", 2, gate="auto")),
    "moe tree ensemble": Model(moe("tree", 4, ensemble=True)),
    "moe tree gate ensemble": Model(moe("tree", 4, gate="auto", ensemble=True)),
    "moe boosting ensemble": Model(moe("boosting", 2, ensemble=True)),
    "moe boosting gate ensemble": Model(moe("boosting", 2, gate="auto", ensemble=True)),
    "moe auto": Model(auto_moe),
    "moe auto alone": Model(partial(auto_moe, stacking=False)),
    "moe search": Model(lambda task, seed: SearchedMixture(seed), ("regression",)),
    "moe search pool": Model(lambda task, seed: SearchedMixture(seed, True), ("regression",)),
    "linear": Model(one("linear")),
    "linear tuned": Model(tuned(one("linear"), penalties)),
    "tree": Model(one("tree")),
    "tree tuned": Model(tuned(one("tree"), depths)),
    "boosting": Model(one("boosting")),
    "boosting tuned": Model(tuned(fast_boosting, boosters)),
    "2 boostings": Model(averaged("boosting", 2)),
    "20 boostings": Model(averaged("boosting", 20)),
    "200 boostings": Model(averaged("boosting", 200)),
    "4 trees": Model(averaged("tree", 4)),
    "forest": Model(forest),
    "voting": Model(voting),
    "stacking": Model(stacking),
    "cubist tuned": Model(tuned(cubist, committees), ("regression",), "cubist"),
    **PEERS,
}
OURS = tuple(name for name in MODELS if name.startswith("moe"))


def available(names: list[str]) -> list[str]:
    """Those of the models whose package is here; the others are named."""
    missing = [name for name in names if not is_here(MODELS[name].package)]
    for name in missing:
        print(f"{name} is left out: {MODELS[name].package} is not installed")
    return [name for name in names if name not in missing]
