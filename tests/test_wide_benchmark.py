"""The command `wide`: its test statistic, its rivals, and a tiny run that is continued."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import wide

    return wide


def write_tables(folder):
    """A linear rule for each level of a category, as numbers and as classes; and a gap."""
    rng = np.random.default_rng(0)
    X, level = rng.standard_normal((240, 8)), rng.integers(2, size=240)
    slopes = np.array([[4.0, 1.0] * 4, [1.0, 4.0] * 4])
    score = (X * slopes[level]).sum(axis=1)
    frame = pd.DataFrame(X, columns=list("abcdefgh")).assign(i=np.array(["u", "v"])[level])
    frame.loc[3, "a"] = np.nan
    for task, target in (("regression", score), ("classification", score > 0)):
        (folder / task).mkdir()
        frame.assign(target=target).to_csv(folder / task / f"rules_{task}.csv.gz", index=False)


def test_two_rules_are_won_and_the_run_is_continued(wide, tmp_path, monkeypatch, capsys):
    from benchmarks.__main__ import main

    write_tables(tmp_path)
    monkeypatch.setattr(wide, "SHAPES", [(2, 0.0, "kmeans_xy", "stiff"), (2, 0.1, "tree", "tree")])
    output = tmp_path / "out" / "rows.csv"
    command = ["wide", "--data", str(tmp_path), "--output", str(output), "--max-rows", "200"]
    command += ["--tables", "rules_regression", "rules_classification", "--seeds"]
    assert main([*command, "1"]) == 0
    first = pd.read_csv(output)
    assert main([*command, "2"]) == 0
    rows = pd.read_csv(output)
    pd.testing.assert_frame_equal(rows[:2], first)
    assert rows["seed"].tolist() == [100, 100, 101, 101]
    assert (rows["n_train"] + rows["n_test"] == 200).all()
    assert (rows["mixture_loss"] < rows[["linear_loss", "tree_loss"]].min(axis=1)).all()
    report = capsys.readouterr().out
    assert "[2/2, 0:00:00 left]" in report
    assert report.count("LOSES") == 0
    assert rows["mixture_setting"].str.contains("n_experts=2").all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_one_expert_is_kept_where_there_is_one_rule(wide):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((90, 10))
    search = wide.Search("regression", X, X.sum(axis=1) + 2 * rng.standard_normal(90))
    assert wide.setting(search.mixture()).startswith("alpha=")


def test_corrected_t_by_hand(wide):
    statistic, p = wide.corrected_t(np.array([1.0, 2.0, 3.0]), test_to_train=1 / 3)
    assert statistic == pytest.approx(2 / np.sqrt(2 / 3))
    # Two degrees of freedom have a distribution function in closed form.
    assert p == pytest.approx(1 - statistic / np.sqrt(statistic**2 + 2))
    assert wide.corrected_t(np.zeros(3), 1 / 3) == (0.0, 1.0)


def test_leaves_count_one_row_more_of_each_class(wide):
    X, y = np.array([[0.0], [0], [0], [1], [1]]), np.array([0, 0, 0, 1, 2])
    tree = wide.SmoothedTree().fit(X, y)
    expected = [[4 / 6, 1 / 6, 1 / 6], [1 / 5, 2 / 5, 2 / 5]]
    np.testing.assert_allclose(tree.predict_proba([[0.0], [1.0]]), expected)


def test_losses_are_reported_as_losses(wide):
    rows = pd.DataFrame(dict.fromkeys(wide.COLUMNS, 0), index=range(3))
    rows = rows.assign(table="t", n_train=75, n_test=25)
    rows = rows.assign(linear_loss=[1.0, 1.1, 1.2], tree_loss=[3.0, 3.1, 3.3])
    rows = rows.assign(mixture_setting=["n_experts=2 C=1", "C=1", "C=2"])
    text = wide.report(rows.assign(mixture_loss=[2.0, 2.1, 2.25]))
    chosen, linear, tree = text.splitlines()[1:4]
    assert chosen.endswith("on 1 of 3 splits")
    assert linear.endswith("LOSES")
    assert tree.endswith("wins")
    assert text.endswith("0 over linear, 1 over tree, 0 over both.")
