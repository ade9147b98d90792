"""How weights reach an estimator, whatever its nesting and whatever scikit-learn's configuration.

An estimator is weighted in one of two ways. `"sample_weight"`: its `fit`, or that of the final
predictors it forwards to, takes the weights. `"resample"`: it cannot be weighted (neighbours,
Gaussian processes, discriminant analysis, ...), and sees each row as many times as a systematic
sample of the weights picks it. Systematic sampling draws no random number and goes through the
rows in the order of their content, so the order of the table does not matter, and a row of weight
three is the same as three rows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import is_classifier, is_regressor
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from ._numeric import Array
from ._rows import take_params, take_rows
from ._validation import last_step

WEIGHTED = "sample_weight"
RESAMPLED = "resample"
# Since scikit-learn 1.8, where None was added. Before, bagging gave weights to its members, or
# refused them.
DRAWS_BY_WEIGHT = BaggingRegressor().max_samples is None
# A sample has at most so many times as many rows as there are, or as a small table has.
MOST_COPIES, SMALL_TABLE = 1000, 100


@dataclass(frozen=True)
class WeightPlan:
    """How weights reach an estimator: found out once, used at every fit.

    `names` are the parameters of `fit` that carry the weights, or None if they are routed. Under
    weights, rounding makes the variance of a constant column less than zero: if it `scales`, numpy
    is not to warn of its square root, in whose place the scaler puts a one.
    """

    mode: str
    names: tuple[str, ...] | None = None
    scales: bool = False

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """The settings of scikit-learn and numpy under which weights are handed on."""
        silent = np.errstate(invalid="ignore" if self.scales else None)
        with config_context(enable_metadata_routing=self.names is None), silent:
            yield

    def of(self, weight: Array) -> dict[str, Array]:
        """The weights as parameters of `fit`."""
        return dict.fromkeys(("sample_weight",) if self.names is None else self.names, weight)

    def reaches_all_steps(self, estimator: Any) -> bool:
        """Whether the estimator, or each step of a flat pipeline, is given the weights."""
        n_steps = len(estimator.steps) if isinstance(estimator, Pipeline) else 1
        return self.mode == WEIGHTED and self.names is not None and len(self.names) == n_steps


def plan_weights(estimator: Any) -> WeightPlan:
    """The plan for `estimator`, a clone of our own, in which requests are set if it needs them."""
    encodes, scales = _holds(estimator, TargetEncoder, StandardScaler)
    return replace(_way_of_weights(estimator, encodes), scales=scales)


def _way_of_weights(estimator: Any, encodes_targets: bool) -> WeightPlan:
    if not _takes_weights(estimator):
        return WeightPlan(RESAMPLED)
    if is_mixture(estimator):
        return WeightPlan(WEIGHTED, ("sample_weight",))
    if encodes_targets:
        # In scikit-learn 1.9 it fails wherever metadata are routed. Steps can be named instead.
        direct = isinstance(estimator, Pipeline) and not _routes(estimator.steps[-1][1])
        return WeightPlan(WEIGHTED, _takers(estimator)) if direct else WeightPlan(RESAMPLED)
    if isinstance(estimator, Pipeline) and _is_plain(estimator):
        return WeightPlan(WEIGHTED, _takers(estimator))
    if _draws_rows(last_step(estimator)):
        return _way_by_drawing(estimator)
    if _routes(estimator):
        with config_context(enable_metadata_routing=True):
            request_weights(estimator)
            if _consumes_weights(last_step(estimator)):
                return WeightPlan(WEIGHTED)
    # Not routable (AdaBoost, RANSAC without an estimator): the weights go to the last step alone.
    return WeightPlan(WEIGHTED, (f"{_way_to_last(estimator)}sample_weight",))


def _draws_rows(estimator: Any) -> bool:
    """Whether it is bagging of what cannot be told all that weights say: of pipelines, mostly.

    Were its members weighted by their bags, steps that take no weights would see all rows. Where
    the user has asked for metadata within, these are routed, and so are the weights.
    """
    if not isinstance(estimator, BaggingRegressor | BaggingClassifier):
        return False
    member = estimator.estimator
    if member is None or has_fit_parameter(member, "sample_weight"):
        return False
    parts = member.get_params(deep=True).values()
    return not any(hasattr(part, "_metadata_request") for part in (member, *parts))


def _way_by_drawing(bagging: Any) -> WeightPlan:
    """Weights say which rows are drawn, and members are fitted to these (scikit-learn 1.8)."""
    if not DRAWS_BY_WEIGHT:
        return WeightPlan(RESAMPLED)
    is_flat = isinstance(bagging, Pipeline) and not isinstance(bagging.steps[-1][1], Pipeline)
    last = f"{_way_to_last(bagging)}sample_weight"
    return WeightPlan(WEIGHTED, _takers(bagging) if is_flat else (last,))


def _is_plain(pipeline: Pipeline) -> bool:
    """Whether no step has a request or hands weights on, so that each can be given its own."""
    steps = [step for _, step in pipeline.steps if hasattr(step, "fit")]
    return not any(hasattr(step, "_metadata_request") or _routes(step) for step in steps)


def _holds(estimator: Any, *kinds: type) -> list[bool]:
    """Whether the estimator, or a part of it that it weighs, is of each kind."""
    params = estimator.get_params(deep=True)
    within = tuple(f"{n}__" for n, p in params.items() if getattr(p, "_weighs_its_parts", False))
    parts = [estimator, *(p for name, p in params.items() if not name.startswith(within))]
    return [any(isinstance(part, kind) for part in parts) for kind in kinds]


def _takers(pipeline: Pipeline) -> tuple[str, ...]:
    """Parameters by which a plain pipeline hands weights to the steps that take them."""
    steps = [(name, step) for name, step in pipeline.steps if hasattr(step, "fit")]
    takers = [name for name, step in steps if has_fit_parameter(step, "sample_weight")]
    return tuple(f"{name}__sample_weight" for name in takers)


def fit_weighted(
    estimator: Any,
    X: Any,
    y: Any,
    weight: Array,
    rank: NDArray[np.intp],
    params: dict[str, Any] | None = None,
    *,
    plan: WeightPlan | None = None,
    labelled: bool = False,
) -> Any:
    """Fit `estimator`, a clone of our own, to rows that count `weight` (n,) each; return it.

    `rank` (n,) orders the rows by content. Rows of zero weight are never seen; weights that are
    all one are not passed at all, so that the fit is the one the user would have made. If `y` is
    `labelled` and the rows seen are of one class, a constant takes the place of the estimator,
    unless it is frozen.
    """
    plan = plan or plan_weights(estimator)
    rows, weight = _rows_seen(plan, np.array(weight), rank)
    params = take_params(params or {}, len(rank), rows)
    X, y = _without_empty_columns(estimator, take_rows(X, rows)), take_rows(y, rows)
    if labelled and (y == y[0]).all() and not isinstance(last_step(estimator), FrozenEstimator):
        return DummyClassifier().fit(np.zeros((len(y), 1)), y)
    if (weight == 1.0).all():
        return estimator.fit(X, y, **params)
    with plan.in_force():
        return estimator.fit(X, y, **plan.of(weight), **params)


def _without_empty_columns(estimator: Any, X: Any) -> Any:
    """The table `X` for a fit of `estimator`: boosting fails where a column has no value at all.

    A region may have none of a column of the table. A constant in its place says as little.
    """
    if isinstance(X, np.ndarray) and (X.dtype.kind != "f" or not np.isnan(X[:1]).any()):
        return X  # a column without a value lacks the first
    if not _holds_boosting(estimator):
        return X
    if hasattr(X, "fillna"):  # a frame of pandas
        is_number = [d.kind in "fiubO" and d.name != "category" for d in X.dtypes]
        lost = [place for place in np.flatnonzero(is_number) if X.iloc[:, place].isna().all()]
        filled = X.copy(deep=False) if lost else X
        for place in lost:
            filled.isetitem(place, 0.0)
        return filled
    if hasattr(X, "with_columns"):  # one of polars
        numbers = [X[name] for name in X.columns if X[name].dtype.is_numeric()]
        bare = [each.fill_nan(None) if each.dtype.is_float() else each for each in numbers]
        return X.with_columns(each.fill_null(0) for each in bare if each.null_count() == len(each))
    if not isinstance(X, np.ndarray):
        return X
    empty = np.isnan(X).all(axis=0)
    return np.where(empty, X.dtype.type(0), X) if empty.any() else X


def _holds_boosting(estimator: Any) -> bool:
    """Whether boosting by histograms learns from the table: the estimator, or one within it."""
    if is_mixture(estimator):
        return False
    boosting = HistGradientBoostingRegressor | HistGradientBoostingClassifier
    return isinstance(estimator, boosting) or any(
        map(_holds_boosting, _inner_predictors(estimator))
    )


def _rows_seen(plan: WeightPlan, weight: Array, rank: NDArray[np.intp]) -> tuple[Any, Array]:
    """Row indices (None: all) that the estimator is to see, and the weights to give them."""
    if plan.mode == RESAMPLED and (weight != 1.0).any():
        sampled = systematic_sample(weight, rank)
        return sampled, np.ones(len(sampled))
    rows = None if (weight > 0).all() else np.flatnonzero(weight)
    return rows, take_rows(weight, rows)


def systematic_sample(weight: Array, rank: NDArray[np.intp]) -> NDArray[np.intp]:
    """Row indices in which each row appears about `weight` times, in order of `rank`.

    So estimators that go by order where rows are equally near see them in that of their content.
    """
    if weight.sum() > MOST_COPIES * max(len(weight), SMALL_TABLE):
        raise ValueError(
            f"It takes no sample_weight, and would see a row as many times as it weighs: "
            f"{weight.sum():.6g} rows in place of {len(weight)}. Divide sample_weight by its mean, "
            "or use an estimator that takes it"
        )
    order = np.lexsort((np.arange(len(rank)), rank))
    cumulative = np.cumsum(weight[order])
    # The slack keeps a total of rounding-noisy ones on the side of the whole number it stands for.
    stops = np.floor(cumulative + 0.5 + 1e-9).astype(np.intp)
    counts = np.diff(stops, prepend=0)
    if not counts.any():
        counts[np.argmax(weight[order])] = 1
    return np.repeat(order, counts)


def _takes_weights(estimator: Any) -> bool:
    if is_mixture(estimator):
        return True
    if isinstance(estimator, Pipeline):
        return _takes_weights(estimator.steps[-1][1])
    if _own_request(estimator) not in (None, True):
        return False
    predictors = _inner_predictors(estimator)
    if has_fit_parameter(estimator, "sample_weight"):
        return all(map(_takes_weights, predictors))
    return bool(predictors) and _routes(estimator) and all(map(_takes_weights, predictors))


def is_mixture(estimator: Any) -> bool:
    """Whether `estimator` is a mixture, which sees to the weights of its experts by itself.

    One that is frozen, or at the end of a pipeline, is an estimator like any other.
    """
    return getattr(type(estimator), "_weighs_its_experts", False)


def _own_request(estimator: Any) -> Any:
    """What the user asked of `estimator` about sample weights: True, False, a name or None."""
    request = getattr(estimator, "_metadata_request", None)
    return request.fit.requests.get("sample_weight") if request is not None else None


def _inner_predictors(estimator: Any) -> list[Any]:
    """The estimators one level inside `estimator` that predict."""
    values = list(estimator.get_params(deep=False).values())
    groups = [value for value in values if isinstance(value, list)]
    named = [m[1] for group in groups for m in group if isinstance(m, tuple) and len(m) == 2]
    return [value for value in [*values, *named] if _is_predictor(value)]


def _is_predictor(value: Any) -> bool:
    if isinstance(value, type) or not hasattr(value, "fit"):
        return False
    # Some that delegate (StackingRegressor) have no `predict` before they are fitted.
    tagged = hasattr(value, "__sklearn_tags__") and (is_regressor(value) or is_classifier(value))
    return tagged or hasattr(value, "predict")


def _routes(estimator: Any) -> bool:
    """Whether `estimator` forwards metadata to what it holds (and says so)."""
    try:
        # Some (RidgeCV) can only answer where routing is on.
        with config_context(enable_metadata_routing=True):
            routing = get_routing_for_object(estimator)
    except (NotImplementedError, ValueError):
        # ValueError: MultiTaskLasso and MultiTaskElasticNet cannot answer in scikit-learn 1.9.
        return False
    return hasattr(routing, "route_params")


def _way_to_last(estimator: Any) -> str:
    """What the names of a pipeline's parameters begin with if they are those of its last step."""
    if not isinstance(estimator, Pipeline):
        return ""
    name, last = estimator.steps[-1]
    return f"{name}__{_way_to_last(last)}"


def _consumes_weights(estimator: Any) -> bool:
    return bool(get_routing_for_object(estimator).consumes("fit", ["sample_weight"]))


def request_weights(estimator: Any) -> None:
    """Ask for sample weights wherever the user has left the question open."""
    nested = estimator.get_params(deep=True).values()
    for part in [estimator, *(v for v in nested if hasattr(v, "fit") and not isinstance(v, type))]:
        for method in ("fit", "score"):
            _request(part, method)
        _weigh_scores(part)


def _request(part: Any, method: str) -> None:
    """Make `part` request sample weights in `method`, if it has one that is unset."""
    setter = getattr(part, f"set_{method}_request", None)
    if setter is not None:
        request = getattr(part._get_metadata_request(), method).requests
        if request.get("sample_weight", False) is None:
            setter(sample_weight=True)


def _weigh_scores(part: Any) -> None:
    """Let model selection inside `part` weigh its scores, if its metric can be weighted.

    What does not route (boosting that stops early) scores by itself, with names of its own.
    """
    if not _routes(part):
        return
    scoring = getattr(part, "scoring", None)
    if isinstance(scoring, list | tuple | set):
        scoring = {name: name for name in scoring}
    if isinstance(scoring, dict):
        part.set_params(scoring={name: _weighed(metric) for name, metric in scoring.items()})
    elif scoring is not None and scoring != "warn":
        part.set_params(scoring=_weighed(scoring))
    elif hasattr(part, "_get_scorer"):
        part.set_params(scoring=_weighed(part._get_scorer()))


def _weighed(scoring: Any) -> Any:
    """A scorer that is given weights if its metric takes them; anything else as it is."""
    scorer = get_scorer(scoring) if isinstance(scoring, str) else copy.deepcopy(scoring)
    if getattr(scorer, "_score_func", None) is None:
        return scorer
    if scorer._get_metadata_request().score.requests.get("sample_weight") is not None:
        return scorer
    takes = "sample_weight" in signature(scorer._score_func).parameters
    return scorer.set_score_request(sample_weight=takes)


def plan_steps(steps: Pipeline) -> WeightPlan:
    """The plan for transformers, clones of our own: weights go to those that take them."""
    encodes, scales = _holds(steps, TargetEncoder, StandardScaler)
    if encodes or _is_plain(steps):
        return WeightPlan(WEIGHTED, _takers(steps), scales)
    with config_context(enable_metadata_routing=True):
        request_weights(steps)
        return WeightPlan(WEIGHTED, None if _consumes_weights(steps) else (), scales)


def transform_weighted(
    steps: Pipeline,
    X: Any,
    y: Any,
    weight: Array,
    plan: WeightPlan,
    params: dict[str, Any] | None = None,
) -> Any:
    """Fit transformers, clones of our own, to rows that count `weight` (n,) each; what they make.

    `y` is for those that look at a target; `params` are more that they ask for.
    """
    if not steps.steps:
        return X
    with plan.in_force():
        return steps.fit_transform(X, y, **plan.of(weight), **(params or {}))


def gate_with_weighted_steps(gate: Pipeline, X: Any, expert_weights: Array, params: dict) -> Any:
    """Fit a pipeline that ends in a gate, some steps of which ask for metadata, to weights too."""
    with WeightPlan(WEIGHTED, scales=_holds(gate, StandardScaler)[0]).in_force():
        request_weights(gate)
        if _consumes_weights(gate):
            params = {**params, "sample_weight": expert_weights.sum(axis=1)}
        return gate.fit(X, expert_weights, **params)
