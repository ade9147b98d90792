"""The benchmark commands still run: a tiny `first_look` on synthetic tables, and more."""

import json
import os
import subprocess
import sys
import warnings
from argparse import ArgumentTypeError
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from commands import run

ROOT = Path(__file__).resolve().parents[1]
N_ROWS = 80


def write_tables(folder):
    """One table of each task, with a category and a missing value."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"x": rng.randn(N_ROWS), "g": rng.choice(["a", "b", "c"], N_ROWS)})
    slope = np.where(frame["g"] == "a", 2.0, -2.0)
    score = slope * frame["x"] + 0.3 * rng.randn(N_ROWS)
    frame.loc[3, "x"], frame.loc[4, "g"] = np.nan, None
    score = score.fillna(0.0)
    labels = np.where(score > 1, "high", np.where(score > -1, "middle", "low"))
    for task, target in (("regression", score), ("classification", labels)):
        (folder / task).mkdir()
        frame.assign(target=target).to_csv(folder / task / f"toy_{task}.csv.gz", index=False)


@pytest.fixture(scope="module")
def first_look(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    write_tables(folder)
    tables = ["toy_regression", "toy_classification"]
    options = ["--seeds", 1, "--n-experts", 2, "--max-iter", 1, "--experts", "linear"]
    output = folder / "out" / "rows.csv"
    done = run("first_look", "--data", folder, "--tables", *tables, *options, "--output", output)
    assert done.returncode == 0, done.stderr
    return done.stdout, output


def test_first_look_scores_every_cell(first_look):
    rows = pd.read_csv(first_look[1])
    assert rows["error"].isna().all(), rows["error"].tolist()
    assert sorted(rows["table"]) == ["toy_classification", "toy_regression"]
    figures = rows.filter(regex="_(loss|nll|seconds|gain)$|^(bound|gain|gain_stderr)$")
    assert np.isfinite(figures.to_numpy(float)).all()
    np.testing.assert_allclose(rows["true_gain"], rows["single_nll"] - rows["mixture_nll"])


def test_first_look_finds_the_regimes(first_look):
    rows = pd.read_csv(first_look[1]).set_index(["table", "expert"])
    row = rows.loc[("toy_regression", "linear")]
    assert row["mixture_loss"] < 0.7 * min(row["single_loss"], row["average_loss"])


def test_first_look_reports_losses_before_the_summary(first_look):
    text = first_look[0]
    assert "[2/2, 0:00:00 left]" in text
    assert 0 < text.index("Where the mixture loses") < text.index("Summary")


def test_first_look_writes_the_facts_of_the_run(first_look):
    (facts,) = json.loads(first_look[1].with_suffix(".json").read_text())
    assert {"commit", "versions", "cores", "options"} <= set(facts)


@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("expert", ["linear", "tree", "boosting"])
def test_experts_take_the_raw_frame(expert, task, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.data import load
    from benchmarks.models import EXPERTS, Average

    write_tables(tmp_path)
    table = load(f"toy_{task}", tmp_path)
    train, test = table.capped(60).split(seed=0)
    assert (table.task, len(train.y), len(test.y)) == (task, 45, 15)
    model = Average(EXPERTS[expert](task), n_experts=2, seed=0).fit(train.X, train.y)
    said = model.predict(test.X) if task == "regression" else model.predict_proba(test.X)
    assert np.isfinite(said).all()


@pytest.mark.parametrize("command", ["first_look", "speed", "starts", "temperature", "verdict"])
def test_every_command_is_there(command, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.__main__ import COMMANDS, main

    assert command in COMMANDS
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (
            ["gates", "--tables", "nosuch"],
            "No table 'nosuch' in the data folder, which holds one, two",
        ),
        (["shift", "--tables", "nosuch"], "No table 'nosuch'"),
        (
            ["tabular", "--data", "/nowhere"],
            "'/nowhere', of --data or SKLEARN_MOE_DATA, is no folder.",
        ),
    ],
)
def test_tables_that_are_not_there_are_told(argv, text, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(tmp_path)
    for place in ("data/regression/one.csv.gz", "data/classification/two.csv.gz"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
    from benchmarks.__main__ import main

    monkeypatch.setenv("SKLEARN_MOE_DATA", str(tmp_path / "data"))
    assert main(argv) == 2
    assert text in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize("value", ["0", "-5", "two"])
def test_numbers_of_things_are_positive(value, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.__main__ import main

    with pytest.raises(SystemExit, match="2"):
        main(["gates", "--max-rows", value])
    assert f"'{value}' is no whole number above zero" in capsys.readouterr().err


def test_speed_prints_and_keeps_every_part(tmp_path):
    output, parts = tmp_path / "speed.csv", ["iterations", "defaults", "predict", "laws", "memory"]
    options = ["--max-rows", 1000, "--repeats", 1, "--output", output]
    done = run("speed", *options, "--parts", *parts)
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(output)
    assert set(rows["part"]) == set(parts)
    measured = rows[~rows["what"].str.contains("sample|cross-fitted|iterations")]
    assert (measured["ratio"] > 0).all()  # the others are differences, at the mercy of noise
    assert {"floor", "in sample", "cross-fitted"} <= set(rows["what"])
    assert len(done.stdout.splitlines()) == len(rows)


def test_floor_rises_to_where_the_package_ends(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from sklearn.linear_model import Ridge

    from benchmarks.rivals import plain_em
    from benchmarks.timing import simulate
    from sklearn_moe import MixtureOfExpertsRegressor, SoftmaxGate

    X, y, resp = simulate(2000, 3, 3)
    gate = SoftmaxGate(alpha=1e-6)
    moe = MixtureOfExpertsRegressor(Ridge(1e-6), 3, gate=gate, cv=None, init=resp, tol=1e-9)
    total = moe.fit(X, y).log_prob(X, y).sum()
    assert total == pytest.approx(plain_em(X, y, resp), abs=0.1)


def test_unknown_commands_are_refused_with_a_list():
    command = [sys.executable, "-m", "benchmarks", "no_such_thing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "first_look" in done.stdout


def test_temperature_compares_on_the_same_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import models, temperature

    def quick(*arguments):
        return models.mixture(*arguments).set_params(init="principal", cv=3, max_iter=1)

    monkeypatch.setattr(temperature, "mixture", quick)
    write_tables(tmp_path)
    output = tmp_path / "out" / "rows.csv"
    options = ["--tables", "toy_classification", "--experts", "tree", "bayes", "--output", output]
    temperature.main([str(option) for option in ("--data", tmp_path, *options)])
    rows = pd.read_csv(output)
    np.testing.assert_allclose(rows["gain"], rows["plain"] - rows["tempered"], atol=2e-5)
    assert rows["expert"].tolist() == ["tree", "bayes"]
    assert "clearly, worse" in capsys.readouterr().out


def test_rows_do_not_go_where_facts_and_reports_go(tmp_path):
    from benchmarks.options import rows_file

    assert rows_file("a/b.csv") == Path("a/b.csv")
    (tmp_path / "file").touch()
    for text in ("rows.json", "rows.md", "rows", tmp_path / "file" / "rows.csv"):
        with pytest.raises(ArgumentTypeError, match=r"does not end in \.csv|lies below a file"):
            rows_file(str(text))


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon"])
def test_limits_of_time_are_finite(text):
    from benchmarks.options import seconds

    assert seconds("1.5") == 1.5
    with pytest.raises(ArgumentTypeError, match="no number of seconds above zero"):
        seconds(text)


def test_tables_are_looked_for_before_anything_runs(tmp_path):
    from benchmarks.data import check_tables
    from benchmarks.options import NoTable

    write_tables(tmp_path)
    check_tables(["toy_regression", "toy_classification"], tmp_path)
    with pytest.raises(NoTable, match="No table 'toy' in the data folder"):
        check_tables(["toy_regression", "toy"], tmp_path)
    with pytest.raises(NoTable, match="'toy_classification' is a table for classification"):
        check_tables(["toy_classification"], tmp_path, "regression")


@pytest.mark.parametrize("way", ["none", "prior", "auxiliary", "bias", "capacity"])
def test_each_way_to_balance_is_taken(way, monkeypatch):
    from benchmarks import balance

    monkeypatch.setattr(balance, "N_EXPERTS", 4)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 2))
    y = pd.Series(np.where(X[:, 0] > 0, X[:, 1], -X[:, 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain, _ = balance.fit("regression", "none", 0.0, X, y, 0)
        moe, model = balance.fit("regression", way, 2, X, y, 0)
    assert (model is None) == (way in ("none", "prior"))
    imbalance, log_prob = balance.judge(moe, model, X, y)
    assert np.isfinite([imbalance, log_prob]).all()
    assert (way == "none") == np.array_equal(moe.predict(X), plain.predict(X))


def test_auxiliary_loss_takes_from_those_who_have_much():
    from benchmarks.balance import Auxiliary

    resp = np.random.default_rng(0).dirichlet([6.0, 2.0, 1.0], size=200)
    model = SimpleNamespace(data=SimpleNamespace(sample_weight=np.ones(200)), strength=2.0)
    share, found = resp.mean(axis=0), Auxiliary._balanced(model, resp)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    tilted = resp * np.exp(-6.0 * share)
    np.testing.assert_allclose(found, tilted / tilted.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("left", ["", "a,b\n1,2\n3", "a,b\n1,2\n", "a,"])
def test_rows_are_added_behind_what_is_whole(left, tmp_path):
    from benchmarks.records import append_row

    path = tmp_path / "rows.csv"
    path.write_text(left)
    append_row(path, {"a": 5, "b": 6})
    kept = ["1,2"] if "1,2" in left else []
    assert path.read_text().splitlines() == ["a,b", *kept, "5,6"]


def test_experts_chosen_by_other_scores_are_weighed_by_the_gate():
    from benchmarks.balance import TOP_K, chosen_by

    log_gate, scores = np.random.default_rng(0).normal(size=(2, 20, 5))
    routing = chosen_by(log_gate, scores)
    largest = np.argsort(-scores, axis=1)[:, :TOP_K]
    np.testing.assert_array_equal(routing.slots.index, largest)
    kept = np.exp(np.take_along_axis(log_gate, largest, axis=1))
    np.testing.assert_allclose(routing.proba, kept / kept.sum(axis=1, keepdims=True))


def test_pictures_are_asked_for_in_a_format_that_there_is():
    from benchmarks.options import picture

    assert picture("a/b.SVG") == Path("a/b.SVG")
    for text in ("a.xyz", "folder"):
        with pytest.raises(ArgumentTypeError, match="does not end in one of"):
            picture(text)


@pytest.mark.parametrize("has_pip", [True, False])
def test_an_environment_that_was_left_half_made_is_finished(has_pip, tmp_path, monkeypatch):
    spec = spec_from_file_location("setup_job", Path(__file__).parents[1] / ".ci" / "setup.py")
    job = module_from_spec(spec)
    spec.loader.exec_module(job)
    python = tmp_path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    python.parent.mkdir()
    python.touch()
    made = []
    monkeypatch.setattr(job.venv, "create", lambda folder, **options: made.append(folder))
    answer = SimpleNamespace(returncode=int(not has_pip))
    monkeypatch.setattr(job.subprocess, "run", lambda *args, **options: answer)
    job.environment(tmp_path)
    assert made == [] if has_pip else [tmp_path]
