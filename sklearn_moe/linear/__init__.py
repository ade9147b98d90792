"""Plain linear experts, solved for in all weightings and folds at once.

`LeastSquares` and `Logistic` are what such experts solve. Each has a table that suits it and a
solution; both kinds look the same from outside.
"""

from ._bank import (
    LeftOut,
    Problem,
    Solution,
    Table,
    leaves_one_out,
    make_table,
    recognise,
    solve_all_rows,
    solve_left_out,
    solve_one_out,
)
from ._cross_validated import CrossValidatedLogistic
from ._evidence_ridge import EvidenceRidge
from ._labelled_table import without_steps
from ._penalty import USUAL
from ._plain import finite_numbers, predict_plain

__all__ = [
    "USUAL",
    "CrossValidatedLogistic",
    "EvidenceRidge",
    "LeftOut",
    "Problem",
    "Solution",
    "Table",
    "finite_numbers",
    "leaves_one_out",
    "make_table",
    "predict_plain",
    "recognise",
    "solve_all_rows",
    "solve_left_out",
    "solve_one_out",
    "without_steps",
]
