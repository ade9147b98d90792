"""A bank of experts: fit all of them, in and out of fold, and collect what they predict.

One job fits one expert on one fold's training rows and predicts its test rows; plain linear experts
are solved for in all folds at once, without jobs. The template may be any scikit-learn estimator;
what it needs to be weighted, seeded, aligned to the classes and named in errors is done here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ._folds import Splits
from ._numeric import Array
from ._parallel import Workers
from ._validation import n_rows, take_params, take_rows
from ._weighting import WeightPlan, fit_weighted, plan_weights
from .linear import (
    Problem,
    Solution,
    Table,
    finite_numbers,
    make_table,
    recognise,
    solve_left_out,
)

REMEDY = (
    "If its region is too small for it, use fewer experts, fewer folds or a simpler expert; if its "
    "inputs do not suit it, put it in a pipeline."
)


@dataclass(frozen=True)
class Template:
    """One expert to be cloned: its name, the seeded estimator, its metadata.

    `kind` is the same number for copies of one estimator. `problem` is what a plain linear one
    solves.
    """

    name: str
    estimator: Any
    kind: int
    params: dict
    plan: WeightPlan
    problem: Problem | None = None

    def take(self, rows: NDArray[np.intp], n_samples: int) -> Template:
        """The template for some rows of a table of `n_samples`: its metadata cut to them."""
        return replace(self, params=take_params(self.params, n_samples, rows))


def make_template(name: str, estimator: Any, seed: int, params: dict) -> Template:
    """The template of a user's estimator: its own clone, seeded, with its plan for weights."""
    expert = seeded_clone(estimator, seed)
    plan = plan_weights(expert)
    problem = None
    if not params and plan.reaches_all_steps(expert):
        problem = recognise(expert)
    return Template(name, expert, id(estimator), params, plan, problem)


@dataclass(frozen=True)
class Data:
    """The training table of a fit; every row has a positive weight.

    `target` is what the formulas use, (n, q) floats or (n,) class codes; `y` is what the experts
    are given. `rank` orders rows by content, `clusters` says which rows are dependent.
    """

    X: Any
    y: NDArray
    target: NDArray
    sample_weight: Array
    hashes: NDArray[np.uint64]
    rank: NDArray[np.intp]
    clusters: NDArray[np.intp]
    classes: NDArray | None = None

    @property
    def n_samples(self) -> int:
        return len(self.sample_weight)

    @cached_property
    def distinct(self) -> NDArray[np.intp]:
        """One row of each content: what is counted where rows, not weights, must be counted."""
        return np.unique(self.rank, return_index=True)[1]

    @cached_property
    def linear_table(self) -> Table | None:
        """The table as plain linear experts see it, or None if that is not all there is to it."""
        return make_table(self.X, self.target, None if self.classes is None else len(self.classes))

    def take(self, rows: NDArray[np.intp]) -> Data:
        """The table of the given rows."""
        parts = (self.X, self.y, self.target, self.sample_weight)
        X, y, target, weight = (take_rows(part, rows) for part in parts)
        content = (self.hashes[rows], self.rank[rows], self.clusters[rows])
        return Data(X, y, target, weight, *content, self.classes)


@dataclass(frozen=True)
class BankFit:
    """What experts predict, (n, K, q) or (n, K, C), out of fold if there were splits.

    `experts` are kept if each was fitted once and to all rows. `state` is where solvers go on from.
    """

    mean: Array
    experts: list[Any] | None
    state: Array | None


def fit_predict(
    data: Data,
    templates: Sequence[Template],
    expert_weights: Array,
    splits: Splits | None,
    workers: Workers,
    state: Array | None = None,
) -> BankFit:
    """Fit each template under its column of `expert_weights` and predict the table."""
    pairs = [(None, None)] if splits is None else splits
    columns, solution = _solve(data, templates, expert_weights, splits, state)
    solved = np.zeros((len(pairs), len(templates)), dtype=bool)
    if solution is not None:
        solved[:, columns] = solution.solved
    cells = [(k, f) for k in range(len(templates)) for f in range(len(pairs)) if not solved[f, k]]
    jobs = [
        (fit_one, (data, templates[k], expert_weights[:, k], *pairs[fold])) for k, fold in cells
    ]
    done = workers.run(jobs)
    n_values = done[0][1].shape[1] if solution is None else solution.mean.shape[2]
    mean = np.empty((data.n_samples, len(templates), n_values))
    if solution is not None:
        mean[:, columns] = solution.mean
    for (k, fold), (_, predicted) in zip(cells, done, strict=True):
        test = pairs[fold][1]
        mean[slice(None) if test is None else test, k] = predicted
    whole = splits is None and not solved.any()
    experts = [expert for expert, _ in done] if whole else None
    return BankFit(mean, experts, None if solution is None else solution.state)


def fit_predict_new(
    data: Data,
    templates: Sequence[Template],
    expert_weights: Array,
    X: Any,
    workers: Workers,
    state: Array | None = None,
) -> Array:
    """Predictions for new rows `X` of experts fitted to all rows under `expert_weights`."""
    numbers = finite_numbers(X)
    solution = _solve(data, templates, expert_weights, None, state)[1]
    if numbers is None or solution is None or solution.solved.sum() < len(templates):
        experts = fit_all_rows(data, templates, expert_weights, workers, state)
        return predict_bank(experts, X, data.classes)
    return solution.predict_new(numbers)


def _solve(
    data: Data,
    templates: Sequence[Template],
    expert_weights: Array,
    splits: Splits | None,
    state: Array | None,
) -> tuple[list[int], Solution | None]:
    """Which templates are plain linear experts that suit the table, and their solution."""
    plain = any(template.problem is not None for template in templates)
    table = data.linear_table if plain and (splits is None or splits.leave_out) else None
    if table is None:
        return [], None
    columns = [k for k, t in enumerate(templates) if isinstance(t.problem, table.suits)]
    folds = None if splits is None else [test for _, test in splits]
    problems = [templates[k].problem for k in columns]
    return columns, solve_left_out(problems, table, expert_weights[:, columns], folds, state)


def fit_all_rows(
    data: Data,
    templates: Sequence[Template],
    expert_weights: Array,
    workers: Workers,
    state: Array | None = None,
) -> list[Any]:
    """Experts fitted to all rows under the columns of `expert_weights`."""
    jobs = [
        (fit_expert, (data, template, expert_weights[:, k], None))
        for k, template in enumerate(templates)
    ]
    experts = workers.run(jobs)
    # One expert alone is the estimator itself, to the last digit.
    if len(templates) > 1 and any(t.problem is not None and t.problem.is_loose for t in templates):
        _polish(experts, data, templates, expert_weights, state)
    return experts


def _polish(
    experts: list[Any],
    data: Data,
    templates: Sequence[Template],
    expert_weights: Array,
    state: Array | None,
) -> None:
    """Make plain experts of loose tolerance exact, as they were while EM ran."""
    columns, solution = _solve(data, templates, expert_weights, None, state)
    for position, k in enumerate(columns):
        if solution is not None and solution.solved[0, position]:
            solution.polish(experts[k], position)


def fit_one(data: Data, template: Template, weight: Array, train: Any, test: Any) -> tuple:
    """One job: the expert fitted to the rows `train`, and its predictions for the rows `test`."""
    expert = fit_expert(data, template, weight, train)
    try:
        predicted = predict_expert(expert, take_rows(data.X, test), data.classes)
    except Exception as error:
        raise ValueError(
            f"Expert {template.name!r} ({type(expert).__name__}) was fitted, but failed to "
            f"predict: {error} {REMEDY}"
        ) from error
    return (expert if test is None else None), predicted


def fit_expert(data: Data, template: Template, weight: Array, train: Any) -> Any:
    """A clone of the template fitted to the rows `train` (all, if None) under `weight` (n,)."""
    rows = _rows_with_weight(weight, train)
    X, y, rank = (take_rows(part, rows) for part in (data.X, data.y, data.rank))
    weight = take_rows(weight, rows)
    if not weight.any():
        # All of the expert's rows lie in the fold left out; an even fit stands in for it there.
        weight = np.ones_like(weight)
    expert = clone(template.estimator)
    params = take_params(template.params, data.n_samples, rows)
    try:
        labelled = data.classes is not None
        return fit_weighted(
            expert, X, y, weight, rank, params, plan=template.plan, labelled=labelled
        )
    except Exception as error:
        raise ValueError(
            f"Expert {template.name!r} ({type(expert).__name__}) failed to fit on {n_rows(X)} rows "
            f"of total weight {weight.sum():.6g}: {error} {REMEDY}"
        ) from error


def _rows_with_weight(weight: Array, train: Any) -> NDArray[np.intp] | None:
    if train is None:
        return None if (weight > 0).all() else np.flatnonzero(weight)
    kept = train[weight[train] > 0]
    return kept if len(kept) else train


def seeded_clone(estimator: Any, seed: int) -> Any:
    """A clone whose unset random states, at any depth, are fixed by `seed`.

    A random state that the user has set is kept, so that one expert alone is the user's estimator.
    """
    expert = clone(estimator)
    generator = np.random.RandomState(seed)
    unset = {
        name: int(generator.randint(np.iinfo(np.int32).max))
        for name, value in sorted(expert.get_params(deep=True).items(), key=lambda item: item[0])
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    }
    return expert.set_params(**unset) if unset else expert


def predict_expert(expert: Any, X: Any, classes: NDArray | None) -> Array:
    """What a fitted expert says of each row: outputs (n, q), or class probabilities (n, C)."""
    if classes is None:
        predicted = np.asarray(expert.predict(X), dtype=np.float64).reshape(n_rows(X), -1)
    else:
        predicted = _class_probabilities(expert, X, classes)
    if not np.isfinite(predicted).all():
        raise ValueError(
            f"{type(expert).__name__} predicted NaN or infinity. Scale its inputs or regularise "
            "it, for instance in a pipeline."
        )
    return predicted


def _class_probabilities(expert: Any, X: Any, classes: NDArray) -> Array:
    """Probabilities (n, C), zero for classes unseen; a hard vote where there are none."""
    proba = np.zeros((n_rows(X), len(classes)))
    if hasattr(expert, "predict_proba"):
        proba[:, np.searchsorted(classes, expert.classes_)] = expert.predict_proba(X)
    else:
        proba[np.arange(len(proba)), np.searchsorted(classes, expert.predict(X))] = 1.0
    return proba


def predict_bank(experts: Sequence[Any], X: Any, classes: NDArray | None) -> Array:
    """Predictions of all experts for all rows: (n, K, q) or (n, K, C)."""
    return np.stack([predict_expert(expert, X, classes) for expert in experts], axis=1)
