"""Boosting experts on numbers of bins: the same trees, without a search for edges in every fit."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.feature_selection import VarianceThreshold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from sklearn_moe._binning import Bins, bins_of, make_binner, with_bins
from sklearn_moe._gate_bank import InBins

RNG = np.random.default_rng(0)
N = 240
WHOLE = RNG.integers(0, 12, size=(N, 3)).astype(float)
Y = np.where(WHOLE[:, 0] > 5, 3.0, -3.0) * WHOLE[:, 1] + RNG.normal(size=N)
FEW = {"init": "principal", "n_init": 1, "max_iter": 2, "cv": 2, "random_state": 0, "tol": 0.0}

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"
)


def mixed_frame():
    """Whole numbers with holes beside a category with holes."""
    frame = pd.DataFrame(WHOLE.copy(), columns=["a", "b", "c"])
    frame.loc[::7, "b"] = np.nan
    frame["kind"] = pd.Categorical(RNG.choice(["x", "y", "z"], size=N))
    frame.loc[::11, "kind"] = None
    return frame


class OwnClassifier(HistGradientBoostingClassifier):
    """One of the user's own, which is given values."""


class OwnRegressor(HistGradientBoostingRegressor):
    """The same for regression."""


FORMS = {
    "bare": lambda boosting: boosting,
    "pipeline": lambda boosting: make_pipeline(FunctionTransformer(), boosting),
    "a step without weights": lambda boosting: make_pipeline(VarianceThreshold(), boosting),
    "categories by place": lambda boosting: make_pipeline(
        MinMaxScaler((0, 11)), boosting.set_params(categorical_features=[2])
    ),
    "bare, categories by place": lambda boosting: boosting.set_params(categorical_features=[2]),
    "no category": lambda boosting: boosting.set_params(categorical_features=[False] * 3),
    "a list": lambda boosting: make_pipeline(FunctionTransformer(np.ndarray.tolist), boosting),
    "a mask": lambda boosting: make_pipeline(
        FunctionTransformer(), boosting.set_params(categorical_features=[False, True, False])
    ),
}


def numeric_category():
    """Numbers, of which the last are a category by type."""
    frame = pd.DataFrame(WHOLE.copy(), columns=["a", "b", "c"])
    frame["c"] = frame["c"].astype("category")
    return frame


def name_of(part):
    """What pytest calls a case: the form, or the class of what is fitted or of the table."""
    return part if isinstance(part, str) else getattr(part, "__name__", type(part).__name__)


@pytest.mark.parametrize(
    ("own", "table", "form"),
    [
        *((OwnRegressor, WHOLE, form) for form in FORMS),
        (OwnRegressor, WHOLE.astype(np.float32), "bare"),
        (OwnRegressor, pd.DataFrame(WHOLE, columns=["a", "b", "c"]), "pipeline"),
        (OwnRegressor, numeric_category(), "no category"),
        *((own, mixed_frame(), "bare") for own in (OwnClassifier, OwnRegressor)),
        *((own, mixed_frame(), "pipeline") for own in (OwnClassifier, OwnRegressor)),
        (OwnClassifier, WHOLE, "a step without weights"),
        (OwnClassifier, WHOLE, "bare, categories by place"),
    ],
    ids=name_of,
)
def test_where_values_are_bins_the_fit_is_that_on_values(own, table, form, monkeypatch):
    """Every value is a bin here."""
    seen: list = []
    monkeypatch.setattr(Bins, "transform", spied(Bins.transform, seen))
    kind = MixtureOfExpertsClassifier if own is OwnClassifier else MixtureOfExpertsRegressor
    y = (Y > 0).astype(int) if own is OwnClassifier else Y
    binned, given = (
        kind(FORMS[form](boosting(max_iter=2, random_state=0)), **FEW).fit(table, y)
        for boosting in (own.__base__, own)
    )
    np.testing.assert_allclose(binned.lower_bounds_, given.lower_bounds_, rtol=1e-10)
    np.testing.assert_allclose(binned.heldout_log_probs_, given.heldout_log_probs_, rtol=1e-10)
    np.testing.assert_allclose(binned.predict_experts(table), given.predict_experts(table))
    assert not any(hasattr(step, "binner_") for expert in binned.experts_ for step in parts(expert))
    assert bool(seen) == (form != "bare")  # those have the bins of the table


def parts(expert):
    """The steps of a pipeline, or what is not one."""
    return [step for _, step in getattr(expert, "steps", [(None, expert)])]


def test_bins_at_the_end_of_a_pipeline_are_as_many_and_weigh_as_much():
    X = np.random.default_rng(2).normal(size=(300, 2))
    weight = np.repeat([1.0, 3.0], 150)
    step = with_bins(make_pipeline(StandardScaler(), HistGradientBoostingRegressor(max_bins=20)))[1]
    codes = step.fit(X, sample_weight=weight).transform(X)
    for column in codes.T:
        shares = np.bincount(column.astype(int), weight) / weight.sum()
        np.testing.assert_allclose(shares, np.full(20, 1 / 20), atol=3 / weight.sum() + 1e-9)
    for other in (pd.DataFrame({"text": ["a", "b"]}), [[1.0], [2.0]], sp.csr_matrix(X)):
        assert step.fit(other).transform(other) is other


@pytest.mark.parametrize("categories", [[1], [False, True]])
@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame])
def test_categories_by_place_stay_themselves_in_a_pipeline(categories, kind):
    """Boosting tells those that it has not seen from those beside them."""
    boosting = HistGradientBoostingRegressor(categorical_features=categories)
    step = with_bins(make_pipeline(StandardScaler(), boosting))[1]
    known = kind(np.array([[10.0, 4.0], [20.0, 7.0], [30.0, 7.0]]))
    new = kind(np.array([[14.0, 5.0], [16.0, 7.0]]))
    np.testing.assert_array_equal(step.fit(known).transform(new), [[0.0, 5.0], [1.0, 7.0]])


@pytest.mark.parametrize("name", ["experts", "gate"])
def test_places_that_there_are_not_are_refused_by_boosting(name):
    boosting = HistGradientBoostingRegressor(categorical_features=[7])
    moe = MixtureOfExpertsRegressor(**{name: make_pipeline(StandardScaler(), boosting)}, **FEW)
    with pytest.raises(ValueError, match="must be in \\[0, n_features - 1\\]"):
        moe.fit(WHOLE, Y)


@pytest.mark.parametrize(
    "estimator",
    [
        HistGradientBoostingRegressor(),
        HistGradientBoostingRegressor(categorical_features=["a"]),
        GradientBoostingRegressor(),
        make_pipeline(StandardScaler(), GradientBoostingRegressor()),
        make_pipeline(StandardScaler(), HistGradientBoostingRegressor(categorical_features=["a"])),
        make_pipeline(StandardScaler(), HistGradientBoostingRegressor(monotonic_cst={"a": 1})),
        make_pipeline(StandardScaler(), OwnRegressor()),
        make_pipeline(StandardScaler(), HistGradientBoostingRegressor(), memory="cache"),
        make_pipeline(StandardScaler(), HistGradientBoostingRegressor(), transform_input=["X_val"]),
    ],
    ids=["bare", "bare, names", "none", "no bins", "names", "by name", "own", "cached", "input"],
)
def test_pipelines_that_do_not_end_in_plain_boosting_are_left_alone(estimator):
    assert with_bins(estimator) is None


@pytest.mark.parametrize(
    ("own", "table", "form"),
    [
        (OwnClassifier, WHOLE, "bare"),
        (OwnRegressor, WHOLE, "pipeline"),
        (OwnRegressor, mixed_frame(), "bare"),
        (OwnClassifier, mixed_frame(), "pipeline"),
    ],
    ids=name_of,
)
def test_gates_of_boosting_that_see_bins_are_those_on_values(own, table, form, monkeypatch):
    seen = []
    monkeypatch.setattr(InBins, "predict_log_proba", spied(InBins.predict_log_proba, seen))
    of_bins, of_values = (
        MixtureOfExpertsRegressor(
            DummyRegressor(), 3, gate=FORMS[form](boosting(max_iter=3, random_state=0)), **FEW
        ).fit(table, Y)
        for boosting in (own.__base__, own)
    )
    assert len(seen) == FEW["cv"] * of_bins.n_iter_  # each witness, and none of the gates on values
    np.testing.assert_allclose(of_bins.lower_bounds_, of_values.lower_bounds_, rtol=1e-9)
    np.testing.assert_allclose(of_bins.heldout_log_probs_, of_values.heldout_log_probs_, rtol=1e-9)
    np.testing.assert_allclose(of_bins.gate_proba(table), of_values.gate_proba(table), rtol=1e-9)


def spied(method, seen):
    """The method, which adds the rows that it is asked about to those `seen`."""

    def told(self, X):
        seen.append(X)
        return method(self, X)

    return told


@pytest.mark.parametrize("kind", ["boolean", "bool[pyarrow]", object])
def test_truth_values_may_be_missing(kind):
    if kind == "bool[pyarrow]":
        pytest.importorskip("pyarrow")
    known = np.arange(N) % 7 > 0
    number = np.where(known, WHOLE[:, 0] > 5, np.nan)
    truth = [bool(value) if known[row] else None for row, value in enumerate(number)]
    numbers = pd.DataFrame({"a": number, "b": WHOLE[:, 1]})
    frame = numbers.assign(a=pd.Series(truth, dtype=kind))
    assert make_binner(frame, np.ones(N), 255) is not None
    moe = MixtureOfExpertsRegressor(HistGradientBoostingRegressor(max_iter=4), **FEW)
    expected = moe.fit(numbers, Y).experts_[0].predict(numbers)
    found = moe.fit(frame, Y).experts_[0].predict(frame)
    np.testing.assert_allclose(found, expected)


def test_bins_hold_equal_weight_and_keep_the_order():
    values = RNG.permutation(np.arange(100.0)) ** 3
    weight = np.ones(100)
    codes = make_binner(values[:, None], weight, 10).transform(values[:, None])[:, 0]
    np.testing.assert_array_equal(np.bincount(codes.astype(int)), np.full(10, 10))
    assert (np.diff(codes[np.argsort(values)]) >= 0).all()


def test_weights_and_repeats_have_the_same_bins():
    values, counts = RNG.normal(size=(60, 2)), RNG.integers(1, 4, size=60)
    weighted = make_binner(values, counts.astype(float), 7)
    repeated = make_binner(np.repeat(values, counts, axis=0), np.ones(counts.sum()), 7)
    for ours, theirs in zip(weighted.columns, repeated.columns, strict=True):
        np.testing.assert_array_equal(ours.edges, theirs.edges)
        assert len(ours.edges) == 6


@pytest.mark.parametrize("unit", [0.1, 0.7, 1 / 3])
def test_unit_of_weights_does_not_move_bins(unit):
    """Rounding of their sums decides nothing."""
    values = np.arange(100.0)[:, None]
    even, other = (make_binner(values, np.full(100, u), 20).transform(values) for u in (1, unit))
    np.testing.assert_array_equal(other, even)
    np.testing.assert_array_equal(np.bincount(even[:, 0].astype(int)), np.full(20, 5))


def test_new_rows_fall_into_known_bins():
    frame = pd.DataFrame({"v": [1.0, 2.0, 4.0], "k": pd.Categorical(["p", "q", "q"])})
    binner = make_binner(frame, np.ones(3), 255)
    new = pd.DataFrame({"v": [-5.0, 2.9, np.nan], "k": pd.Categorical(["q", "new", None])})
    np.testing.assert_array_equal(
        binner.transform(new), np.array([[0, 1], [1, np.nan], [np.nan, np.nan]], dtype=np.float32)
    )


@pytest.mark.parametrize(
    "kind",
    [
        pd.CategoricalDtype([1, 2, 3]),
        pd.CategoricalDtype([True, False]),
        pd.Series([True, False], dtype="boolean").astype("category").dtype,
    ],
    ids=str,
)
def test_categories_of_any_type_may_be_missing_in_new_rows_alone(kind):
    """Numbers and truth values change their type where one is missing."""
    known = list(kind.categories)
    train, new = (
        pd.DataFrame({"k": pd.Series(values, dtype=kind)}) for values in (known, [*known, None])
    )
    binner = make_binner(train, np.ones(len(known)), 255)
    codes = binner.transform(new)[:, 0]
    np.testing.assert_array_equal(codes[:-1], np.arange(len(known)))
    assert np.isnan(codes[-1])


@pytest.mark.parametrize(
    "table",
    [
        sp.csr_matrix(WHOLE),
        np.where(WHOLE == 0, np.inf, WHOLE),
        pd.DataFrame({"text": ["a", "b"] * 6}),
        pd.DataFrame({"many": pd.Categorical([f"level {i}" for i in range(12)])}),
        pd.DataFrame({"none": pd.Categorical([None] * 12)}),
    ],
    ids=["sparse", "infinite", "text", "many", "none"],
)
def test_tables_that_boosting_refuses_or_does_not_bin_are_left_alone(table):
    assert make_binner(table, np.ones(table.shape[0]), 8) is None


@pytest.mark.parametrize(
    "expert",
    [
        HistGradientBoostingRegressor(monotonic_cst={"a": 1}),
        HistGradientBoostingRegressor(categorical_features=[0]),
        HistGradientBoostingRegressor(categorical_features=None),
        HistGradientBoostingRegressor(warm_start=True),
        HistGradientBoostingRegressor(max_bins=1000),
        GradientBoostingRegressor(),
    ],
    ids=["by name", "own categories", "no categories", "warm", "invalid", "no bins"],
)
def test_experts_that_treat_columns_apart_are_left_alone(expert):
    assert bins_of(expert) is None
    assert bins_of(HistGradientBoostingRegressor(max_bins=30)) == 30
