"""Multinomial logits on soft targets: one alone, or many over the same rows and folds."""

from ._folds import FIRST_STEPS, SETTLED, FoldedLogits
from ._problem import (
    NEWTON_LIMIT,
    SoftLogit,
    design_sums,
    row_blocks,
    scores_of,
    softmax_columns,
    solve,
    sum_zero_basis,
)
from ._standardised import StandardisedRows

__all__ = [
    "FIRST_STEPS",
    "NEWTON_LIMIT",
    "SETTLED",
    "FoldedLogits",
    "SoftLogit",
    "StandardisedRows",
    "design_sums",
    "row_blocks",
    "scores_of",
    "softmax_columns",
    "solve",
    "sum_zero_basis",
]
