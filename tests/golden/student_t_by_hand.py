"""Make the golden files `student_t_*.json.gz`: heavy-tailed tables, and Student-t mixtures of them.

The model is ``p(y | x) = sum_k gate_k(x) t(y | a_k + b_k x, scale_k^2, df_k)`` with a softmax gate,
the density of ``a_k + b_k x + scale_k * T`` where T is standard Student with df_k degrees of
freedom. Nothing is penalised or bounded. The log-likelihood is maximised over all parameters at
once, by quasi-Newton and then Newton steps, without EM: another road to the same top. It begins
where one M-step of Gaussian experts from the start leads, with ten degrees of freedom for each
expert. The first expert's gate coefficients are zero.

Run by hand: `python tests/golden/student_t_by_hand.py`. The tests read the files only.
"""

from typing import Any

import numpy as np
from make_flexmix import draw_regions, noisy_labels, start_of, write
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import digamma, log_softmax, logsumexp
from scipy.stats import t as student

SIZES = [(400, 1, 2), (600, 2, 2)]
FIRST_DF = 10.0


def draw(n: int, d: int, K: int, seed: int) -> tuple[NDArray, NDArray, NDArray]:
    """Features, targets and noisy labels; rounded, so that the file is the table."""
    rng = np.random.default_rng(seed)
    X, expert = draw_regions(rng, n, d, K)
    mean = X @ rng.normal(size=(d, K)) + 3.0 * rng.permutation(K)
    scale, df = rng.uniform(0.3, 0.6, size=K), rng.uniform(2.0, 5.0, size=K)
    y = mean[np.arange(n), expert] + scale[expert] * rng.standard_t(df[expert])
    return X, y.round(4), noisy_labels(rng, expert, K)


def split(theta: NDArray, width: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Gate (width, K) and experts (width, K), intercepts first; log squared scales, log df (K,).

    `theta` holds them in this order, without the first column of the gate, which is zero.
    """
    K = (len(theta) + width) // (2 * width + 2)
    n_gate, n_experts = width * (K - 1), width * K
    gate = np.column_stack([np.zeros(width), theta[:n_gate].reshape(width, K - 1)])
    experts = theta[n_gate : n_gate + n_experts].reshape(width, K)
    return gate, experts, *np.split(theta[n_gate + n_experts :], 2)


def log_joint(theta: NDArray, Z: NDArray, y: NDArray) -> NDArray:
    """log gate + log density (n, K) on the design `Z`, whose first column is one."""
    gate, experts, log_scale2, log_df = split(theta, Z.shape[1])
    log_prob = student.logpdf(y[:, None], np.exp(log_df), Z @ experts, np.exp(0.5 * log_scale2))
    return log_softmax(Z @ gate, axis=1) + log_prob


def loss(theta: NDArray, Z: NDArray, y: NDArray) -> float:
    """The negative log-likelihood."""
    return -logsumexp(log_joint(theta, Z, y), axis=1).sum()


def gradient(theta: NDArray, Z: NDArray, y: NDArray) -> NDArray:
    """The gradient of `loss`."""
    gate, experts, log_scale2, log_df = split(theta, Z.shape[1])
    joint = log_joint(theta, Z, y)
    resp = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    df, residual = np.exp(log_df), y[:, None] - Z @ experts
    square = residual**2 / np.exp(log_scale2)
    latent = (df + 1) / (df + square)  # the smaller, the further out a row lies
    in_gate = Z.T @ (resp - np.exp(log_softmax(Z @ gate, axis=1)))
    in_experts = Z.T @ (resp * latent * residual) / np.exp(log_scale2)
    in_scale2 = 0.5 * (resp * (latent * square - 1)).sum(axis=0)
    constant = df * (digamma((df + 1) / 2) - digamma(df / 2)) - 1
    in_df = 0.5 * (resp * (constant - df * np.log1p(square / df) + latent * square)).sum(axis=0)
    return -np.concatenate([in_gate[:, 1:].ravel(), in_experts.ravel(), in_scale2, in_df])


def hessian(theta: NDArray, Z: NDArray, y: NDArray, step: float = 1e-5) -> NDArray:
    """The Hessian of `loss`, from central differences of the gradient."""
    shifts = step * np.eye(len(theta))
    columns = [gradient(theta + s, Z, y) - gradient(theta - s, Z, y) for s in shifts]
    rough = np.array(columns) / (2 * step)
    return (rough + rough.T) / 2


def first_parameters(Z: NDArray, y: NDArray, resp: NDArray) -> NDArray:
    """Where Gaussian experts and the gate come to after one M-step from `resp`."""
    width, K = Z.shape[1], resp.shape[1]
    roots = np.sqrt(resp.T)
    fits = [np.linalg.lstsq(root[:, None] * Z, root * y, rcond=None)[0] for root in roots]
    experts = np.column_stack(fits)
    variance = (resp * (y[:, None] - Z @ experts) ** 2).sum(axis=0) / resp.sum(axis=0)

    def cross_entropy(free: NDArray) -> float:
        gate = np.column_stack([np.zeros(width), free.reshape(width, K - 1)])
        return -(resp * log_softmax(Z @ gate, axis=1)).sum()

    gate = minimize(cross_entropy, np.zeros(width * (K - 1))).x
    log_df = np.full(K, np.log(FIRST_DF))
    return np.concatenate([gate, experts.ravel(), np.log(variance), log_df])


def maximise(Z: NDArray, y: NDArray, resp: NDArray) -> NDArray:
    """Parameters of the local maximum above the start `resp`."""
    table, first = (Z, y), first_parameters(Z, y, resp)
    options = {"maxiter": 10000, "maxfun": 100000, "ftol": 1e-14, "gtol": 1e-8}
    theta = minimize(loss, first, table, "L-BFGS-B", jac=gradient, options=options).x
    for _ in range(5):
        theta = theta - np.linalg.solve(hessian(theta, *table), gradient(theta, *table))
    assert np.abs(gradient(theta, *table)).max() < 1e-8 * len(y), "not stationary"
    assert np.linalg.eigvalsh(hessian(theta, *table)).min() > 0, "not a maximum"
    return theta


def golden(n: int, d: int, K: int, seed: int) -> dict[str, Any]:
    """The contents of one file: the table, the start and the parameters of the maximum."""
    X, y, labels = draw(n, d, K, seed)
    Z = np.column_stack([np.ones(n), X])
    theta = maximise(Z, y, start_of(labels, K))
    gate, experts, log_scale2, log_df = split(theta, d + 1)
    return {
        "X": X.tolist(),
        "y": y.tolist(),
        "labels": labels.tolist(),
        "expert_intercept": experts[0].tolist(),
        "expert_coef": experts[1:].tolist(),
        "scale2": np.exp(log_scale2).tolist(),
        "df": np.exp(log_df).tolist(),
        "gate_intercept": gate[0].tolist(),
        "gate_coef": gate[1:].tolist(),
        "log_likelihood": -loss(theta, Z, y),
    }


def main() -> None:
    """Write one file for each size."""
    for seed, (n, d, K) in enumerate(SIZES):
        write(f"student_t_n{n}_d{d}_k{K}", golden(n, d, K, seed))


if __name__ == "__main__":
    main()
