"""The command `tabular`: it resumes, survives what goes wrong, and its figures are right."""

import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import commands
import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def run(*arguments, code=0):
    done = commands.run("tabular", *arguments)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    output = tmp_path_factory.mktemp("tabular") / "rows.csv"
    options = ["--suite", "regimes", "--datasets", "linear rule", "no regime", "--max-train", 150]
    options += ["--models", "moe linear", "linear", "tree", "--splits", 2, "--output", output]
    return run(*options), output, options


def test_every_cell_is_scored(finished):
    text, output, _ = finished
    rows = pd.read_csv(output)
    assert rows["error"].isna().all(), rows["error"].tolist()
    assert len(rows) == 2 * 2 * 3
    figures = rows[["loss", "nll", "crps", "coverage_50", "coverage_95", "fit_seconds"]]
    assert np.isfinite(figures.to_numpy(float)).all()
    assert f"[{len(rows)}/{len(rows)}, 0:00:00 left]" in text


def test_the_report_names_losses_and_verdicts(finished):
    text, output, _ = finished
    assert output.with_suffix(".md").read_text() in text
    assert "moe linear to linear:" in text
    rows = pd.read_csv(output)
    told = rows[rows["model"] == "moe linear"].groupby("table")
    ratio = told["gain"].mean() / told["gain_stderr"].mean()
    assert ratio["linear rule"] > 2 > ratio["no regime"]
    assert "| linear rule | moe linear | 1 | 0 | 1 |" in text
    for kind in ("cost", "wins", "calibration"):
        assert output.with_name(f"rows_regimes_{kind}.png").exists()


def test_it_goes_on_where_it_ended(finished, tmp_path):
    _, output, options = finished
    half = tmp_path / "half.csv"
    lines = output.read_text().splitlines()
    half.write_text("\n".join([*lines[:5], lines[5][:-3]]))  # the last row was not finished
    text = run(*options[:-1], half, "--resume")
    assert "[8/8, 0:00:00 left]" in text
    assert "[9/" not in text
    figures = ["suite", "table", "split", "model", "loss", "nll"]
    whole, made = (pd.read_csv(path)[figures].sort_values(figures[:4]) for path in (output, half))
    pd.testing.assert_frame_equal(whole.reset_index(drop=True), made.reset_index(drop=True))


def test_rows_are_not_mixed_by_accident(finished):
    _, _, options = finished
    assert "pass --resume to add to it" in run(*options, code=2)


def test_a_slow_cell_is_ended(tmp_path):
    output = tmp_path / "slow.csv"
    options = ["--suite", "regimes", "--datasets", "linear rule", "--models", "moe boosting"]
    run(*options, "--time-limit", 0.5, "--output", output)
    (error,) = pd.read_csv(output)["error"]
    assert error == "OutOfTime: not done within 0.5 s"


def test_a_table_that_cannot_be_read_is_told_of_and_may_be_tried_again(tmp_path):
    from benchmarks.records import append_row
    from benchmarks.tabular import Cell, done_in, run_cell
    from benchmarks.tabular_suites import Case

    output, cells = tmp_path / "rows.csv", []
    for table in ("servo", "linear rule"):
        cells.append(Cell(Case("regression", table, 0), "linear", 100, "/nowhere", "c"))
        append_row(output, run_cell(cells[-1]))
    errors = pd.read_csv(output)["error"]
    assert errors[0].startswith("NoTable: '/nowhere', of --data")
    assert errors.isna().tolist() == [False, True]
    assert done_in(output, retry=False) == {cell.key for cell in cells}
    assert done_in(output, retry=True) == {cells[1].key}


def test_what_cannot_be_run_is_said(tmp_path):
    output = "--output", tmp_path / "none.csv"
    text = run("--suite", "regimes", "--datasets", "pol", "nowhere", *output, code=2)
    assert "no nowhere in regimes" in text
    assert "Nothing to run" in run("--report", *output, code=1)


def test_what_a_cell_has_started_ends_with_it(tmp_path):
    from benchmarks.limits import OutOfTime, run_all

    ((_, answer),) = run_all(_with_a_child, [tmp_path / "child"], jobs=1, seconds=8)
    assert isinstance(answer, OutOfTime)
    child = int((tmp_path / "child").read_text())
    for _ in range(50):
        if not _is_running(child):
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child lives on")


def test_a_crash_costs_one_item():
    from benchmarks.limits import Crashed, run_all

    answers = dict(run_all(_twice, [1, 0, 3], jobs=2, seconds=60))
    assert answers[1] == 2
    assert answers[3] == 6
    assert isinstance(answers[0], Crashed)
    assert "code 7" in str(answers[0])


def test_an_interruption_ends_all_and_keeps_what_is_done(tmp_path):
    output = tmp_path / "rows.csv"
    options = ["--suite", "regimes", "--datasets", "linear rule", "--splits", "1"]
    options += ["--models", "linear", "moe boosting", "--output", str(output)]
    command = [sys.executable, "-m", "benchmarks", "tabular", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not output.exists():
        assert process.poll() is None
        time.sleep(0.2)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)  # the mixture would take longer
    assert process.returncode != 0
    assert pd.read_csv(output)["model"].tolist() == ["linear"]


def _with_a_child(file):
    child = subprocess.Popen(["sleep", "60"])
    file.write_text(str(child.pid))
    child.wait()


def _is_running(number):
    try:
        state = Path(f"/proc/{number}/stat").read_text().split()[2]
    except FileNotFoundError:
        return False
    return state != "Z"


def _twice(number):
    if not number:
        time.sleep(0.1)
        os._exit(7)
    return 2 * number


def table(task):
    from benchmarks.data import Table

    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(90, 2)), columns=["a", "b"])
    y = X["a"] + 0.5 * rng.normal(size=90)
    if task == "classification":
        y = pd.Series(np.where(y > 0.5, "high", np.where(y > -0.5, "middle", "low")))
    return Table("toy", task, X, y)


def test_figures_of_a_regressor():
    from benchmarks.tabular_scores import evaluate

    train, test = table("regression").split(0)
    figures = evaluate(Ridge(), train, test, 0)
    predicted = Ridge().fit(train.X, train.y).predict(test.X)
    error = test.y - predicted
    assert figures["loss"] == pytest.approx(np.sqrt(np.mean(error**2)))
    scale = np.std(error)  # near that of the residuals out of fold
    assert figures["nll"] == pytest.approx(-norm.logpdf(error, 0, scale).mean(), abs=0.1)
    assert abs(figures["coverage_90"] - 0.9) < 0.15
    assert figures["coverage_50"] <= figures["coverage_80"] <= figures["coverage_95"]


def test_noise_is_taken_from_residuals_out_of_fold():
    from benchmarks.laws import WithNoise

    data = table("regression")
    model = WithNoise(DummyRegressor()).fit(data.X, data.y.to_numpy())
    assert np.std(data.y) < model.scale_ < 1.1 * np.std(data.y)


def test_gaussian_scores():
    from benchmarks.laws import GaussianLaw

    law = GaussianLaw(np.zeros(1), 1.0)
    below, above = (
        quad(lambda z: norm.cdf(z) ** 2, -9, 0.7),
        quad(lambda z: norm.sf(z) ** 2, 0.7, 9),
    )
    assert law.crps(np.array([0.7]))[0] == pytest.approx(below[0] + above[0], rel=1e-9)
    assert law.ppf([0.975])[0, 0] == pytest.approx(norm.ppf(0.975))


def test_figures_of_a_classifier():
    from benchmarks.tabular_scores import evaluate

    train, test = table("classification").split(0)
    figures = evaluate(LogisticRegression(), train, test, 0)
    model = LogisticRegression().fit(train.X, train.y)
    assert figures["loss"] == pytest.approx(log_loss(test.y, model.predict_proba(test.X)))
    assert figures["accuracy"] == model.score(test.X, test.y)


class Blank(DummyRegressor):
    """A regressor that has learnt nothing to say, if asked for what it has not seen."""

    def predict(self, X):
        return np.full(len(X), np.nan if len(X) > 20 else 0.0)


def test_predictions_that_are_no_numbers_are_an_error():
    from benchmarks.laws import GaussianLaw
    from benchmarks.tabular_scores import evaluate

    Blank.law = lambda self, X: GaussianLaw(np.zeros(len(X)), 1.0)
    train, test = table("regression").split(0)
    assert len(test.y) > 20
    with pytest.raises(ValueError, match="no finite loss"):
        evaluate(Blank(), train, test, 0)


def test_published_splits_follow_their_rule(data_folder):
    from benchmarks.tabular_suites import Case, _first_splits

    for name, n_rows in (("yacht", 308), ("boston", 506)):
        stored = np.load(data_folder / "regression" / f"{name}.splits.npz")["test_idx"]
        for split in (0, 7):
            np.testing.assert_array_equal(stored[split], _first_splits(n_rows, split))
        train, test = Case("uci", name, 7).parts(0, str(data_folder))
        assert set(test.X.index) == set(stored[7])
        assert len(train.y) + len(test.y) == n_rows


def test_every_table_of_a_suite_is_there(data_folder):
    from benchmarks.tabular_suites import SUITES, SYNTHETIC

    stored = {path.name[:-7] for path in data_folder.rglob("*.csv.gz")}
    for tables in SUITES.values():
        assert set(tables) - set(SYNTHETIC) <= stored


def test_a_sure_difference_is_wider_than_its_corrected_error():
    from benchmarks.tabular_report import significant

    def rows(noise):
        loss = np.array([1.0, 1.0, 1.0, 1.0]) + noise * np.array([1, -1, 1, -1])
        ours = pd.DataFrame({"split": range(4), "model": "a", "loss": loss - 0.1})
        theirs = pd.DataFrame({"split": range(4), "model": "b", "loss": 1.0})
        return pd.concat([ours, theirs]).assign(table="mv", n_test=30, n_train=90)

    assert significant(rows(0.01), "a", "b") == 1
    assert significant(rows(0.01), "b", "a") == -1
    assert significant(rows(0.2), "a", "b") == 0


def test_a_row_says_what_was_chosen_and_at_what_cost():
    from benchmarks.tabular_models import MODELS
    from benchmarks.tabular_scores import claims, evaluate

    train, test = table("regression").split(0)
    figures = evaluate(MODELS["linear tuned"].make("regression", 0), train, test, 0)
    assert "ridge__alpha" in figures["chosen"]
    assert figures["n_fits"] == 6 * 3 + 1
    searched = type("Searched", (), {"chosen_": "2 linear", "n_fits_": 9})()
    assert claims(searched) == {"chosen": "2 linear", "n_fits": 9}
    weights = {"linear": 0.7, "forest": 0.3}
    found = {"best_name_": "linear", "weights_": weights, "log_probs_": weights, "mixture_": None}
    stacked = type("Stacked", (), found)()
    assert claims(stacked) == {"chosen": "linear 0.70 + forest 0.30", "n_fits": 2}


def test_numbers_are_compared_on_rows_that_neither_has_seen(tmp_path):
    output = tmp_path / "numbers.csv"
    options = ["--tables", "linear rule", "--max-train", "80", "--output", str(output)]
    options.append("--no-verdict")  # witnesses would take most of the time
    done = commands.run("numbers", *options)
    assert done.returncode == 0, done.stderr
    (row,) = pd.read_csv(output).to_dict("records")
    assert row["delta"] == pytest.approx(row["auto"] - row["grid"])
    assert row["n_train"] == 80
    assert row["auto_number"] >= 2
    assert row["grid_number"] >= 2
    assert "auto surely worse on" in done.stdout


def test_ties_are_half_a_win():
    from benchmarks.tabular_figures import win_shares

    loss = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 3.0, np.nan]})
    share = win_shares(loss)
    assert share.loc["a", "b"] == 0.75
    assert share.loc["b", "a"] == 0.25


@pytest.mark.parametrize("together", [False, True])
def test_the_search_keeps_to_the_training_part(together):
    """What it finds depends on the rows it is given and on nothing else, and has a density."""
    from benchmarks import uci_search

    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(150, 2)))
    y = np.where(X[0] > 0, 3, -3) * X[1].to_numpy() + 0.3 * rng.normal(size=150)
    kinds = {name: uci_search.KINDS[name] for name in ("linear", "quadratic")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uci_search, "KINDS", kinds)
        patch.setattr(uci_search, "SMALL", 0)  # folds are few
        # Networks take their time, and so do scales that depend on the columns.
        patch.setattr(uci_search, "gates", lambda best: ())
        patch.setattr(uci_search, "noises", lambda best, own=uci_search.noises: [*own(best)][:1])
        model = uci_search.SearchedMixture(0, together).fit(X[:70], y[:70])
    assert model.chosen_.split()[1] in kinds
    assert len(model.judged_) == model.n_fits_ - (not together)
    assert model.law(X[100:]).logpdf(y[100:]).mean() > -2.0
    assert np.corrcoef(model.predict(X[100:]), y[100:])[0, 1] > 0.8


def test_kinds_that_are_ahead_meet_again_on_more_rows(monkeypatch):
    from benchmarks import uci_search

    monkeypatch.setattr(uci_search, "SEARCH_ROWS", 40)
    monkeypatch.setattr(uci_search, "FINAL_ROWS", 60)
    search, asked = uci_search.SearchedMixture(0), []

    def score(candidate, X, y):
        asked.append((candidate.kind, len(y)))
        return {"linear": 3, "cubic": 2, "boosting": 1, "forest": 4}.get(candidate.kind, 0) + (
            len(y) == 60 and 9 * (candidate.kind == "cubic")
        )

    monkeypatch.setattr(search, "_score", score)
    best = search._best_kind(np.zeros((100, 2)), np.zeros(100), np.arange(100))
    assert best.kind == "cubic"
    assert [kind for kind, n_rows in asked if n_rows == 60] == ["forest", "linear", "cubic"]


def test_forests_are_fitted_out_of_bag_at_last():
    from benchmarks import uci_search

    search = uci_search.SearchedMixture(0)
    search.judged_ = {}
    mixture = types.SimpleNamespace(n_experts_=2, heldout_log_probs_=np.array([0.0, 2.0, 1.0]))
    for kind in ("forest", "boosting"):
        judged = uci_search.Judged(uci_search.Candidate(kind), 400, [mixture], 0.0)
        search.judged_[f"2 {kind}", 400] = judged
    forest, boosting = (
        search._final(name, 3, 500)[-1].get_params() for name in ("2 forest", "2 boosting")
    )
    assert forest["cv"] == "oob"
    assert forest["experts__n_estimators"] == uci_search.TREES
    assert boosting["cv"] == 5
    assert forest["max_iter"] == boosting["max_iter"] == 2


def test_the_best_of_each_kind_answer_together(monkeypatch):
    """Of those that were judged by the most rows; what was judged by all of them answers as it is.

    Densities of the pool are the weighted mean of theirs.
    """
    from benchmarks import uci_search

    monkeypatch.setattr(uci_search, "SMALL", 0)  # folds are few
    rng = np.random.RandomState(0)
    X = rng.uniform(-2, 2, size=(120, 1))
    y = np.where(X[:, 0] > 0, np.sin(4 * X[:, 0]), X[:, 0]) + 0.1 * rng.normal(size=120)
    search, all_rows = uci_search.SearchedMixture(0, True), np.arange(120)
    search.judged_, search.n_fits_ = {}, 0
    for candidate in (
        uci_search.Candidate("linear"),
        uci_search.Candidate("linear", 3),
        uci_search.Candidate("wide kernel"),
    ):
        search._score(candidate, X, y)
    search._score(uci_search.Candidate("quadratic"), X[:80], y[:80])
    scores = {name: judged.score for (name, _), judged in search.judged_.items()}
    best = uci_search.Candidate("linear", 3)
    weights = search._best_of_kinds(best, X, y, all_rows)
    linear = max("2 linear", "3 linear", key=scores.get)
    assert set(weights) == {linear, "2 wide kernel"}
    assert sum(weights.values()) == pytest.approx(1)
    models = [search._fitted(name, X, y) for name in weights]
    assert search.n_fits_ == 4
    search.models_, search.weights_ = models, np.array(list(weights.values()))
    densities = [np.exp(m[-1].log_prob(m[:-1].transform(X), y)) for m in models]
    # Beside a Student-t law a Gaussian one is of a million degrees of freedom.
    np.testing.assert_allclose(search.law(X).pdf(y), search.weights_ @ densities, rtol=1e-5)
    means = [model.predict(X) for model in models]
    np.testing.assert_allclose(search.predict(X), search.weights_ @ means)


def test_models_are_compared_on_the_same_splits_of_as_many_rows():
    from benchmarks.tabular_report import common
    from benchmarks.tabular_uci import on_splits_of

    rows = pd.DataFrame(
        [
            ("boston", 0, 0, "moe search"),
            ("boston", 1, 0, "moe search"),
            ("boston", 0, 0, "moe search pool"),
            ("boston", 0, 0, "forest"),
            ("boston", 1, 500, "moe search pool"),
        ],
        columns=["table", "split", "max_train", "model"],
    ).assign(suite="uci", loss=1.0)
    assert common(rows, "moe search", "moe search pool").index.tolist() == [0, 2]
    few = rows.iloc[:4]
    assert set(on_splits_of("moe search", few)["model"]) == {"moe search"}
    assert on_splits_of("moe search pool", few)["model"].tolist() == [
        "moe search", "moe search pool", "forest"
    ]  # fmt: skip


def test_the_report_reads_whole_rows_and_takes_equal_digits_for_a_draw(finished, tmp_path):
    from benchmarks import tabular_report
    from benchmarks.records import whole_rows

    _, output, _ = finished
    cut = tmp_path / "cut.csv"
    cut.write_text(output.read_text() + "c,regimes,linear rule,7,150,tree,regression,150,41,4,0.")
    rows = pd.read_csv(whole_rows(cut))
    assert len(rows) == len(pd.read_csv(output))
    level = rows[rows["model"] == "linear"].assign(model="moe linear", n_experts=2)
    level["loss"] *= 1 + 1e-9
    both = tabular_report.rounded(pd.concat([rows[rows["model"] == "linear"], level]))
    line = tabular_report.compare(both, "moe linear", "linear")
    assert line["loss better"] == "0 %"
    assert line["not 1 % worse"] == "100 %"
    assert line["p"] == "-"
    np.testing.assert_allclose(both["loss"].iloc[0], rows.loc[both.index[0], "loss"], rtol=1e-5)


def test_splits_of_simulated_tables_share_no_rows():
    from benchmarks.tabular_report import significant

    rng, parts = np.random.default_rng(0), []
    for name in ("linear rule", "mv"):
        for model, ahead in (("moe linear", 0.0), ("linear", 0.06)):
            loss = 1.0 + ahead + rng.normal(scale=0.02, size=5)
            part = pd.DataFrame({"table": name, "split": range(5), "model": model, "loss": loss})
            parts.append(part.assign(n_test=3000, n_train=1000))
    rows = pd.concat(parts)
    found = [significant(part, "moe linear", "linear") for _, part in rows.groupby("table")]
    assert found == [1, 0]


def test_what_is_stopped_before_it_has_begun_does_not_live_on():
    from benchmarks.limits import Crashed, Limited

    limited = Limited(_twice, 60.0)
    limited.stop()
    with pytest.raises(Crashed, match="stopped before it began"):
        limited(1)
    assert not limited.running


def test_nothing_is_run_on_a_folder_without_the_tables(tmp_path):
    (tmp_path / "regression").mkdir()
    output = tmp_path / "rows.csv"
    options = ["--suite", "regression", "--models", "linear", "--data", tmp_path]
    assert "No table 'abalone'" in run(*options, "--output", output, code=2)
    assert not output.exists()


def test_what_is_named_twice_is_run_once(tmp_path):
    from benchmarks.tabular import make_cells, parse

    output = str(tmp_path / "rows.csv")
    twice = ["--suite", *["regimes"] * 2, "--models", *["linear"] * 2, "--output", output]
    options = parse([*twice, "--datasets", "linear rule"])
    assert len(make_cells(options)) == 1
