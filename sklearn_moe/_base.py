"""What the two estimators share: the fit template, parameters, tags, routing."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import MetaEstimatorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping

from ._callbacks import CallbackSupportMixin, Tasks
from ._em import EMRule, failure_text
from ._first_starts import spare_starts, starts_of
from ._fitting import Fit, Options, as_it_stands, fitted_attributes, run_fit
from ._forecasts import Forecast
from ._growth import MOST_EXPERTS, Growth, check_growth, most_experts
from ._nesting import unfold
from ._numeric import Array
from ._out_of_bag import quiet_out_of_bag
from ._parallel import Workers, open_workers
from ._penalties import Penalties
from ._progress import Reporter, Session
from ._queries import Queries
from ._recipe import Recipe
from ._specialisation import Specialisation
from ._table_checks import (
    check_fit_weight,
    check_range,
    check_training_table,
    store,
    warn_of_shares,
)
from ._templates import Template, make_templates
from ._thresholds import specialisations
from ._training import Training, make_training
from ._trials import Recipes, Trial, trials_of
from ._validation import (
    BaseComposition,
    HasMethods,
    Interval,
    StrOptions,
    VisualBlock,
    check_named_parts,
    check_parameters,
    fit_context,
    routed_params,
)
from ._verdict import OneIsBetter, Stage, verdict_text
from .families import Family
from .gates._resolve import gates_to_try
from .starts import STARTS


class BaseMixtureOfExperts(Queries, CallbackSupportMixin, MetaEstimatorMixin, BaseComposition):
    """Base of the two estimators; not for use."""

    _parameter_constraints = {
        "experts": [HasMethods(["fit"]), list, None],
        "n_experts": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "gate": [HasMethods(["fit"]), StrOptions({"auto"}), None],
        "top_k": [Interval(Integral, 1, None, closed="left"), None],
        "shared_expert": [HasMethods(["fit"]), None],
        "balance": [Interval(Real, 0, None, closed="left")],
        "cv": ["cv_object", StrOptions({"oob", "loo"}), None],
        "init": [StrOptions({"auto", *STARTS}), "array-like", callable],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "min_responsibility": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "pooling": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "ensemble": ["boolean"],
        "lean": ["boolean", StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verdict": ["boolean"],
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _several_outputs = False
    _weighs_its_experts = True
    # Rows of one group belong together whatever deals the folds, so groups need no request.
    __metadata_request__fit = {"groups": True}

    # What the two estimators decide for themselves.

    @abstractmethod
    def _default_expert(self) -> Any:
        """The estimator that `experts=None` stands for."""

    @abstractmethod
    def _check_target(self, X: Any, y: Any, weight: Array) -> tuple[NDArray, NDArray, Any]:
        """Checked target, its form in the formulas, and the class labels (None for regression)."""

    @abstractmethod
    def _fit_families(self, training: Training) -> list[Family]:
        """Noise laws, with what they take from the training target; of several, one is kept."""

    @abstractmethod
    def _target_attributes(self, fit: Fit) -> dict[str, Any]:
        """Fitted attributes that describe the target and its law."""

    def _wants_all_classes(self) -> bool:
        """Whether the fit needs an expert's probabilities of all classes, not of one."""
        return False

    def _calibrates(self) -> bool:
        """Whether the estimator uses forecasts of unseen rows once EM has ended."""
        return False

    def _leans(self, how: Specialisation, family: Family) -> bool:
        """Whether experts may lean on one expert of all rows."""
        if self.lean not in (False, "auto") and (self.cv is None or not self.verdict):
            raise ValueError(
                f"lean=True needs witnesses; got cv={self.cv!r}, verdict={self.verdict}. Use cv=5 "
                "and verdict=True, or lean='auto'."
            )
        return how.all_lose_rows if self.lean == "auto" else self.lean

    def _spread_template(self, seed: int) -> Template | None:
        """The template of what predicts the dispersion of a row, if anything does."""
        return None

    # The fit, as a table of contents.

    def _fit(self, X: Any, y: Any, sample_weight: Any, fit_params: dict) -> Fit:
        check_parameters(self)
        table, features = check_training_table(self, X)
        training = self._validate_training(table, y, sample_weight, fit_params)
        warn_of_shares(training.data.sample_weight)
        tasks = Tasks(self, X, y, sample_weight)
        with open_workers(self.n_jobs) as workers, quiet_out_of_bag(self.cv):
            unfinished = partial(self._unfinished, features, training, workers)
            reporter = Reporter(type(self).__name__, self.verbose, tasks, unfinished)
            recipes = self._recipes(training, reporter)
            recipe, trials = recipes(self._first_number())
            starts = starts_of(self, X, y, training, recipe)
            rule = EMRule(self.max_iter, self.tol, monotone=training.splits is None)
            growth = Growth(recipes, most_experts(self)) if self._grows else None
            spares = spare_starts(self, starts, recipe)
            options = Options(Session(rule, reporter), self.verdict, spares, trials, growth)
            fit = workers.follow(run_fit(training, recipe, starts, options))
        store(self, features | self._attributes(fit))
        tasks.end(dict)  # the estimator has its attributes already
        self._warn(fit)
        return fit

    @fit_context(prefer_skip_nested_validation=False)
    def _fit_forecasting(
        self, X: Any, y: Any, sample_weight: Array, groups: Any
    ) -> Forecast | None:
        """Fit, and return the forecast of unseen rows, if there is one; it is not kept."""
        return self._forecast_of(self._fit(X, y, sample_weight, {"groups": groups}))

    def _forecast_of(self, fit: Fit) -> Forecast | None:
        """A fit's forecast of unseen rows, so that several mixtures may be calibrated together."""
        return None

    def _validate_training(self, X: Any, y: Any, sample_weight: Any, fit_params: dict) -> Training:
        params = routed_params(self, fit_params)
        weight = check_fit_weight(sample_weight, X)
        y, target, classes = self._check_target(X, y, weight)
        training = make_training(
            X=X,
            y=y,
            target=target,
            sample_weight=weight,
            classes=classes,
            cv=self.cv,
            params=params,
            groups=fit_params.get("groups"),
            all_classes=self._wants_all_classes(),
        )
        check_range(training.data.X)
        return training

    @property
    def _grows(self) -> bool:
        """Whether the number of experts is to be found."""
        return self.n_experts == "auto" and not isinstance(self.experts, list)

    def _first_number(self) -> int:
        """The number of clones that a fit begins with."""
        if not self._grows:
            return self.n_experts
        if self.warm_start and hasattr(self, "experts_"):
            shared = self.shrinkage_ is not None
            before = len(self.experts_) - shared
            if 2 <= before <= MOST_EXPERTS and shared == (self.shared_expert is not None):
                return before
        begins_at_two = isinstance(self.init, str) or callable(self.init)
        return 2 if begins_at_two else np.shape(self.init)[1]

    def _recipes(self, training: Training, reporter: Reporter) -> Recipes:
        """Recipes by number of clones; all recipes of one fit have the same seeds."""
        penalties = Penalties(training.data, reporter)
        if not self._grows:
            return partial(self._make_recipe, training, penalties, None)
        check_growth(self, training.splits is not None)
        return partial(self._make_recipe, training, penalties, self._seeds(MOST_EXPERTS + 1))

    def _seeds(self, n_experts: int) -> NDArray:
        """Seeds of the gate and of the experts, in this order."""
        limit = np.iinfo(np.int32).max
        return check_random_state(self.random_state).randint(limit, size=n_experts + 1)

    def _make_recipe(
        self, training: Training, penalties: Penalties, seeds: NDArray | None, n_experts: int
    ) -> tuple[Recipe, list[Trial]]:
        unfolded = unfold(self, training.params, n_experts)
        named, params = unfolded.leaves, unfolded.params
        shared = self.shared_expert is not None
        n_rows = len(training.data.distinct)
        if len(named) > n_rows:
            raise ValueError(
                f"n_samples={n_rows} (distinct, of positive weight) should be >= n_experts="
                f"{len(named) - shared}{', and one for shared_expert' * shared}. Use fewer experts."
            )
        seeds = self._seeds(len(named)) if seeds is None else seeds[: len(named) + 1]
        templates = make_templates(named, list(seeds[1:]), params, self.cv)
        templates = [penalties.settle(template) for template in templates]
        if len(templates) == 1:
            templates = [templates[0].as_only_expert]
        families = self._fit_families(training)
        routed = templates[: len(templates) - shared]
        how, pooled = specialisations(
            self.min_responsibility, self.pooling, training, routed, self.top_k
        )
        leans = self._leans(how, families[0])
        if shared:
            how, pooled = how.beside_shared(), pooled and pooled.beside_shared()
        recipe = Recipe(
            templates=templates,
            specialisation=how,
            family=families[0],
            gate=unfolded.gates[0],
            gate_params=params.get("gate", {}),
            seed=int(seeds[0]),
            top_k=self.top_k,
            shared=shared,
            balance=float(self.balance),
            spread_template=self._spread_template(int(seeds[0])),
            calibrates=self._calibrates(),
            leans=leans,
            ensemble=self.ensemble,
        )
        if training.splits is None:  # in sample, what is richer always looks better
            return recipe, []
        gates = unfolded.gates if recipe.n_routed > 1 else []
        return recipe, trials_of(templates, pooled, families[1:], gates[1:])

    def _attributes(self, fit: Fit) -> dict[str, Any]:
        return self._target_attributes(fit) | fitted_attributes(fit)

    def _unfinished(
        self, features: dict[str, Any], training: Training, workers: Workers, stage: Stage
    ) -> dict[str, Any]:
        """The attributes of a fit that has come as far as `stage`."""
        return features | self._attributes(workers.follow(as_it_stands(training, stage)))

    def _warn(self, fit: Fit) -> None:
        templates, left = fit.recipe.templates, fit.result.expectation.members
        if fit.trouble:
            warnings.warn(fit.trouble, UserWarning, stacklevel=5)
        grew = fit.path is not None
        if fit.verdict.is_against and not grew:
            warnings.warn(verdict_text(fit.verdict, len(templates)), OneIsBetter, stacklevel=5)
            return
        lost = [template.name for k, template in enumerate(templates) if k not in left]
        if lost and not grew:
            message = (
                f"Experts {lost} lost their rows twice and were removed: n_experts_={len(left)} of "
                f"{len(templates)}. Use fewer experts, or another init."
            )
            warnings.warn(message, ConvergenceWarning, stacklevel=5)
        ended = fit.result.reason in ("callback", "error")  # an error was already warned about
        if not (fit.keeps_one or fit.result.converged or ended):
            message = failure_text(fit.result, self.tol)
            warnings.warn(message, ConvergenceWarning, stacklevel=5)

    # Composition, routing, tags, display.

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the estimator and, if `deep`, of its experts and gate.

        Parameters
        ----------
        deep : bool, default=True
            Whether to look into the parts. The parts of a list of experts go by their names.

        Returns
        -------
        params : dict
            Parameter names and values.
        """
        if isinstance(self.experts, list):
            return self._get_params("experts", deep=deep)
        return super().get_params(deep=deep)

    def set_params(self, **params: Any) -> Any:
        """Set parameters, also of the experts and the gate.

        Parameters
        ----------
        **params : dict
            Names as `get_params` gives them: `experts__alpha` for one cloned expert,
            `name__alpha` for an expert of a list, `gate__alpha`.

        Returns
        -------
        self : estimator
            The same estimator.
        """
        check_named_parts(self, params)
        return self._set_params("experts", **params)

    def _named_experts(self, n_experts: int | None = None) -> list[tuple[str, Any]]:
        """Names and templates of the experts, the shared one last; `n_experts` clones if given."""
        if isinstance(self.experts, list):
            named = [(name, expert) for name, expert in self.experts if expert != "drop"]
        else:
            expert = self._default_expert() if self.experts is None else self.experts
            most = MOST_EXPERTS if self._grows else self.n_experts
            named = [(f"expert{k}", expert) for k in range(n_experts or most)]
        if self.shared_expert is not None:
            named.append(("shared_expert", self.shared_expert))
        return named

    def _other_parts(self) -> dict[str, Any]:
        """Estimators beside experts and gate that see `X`, by parameter."""
        return {}

    def get_metadata_routing(self) -> MetadataRouter:
        """Which metadata goes where; `sample_weight` and `groups` are consumed here.

        Returns
        -------
        routing : MetadataRouter
            Routing to the experts by name, to `gate` and to `splitter`.
        """
        fit_only = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        for name, expert in self._named_experts():
            router.add(**{name: expert}, method_mapping=fit_only)
        if hasattr(self.gate, "fit"):
            router.add(gate=self.gate, method_mapping=fit_only)
        if hasattr(self.cv, "split"):
            split = MethodMapping().add(caller="fit", callee="split")
            router.add(splitter=self.cv, method_mapping=split)
        return router

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        try:
            # Clones of one estimator are asked once: there may be many.
            experts = {id(expert): expert for _, expert in self._named_experts()}
            parts = [get_tags(expert) for expert in experts.values()]
            others = [gates_to_try(self.gate)[0], *self._other_parts().values()]
            inputs = [part.input_tags for part in [*parts, *map(get_tags, others)]]
        except (TypeError, ValueError, AttributeError):
            return tags  # a parameter is not an estimator; fit says so
        tags.input_tags.sparse = all(part.sparse for part in inputs)
        tags.input_tags.allow_nan = all(part.allow_nan for part in inputs)
        tags.input_tags.categorical = any(part.categorical for part in inputs[: len(parts)])
        tags.input_tags.positive_only = any(part.positive_only for part in inputs)
        tags.target_tags.positive_only = any(part.target_tags.positive_only for part in parts)
        outputs = [part.target_tags.multi_output for part in parts]
        tags.target_tags.multi_output = self._several_outputs and all(outputs)
        return tags

    def _sk_visual_block_(self) -> Any:
        experts = dict(self._named_experts(1))
        if not isinstance(self.experts, list):  # clones are drawn once: there may be hundreds
            experts = {f"n_experts={self.n_experts!r}": experts.pop("expert0"), **experts}
        rows = {"gate": gates_to_try(self.gate)[0]}, experts, self._other_parts()
        blocks = [
            VisualBlock("parallel", list(row.values()), names=list(row), dash_wrapped=False)
            for row in rows
            if row
        ]
        return VisualBlock("serial", blocks, dash_wrapped=False)
