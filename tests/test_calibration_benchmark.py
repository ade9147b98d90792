"""The command `calibration`: its figures are right, it resumes, it reports; tiny tables only."""

from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import commands
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.base import clone

ROOT = Path(__file__).resolve().parents[1]
N_ROWS = 120
INTERVALS_ONLY = ("mapie",)
WITHOUT_DENSITY = ("mapie", "boosted quantiles", "quantile forest", "quantile forest 5")


@pytest.fixture(autouse=True)
def _root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def write_table(folder):
    """A table of two regimes with a category and missing values."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"x": rng.randn(N_ROWS), "g": rng.choice(["a", "b", "c"], N_ROWS)})
    slope = np.where(frame["g"] == "a", 2.0, -2.0)
    target = slope * frame["x"] + 0.3 * rng.randn(N_ROWS)
    frame.loc[3, "x"], frame.loc[4, "g"] = np.nan, None
    (folder / "regression").mkdir()
    path = folder / "regression" / "toy.csv.gz"
    frame.assign(target=target).to_csv(path, index=False)


def quick(*arguments):
    """A mixture by few starts, folds and iterations."""
    from benchmarks.models import mixture

    return mixture(*arguments).set_params(init="residual", n_init=1, cv=3, max_iter=2)


def run(*arguments):
    done = commands.run("calibration", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    write_table(folder)
    options = ["--data", folder, "--tables", "toy", "--experts", "linear", "--n-experts", 2]
    options += ["--output", folder / "rows.csv"]
    told = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(told):
        patch.syspath_prepend(str(ROOT))
        patch.setattr("benchmarks.forecasters.mixture", quick)
        from benchmarks.calibration import main

        main([str(option) for option in options])
    return told.getvalue(), folder / "rows.csv", options


def test_every_model_that_is_here_is_judged(finished):
    from benchmarks.forecasters import MIXTURES, MODELS, PACKAGES

    text, output, _ = finished
    rows = pd.read_csv(output).set_index("model")
    assert rows["error"].isna().all(), rows["error"].tolist()
    missing = {name for name, package in PACKAGES.items() if not find_spec(package)}
    conformal = {f"conformal {name}" for name in MIXTURES if name != "raw mixture"}
    assert set(rows.index) == {*MODELS, *conformal} - missing
    assert all(f"{name} is left out: the package" in text for name in missing)
    figures = rows[["coverage_50", "coverage_80", "coverage_95", "width_90", "seconds"]]
    assert np.isfinite(figures.to_numpy(float)).all()
    assert rows["crps"].isna().equals(rows.index.to_series().isin(INTERVALS_ONLY))
    assert rows["nll"].isna().equals(rows.index.to_series().isin(WITHOUT_DENSITY))


def test_the_mixture_finds_the_regimes(finished):
    rows = pd.read_csv(finished[1]).set_index("model")
    assert rows.loc["mixture", "crps"] < 0.7 * rows.loc["one expert", "crps"]


@pytest.mark.filterwarnings("ignore:EM did not settle")
def test_one_fit_serves_both_kinds_of_interval(tmp_path):
    from benchmarks.data import load
    from benchmarks.forecasters import Mixture, Setting

    write_table(tmp_path)
    train, test = load("toy", tmp_path).split(0)
    model = Mixture(Setting("linear", 2, 0))
    model.model.set_params(init="principal", n_init=1, cv=3, max_iter=3)
    model.fit(train)
    plain = clone(model.model).set_params(calibrate="noise").fit(train.X, train.y)
    forecast = model.forecast(test)
    np.testing.assert_array_equal(forecast.intervals[0.8], plain.predict_interval(test.X, 0.8))
    assert (forecast.calibrated[0.8] != forecast.intervals[0.8]).any()


def test_cells_that_are_there_are_skipped(finished):
    text, output, options = finished
    before = output.read_text()
    again = run(*options)
    assert output.read_text() == before
    assert "[1/" in text
    assert "[1/" not in again


def test_all_rows_are_held_out_once(tmp_path):
    from benchmarks.calibration import N_QUARTERS, held_out
    from benchmarks.data import load

    write_table(tmp_path)
    table = load("toy", tmp_path)
    for draw in (0, N_QUARTERS):
        parts = [held_out(table, draw + quarter, 60, 500) for quarter in range(N_QUARTERS)]
        assert sorted(row for _, test in parts for row in test.y.index) == list(table.y.index)
        assert {len(train.y) for train, _ in parts} == {60}
        assert not any(set(train.y.index) & set(test.y.index) for train, test in parts)
    assert held_out(table, 0, 60, 500)[1].y.tolist() != parts[0][1].y.tolist()
    assert len(held_out(table, 0, 60, 10)[1].y) == 10


def test_report_averages_coverage_before_it_compares():
    from benchmarks.calibration_report import mean_over_seeds

    row = {"table": "a", "label": "m", "model": "m", "error": np.nan, "n_test": 50, "nll": 0.0}
    row |= {"crps": 0.0, "crps_closed": 0.0, "width_90": 1.0, "seconds": 1.0, "coverage_95": 0.95}
    rows = [
        row | {"coverage_50": share, "coverage_80": 0.8, "coverage_error": 10 / 3}
        for share in (0.4, 0.6)
    ]
    (cell,) = mean_over_seeds(pd.DataFrame(rows)).to_dict("records")
    assert cell["coverage_error"] == pytest.approx(0)
    assert cell["split_error"] == pytest.approx(10 / 3)
    assert (cell["n_test"], cell["seeds"]) == (100, 2)


def test_report_alone_needs_no_fit(finished):
    text, output, _ = finished
    report = run("--report", output)
    assert report.strip() in text
    for part in ("Means over the tables", "beats the rival (row) by CRPS", "Where a rival beats"):
        assert part in report


@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_figures_of_the_truth(unit):
    from benchmarks.calibration import figures
    from benchmarks.forecasters import gaussian

    y = unit * np.random.default_rng(0).standard_normal(20_000)
    found = figures(gaussian(np.zeros(len(y)), unit, y), y, unit)
    assert found["coverage_error"] < 0.5
    assert found["crps_closed"] == pytest.approx(1 / np.sqrt(np.pi), rel=0.02)
    assert found["crps"] == pytest.approx(found["crps_closed"], rel=0.01)
    assert found["nll"] == pytest.approx(norm.entropy(), rel=0.01)
    assert found["width_90"] == pytest.approx(2 * norm.ppf(0.95))


def test_figures_of_intervals_that_are_too_narrow():
    from benchmarks.calibration import figures
    from benchmarks.forecasters import COVERAGES, Forecast

    y = np.arange(10.0)
    ends = np.tile([-0.5, 3.5], (10, 1))
    found = figures(Forecast(dict.fromkeys(COVERAGES, ends)), y, scale=2.0)
    assert found["coverage_error"] == pytest.approx(100 * np.mean([0.1, 0.4, 0.55]))
    assert found["width_90"] == 2.0
    assert np.isnan(found["crps"])
    assert np.isnan(found["nll"])


def test_boosted_quantiles_do_not_cross():
    from benchmarks.data import Table
    from benchmarks.forecasters import LEVELS, BoostedQuantiles, Setting

    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.standard_normal(60)})
    table = Table("toy", "regression", X, pd.Series(rng.standard_normal(60)))
    forecast = BoostedQuantiles(Setting("", 1, 0)).fit(table).forecast(table)
    assert forecast.quantiles.shape == (60, len(LEVELS))
    assert (np.diff(forecast.quantiles, axis=1) >= 0).all()
    np.testing.assert_array_equal(forecast.intervals[0.95], forecast.quantiles[:, [0, -1]])
    assert (forecast.intervals[0.8][:, 0] >= forecast.intervals[0.9][:, 0]).all()


def test_missing_packages_are_named(monkeypatch, capsys):
    from benchmarks import forecasters

    monkeypatch.setitem(forecasters.PACKAGES, "mapie", "no_such_package")
    assert forecasters.available(["mapie", "one expert"]) == ["one expert"]
    assert "no_such_package" in capsys.readouterr().out


def test_tables_are_what_the_comment_says():
    from benchmarks.calibration import TABLES
    from benchmarks.data import data_folder, load

    if data_folder() is None:
        pytest.skip("the folder of tables is not here")
    assert len(set(TABLES)) == 20
    for name in TABLES:
        y = load(name).y
        assert len(y) >= 500, name
        assert y.value_counts(normalize=True).iloc[0] <= 0.05, name
