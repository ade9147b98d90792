"""What the two automatic mixtures share: the fit, and queries to the mixtures that were found."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from .._content import content_ids, row_hashes
from .._design import TabularEncoder
from .._folds import Splits, fold_count, user_splits
from .._groups import checked_groups
from .._numeric import Array
from .._rows import in_blocks, is_pandas, n_rows
from .._table_checks import check_fit_weight, check_range, check_training_table, query_rows, store
from .._validation import HasMethods, Interval, are_named, last_step, with_inputs_of
from ..weighting import is_mixture
from ._candidate import AS_GIVEN, JUDGING_FOLDS, OF_NUMBER, Candidate
from ._columns import CategoryColumns, indicators_each, most_categories, warn_of_rare
from ._sample import Sample
from ._search import search
from ._usual import CATEGORIES, NUMBERS

# Numbers that a model that answers may make of a row.
WIDTH = 300


class BaseAutoMixture(MetaEstimatorMixin, BaseEstimator):
    """Base of the two estimators; not for use."""

    _parameter_constraints = {
        "candidates": "no_validation",
        "max_rows": [Interval(Integral, 50, None, closed="left")],
        "stacking": ["boolean"],
        "cv": [Interval(Integral, 2, None, closed="left"), HasMethods(["split"]), list],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    _several_outputs = False
    _mixture_kind: type
    # Rows of one group belong together: nobody need request them.
    __metadata_request__fit = {"groups": True}

    @abstractmethod
    def _check_target(self, X: Any, y: Any) -> NDArray:
        """The checked target."""

    @abstractmethod
    def _usual_candidates(
        self, n_rows: int, n_columns: int, n_categories: int, **params: Any
    ) -> list[Candidate]:
        """The usual candidates for a table of so many distinct rows and encoded columns.

        `n_categories` is the number in the column that has most of them.
        """

    # The fit.

    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> Any:
        X, features = check_training_table(self, X)
        sample, views, splits_of = self._prepared(X, y, sample_weight, groups)
        candidates = self._usual(sample, views) if self._are_usual else self._given()
        candidates = [candidate.with_table(n_rows(X), splits_of) for candidate in candidates]
        if self.candidates is None:
            candidates = [c for c in candidates if c.suits(sample.n_distinct)]
        found = search(candidates, sample, self.max_rows, self.stacking, self._tell, self.n_jobs)
        models = {
            name: of_table(fit.model, views.get(fit.candidate.view))
            for name, fit in found.fits.items()
        }
        mixture = last_step(models[found.best])
        attributes = {
            "best_name_": found.best,
            "best_estimator_": models[found.best],
            "named_estimators_": Bunch(**{name: models[name] for name in found.weights}),
            "weights_": found.weights,
            "log_probs_": found.scores,
            "pooled_log_prob_": found.together,
        }
        store(self, features | attributes | self._width_attributes(mixture, found.factors))
        return self

    def _width_attributes(self, mixture: Any, factors: Array) -> dict[str, Any]:
        """The factors of the dispersions as fitted attributes, if the mixtures have dispersions."""
        return {}

    def _prepared(
        self, X: Any, y: Any, sample_weight: Any, groups: Any
    ) -> tuple[Sample, dict[str, Any], Callable[[Any], Splits | None]]:
        """The checked rows of some weight, what makes their views, and the folds of any `cv`."""
        y, weight = self._check_target(X, y), check_fit_weight(sample_weight, X)
        groups = checked_groups(groups, X)
        self._check_groups(groups)
        splits_of = partial(self._splits, X, y, groups)
        every = np.arange(len(y))
        sample = Sample({AS_GIVEN: X}, y, weight, groups, every, every)
        if not weight.all():  # rows of no weight have no say in what columns are, either
            sample = sample.take(np.flatnonzero(weight))
        X = sample.views[AS_GIVEN]
        check_range(X)
        rank = content_ids(row_hashes(X, sample.y))
        rank = within_classes(rank, sample.y) if is_classifier(self) else rank
        sample = replace(sample, rank=rank)
        views = self._views(X, sample.weight, sample.n_distinct) if self._are_usual else {}
        seen = {name: view.transform(X) for name, view in views.items()}
        return replace(sample, views={AS_GIVEN: X, **seen}), views, splits_of

    def _views(self, X: Any, weight: Array, n_distinct: int) -> dict[str, Any]:
        """What makes the views of the usual candidates."""
        most = most_categories(n_distinct)
        encoder = TabularEncoder(indicators_each(X, most)).fit(X, None, weight)
        native = CategoryColumns(most).fit(X, None, weight) if is_pandas(X) else encoder
        return {NUMBERS: encoder, CATEGORIES: native}

    def _splits(self, X: Any, y: NDArray, groups: Any, cv: Any) -> Splits | None:
        """The folds of a splitter or a list, which are of the whole table; None for other `cv`."""
        by_name = not self._are_usual and isinstance(cv, str | None)
        if by_name or isinstance(cv, Integral):
            return None
        params = {} if groups is None else {"groups": groups}
        return user_splits(cv, X, y, is_classifier(self), params)

    def _check_groups(self, groups: Any) -> None:
        """Raise if there are fewer groups than folds to deal them to."""
        cvs = [self.cv] if self._are_usual else [last_step(m).cv for _, m in self._pairs()]
        if groups is None or not all(isinstance(cv, Integral | str | None) for cv in cvs):
            return
        # In the end one candidate has to be fitted to all rows, if only the one of the fewest
        # folds.
        n_folds = max(JUDGING_FOLDS, min(fold_count(cv) or 0 for cv in cvs))
        n_groups = len(set(np.asarray(groups).tolist()))
        if n_groups < n_folds:
            fewer = f"cv={n_groups}" if n_groups >= JUDGING_FOLDS else f"cv=GroupKFold({n_groups})"
            remedy = f"Use {fewer}, or no groups." if n_groups > 1 else "Leave groups out."
            raise ValueError(
                f"groups holds {n_groups} groups, and {n_folds} folds need at least one each "
                f"(those of cv, or {JUDGING_FOLDS} to judge by). {remedy}"
            )

    def _usual(self, sample: Sample, views: dict[str, Any]) -> list[Candidate]:
        """Mixtures of the usual kinds, of those that can predict as many outputs as there are."""
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        parts = {"cv": self.cv, "random_state": int(seed), "n_jobs": self.n_jobs}
        n_categories = getattr(views[CATEGORIES], "n_categories_", 0)
        shape = sample.n_distinct, views[NUMBERS].n_outputs_, n_categories
        usual = self._usual_candidates(*shape, **parts)
        several = sample.y.ndim == 2
        usual = [c for c in usual if get_tags(c.mixture).target_tags.multi_output or not several]
        names = [c.name for c in usual]
        if len(set(self.candidates or [])) < len(self.candidates or []):
            raise ValueError(f"candidates={self.candidates!r} names a kind twice. Name each once.")
        if unknown := sorted(set(self.candidates or []) - set(names)):
            raise ValueError(f"candidates names {unknown}; for this target use some of {names}.")
        chosen = [c for c in usual if c.name in (self.candidates or names)]
        # Candidates that are shown categories may make indicators of them by themselves.
        if any(c.view == NUMBERS or len(c.model) > 1 for c in chosen):
            warn_of_rare(views[NUMBERS])
        return chosen

    @property
    def _are_usual(self) -> bool:
        """Whether the candidates are of the usual kinds: all, or those that are named."""
        named = self.candidates
        if named is None or not isinstance(named, list):
            return named is None
        return bool(named) and all(isinstance(name, str) for name in named)

    def _given(self) -> list[Candidate]:
        """The user's own candidates."""
        return [Candidate(name, flat(model)) for name, model in self._pairs()]

    def _pairs(self) -> list[tuple[str, Any]]:
        """The checked names and models of `candidates`; none if they are the usual ones."""
        if self._are_usual:
            return []
        pairs = self.candidates
        is_list = isinstance(pairs, list) and bool(pairs)
        if not is_list or not are_named(pairs) or len(dict(pairs)) < len(pairs):
            raise ValueError(
                f"candidates={pairs!r} must be a list of (name, mixture), no name twice, or a list "
                "of names of the usual candidates, such as ['linear']."
            )
        for name, model in pairs:
            if OF_NUMBER in name:
                raise ValueError(f"Candidate {name!r} must not hold {OF_NUMBER!r} in its name.")
            last = last_step(model)
            is_class = isinstance(model, type)
            if is_class or not is_mixture(last) or is_classifier(last) != is_classifier(self):
                raise TypeError(
                    f"Candidate {name!r} is {model!r}. Pass an instance of "
                    f"{self._mixture_kind.__name__}, or a pipeline that ends in one."
                )
        return pairs

    def _tell(self, text: str) -> None:
        if self.verbose:
            print(f"[{type(self).__name__}] {text}", flush=True)

    # What was found.

    @property
    def mixture_(self) -> Any:
        """The mixture that was found; its rows are what `encode` returns."""
        check_is_fitted(self)
        return self.best_estimator_[-1]

    @property
    def _answers_alone(self) -> bool:
        """Whether one mixture answers alone."""
        check_is_fitted(self)
        return len(self.named_estimators_) == 1

    def encode(self, X: Any) -> Any:
        """Rows as `mixture_` takes them.

        Parameters
        ----------
        X : {array-like, frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        X : {ndarray, frame} of shape (n_samples, n_encoded_features)
            What comes out of the steps before the mixture.
        """
        with query_rows(self, X) as X:
            return encoded(self.best_estimator_, X)

    def _asked(self, query: str, X: Any, **options: Any) -> list[Any]:
        """The answer of each mixture that answers to a query."""
        with query_rows(self, X) as X:
            return self._asked_of(query, X, **options)

    def _asked_of(self, query: str, X: Any, **options: Any) -> list[Any]:
        """The answer of each mixture that answers to a query about a checked table."""
        return [
            getattr(model[-1], query)(encoded(model, X), **options)
            for model in self.named_estimators_.values()
        ]

    def _mean(self, query: str, X: Any) -> Array:
        """The weighted mean of their answers."""
        with query_rows(self, X) as X:
            return in_blocks(partial(self._mean_of, query), WIDTH, X)

    def _mean_of(self, query: str, X: Any) -> Array:
        answers = self._asked_of(query, X)
        return sum(w * answer for w, answer in zip(self.weights_.values(), answers, strict=True))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        try:
            given = [] if self._are_usual else [model for _, model in self.candidates]
            outputs = [get_tags(model).target_tags.multi_output for model in given]
        except (TypeError, ValueError, AttributeError):
            return tags  # a candidate is no estimator; fit says so
        tags = with_inputs_of(tags, *given)
        tags.input_tags.sparse &= bool(given)
        tags.target_tags.multi_output = self._several_outputs and all(outputs)
        return tags


def of_table(model: Pipeline, columns: Any) -> Pipeline:
    """The model of a view as a model of the table: behind what makes the view, if anything does."""
    return Pipeline([("columns", columns), *model.steps]) if columns is not None else model


def encoded(model: Pipeline, X: Any) -> Any:
    """Rows as the mixture at the end of a fitted pipeline takes them."""
    steps = model[:-1]
    return steps.transform(X) if steps.steps else X


def flat(model: Any) -> Pipeline:
    """The mixture as a pipeline, or one pipeline in place of those that end in another."""
    if not isinstance(model, Pipeline):
        return Pipeline([("mixture", model)])
    (name, last), steps = model.steps[-1], model.steps[:-1]
    if not isinstance(last, Pipeline):
        return model
    inner = [(f"{name}_{part}", step) for part, step in flat(last).steps]
    return Pipeline([*steps, *inner], memory=model.memory)


def within_classes(rank: NDArray[np.intp], labels: NDArray) -> NDArray[np.intp]:
    """Ranks by which the first rows, however many, hold an equal part of every class."""
    distinct, first = np.unique(rank, return_index=True)
    codes = np.unique(labels[first], return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    part = np.empty(len(distinct))
    part[order] = np.concatenate([np.arange(count) / count for count in counts])
    new = np.empty(len(distinct), dtype=np.intp)
    new[np.lexsort((distinct, part))] = np.arange(len(distinct))
    return new[rank]
