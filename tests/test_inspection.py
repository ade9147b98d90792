"""Displays: what they show is what the mixture says, whatever the table and whoever holds it."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from scipy.stats import norm
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_moe import (
    AutoMixtureRegressor,
    ConstantGate,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
)
from sklearn_moe.inspection import (
    CalibrationDisplay,
    ConvergenceDisplay,
    ExpertsDisplay,
    GateDisplay,
)
from sklearn_moe.inspection._columns import MOST_BANDS, MOST_CATEGORIES, Table
from sklearn_moe.metrics import calibration_error

QUICK = {"n_init": 1, "verdict": False, "random_state": 0}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def two_rules(n=240, seed=0):
    """Regimes by the sign of the second column, which a third one, of whole numbers, hides."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.uniform(-1, 1, (n, 2)), rng.integers(0, 4, n)])
    return X, np.where(X[:, 1] > 0, X[:, 0], 2 - X[:, 0]) + 0.1 * rng.normal(size=n)


@pytest.fixture(scope="module")
def fitted():
    X, y = two_rules()
    return MixtureOfExpertsRegressor(Ridge(), 2, **QUICK).fit(X, y), X, y


# The gate.


@pytest.mark.parametrize("form", ["coo_array", "bsr_matrix"])
def test_sparse_tables_of_any_form(fitted, form):
    _, X, y = fitted
    mixture = MixtureOfExpertsRegressor(Ridge(), 2, **QUICK).fit(sp.csr_array(X), y)
    for kind in (GateDisplay, ExpertsDisplay):
        target = {} if kind is GateDisplay else {"y": y}
        found, expected = (
            kind.from_estimator(mixture, table, columns=[0], **target)
            for table in (getattr(sp, form)(X), sp.csr_array(X))
        )
        assert len(found.panels) == len(expected.panels) == 1


def test_the_column_that_divides_comes_first(fitted):
    mixture, X, _ = fitted
    display = GateDisplay.from_estimator(mixture, X)
    first, second, both = display.panels
    assert first.column.name == "x1"
    assert first.information > 0.4 > 0.2 > second.information
    assert [column.name for column in both.columns] == ["x1", second.column.name]
    assert len(display.axes_) == 3
    assert display.figure_ is display.axes_[0].figure


def test_shares_are_the_means_of_gate_probabilities(fitted):
    mixture, X, _ = fitted
    weight = np.random.default_rng(1).uniform(size=len(X))
    display = GateDisplay.from_estimator(mixture, X, columns=["x2", 0], sample_weight=weight)
    proba = mixture.gate_proba(X)
    for value, share, mass in zip(
        range(4), display.panels[0].shares, display.panels[0].mass, strict=True
    ):
        rows = X[:, 2] == value
        np.testing.assert_allclose(share, np.average(proba[rows], axis=0, weights=weight[rows]))
        assert mass == pytest.approx(weight[rows].sum())
    along = display.panels[1]
    np.testing.assert_allclose(along.shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(along.mass, weight.sum() / MOST_BANDS, rtol=0.1)
    np.testing.assert_allclose(along.mass @ along.shares, weight @ proba)


def test_information_is_none_or_all():
    X, y = two_rules()
    none = MixtureOfExpertsRegressor(Ridge(), 2, gate=ConstantGate(), **QUICK).fit(X, y)
    panels = GateDisplay.from_estimator(none, X, columns=[0, 1, 2]).panels
    assert [panel.information for panel in panels] == pytest.approx([0, 0, 0], abs=1e-9)
    Z = np.repeat([[0.0], [1.0]], 9, axis=0)
    display = GateDisplay.from_estimator(Sure().fit(Z), Z)
    assert display.panels[0].information == pytest.approx(np.log(2))


class Sure(BaseEstimator):
    """What looks like a mixture whose gate is never in doubt: it goes by the first column."""

    def fit(self, X, y=None):
        self.expert_names_, self.first_ = ["this", "others"], np.asarray(X)[0, 0]
        return self

    def gate_proba(self, X):
        is_first = np.asarray(X)[:, 0] == self.first_
        return np.column_stack([is_first, ~is_first]).astype(float)


def test_weights_are_repeats(fitted):
    mixture, X, y = fitted
    times = np.random.default_rng(2).integers(0, 4, len(X))
    again = np.repeat(np.arange(len(X)), times)
    for make in (
        lambda X, y, **more: GateDisplay.from_estimator(mixture, X, columns=[0, 2], **more),
        lambda X, y, **more: ExpertsDisplay.from_estimator(mixture, X, y, columns=[0, 2], **more),
    ):
        weighted = make(X, y, sample_weight=times).panels
        for one, other in zip(weighted, make(X[again], y[again]).panels, strict=True):
            np.testing.assert_allclose(one.column.places, other.column.places)
            np.testing.assert_allclose(one.mass, other.mass)
            values = [getattr(p, "shares", getattr(p, "means", None)) for p in (one, other)]
            np.testing.assert_allclose(*values)


def test_a_map_mixes_colours(fitted):
    mixture, X, _ = fitted
    display = GateDisplay.from_estimator(mixture, X, columns=[(0, "x1")])
    (shown,) = display.panels
    np.testing.assert_array_equal(shown.proba, mixture.gate_proba(X)[shown.rows])
    (dots,) = display.axes_[0].collections
    np.testing.assert_allclose(dots.get_offsets(), X[shown.rows][:, :2])
    sure = shown.proba[:, 0] > 0.999
    np.testing.assert_allclose(
        dots.get_facecolors()[sure, :3],
        np.tile(plt.colormaps["tab10"].colors[0], (sure.sum(), 1)),
        atol=2e-3,
    )


# Who holds the mixture, and which table.


def test_whoever_holds_the_mixture_is_asked(fitted):
    _, X, y = fitted
    mixture = MixtureOfExpertsRegressor(Ridge(), 2, **QUICK)
    pipeline = make_pipeline(StandardScaler(), mixture).fit(X, y)
    search = GridSearchCV(pipeline, {"mixtureofexpertsregressor__tol": [0.1]}, cv=2).fit(X, y)
    auto = AutoMixtureRegressor([("ours", clone(pipeline))], stacking=False).fit(X, y)
    inside = {
        pipeline: (pipeline[-1], pipeline[:-1].transform(X)),
        search: (search.best_estimator_[-1], pipeline[:-1].transform(X)),
        auto: (auto.mixture_, auto.encode(X)),
    }
    for holder, (held, Z) in inside.items():
        panel = GateDisplay.from_estimator(holder, X, columns=["x2"]).panels[0]
        assert (panel.column.places == range(4)).all()
        proba = held.gate_proba(Z)
        expected = [proba[X[:, 2] == value].mean(axis=0) for value in range(4)]
        np.testing.assert_allclose(panel.shares, expected)
        rules = ExpertsDisplay.from_estimator(holder, X, y, columns=[2]).panels[0]
        assert rules.means.shape == (4, 2)
        assert ConvergenceDisplay.from_estimator(holder).bounds.tolist() == held.lower_bounds_
        assert CalibrationDisplay.from_estimator(holder, X, y).observed.shape == (19, 1)


@pytest.mark.parametrize("kind", ["pandas", "polars", "csr", "list"])
def test_all_kinds_of_tables_show_the_same(fitted, kind):
    mixture, X, y = fitted
    names = ["a", "b", "c"]
    if kind == "polars":
        made = pytest.importorskip("polars").DataFrame(X, schema=names)
    else:
        made = {"csr": sp.csr_array, "list": np.ndarray.tolist, "pandas": pd.DataFrame}[kind](X)
    if kind == "pandas":
        made.columns = names
    mixture = clone(mixture).fit(made, y)
    (panel,) = GateDisplay.from_estimator(mixture, made, columns=[2]).panels
    proba = mixture.gate_proba(made)
    expected = [proba[X[:, 2] == value].mean(axis=0) for value in range(4)]
    np.testing.assert_allclose(panel.shares, expected)
    assert panel.column.name == ("c" if kind in ("pandas", "polars") else "x2")


def test_columns_of_all_kinds():
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(40), unit="D")
    frame = pd.DataFrame(
        {
            "day": days,
            "text": ["a", None, "b", "a"] * 10,
            "many": [f"shop {i % 20}" for i in range(40)],
            "gaps": np.where(np.arange(40) % 4 == 0, np.nan, np.arange(40) % 3),
            "flag": np.arange(40) % 2 == 0,
            "empty": np.nan,
        }
    )
    table = Table(frame, np.ones(40))
    columns = {name: table.column(name) for name in frame}
    assert columns["day"].is_date
    assert columns["day"].values[0] == days[0].timestamp() / 86400
    assert columns["text"].labels == ["a", "b", "nan"]
    assert len(columns["many"].labels) == MOST_CATEGORIES + 1
    assert columns["many"].labels[-1] == "others"
    np.testing.assert_array_equal(columns["gaps"].band < 0, frame["gaps"].isna())
    assert columns["gaps"].places.tolist() == [0, 1, 2]
    assert columns["flag"].places.tolist() == [0, 1]
    assert len(columns["empty"].places) == 0
    for column in columns.values():
        assert np.bincount(column.band[column.band >= 0]).all()


def test_bands_of_tied_numbers_are_never_empty():
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = rng.integers(0, rng.integers(2, 60), size=rng.integers(1, 90)).astype(float)
        weight = rng.uniform(0.01, 1, len(values))
        column = Table(values[:, None], weight).column("x0")
        counts = np.bincount(column.band)
        assert counts.all()
        assert len(counts) == len(column.places) <= MOST_BANDS
        assert (np.diff(column.places) > 0).all()


def test_whole_numbers_have_as_many_bands_as_rows_allow():
    X = np.random.default_rng(0).integers(0, 30, size=(200, 3)).astype(float)
    for table in (X, np.repeat(X, 3, axis=0)):
        column = Table(table, np.ones(len(table))).column("x0")
        assert len(column.places) == MOST_BANDS
    few = np.repeat(X[:40], 5, axis=0)
    assert len(Table(few, np.ones(200)).column("x0").places) == 4


def test_text_and_dates_are_drawn():
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(120) % 50 * 20, unit="D")
    frame = pd.DataFrame({"kind": ["one long name", "another", "another"] * 40, "day": days})
    wanted = ["kind", "day", ("day", "kind")]
    display = GateDisplay.from_estimator(Sure().fit(frame), frame, columns=wanted)
    assert display.panels[0].shares.tolist() == [[0, 1], [1, 0]]
    display.figure_.canvas.draw()
    ticks = [label.get_text() for label in display.axes_[0].get_xticklabels()]
    assert ticks == ["another", "one long name"]
    assert "2020" in " ".join(label.get_text() for label in display.axes_[1].get_xticklabels())


def test_categories_keep_their_order():
    sizes = pd.CategoricalDtype(["S", "M", "L"], ordered=True)
    frame = pd.DataFrame(
        {
            "size": pd.Series(["M", "L", "S"] * 20, dtype=sizes),
            "rooms": ["10", "2", None] * 20,
            "floor": pd.Series([10, 2, 1] * 20, dtype="category"),
        }
    )
    table = Table(frame, np.ones(60))
    assert table.column("size").labels == ["S", "M", "L"]
    assert table.column("size").band[:3].tolist() == [1, 2, 0]
    assert table.column("rooms").labels == ["2", "10", "nan"]
    assert table.column("floor").labels == ["1", "2", "10"]
    sizes = pl.DataFrame({"size": pl.Series(["M", "L", "S"], dtype=pl.Enum(["S", "M", "L"]))})
    assert Table(sizes, np.ones(3)).column("size").labels == ["S", "M", "L"]


def test_dates_and_durations_are_known_in_whatever_holds_them():
    days = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(40), unit="D"))
    since = days - days[0]
    frame = pd.DataFrame(
        {
            "stamps": days,
            "objects": days.dt.date.where(days.index > 3, None),
            "periods": days.dt.to_period("D"),
            "since": since,
            "pieces": since.astype(object),
            "numpy": pd.Series(list(days.to_numpy("datetime64[D]")), dtype=object),
            "number": np.arange(40.0),
        }
    )
    table = Table(frame, np.ones(40))
    columns = {name: table.column(name) for name in frame}
    assert [name for name in frame if columns[name].is_date] == [
        *("stamps", "objects", "periods", "numpy")
    ]
    assert [columns[name].name for name in ("since", "pieces", "number")] == [
        "since (days)",
        "pieces (days)",
        "number",
    ]
    assert columns["pieces"].values[1] == 1.0


def test_text_is_drawn_as_it_is():
    labels = ["$0-$10k", "$x^$", "a" * 80]
    frame = pd.DataFrame({"x_$_y_$": labels * 40})
    display = GateDisplay.from_estimator(Sure().fit(frame), frame, columns=["x_$_y_$"])
    display.figure_.canvas.draw()
    (axes,) = display.axes_
    ticks = [label.get_text().replace("\\$", "$") for label in axes.get_xticklabels()]
    assert ticks == [*labels[:2], "a" * 23 + "…"]
    assert axes.get_xlabel() == r"x_\$_y_\$"


# The experts.


def test_rules_are_means_of_what_experts_say_where_they_act(fitted):
    mixture, X, y = fitted
    weight = np.random.default_rng(3).uniform(size=len(X))
    display = ExpertsDisplay.from_estimator(mixture, X, y, columns=["x2"], sample_weight=weight)
    said, acting = mixture.predict_experts(X), weight[:, None] * mixture.gate_proba(X)
    for value, means in enumerate(display.panels[0].means):
        rows = X[:, 2] == value
        expected = (said * acting)[rows].sum(axis=0) / acting[rows].sum(axis=0)
        np.testing.assert_allclose(means, expected)
    rows = display.targets.rows
    np.testing.assert_array_equal(display.targets.values, y[rows])
    np.testing.assert_allclose(display.targets.resp, mixture.responsibilities(X[rows], y[rows]))


def test_the_column_along_which_experts_move_comes_first(fitted):
    mixture, X, _ = fitted
    display = ExpertsDisplay.from_estimator(mixture, X)
    assert display.panels[0].column.name == "x0"
    assert display.targets is None
    slopes = np.sort(np.polyfit(display.panels[0].column.places, display.panels[0].means, 1)[0])
    np.testing.assert_allclose(slopes, [-1, 1], atol=0.1)


def test_classes_and_outputs_can_be_chosen():
    X, y = two_rules()
    labels = np.array(["high", "low", "middle"])[np.digitize(y, [0, 1])]
    mixture = MixtureOfExpertsClassifier(LogisticRegression(), 2, **QUICK).fit(X, labels)
    display = ExpertsDisplay.from_estimator(mixture, X, labels, columns=["x2"], target="low")
    rows = X[:, 2] == 1
    assert display.panels[0].seen[1] == pytest.approx(np.mean(labels[rows] == "low"))
    heavy = np.arange(1.0, len(X) + 1)
    weighted = ExpertsDisplay.from_estimator(
        mixture, X, labels, columns=["x2"], target="low", sample_weight=heavy
    )
    expected = np.average(labels[rows] == "low", weights=heavy[rows])
    assert weighted.panels[0].seen[1] == pytest.approx(expected)
    weight = mixture.gate_proba(X)[rows]
    expected = (mixture.predict_experts(X)[rows, :, 1] * weight).sum(axis=0) / weight.sum(axis=0)
    np.testing.assert_allclose(display.panels[0].means[1], expected)
    assert display.axes_[0].get_ylabel() == "probability of low"
    last = ExpertsDisplay.from_estimator(mixture, X, columns=["x2"])
    assert last.says == "probability of middle"
    assert last.panels[0].seen is None
    with pytest.raises(ValueError, match=r"target='none' is no class; .*'high', 'low', 'middle'"):
        ExpertsDisplay.from_estimator(mixture, X, target="none")
    Y = np.column_stack([y, -y])
    both = MixtureOfExpertsRegressor(LinearRegression(), 2, **QUICK).fit(X, Y)
    first, second = (
        ExpertsDisplay.from_estimator(both, X, Y, columns=[0], target=place) for place in (None, 1)
    )
    np.testing.assert_allclose(first.panels[0].means, -second.panels[0].means)
    np.testing.assert_array_equal(first.targets.values, -second.targets.values)
    with pytest.raises(ValueError, match="target=2 is no position among 2 outputs"):
        ExpertsDisplay.from_estimator(both, X, target=2)


# The fit, and what is predicted.


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_labels_may_be_a_column():
    X, y = two_rules()
    labels = np.where(y > 0, "up", "down")
    moe = MixtureOfExpertsClassifier(n_init=1, max_iter=3, random_state=0).fit(X, labels)
    shown = [ExpertsDisplay.from_estimator(moe, X, given) for given in (labels, labels[:, None])]
    for one, other in zip(*(display.panels for display in shown), strict=True):
        np.testing.assert_array_equal(one.seen, other.seen)


def test_the_fit_is_shown_with_what_was_kept():
    X, y = two_rules()
    judged = MixtureOfExpertsRegressor(Ridge(), 2, n_init=1, random_state=0).fit(X, y)
    display = ConvergenceDisplay.from_estimator(judged)
    assert display.bounds.tolist() == judged.lower_bounds_
    assert display.heldout.tolist() == judged.heldout_log_probs_
    assert display.bounds[display.best_iter - 1] == pytest.approx(judged.lower_bound_)
    assert f"gain {judged.gain_:.2f}" in display.axes_[0].get_title()
    alone = ConvergenceDisplay.from_estimator(MixtureOfExpertsRegressor(**QUICK).fit(X, y))
    assert len(alone.heldout) == 0
    assert alone.axes_[0].get_title() == ""
    assert alone.best_iter == np.argmax(alone.bounds) + 1


def test_coverage_of_known_laws():
    y = np.random.default_rng(0).normal(size=(4000, 1))
    true = CalibrationDisplay.from_predictions(y[:, 0], norm(np.zeros(4000), 1))
    np.testing.assert_allclose(true.observed[:, 0], true.nominal, atol=0.03)
    wide = CalibrationDisplay.from_predictions(y[:, 0], norm(np.zeros(4000), 2))
    expected = 2 * norm.cdf(2 * norm.ppf(0.5 + wide.nominal / 2)) - 1
    np.testing.assert_allclose(wide.observed[:, 0], expected, atol=0.03)
    assert true.n_rows == 4000
    weight = np.repeat([1.0, 0.0], 2000)
    half = CalibrationDisplay.from_predictions(
        y[:, 0], norm(np.zeros(4000), 1), sample_weight=weight
    )
    part = CalibrationDisplay.from_predictions(y[:2000, 0], norm(np.zeros(2000), 1))
    np.testing.assert_allclose(half.observed, part.observed)
    assert half.n_rows == part.n_rows == 2000
    for unit in (1e-170, 1e170):  # whose squares are no numbers
        scaled = CalibrationDisplay.from_predictions(
            y[:, 0], norm(np.zeros(4000), 1), sample_weight=unit * weight
        )
        assert scaled.n_rows == pytest.approx(2000)


def test_coverage_of_counts_is_that_of_the_measure(fitted):
    X = np.random.default_rng(1).normal(size=(100, 2))
    y = np.random.default_rng(2).poisson(np.exp(0.5 * X[:, 0]))
    moe = MixtureOfExpertsRegressor(PoissonRegressor(), family="poisson", **QUICK).fit(X, y)
    display = CalibrationDisplay.from_estimator(moe, X, y)
    error = calibration_error(y, moe.predict_dist(X), levels=display.nominal)
    assert np.abs(display.observed[:, 0] - display.nominal).mean() == pytest.approx(error)
    back = CalibrationDisplay.from_estimator(moe, X[::-1], y[::-1])
    np.testing.assert_allclose(back.observed, display.observed)


def test_rules_of_a_list_are_drawn(fitted):
    mixture, X, y = fitted[0], fitted[1], fitted[2]
    shown = ExpertsDisplay.from_estimator(mixture, X.tolist(), y.tolist())
    assert len(shown.panels) == len(ExpertsDisplay.from_estimator(mixture, X, y).panels)


def test_coverage_of_several_outputs():
    X, y = two_rules()
    Y = np.column_stack([y, -y])
    mixture = MixtureOfExpertsRegressor(Ridge(), 2, **QUICK).fit(X, Y)
    display = CalibrationDisplay.from_estimator(mixture, X, Y)
    assert display.observed.shape == (19, 2)
    assert len(display.axes_[0].get_legend().texts) == 2


# Axes, and what cannot be drawn.


def test_a_display_is_drawn_again_where_the_user_wants(fitted):
    mixture, X, _ = fitted
    _, axes = plt.subplots(1, 2)
    display = GateDisplay.from_estimator(mixture, X, columns=[0, 1], ax=axes)
    assert display.axes_ == list(axes)
    again = display.plot()
    assert again is display
    assert display.axes_[0] is not axes[0]
    _, one = plt.subplots()
    assert ConvergenceDisplay.from_estimator(mixture, ax=one).axes_ == [one]
    with pytest.raises(ValueError, match="ax holds 1 axes, and there are 2 panels"):
        ExpertsDisplay.from_estimator(mixture, X, ax=one)


def test_one_expert_and_many_are_drawn():
    X, y = two_rules(400)
    for n_experts, named in ((1, True), (14, False)):
        mixture = MixtureOfExpertsRegressor(Ridge(), n_experts, max_iter=2, tol=1.0, **QUICK)
        mixture.fit(X, y)
        for display in (
            GateDisplay.from_estimator(mixture, X),
            ExpertsDisplay.from_estimator(mixture, X, y),
        ):
            assert (display.axes_[0].get_legend() is not None) == named


@pytest.mark.parametrize(
    "params", [{"top_k": 2}, {"top_k": 1, "shared_expert": Ridge()}, {"balance": 1.0}]
)
def test_sparse_mixtures_and_shared_experts_are_drawn(params):
    X, y = two_rules()
    mixture = MixtureOfExpertsRegressor(Ridge(), 3, **params, **QUICK).fit(X, y)
    (along,) = GateDisplay.from_estimator(mixture, X, columns="x1").panels
    np.testing.assert_allclose(along.shares.sum(axis=1), 1.0)
    rules = ExpertsDisplay.from_estimator(mixture, X, y, columns=0)
    assert rules.panels[0].means.shape == (MOST_BANDS, len(mixture.experts_))
    rules.figure_.canvas.draw()


def test_a_column_without_values_is_an_empty_panel(fitted):
    _, X, y = fitted
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(nothing=np.nan)
    pipeline = make_pipeline(
        make_column_transformer(("passthrough", ["a", "b"])),
        MixtureOfExpertsRegressor(Ridge(), 2, **QUICK),
    ).fit(frame, y)
    display = GateDisplay.from_estimator(pipeline, frame, columns=["nothing", ("a", "nothing")])
    assert display.panels[0].information == 0.0
    ExpertsDisplay.from_estimator(pipeline, frame, y, columns="nothing").figure_.canvas.draw()
    display.figure_.canvas.draw()


def test_what_cannot_be_drawn_is_told(fitted):
    mixture, X, y = fitted
    with pytest.raises(ValueError, match="columns is empty"):
        GateDisplay.from_estimator(mixture, X, columns=[])
    with pytest.raises(
        ValueError, match=r"columns names 'area'; use those of X, \['x0', 'x1', 'x2'\]"
    ):
        GateDisplay.from_estimator(mixture, X, columns=["area"])
    with pytest.raises(ValueError, match="columns names 3"):
        ExpertsDisplay.from_estimator(mixture, X, columns=[3])
    with pytest.raises(ValueError, match=r"columns names 3\.5"):
        GateDisplay.from_estimator(mixture, X, columns=3.5)
    with pytest.raises(TypeError, match="must be flat matplotlib Axes"):
        GateDisplay.from_estimator(mixture, X, columns=[0], ax=plt.figure())
    with pytest.raises(TypeError, match="must be flat matplotlib Axes"):
        GateDisplay.from_estimator(mixture, X, columns=[0], ax=plt.axes(projection="3d"))
    with pytest.raises(ValueError, match="target=True is no position"):
        ExpertsDisplay.from_estimator(mixture, X, y, target=True)
    with pytest.raises(ValueError, match="target=7 is no position among 1 outputs"):
        ExpertsDisplay.from_estimator(mixture, X, y, target=7)
    with pytest.raises(TypeError, match="is no mixture of experts"):
        GateDisplay.from_estimator(Ridge().fit(X, y), X)
    with pytest.raises(TypeError, match="has no predict_dist"):
        CalibrationDisplay.from_estimator(Ridge().fit(X, y), X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ExpertsDisplay.from_estimator(mixture, X, y[:-1])


def test_without_matplotlib_the_remedy_is_told(fitted, monkeypatch):
    mixture, X, _ = fitted
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        GateDisplay.from_estimator(mixture, X)
