"""Tables as users have them: text, digits that are names, gaps in a region, values far out."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    VotingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_moe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, SoftmaxGate
from sklearn_moe._content import content_ids, row_hashes
from sklearn_moe._design import TabularEncoder, frequent_categories
from sklearn_moe.auto._columns import CategoryColumns
from sklearn_moe.gates import GaussianGate, MLPGate, TreeGate
from sklearn_moe.weighting import fit_weighted

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
RNG = np.random.default_rng(0)
N = 300
CODE = RNG.choice(["10", "20", "other"], N)
V = RNG.normal(size=N)
Y = np.where(CODE == "10", 5, -5) * V + 0.1 * RNG.normal(size=N)
QUICK = {"n_init": 1, "random_state": 0, "max_iter": 10, "verdict": False}


def second_column(table):
    return np.asarray(table["v"], dtype=float)[:, None]


BY_V = make_pipeline(FunctionTransformer(second_column), Ridge())


def with_number(values):
    return [int(value) if value != "other" else value for value in values]


def with_gap(values):
    return [value if value != "other" else None for value in values]


# What names a region is text, digits or nothing.
COLUMNS = {
    "text": CODE,
    "objects": CODE.astype(object),
    "category": pd.Categorical(CODE),
    "mixed": pd.Series(with_number(CODE), dtype=object),
    "text and gaps": pd.Series(with_gap(CODE), dtype=object),
    "numbers and gaps": [int(c) if c != "other" else None for c in CODE],
    "nullable": pd.array([int(c) if c != "other" else None for c in CODE], dtype="Int64"),
}
FRAMES = {name: pd.DataFrame({"code": column, "v": V}) for name, column in COLUMNS.items()}
FRAMES["polars text"] = pl.DataFrame({"code": CODE.tolist(), "v": V})
FRAMES["polars gaps"] = pl.DataFrame({"code": with_gap(CODE), "v": V})


def rows(table, chosen):
    return table.filter(pl.Series(chosen)) if isinstance(table, pl.DataFrame) else table[chosen]


@pytest.mark.parametrize("gate", [SoftmaxGate(), MLPGate(4), GaussianGate(), TreeGate()], ids=str)
@pytest.mark.parametrize("name", FRAMES)
def test_what_a_row_is_told_does_not_depend_on_the_others(name, gate):
    moe = MixtureOfExpertsRegressor(BY_V, gate=gate, **QUICK).fit(FRAMES[name], Y)
    whole = moe.gate_proba(FRAMES[name])
    for value in np.unique(CODE):
        alone = moe.gate_proba(rows(FRAMES[name], value == CODE))
        np.testing.assert_allclose(alone, whole[value == CODE], rtol=1e-9)


@pytest.mark.parametrize("column", ["digits", "category", "objects"])
def test_digits_that_are_names_are_categories(column):
    names = RNG.integers(0, 5, N)
    y = np.where(np.isin(names, [0, 2, 4]), 5, -5) * V + 0.1 * RNG.normal(size=N)
    made = {"digits": names.astype(str), "category": pd.Categorical(names)}
    made["objects"] = names.astype(str).astype(object)
    frame = pd.DataFrame({"code": made[column], "v": V})
    moe = MixtureOfExpertsRegressor(BY_V, **QUICK).fit(frame, y)
    assert moe.score(frame, y) > 0.99
    unknown = moe.gate_proba(frame[:1].assign(code="N/A"))
    np.testing.assert_allclose(unknown.sum(axis=1), 1)


def test_text_where_numbers_were_is_refused_by_name():
    frame = pd.DataFrame({"code": RNG.normal(size=N), "v": V})
    moe = MixtureOfExpertsRegressor(BY_V, **QUICK).fit(frame, Y)
    gap = moe.gate_proba(frame[:1].assign(code=pd.Series([None], dtype=object)))
    assert np.isfinite(gap).all()
    with pytest.raises(ValueError, match="Column 'code' of X held numbers in fit"):
        moe.predict(frame[:1].assign(code="N/A"))


def test_categories_are_spelled_by_their_value():
    made = pd.DataFrame({"code": pd.Categorical([1, 2, 1, 2])})
    encoder = TabularEncoder().fit(made)
    expected = np.array([[1.0, 0.0], [0.0, 1.0]])
    for values in ([1, 2], [1.0, 2.0], ["1", "2"], [Decimal(1), np.int8(2)], [True, 2]):
        table = pd.DataFrame({"code": pd.Series(values, dtype=object)})
        np.testing.assert_array_equal(encoder.transform(table), expected)


def test_a_dense_fit_answers_sparse_rows():
    X = RNG.normal(3, 2, size=(N, 2))
    X[:, 1] = V
    moe = MixtureOfExpertsRegressor(Ridge(), **QUICK).fit(X, np.where(X[:, 0] > 3, 3, -3) * V)
    np.testing.assert_allclose(moe.predict(sp.csr_array(X)), moe.predict(X), rtol=1e-9)


@pytest.mark.parametrize("far", [1e3, 1e8, -1e300])
def test_a_value_far_out_does_not_make_all_rows_one(far):
    X = RNG.normal(size=(N, 1))
    X[0] = far
    hashes = row_hashes(X, np.zeros(N))
    assert len(np.unique(hashes)) > 0.95 * N
    order = RNG.permutation(N)
    np.testing.assert_array_equal(row_hashes(2.5 * X[order] + 1, np.zeros(N)), hashes[order])
    repeated = content_ids(row_hashes(np.repeat(X, 2, axis=0), np.zeros(2 * N)))
    np.testing.assert_array_equal(repeated[::2], repeated[1::2])


def test_a_code_for_missing_values_leaves_the_fit_as_good():
    X = RNG.normal(size=(500, 1))
    y = np.sin(3 * X[:, 0]) + 0.3 * RNG.normal(size=500) > 0
    X[0] = -1e9
    moe = MixtureOfExpertsClassifier(DecisionTreeClassifier(max_depth=3), n_init=1, random_state=0)
    assert moe.fit(X, y).score(X[1:], y[1:]) > 0.9


HALVES = np.column_stack([V > 0, V <= 0]).astype(float)


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame], ids=["array", "frame"])
@pytest.mark.parametrize("cv", [3, None])
@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_boosting_goes_on_where_a_region_has_nothing_of_a_column(kind, cv, make):
    other = RNG.normal(size=N)
    table = make(np.column_stack([V, other, np.where(V > 0, np.nan, RNG.normal(size=N))]))
    y = np.where(V > 0, 3, -3) * other + 0.1 * RNG.normal(size=N)
    expert, mixture = HistGradientBoostingRegressor(max_iter=30), MixtureOfExpertsRegressor
    if kind == "classifier":
        y, expert, mixture = (
            y > 0,
            HistGradientBoostingClassifier(max_iter=30),
            MixtureOfExpertsClassifier,
        )
    moe = mixture(expert, init=HALVES, cv=cv, **QUICK | {"max_iter": 2}).fit(table, y)
    assert moe.score(table, y) > 0.8
    assert moe.n_experts_ == 2


@pytest.mark.parametrize("gate", [SoftmaxGate(), MLPGate(4), GaussianGate(), TreeGate()], ids=str)
def test_encoded_columns_have_names(gate):
    frame = pd.DataFrame({"code": CODE, "v": V, "gap": np.where(V > 0, np.nan, V)})
    gate.fit(frame, HALVES)
    names = ["code_10", "code_20", "code_other", "v", "gap", "gap_missing"]
    assert gate.get_feature_names_out().tolist() == names
    encoded = pd.DataFrame(gate.encoder_.transform(frame), columns=names)
    np.testing.assert_array_equal(encoded["code_other"], CODE == "other")
    np.testing.assert_array_equal(encoded["gap_missing"], V > 0)
    assert gate.get_feature_names_out(["a", "b", "c"]).tolist()[2:] == [
        *("a_other", "b", "c", "c_missing")
    ]
    with pytest.raises(ValueError, match="holds 1 names; there are 3 columns"):
        gate.get_feature_names_out(["a"])


def test_sparse_columns_have_names():
    gate = SoftmaxGate().fit(sp.csr_array(np.eye(3)[RNG.integers(3, size=N)]), HALVES)
    assert gate.get_feature_names_out().tolist() == ["x0", "x1", "x2"]


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_dates_and_durations_are_numbers_whatever_their_unit(unit):
    days = np.arange(N) % 50
    when = np.datetime64("2026-01-01", unit) + days.astype("timedelta64[D]")
    frame = pd.DataFrame({"when": when, "wait": days.astype("timedelta64[h]"), "v": V})
    encoder = TabularEncoder().fit(frame.astype({"when": "datetime64[us]"}))
    expected = (days - days.mean()) / days.std()
    encoded = encoder.transform(frame)
    np.testing.assert_allclose(encoded[:, 0], expected, rtol=1e-9)
    np.testing.assert_allclose(encoded[:, 1], expected, rtol=1e-9)
    gap = encoder.transform(frame.assign(when=pd.NaT)[:1])
    assert gap[0, 0] == 0.0
    somewhere = frame["when"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    np.testing.assert_array_equal(encoder.transform(frame.assign(when=somewhere)), encoded)


DAYS = [datetime.date(2026, 1, 1) + datetime.timedelta(days=int(day)) for day in np.arange(N) % 50]
TOKYO = datetime.timezone(datetime.timedelta(hours=9))
OBJECTS = {
    "dates": lambda day: day,
    "moments": lambda day: datetime.datetime.combine(day, datetime.time()),
    "moments in Tokyo": lambda day: datetime.datetime.combine(day, datetime.time(9), TOKYO),
    "timestamps": pd.Timestamp,
    "numpy's": np.datetime64,
    "durations": lambda day: day - DAYS[0],
}


@pytest.mark.parametrize("gap", [None, np.nan, pd.NaT, pd.NA], ids=repr)
@pytest.mark.parametrize("kind", OBJECTS)
def test_dates_and_durations_are_numbers_as_objects_too(kind, gap):
    expected = np.array(DAYS, dtype="datetime64[us]")
    if kind == "durations":
        expected = expected - expected[0]
    values = np.array([*map(OBJECTS[kind], DAYS), gap], dtype=object)
    encoder = TabularEncoder().fit(pd.DataFrame({"when": [*expected, None]}))
    wanted = encoder.transform(pd.DataFrame({"when": expected}))
    frame = pd.DataFrame({"when": pd.Series(values, dtype=object)})
    assert TabularEncoder().fit(frame).n_outputs_ == 2
    for table in (frame, values[:, None]):
        found = encoder.transform(table)
        np.testing.assert_allclose(found[:-1], wanted, atol=1e-12)
        assert found[-1].tolist() == [0, 1]


def test_dates_of_arrow_are_numbers():
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"when": pd.Series([*DAYS, None], dtype="date32[pyarrow]")})
    encoder = TabularEncoder().fit(pd.DataFrame({"when": np.array(DAYS, dtype="datetime64[us]")}))
    wanted = encoder.transform(pd.DataFrame({"when": np.array(DAYS, dtype="datetime64[us]")}))
    np.testing.assert_array_equal(encoder.transform(frame)[:-1], wanted)


KINDS = {
    "dates": pd.Series(np.array(DAYS, dtype="datetime64[us]")),
    "days as objects": pd.Series(DAYS, dtype=object),
    "durations": pd.Series(np.arange(N).astype("timedelta64[h]")),
    "periods": pd.Series(pd.period_range("2026-01", periods=N, freq="D")),
    "moments of somewhere": pd.Series(pd.date_range("2026-01", periods=N, tz="Asia/Tokyo")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_dates_are_no_numbers_later_nor_numbers_dates(kind):
    """Numbers of seconds, as files of other programs have them, had been taken for days."""
    dates = pd.DataFrame({"when": KINDS[kind], "v": V})
    numbers, gaps = dates.assign(when=np.arange(N)), dates.assign(when=np.nan)
    for model in (CategoryColumns(), TabularEncoder(), SoftmaxGate()):
        for seen, other, message in (
            (dates, numbers, "'when' of X held dates or durations in fit, and now holds numbers"),
            (numbers, dates, "'when' of X held numbers in fit, and now holds dates or durations"),
        ):
            target = HALVES if isinstance(model, SoftmaxGate) else None
            model.fit(seen, target)
            look = model.predict_proba if isinstance(model, SoftmaxGate) else model.transform
            with pytest.raises(ValueError, match=message):
                look(other)
            assert len(look(gaps)) == N
            assert len(look(seen)) == N


def test_text_among_dates_is_text():
    values = np.array([DAYS[0], "soon", DAYS[1]] * 5, dtype=object)[:, None]
    assert TabularEncoder().fit(values).n_outputs_ == 3


def test_columns_of_several_numbers_are_refused():
    frame = pl.DataFrame({"place": [{"x": 1.0, "y": 2.0}] * N, "v": V})
    with pytest.raises(TypeError, match="X holds containers"):
        SoftmaxGate().fit(frame, HALVES)


def test_truth_values_are_numbers_in_objects_too():
    values = np.array([np.True_, np.False_, None, True], dtype=object)[:, None]
    encoder = TabularEncoder().fit(values)
    assert encoder.n_outputs_ == 2
    alone = encoder.transform(np.array([[True], [False]]))
    np.testing.assert_array_equal(alone, encoder.transform(values)[:2])


def test_a_column_without_values_says_nothing_later():
    frame = pd.DataFrame({"code": [None] * N, "v": V})
    encoder = TabularEncoder().fit(frame)
    for values in ("text", 3.0):
        assert (encoder.transform(frame.assign(code=values))[:, 0] == 0).all()
    encoder = TabularEncoder().fit(np.column_stack([np.full(N, np.nan), V]))
    later = encoder.transform(np.column_stack([np.full(N, np.inf), V]))
    np.testing.assert_array_equal(later[:, 0], 0)
    assert later[:, 1].std() == pytest.approx(1.0)


def test_lists_have_columns_too():
    gate = SoftmaxGate().fit(np.column_stack([V, V**2]).tolist(), HALVES)
    assert gate.get_feature_names_out().tolist() == ["x0", "x1"]


@pytest.mark.parametrize("far", [1.0, 1e9])
def test_levels_that_differ_by_rounding_are_one(far):
    steps = np.cumsum(np.full(50, 0.1))
    x = np.concatenate([steps + shift for shift in (0, 0.1, 0.3, 0.7, 1.1)] + [[far]])[:, None]
    expected = len(np.unique(np.rint(x * 10)))
    for table in (x, 1.8 * x + 32):
        assert len(np.unique(row_hashes(table, np.zeros(len(x))))) == expected


@pytest.mark.parametrize(
    "kind",
    [
        lambda frame: frame,
        lambda frame: frame.astype({"count": "Int64"}),
        lambda frame: frame.astype({"count": object}),
        pl.from_pandas,
        lambda frame: frame.to_numpy(dtype=object),
        lambda frame: frame.astype(object).where(frame.notna(), None).to_numpy(),
    ],
    ids=["float", "Int64", "object", "polars", "array of objects", "array with None"],
)
def test_boosting_takes_a_column_that_is_empty_in_a_region(kind):
    left = V < 0
    count = np.where(left, np.nan, RNG.integers(0, 9, N))
    frame = pd.DataFrame({"v": V, "count": count, "w": RNG.normal(size=N)})
    y = np.where(left, 3 * frame["w"] + 10, -3 * frame["w"])
    moe = MixtureOfExpertsRegressor(HistGradientBoostingRegressor(max_iter=20), 2, **QUICK)
    init = np.column_stack([left, ~left]).astype(float)
    table = kind(frame)
    assert moe.set_params(init=init).fit(table, y).score(table, y) > 0.7


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda boosting: make_pipeline(StandardScaler(), boosting),
        lambda boosting: TransformedTargetRegressor(boosting),
        lambda boosting: VotingRegressor([("one", boosting), ("other", clone(boosting))]),
    ],
    ids=["pipeline", "transformed", "voting"],
)
@pytest.mark.parametrize("kind", [pd.DataFrame, np.asarray])
def test_boosting_within_takes_a_column_that_is_empty_in_a_region(wrapped, kind):
    left = V < 0
    count = np.where(left, np.nan, RNG.integers(0, 9, N))
    y = np.where(left, 3 * V + 10, -3 * V)
    expert = wrapped(HistGradientBoostingRegressor(max_iter=5))
    moe = MixtureOfExpertsRegressor(expert, 2, **QUICK)
    moe.set_params(init=np.column_stack([left, ~left]).astype(float))
    table = kind(np.column_stack([V, count]))
    assert np.isfinite(moe.fit(table, y).predict(table)).all()


def test_boosting_takes_a_category_that_is_empty_in_a_region():
    left = V < 0
    kinds = pd.Categorical(np.where(left, None, RNG.choice(["a", "b"], N)), categories=["a", "b"])
    frame = pd.DataFrame({"v": V, "w": RNG.normal(size=N), "kind": kinds})
    y = np.where(left, 3 * frame["w"] + 10, -3 * frame["w"])
    moe = MixtureOfExpertsRegressor(HistGradientBoostingRegressor(max_iter=20), 2, **QUICK)
    init = np.column_stack([left, ~left]).astype(float)
    assert moe.set_params(init=init).fit(frame, y).score(frame, y) > 0.7


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["a", "b"])])
def test_boosting_within_takes_a_category_of_polars_that_is_empty_in_a_region(dtype):
    pytest.importorskip("sklearn.callback", reason="boosting cannot read it before 1.9")
    left = V < 0
    names = np.where(left, None, RNG.choice(["a", "b"], N)).tolist()
    frame = pl.DataFrame({"v": V, "name": pl.Series(names, dtype=dtype)})
    expert = make_pipeline(FunctionTransformer(), HistGradientBoostingRegressor(max_iter=20))
    moe = MixtureOfExpertsRegressor(expert, 2, **QUICK)
    moe.set_params(init=np.column_stack([left, ~left]).astype(float))
    y = np.where(left, 10 + V, -3 * V)
    assert moe.fit(frame, y).score(frame, y) > 0.7


def boosted(table, y):
    """Boosting as it is fitted to the rows of a region."""
    boosting = HistGradientBoostingRegressor(max_iter=30)
    return fit_weighted(boosting, table, y, np.ones(len(y)), np.arange(len(y)))


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, pl.DataFrame])
def test_boosting_reads_a_column_that_is_not_quite_empty_in_a_region(make):
    known = np.arange(N) % 4 > 0
    table = make(np.column_stack([np.full(N, np.nan), np.where(known, np.sign(V), np.nan)]))
    y = np.where(known, 5 * np.sign(V), 20.0)
    assert boosted(table, y).score(table, y) > 0.9


@pytest.mark.parametrize("kind", [float, object, "Int64", "UInt8", "boolean"])
def test_boosting_takes_an_empty_column_of_any_kind_of_numbers(kind):
    frame = pd.DataFrame({"v": V, "empty": pd.Series([None] * N, dtype=kind)})
    assert boosted(frame, V).score(frame, V) > 0.9


@pytest.mark.parametrize("cv", [3, None])
def test_boosting_takes_truth_values_of_polars_that_are_empty_in_a_region(cv):
    left = V < 0
    flag = [None if here else bool(sign) for here, sign in zip(left, Y > 0, strict=True)]
    table = pl.DataFrame({"v": V, "flag": pl.Series(flag, dtype=pl.Boolean)})
    y = np.where(left, 3 * V + 10, -3 * V)
    moe = MixtureOfExpertsRegressor(HistGradientBoostingRegressor(max_iter=20), 2, cv=cv, **QUICK)
    moe.set_params(init=np.column_stack([left, ~left]).astype(float))
    assert moe.fit(table, y).score(table, y) > 0.7


def test_a_frame_with_an_empty_column_is_left_as_it_was():
    frame = pd.DataFrame({"v": V, "empty": np.full(N, np.nan)})
    boosted(frame, V)
    assert frame["empty"].isna().all()


def test_an_empty_category_is_still_a_category_for_boosting():
    kinds = pd.Categorical([None] * N, categories=["a", "b"])
    frame = pd.DataFrame({"v": V, "kind": kinds})
    fitted = boosted(frame, V)
    assert fitted.is_categorical_.tolist() == [False, True]
    later = frame.assign(kind=pd.Categorical(["a"] * N, categories=["a", "b"]))
    assert fitted.score(later, V) > 0.9


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, pl.DataFrame])
def test_only_boosting_is_given_constants_for_an_empty_column(make):
    table = make(np.column_stack([V, np.full(N, np.nan)]))
    imputer = SimpleImputer(keep_empty_features=True, add_indicator=True)
    expert = make_pipeline(imputer, Ridge())
    fitted = fit_weighted(expert, table, V, np.ones(N), np.arange(N))
    assert fitted[-1].n_features_in_ == 3  # an indicator of what is missing is one of them


# Scales.


def test_scales_of_sparse_columns_are_those_of_dense_ones():
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.5, 1.5, size=300)
    weight[:5] = 0.0
    rare = np.where(rng.random(300) < 0.1, rng.normal(size=300), 0.0)
    table = np.column_stack([rng.normal(size=(300, 2)), rare, np.full((300, 3), [1.0, 0.37, 0.0])])
    table = np.column_stack([table, 1e8 + rng.normal(size=300)])
    table[:5, 3] = 2.0  # of no weight
    dense = TabularEncoder().fit(table, sample_weight=weight).transform(table)
    stored = sp.csr_array(table)
    sparse = TabularEncoder().fit(stored, sample_weight=weight).transform(stored)
    assert not sparse[:, 3:6].any()
    np.testing.assert_allclose(np.diff(sparse, axis=0), np.diff(dense, axis=0), atol=1e-6)


@pytest.mark.parametrize("unit", [1e-12, 1.0])
def test_of_many_categories_the_heaviest_are_kept_whatever_the_unit_of_weights(unit):
    names = np.array([f"c{k:02d}" for k in range(60)], dtype=object)
    weight = unit * np.arange(1.0, 61.0)
    kept, rest = frequent_categories(names, weight, 20)
    assert list(kept) == sorted(names[-20:])
    assert rest == pytest.approx(weight[:-20].sum() / weight.sum())


def test_categories_of_no_weight_are_none():
    names = np.array(["a", "b", "c", "d"], dtype=object)
    kept, rest = frequent_categories(names, np.array([0.0, 1.0, 0.0, 2.0]), 3)
    assert list(kept) == ["b", "d"]
    assert rest == 0.0


def test_large_whole_numbers_in_rows_that_are_held_out():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=60), "b": rng.integers(0, 9, size=60)})
    frame.loc[7, "b"] = 2**60
    tree = MixtureOfExpertsRegressor(DecisionTreeRegressor(max_depth=3), max_iter=2, n_init=1)
    assert np.isfinite(tree.fit(frame, frame["a"]).heldout_log_prob_)
