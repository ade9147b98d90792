"""A bank of experts: fit all of them, in and out of fold, and collect what they predict.

One job fits one expert on one fold's training rows and predicts its test rows; plain linear experts
are solved for in all folds at once. A template may be any scikit-learn estimator; here it is
weighted and seeded, its answers are aligned to the classes, and errors name it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._data import Data
from ._expert_errors import blaming
from ._folds import Splits
from ._numeric import Array, experts_first
from ._out_of_bag import out_of_bag, with_out_of_bag
from ._plans import Job, Plan, do
from ._predictions import align_classes, clipped, held, predict_expert
from ._routing import ALL_ACT, Slots
from ._rows import n_rows, read_only, take_params, take_rows
from ._templates import Template
from .linear import (
    LeastSquaresBank,
    LeftOut,
    LinearBank,
    Solution,
    finite_numbers,
)
from .weighting import RESAMPLED, fit_weighted


@dataclass(frozen=True)
class BankFit:
    """What experts predict, (n, S, q), out of fold if there were splits.

    For labels, they are all class probabilities, (n, S, C), or only that of each row's own class,
    (n, S, 1). `experts` are kept if each was fitted once and to all rows. `solution` is that of the
    plain linear experts, without its predictions.
    """

    mean: Array
    experts: list[Any] | None
    solution: Solution | None


@dataclass(frozen=True, eq=False)
class WeightedExperts:
    """Experts to be fitted to a table, each under its column of `weights` (n, K)."""

    data: Data
    templates: Sequence[Template]
    weights: Array

    @cached_property
    def linear_bank(self) -> LinearBank | None:
        """The bank of the plain linear experts of one kind, if they suit the table.

        The kind is the most frequent one among experts that leave out one row at a time, if there
        are any, else among all.
        """
        plain = [t for t in self.templates if t.problem is not None]
        if not plain:
            return None
        kinds = [type(t.problem) for t in plain if t.one_out] or [type(t.problem) for t in plain]
        kind: Any = Counter(kinds).most_common(1)[0][0]
        return self.data.linear_bank(kind)

    @cached_property
    def solvable(self) -> list[int]:
        """Positions of the experts that `linear_bank` can solve."""
        bank = self.linear_bank
        if bank is None:
            return []
        return [k for k, t in enumerate(self.templates) if isinstance(t.problem, bank.suits)]

    def posed(self) -> tuple[list[Any], Array]:
        """The problems of the `solvable` experts, and their weights."""
        columns = self.solvable
        whole = len(columns) == len(self.templates)
        weights = self.weights if whole else self.weights[:, columns]
        return [self.templates[k].problem for k in columns], weights

    def running(self, k: int) -> tuple[Data, Template, Callable[[Any], Any]]:
        """Table and template in their fastest form while EM runs, and what transforms rows."""
        data, template = self.data, self.templates[k]
        if template.max_bins is not None and (found := data.binned(template.max_bins)) is not None:
            binner, table = found
            return table, template.for_bins(binner.categorical), binner.transform
        template = template.in_bins
        if template.nameless and data.bare is not None:
            dtype = data.bare.X.dtype
            return data.bare, template, lambda X: read_only(X.to_numpy(dtype=dtype))
        return data, template, lambda X: X


def fit_predict(
    experts: WeightedExperts,
    splits: Splits | None,
    previous: Solution | None = None,
    slots: Slots = ALL_ACT,
) -> Plan[BankFit]:
    """Fit each expert, and predict the rows that it acts on."""
    data, n_experts = experts.data, len(experts.templates)
    solution = yield from solve_plain(experts, splits, previous)
    solved = np.zeros((1 if splits is None else len(splits), n_experts), dtype=bool)
    if solution is not None:
        solved[:, experts.solvable] = solution.solved
    if solution is not None and solved.all() and slots.index is None:
        return BankFit(data.reduced(solution.mean, slice(None)), None, solution.without_predictions)
    places, jobs = _unsolved(experts, splits, solved, slots)
    done = yield jobs
    mean = experts_first(data.n_samples, slots.n_slots(n_experts), data.n_values)
    if solution is not None:
        for i, k in enumerate(experts.solvable):
            place = slots.of_expert(k)
            mean[place] = data.reduced(solution.mean[place[0], i], place[0])
    for place, (_, predicted) in zip(places, done, strict=True):
        mean[place] = predicted
    whole = splits is None and not solved.any()
    kept = [expert for expert, _ in done] if whole else None
    return BankFit(mean, kept, None if solution is None else solution.without_predictions)


def _unsolved(
    experts: WeightedExperts, splits: Splits | None, solved: NDArray[np.bool_], slots: Slots
) -> tuple[list[tuple[Any, Any]], list[Job]]:
    """Where predictions belong that are not `solved` (F, K), and the jobs that make them."""
    places: list[tuple[Any, Any]] = []
    jobs: list[Job] = []
    in_sample = splits is None
    pairs: list[Any] = [(None, None)] if splits is None else list(splits)
    for k, template in enumerate(experts.templates):
        table, expert = (experts.data, template) if in_sample else experts.running(k)[:2]
        task = (table, expert, experts.weights[:, k])
        if template.bagged and not in_sample:
            places.append(slots.of_expert(k))
            jobs.append((fit_bagged, (*task, splits, places[-1][0])))
            continue
        for (train, test), done in zip(pairs, solved[:, k], strict=True):
            place = slots.of_expert(k, test)
            if not done and (in_sample or len(place[0])):
                places.append(place)
                jobs.append((fit_one, (*task, train, place[0])))
    return places, jobs


def fit_predict_new(
    experts: WeightedExperts, X: Any, previous: Solution | None = None, slots: Slots = ALL_ACT
) -> Plan[Array]:
    """Predictions (m, S, q) for new rows `X` of experts fitted to all rows.

    An expert that acts on none of these rows is not asked.
    """
    numbers = finite_numbers(X) if experts.solvable else None
    n_experts = len(experts.templates)
    places = [slots.of_expert(k) for k in range(n_experts)]
    predicted: dict[int, Array] = {}
    if numbers is not None:
        solution = yield from solve_new(experts, previous)
        if solution is not None:
            plain, solved = solution.predict_new(numbers), solution.solved[0]
            predicted = {
                k: plain[places[k][0], i] for i, k in enumerate(experts.solvable) if solved[i]
            }
    left = [k for k in range(n_experts) if k not in predicted and _holds_rows(places[k][0])]
    jobs: list[Job] = []
    for k in left:
        table, expert, transform = experts.running(k)
        new = transform(take_rows(X, _row_numbers(places[k][0])))
        jobs.append((fit_new, (table, expert, experts.weights[:, k], new)))
    done = yield jobs
    predicted |= dict(zip(left, done, strict=True))
    n_values = next(iter(predicted.values())).shape[1]
    mean = experts_first(n_rows(X), slots.n_slots(n_experts), n_values)
    for k, values in predicted.items():
        mean[places[k]] = values
    return clipped(mean, experts.data.limits)


def _row_numbers(rows: Any) -> Any:
    """Numbers of rows; None for all of them."""
    return None if isinstance(rows, slice) else rows


def _holds_rows(rows: Any) -> bool:
    return isinstance(rows, slice) or len(rows) > 0


def solve_plain(
    experts: WeightedExperts, splits: Splits | None, previous: Solution | None
) -> Plan[Solution | None]:
    """The solution of the plain linear experts that suit the table.

    The search may go on from the `previous` solution.
    """
    bank = experts.linear_bank
    if bank is None or not (splits is None or splits.leave_out):
        return None
    problems, weights = experts.posed()
    if splits is not None and all(experts.templates[k].one_out for k in experts.solvable):
        assert isinstance(bank, LeastSquaresBank)  # no others have a closed form
        return (yield from do(bank.solve_one_out, problems, weights, experts.data.rank))
    folds = None if splits is None else splits.tests
    return (yield from do(LeftOut(problems, bank, weights, folds, previous)))


def solve_new(
    experts: WeightedExperts, left_out: Solution | None, before: Solution | None = None
) -> Plan[Solution | None]:
    """Nearly the solution of the plain linear experts on all rows.

    If it is not known yet, the search begins from that of the iteration `before` or, without one,
    from the solutions on all folds but one.
    """
    bank = experts.linear_bank
    if left_out is None or bank is None:
        return (yield from solve_plain(experts, None, None))
    if (known := left_out.for_new_rows()) is not None:
        return known
    return (yield from do(bank.solve_all_rows, *experts.posed(), left_out, before))


def fit_one(data: Data, template: Template, weight: Array, train: Any, test: Any) -> tuple:
    """One job: the expert fitted to the rows `train`, and its predictions for the rows `test`.

    The expert is kept if it has seen all rows.
    """
    expert = fit_expert(data, template, weight, train)
    kept = expert if train is None else None
    if not _holds_rows(test):
        return kept, np.empty((0, data.n_values))
    with _blaming(data, template, "was fitted, but failed to predict"):
        predicted = data.expert_table.predict(expert, data.classes, _row_numbers(test))
        return kept, data.reduced(held(predicted, data.limits), test)


def fit_new(data: Data, template: Template, weight: Array, X: Any) -> Array:
    """One job: predictions for new rows `X` of the expert fitted to all rows."""
    expert = fit_expert(data, template, weight, None)
    with _blaming(data, template, "was fitted, but failed to predict new rows"):
        return held(predict_expert(expert, X, data.classes), data.limits)


def fit_bagged(data: Data, template: Template, weight: Array, splits: Splits, wanted: Any) -> tuple:
    """One job: the expert fitted to all rows, and its out-of-bag predictions for those `wanted`.

    Rows that are in every bag are predicted by fits to the other folds.
    """
    whole = replace(data, all_classes=True)
    keeper = replace(template, estimator=with_out_of_bag(template.estimator, weight))
    expert = fit_expert(data, keeper, weight, None)
    if type(expert) is not type(keeper.estimator):  # a constant, for rows of one class
        constant = predict_expert(expert, data.X, data.classes)[wanted]
        return None, data.reduced(constant, wanted)
    with _blaming(data, template, "was fitted, but failed to predict"):
        predicted, unanswered = _predict_bagged(data, expert, weight)
        predicted = held(predicted, data.limits)
    for train, test in splits:
        left = np.intersect1d(unanswered, test)
        if left.size:
            predicted[left] = fit_one(whole, template, weight, train, left)[1]
    return None, data.reduced(predicted[wanted], wanted)


def _predict_bagged(data: Data, expert: Any, weight: Array) -> tuple[Array, NDArray[np.intp]]:
    """Predictions by members that have not seen a row, and the rows that all members have seen."""
    seen, unseen = np.flatnonzero(weight), np.flatnonzero(weight == 0)
    found, answered = out_of_bag(expert, take_rows(data.X, seen if unseen.size else None))
    if data.classes is not None:
        found = align_classes(found, expert.classes_, data.classes)
    predicted = np.empty((data.n_samples, found.shape[1]))
    predicted[seen] = found
    if unseen.size:
        predicted[unseen] = predict_expert(expert, take_rows(data.X, unseen), data.classes)
    return predicted, seen[~answered]


def fit_expert(data: Data, template: Template, weight: Array, train: Any) -> Any:
    """A clone of the template fitted to the rows `train` (all, if None) under `weight` (n,)."""
    rows = _rows_with_weight(weight, train)
    X, options = data.expert_table.for_fit(template.estimator, rows)
    y, rank, weight = (take_rows(part, rows) for part in (data.y, data.rank, weight))
    if not weight.any():
        # All of the expert's rows lie in the fold left out; a fit to all the others stands in for
        # it.
        weight = take_rows(data.sample_weight, rows)
    if template.plan.mode == RESAMPLED:
        # Latent weights of a law may have any size, and must not lead to more repeats of rows.
        weight = weight * min(1.0, take_rows(data.sample_weight, rows).sum() / weight.sum())
    expert = template.fresh()
    params = take_params(template.params, data.n_samples, rows) | options
    seen = f"{n_rows(X)} rows of total weight {weight.sum():.6g}"
    with _blaming(data, template, f"failed to fit on {seen}"):
        labelled = data.classes is not None
        fitted = fit_weighted(
            expert, X, y, weight, rank, params, plan=template.plan, labelled=labelled
        )
        if fitted is None:
            raise TypeError("its fit returned None, and should return the fitted estimator")
        return fitted


def _blaming(data: Data, template: Template, what: str) -> AbstractContextManager[None]:
    """A context whose errors blame the expert, and say `what` happened to it."""
    several = data.classes is None and data.target.shape[1] > 1
    return blaming(f"{template.name!r} ({type(template.estimator).__name__})", what, several)


def _rows_with_weight(weight: Array, train: Any) -> NDArray[np.intp] | None:
    if train is None:
        return None if (weight > 0).all() else np.flatnonzero(weight)
    kept = train[weight[train] > 0]
    return kept if len(kept) else train
