"""How wide a pool is to be, by rows that none of its mixtures has seen.

Each mixture has calibrated its own noise. If several answer together, their disagreement is added
to it: a pool of calibrated distributions is too wide (T. Gneiting and R. Ranjan, "Combining
predictive distributions", Electronic Journal of Statistics 7, 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from .._calibrated_noise import with_factors
from .._forecasts import Forecast
from .._noise import Noise
from .._numeric import Array, weighted_mean
from ..predictive._pool import in_common


def width_of_pool(
    families: Sequence[Any], forecasts: Sequence[Forecast], weights: Sequence[float]
) -> tuple[Array, float]:
    """Factors (q,) of the dispersions of a pool, and what these gain in mean log density.

    The forecasts are of unseen rows, under calibrated noise of the `families`.
    """
    rows = reduce(np.intersect1d, [forecast.rows for forecast in forecasts])
    parts = [forecast.take(rows) for forecast in forecasts]
    family, laws = in_common(families, [part.law for part in parts])
    log_gates = [part.log_gate + np.log(w) for part, w in zip(parts, weights, strict=True)]
    pool = replace(
        parts[0],
        log_gate=np.concatenate(log_gates, axis=1),
        mean=np.concatenate([part.mean for part in parts], axis=1),
        law=np.concatenate(laws, axis=1),
    )
    noise = with_factors(family, pool)
    gain = pool.log_density(noise) - pool.log_density(Noise(family))
    return np.array([c.factor for c in noise.changes]), float(weighted_mean(gain, pool.weight))
