"""Where the experts' rows lie, as normal laws: a gate in closed form."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from .._grams import weighted_grams
from .._numeric import Array, experts_first, log_normalize, safe_log, weighted_moments
from .._validation import Interval, StrOptions
from ..logit import blocks_of
from ._base import Gate
from ._encoded import EncodedGate
from ._table import GateTable

# A variance of an encoded column that can only be rounding noise.
CONSTANT = 1e-12
# A standard deviation, in units of that of the whole table, that can only be rounding noise.
NO_SPREAD = 1e-10
# A weight that matters only where nothing else has any.
NO_WEIGHT = 1e-200
# Beyond this many standard deviations all rows are equally far: squares must stay finite.
FARTHEST = 1e100


class GaussianGate(EncodedGate):
    """A normal law of the features for each expert, and Bayes' rule.

    The gate of a localised mixture of experts: the mixing proportion of an expert, and the mean and
    covariance of its rows in the standardised, encoded table, are weighted moments, so that a fit
    needs no search. The probability of an expert is in proportion to its mixing proportion times
    its density. Borders are quadrics; an expert may own an island. Columns are encoded as
    `SoftmaxGate` does; sparse input is made dense, and constant columns are left out.

    Parameters
    ----------
    covariance_type : {"full", "diag"}, default="full"
        Whether the features of an expert's rows may be correlated.
    pseudo_count : float, default=1.0
        Weight, in rows, of the covariance of the whole table in that of each expert. With 0, an
        expert's covariance is that of its own rows alone.
    reg_covar : float, default=1e-6
        Added to all variances, as a fraction of the column's variance in the whole table.

    Attributes
    ----------
    mixing_proportions_ : ndarray of shape (n_experts,)
        Proportion of each expert; they sum to one.
    means_ : ndarray of shape (n_experts, n_used)
        Means of the encoded features that are not constant.
    covariances_ : ndarray of shape (n_experts, n_used, n_used) or (n_experts, n_used)
        Covariances, or variances if `covariance_type` is "diag".
    used_ : ndarray of shape (n_used,)
        Positions of the encoded features that are not constant.
    encoder_ : TabularEncoder
        How the features are standardised and encoded.
    n_experts_ : int
        Number of experts.

    Notes
    -----
    If `pseudo_count` is 0, EM without cross-fitting raises the joint likelihood of target and
    features: ``log_prob(X, y)`` of the mixture plus `log_density` of its gate. The likelihood of
    the target given the features, which is the bound of the mixture, may fall.

    References
    ----------
    L. Xu, M. I. Jordan and G. E. Hinton, "An alternative model for mixtures of experts", Advances
    in Neural Information Processing Systems 7, 1995.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe.gates import GaussianGate
    >>> X = np.array([[-3.0], [-2.9], [-0.1], [0.1], [2.9], [3.0]])
    >>> near_zero = np.array([0, 0, 1, 1, 0, 0])
    >>> gate = GaussianGate(pseudo_count=0).fit(X, np.column_stack([near_zero, 1 - near_zero]))
    >>> gate.predict_proba([[0.0], [-3.0], [1.5]]).round(2)
    array([[0.94, 0.06],
           [0.  , 1.  ],
           [0.  , 1.  ]])
    """

    _parameter_constraints = {
        "covariance_type": [StrOptions({"full", "diag"})],
        "pseudo_count": [Interval(Real, 0, None, closed="left")],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        covariance_type: str = "full",
        *,
        pseudo_count: float = 1.0,
        reg_covar: float = 1e-6,
    ) -> None:
        self.covariance_type = covariance_type
        self.pseudo_count = pseudo_count
        self.reg_covar = reg_covar

    def fit_table(
        self,
        table: GateTable,
        expert_weights: Array,
        start: Gate | None = None,
        brief: bool = False,
    ) -> GaussianGate:
        """Fit as `fit` does, to rows that other gates look at too; there is nothing to search for.

        Parameters
        ----------
        table : GateTable
            The rows, and their encoded form.
        expert_weights : array-like of shape (n_samples, n_experts)
            Responsibilities times sample weights.
        start : Gate, default=None
            Not used.
        brief : bool, default=False
            Not used.

        Returns
        -------
        self : GaussianGate
            The fitted gate.

        Raises
        ------
        ValueError
            If a covariance cannot be inverted.
        """
        Z, weight = _dense(table.Z), table.sample_weight
        variance = weighted_moments(Z, weight)[1]
        used = np.flatnonzero(variance > CONSTANT)
        Z, diagonal = Z[:, used], self.covariance_type == "diag"
        centre, whole = _moments(Z, weight, diagonal)
        floor = self.reg_covar * variance[used]
        floor = floor if diagonal else np.diag(floor)

        mass = expert_weights.sum(axis=0)
        found = [_moments(Z, column, diagonal, centre) for column in expert_weights.T]
        prior = max(float(self.pseudo_count), NO_WEIGHT)
        covariances = np.array(
            [
                (own * covariance + prior * whole) / (own + prior) + floor
                for own, (_, covariance) in zip(mass, found, strict=True)
            ]
        )
        self._factors = _inverse_roots(covariances)  # it may raise, so it comes first
        self.covariances_, self.used_ = covariances, used
        self.means_ = np.array([mean for mean, _ in found])
        self.mixing_proportions_ = mass / mass.sum()
        self.encoder_, self.n_experts_ = table.encoder, len(mass)
        return self

    def log_proba_encoded(self, Z: Any) -> Array:
        return log_normalize(self._log_joint(Z))[0]

    def log_density(self, X: Any) -> Array:
        """Log density of rows in the encoded table, under the mixture of the experts' laws.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Natural logarithm of the density of the encoded features that are not constant.
        """
        check_is_fitted(self, "encoder_")
        return log_normalize(self._log_joint(self._encode(X)))[1]

    def count_parameters(self) -> int:
        """Number of free parameters.

        Returns
        -------
        count : int
            Those of the joint law of features and expert: mixing proportions, means and
            covariances. The gate probabilities alone could be written with fewer.
        """
        n_experts, n_used = self.means_.shape
        spread = n_used if self.covariance_type == "diag" else n_used * (n_used + 1) // 2
        return n_experts * (1 + n_used + spread) - 1

    def _log_joint(self, Z: Any) -> Array:
        """Log of mixing proportion times density (n, K) of encoded rows."""
        joint = experts_first(Z.shape[0], self.n_experts_)
        for rows in blocks_of(Z, 1):
            block = np.clip(_dense(Z[rows])[:, self.used_], -FARTHEST, FARTHEST)
            for mean, factor, column in zip(self.means_, self._factors, joint.T, strict=True):
                apart = block - mean
                apart = apart * factor if factor.ndim == 1 else apart @ factor.T
                column[rows] = -0.5 * np.einsum("ij,ij->i", apart, apart)
        scales = self._factors
        if scales.ndim == 3:
            scales = np.diagonal(scales, axis1=1, axis2=2)
        joint += safe_log(self.mixing_proportions_) + np.log(scales).sum(axis=1)
        return joint - 0.5 * np.log(2.0 * np.pi) * len(self.used_)


def _dense(Z: Any) -> Array:
    return Z.toarray() if sp.issparse(Z) else Z


def _moments(
    Z: Array, weight: Array, diagonal: bool, centre: Array | None = None
) -> tuple[Array, Array]:
    """Weighted mean and covariance, or variances; `centre` is the mean where nothing weighs."""
    total = weight.sum() + NO_WEIGHT
    mean = (weight @ Z + (0.0 if centre is None else NO_WEIGHT * centre)) / total
    apart = Z - mean
    if diagonal:
        return mean, weight @ np.square(apart, out=apart) / total
    return mean, weighted_grams(apart, weight[None])[0] / total


def _inverse_roots(covariances: Array) -> Array:
    """For each covariance a matrix F (or a vector) with F'F its inverse.

    Raises
    ------
    ValueError
        If a covariance has no inverse.
    """
    roots = np.sqrt(covariances) if covariances.ndim == 2 else _cholesky(covariances)
    pivots = roots if roots.ndim == 2 else np.diagonal(roots, axis1=1, axis2=2)
    if (pivots > NO_SPREAD).all():
        return 1.0 / roots if roots.ndim == 2 else np.linalg.inv(roots).astype(np.float64)
    raise ValueError(
        "The rows of an expert have a covariance without an inverse. Raise reg_covar or "
        'pseudo_count of the GaussianGate, or use covariance_type="diag".'
    )


def _cholesky(covariances: Array) -> Array:
    """Lower factors of the covariances; zeros if there are none."""
    try:
        return np.linalg.cholesky(covariances).astype(np.float64)
    except np.linalg.LinAlgError:
        return np.zeros_like(covariances)
