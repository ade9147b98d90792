"""Two layers as a gate: borders of any shape, found by L-BFGS on soft targets."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.optimize
from sklearn.utils import check_random_state

from .._numeric import Array, log_normalize
from .._validation import Interval
from ..logit import blocks_of, design_sums, scores_of, softmax_columns
from ._base import Gate
from ._encoded import SearchingGate
from ._table import GateTable

Shape = tuple[int, int]
# Steps of L-BFGS in the first iteration of EM, whose responsibilities are still crude, and in each
# later one.
FIRST, BRIEF = 50, 10
# After this many steps the weights are put on a grid. L-BFGS doubles rounding errors every few
# steps; on the grid they start anew, so neither the order of rows, nor weights in place of repeats,
# decide anything.
LEG, GRID = 20, 2.0**20


class MLPGate(SearchingGate):
    """A network of one hidden layer, whose softmax output is fitted to responsibilities.

    Minimises the cross-entropy between the responsibilities and the gate probabilities plus an L2
    penalty on the weights of both layers, the intercepts excepted, by full-batch L-BFGS. The hidden
    units are hyperbolic tangents of the standardised, encoded features, so that the gate is smooth
    and its scores stay bounded far away. Columns are encoded as `SoftmaxGate` does.

    Parameters
    ----------
    hidden_units : int, default=32
        Number of hidden units.
    alpha : float, default=1.0
        Strength of the L2 penalty, at least 0, on the scale of summed sample weights.
    max_iter : int, default=200
        Largest number of L-BFGS steps in one fit.
    tol : float, default=1e-5
        A fit ends when a step lowers the objective, per unit of sample weight, by less than `tol`
        times the larger of the objective and one.
    random_state : int, RandomState instance or None, default=None
        Seeds the first weights of the hidden units.

    Attributes
    ----------
    hidden_coef_ : ndarray of shape (hidden_units, n_encoded_features)
        Weights of the hidden units.
    hidden_intercept_ : ndarray of shape (hidden_units,)
        Their intercepts.
    coef_ : ndarray of shape (n_experts, hidden_units)
        Weights of the experts' scores.
    intercept_ : ndarray of shape (n_experts,)
        Their intercepts.
    encoder_ : TabularEncoder
        How the features are standardised and encoded.
    n_experts_ : int
        Number of experts.
    n_iter_ : int
        Steps taken by the solver.

    References
    ----------
    C. M. Bishop, "Mixture density networks", technical report NCRG/94/004, Aston University, 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe.gates import MLPGate
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> inside = (X**2).sum(axis=1) < 1.0
    >>> gate = MLPGate(random_state=0).fit(X, np.column_stack([inside, ~inside]))
    >>> gate.predict_proba([[0.0, 0.0], [0.0, 2.0]]).round(2)
    array([[1., 0.],
           [0., 1.]])
    """

    _parameter_constraints = {
        "hidden_units": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        hidden_units: int = 32,
        *,
        alpha: float = 1.0,
        max_iter: int = 200,
        tol: float = 1e-5,
        random_state: Any = None,
    ) -> None:
        self.hidden_units = hidden_units
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit_table(
        self,
        table: GateTable,
        expert_weights: Array,
        start: Gate | None = None,
        brief: bool = False,
    ) -> MLPGate:
        targets = np.ascontiguousarray(expert_weights.T)
        problem = SoftNetwork(table.Z, targets, self.hidden_units, float(self.alpha))
        first = _layers_of(start, problem.shapes)
        enough = (BRIEF if first else FIRST) if brief else self.max_iter
        steps = min(enough, self.max_iter)
        first = first or self._random_layers(*problem.shapes)
        layers, self.n_iter_ = problem.solve(first, steps, self.tol)
        self.hidden_coef_, self.hidden_intercept_ = layers[0][:, :-1], layers[0][:, -1]
        self.coef_, self.intercept_ = layers[1][:, :-1], layers[1][:, -1]
        self.encoder_, self.n_experts_ = table.encoder, len(targets)
        return self

    def _random_layers(self, hidden: Shape, scores: Shape) -> tuple[Array, Array]:
        """Hidden units that are random, whatever the rows, and zeros for the layer of scores."""
        first = check_random_state(self.random_state).standard_normal(hidden)
        first[:, :-1] /= np.sqrt(max(hidden[1] - 1, 1))
        return first, np.zeros(scores)

    def _layers(self) -> tuple[Array, Array]:
        hidden = np.column_stack([self.hidden_coef_, self.hidden_intercept_])
        return hidden, np.column_stack([self.coef_, self.intercept_])

    def log_proba_encoded(self, Z: Any) -> Array:
        hidden, scores = self._layers()
        logits = np.empty((len(scores), Z.shape[0]))
        for rows in blocks_of(Z, len(hidden)):
            logits[:, rows] = scores_of(np.tanh(scores_of(Z[rows], hidden)).T, scores)
        return log_normalize(logits.T)[0]

    def penalty(self) -> float:
        squares = (self.hidden_coef_**2).sum() + (self.coef_**2).sum()
        return 0.5 * self.alpha * float(squares)


@dataclass(frozen=True)
class SoftNetwork:
    """The problem: encoded rows `Z` (n, d), soft targets (K, n), hidden units, L2 penalty."""

    Z: Any
    targets: Array
    hidden_units: int
    alpha: float

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        """Shapes of the two layers; the last column of each is the intercept."""
        n_hidden = self.hidden_units
        return (n_hidden, self.Z.shape[1] + 1), (len(self.targets), n_hidden + 1)

    def evaluate(self, hidden: Array, scores: Array) -> tuple[float, Array, Array]:
        """Objective and its gradient along both layers, in one pass over the rows."""
        loss, slopes = 0.0, [np.zeros(shape) for shape in self.shapes]
        for rows in blocks_of(self.Z, self.hidden_units):
            Z, target = self.Z[rows], self.targets[:, rows]
            total = target.sum(axis=0)
            units = scores_of(Z, hidden)
            np.tanh(units, out=units)
            logits, error, log_sum = softmax_columns(scores_of(units.T, scores))
            loss += float(total @ log_sum) - float(np.vdot(target, logits))
            error *= total
            error -= target
            slopes[1] += design_sums(units.T, error)
            np.square(units, out=units)
            np.subtract(1.0, units, out=units)
            units *= scores[:, :-1].T @ error
            slopes[0] += design_sums(Z, units)
        for layer, slope in zip((hidden, scores), slopes, strict=True):
            loss += 0.5 * self.alpha * float((layer[:, :-1] ** 2).sum())
            slope[:, :-1] += self.alpha * layer[:, :-1]
        return loss, slopes[0], slopes[1]

    def solve(
        self, start: tuple[Array, Array], max_iter: int, tol: float
    ) -> tuple[tuple[Array, Array], int]:
        """The layers of least objective that L-BFGS finds, and its number of steps."""
        total, cut = self.targets.sum(), start[0].size

        def layers(flat: Array) -> tuple[Array, Array]:
            return flat[:cut].reshape(self.shapes[0]), flat[cut:].reshape(self.shapes[1])

        def objective(flat: Array) -> tuple[float, Array]:
            loss, *slopes = self.evaluate(*layers(flat))
            return loss / total, np.concatenate([slope.ravel() for slope in slopes]) / total

        at, n_iter = np.concatenate([layer.ravel() for layer in start]), 0
        while n_iter < max_iter:
            steps = min(LEG, max_iter - n_iter)
            options = {"maxiter": steps, "ftol": tol, "gtol": 0.0}
            found = scipy.optimize.minimize(
                objective, at, jac=True, method="L-BFGS-B", options=options
            )
            at, n_iter = np.rint(found.x * GRID) / GRID, n_iter + int(found.nit)
            if found.nit < steps:
                break
        return layers(at), n_iter


def _layers_of(gate: Gate | None, shapes: tuple[Shape, Shape]) -> tuple[Array, Array] | None:
    """The layers of a fitted gate, if they have these shapes."""
    if not isinstance(gate, MLPGate):
        return None
    hidden, scores = gate._layers()
    return (hidden, scores) if (hidden.shape, scores.shape) == shapes else None
