"""Make the golden files `flexmix_*.json.gz`: tables, and what R's flexmix fits to them.

The tables come from mixtures of linear experts with overlapping softmax regions. The start is
0.9 on a label plus 0.1 spread evenly, where the label is the true expert of four rows in five and
a random one elsewhere, so that every program climbs to the same optimum.

Run by hand, with Rscript and the R package flexmix installed:
`python tests/golden/make_flexmix.py`. The tests read the files only.
"""

import gzip
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SIZES = [(300, 1, 2), (500, 2, 2), (500, 2, 3), (1000, 3, 4), (800, 5, 2), (1000, 10, 3)]


def draw(n, d, K, seed):
    """Features, targets and noisy labels; rounded, so that the file is the table."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)).round(3)
    scores = X @ rng.normal(scale=2 / np.sqrt(d), size=(d, K)) + rng.normal(scale=0.3, size=K)
    expert = (scores + rng.gumbel(size=(n, K))).argmax(axis=1)
    mean = X @ rng.normal(size=(d, K)) + 1.5 * rng.permutation(K)
    sigma = rng.uniform(0.2, 0.6, size=K)
    y = mean[np.arange(n), expert] + sigma[expert] * rng.standard_normal(n)
    labels = np.where(rng.random(n) < 0.8, expert, rng.integers(K, size=n))
    return X, y.round(4), labels


def run_flexmix(X, y, labels, K):
    """What flexmix returns, as numbers by name."""
    resp = 0.9 * np.eye(K)[labels] + 0.1 / K
    names = ["y", *(f"x{j + 1}" for j in range(X.shape[1])), *(f"r{k + 1}" for k in range(K))]
    with tempfile.TemporaryDirectory() as folder:
        table, parameters = Path(folder, "table.csv"), Path(folder, "parameters.txt")
        rows = np.column_stack([y, X, resp])
        np.savetxt(table, rows, "%.17g", delimiter=",", header=",".join(names), comments="")
        subprocess.run(["Rscript", HERE / "flexmix.R", table, parameters], check=True)
        lines = [line.split() for line in parameters.read_text().splitlines()]
    return {name: np.array(values, dtype=float) for name, *values in lines}


def golden(n, d, K, seed):
    """The contents of one file: the table, the start and flexmix's parameters."""
    X, y, labels = draw(n, d, K, seed)
    fitted = run_flexmix(X, y, labels, K)
    return {
        "X": X.tolist(),
        "y": y.tolist(),
        "labels": labels.tolist(),
        "expert_intercept": fitted["intercept"].tolist(),
        "expert_coef": fitted["coef"].reshape(d, K).tolist(),
        "sigma": fitted["sigma"].tolist(),
        "gate_intercept": fitted["gate"][:K].tolist(),
        "gate_coef": fitted["gate"][K:].reshape(d, K).tolist(),
        "log_likelihood": fitted["log_likelihood"][0],
    }


def main():
    """Write one file for each size."""
    for seed, (n, d, K) in enumerate(SIZES):
        text = json.dumps(golden(n, d, K, seed), separators=(",", ":"))
        # No time stamp, so that the same fit gives the same file.
        packed = gzip.compress(text.encode(), mtime=0)
        (HERE / f"flexmix_n{n}_d{d}_k{K}.json.gz").write_bytes(packed)


if __name__ == "__main__":
    main()
