"""The search: candidates are judged by the density their witnesses give to rows not seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from .._em import DIGITS
from .._forecasts import Forecast
from .._growth import MOST_EXPERTS, has_number
from .._numeric import Array, mean_of_known
from .._verdict import OneIsBetter
from ..predictive._pool import family_of_pool
from ._candidate import Candidate, has_array
from ._sample import FIRST_ROWS, Sample
from ._side_by_side import side_by_side
from ._stacking import stacking_weights
from ._width import width_of_pool

# On a large table a part of the rows judges first; each next part is this many times as large.
TIMES = 3
# Rows that all who answer together must have scored; and rows enough to weigh fits to all rows
# anew.
LEAST_COMMON, ENOUGH_COMMON = 50, 500
# Distinct rows that each expert must have where their number is doubled.
ROWS_PER_EXPERT = 10


@dataclass(frozen=True, eq=False)
class Judged:
    """Result of a fit: its score in nats, NaN if there were no witnesses, and the bound.

    The `model` is kept, with the `warnings` of its fit, if it was fitted as its candidate asks. The
    score is the mean of `log_probs` (n,); results of the same `pools_with` can be pooled. The
    `family` is that of the `forecast` of unseen rows; for labels there is neither.
    """

    candidate: Candidate
    score: float = -np.inf
    bound: float = -np.inf
    log_probs: Array = field(default_factory=lambda: np.empty(0))
    pools_with: Any = None
    family: Any = None
    forecast: Forecast | None = None
    model: Pipeline | None = None
    warnings: tuple[Any, ...] = ()
    error: ValueError | None = None
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Found:
    """Result of the search: the name of the best, and fits and weights of all that answer, by name.

    The `scores` are of each candidate; `together` is the score of all that answer, once their
    dispersions are multiplied by `factors` (q,).
    """

    best: str
    fits: dict[str, Judged]
    weights: dict[str, float]
    scores: dict[str, float]
    together: float
    factors: Array


@dataclass
class Judge:
    """Fits candidates to a sample, and remembers the results by name.

    Candidates that cannot be fitted are out, with a warning. Fits run in `n_jobs` processes.
    """

    sample: Sample
    tell: Callable[[str], None]
    n_jobs: int | None = None
    judged: dict[str, Judged] = field(default_factory=dict)

    @property
    def scores(self) -> dict[str, float]:
        """Scores by name."""
        return {name: judged.score for name, judged in self.judged.items()}

    def ranked(self, candidates: list[Candidate]) -> list[Candidate]:
        """Candidates that can be fitted, the best first.

        Bounds cannot be compared with scores by witnesses, so they count only if none has
        witnesses.

        Raises
        ------
        ValueError
            If no candidate can be fitted.
        """
        self.tell(f"by {self.sample.n_distinct} distinct rows")
        self.fit_once(candidates)
        if not any(self.score(candidate) > -np.inf for candidate in candidates):
            self._take_bounds_for_scores()
        fitted = [candidate for candidate in candidates if self.score(candidate) > -np.inf]
        if not fitted:
            self._refuse(candidates)
        self._warn_of_those_out(candidates)
        return sorted(fitted, key=self.score, reverse=True)

    def fit_once(self, candidates: Iterable[Candidate]) -> None:
        """Fit those candidates that have not been fitted yet."""
        new = [candidate for candidate in candidates if candidate.name not in self.judged]
        for candidate, judged in self._side_by_side(judge_candidate, self.sample, new):
            self.judged[candidate.name] = judged
            outcome = f"failed, {judged.error}" if judged.error else f"{judged.score:.4f} nats"
            self.tell(f"{candidate.name}: {outcome}, {judged.seconds:.1f} s")

    def _side_by_side(
        self, fit: Callable[..., Judged], sample: Sample, candidates: list[Candidate]
    ) -> Iterator[tuple[Candidate, Judged]]:
        """Each candidate and the result of its fit; a process may have fitted a copy of it."""
        arguments = [(sample, candidate) for candidate in candidates]
        results = side_by_side(fit, arguments, self.n_jobs)
        for candidate, judged in zip(candidates, results, strict=True):
            yield candidate, replace(judged, candidate=candidate)

    def score(self, candidate: Candidate) -> float:
        """Mean log density of unseen rows, rounded so that equals are level."""
        return round(self.judged[candidate.name].score, DIGITS)

    def _take_bounds_for_scores(self) -> None:
        for name, judged in self.judged.items():
            known = judged.bound if np.isnan(judged.score) else judged.score
            self.judged[name] = replace(judged, score=known)

    def _warn_of_those_out(self, candidates: list[Candidate]) -> None:
        for candidate in candidates:
            judged = self.judged[candidate.name]
            if not judged.error and not np.isnan(judged.score):
                continue
            reason = "has no witnesses, which others have, and is out."
            if judged.error:
                reason = f"cannot be fitted, and is out: {judged.error}"
            text = f"Candidate {candidate.name!r} {reason}"
            warnings.warn(text, UserWarning, stacklevel=8)

    def going_on(self, ranked: list[Candidate], stacking: bool) -> list[Candidate]:
        """The better half of those that were judged, and others that would answer with the best."""
        half, wanted = (len(ranked) + 1) // 2, self.weights(ranked[0]) if stacking else {}
        return [c for place, c in enumerate(ranked) if place < half or c.name in wanted]

    def _refuse(self, candidates: list[Candidate]) -> None:
        names = [candidate.name for candidate in candidates]
        error = self.judged[names[0]].error
        reason = error or "it gives unseen rows no density."
        raise ValueError(
            f"None of the candidates {names} can be used. Of the first: {reason}"
        ) from error

    def weights(self, best: Candidate) -> dict[str, float]:
        """Weights, by name, of those that answer together."""
        names = [judged.candidate.name for judged in self._able(self.judged[best.name])]
        log_probs, common = self._log_probs(names)
        if len(common) < min(LEAST_COMMON, len(log_probs)):
            return {best.name: 1.0}
        found = stacking_weights(log_probs[common], self.sample.weight[common])
        return {name: weight for name, weight in zip(names, found.tolist(), strict=True) if weight}

    def _able(self, best: Judged) -> list[Judged]:
        """The best one and those that can answer with it: scored, of a law to pool, not equal.

        Hard votes are not what witnesses have scored, so a mixture that votes answers alone.
        """
        able = [best]
        for judged in self.judged.values():
            log_probs = judged.log_probs
            answers = (
                judged.pools_with == best.pools_with != "hard" and not np.isnan(log_probs).all()
            )
            if answers and not any(_are_the_same(log_probs, other.log_probs) for other in able):
                able.append(judged)
        return able

    def _log_probs(self, names: Iterable[str]) -> tuple[Array, NDArray[np.intp]]:
        """Log densities (n, M) of unseen rows by those named, and the rows that all scored."""
        log_probs = np.column_stack([self.judged[name].log_probs for name in names])
        return log_probs, np.flatnonzero(~np.isnan(log_probs).any(axis=1))

    def n_common(self, names: Iterable[str]) -> int:
        """Number of rows that all of those named have scored."""
        return len(self._log_probs(names)[1])

    def together(self, weights: dict[str, float]) -> float:
        """Mean log density of unseen rows by all that answer; NaN where nobody has scored any."""
        log_probs, _ = self._log_probs(weights)
        pooled = logsumexp(log_probs, axis=1, b=list(weights.values()))
        return mean_of_known(pooled, self.sample.weight)

    def width(self, weights: dict[str, float]) -> tuple[Array, float]:
        """Factors (q,) for the dispersions of all that answer, and what the score gains by them."""
        judged = [self.judged[name] for name in weights]
        forecasts = [each.forecast for each in judged if each.forecast is not None]
        has_scale = all(getattr(each.family, "is_location_scale", False) for each in judged)
        if len(judged) == 1 or len(forecasts) < len(judged) or not has_scale:
            return np.ones(1), 0.0
        families = [each.family for each in judged]
        return width_of_pool(families, forecasts, list(weights.values()))

    def leave_out(self, candidate: Candidate, error: ValueError) -> None:
        """Go on without a candidate that cannot be fitted to all rows."""
        self.judged[candidate.name] = Judged(candidate, error=error)
        text = f"Candidate {candidate.name!r} cannot be fitted to all rows, and is out: {error}"
        warnings.warn(text, UserWarning, stacklevel=7)

    def finals(self, names: list[str], sample: Sample) -> dict[str, Judged]:
        """Results by name, errors included, of fits to all rows, which are a `sample` too."""
        judged = {name: self.judged[name] for name in names}
        if self.sample is sample:
            new = [each.candidate for each in judged.values() if each.model is None]
        else:
            new = [each.candidate for each in judged.values()]
        for candidate in new:
            self.tell(f"{candidate.name} is fitted to all {sample.n_distinct} distinct rows")
        found = self._side_by_side(fit_candidate, sample, new)
        return judged | {candidate.name: fit for candidate, fit in found}

    def next_best(self, error: ValueError) -> Candidate:
        """The best of those that are left; raise the error if none is."""
        left = [judged.candidate for judged in self.judged.values() if judged.score > -np.inf]
        if not left:
            raise error
        return max(left, key=self.score)


def _are_the_same(log_probs: Array, other: Array) -> bool:
    return np.allclose(log_probs, other, rtol=0, atol=10.0**-DIGITS, equal_nan=True)


def judge_candidate(sample: Sample, candidate: Candidate) -> Judged:
    """The result of a fit in few folds; the model is kept if its candidate asks for no others."""
    short = candidate.to_judge
    judged = fit_candidate(sample, short)
    return judged if short is candidate else replace(judged, candidate=candidate, model=None)


def fit_candidate(sample: Sample, candidate: Candidate) -> Judged:
    """The result of a fit, or of a fit that failed, with its error."""
    begun = perf_counter()
    try:
        found = _fitted(sample, candidate)
    except ValueError as error:
        found = Judged(candidate, error=error)
    except Exception as error:  # whatever it is, it is raised, and says whose it was
        error.add_note(f"This was candidate {candidate.name!r}.")
        raise
    return replace(found, seconds=perf_counter() - begun)


def _fitted(sample: Sample, candidate: Candidate) -> Judged:
    """The result of a fit, with its warnings: most are about fits that nobody keeps."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model, forecast = sample.fit(candidate)
    mixture = model[-1]
    return Judged(
        candidate,
        score=float(mixture.calibrated_log_prob_),
        bound=float(mixture.lower_bound_),
        log_probs=mixture.calibrated_log_probs_,
        pools_with=mixture.voting if is_classifier(mixture) else family_of_pool(mixture.family_),
        family=getattr(mixture, "family_", None),
        forecast=forecast,
        model=model,
        warnings=tuple(warning.message for warning in caught),
    )


def search(
    candidates: list[Candidate],
    sample: Sample,
    max_rows: int,
    stacking: bool,
    tell: Callable[[str], None],
    n_jobs: int | None = None,
) -> Found:
    """The best candidate, with as many experts as help, and those that answer with it.

    The `sample` is of all rows; the scores are those of the last judge. Fits to all rows may
    deserve other weights than fits to fewer, so they are judged once more if enough rows can tell.
    """
    n_rows = sizes(min(max_rows, sample.n_distinct))
    judges = [Judge(sample.few(n), tell, n_jobs) for n in n_rows]
    judge, best = judges[-1], _best(candidates, judges, stacking)
    best, fits, weights = _answering(judge, best, sample, stacking)
    scores, last = judge.scores, Judge(sample, tell, judged=fits)
    if last.n_common(fits) >= min(ENOUGH_COMMON, judge.n_common(fits)):
        judge, best = last, max((fit.candidate for fit in fits.values()), key=last.score)
        weights = _weights(judge, best, stacking)
    _warn_of([fit for name, fit in fits.items() if name in {best.name, *weights}])
    factors, gain = judge.width(weights)
    together = judge.together(weights) + gain
    tell(f"best: {best.name}; {len(weights)} answer, {together:.4f} nats together")
    for name, weight in weights.items():
        tell(f"{name}: weight {weight:.2f}")
    return Found(best.name, fits, weights, scores, together, factors)


def _best(candidates: list[Candidate], judges: list[Judge], stacking: bool) -> Candidate:
    """The best candidate, with as many experts as help, by the last of the judges."""
    ranked = judges[0].ranked(candidates)
    for before, judge in pairwise(judges):
        ranked = judge.ranked(before.going_on(ranked, stacking))
    judge, best = judges[-1], ranked[0]
    for more in larger(best, judge.sample.n_distinct):
        judge.fit_once([more])
        if not judge.score(more) > judge.score(best):
            break
        best = more
    return best


def _answering(
    judge: Judge, best: Candidate, sample: Sample, stacking: bool
) -> tuple[Candidate, dict[str, Judged], dict[str, float]]:
    """The best one that can be fitted to all rows; fits and weights of it and all that answer."""
    fits: dict[str, Judged] = {}
    weights = _weights(judge, best, stacking)
    while missing := [name for name in (best.name, *weights) if name not in fits]:
        found = judge.finals(list(dict.fromkeys(missing)), sample)
        errors = {name: fit.error for name, fit in found.items() if fit.error}
        fits |= {name: fit for name, fit in found.items() if name not in errors}
        for name, error in errors.items():
            judge.leave_out(found[name].candidate, error)
        if best.name in errors:
            best = judge.next_best(errors[best.name])
        if errors:
            weights = _weights(judge, best, stacking)
    return best, {name: fits[name] for name in (best.name, *weights)}, weights


def _weights(judge: Judge, best: Candidate, stacking: bool) -> dict[str, float]:
    """Weights, by name, of those that answer."""
    return judge.weights(best) if stacking else {best.name: 1.0}


def _warn_of(fits: Iterable[Judged]) -> None:
    """Repeat warnings of fits that are kept, but not those about iterations or experts of ours."""
    of_ours = ConvergenceWarning | OneIsBetter
    for fit in fits:
        for message in fit.warnings:
            if not (fit.candidate.is_ours and isinstance(message, of_ours)):
                warnings.warn(message, stacklevel=6)


def sizes(n_rows: int) -> list[int]:
    """Numbers of rows by which candidates are judged, one after the other."""
    found = [n_rows]
    while found[0] >= 2 * FIRST_ROWS:
        found.insert(0, found[0] // TIMES)
    return found


def has_fixed_number(mixture: Any) -> bool:
    """Whether a mixture is not to be tried with other numbers of experts."""
    if mixture.n_experts == "auto" or isinstance(mixture.experts, list):
        return True
    return has_array(mixture) or has_number(mixture.gate)


def larger(candidate: Candidate, n_rows: int) -> Iterator[Candidate]:
    """The candidate with twice as many experts, and so on, as far as `n_rows` rows allow."""
    n_experts = candidate.mixture.n_experts
    if not candidate.may_grow or has_fixed_number(candidate.mixture):
        return
    while 2 * n_experts <= min(MOST_EXPERTS, n_rows // ROWS_PER_EXPERT):
        n_experts *= 2
        yield candidate.of_number(n_experts)
