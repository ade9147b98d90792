"""Models of other packages that are linear in each part of the space.

They get scaled, one-hot encoded columns without gaps, as `models.linear` does. Those that cluster
features and targets together get a standardised target too, whose scale is taken back at the end.
"""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from contextlib import redirect_stdout
from os import devnull
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import qr
from scipy.special import log_softmax, logsumexp
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import validate_data

from benchmarks.models import N_EXPERTS, dense_encoder
from sklearn_moe.families import Gaussian
from sklearn_moe.predictive import MixtureDistribution

# As small as the noise of other models may be, in units of the target's deviation.
LEAST_SCALE = 1e-4
SCRIPT = Path(__file__).with_name("flexmix_law.R")
# Starts of flexmix, as many as our mixtures race.
N_TRIES = 4


def named(X: Any) -> pd.DataFrame:
    """A frame of columns x0, x1, ..."""
    frame = pd.DataFrame(X)
    return frame.set_axis([f"x{at}" for at in range(frame.shape[1])], axis=1)


def columns() -> Pipeline:
    """Scaled, one-hot encoded columns without gaps, as a frame of numbers."""
    return make_pipeline(dense_encoder(), FunctionTransformer(named))


def cubist(task: str, seed: int) -> Pipeline:
    """Rules with a linear model each."""
    from cubist import Cubist

    return make_pipeline(columns(), Cubist(random_state=seed))


def validate_as_before(
    model: Any, X: Any, y: Any = "no_validation", force_all_finite: Any = True, **checks: Any
) -> Any:
    """A method that scikit-learn's estimators had before 1.7, and that linear-tree calls."""
    return validate_data(model, X, y, ensure_all_finite=force_all_finite, **checks)


def linear_tree(task: str, seed: int) -> Pipeline:
    """A tree with ridge regressions in the leaves, as our linear experts are.

    (Least squares there explode where one-hot columns are many.)
    """
    from lineartree import LinearTreeRegressor

    LinearTreeRegressor._validate_data = validate_as_before
    return make_pipeline(columns(), LinearTreeRegressor(Ridge()))


class Standardised(BaseEstimator, ABC):
    """A model of scaled columns `Z` (n, p) and a target of mean 0 and deviation 1."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @classmethod
    def made(cls, task: str, seed: int) -> Standardised:
        """The unfitted model, of the one task that it can do."""
        return cls(seed)

    def fit(self, X: Any, y: np.ndarray) -> Standardised:
        """Fit to the standardised table."""
        self.columns_, self.center_, self.scale_ = columns().fit(X), np.mean(y), np.std(y)
        self.model_ = self._fitted(self._numbers(X), (y - self.center_) / self.scale_)
        return self

    def _numbers(self, X: Any) -> np.ndarray:
        return self.columns_.transform(X).to_numpy()

    def predict(self, X: Any) -> np.ndarray:
        """Means (n,)."""
        return self.center_ + self.scale_ * np.ravel(self._predicted(self._numbers(X)))

    @abstractmethod
    def _fitted(self, Z: np.ndarray, target: np.ndarray) -> Any:
        """The model fitted to numbers (n, p) and a standardised target (n,)."""

    def _predicted(self, Z: np.ndarray) -> np.ndarray:
        return self.model_.predict(Z)


class WithMixtureLaw(Standardised):
    """A model that is a mixture of Gaussian laws in every row."""

    def law(self, X: Any) -> MixtureDistribution:
        """The mixture in the units of the target."""
        log_weights, means, variances = self._parts(self._numbers(X))
        means = self.center_ + self.scale_ * means
        spread = self.scale_**2 * np.maximum(variances, LEAST_SCALE**2)
        return MixtureDistribution(
            Gaussian(), log_weights, means[:, :, None], spread[:, None, None]
        )

    @abstractmethod
    def _parts(self, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log weights (n, K), means (n, K), variances (K,)."""


class Smt(Standardised):
    """The mixture of experts of SMT, its least squares only.

    Of its other experts, tensor products need memory exponential in the number of columns, kriging
    needs minutes for a thousand rows, and radial bases explode where one-hot columns repeat.
    """

    def _fitted(self, Z: np.ndarray, target: np.ndarray) -> Any:
        from smt.applications import MOE

        np.random.seed(self.seed)  # its clustering has no seed of its own
        # Test rows serve to choose the kind of expert; of one kind, they need not be kept aside.
        rows = {"xt": Z, "yt": target[:, None], "xtest": Z, "ytest": target[:, None]}
        model = MOE(allow=["LS"], **rows)
        with open(devnull, "w") as nowhere, redirect_stdout(nowhere):
            model.train()
        return model

    def _predicted(self, Z: np.ndarray) -> np.ndarray:
        return self.model_.predict_values(Z)


class Cgmm(WithMixtureLaw):
    """The mixture of experts of cgmm, whose gate does not leave its random start."""

    def _fitted(self, Z: np.ndarray, target: np.ndarray) -> Any:
        from cgmm import MixtureOfExpertsRegressor

        return MixtureOfExpertsRegressor(random_state=self.seed).fit(Z, target)

    def _parts(self, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        _, parts = self.model_.predict(Z, return_components=True)
        with np.errstate(divide="ignore"):
            log_weights = np.log(parts["weights"])
        return log_weights, parts["means"][:, :, 0], parts["covariances"][:, 0, 0]


class Gmr(WithMixtureLaw):
    """The conditional law of gmr's joint Gaussian mixture."""

    def _fitted(self, Z: np.ndarray, target: np.ndarray) -> Any:
        from gmr.sklearn import GaussianMixtureRegressor

        n_components = N_EXPERTS["linear"]
        return GaussianMixtureRegressor(n_components, random_state=self.seed).fit(Z, target)

    def _parts(self, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        joint, given = self.model_.gmm_, self.model_.indices_
        laws = [joint.extract_mvn(k) for k in range(joint.n_components)]
        found = [law.predict(given, Z) for law in laws]
        around = [law.marginalize(given).to_norm_factor_and_exponents(Z) for law in laws]
        log_joint = np.column_stack([np.log(norm) + exponents for norm, exponents in around])
        log_joint += np.log(joint.priors)
        log_weights = log_joint - logsumexp(log_joint, axis=1, keepdims=True)
        means = np.column_stack([mean for mean, _ in found])
        return log_weights, means, np.array([covariance[0, 0] for _, covariance in found])


class Flexmix(WithMixtureLaw):
    """flexmix of R: Gaussian regressions under a multinomial gate, the best of several tries.

    Its least squares want columns of full rank, so those that depend on others are left out.
    """

    def _fitted(self, Z: np.ndarray, target: np.ndarray) -> np.ndarray:
        self.independent_ = independent_columns(Z)
        options = [N_EXPERTS["linear"], N_TRIES, self.seed]
        with TemporaryDirectory() as folder:
            table = np.column_stack([target, Z[:, self.independent_]])
            np.savetxt(f"{folder}/table.csv", table, delimiter=",")
            command = ["Rscript", str(SCRIPT), folder, *map(str, options)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"flexmix failed: {done.stderr.strip()[-200:]}")
            return np.loadtxt(f"{folder}/law.csv", delimiter=",", ndmin=2)

    def _predicted(self, Z: np.ndarray) -> np.ndarray:
        log_weights, means, _ = self._parts(Z)
        return (np.exp(log_weights) * means).sum(axis=1)

    def _parts(self, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        A = np.column_stack([np.ones(len(Z)), Z[:, self.independent_]])
        coef, scale, gate = np.split(self.model_, [A.shape[1], A.shape[1] + 1], axis=1)
        return log_softmax(A @ gate.T, axis=1), A @ coef.T, np.ravel(scale) ** 2


def independent_columns(Z: np.ndarray) -> np.ndarray:
    """Numbers of columns that, with a constant, span what all of `Z` (n, p) do."""
    _, upper, order = qr(Z - Z.mean(axis=0), mode="economic", pivoting=True)
    size = np.abs(np.diag(upper))
    return np.sort(order[: int((size > 1e-8 * size[0]).sum())])
