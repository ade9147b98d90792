"""Predictions of other estimators as columns of a table, out of fold for the rows of the fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import MetaEstimatorMixin, TransformerMixin, is_classifier
from sklearn.utils import Bunch, check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from ._expert_errors import blaming_estimators
from ._experts import WeightedExperts, fit_predict
from ._folds import USUAL_FOLDS
from ._last_fits import fit_all_rows
from ._numeric import Array
from ._parallel import open_workers
from ._plans import Plan, together
from ._prediction_columns import as_columns
from ._predictions import held, predict_bank
from ._rows import take_rows
from ._table_checks import check_fit_weight, check_training_table, query_rows, store
from ._targets import check_label_target, check_real_target, classes_of, outputs_of
from ._templates import Template, make_templates
from ._training import Training, make_training
from ._validation import (
    BaseComposition,
    HasMethods,
    Interval,
    StrOptions,
    check_estimators,
    fit_context,
    with_inputs_of,
)

# Rows for each fold. Predictions for rows left out by twos and threes give their targets away: they
# lie on the other side of the mean of all.
FEWEST_IN_FOLD = 10


class CrossFittedPredictions(TransformerMixin, MetaEstimatorMixin, BaseComposition):
    """What other estimators predict, as columns for the experts and the gate of a mixture.

    For the rows of the fit, `fit_transform` returns what each estimator predicts out of fold, since
    predictions for rows that it has learnt from would look better than those for new rows. For new
    rows, `transform` asks the estimators fitted to all rows. A mixture that is given such columns
    learns where each estimator is right, and how far it errs there: its experts may be few and
    linear, and still follow what boosting or a forest has found.

    A row's predictions are made without its own target, but with the targets of rows that a later
    fit holds out. So the scores of later fits flatter a little, and less if these have few
    coefficients.

    Parameters
    ----------
    estimators : list of (name, estimator)
        Regressors, or classifiers, unfitted.
    cv : int, splitter, list of (train, test) or "oob", default=5
        The folds, as in `MixtureOfExpertsRegressor`. Rows are dealt to a number of folds by
        content: rows of one group share a fold, and so do copies of a row (unless the target takes
        few values and rows of equal features differ in it: then each is dealt by itself). More than
        five folds need ten distinct rows each: predictions for a row that is left out alone, or
        with few others, give its target away.
    n_jobs : int, default=None
        Number of jobs that fit estimators and folds. None is 1, or what ``joblib.parallel_config``
        says. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds the estimators that have no seed of their own.

    Attributes
    ----------
    estimators_ : list of estimators
        Fitted to all rows, in the order of `estimators`.
    named_estimators_ : Bunch of estimators
        The same by name.
    classes_ : ndarray of shape (n_classes,) or None
        Class labels in sorted order; None for real targets.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if `X` had names that are strings.

    See Also
    --------
    sklearn.ensemble.StackingRegressor : The same columns for one last estimator, which is asked for
        its predictions alone.
    AutoMixtureRegressor : Chooses mixtures of columns and predictions where they are better.

    Notes
    -----
    In a pipeline, `FeatureUnion` puts the predictions beside the columns of the table. Weights and
    groups reach them there by metadata routing (``set_fit_request(sample_weight=True)``), and in
    `AutoMixtureRegressor` always. No other metadata is handed on to the estimators.

    References
    ----------
    D. H. Wolpert, "Stacked generalization", Neural Networks 5(2), 1992. J. Sill, G. Takacs,
    L. Mackey and D. Lin, "Feature-weighted linear stacking", 2009 (on weights that depend on the
    features).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import ExtraTreesRegressor
    >>> from sklearn.pipeline import FeatureUnion, make_pipeline
    >>> from sklearn_moe import CrossFittedPredictions, EvidenceRidge, MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 2))
    >>> y = np.sin(3 * X[:, 0]) + rng.normal(scale=np.exp(X[:, 1]) / 10)
    >>> forest = CrossFittedPredictions([("forest", ExtraTreesRegressor(min_samples_leaf=3))])
    >>> model = make_pipeline(
    ...     FeatureUnion([("columns", "passthrough"), ("predictions", forest)]),
    ...     MixtureOfExpertsRegressor(EvidenceRidge(), n_experts=2, random_state=0),
    ... ).fit(X, y)
    >>> sharp, vague = model[:-1].transform([[0.0, -2.0], [0.0, 2.0]])
    >>> std = model[-1].predict_dist([sharp, vague]).std()
    >>> bool(std[1] > 3 * std[0])
    True
    """

    _parameter_constraints = {
        "estimators": [list],
        "cv": [
            Interval(Integral, 2, None, closed="left"),
            HasMethods(["split", "get_n_splits"]),
            list,
            tuple,
            Iterator,
            StrOptions({"oob"}),
        ],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }
    _weighs_its_parts = True
    # Rows of one group belong together: nobody need request them.
    __metadata_request__fit = {"groups": True}

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        *,
        cv: Any = 5,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimators = estimators
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        """Fit the estimators.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Features, as the estimators take them.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Real targets, or class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, none negative.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group share a fold.

        Returns
        -------
        self : CrossFittedPredictions
            The fitted transformer.

        Raises
        ------
        ValueError
            If the input or a parameter is not valid, or an estimator fails; nothing is changed
            then.
        TypeError
            If one of `estimators` cannot predict, or they are not all of one kind.
        """
        self._store(self._learn(X, y, sample_weight, groups))
        return self

    @fit_context(prefer_skip_nested_validation=False)
    def fit_transform(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Array:
        """Fit the estimators, and return what those that have not seen a row predict for it.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Features, as the estimators take them.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Real targets, or class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, none negative; rows of no weight are treated as new ones.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group share a fold.

        Returns
        -------
        columns : ndarray of shape (n_samples, n_columns)
            As `transform` returns them.
        """
        learnt = self._learn(X, y, sample_weight, groups)
        columns = learnt.columns()
        self._store(learnt)
        return columns

    def transform(self, X: Any) -> Array:
        """Predictions of the estimators, fitted to all rows, for new ones.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            New rows.

        Returns
        -------
        columns : ndarray of shape (n_samples, n_columns)
            For each estimator, its prediction of each output; for labels of two classes, the log
            odds of the second; of more classes, the log probabilities of all, less their mean. Into
            probabilities a hundredth of an even guess is mixed, so no logarithm is infinite.
        """
        with query_rows(self, X) as X:
            predicted = held(predict_bank(self.estimators_, X, self.classes_), None)
            return as_columns(predicted, self.classes_)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray:
        """Names of the columns: that of the estimator, and the number of the output or the class.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored.

        Returns
        -------
        names : ndarray of str objects of shape (n_columns,)
            One name for each column.
        """
        check_is_fitted(self)
        parts: Sequence[Any] = range(self._n_values)
        if self.classes_ is not None:
            classes = self.classes_.tolist()
            parts = classes[1:] if len(classes) == 2 else classes
        names = list(self.named_estimators_)
        if len(parts) > 1:
            names = [f"{name}_{part}" for name in names for part in parts]
        return np.array(names, dtype=object)

    def _learn(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> Learnt:
        X, features = check_training_table(self, X)
        check_estimators(self)
        training = self._training(X, y, check_fit_weight(sample_weight, X), groups)
        with blaming_estimators(), open_workers(self.n_jobs) as workers:
            predicted, fitted = workers.follow(_cross_fit(training, self._templates()))
        return Learnt(X, features, training, predicted, fitted)

    def _store(self, learnt: Learnt) -> None:
        names = [name for name, _ in self.estimators]
        attributes = {
            "estimators_": learnt.fitted,
            "named_estimators_": Bunch(**dict(zip(names, learnt.fitted, strict=True))),
            "classes_": learnt.classes,
            "_n_values": learnt.predicted.shape[-1],
        }
        store(self, learnt.features | attributes)

    def _training(self, X: Any, y: Any, weight: Array, groups: Any) -> Training:
        """The rows of some weight, their target and folds."""
        y, target, classes = self._target(X, y, weight)
        training = make_training(
            X=X,
            y=y,
            target=target,
            sample_weight=weight,
            classes=classes,
            cv=self.cv,
            params={"splitter": {} if groups is None else {"groups": groups}},
            groups=groups,
            all_classes=True,
        )
        n_folds, n_distinct = len(training.splits or ()), len(training.data.distinct)
        if n_folds > max(USUAL_FOLDS, n_distinct // FEWEST_IN_FOLD):
            raise ValueError(
                f"cv={self.cv!r} makes {n_folds} folds of {n_distinct} distinct rows; more than "
                f"{USUAL_FOLDS} folds need {FEWEST_IN_FOLD} rows each, because predictions for "
                "few left-out rows give their targets away. Use fewer folds, such as "
                f"cv={USUAL_FOLDS}."
            )
        return training

    def _target(self, X: Any, y: Any, weight: Array) -> tuple[NDArray, NDArray, NDArray | None]:
        """The target as estimators are given it, as formulas use it, and the classes of labels."""
        if is_classifier(self.estimators[0][1]):
            y = check_label_target(self, X, y)
            return y, *classes_of(y, weight)
        y = check_real_target(self, X, y)
        y = y.ravel() if y.shape[1:] == (1,) else y
        return y, outputs_of(y), None

    def _templates(self) -> list[Template]:
        """The estimators, seeded, without short cuts: those of EM stop close to a solution."""
        states = check_random_state(self.random_state)
        seeds = states.randint(np.iinfo(np.int32).max, size=len(self.estimators))
        templates = make_templates(self.estimators, seeds.tolist(), {}, self.cv)
        return [replace(template, problem=None) for template in templates]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the transformer and, if `deep`, of its estimators.

        Parameters
        ----------
        deep : bool, default=True
            Whether to look into the estimators.

        Returns
        -------
        params : dict
            Names and values.
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params: Any) -> Any:
        """Set parameters, also of the estimators.

        Parameters
        ----------
        **params : dict
            Names as `get_params` gives them: ``name__alpha`` for a parameter of one estimator.

        Returns
        -------
        self : CrossFittedPredictions
            The same transformer.
        """
        return self._set_params("estimators", **params)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        try:
            kinds = [each for _, each in self.estimators]
            parts = [get_tags(each) for each in kinds]
        except (TypeError, ValueError, AttributeError):
            return tags  # a part is not an estimator; fit says so
        tags = with_inputs_of(tags, *kinds)
        tags.input_tags.positive_only = any(part.input_tags.positive_only for part in parts)
        outputs = [part.target_tags.multi_output for part in parts]
        tags.target_tags.multi_output = all(outputs) and not any(map(is_classifier, kinds))
        tags.target_tags.positive_only = any(part.target_tags.positive_only for part in parts)
        return tags


@dataclass(frozen=True)
class Learnt:
    """Result of a fit to a table `X`, of which `training` holds the rows of some weight.

    What estimators have `predicted` for these out of fold, (n, S, q) or (n, S, C); and the `fitted`
    estimators, which have seen them all.
    """

    X: Any
    features: dict[str, Any]
    training: Training
    predicted: Array
    fitted: list[Any]

    @property
    def classes(self) -> NDArray | None:
        return self.training.data.classes

    def columns(self) -> Array:
        """The columns for all rows of the table; rows that weigh nothing are treated as new."""
        columns = as_columns(self.predicted, self.classes)
        if self.training.kept is None:
            return columns
        given = np.column_stack([self.training.among_given(column) for column in columns.T])
        weightless = np.flatnonzero(np.isnan(given[:, 0]))
        if len(weightless):
            new = predict_bank(self.fitted, take_rows(self.X, weightless), self.classes)
            new = held(new, None)
            given[weightless] = as_columns(new, self.classes)
        return given


def _cross_fit(training: Training, templates: Sequence[Template]) -> Plan[tuple[Array, list[Any]]]:
    """What the templates say out of fold, and fits of them to all rows."""
    data = training.data
    weights = np.repeat(data.sample_weight[:, None], len(templates), axis=1)
    experts = WeightedExperts(data, templates, weights)
    bank, fitted = yield from together(fit_predict(experts, training.splits), fit_all_rows(experts))
    return bank.mean, fitted
