"""Multinomial logits on soft targets: one alone, or many over the same rows and folds."""

from ._basis import sum_zero_basis
from ._few_rows import folded_logits
from ._folds import SETTLED, FoldedLogits, Targets
from ._problem import EXACT_LIMIT, NEWTON_LIMIT, SoftLogit, solve
from ._products import (
    blocks_of,
    design_sums,
    is_at_hand,
    numbers_of,
    row_scores,
    scores_of,
    weights_of_numbers,
)
from ._scores import class_weights, proba_columns, softmax_columns
from ._standardised import StandardisedRows

__all__ = [
    "EXACT_LIMIT",
    "NEWTON_LIMIT",
    "SETTLED",
    "FoldedLogits",
    "SoftLogit",
    "StandardisedRows",
    "Targets",
    "blocks_of",
    "class_weights",
    "design_sums",
    "folded_logits",
    "is_at_hand",
    "numbers_of",
    "proba_columns",
    "row_scores",
    "scores_of",
    "softmax_columns",
    "solve",
    "sum_zero_basis",
    "weights_of_numbers",
]
