"""Requests for weights and groups, set where the user has left the question open."""

from __future__ import annotations

import copy
from inspect import signature
from typing import Any

import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.metrics import get_scorer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from .._validation import last_step
from ._learners import routes

# Where metadata are routed, scikit-learn 1.8 does not find columns that pass as they are.
LOSES_REMAINDER = sklearn.__version__.startswith("1.8.")


def request_weights(estimator: Any) -> None:
    """Ask for sample weights wherever the user has left the question open."""
    for part in _parts(estimator):
        for method in ("fit", "score"):
            _request(part, method, "sample_weight", True)
        _weigh_scores(part)
        _pass_remainder(part)


def request_groups(pipeline: Pipeline) -> None:
    """Ask for groups at the last step, and at no other that the user has left the question open."""
    for part in _parts(pipeline):
        for method in ("fit", "transform"):
            _request(part, method, "groups", False)
        _pass_remainder(part)
    last_step(pipeline).set_fit_request(groups=True)


def _parts(estimator: Any) -> list[Any]:
    """The estimator and those within it, at any depth."""
    nested = estimator.get_params(deep=True).values()
    return [estimator, *(v for v in nested if hasattr(v, "fit") and not isinstance(v, type))]


def _request(part: Any, method: str, name: str, wanted: bool) -> None:
    """Make `part` request metadata in `method`, or not, if it has a request that is unset."""
    setter = getattr(part, f"set_{method}_request", None)
    if setter is not None:
        request = getattr(part._get_metadata_request(), method).requests
        if request.get(name, False) is None:
            setter(**{name: wanted})


def _pass_remainder(part: Any) -> None:
    """Let the columns that a `ColumnTransformer` leaves alone pass through a step with a name."""
    if not (LOSES_REMAINDER and isinstance(part, ColumnTransformer)):
        return
    if isinstance(part.remainder, str) and part.remainder == "passthrough":
        as_they_are = FunctionTransformer(accept_sparse=True, feature_names_out="one-to-one")
        part.set_params(remainder=as_they_are)


def _weigh_scores(part: Any) -> None:
    """Let model selection inside `part` weigh its scores, if its metric can be weighted.

    What does not route (boosting that stops early) scores by itself, with names of its own.
    """
    if not routes(part):
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
