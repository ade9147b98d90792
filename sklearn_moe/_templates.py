"""Experts before they are fitted: the user's estimators, seeded, and what is known of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyRegressor
from sklearn.pipeline import Pipeline

from ._binning import bins_of, with_bins
from ._nameless import is_nameless
from ._out_of_bag import offers_out_of_bag
from ._rows import take_params
from ._validation import last_step
from .linear import CrossValidatedLogistic, Problem, recognise
from .weighting import WEIGHTED, WeightPlan, plan_weights

# How estimators are cloned by default, and types of values that clones may share.
CLONED = BaseEstimator.__sklearn_clone__
IMMUTABLE = (bool, int, float, str, type(None))
SHORT_CUTS = {
    "oob": "weighted experts with out-of-bag predictions (forests and bagging with bootstrap=True)",
    "loo": "plain Ridge or LinearRegression experts on tables of finite numbers",
}


@dataclass(frozen=True, kw_only=True)
class Template:
    """One expert to be cloned, and what is known of its kind.

    - `name`: the expert's name.
    - `estimator`: the unfitted estimator, seeded.
    - `kind`: the same for copies of one estimator.
    - `params`: metadata for its fit.
    - `plan`: how weights reach it.
    - `problem`: what a plain linear estimator solves, None for any other.
    - `max_bins`: how many bins it sorts a column into, None if it does not.
    - `nameless`: whether it tells columns by their place alone.
    - `unset`: names of the random states that had no value before they were seeded.
    - `bagged`: whether out-of-bag predictions stand in for those of folds.
    - `one_out`: whether its problem is solved without one row at a time, in place of folds.
    - `only_expert`: its template where it is the only expert, None if that is the same.
    """

    name: str
    estimator: Any
    kind: str | int
    params: dict
    plan: WeightPlan
    problem: Problem | None
    max_bins: int | None
    nameless: bool
    unset: list[str]
    bagged: bool = False
    one_out: bool = False
    only_expert: Template | None = None

    @property
    def as_only_expert(self) -> Template:
        """Its template where it is the only expert."""
        return self.only_expert or self

    def fresh(self, **others: Any) -> Any:
        """The estimator unfitted, as `clone` would give it, but with `others` among its parameters.

        Made without `clone`, which takes longer, if its parameters are plain.
        """
        params = self._plain_params
        if params is not None:
            return type(self.estimator)(**params | others)
        expert = clone(self.estimator)
        return expert.set_params(**others) if others else expert

    @cached_property
    def _plain_params(self) -> dict[str, Any] | None:
        """Parameters of the estimator; None if a clone has more, or one is mutable."""
        usual = getattr(type(self.estimator), "__sklearn_clone__", None) is CLONED
        # Metadata requests and output containers are kept beside the parameters.
        has_more = any(name.startswith("_") for name in vars(self.estimator))
        params = self.estimator.get_params(deep=False)
        is_plain = all(type(value) in IMMUTABLE for value in params.values())
        return params if usual and is_plain and not has_more else None

    @property
    def is_for_zeros(self) -> bool:
        """Whether it predicts zero for every row."""
        return says_zero(self.estimator)

    @property
    def seeks_penalty(self) -> bool:
        """Whether it ends in a logistic regression that is to find its penalty."""
        last = last_step(self.estimator)
        return isinstance(last, CrossValidatedLogistic) and last.C is None

    def under_penalty(self, C: float) -> Template:
        """The template with the inverse penalty `C`."""
        expert = self.fresh()
        last_step(expert).set_params(C=C)
        return replace(self, estimator=expert, problem=_problem(expert, self.plan, self.params))

    def cut_short(self, cv: Any) -> Template:
        """The template that does without folds, if `cv` names a way to and its estimator can."""
        if not isinstance(cv, str):
            return self
        bagged = self.plan.mode == WEIGHTED and offers_out_of_bag(self.estimator)
        one_out = self.problem is not None and self.problem.leaves_one_out
        return replace(self, bagged=cv == "oob" and bagged, one_out=cv == "loo" and one_out)

    def again(self, name: str, seed: int) -> Template:
        """The template of another clone of the same estimator, with its own name and seed."""
        return replace(self, name=name, estimator=self.fresh(**_states(self.unset, seed)))

    def in_folds(self) -> Template:
        """The template that predicts its own rows by folds, without short cuts."""
        return replace(self, bagged=False, one_out=False)

    def for_bins(self, categorical: list[bool] | None) -> Template:
        """The template for a table of bin numbers, some columns of which number categories."""
        expert = clone(self.estimator).set_params(categorical_features=categorical)
        return replace(self, estimator=expert)

    @cached_property
    def in_bins(self) -> Template:
        """The template whose boosting, behind other steps, sees numbers of bins; else itself."""
        pipeline = with_bins(self.estimator)
        # Metadata of a bare estimator have other names in a pipeline.
        if pipeline is None or (self.params and type(self.estimator) is not Pipeline):
            return self
        expert = clone(pipeline)
        return replace(self, estimator=expert, plan=plan_weights(expert))

    def take(self, rows: NDArray[np.intp], n_samples: int) -> Template:
        """The template for some rows of a table of `n_samples`: its metadata cut to them."""
        only = None if self.only_expert is None else self.only_expert.take(rows, n_samples)
        return replace(self, params=take_params(self.params, n_samples, rows), only_expert=only)


def make_templates(
    named: Sequence[tuple[str, Any]], seeds: Sequence[int], params: dict[str, dict], cv: Any
) -> list[Template]:
    """Templates of the user's estimators; of `cv`, only `"oob"` and `"loo"` matter here.

    Raises
    ------
    ValueError
        If no expert can do what `cv` says.
    """
    made: dict[int, Template] = {}
    templates = []
    for (name, expert), seed in zip(named, seeds, strict=True):
        metadata = params.get(name, {})
        if id(expert) in made and not metadata:
            template = made[id(expert)].again(name, seed)
        else:
            template = make_template(name, expert, seed, metadata).cut_short(cv)
        if not metadata:
            made.setdefault(id(expert), template)
        templates.append(template)
    if isinstance(cv, str) and not any(t.bagged or t.one_out for t in templates):
        kinds = sorted({type(t.estimator).__name__ for t in templates})
        raise ValueError(f"cv={cv!r} is for {SHORT_CUTS[cv]}; got experts {kinds}. Use cv=5.")
    return templates


def make_template(name: str, estimator: Any, seed: int, params: dict) -> Template:
    """The template of a user's estimator: its own clone, seeded, with its plan for weights."""
    expert, unset = _seeded(estimator, seed)
    plan = plan_weights(expert)
    return Template(
        name=name,
        estimator=expert,
        kind=_kind(estimator, params),
        params=params,
        plan=plan,
        problem=_problem(expert, plan, params),
        max_bins=bins_of(expert),
        nameless=not params and is_nameless(expert),
        unset=unset,
    )


def _problem(expert: Any, plan: WeightPlan, params: dict) -> Problem | None:
    return recognise(expert) if not params and plan.reaches_all_steps(expert) else None


def says_zero(estimator: Any) -> bool:
    """Whether an estimator is made to predict zero, whatever it is fitted to."""
    is_constant = isinstance(estimator, DummyRegressor) and estimator.strategy == "constant"
    return is_constant and not np.any(estimator.constant)


def one_of_each_kind(templates: Sequence[Template]) -> list[Template]:
    """The first template of each kind: copies of one estimator answer alike."""
    kinds = {template.kind: template for template in reversed(templates)}
    return list(reversed(kinds.values()))


def _kind(estimator: Any, params: dict) -> str | int:
    """A key that is equal for copies of an estimator, whether or not they are one object.

    An estimator that is given metadata of its own, or cannot be hashed, is of its own kind.
    """
    if params:
        return id(estimator)
    try:
        return joblib.hash(estimator)
    except Exception:  # hashing pickles, and an estimator's parts may then raise anything
        return id(estimator)


def seeded_clone(estimator: Any, seed: int) -> Any:
    """A clone whose unset random states, at any depth, are fixed by `seed`.

    A random state that the user has set is kept, so that one expert alone is the user's estimator.
    """
    return _seeded(estimator, seed)[0]


def _seeded(estimator: Any, seed: int) -> tuple[Any, list[str]]:
    """The clone of `seeded_clone`, and the names of the random states that it has set."""
    expert = clone(estimator)
    is_state = re.compile(r"(.*__)?random_state").fullmatch
    params = expert.get_params(deep=True)
    unset = sorted(name for name, value in params.items() if value is None and is_state(name))
    return expert.set_params(**_states(unset, seed)) if unset else expert, unset


def _states(names: Sequence[str], seed: int) -> dict[str, int]:
    """A random state of each name, from a `seed`."""
    generator = np.random.RandomState(seed)
    return {name: int(generator.randint(np.iinfo(np.int32).max)) for name in names}
