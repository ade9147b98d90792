"""Models that say how sure they are, behind one face: fit to a table, forecast another.

A forecast holds central intervals; quantiles on one grid of levels where the model has quantiles;
log densities and the closed CRPS where it has a density.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, cross_val_predict, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline

from benchmarks.data import Table
from benchmarks.laws import GaussianLaw
from benchmarks.models import EXPERTS, MAX_BINS, mixture, seeded, tree

COVERAGES = (0.5, 0.8, 0.9, 0.95)
N_LEVELS = 20
LEVELS = (np.arange(N_LEVELS) + 0.5) / N_LEVELS
N_FOLDS = 5

Quantiles = Callable[[Sequence[float]], np.ndarray]


@dataclass(frozen=True)
class Forecast:
    """What a model says of n rows.

    `intervals` maps each of `COVERAGES` to lower and upper ends (n, 2); `quantiles` (n, m) are at
    `LEVELS`; `log_density` (n,) and `crps` (n,) are of the targets; `calibrated` are the intervals
    that the model gives when asked to calibrate them.
    """

    intervals: dict[float, np.ndarray]
    quantiles: np.ndarray | None = None
    log_density: np.ndarray | None = None
    crps: np.ndarray | None = None
    calibrated: dict[float, np.ndarray] | None = None


@dataclass(frozen=True)
class Setting:
    """What a model is made from; those without an expert use the seed only."""

    expert: str
    n_experts: int
    seed: int

    def one_expert(self) -> Any:
        """The expert by itself."""
        return seeded(EXPERTS[self.expert]("regression"), self.seed)

    def folds(self) -> KFold:
        """Folds for what is held out, as many as the mixture has."""
        return KFold(N_FOLDS, shuffle=True, random_state=self.seed)


class Forecaster(Protocol):
    """What the benchmark asks of a model."""

    def fit(self, train: Table) -> Forecaster: ...

    def forecast(self, test: Table) -> Forecast: ...


def ends(coverage: float) -> tuple[float, float]:
    """The levels at the ends of a central interval."""
    tail = round((1 - coverage) / 2, 6)
    return tail, 1 - tail


def from_quantiles(quantiles: Quantiles, **more: np.ndarray) -> Forecast:
    """The forecast of a model that has quantiles."""
    intervals = {coverage: quantiles(ends(coverage)) for coverage in COVERAGES}
    return Forecast(intervals, quantiles(LEVELS), **more)


def gaussian(mean: np.ndarray, scale: np.ndarray | float, y: np.ndarray) -> Forecast:
    """The forecast of Gaussian noise around `mean` (n,)."""
    law = GaussianLaw(mean, scale)
    return from_quantiles(law.ppf, log_density=law.logpdf(y), crps=law.crps(y))


def numbers() -> Pipeline:
    """The columns as numbers without gaps, for rivals that take no frames."""
    return make_pipeline(tree("regression")[0], SimpleImputer(keep_empty_features=True))


class Mixture:
    """The mixture of `n_experts` experts; everything but these at its default.

    Conformal levels change `predict_interval` and nothing else, so one fit serves both kinds.
    """

    def __init__(self, setting: Setting) -> None:
        expert = EXPERTS[setting.expert]("regression")
        self.model = mixture("regression", expert, setting.n_experts, setting.seed)
        self.model.set_params(calibrate="conformal")

    def fit(self, train: Table) -> Mixture:
        """Fit the mixture."""
        self.model.fit(train.X, train.y)
        return self

    def forecast(self, test: Table) -> Forecast:
        """Its predictive distribution, and its conformal intervals."""
        law, y = self.model.predict_dist(test.X), test.y.to_numpy()
        conformal = {c: self.model.predict_interval(test.X, coverage=c) for c in COVERAGES}
        return Forecast(
            {c: law.interval(c) for c in COVERAGES},
            law.ppf(LEVELS),
            log_density=law.logpdf(y),
            crps=law.crps(y),
            calibrated=conformal,
        )


class RawMixture(Mixture):
    """The mixture whose noise stays as EM finds it."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.model.set_params(calibrate=None)

    def forecast(self, test: Table) -> Forecast:
        """Its predictive distribution; it has no other intervals."""
        return replace(super().forecast(test), calibrated=None)


class StudentMixture(Mixture):
    """The same under Student-t noise."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.model.set_params(family="student_t")


class FoundMixture(Mixture):
    """The mixture whose gate and noise law the fit chooses."""

    def fit(self, train: Table) -> Mixture:
        """Fit the mixture."""
        self.model.set_params(family="auto", gate="auto")
        return super().fit(train)


class OneExpert:
    """One expert with Gaussian noise of the scale of its out-of-fold residuals."""

    def __init__(self, setting: Setting) -> None:
        self.model, self.folds = setting.one_expert(), setting.folds()

    def fit(self, train: Table) -> OneExpert:
        """Fit the expert, and its clones on the folds for the scale."""
        held_out = cross_val_predict(self.model, train.X, train.y, cv=self.folds)
        self.scale = float(np.sqrt(np.mean((train.y - held_out) ** 2)))
        self.model.fit(train.X, train.y)
        return self

    def forecast(self, test: Table) -> Forecast:
        """Gaussian around the prediction, of one scale."""
        return gaussian(self.model.predict(test.X), self.scale, test.y.to_numpy())


class Mapie:
    """One expert with the CV+ intervals of MAPIE; it has no other quantiles."""

    def __init__(self, setting: Setting) -> None:
        from mapie.regression import CrossConformalRegressor

        self.model = CrossConformalRegressor(
            setting.one_expert(),
            confidence_level=list(COVERAGES),
            cv=setting.folds(),
            random_state=setting.seed,
        )

    def fit(self, train: Table) -> Mapie:
        """Fit the expert on all rows and on the folds."""
        self.model.fit_conformalize(train.X, train.y.to_numpy())
        return self

    def forecast(self, test: Table) -> Forecast:
        """Intervals only."""
        _, found = self.model.predict_interval(test.X)
        return Forecast({c: found[:, :, at] for at, c in enumerate(COVERAGES)})


class NGBoost:
    """NGBoost with Gaussian noise, at its defaults."""

    n_rounds: int | None = None

    def __init__(self, setting: Setting) -> None:
        from ngboost import NGBRegressor

        self.columns, self.seed = numbers(), setting.seed
        self.model = NGBRegressor(verbose=False, random_state=setting.seed)

    def fit(self, train: Table) -> NGBoost:
        """Fit the boosting to the columns as numbers."""
        np.random.seed(self.seed)  # its trees have no seed before 0.6
        self.model.fit(self.columns.fit_transform(train.X), train.y.to_numpy())
        return self

    def forecast(self, test: Table) -> Forecast:
        """Gaussian, of a scale for each row."""
        law = self.model.pred_dist(self.columns.transform(test.X), max_iter=self.n_rounds)
        return gaussian(law.params["loc"], law.params["scale"], test.y.to_numpy())


class StoppedNGBoost(NGBoost):
    """NGBoost that stops by a tenth of the rows: its 500 rounds are too many for some tables."""

    def fit(self, train: Table) -> StoppedNGBoost:
        """Fit until the likelihood of the rows kept aside has not risen for 50 rounds."""
        X, y = self.columns.fit_transform(train.X), train.y.to_numpy()
        X, X_kept, y, y_kept = train_test_split(X, y, test_size=0.1, random_state=self.seed)
        self.model.set_params(n_estimators=2000, early_stopping_rounds=50)
        np.random.seed(self.seed)
        with redirect_stdout(None):  # it says that it was given rows to stop by
            self.model.fit(X, y, X_val=X_kept, Y_val=y_kept)
        self.n_rounds = self.model.best_val_loss_itr + 1  # it keeps the fifty that were too many
        return self


class BoostedQuantiles:
    """One histogram gradient boosting for each level; quantiles that cross are put in order."""

    def __init__(self, setting: Setting) -> None:
        outer = [level for coverage in COVERAGES for level in ends(coverage)]
        self.levels = np.unique(np.round([*LEVELS, *outer], 6))
        self.models = [self._of_level(level, setting.seed) for level in self.levels]

    @staticmethod
    def _of_level(level: float, seed: int) -> Any:
        return HistGradientBoostingRegressor(
            loss="quantile", quantile=level, max_bins=MAX_BINS, random_state=seed
        )

    def fit(self, train: Table) -> BoostedQuantiles:
        """Fit every level."""
        for model in self.models:
            model.fit(train.X, train.y)
        return self

    def forecast(self, test: Table) -> Forecast:
        """The predictions of the levels, in order."""
        ordered = np.sort([model.predict(test.X) for model in self.models], axis=0).T
        return from_quantiles(
            lambda levels: ordered[:, np.searchsorted(self.levels, np.round(levels, 6))]
        )


class QuantileForest:
    """The quantile forest of the package of that name, at its defaults."""

    def __init__(self, setting: Setting) -> None:
        from quantile_forest import RandomForestQuantileRegressor

        self.columns = numbers()
        self.model = RandomForestQuantileRegressor(random_state=setting.seed)

    def fit(self, train: Table) -> QuantileForest:
        """Fit the forest to the columns as numbers."""
        self.model.fit(self.columns.fit_transform(train.X), train.y.to_numpy())
        return self

    def forecast(self, test: Table) -> Forecast:
        """Quantiles only."""
        X = self.columns.transform(test.X)
        return from_quantiles(lambda levels: self.model.predict(X, quantiles=list(levels)))


class SmoothQuantileForest(QuantileForest):
    """The quantile forest with leaves of five rows, as in its first description."""

    def fit(self, train: Table) -> QuantileForest:
        """Fit the forest with larger leaves."""
        self.model.set_params(min_samples_leaf=5)
        return super().fit(train)


MODELS: dict[str, Callable[[Setting], Forecaster]] = {
    "mixture": Mixture,
    "raw mixture": RawMixture,
    "student mixture": StudentMixture,
    "found mixture": FoundMixture,
    "one expert": OneExpert,
    "mapie": Mapie,
    "ngboost": NGBoost,
    "ngboost stopped": StoppedNGBoost,
    "boosted quantiles": BoostedQuantiles,
    "quantile forest": QuantileForest,
    "quantile forest 5": SmoothQuantileForest,
}
MIXTURES = ("mixture", "raw mixture", "student mixture", "found mixture")
WITH_EXPERT = (*MIXTURES, "one expert", "mapie")
PACKAGES = {
    "mapie": "mapie",
    "ngboost": "ngboost",
    "ngboost stopped": "ngboost",
    "quantile forest": "quantile_forest",
    "quantile forest 5": "quantile_forest",
}


def available(models: Sequence[str]) -> list[str]:
    """Those of the models whose package is here; the others are named."""
    missing = [name for name in models if name in PACKAGES and not find_spec(PACKAGES[name])]
    for name in missing:
        print(f"{name} is left out: the package {PACKAGES[name]} is not installed")
    return [name for name in models if name not in missing]
