"""The search: candidates are judged by what their witnesses say of rows that they have not seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from .._numeric import Array
from .._validation import last_step, take_rows

# Rows that all candidates are judged by; where there are more, the better half is judged again by
# so many times as many.
FIRST_ROWS, TIMES = 1000, 3
# Folds of a fit that is to be judged.
JUDGING_FOLDS = 3
# Experts are doubled up to so many.
MOST_EXPERTS = 16
# The view of a table that is the table.
AS_GIVEN = "as given"


@dataclass(frozen=True)
class Candidate:
    """A mixture, or a pipeline that ends in one: its name, and the view of the table it sees.

    More experts are tried if it `may_grow`.
    """

    name: str
    model: Any
    view: str = AS_GIVEN
    may_grow: bool = True

    @property
    def mixture(self) -> Any:
        """The mixture at the end."""
        return last_step(self.model)

    @property
    def to_judge(self) -> Candidate:
        """The same in few folds and with witnesses; itself, if that is what it is."""
        folds = self.mixture.cv
        wanted = {"cv": folds if hasattr(folds, "split") else JUDGING_FOLDS, "verdict": True}
        is_so = all(getattr(self.mixture, name) is value for name, value in wanted.items())
        return self if is_so else replace(self, model=_changed(self.model, wanted))

    def of_number(self, n_experts: int) -> Candidate:
        """The same with so many experts, and a name that says so."""
        name = f"{self.name}, n_experts={n_experts}"
        return replace(self, name=name, model=_changed(self.model, {"n_experts": n_experts}))


def _changed(model: Any, params: dict[str, Any]) -> Any:
    """A clone of which the mixture has other parameters."""
    model = clone(model)
    last_step(model).set_params(**params)
    return model


@dataclass(frozen=True)
class Sample:
    """Rows of a table in several views, with their targets, weights and groups.

    Rows of the same `rank` are copies; ranks follow from what rows hold.
    """

    views: dict[str, Any]
    y: NDArray
    weight: Array
    groups: Any
    rank: NDArray[np.intp]

    @property
    def n_distinct(self) -> int:
        """Number of rows that are no copies."""
        return int(self.rank.max()) + 1

    def fit(self, candidate: Candidate) -> Any:
        """The model of a candidate, fitted; weights and groups are for the mixture."""
        model, X = clone(candidate.model), self.views[candidate.view]
        steps = model.steps[:-1] if isinstance(model, Pipeline) else []
        for _, step in steps:
            X = step.fit(X, self.y).transform(X)
        last_step(model).fit(X, self.y, sample_weight=self.weight, groups=self.groups)
        return model

    def few(self, n_rows: int) -> Sample:
        """All copies of `n_rows` distinct rows; itself, if there are no more."""
        if self.n_distinct <= n_rows:
            return self
        rows = np.flatnonzero(self.rank < n_rows)
        views = {name: take_rows(view, rows) for name, view in self.views.items()}
        parts = (take_rows(part, rows) for part in (self.y, self.weight, self.groups, self.rank))
        return Sample(views, *parts)


@dataclass
class Judge:
    """Fits candidates to a sample and remembers what they came to, in nats.

    Those that cannot be fitted are out, and the reason is told.
    """

    sample: Sample
    tell: Callable[[str], None]
    scores: dict[str, float] = field(default_factory=dict)
    models: dict[str, tuple[Any, list[Any]]] = field(default_factory=dict)
    errors: list[ValueError] = field(default_factory=list)

    def ranked(self, candidates: list[Candidate]) -> list[Candidate]:
        """Those that can be fitted, the best first.

        Raises
        ------
        ValueError
            If none of them can.
        """
        fitted = [candidate for candidate in candidates if self.score(candidate) > -np.inf]
        if not fitted:
            raise ValueError(
                f"None of the candidates {[candidate.name for candidate in candidates]} can be "
                f"fitted. Of the first: {self.errors[0] if self.errors else 'a density of zero'}"
            ) from (self.errors[0] if self.errors else None)
        return sorted(fitted, key=self.score, reverse=True)

    def score(self, candidate: Candidate) -> float:
        """Mean log density of unseen rows."""
        name, begun = candidate.name, perf_counter()
        if name not in self.scores:
            self.scores[name] = self._judged(candidate)
            seconds = perf_counter() - begun
            self.tell(f"{name}: {self.scores[name]:.4f} nats, {seconds:.1f} s")
        return self.scores[name]

    def _judged(self, candidate: Candidate) -> float:
        short = candidate.to_judge
        try:
            with warnings.catch_warnings(record=True) as heard:
                # Most would speak of fits that nobody keeps.
                warnings.simplefilter("always")
                model = self.sample.fit(short)
        except ValueError as error:
            self.errors.append(error)
            self.tell(f"{candidate.name}: failed, {error}")
            return -np.inf
        if short is candidate:
            self.models[candidate.name] = model, [warning.message for warning in heard]
        return held_out(last_step(model))

    def final(self, candidate: Candidate, sample: Sample) -> Any:
        """The candidate's model of all rows, which are a `sample`, too."""
        if self.sample is not sample or candidate.name not in self.models:
            return sample.fit(candidate)
        model, heard = self.models[candidate.name]
        for message in heard:
            warnings.warn(message, stacklevel=6)
        return model


def held_out(mixture: Any) -> float:
    """Mean log density of unseen rows or, where they are too few for witnesses, the bound."""
    score = mixture.calibrated_log_prob_
    score = mixture.lower_bound_ if np.isnan(score) else score
    return float(score) if np.isfinite(score) else -np.inf


def search(
    candidates: list[Candidate],
    sample: Sample,
    max_rows: int,
    tell: Callable[[str], None],
) -> tuple[Candidate, Any, dict[str, float]]:
    """The best candidate, with as many experts as help; its model, and what was judged last.

    The `sample` is of all rows.
    """
    n_rows = min(FIRST_ROWS, max_rows)
    judge = Judge(sample.few(n_rows), tell)
    ranked = judge.ranked(candidates)
    while n_rows < max_rows and judge.sample is not sample:
        n_rows = min(TIMES * n_rows, max_rows)
        tell(f"the better half again, by {n_rows} rows")
        judge = Judge(sample.few(n_rows), tell)
        ranked = judge.ranked(ranked[: (len(ranked) + 1) // 2])
    best = ranked[0]
    for more in doubled(best):
        if judge.score(more) <= judge.score(best):
            break
        best = more
    tell(f"{best.name}: kept")
    return best, judge.final(best, sample), judge.scores


def doubled(candidate: Candidate) -> Iterator[Candidate]:
    """The same with twice as many experts, four times as many, and so on."""
    mixture, n_experts = candidate.mixture, candidate.mixture.n_experts
    if not candidate.may_grow or n_experts == "auto" or isinstance(mixture.experts, list):
        return
    while 2 * n_experts <= MOST_EXPERTS:
        n_experts *= 2
        yield candidate.of_number(n_experts)
