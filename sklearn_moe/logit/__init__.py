"""Multinomial logits on soft targets: one alone, or many over the same rows and folds."""

from ._few_rows import folded_logits
from ._folds import SETTLED, FoldedLogits, Targets
from ._problem import (
    NEWTON_LIMIT,
    SoftLogit,
    blocks_of,
    design_sums,
    proba_columns,
    row_scores,
    scores_of,
    softmax_columns,
    solve,
    sum_zero_basis,
)
from ._standardised import StandardisedRows

__all__ = [
    "NEWTON_LIMIT",
    "SETTLED",
    "FoldedLogits",
    "SoftLogit",
    "StandardisedRows",
    "Targets",
    "blocks_of",
    "design_sums",
    "folded_logits",
    "proba_columns",
    "row_scores",
    "scores_of",
    "softmax_columns",
    "solve",
    "sum_zero_basis",
]
