"""Families: one file for each noise law."""

from __future__ import annotations

from typing import Any

from ._base import Family
from ._binomial import Binomial
from ._categorical import Categorical
from ._contaminated import Contaminated
from ._gamma import Gamma
from ._gaussian import Gaussian
from ._inverse_gaussian import InverseGaussian
from ._laplace import Laplace
from ._lognormal import LogNormal
from ._negative_binomial import NegativeBinomial
from ._poisson import Poisson
from ._real import CountFamily, PositiveFamily, RealFamily
from ._student_t import StudentT
from ._tweedie import Tweedie

__all__ = [
    "FAMILIES",
    "Binomial",
    "Categorical",
    "Contaminated",
    "CountFamily",
    "Family",
    "Gamma",
    "Gaussian",
    "InverseGaussian",
    "Laplace",
    "LogNormal",
    "NegativeBinomial",
    "Poisson",
    "PositiveFamily",
    "RealFamily",
    "StudentT",
    "Tweedie",
    "resolve_family",
]

FAMILIES: dict[str, type[RealFamily]] = {
    "gaussian": Gaussian,
    "student_t": StudentT,
    "laplace": Laplace,
    "lognormal": LogNormal,
    "gamma": Gamma,
    "inverse_gaussian": InverseGaussian,
    "tweedie": Tweedie,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "binomial": Binomial,
}


def resolve_family(family: Any) -> RealFamily:
    """The law of a name, or the law itself."""
    return FAMILIES[family]() if isinstance(family, str) else family
