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


def draw_regions(rng, n, d, K):
    """Features, rounded, and the true expert of each row: softmax regions that overlap."""
    X = rng.standard_normal((n, d)).round(3)
    scores = X @ rng.normal(scale=2 / np.sqrt(d), size=(d, K)) + rng.normal(scale=0.3, size=K)
    return X, (scores + rng.gumbel(size=(n, K))).argmax(axis=1)


def noisy_labels(rng, expert, K):
    """The true expert of four rows in five and a random one elsewhere."""
    return np.where(rng.random(len(expert)) < 0.8, expert, rng.integers(K, size=len(expert)))


def start_of(labels, K):
    """Starting responsibilities (n, K) of these labels."""
    return 0.9 * np.eye(K)[labels] + 0.1 / K


def draw(n, d, K, seed):
    """Features, targets and noisy labels; rounded, so that the file is the table."""
    rng = np.random.default_rng(seed)
    X, expert = draw_regions(rng, n, d, K)
    mean = X @ rng.normal(size=(d, K)) + 1.5 * rng.permutation(K)
    sigma = rng.uniform(0.2, 0.6, size=K)
    y = mean[np.arange(n), expert] + sigma[expert] * rng.standard_normal(n)
    return X, y.round(4), noisy_labels(rng, expert, K)


def run_flexmix(script, X, y, resp):
    """What flexmix returns from the start `resp`, as numbers by name."""
    d, K = X.shape[1], resp.shape[1]
    names = ["y", *(f"x{j + 1}" for j in range(d)), *(f"r{k + 1}" for k in range(K))]
    with tempfile.TemporaryDirectory() as folder:
        table, parameters = Path(folder, "table.csv"), Path(folder, "parameters.txt")
        rows = np.column_stack([y, X, resp])
        np.savetxt(table, rows, "%.17g", delimiter=",", header=",".join(names), comments="")
        subprocess.run(["Rscript", HERE / script, table, parameters], check=True)
        lines = [line.split() for line in parameters.read_text().splitlines()]
    return {name: np.array(values, dtype=float) for name, *values in lines}


def write(name, contents):
    """Write one golden file."""
    text = json.dumps(contents, separators=(",", ":"))
    # No time stamp, so that the same fit gives the same file.
    (HERE / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def golden(n, d, K, seed):
    """The contents of one file: the table, the start and flexmix's parameters."""
    X, y, labels = draw(n, d, K, seed)
    fitted = run_flexmix("flexmix.R", X, y, start_of(labels, K))
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
        write(f"flexmix_n{n}_d{d}_k{K}", golden(n, d, K, seed))


if __name__ == "__main__":
    main()
