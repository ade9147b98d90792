"""Mixtures among the experts of a mixture, unfolded so that all are fitted as one model.

A mixture of mixtures is a mixture of all experts at the leaves, under a gate that first chooses a
branch and then, by the branch's own gate, an expert of it. EM for the flat mixture with that gate
is EM for the hierarchy (Jordan and Jacobs, 1994): what a branch is responsible for is what its own
density, that of all its experts, says it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._validation import check_experts, routed_params
from .families import FAMILIES
from .gates import HierarchicalGate
from .gates._resolve import gates_to_try
from .weighting import is_mixture

# Parameters of the model, not of a branch: a branch may repeat them but not differ.
ONE_FOR_ALL = (
    *("family", "outlier_fraction", "calibrate", "lean", "voting", "top_k", "balance"),
    *("ensemble", "extrapolation"),
)
# Estimators that only the whole can have.
OF_THE_WHOLE = ("dispersion_estimator", "shared_expert")


@dataclass(frozen=True)
class Unfolded:
    """The experts at the leaves, gates that may lead to them, and their metadata by name."""

    leaves: list[tuple[str, Any]]
    gates: list[Any]
    params: dict[str, dict]


def unfold(mixture: Any, params: dict[str, dict], n_experts: int | None = None) -> Unfolded:
    """The flat mixture that `mixture` stands for; `params` are the metadata of its parts.

    `n_experts` is the number of its clones, if the mixture does not say it itself.

    An expert of a mixture named `branch` goes by `branch/expert`. A shared expert is no branch: if
    it is a mixture, it is fitted by itself.
    """
    leaves: list[tuple[str, Any]] = []
    sizes: list[int] = []
    within: list[Any] = []
    known = dict(params)
    for name, expert in mixture._named_experts(n_experts):
        if not is_mixture(expert) or name == "shared_expert":
            leaves.append((name, expert))
            sizes.append(1)
            within.append(None)
            continue
        _check_branch(mixture, name, expert)
        branch = unfold(expert, routed_params(expert, params.get(name, {})))
        leaves += [(f"{name}/{leaf}", estimator) for leaf, estimator in branch.leaves]
        known |= {f"{name}/{leaf}": branch.params.get(leaf, {}) for leaf, _ in branch.leaves}
        sizes.append(len(branch.leaves))
        within.append(branch.gates[0])
        _refuse_gate_metadata(name, branch.params)
    _check_names([name for name, _ in leaves])
    gates = gates_to_try(mixture.gate)
    if all(gate is None for gate in within):
        return Unfolded(leaves, gates, known)
    _refuse_gate_metadata("the mixture", params)
    return Unfolded(leaves, [HierarchicalGate(sizes, gate, within) for gate in gates], known)


def _law_of_name(value: Any) -> Any:
    """The noise law that a parameter names; what names none is itself."""
    return FAMILIES[value]() if isinstance(value, str) and value in FAMILIES else value


def _check_branch(mixture: Any, name: str, branch: Any) -> None:
    """Raise if a branch asks for another model than the whole: it has no fit of its own."""
    branch._validate_params()
    check_experts(branch)
    if branch._grows:
        raise ValueError(
            f"Expert {name!r} is a mixture with n_experts='auto', but branches of a hierarchy are "
            "fitted together. Give it a number of experts."
        )
    if isinstance(branch.gate, str):
        raise ValueError(
            f"Expert {name!r} is a mixture with gate={branch.gate!r}, but a fit chooses only the "
            "gate over the branches. Give this branch a gate, such as SoftmaxGate()."
        )
    usual = type(branch)().get_params(deep=False)
    whole, own = mixture.get_params(deep=False), branch.get_params(deep=False)
    for param in (*ONE_FOR_ALL, *OF_THE_WHOLE):
        allowed = (usual.get(param), None if param in OF_THE_WHOLE else whole.get(param))
        if _law_of_name(own.get(param)) not in map(_law_of_name, allowed):
            raise ValueError(
                f"Expert {name!r} is a mixture, which is fitted as one model with the whole, and "
                f"has {param}={own[param]!r}. Set {param} of the whole mixture only."
            )


def _check_names(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"Several experts go by the names {twice} once branches are unfolded. Rename them."
        )


def _refuse_gate_metadata(name: str, params: dict[str, dict]) -> None:
    if params.get("gate"):
        raise ValueError(
            f"Metadata {sorted(params['gate'])} is requested by the gate of {name!r}, but gates of "
            "a hierarchy take none. Unset the request."
        )
