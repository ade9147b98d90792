"""Models of other packages for the command `tabular`, each at its defaults on one thread.

Those that take categories are given them; the others get columns as numbers without gaps. A package
is imported only when one of its models is made or fitted.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from shutil import which
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import validate_data

from benchmarks import local_peers
from benchmarks.forecasters import numbers
from benchmarks.laws import GaussianLaw
from benchmarks.local_peers import named
from benchmarks.models import EXPERTS, seeded

REGRESSION = ("regression",)
CLASSIFICATION = ("classification",)
BOTH = REGRESSION + CLASSIFICATION


@dataclass(frozen=True)
class Model:
    """A model by name: `make(task, seed)` gives it unfitted; the tasks that it can do.

    `package` is the name of what it needs, "NAME of R" for one of R; above `max_rows` training
    rows a fit takes too long.
    """

    make: Callable[[str, int], Any]
    tasks: tuple[str, ...] = BOTH
    package: str = "sklearn"
    max_rows: int | None = None

    def ready(self, task: str, seed: int) -> Any:
        """The model unfitted, its package imported: that is no part of a fit's seconds."""
        if not self.package.endswith(" of R"):
            import_module(self.package)
        return self.make(task, seed)

    def can(self, task: str, n_rows: int) -> bool:
        """Whether it is meant for such a table."""
        return task in self.tasks and (self.max_rows is None or n_rows <= self.max_rows)


class Coded(BaseEstimator):
    """A classifier that takes its classes as 0, ..., C - 1, given labels of any kind."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, X: Any, y: np.ndarray) -> Coded:
        """Fit the model to the codes of the labels."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.model_ = clone(self.model).fit(X, codes)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, C)."""
        return np.asarray(self.model_.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable labels (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def on_names(model: Any) -> Pipeline:
    """A model that takes categories; names of columns that it may refuse are replaced."""
    return make_pipeline(FunctionTransformer(named), model)


def on_numbers(model: Any) -> Pipeline:
    """A model of categories as codes and of filled gaps."""
    return Pipeline([*numbers().steps, ("model", model)])


def lightgbm(task: str, seed: int, **params: Any) -> Pipeline:
    """LightGBM with its categories."""
    import lightgbm

    kind = lightgbm.LGBMRegressor if task == "regression" else lightgbm.LGBMClassifier
    return on_names(kind(random_state=seed, n_jobs=1, verbose=-1, **params))


def lightgbm_of_lines(task: str, seed: int) -> Pipeline:
    """LightGBM whose leaves are linear in the numeric columns of their branch."""
    return lightgbm(task, seed, linear_tree=True)


def xgboost(task: str, seed: int) -> Any:
    """XGBoost with its categories."""
    import xgboost

    kind = xgboost.XGBRegressor if task == "regression" else xgboost.XGBClassifier
    model = on_names(kind(random_state=seed, n_jobs=1, enable_categorical=True))
    return model if task == "regression" else Coded(model)


class CatBoost(BaseEstimator):
    """CatBoost with its categories, which it wants as text without gaps."""

    def __init__(self, task: str, seed: int = 0) -> None:
        self.task = task
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> CatBoost:
        """Fit with the categorical columns by name."""
        import catboost

        regression = self.task == "regression"
        kind = catboost.CatBoostRegressor if regression else catboost.CatBoostClassifier
        quiet = {"verbose": False, "allow_writing_files": False}
        self.model_ = kind(random_seed=self.seed, thread_count=1, **quiet)
        self.model_.fit(self._spelt(X), y, cat_features=list(X.select_dtypes("category")))
        if not regression:
            self.classes_ = self.model_.classes_
        return self

    @staticmethod
    def _spelt(X: pd.DataFrame) -> pd.DataFrame:
        text = X.select_dtypes("category").astype(object)
        return X.assign(**text.where(text.notna(), "missing").astype(str))

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Means or labels (n,)."""
        return np.ravel(self.model_.predict(self._spelt(X)))

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Class probabilities (n, C)."""
        return self.model_.predict_proba(self._spelt(X))


class NGBoost(BaseEstimator):
    """NGBoost of Gaussian targets.

    (No pipeline: before 0.6 nothing tells one that the model has been fitted.)
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, X: Any, y: np.ndarray) -> NGBoost:
        """Fit to the columns as numbers."""
        from ngboost import NGBRegressor

        np.random.seed(self.seed)  # its trees have no seed before 0.6
        self.columns_ = numbers().fit(X)
        self.model_ = NGBRegressor(verbose=False, random_state=self.seed)
        self.model_.fit(self.columns_.transform(X), y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Means (n,)."""
        return self.model_.predict(self.columns_.transform(X))

    def law(self, X: Any) -> GaussianLaw:
        """Normal, of a scale for each row."""
        law = self.model_.pred_dist(self.columns_.transform(X))
        return GaussianLaw(law.params["loc"], law.params["scale"])


class NGBoostOfCodes(BaseEstimator):
    """NGBoost of classes 0, ..., C - 1."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, X: Any, y: np.ndarray) -> NGBoostOfCodes:
        """Fit a categorical law of as many classes as there are."""
        from ngboost import NGBClassifier
        from ngboost.distns import k_categorical

        law = k_categorical(int(y.max()) + 1)
        np.random.seed(self.seed)  # its trees have no seed before 0.6
        self.columns_ = numbers().fit(X)
        self.model_ = NGBClassifier(Dist=law, verbose=False, random_state=self.seed)
        self.model_.fit(self.columns_.transform(X), y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities (n, C)."""
        return self.model_.predict_proba(self.columns_.transform(X))


def ngboost(task: str, seed: int) -> Any:
    """NGBoost, of means and scales or of classes."""
    return NGBoost(seed) if task == "regression" else Coded(NGBoostOfCodes(seed))


def realmlp(task: str, seed: int) -> Pipeline:
    """RealMLP, a network with tuned defaults; it stops early by a fifth of its own rows."""
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    kind = RealMLP_TD_Regressor if task == "regression" else RealMLP_TD_Classifier
    gaps = SimpleImputer(keep_empty_features=True)
    filled = make_column_transformer(
        (gaps, make_column_selector(dtype_exclude="category")),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    return make_pipeline(filled, kind(device="cpu", random_state=seed, n_threads=1))


def quantile_forest(task: str, seed: int) -> Pipeline:
    """The mean of the quantile forest, since noise is put around it."""
    from quantile_forest import RandomForestQuantileRegressor

    return on_numbers(RandomForestQuantileRegressor(default_quantiles="mean", random_state=seed))


def deslib(task: str, seed: int) -> Pipeline:
    """KNORA-E over the ten bagged trees that the package makes by itself."""
    from deslib.base import BaseDS
    from deslib.des import KNORAE

    BaseDS._validate_data = validate_data  # scikit-learn has had no such method since 1.7
    return on_numbers(KNORAE(random_state=seed))


class Deskit(BaseEstimator):
    """DEWS-U of deskit: our three experts, weighted by their losses on kept-aside neighbours."""

    def __init__(self, task: str, seed: int = 0) -> None:
        self.task = task
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Deskit:
        """Fit the experts to three quarters of the rows, and their competence on the others."""
        from deskit.des.dewsu import DEWSU

        labels = None if self.task == "regression" else y
        X, X_kept, y, y_kept = train_test_split(X, y, stratify=labels, random_state=self.seed)
        self.experts_ = {n: seeded(make(self.task), self.seed) for n, make in EXPERTS.items()}
        for expert in self.experts_.values():
            expert.fit(X, y)
        self.columns_ = local_peers.columns().fit(X)
        loss = "mae" if self.task == "regression" else "log_loss"
        self.router_ = DEWSU(self.task, metric=loss, mode="min")
        self.router_.fit(self.columns_.transform(X_kept), y_kept, self._said(X_kept))
        return self

    def _said(self, X: pd.DataFrame) -> dict[str, np.ndarray]:
        says = "predict" if self.task == "regression" else "predict_proba"
        return {name: getattr(expert, says)(X) for name, expert in self.experts_.items()}

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Weighted means (n,)."""
        return self.router_.predict(self.columns_.transform(X), self._said(X))

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Weighted class probabilities (n, C)."""
        return self.predict(X)


def deskit(task: str, seed: int) -> Any:
    """DEWS-U, of numbers or of classes."""
    return Deskit(task, seed) if task == "regression" else Coded(Deskit(task, seed))


PEERS: dict[str, Model] = {
    "lightgbm": Model(lightgbm, BOTH, "lightgbm"),
    "lightgbm linear": Model(lightgbm_of_lines, BOTH, "lightgbm"),
    "xgboost": Model(xgboost, BOTH, "xgboost"),
    "catboost": Model(CatBoost, BOTH, "catboost"),  # ten minutes where classes are twenty
    "ngboost": Model(ngboost, BOTH, "ngboost", max_rows=15_000),
    "realmlp": Model(realmlp, BOTH, "pytabkit"),
    "quantile forest": Model(quantile_forest, REGRESSION, "quantile_forest"),
    "deslib": Model(deslib, CLASSIFICATION, "deslib"),  # its probabilities are votes
    "deskit": Model(deskit, BOTH, "deskit"),
    "cubist": Model(local_peers.cubist, REGRESSION, "cubist"),
    "linear tree": Model(local_peers.linear_tree, REGRESSION, "lineartree"),
    "smt": Model(local_peers.Smt.made, REGRESSION, "smt"),
    "cgmm": Model(local_peers.Cgmm.made, REGRESSION, "cgmm", max_rows=8_000),
    "flexmix": Model(local_peers.Flexmix.made, REGRESSION, "flexmix of R"),
    "gmr": Model(local_peers.Gmr.made, REGRESSION, "gmr"),
}


@cache
def is_here(package: str) -> bool:
    """Whether a package is installed."""
    name, of_r, _ = package.partition(" of R")
    if not of_r:
        return find_spec(name) is not None
    asked = ["Rscript", "-e", f"library({name})"]
    return (
        which("Rscript") is not None and not subprocess.run(asked, capture_output=True).returncode
    )
