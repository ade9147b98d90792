"""Plain linear experts, solved for in all weightings and folds at once.

`LeastSquares`, `LogLinear` and `Logistic` are what such experts solve. Each has a bank, a table
that suits it, and a solution; all kinds look the same from outside.
"""

from ._bank import (
    LeftOut,
    LinearBank,
    Problem,
    Solution,
    make_bank,
    recognise,
)
from ._cross_validated import CrossValidatedLogistic
from ._evidence_ridge import EvidenceRidge
from ._least_squares_bank import LeastSquaresBank
from ._penalty import USUAL
from ._plain import finite_numbers, predict_plain, without_steps

__all__ = [
    "USUAL",
    "CrossValidatedLogistic",
    "EvidenceRidge",
    "LeastSquaresBank",
    "LeftOut",
    "LinearBank",
    "Problem",
    "Solution",
    "finite_numbers",
    "make_bank",
    "predict_plain",
    "recognise",
    "without_steps",
]
