"""Tables of every kind reach the experts as they came, and give one answer."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeClassifier

from sklearn_moe import MixtureOfExpertsRegressor, SoftmaxGate
from sklearn_moe.linear import _plain

pytestmark = pytest.mark.filterwarnings(
    "ignore:EM did not settle:sklearn.exceptions.ConvergenceWarning"  # few iterations will do
)
FEW = {"max_iter": 3, "n_init": 1, "cv": 3, "init": "principal", "verdict": False}
FEW["random_state"] = 0
RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
Y = np.where(X[:, 0] > 0, 2.0, -2.0) * X[:, 1] + 0.1 * RNG.normal(size=120)
NAMES = ["a", "b", "c", "d"]
BOOSTING = HistGradientBoostingRegressor(max_iter=5, categorical_features="from_dtype")
HOLES = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
MIXED = pd.DataFrame(X, columns=NAMES).assign(
    town=pd.Categorical(np.where(X[:, 0] > 0, "Ulm", "Bonn")), half=X[:, 1] > 0
)


def regressor(experts=None, **params):
    return MixtureOfExpertsRegressor(experts, **{**FEW, **params})


class Witness(RegressorMixin, BaseEstimator):
    """Predicts zero, and keeps what its `fit` was given, and the last `predict`, for all to see."""

    seen = []

    def fit(self, X, y, sample_weight=None):
        self.fitted_ = True
        Witness.seen.append((X, y))
        return self

    def predict(self, X):
        Witness.seen.append((X, None))
        return np.zeros(X.shape[0])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.allow_nan = tags.input_tags.categorical = True
        return tags


@pytest.fixture
def witnessed():
    """Tables that the witnesses of this test have seen."""
    Witness.seen.clear()
    return Witness.seen


def frozen(table):
    """A read-only copy."""
    table = table.copy()
    table.flags.writeable = False
    return table


DENSE = {
    "list": X.tolist(),
    "Fortran": np.asfortranarray(X),
    "read-only": frozen(X),
    "strided": np.repeat(X, 2, axis=1)[:, ::2],
    "object": X.astype(object),
    "pandas": pd.DataFrame(X, columns=NAMES),
    "pandas nullable": pd.DataFrame(X, columns=NAMES).convert_dtypes(),
    "pandas shuffled index": pd.DataFrame(X, columns=NAMES, index=RNG.permutation(120)),
    "polars": pl.DataFrame(X, schema=NAMES),
}


@pytest.mark.parametrize("kind", DENSE)
def test_dense_tables_give_the_same_fit(kind):
    expected = regressor().fit(X, Y).predict(X)
    y = frozen(Y) if kind == "read-only" else Y
    predicted = regressor().fit(DENSE[kind], y).predict(DENSE[kind])
    np.testing.assert_allclose(predicted, expected, rtol=1e-8)


def test_rows_with_text_are_the_objects_that_they_hold():
    rows = [[value, "uv"[k % 2]] for k, value in enumerate(X[:, 0].tolist())]
    table = np.array(rows, dtype=object)
    assert SoftmaxGate().fit(rows, np.eye(2)[np.arange(120) % 2]).encoder_.n_outputs_ == 3
    encode = make_column_transformer((OneHotEncoder(), [1]), remainder="passthrough")
    given, made = (regressor(make_pipeline(encode, Ridge())).fit(each, Y) for each in (rows, table))
    np.testing.assert_array_equal(given.predict(rows), made.predict(table))
    np.testing.assert_array_equal(made.predict(rows), made.predict(table))


class Named(pd.DataFrame):
    """A frame of a kind of its own, whose making takes something more."""

    def __init__(self, *args, title="none", **kwargs):
        super().__init__(*args, **kwargs)

    @property
    def _constructor(self):
        return pd.DataFrame


def test_kinds_of_frames_are_left_as_they_were():
    table = Named(X.copy(), columns=NAMES, title="mine")
    expert = make_pipeline(StandardScaler(copy=False), SVR())
    said = regressor(expert).fit(table, Y).predict(table)
    np.testing.assert_array_equal(table.to_numpy(), X)
    plain = pd.DataFrame(X, columns=NAMES)
    np.testing.assert_array_equal(said, regressor(expert).fit(plain, Y).predict(plain))


def test_periods_are_as_their_first_days():
    months = pd.DataFrame({"month": pd.period_range("2015-01", periods=120, freq="M")})
    days = months.assign(month=months["month"].dt.to_timestamp())
    halves = np.eye(2)[(np.arange(120) > 60).astype(int)]
    said = [SoftmaxGate().fit(table, halves).predict_proba(table) for table in (months, days)]
    np.testing.assert_array_equal(*said)
    assert SoftmaxGate().fit(months, halves).get_feature_names_out().tolist() == ["month"]


@pytest.mark.parametrize("kind", ["polars.LazyFrame", "pyarrow.Table", "narwhals.DataFrame"])
def test_tables_without_rows_to_take_are_refused(kind):
    if kind == "polars.LazyFrame":
        table, remedy = DENSE["polars"].lazy(), "collect"
    elif kind == "narwhals.DataFrame":
        narwhals, remedy = pytest.importorskip("narwhals"), "to_native"
        table = narwhals.from_native(DENSE["polars"])
    else:
        pa, remedy = pytest.importorskip("pyarrow"), "to_pandas"
        table = pa.table(dict(zip(NAMES, X.T, strict=True)))
    moe = regressor().fit(X, Y)
    for ask in (lambda: moe.predict(table), lambda: regressor().fit(table, Y)):
        with pytest.raises(TypeError, match=rf"X is a {kind}.* Pass X\.{remedy}\(\)"):
            ask()
    assert len(regressor().fit(getattr(table, remedy)(), Y).experts_) == 2


@pytest.mark.parametrize("kind", ["list", "series", "shuffled series", "column frame", "polars"])
def test_targets_of_every_kind(kind):
    order = RNG.permutation(120)
    kinds = {"list": list(Y), "series": pd.Series(Y), "shuffled series": pd.Series(Y, index=order)}
    kinds |= {"column frame": pd.DataFrame({"y": Y}), "polars": pl.Series("y", Y)}
    expected, moe = regressor().fit(X, Y), regressor().fit(X, kinds[kind])
    np.testing.assert_allclose(moe.predict(X).ravel(), expected.predict(X), rtol=1e-8)
    np.testing.assert_allclose(moe.log_prob(X, kinds[kind]), expected.log_prob(X, Y), rtol=1e-6)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr"])
@pytest.mark.parametrize("container", ["matrix", "array"])
def test_sparse_tables_give_one_fit(form, container):
    sparse = np.where(np.abs(X) > 0.5, X, 0)
    table = getattr(sp, f"{form}_{container}")(sparse)
    expected = regressor().fit(sp.csr_array(sparse), Y).predict(sp.csr_array(sparse))
    np.testing.assert_allclose(regressor().fit(table, Y).predict(table), expected, rtol=1e-8)


def test_sparse_and_dense_tables_give_nearly_one_fit():
    """Folds are dealt by content, whose hash differs; in sample nothing else does."""
    sparse = np.where(np.abs(X) > 0.5, X, 0)
    start = np.column_stack([X[:, 0] > 0, X[:, 0] <= 0]).astype(float)
    moe = regressor(Ridge(solver="lsqr", tol=1e-12), cv=None, init=start)
    dense = moe.fit(sparse, Y).predict(sparse)
    other = moe.fit(sp.csr_array(sparse), Y).predict(sp.csr_array(sparse))
    np.testing.assert_allclose(dense, other, rtol=1e-4, atol=1e-4)


def test_witnesses_may_find_a_sparse_table_small_that_the_fit_does_not(monkeypatch):
    sparse = sp.csr_array(np.where(np.abs(X) > 0.5, X, 0))
    moe = regressor(Ridge(tol=1e-12), verdict=True)
    expected = moe.fit(sparse, Y).log_prob(sparse, Y)
    monkeypatch.setattr(_plain, "SMALL_TABLE", X.size - 1)
    np.testing.assert_allclose(moe.fit(sparse, Y).log_prob(sparse, Y), expected, atol=1e-6)


def test_starts_of_the_user_are_not_written_to():
    start = np.column_stack([X[:, 0] > 0, X[:, 0] <= 0]).astype(float)
    start.flags.writeable = False
    for cv in (None, 5):
        assert regressor(cv=cv, init=start).fit(X, Y).n_experts_ == 2


def test_sparse_table_is_refused_where_an_expert_cannot_take_it():
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        regressor(BOOSTING).fit(sp.csr_array(X), Y)


@pytest.mark.parametrize(
    "gate", [None, DecisionTreeClassifier(max_depth=2)], ids=["softmax", "tree"]
)
def test_categories_and_missing_values_reach_boosting(gate):
    gate = gate and make_pipeline(make_column_transformer(("passthrough", NAMES)), gate)
    frame = MIXED.copy()
    frame.loc[::7, "b"] = np.nan
    moe = regressor(BOOSTING, gate=gate).fit(frame, Y)
    assert np.isfinite(moe.predict(frame)).all()
    assert moe.experts_[0].is_categorical_.tolist() == [False] * 4 + [True, False]
    assert list(moe.feature_names_in_) == list(frame.columns)


def test_unseen_category_is_predicted():
    moe = regressor(BOOSTING).fit(MIXED, Y)
    other = MIXED.assign(town=pd.Categorical(["Rom"] * len(MIXED)))
    assert np.isfinite(moe.predict(other)).all()
    np.testing.assert_allclose(moe.gate_proba(other).sum(axis=1), 1)


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame], ids=["array", "frame"])
def test_missing_values(make):
    holes = make(HOLES)
    boosted = regressor(BOOSTING).fit(holes, Y)
    imputed = regressor(make_pipeline(SimpleImputer(), Ridge())).fit(holes, Y)
    assert np.isfinite(boosted.log_prob(holes, Y)).all()
    assert np.isfinite(imputed.log_prob(holes, Y)).all()
    with pytest.raises(ValueError, match=r"(?s)expert0.*NaN"):
        regressor().fit(holes, Y)


@pytest.mark.parametrize("make", [pd.DataFrame, np.asarray, pl.DataFrame])
def test_text_that_a_region_lacks_may_be_imputed_before_boosting(make):
    side = np.arange(120) % 2
    text = np.where(side == 1, np.where(X[:, 1] > 0, "u", "v").astype(object), None)
    frame = pd.DataFrame({"x": X[:, 0], "side": 1.0 * side, "text": pd.Series(text, dtype=object)})
    target = np.where(side == 1, 5.0 * (text == "u"), -3.0)
    table = frame.to_numpy() if make is np.asarray else make(frame)
    encoder = make_pipeline(
        SimpleImputer(
            missing_values=None, strategy="constant", fill_value="none", keep_empty_features=True
        ),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    columns = make_column_transformer((encoder, [2]), remainder="passthrough")
    expert = make_pipeline(columns, HistGradientBoostingRegressor(max_iter=20))
    moe = regressor(expert, init=np.eye(2)[side]).fit(table, target)
    assert moe.score(table, target) > 0.9


def test_strings_through_a_pipeline():
    words = np.array([["low", "x"], ["high", "y"], ["low", "z"]] * 40, dtype=object)
    target = (words[:, 0] == "high") * 3.0 + 0.1 * Y
    moe = regressor(make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge()))
    assert moe.fit(words, target).score(words, target) > 0.5
    assert np.isfinite(moe.predict(np.array([["new", "x"]], dtype=object))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, bool])
def test_dtype_reaches_the_expert(witnessed, dtype):
    regressor(Witness()).fit((10 * X).astype(dtype), Y).predict((10 * X).astype(dtype))
    assert len(witnessed) > 4
    assert {table.dtype for table, _ in witnessed} == {np.dtype(dtype)}


@pytest.mark.parametrize("name", ["pandas", "polars", "csr"])
def test_container_reaches_the_expert(witnessed, name):
    table = sp.csr_array(X) if name == "csr" else DENSE[name]
    regressor(Witness()).fit(table, Y).predict(table)
    assert {type(seen) for seen, _ in witnessed} == {type(table)}


def test_table_is_left_as_it_was():
    before, frame = X.copy(), MIXED.copy()
    regressor().fit(before, Y).predict(before)
    regressor(BOOSTING).fit(frame, Y).predict(frame)
    np.testing.assert_array_equal(before, X)
    pd.testing.assert_frame_equal(frame, MIXED)


def test_feature_names_are_checked():
    moe = regressor().fit(DENSE["pandas"], Y)
    assert list(moe.feature_names_in_) == NAMES
    for query in (moe.predict, moe.gate_proba, moe.apply, moe.predict_experts):
        with pytest.raises(ValueError, match="feature names should match"):
            query(DENSE["pandas"][NAMES[::-1]])
    with pytest.warns(UserWarning, match="valid feature names"):
        moe.predict(X)
    assert not hasattr(moe.fit(X, Y), "feature_names_in_")
    with pytest.raises(ValueError, match="3 features"):
        moe.predict(X[:, :3])


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"top_k": 1, "n_experts": 3},
        {"shared_expert": SVR(), "dispersion_estimator": SVR()},
        {"gate": LogisticRegression()},
        {"gate": LogisticRegression(), "top_k": 1, "n_experts": 3},
    ],
    ids=["all", "few", "shared", "gate", "gate of few"],
)
def test_missing_names_are_told_once(params):
    moe = regressor(SVR(), **params).fit(DENSE["pandas"], Y)
    asked = [moe.predict, moe.predict_experts, moe.gate_proba, moe.apply, moe.truncated_proba]
    asked += [lambda X: moe.log_prob(X, Y), lambda X: moe.update_gate(X, Y)]
    for ask in asked:
        for nameless in (X, pd.DataFrame(X)):
            with pytest.warns(UserWarning, match="valid feature names, but Mixture") as told:
                ask(nameless)
            assert len(told) == 1


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    shape=st.tuples(st.integers(8, 40), st.integers(1, 4), st.integers(0, 3)),
    n_experts=st.integers(1, 4),
    cv=st.sampled_from([None, 2, 5]),
)
def test_shapes(shape, n_experts, cv):
    n_samples, n_features, n_outputs = shape
    rng = np.random.default_rng(n_samples)
    table = rng.normal(size=(n_samples, n_features))
    y = rng.normal(size=(n_samples, n_outputs) if n_outputs else n_samples)
    scaled = make_pipeline(StandardScaler(), Ridge())
    moe = regressor(scaled, n_experts=n_experts, cv=cv, tol=1e9).fit(table, y)
    assert moe.predict(table).shape == y.shape
    assert moe.predict_experts(table).shape == (n_samples, moe.n_experts_, *y.shape[1:])
    assert moe.gate_proba(table).shape == (n_samples, moe.n_experts_)
    assert np.isfinite(moe.log_prob(table, y)).all()


@pytest.mark.parametrize("params", [{"cv": None}, {"verdict": True, "top_k": 1}])
@pytest.mark.parametrize("part", ["experts", "gate", "dispersion_estimator", "shared_expert"])
@pytest.mark.parametrize("table", [np.asfortranarray, pd.DataFrame, sp.csr_array])
def test_what_works_in_place_leaves_the_table_alone(table, part, params):
    """Others see the same table, and the user has it."""
    wide = np.abs(5 + 3 * X)

    def said(copy):
        scaler = MaxAbsScaler(copy=copy) if table is sp.csr_array else StandardScaler(copy=copy)
        last = LogisticRegression() if part == "gate" else SVR()
        mine, new = table(wide), table(wide[:50])
        parts = {"experts": Ridge(), part: make_pipeline(scaler, last)}
        weight = np.where(np.arange(120) < 5, 0.0, 1.0)  # to fit to a part of the table
        mixture = regressor(n_experts=2, **params, **parts).fit(mine, Y, sample_weight=weight)
        predicted = mixture.predict(new), mixture.predict(new)
        for before, after in ((wide, mine), (wide[:50], new)):
            np.testing.assert_array_equal(after.toarray() if sp.issparse(after) else after, before)
        return predicted

    (first, again), (in_place, later) = said(copy=True), said(copy=False)
    for other in (again, in_place, later):
        np.testing.assert_allclose(other, first, rtol=1e-9)


PICKED = sp.random(120, 4, 0.6, format="csr", random_state=0)
TWICE = sp.csr_array(
    (np.r_[PICKED.data, PICKED.data], np.r_[PICKED.indices, PICKED.indices], 2 * PICKED.indptr),
    shape=PICKED.shape,
)


@pytest.mark.parametrize(
    "table",
    [PICKED[:, [2, 1, 0, 3]], PICKED @ sp.random(4, 5, 0.6, format="csr", random_state=1), TWICE],
    ids=["columns in another order", "product", "entries twice"],
)
@pytest.mark.parametrize("expert", [Ridge(), SVR()], ids=["ridge", "svr"])
def test_sparse_tables_may_be_in_any_form(table, expert):
    before = table.copy()
    assert not table.has_sorted_indices or table is TWICE
    found = regressor(expert, n_experts=2).fit(table, Y)
    ordered = table.copy()
    ordered.sum_duplicates()
    same = regressor(expert, n_experts=2).fit(ordered, Y)
    np.testing.assert_allclose(found.predict(table), same.predict(ordered), rtol=1e-9)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(table, part), getattr(before, part))


def test_numbers_of_single_precision_bear_a_target_far_from_zero():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(400, 3))
    y = np.where(table[:, 0] > 0, table[:, 1], -table[:, 1]) + 0.3 * rng.normal(size=400)
    moe = MixtureOfExpertsRegressor(Ridge(), verdict=False, random_state=0)
    near = clone(moe).fit(table.astype(np.float32), y)
    far = clone(moe).fit(table.astype(np.float32), y + 1e6)
    shifted = near.predict_interval(table) + 1e6
    np.testing.assert_allclose(far.predict_interval(table), shifted, rtol=0, atol=1e-8)
