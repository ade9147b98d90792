"""Multinomial logits on soft targets: one alone, or many over the same rows and folds."""

from ._basis import sum_zero_basis
from ._curvature import learners_of
from ._few_rows import folded_logits
from ._folds import SETTLED, FoldedLogits, Targets, damped_size
from ._problem import EXACT_LIMIT, NEWTON_LIMIT, SoftLogit, newton_step, solve
from ._products import (
    blocks_of,
    design_sums,
    fold_blocks,
    is_at_hand,
    numbers_of,
    row_scores,
    scores_of,
    sums_of_rows,
    weighted_design_grams,
    weights_of_numbers,
    whole,
)
from ._scores import among_present, class_weights, proba_columns, softmax_columns
from ._standardised import FAR_FROM_ZERO, StandardisedRows

__all__ = [
    "EXACT_LIMIT",
    "FAR_FROM_ZERO",
    "NEWTON_LIMIT",
    "SETTLED",
    "FoldedLogits",
    "SoftLogit",
    "StandardisedRows",
    "Targets",
    "among_present",
    "blocks_of",
    "class_weights",
    "damped_size",
    "design_sums",
    "fold_blocks",
    "folded_logits",
    "is_at_hand",
    "learners_of",
    "newton_step",
    "numbers_of",
    "proba_columns",
    "row_scores",
    "scores_of",
    "softmax_columns",
    "solve",
    "sum_zero_basis",
    "sums_of_rows",
    "weighted_design_grams",
    "weights_of_numbers",
    "whole",
]
