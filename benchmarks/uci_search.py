"""One mixture for a table of numbers, found by one fixed search inside the training part.

Every candidate is fitted once and asked for `calibrated_log_prob_`, what its witnesses say of rows
they have not seen once its noise is calibrated; candidates deal the same folds, so they can be
compared. The search goes from choice to choice: which experts, their penalty, how many, which
noise, which gate. It sees a sample of a large table, and a larger one for the kinds of experts that
are ahead. The chosen mixture is fitted to all rows for as many iterations as its witnesses have
liked best, without witnesses.

Or the best of each kind answer together, with the weights under which the mean of their densities
makes unseen rows most likely. What was judged by all rows then answers as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from sklearn_moe import MixtureOfExpertsRegressor
from sklearn_moe.auto._stacking import stacking_weights
from sklearn_moe.gates import MLPGate, SoftmaxGate
from sklearn_moe.predictive._pool import pooled

SEARCH_ROWS = 1000
# Trees come into their own where there are more rows: so many kinds meet again on so many.
FINALISTS, FINAL_ROWS = 3, 3000
# A forest's trees in the search, and in the fit to all rows.
FEW_TREES, TREES = 50, 100
# Small tables can pay for as many folds as the final fit has.
SEARCH_FOLDS, SMALL, SMALL_FOLDS = 3, 500, 5
MOST_COLUMNS = 250
MOST_COMPONENTS = 1000
MAX_BINS = 80


def boosting() -> Any:
    """Boosting of trees."""
    return HistGradientBoostingRegressor(max_bins=MAX_BINS)


def fine_boosting() -> Any:
    """Small trees of small leaves, for small tables."""
    small = {"learning_rate": 0.15, "max_leaf_nodes": 8, "min_samples_leaf": 5}
    return HistGradientBoostingRegressor(max_bins=MAX_BINS, **small)


def small_boosting() -> Any:
    """Few small trees, for the scale of the noise."""
    return HistGradientBoostingRegressor(max_iter=50, max_leaf_nodes=8, max_bins=MAX_BINS)


def forest() -> Any:
    """A forest whose trees choose from a third of the columns."""
    return RandomForestRegressor(FEW_TREES, max_features=1 / 3, random_state=0)


def extra_trees() -> Any:
    """A forest of trees cut at random."""
    return ExtraTreesRegressor(FEW_TREES, bootstrap=True, random_state=0)


def forest_gate() -> Any:
    """A forest as a gate: its leaves hold enough rows to tell probabilities by."""
    return ExtraTreesClassifier(FEW_TREES, min_samples_leaf=5, random_state=0)


def same(n_columns: int, n_rows: int) -> list[Any]:
    """Scaled columns."""
    return [StandardScaler()]


def powers(degree: int) -> Callable[[int, int], list[Any]]:
    """All products of up to `degree` columns."""
    expansion = PolynomialFeatures(degree, include_bias=False)
    return lambda n_columns, n_rows: [StandardScaler(), expansion, StandardScaler()]


def kernel(gamma: float) -> Callable[[int, int], list[Any]]:
    """The columns, and similarities to a sample of rows, which approximate a Gaussian kernel."""

    def steps(n_columns: int, n_rows: int) -> list[Any]:
        n_components = min(MOST_COMPONENTS, n_rows // 3)
        similar = Nystroem(gamma=gamma, n_components=n_components, random_state=0)
        return [StandardScaler(), make_union(FunctionTransformer(), similar)]

    return steps


@dataclass(frozen=True)
class Kind:
    """Experts: the columns they see, and what learns from these; a power has a degree."""

    expert: Any
    columns: Callable[[int, int], list[Any]] = same
    degree: int = 1
    most_rows: float = np.inf

    @property
    def spread(self) -> Any:
        """What may predict the scale of the noise from the same columns."""
        return Ridge(10.0) if isinstance(self.expert, Ridge) else small_boosting()

    @property
    def at_last(self) -> dict[str, Any]:
        """Parameters of the mixture that are others in the fit to all rows."""
        is_forest = hasattr(self.expert, "bootstrap")
        return {"cv": "oob", "experts__n_estimators": TREES} if is_forest else {}

    def suits(self, n_columns: int, n_rows: int) -> bool:
        """Whether there are not too many rows, nor products of columns."""
        if n_rows > self.most_rows:
            return False
        n_powers = np.prod([(n_columns + d) / d for d in range(1, self.degree + 1)])
        return self.degree == 1 or n_powers <= MOST_COLUMNS


KINDS: dict[str, Kind] = {
    "linear": Kind(Ridge()),
    "quadratic": Kind(Ridge(0.1), powers(2), 2),
    "cubic": Kind(Ridge(0.01), powers(3), 3),
    "wide kernel": Kind(Ridge(0.01), kernel(0.03)),
    "narrow kernel": Kind(Ridge(0.001), kernel(0.1)),
    "boosting": Kind(boosting()),
    "fine boosting": Kind(fine_boosting(), most_rows=SEARCH_ROWS - 1),
    "forest": Kind(forest()),
    "extra trees": Kind(extra_trees()),
}


@dataclass(frozen=True)
class Candidate:
    """A mixture in few words."""

    kind: str
    n_experts: int = 2
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        extras = [f"{name}={value}" for name, value in self.more.items()]
        return " ".join([str(self.n_experts), self.kind, *extras])

    def build(self, n_columns: int, n_rows: int, seed: int, **params: Any) -> Pipeline:
        """The unfitted pipeline. The gate sees the columns as they were."""
        kind, more = KINDS[self.kind], dict(self.more)
        expert = clone(kind.expert)
        if "alpha" in more:
            expert.set_params(alpha=more.pop("alpha"))
        first = make_column_transformer(("passthrough", slice(0, n_columns)))
        gate = make_pipeline(first, more.pop("gate", SoftmaxGate()))
        mixture = MixtureOfExpertsRegressor(
            expert, self.n_experts, gate=gate, random_state=seed, **more, **params
        )
        return make_pipeline(*kind.columns(n_columns, n_rows), mixture)


@dataclass(frozen=True)
class Judged:
    """A candidate's model of so many rows, and its score: minus infinity if it is not to answer."""

    candidate: Candidate
    n_rows: int
    model: Pipeline | None = None
    score: float = -np.inf


class SearchedMixture(BaseEstimator):
    """The mixture that the search finds or, `together`, the best of each kind."""

    def __init__(self, seed: int = 0, together: bool = False) -> None:
        self.seed = seed
        self.together = together

    def fit(self, X: Any, y: np.ndarray) -> SearchedMixture:
        """Search on a sample of the rows, fit the choice to all."""
        X, self.n_fits_ = np.asarray(X, dtype=float), 0
        rows = np.random.RandomState(self.seed).permutation(len(y))
        self.judged_: dict[tuple[str, int], Judged] = {}
        best = self._search(X, y, rows)
        chosen = self._best_of_kinds(best, X, y, rows) if self.together else {str(best): 1.0}
        self.chosen_ = told(chosen)
        self.weights_ = np.array(list(chosen.values()))
        self.models_ = [self._fitted(name, X, y) for name in chosen]
        self.model_ = self.models_[self.weights_.argmax()]
        return self

    def _best_of_kinds(
        self, best: Candidate, X: np.ndarray, y: np.ndarray, rows: np.ndarray
    ) -> dict[str, float]:
        """Weights, by name, of the best of each kind that was judged by as many rows as any."""
        more = rows[:FINAL_ROWS]
        self._score(best, X[more], y[more])
        kinds: dict[str, Judged] = {}
        for judged in sorted(self.judged_.values(), key=lambda judged: judged.score):
            if judged.n_rows == len(more) and np.isfinite(judged.score):
                kinds[judged.candidate.kind] = judged
        said = np.column_stack([j.model[-1].calibrated_log_probs_ for j in kinds.values()])
        heard = ~np.isnan(said).any(axis=1)
        weights = stacking_weights(said[heard], np.ones(heard.sum()))
        found = zip(kinds.values(), weights.tolist(), strict=True)
        return {str(judged.candidate): weight for judged, weight in found if weight}

    def _fitted(self, name: str, X: np.ndarray, y: np.ndarray) -> Pipeline:
        """The model of a candidate for all rows; who answers with others has it, if it was judged.

        By itself it is fitted without witnesses.
        """
        judged = self.judged_.get((name, len(y)))
        if self.together and judged:
            return judged.model
        model = self._final(name, X.shape[1], len(y))
        self.n_fits_ += 1
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=ConvergenceWarning)  # as was asked for
            return model.fit(X, y)

    def _final(self, name: str, n_columns: int, n_rows: int) -> Pipeline:
        """The choice for all rows: as many experts and iterations as its witnesses have liked.

        They are those of the most rows.
        """
        places = [place for place in self.judged_ if place[0] == name]
        judged = self.judged_[max(places, key=lambda place: place[1])]
        best, mixture = judged.candidate, judged.model[-1]
        if mixture.n_experts_ == 1:
            model = replace(best, n_experts=1).build(n_columns, n_rows, self.seed)
        else:
            n_iter = 1 + int(np.argmax(mixture.heldout_log_probs_))
            model = best.build(n_columns, n_rows, self.seed, verdict=False, max_iter=n_iter)
        model[-1].set_params(**KINDS[best.kind].at_last)
        return model

    def _search(self, X: np.ndarray, y: np.ndarray, rows: np.ndarray) -> Candidate:
        best = self._best_kind(X, y, rows)
        X, y = X[rows[:SEARCH_ROWS]], y[rows[:SEARCH_ROWS]]
        for step in (penalties, more_experts, more_experts, noises, gates):
            best = self._best([best, *step(best)], X, y)
        return best

    def _best_kind(self, X: np.ndarray, y: np.ndarray, rows: np.ndarray) -> Candidate:
        few, more = rows[:SEARCH_ROWS], rows[:FINAL_ROWS]
        suited = [name for name, kind in KINDS.items() if kind.suits(X.shape[1], len(few))]
        candidates = [Candidate(name) for name in suited]
        candidates.sort(key=lambda c: self._score(c, X[few], y[few]), reverse=True)
        return self._best(candidates[: FINALISTS if len(more) > len(few) else 1], X[more], y[more])

    def _best(self, candidates: list[Candidate], X: np.ndarray, y: np.ndarray) -> Candidate:
        return max(candidates, key=lambda candidate: self._score(candidate, X, y))

    def _score(self, candidate: Candidate, X: np.ndarray, y: np.ndarray) -> float:
        """What the witnesses say; nothing good of a candidate that cannot be fitted."""
        place = str(candidate), len(y)
        if place not in self.judged_:
            self.n_fits_ += 1
            self.judged_[place] = self._judged(candidate, X, y)
        return self.judged_[place].score

    def _judged(self, candidate: Candidate, X: np.ndarray, y: np.ndarray) -> Judged:
        n_folds = SMALL_FOLDS if len(y) <= SMALL else SEARCH_FOLDS
        model = candidate.build(X.shape[1], len(y), self.seed, cv=n_folds)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                score = model.fit(X, y)[-1].calibrated_log_prob_
        except ValueError:
            return Judged(candidate, len(y))
        return Judged(candidate, len(y), model, score if np.isfinite(score) else -np.inf)

    def predict(self, X: Any) -> np.ndarray:
        """Mean (n,)."""
        X = np.asarray(X, dtype=float)
        return np.stack([model.predict(X) for model in self.models_], axis=1) @ self.weights_

    def law(self, X: Any) -> Any:
        """The predictive distribution of the rows."""
        X = np.asarray(X, dtype=float)
        laws = [model[-1].predict_dist(model[:-1].transform(X)) for model in self.models_]
        return laws[0] if len(laws) == 1 else pooled(laws, self.weights_, np.ones(1))


def told(weights: dict[str, float]) -> str:
    """One name, or several with their weights."""
    if len(weights) == 1:
        return next(iter(weights))
    return " + ".join(f"{name} {weight:.2f}" for name, weight in weights.items())


def penalties(best: Candidate) -> Iterator[Candidate]:
    """A tenth of the penalty, and ten times as much, for experts that have one."""
    alpha = getattr(KINDS[best.kind].expert, "alpha", None)
    for factor in (0.1, 10.0) if alpha else ():
        yield replace(best, more={"alpha": factor * alpha})


def more_experts(best: Candidate) -> Iterator[Candidate]:
    """Twice as many."""
    yield replace(best, n_experts=2 * best.n_experts)


def noises(best: Candidate) -> Iterator[Candidate]:
    """Heavier tails; a scale that depends on the columns."""
    yield replace(best, more={**best.more, "family": "student_t"})
    yield replace(best, more={**best.more, "dispersion_estimator": KINDS[best.kind].spread})


def gates(best: Candidate) -> Iterator[Candidate]:
    """A network, and a forest, in place of the linear gate."""
    yield replace(best, more={**best.more, "gate": MLPGate()})
    yield replace(best, more={**best.more, "gate": forest_gate()})
