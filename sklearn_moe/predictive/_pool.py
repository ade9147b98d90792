"""Distributions of several mixtures as one: a linear pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .._numeric import Array
from ..families import Contaminated, Gaussian, RealFamily, StudentT
from ._distribution import MixtureDistribution


def family_of_pool(family: RealFamily | Contaminated) -> Any:
    """The family of a pool with components of this one; pools have one family."""
    clean = family.clean if isinstance(family, Contaminated) else family
    if type(clean) in (Gaussian, StudentT):  # a subclass has formulas of its own
        return StudentT()
    return replace(clean.of_means(), shared=False, target=None)


def pooled(
    distributions: Sequence[MixtureDistribution], weights: Sequence[float], factors: Array
) -> MixtureDistribution:
    """The distribution whose density is the weighted mean of those of `distributions`.

    All are of the same rows, and of one `family_of_pool`. Dispersions (n, J, q) are multiplied by
    `factors` (q,).
    """
    families = [distribution.family for distribution in distributions]
    family, laws = in_common(families, [distribution.law for distribution in distributions])
    law = laws_of_all(laws, len(distributions[0]))
    law[..., 0] *= factors
    law = family.floored(law)  # nobody is more than certain of a rounded target
    log_weights = [d.log_weights + np.log(w) for d, w in zip(distributions, weights, strict=True)]
    return MixtureDistribution(
        family,
        np.concatenate(log_weights, axis=1),
        np.concatenate([distribution.means for distribution in distributions], axis=1),
        law,
        distributions[0].target_shape,
    )


def in_common(families: Sequence[Any], laws: Sequence[Array]) -> tuple[Any, list[Array]]:
    """One family for components of several, all of one `family_of_pool`, and their parameters.

    Among Student-t laws, Gaussian ones have the largest degrees of freedom that these can have.
    """
    if all(type(family) is type(families[0]) for family in families):
        return families[0], list(laws)
    return StudentT(target=families[0].target), [with_tails(law) for law in laws]


def with_tails(law: Array) -> Array:
    """The parameters of a Student-t law, of those of one or of a Gaussian law."""
    if law.shape[-1] == StudentT.n_parameters:
        return law
    return np.concatenate([law, np.full_like(law, StudentT.largest_df)], axis=-1)


def laws_of_all(laws: Sequence[Array], n_rows: int) -> Array:
    """The parameters of all components, by row where any of them differ by row."""
    if any(law.ndim == 4 for law in laws):
        laws = [np.broadcast_to(law, (n_rows, *law.shape[-3:])) for law in laws]
    return np.concatenate(laws, axis=-3)
