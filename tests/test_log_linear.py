"""Log-linear regressions for all experts and folds at once: the solutions of one fit for each."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from single_fits import fit_weighted, random_folds
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import GammaRegressor, PoissonRegressor, Ridge, TweedieRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_moe import MixtureOfExpertsRegressor, _templates
from sklearn_moe.linear import make_bank, recognise
from sklearn_moe.linear._least_squares_bank import LeastSquaresBank
from sklearn_moe.linear._log_linear import (
    LogLinearSolution,
    _weighted,
    solve_exactly,
    solve_left_out,
)
from sklearn_moe.linear._log_linear_bank import (
    GOING_ON,
    LARGEST_HESSIANS,
    NEARLY,
    LogLinearBank,
)
from sklearn_moe.linear._positive_table import LogLinear, make_positive_table
from sklearn_moe.linear._search import SETTLE, Effort

TIGHT = {"solver": "newton-cholesky", "tol": 1e-12, "max_iter": 1000}
ESTIMATORS = {
    "poisson": PoissonRegressor(alpha=0.1, **TIGHT),
    "gamma": GammaRegressor(alpha=0.01, **TIGHT),
    "tweedie": TweedieRegressor(power=1.4, alpha=0.2, **TIGHT),
    "log": TweedieRegressor(power=1, link="log", alpha=0.0, **TIGHT),
    "scaled": make_pipeline(StandardScaler(), PoissonRegressor(alpha=0.5, **TIGHT)),
}
SETTLED = Effort(300, 1e-10)


def amounts(n_samples=200, seed=0):
    """Rows, positive amounts and counts, and weights of two experts."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 3)) * [1.0, 3.0, 0.2] + [0.0, 5.0, 0.0]
    mean = np.exp(X @ [0.6, -0.2, 1.0] + 2.0)
    return X, rng.gamma(2.0, mean / 2), rng.poisson(mean), rng.dirichlet([0.4, 0.4], n_samples)


def target_for(name):
    X, amount, count, weights = amounts()
    return X, (amount if name == "gamma" else count.astype(float)), weights


def solved(problems, X, y, weights, folds=None):
    table = make_positive_table(X, y[:, None])
    if folds is None:
        return solve_exactly(problems, table, weights)
    return solve_left_out(problems, table, weights, folds, None, SETTLED)


@pytest.mark.parametrize("n_folds", [None, 2, 5])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_equals_the_estimator(name, n_folds):
    X, y, weights = target_for(name)
    estimator, folds = ESTIMATORS[name], n_folds and random_folds(len(X), n_folds)
    solution = solved([recognise(estimator)] * 2, X, y, weights, folds)
    assert solution.solved.all()
    for test in [np.arange(len(X))] if folds is None else folds:
        train = np.arange(len(X)) if folds is None else np.setdiff1d(np.arange(len(X)), test)
        for k, weight in enumerate(weights.T):
            fitted = fit_weighted(estimator, X[train], y[train], weight[train])
            np.testing.assert_allclose(solution.mean[test, k, 0], fitted.predict(X[test]), 1e-7)


def test_problems_of_several_powers_are_solved_side_by_side():
    X, y, weights = target_for("gamma")
    names = ["poisson", "gamma", "tweedie"]
    weights = np.column_stack([weights, weights.mean(axis=1)])
    together = solved([recognise(ESTIMATORS[name]) for name in names], X, y, weights)
    for k, name in enumerate(names):
        alone = solved([recognise(ESTIMATORS[name])], X, y, weights[:, [k]])
        np.testing.assert_allclose(together.theta[:, k], alone.theta[:, 0], atol=1e-9)


def test_those_that_go_on_are_not_taken_for_those_that_rest():
    """The first is shrunk away, and soon rests; another has no rows and never moves."""
    X, y, weights = target_for("gamma")
    names = ["gamma", "poisson", "tweedie"]
    problems = [recognise(PoissonRegressor(alpha=1e6)), *(recognise(ESTIMATORS[n]) for n in names)]
    weights = np.column_stack([weights, 0 * weights[:, 0], weights.mean(axis=1)])
    together = solved(problems, X, y, weights, random_folds(200, 3))
    for k in (0, 1, 3):
        alone = solved([problems[k]], X, y, weights[:, [k]], random_folds(200, 3))
        np.testing.assert_allclose(together.theta[:, k], alone.theta[:, 0], atol=1e-8)
    np.testing.assert_array_equal(together.solved, 3 * [[True, True, False, True]])


@pytest.mark.parametrize("name", ["poisson", "gamma", "tweedie"])
@pytest.mark.parametrize("n_folds", [None, 3])
def test_every_step_is_a_descent(name, n_folds):
    X, y, weights = target_for(name)
    # Rows that a whole step would overshoot, if it were not damped.
    X[:2] = [[30.0, -40.0, 5.0], [-30.0, 0.0, 5.0]]
    y[:2], weights[:2] = [100 * y.max(), 1e-3], 1.0
    problem, table = recognise(ESTIMATORS[name]), make_positive_table(X, y[:, None])
    folds = None if n_folds is None else random_folds(len(X), n_folds)
    task = _weighted([problem] * 2, table, weights, folds)
    theta = task.begin(None)
    before = objectives(task, theta)
    for _ in range(40):
        theta, _ = task.step(theta)
        after = objectives(task, theta)
        assert (after <= before + 1e-9 * np.abs(before)).all()
        before = after


def objectives(task, theta):
    """Half the deviance, but for what the outputs alone add, and the penalty (F, K)."""
    found = 0.5 * (task.ridge * theta**2).sum(axis=-1)
    Z = np.column_stack([task.table.made(), np.ones(len(task.table.y))])
    for fold, rows in enumerate(task.folds or [[]]):
        train = np.setdiff1d(np.arange(len(Z)), rows)
        for k, problem in enumerate(task.problems):
            score, y = Z[train] @ theta[fold, k], task.table.y[train]
            loss = {
                1.0: np.exp(score) - y * score,
                1.4: np.exp(0.6 * score) / 0.6 + y * np.exp(-0.4 * score) / 0.4,
                2.0: score + y * np.exp(-score),
            }[problem.power]
            found[fold, k] += task.columns[k, train] @ loss
    return found


def test_goes_on_from_an_earlier_solution():
    X, y, weights = target_for("poisson")
    problems, folds = [recognise(ESTIMATORS["poisson"])] * 2, random_folds(len(X), 3)
    bank = make_bank(LogLinear, X, y[:, None], None, len(X))
    settled = solved(problems, X, y, weights, folds)
    again = bank.solve_left_out(problems, weights, folds, settled)
    assert again.n_iter == 1
    np.testing.assert_allclose(again.mean, settled.mean, rtol=1e-8)
    others = settled.handed_on(np.array([1, 0]))
    np.testing.assert_array_equal(others.theta, settled.theta[:, ::-1])
    moved = bank.solve_left_out(problems, weights[:, ::-1], folds, others)
    np.testing.assert_allclose(moved.mean[:, ::-1], settled.mean, rtol=1e-6)
    far = bank.solve_left_out(problems, weights, folds, others)  # they settle, wherever they begin
    assert far.n_iter > 1
    np.testing.assert_allclose(far.mean, settled.mean, rtol=1e-2)


def test_an_iteration_goes_on_and_settles_from_elsewhere():
    X, y, weights = target_for("poisson")
    problems, folds = [recognise(ESTIMATORS["poisson"])] * 2, random_folds(len(X), 3)
    table = make_positive_table(X, y[:, None])
    first = solve_left_out(problems, table, weights, folds, None, Effort(2, 0.0))
    far = replace(first, is_far=True)
    for n_problems, previous, effort in (
        (2, None, SETTLE),
        (2, far, SETTLE),
        (2, first, GOING_ON),
        (1, None, NEARLY),
        (1, first.handed_on(np.array([0])), NEARLY),
    ):
        parts = problems[:n_problems], weights[:, :n_problems], folds, previous
        found = LogLinearBank(table).solve_left_out(*parts)
        expected = solve_left_out(parts[0], table, *parts[1:], effort)
        np.testing.assert_array_equal(found.theta, expected.theta)


def test_the_solution_of_all_rows_is_found_from_those_of_the_folds():
    X, y, weights = target_for("tweedie")
    problems, folds = [recognise(ESTIMATORS["tweedie"])] * 2, random_folds(len(X), 3)
    bank = make_bank(LogLinear, X, y[:, None], None, len(X))
    whole = solved(problems, X, y, weights)
    folded = solved(problems, X, y, weights, folds).without_predictions
    assert folded.for_new_rows() is None
    found = bank.solve_all_rows(problems, weights, folded)
    np.testing.assert_allclose(found.predict_new(X), whole.mean, rtol=1e-4)
    assert bank.solve_all_rows(problems, weights, folded, found).n_iter == 1


def test_what_has_no_solution_is_left_to_the_estimator():
    X, y, weights = target_for("poisson")
    weights[y > 0, 0] = 0.0
    assert solved([recognise(PoissonRegressor())] * 2, X, y, weights).solved.tolist() == [
        [False, True]
    ]
    gammas = [recognise(GammaRegressor())] * 2
    assert not solved(gammas, X, y, np.ones_like(weights)).solved.any()
    weights = np.column_stack([y > 0, y == 0]).astype(float)
    assert solved(gammas, X, y, weights).solved.tolist() == [[True, False]]
    # Zeros that one column tells apart drive its coefficient on and on.
    X[:, 0] = y == 0
    task = [recognise(PoissonRegressor(alpha=0.0))]
    assert not solved(task, X, y, np.ones((len(y), 1))).solved.any()


def test_a_problem_without_solution_before_begins_where_it_would_by_itself():
    X, y, weights = target_for("poisson")
    problems, table = [recognise(PoissonRegressor())] * 2, make_positive_table(X, y[:, None])
    lost = weights.copy()
    lost[y > 0, 0] = 0.0
    before = solve_exactly(problems, table, lost)
    task = _weighted(problems, table, weights, None)
    np.testing.assert_array_equal(task.begin(before)[0, 0], task.begin(None)[0, 0])
    np.testing.assert_array_equal(task.begin(before)[0, 1], before.theta[0, 1])


@pytest.mark.parametrize("name", ["poisson", "scaled"])
def test_polished_estimator_has_the_solution(name):
    X, y, weights = target_for(name)
    problem = recognise(ESTIMATORS[name])
    solution = solved([problem] * 2, X, y, weights)
    loose = clone(ESTIMATORS[name])
    last = loose[-1] if name == "scaled" else loose
    last.set_params(tol=1e30)
    fitted = fit_weighted(loose, X, y, weights[:, 1])
    solution.polish(fitted, 1)
    np.testing.assert_allclose(fitted.predict(X), solution.mean[:, 1, 0], rtol=1e-10)
    last = fitted[-1] if name == "scaled" else fitted
    assert last.tol == TIGHT["tol"]
    assert last.n_iter_ == solution.n_iter > 1


def test_folds_beyond_the_memory_are_left_to_the_estimators():
    X, y, weights = target_for("poisson")
    bank = make_bank(LogLinear, X, y[:, None], None, len(X))
    problems = [recognise(PoissonRegressor())] * 2
    folds = [np.array([row]) for row in range(len(X))]
    assert bank.solve_left_out(problems, weights, folds[:3]) is not None
    n_problems = LARGEST_HESSIANS // (len(folds) * (X.shape[1] + 1) ** 2) + 1
    many = np.ones((len(X), n_problems))
    assert bank.solve_left_out([problems[0]] * n_problems, many, folds) is None


def test_numbers_of_any_size_are_no_trouble():
    X, y, weights = target_for("poisson")
    weights[:2] = [0.0, 1.0]
    X[0] *= 1e6
    X[1] = -X[0]
    for folds in (None, random_folds(200, 4)):
        solution = solved([recognise(PoissonRegressor())] * 2, X, y, weights, folds)
        assert np.isfinite(solution.mean).all()
        assert np.isfinite(solution.predict_new(X)).all()
        assert solution.predict_new(X[:2])[:, 0].max() > 1e100


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_outputs_may_be_of_any_unit(unit):
    X, y, weights = target_for("gamma")
    problems, folds = [recognise(ESTIMATORS["gamma"])] * 2, random_folds(200, 3)
    for some in (None, folds):
        expected, found = (solved(problems, X, each, weights, some) for each in (y, unit * y))
        np.testing.assert_allclose(found.mean, unit * expected.mean, rtol=1e-8)
        new = expected.predict_new(X)
        np.testing.assert_allclose(found.predict_new(X), unit * new, rtol=1e-8)


def test_rows_without_weight_do_not_shorten_steps():
    X, y, weights = target_for("poisson")
    weights[0] = [0.0, 1.0]
    far = np.vstack([1e4 * X[:1], X[1:]])
    moves = []
    for rows in (X, far):
        table = make_positive_table(rows, y[:, None])
        task = _weighted([recognise(PoissonRegressor())] * 2, table, weights, None)
        moves.append(task.step(task.begin(None))[1][0])
    (own, other), (same, shorter) = moves
    np.testing.assert_allclose(same, own, rtol=1e-6)
    assert abs(shorter - other) > 1e-3


@pytest.mark.parametrize(
    "estimator",
    [
        PoissonRegressor(fit_intercept=False),
        PoissonRegressor(warm_start=True),
        PoissonRegressor(alpha=-1.0),
        TweedieRegressor(power=0),
        TweedieRegressor(power=3),
        TweedieRegressor(power=1.5, link="identity"),
        type("Own", (PoissonRegressor,), {})(),
    ],
)
def test_others_are_not_taken_for_plain(estimator):
    assert recognise(estimator) is None


def test_tables_that_do_not_suit():
    X, y = np.ones((300, 3)), np.ones((300, 1))
    assert make_positive_table(X, y) is not None
    assert make_positive_table(X, 0 * y).level == 0.0
    assert make_positive_table(X, -y) is None
    assert make_positive_table(X, np.ones((300, 2))) is None
    assert make_positive_table(np.full((300, 3), np.nan), y) is None
    assert make_positive_table(np.ones((300, 400)), y) is None


# Whole fits ---------------------------------------------------------------------------------------

PARAMS = {"n_experts": 2, "random_state": 0, "verdict": False, "n_init": 1, "init": "principal"}


def switching(n_samples=240, seed=1):
    """Counts whose rate rises with one column or falls with it, as another has it."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 3))
    return X, rng.poisson(np.exp(1.0 + np.where(X[:, 0] > 0, 0.8, -0.8) * X[:, 1]))


def fits_with_and_without(monkeypatch, expert, X, y, fit_params=None, **params):
    found = []
    for solver in (recognise, lambda estimator: None):
        monkeypatch.setattr(_templates, "recognise", solver)
        moe = MixtureOfExpertsRegressor(expert, **PARAMS | {"max_iter": 300, "tol": 1e-7} | params)
        found.append(moe.fit(X, y, **(fit_params or {})))
    return found


def amounts_far_out(y):
    far = np.where(y > 0, y, 0.5).astype(float)
    far[:3] *= 1e4
    return far


# Fits that a curvature, a penalty or a number too large for the others has led astray.
STIFF = {
    "small unit": (lambda X, y: (X * [1, 1e-10, 1], y), PoissonRegressor(), "poisson"),
    "smallest unit": (lambda X, y: (X * [1, 1, 1e-160], y), PoissonRegressor(), "poisson"),
    "any penalty": (lambda X, y: (X, y), PoissonRegressor(alpha=1e308), "poisson"),
    "large counts": (
        lambda X, y: (X, np.r_[3000, 500, 10000, y[3:]]), PoissonRegressor(alpha=1e-3), "poisson"
    ),
    "large amounts": (
        lambda X, y: (X, amounts_far_out(y)), GammaRegressor(alpha=1e-3), "gamma"
    ),
    "some law": (
        lambda X, y: (X, amounts_far_out(y)), TweedieRegressor(power=1.5, alpha=1e-3), "gamma"
    ),
    "unit of the target": (
        lambda X, y: (X, 1e135 * np.maximum(y, 0.5)), GammaRegressor(alpha=0.1), "gamma"
    ),
    "part of it": (
        lambda X, y: (X, 1e-135 * np.maximum(y, 0.5)), GammaRegressor(alpha=0.1), "gamma"
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of single fits
@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize("kind", STIFF)
def test_fits_that_are_hard_to_solve_end_where_single_fits_do(kind, cv, monkeypatch):
    change, expert, family = STIFF[kind]
    X, y = change(*switching(150))
    expert.set_params(max_iter=10_000, tol=1e-8)
    params = {"family": family, "cv": cv, "max_iter": 40, "tol": 1e-6}
    fast, slow = fits_with_and_without(monkeypatch, expert, X, y, **params)
    assert np.isfinite(fast.lower_bounds_).all()
    np.testing.assert_allclose(fast.lower_bound_, slow.lower_bound_, atol=2e-3)


@pytest.mark.parametrize("kind", ["plain", "scaled", "frame", "weights", "in sample"])
def test_whole_fit_ends_where_single_fits_end(kind, monkeypatch):
    X, y = switching()
    expert = PoissonRegressor(alpha=1e-2, solver="newton-cholesky", tol=1e-8)
    expert = make_pipeline(StandardScaler(), expert) if kind == "scaled" else expert
    params = {"cv": None if kind == "in sample" else 3}
    fit_params = None
    if kind == "frame":
        X = pd.DataFrame(X, columns=list("abc"))
    if kind == "weights":
        fit_params = {"sample_weight": np.random.default_rng(0).integers(1, 4, len(y))}
    params |= {"family": "poisson"}
    fast, slow = fits_with_and_without(monkeypatch, expert, X, y, fit_params, **params)
    np.testing.assert_allclose(fast.lower_bound_, slow.lower_bound_, atol=1e-4)
    np.testing.assert_allclose(fast.predict(X), slow.predict(X), rtol=5e-3)
    for one, other in zip(fast.experts_, slow.experts_, strict=True):
        assert type(one) is type(other)


def test_experts_that_are_kept_are_the_estimators_of_their_rows():
    X, y = switching()
    expert = PoissonRegressor(alpha=1e-2, solver="newton-cholesky", tol=1e-10)
    moe = MixtureOfExpertsRegressor(expert, family="poisson", cv=None, **PARAMS).fit(X, y)
    assert (np.diff(moe.lower_bounds_) >= -1e-9).all()
    resp = moe.responsibilities(X, y)
    for k, kept in enumerate(moe.experts_):
        again = clone(expert).fit(X, y, sample_weight=resp[:, k])
        # The last responsibilities are one E-step ahead of the experts.
        np.testing.assert_allclose(kept.coef_, again.coef_, atol=0.02)


@pytest.fixture
def solvers(monkeypatch):
    """Banks that were asked to solve something, in order."""
    asked = []
    for bank, name in (
        (LogLinearBank, "solve_left_out"),
        (LeastSquaresBank, "solve_left_out"),
        (LeastSquaresBank, "solve_one_out"),
    ):
        solve = getattr(bank, name)

        def counted(self, *args, solve=solve, name=name):
            asked.append((type(self), name))
            return solve(self, *args)

        monkeypatch.setattr(bank, name, counted)
    return asked


@pytest.mark.parametrize("line_first", [False, True])
@pytest.mark.parametrize("n_lines", [1, 3])
def test_of_several_kinds_the_most_frequent_is_solved_together(n_lines, line_first, solvers):
    X, y = switching()
    lines = [(f"line{k}", Ridge()) for k in range(n_lines)]
    rates = [("rate", PoissonRegressor()), ("other", PoissonRegressor())]
    named = lines + rates if line_first else rates + lines
    parts = PARAMS | {"cv": 3, "max_iter": 3, "tol": 1.0}
    moe = MixtureOfExpertsRegressor(named, **parts).fit(X, y)
    usual = LeastSquaresBank if n_lines == 3 else LogLinearBank
    # Starts and the one expert alone are solved for, too.
    assert (usual, "solve_left_out") in solvers[-3:]
    moved = MixtureOfExpertsRegressor(named[::-1], **parts).fit(X, y)
    assert moe.lower_bound_ == pytest.approx(moved.lower_bound_, abs=0.2)


@pytest.mark.parametrize("line_first", [False, True])
def test_those_that_are_left_out_one_by_one_are_found_in_any_order(line_first, solvers):
    X, y = switching()
    named = [("rate", PoissonRegressor()), ("other", PoissonRegressor()), ("line", Ridge())]
    named = named[::-1] if line_first else named
    MixtureOfExpertsRegressor(named, cv="loo", **PARAMS | {"max_iter": 3, "tol": 1.0}).fit(X, y)
    assert (LeastSquaresBank, "solve_one_out") in solvers


def test_amounts_beside_zeros():
    X, _ = switching()
    rng = np.random.default_rng(2)
    y = np.where(X[:, 0] > 0, rng.gamma(3.0, np.exp(0.5 * X[:, 1])), 0.0)
    named = [
        ("none", DummyRegressor(strategy="constant", constant=0.0)),
        ("some", GammaRegressor()),
    ]
    moe = MixtureOfExpertsRegressor(named, family="gamma", cv=3, **PARAMS)
    share = moe.fit(X, y).predict_dist(X).cdf(np.zeros(len(X)))
    assert share[X[:, 0] < -0.5].min() > 0.5 > share[X[:, 0] > 0.5].max()


@pytest.mark.parametrize(
    "params",
    [
        {"ensemble": True},
        {"shared_expert": PoissonRegressor()},
        {"n_experts": 3, "top_k": 2},
        {"n_experts": "auto"},
        {"verdict": True},
    ],
    ids=str,
)
def test_other_options_go_with_them(params):
    X, y = switching()
    expert = PoissonRegressor(alpha=1e-2)
    params = PARAMS | {"family": "poisson"} | params
    moe = MixtureOfExpertsRegressor(expert, **params).fit(X, y)
    two = MixtureOfExpertsRegressor(expert, n_jobs=2, **params)
    np.testing.assert_array_equal(moe.predict(X), two.fit(X, y).predict(X))


def test_targets_that_they_refuse_are_refused_as_ever():
    X, y = switching()
    with pytest.raises(ValueError, match="out of the valid range"):
        MixtureOfExpertsRegressor(PoissonRegressor(), **PARAMS).fit(X, y - 3.0)


def test_solution_has_the_table_left_out():
    X, y, weights = target_for("poisson")
    solution = solved([recognise(PoissonRegressor())] * 2, X, y, weights)
    assert isinstance(solution, LogLinearSolution)
    assert len(solution.units.X) == len(solution.units.y) == 0
