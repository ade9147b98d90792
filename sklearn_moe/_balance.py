"""Balance: experts with small shares of the rows are favoured in the E-step.

The weight of each expert is divided by a power of its share of the rows. This is the E-step for a
likelihood to which `balance` times the entropy of the shares is added, linearised at the present
shares: at one, an expert with twice as many rows must explain a row twice as well.
"""

from __future__ import annotations

import numpy as np

from ._numeric import Array, normalize, safe_log, weighted_mean

# A part of an equal share; an expert with less is favoured as if it had this much.
LEAST_SHARE = 1e-3


def balanced(resp: Array, sample_weight: Array, balance: float, shared: bool) -> Array:
    """Responsibilities (n, K) in which experts of small share have gained.

    A `shared` expert, the last, has no share of its own to keep, and neither gains nor loses.
    """
    n_routed = resp.shape[1] - shared
    share = weighted_mean(resp, sample_weight)
    favour = np.zeros(resp.shape[1])
    total = max(float(share[:n_routed].sum()), np.finfo(np.float64).tiny)
    relative = share[:n_routed] * n_routed / total
    favour[:n_routed] = -balance * np.log(np.maximum(relative, LEAST_SHARE))
    return normalize(np.where(resp > 0, safe_log(resp) + favour, -np.inf))[0]
