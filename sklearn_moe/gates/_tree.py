"""A decision tree as a gate: regions whose borders are thresholds of single columns."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.tree import DecisionTreeRegressor

from .._numeric import Array, safe_log
from .._validation import Interval
from ._base import Gate
from ._encoded import EncodedGate, rows_of_weight, shares_and_weights
from ._table import GateTable

# The order in which columns that divide the rows equally well are preferred.
SEED = 0
# Standard deviations from the mean beyond which no threshold lies.
FAR = 1e30
# What a leaf may lack of its least weight, for sums of weights are rounded.
ROUNDING = 1e-9


class TreeGate(EncodedGate):
    """A decision tree that is fitted to the responsibilities: borders of rules on single columns.

    Each split is the one after which the responsibilities scatter least around their means in the
    two parts, in squares. The probabilities of a node are the means of its rows, pulled to those of
    the node above it as much as `pseudo_count` rows would do (Agarwal et al., 2022), from the root
    down: a leaf of few rows is not sure. Columns are encoded as `SoftmaxGate` does.

    Parameters
    ----------
    max_leaf_nodes : int, default=16
        Largest number of leaves, at least 2; the splits that divide the rows best come first.
    min_leaf_weight : float, default=10.0
        Least sum of sample weights of a leaf, at least 0.
    pseudo_count : float, default=1.0
        Weight of the node above among the rows of a node, positive.

    Attributes
    ----------
    tree_ : DecisionTreeRegressor
        The fitted tree, of the encoded columns: thresholds of numbers are in standard deviations
        from the mean.
    node_proba_ : ndarray of shape (n_nodes, n_experts)
        Probabilities of the experts in each node of ``tree_.tree_``.
    encoder_ : TabularEncoder
        How the features are standardised and encoded.
    n_experts_ : int
        Number of experts.

    References
    ----------
    A. Agarwal, Y. S. Tan, O. Ronen, C. Singh, B. Yu, "Hierarchical shrinkage: improving the
    accuracy and interpretability of tree-based models", ICML 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe.gates import TreeGate
    >>> X = np.random.default_rng(0).uniform(size=(300, 2))
    >>> corner = (X > 0.5).all(axis=1)
    >>> gate = TreeGate().fit(X, np.column_stack([corner, ~corner]))
    >>> gate.predict_proba([[0.9, 0.9], [0.9, 0.1]]).round(2)
    array([[0.99, 0.01],
           [0.  , 1.  ]])
    """

    _parameter_constraints = {
        "max_leaf_nodes": [Interval(Integral, 2, None, closed="left")],
        "min_leaf_weight": [Interval(Real, 0, None, closed="left")],
        "pseudo_count": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        max_leaf_nodes: int = 16,
        *,
        min_leaf_weight: float = 10.0,
        pseudo_count: float = 1.0,
    ) -> None:
        self.max_leaf_nodes = max_leaf_nodes
        self.min_leaf_weight = min_leaf_weight
        self.pseudo_count = pseudo_count

    def fit_table(
        self,
        table: GateTable,
        expert_weights: Array,
        start: Gate | None = None,
        brief: bool = False,
    ) -> TreeGate:
        Z, expert_weights, _ = rows_of_weight(table.Z, expert_weights, {})
        share, weight = shares_and_weights(expert_weights)
        least_part = (1.0 - ROUNDING) * self.min_leaf_weight / weight.sum()
        tree = DecisionTreeRegressor(
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_split=2 if least_part < 0.5 else max(2, len(weight) + 1),
            min_weight_fraction_leaf=min(least_part, 0.5),
            random_state=SEED,
        )
        self.tree_ = tree.fit(Z, share, sample_weight=weight)
        self.node_proba_ = shrunk_means(tree.tree_, self.pseudo_count)
        self.encoder_, self.n_experts_ = table.encoder, share.shape[1]
        return self

    def log_proba_encoded(self, Z: Any) -> Array:
        return safe_log(self.node_proba_)[self.tree_.apply(in_single_precision(Z))]


def in_single_precision(Z: Any) -> Any:
    """The rows as trees read them, whose entries are not so far away that sums overflow."""
    values = np.clip(Z.data if sp.issparse(Z) else Z, -FAR, FAR).astype(np.float32)
    return sp.csr_matrix((values, Z.indices, Z.indptr), Z.shape) if sp.issparse(Z) else values


def shrunk_means(tree: Any, pseudo_count: float) -> Array:
    """Mean shares (nodes, K) of the experts in each node, pulled to those of the node above it."""
    mass, means = tree.weighted_n_node_samples, tree.value.reshape(tree.node_count, -1).copy()
    for above in np.flatnonzero(tree.children_left >= 0):  # a node comes before those below it
        for node in (tree.children_left[above], tree.children_right[above]):
            means[node] *= mass[node]
            means[node] += pseudo_count * means[above]
            means[node] /= mass[node] + pseudo_count
    return means / means.sum(axis=1, keepdims=True)
