"""Make the golden files `poisson_*.json.gz`: tables of counts, and what R's flexmix fits to them.

The tables come from mixtures of log-linear Poisson experts with overlapping softmax regions; the
start is made as for the Gaussian files. There is no dispersion and nothing is penalised, so
flexmix's fixed point is a maximum of the likelihood. Its log-likelihood includes the log
factorials. The first expert's gate coefficients are zero.

Run by hand, with Rscript and the R package flexmix installed:
`python tests/golden/make_flexmix_poisson.py`. The tests read the files only.
"""

from typing import Any

import numpy as np
from make_flexmix import draw_regions, noisy_labels, run_flexmix, start_of, write
from numpy.typing import NDArray

SIZES = [(300, 1, 2), (600, 2, 3), (1000, 3, 2)]


def draw(n: int, d: int, K: int, seed: int) -> tuple[NDArray, NDArray, NDArray]:
    """Features, counts and noisy labels."""
    rng = np.random.default_rng(seed)
    X, expert = draw_regions(rng, n, d, K)
    # Slopes are small, since the mean is exponential in them.
    log_mean = X @ rng.normal(scale=0.6 / np.sqrt(d), size=(d, K)) + 0.5 + 1.2 * rng.permutation(K)
    y = rng.poisson(np.exp(log_mean[np.arange(n), expert]))
    return X, y, noisy_labels(rng, expert, K)


def golden(n: int, d: int, K: int, seed: int) -> dict[str, Any]:
    """The contents of one file: the table, the start and flexmix's parameters."""
    X, y, labels = draw(n, d, K, seed)
    fitted = run_flexmix("flexmix_poisson.R", X, y, start_of(labels, K))
    return {
        "X": X.tolist(),
        "y": y.tolist(),
        "labels": labels.tolist(),
        "expert_intercept": fitted["intercept"].tolist(),
        "expert_coef": fitted["coef"].reshape(d, K).tolist(),
        "gate_intercept": fitted["gate"][:K].tolist(),
        "gate_coef": fitted["gate"][K:].reshape(d, K).tolist(),
        "log_likelihood": fitted["log_likelihood"][0],
    }


def main() -> None:
    """Write one file for each size."""
    for seed, (n, d, K) in enumerate(SIZES):
        write(f"poisson_n{n}_d{d}_k{K}", golden(n, d, K, seed))


if __name__ == "__main__":
    main()
