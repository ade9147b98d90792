"""A gate of gates: first a group of experts, then an expert of the group."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._design import TabularEncoder
from .._numeric import Array
from .._rows import n_rows
from .._validation import check_number, fit_context, last_step, with_inputs_of
from ._base import Gate
from ._constant import ConstantGate
from ._encoded import SearchingGate, check_expert_weights
from ._pipeline import check_gate
from ._resolve import fit_gate, keeping, log_proba_of, resolve_gate
from ._table import GateTable


class HierarchicalGate(Gate):
    """The gate of a hierarchical mixture: one over groups of experts, one within each group.

    The probability of an expert is that of its group times its own within the group. The gate over
    the groups learns from the sums of their responsibilities, the gate of a group from those of its
    members. Any of them may itself be hierarchical, so a tree may have any depth. All gates that
    look at the encoded table share one encoding, learnt from the rows under their whole weights.

    Parameters
    ----------
    groups : list of int
        Sizes of the groups of consecutive experts; they sum to the number of experts.
    top : gate, classifier, regressor or Pipeline, default=None
        The gate over the groups. None is ``SoftmaxGate()``.
    within : gate, classifier, regressor, Pipeline or list of these, default=None
        The gate within a group: one for all groups, or a list with one for each. None, also in the
        list, is ``SoftmaxGate()``. A group of one needs none.

    Attributes
    ----------
    top_ : gate
        The fitted gate over the groups.
    within_ : list of gate
        The fitted gate of each group, None for a group of one.
    encoder_ : TabularEncoder
        How the features are encoded for all gates that look at the encoded table; None if no gate
        does.
    n_experts_ : int
        Number of experts.

    References
    ----------
    M. I. Jordan and R. A. Jacobs, "Hierarchical mixtures of experts and the EM algorithm", Neural
    Computation 6(2), 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe.gates import HierarchicalGate
    >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> responsibilities = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]])
    >>> gate = HierarchicalGate([2, 1]).fit(X, responsibilities)
    >>> gate.predict_proba(X).argmax(axis=1)
    array([0, 1, 2, 2])
    """

    _parameter_constraints = {"groups": ["array-like"]}

    def __init__(self, groups: list[int], top: Any = None, within: Any = None) -> None:
        self.groups = groups
        self.top = top
        self.within = within

    @classmethod
    def of_depth(cls, depth: int, branching: int = 2, gate: Any = None) -> HierarchicalGate:
        """The regular tree: `branching` ways at each of `depth` levels.

        Parameters
        ----------
        depth : int
            Number of levels; the tree is for ``branching**depth`` experts.
        branching : int, default=2
            Number of parts that each gate tells apart.
        gate : gate, classifier, regressor or Pipeline, default=None
            The gate at each node. None is ``SoftmaxGate()``.

        Returns
        -------
        gate : HierarchicalGate
            The tree, not fitted.

        Raises
        ------
        ValueError
            If `depth` is below one or `branching` below two.
        """
        check_number("depth", depth, Integral, 1)
        check_number("branching", branching, Integral, 2)
        below = cls.of_depth(depth - 1, branching, gate) if depth > 2 else gate
        return cls([branching ** (depth - 1)] * branching, gate, below)

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, expert_weights: Array) -> HierarchicalGate:
        """Fit to soft targets.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            Features, as the gates of the tree can take them.
        expert_weights : array-like of shape (n_samples, n_experts)
            Responsibilities times sample weights, none negative.

        Returns
        -------
        self : HierarchicalGate
            The fitted gate.

        Raises
        ------
        ValueError
            If `groups` do not sum to the number of experts, or `within` is a list of another
            length.
        """
        expert_weights = check_expert_weights(X, expert_weights)
        return self.fit_table(GateTable(X, expert_weights.sum(axis=1)), expert_weights)

    def fit_table(
        self,
        table: GateTable,
        expert_weights: Array,
        start: Gate | None = None,
        brief: bool = False,
    ) -> HierarchicalGate:
        self._check_groups(expert_weights.shape[1])
        top, within = self._templates()
        before, parts = _parts_of(start, len(self.groups))
        over = _fit_part(top, table, self._group_sums(expert_weights), before, brief)
        inner = [
            _fit_part(template, table, expert_weights[:, group], part, brief) if size > 1 else None
            for (size, group), template, part in zip(self._slices(), within, parts, strict=True)
        ]
        self.top_, self.within_, self.n_experts_ = over, inner, expert_weights.shape[1]
        self.encoder_ = _shared_encoder([over, *inner])
        return self

    @available_if(lambda self: self._goes_on())
    def partial_fit(self, X: Any, expert_weights: Array) -> HierarchicalGate:
        """Go on from the present solution, on new rows; for trees whose gates can all do so.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_samples, n_features)
            New rows, with the columns of those that the gate was fitted to.
        expert_weights : array-like of shape (n_samples, n_experts)
            Responsibilities times sample weights, none negative.

        Returns
        -------
        self : HierarchicalGate
            The same gate.

        Raises
        ------
        ValueError
            If the number of experts is not that of the present solution.
        """
        if not hasattr(self, "top_"):
            return self.fit(X, expert_weights)
        expert_weights = check_expert_weights(X, expert_weights, self.n_experts_)
        table = GateTable(X, expert_weights.sum(axis=1), self.encoder_)
        return self.fit_table(table, expert_weights, self)

    def predict_log_proba(self, X: Any) -> Array:
        check_is_fitted(self, "top_")
        return self.log_proba_table(GateTable(X, np.ones(n_rows(X)), self.encoder_))

    def log_proba_table(self, table: GateTable) -> Array:
        log_proba = np.repeat(log_proba_of(self.top_, table), self.groups, axis=1)
        for (_, group), gate in zip(self._slices(), self.within_, strict=True):
            if gate is not None:
                log_proba[:, group] += log_proba_of(gate, table)
        return log_proba

    def penalty(self) -> float:
        return sum(gate.penalty() for gate in self._fitted_parts())

    def count_parameters(self) -> int:
        return sum(gate.count_parameters() for gate in self._fitted_parts())

    def keeping(self, members: tuple[int, ...], n_experts: int) -> HierarchicalGate:
        self._check_groups(n_experts)
        if len(members) == n_experts:
            return self
        top, within = self._templates()
        groups = [
            tuple(m - group.start for m in members if group.start <= m < group.stop)
            for _, group in self._slices()
        ]
        left = tuple(number for number, group in enumerate(groups) if group)
        # A gate within a group of one is not used, and may be made for a larger group.
        used = [w if n > 1 else ConstantGate() for w, n in zip(within, self.groups, strict=True)]
        parts = [keeping(used[number], groups[number], self.groups[number]) for number in left]
        sizes = [len(groups[number]) for number in left]
        return HierarchicalGate(sizes, keeping(top, left, len(self.groups)), parts)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the gate and, if `deep`, of its parts.

        Parameters
        ----------
        deep : bool, default=True
            Whether to look into the parts; those of a list `within` go by `within0`, `within1`, ...

        Returns
        -------
        params : dict
            Parameter names and values.
        """
        params = super().get_params(deep=deep)
        for name, part in self._named_parts().items() if deep else ():
            params[name] = part
            if hasattr(part, "get_params"):
                params |= {f"{name}__{key}": value for key, value in part.get_params().items()}
        return params

    def set_params(self, **params: Any) -> HierarchicalGate:
        """Set parameters, also of the parts.

        Parameters
        ----------
        **params : dict
            Names as `get_params` gives them: `top__alpha`, `within__alpha` for one template,
            `within0__alpha` for the first of a list.

        Returns
        -------
        self : HierarchicalGate
            The same gate.
        """
        if "within" in params:
            self.within = params.pop("within")
        for name in [name for name in self._named_parts() if name in params]:
            self.within = list(self.within)
            self.within[int(name.removeprefix("within"))] = params.pop(name)
        return super().set_params(**params)

    def _validate_params(self) -> None:
        super()._validate_params()
        top, within = self._templates()
        for part in [top, *within]:
            check_gate(part)

    def _fitted_parts(self) -> list[Any]:
        """The fitted gates of the tree; of a pipeline its end."""
        gates = [self.top_, *self.within_]
        return [last_step(gate) for gate in gates if gate is not None]

    def _named_parts(self) -> dict[str, Any]:
        """The members of a list `within`, by name."""
        listed = self.within if isinstance(self.within, list) else []
        return {f"within{number}": part for number, part in enumerate(listed)}

    def _templates(self) -> tuple[Any, list[Any]]:
        """The resolved templates of the gate over the groups and of the gate within each."""
        listed = self.within if isinstance(self.within, list) else [self.within] * len(self.groups)
        return resolve_gate(self.top), [resolve_gate(part) for part in listed]

    def _check_groups(self, n_experts: int) -> None:
        sizes = list(self.groups)
        whole = all(isinstance(size, Integral) and size > 0 for size in sizes)
        if not whole or sum(sizes) != n_experts:
            raise ValueError(
                f"groups={self.groups!r} must be sizes, at least 1 each, that sum to the number of "
                f"experts; there are {n_experts} (a shared expert counts, and comes last)."
            )
        if isinstance(self.within, list) and len(self.within) != len(sizes):
            raise ValueError(
                f"within has {len(self.within)} gates, but there are {len(sizes)} groups. Pass one "
                "gate for all groups, or a list with one (or None) for each."
            )

    def _slices(self) -> Iterator[tuple[int, slice]]:
        """Size of each group, and the columns of its experts."""
        ends = zip(self.groups, accumulate(self.groups), strict=True)
        return ((size, slice(stop - size, stop)) for size, stop in ends)

    def _group_sums(self, expert_weights: Array) -> Array:
        return np.column_stack([expert_weights[:, g].sum(axis=1) for _, g in self._slices()])

    def _goes_on(self) -> bool:
        """Whether all gates that the tree needs can go on from where they are."""
        top, within = self._templates()
        needed = [part for part, size in zip(within, self.groups, strict=False) if size != 1]
        inner = [part for part in [top, *needed] if not isinstance(part, SearchingGate)]
        return all(isinstance(part, HierarchicalGate) and part._goes_on() for part in inner)

    def __sklearn_tags__(self) -> Any:
        top, within = self._templates()
        return with_inputs_of(super().__sklearn_tags__(), top, *within)


def branches_of(tree: HierarchicalGate, n_experts: int) -> list[tuple[int, Any]]:
    """The size of each group of the experts, and the template of the gate within it."""
    tree._check_groups(n_experts)
    return list(zip(tree.groups, tree._templates()[1], strict=True))


def _fit_part(
    template: Any, table: GateTable, expert_weights: Array, start: Any, brief: bool
) -> Any:
    """A gate of the tree; if no row has weight for it, it stays as it was, or becomes constant."""
    if expert_weights.any():
        return fit_gate(template, table, expert_weights, start, brief)
    return start or ConstantGate().fit(table.X, np.ones_like(expert_weights))


def _parts_of(start: Gate | None, n_groups: int) -> tuple[Any, list[Any]]:
    """The gates of a fitted tree of as many groups, or nothing."""
    if isinstance(start, HierarchicalGate) and len(start.within_) == n_groups:
        return start.top_, start.within_
    return None, [None] * n_groups


def _shared_encoder(gates: list[Any]) -> TabularEncoder | None:
    return next((gate.encoder_ for gate in gates if getattr(gate, "encoder_", None)), None)
