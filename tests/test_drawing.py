"""What displays draw: lines, areas and dots are where the numbers are; axes tell what they show."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from sklearn_moe.inspection import (
    CalibrationDisplay,
    ConvergenceDisplay,
    ExpertsDisplay,
    GateDisplay,
)
from sklearn_moe.inspection._columns import MOST_CATEGORIES, Column, Table
from sklearn_moe.inspection._experts_display import LEAST, THIN, WIDE, Rules, Targets
from sklearn_moe.inspection._gate_display import Along

RED, BLUE = np.array([plt.colormaps["tab10"].colors[place] for place in (0, 1)])
NUMBERS = Column("x", np.arange(3), np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0, 3.0]))
NAMES = Column("kind", np.arange(2), np.arange(2.0), np.arange(2.0), ["a", "b"])


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


class Halves(BaseEstimator):
    """As much of a fitted mixture as a display of its gate asks for, by the last column."""

    def fit(self, X, y=None):
        self.expert_names_ = ["low", "high"]
        return self

    def gate_proba(self, X):
        is_low = np.asarray(X)[:, -1].astype(float) < 0.5
        return np.column_stack([is_low, ~is_low]).astype(float)


# Coverage.


def test_coverage_is_drawn_over_what_is_promised():
    nominal, observed = np.array([0.2, 0.5, 0.8]), np.array([[0.1, 0.3], [0.4, 0.6], [0.9, 0.7]])
    display = CalibrationDisplay(nominal=nominal, observed=observed, n_rows=100.0).plot()
    (axes,) = display.axes_
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("coverage promised", "targets inside")
    _, *lines = axes.lines
    for line, shares in zip(lines, observed.T, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([nominal, shares]))
    edges = axes.collections[0].get_paths()[0].vertices
    for level in nominal:
        ends = edges[edges[:, 0] == level, 1]
        room = 1.96 * np.sqrt(level * (1 - level) / 100)
        np.testing.assert_allclose([ends.min(), ends.max()], [level - room, level + room])


# The fit.


@pytest.mark.parametrize(
    ("bounds", "heldout", "kept"),
    [
        ([1.0, 3.0, 2.0], [], 2),
        ([1.0, 3.0, 3.0 + 1e-12], [], 2),
        ([1.0, 2.0, 3.0], [1.0, 3.0, 2.0], 2),
        ([1.0, 5.0, 2.0, 3.0, 2.5], [0.1, 0.3], 4),
    ],
    ids=["in sample", "level", "witnessed", "followed"],
)
def test_iterations_are_drawn_with_the_one_that_was_kept(bounds, heldout, kept):
    display = ConvergenceDisplay(bounds=np.array(bounds), heldout=np.array(heldout)).plot()
    (axes,) = display.axes_
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("iteration", "nats per row")
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    assert lines["bound"].tolist() == [[k + 1, bound] for k, bound in enumerate(bounds)]
    if heldout:
        assert lines["unseen rows"].tolist() == [[k + 1, said] for k, said in enumerate(heldout)]
    assert display.best_iter == kept
    assert lines["kept"][:, 0].tolist() == [kept, kept]


# The experts.


def rules(column, means, mass, **more):
    panel = Rules(column, np.array(means), np.array(mass), more.pop("seen", None))
    return ExpertsDisplay(panels=[panel], expert_names=["one", "other"], says="y", **more).plot()


def test_lines_of_experts_are_as_wide_as_they_act():
    """The first acts alone in the first band, the second hardly does in the second."""
    means, mass = [[1.0, 9.0], [2.0, 8.0], [3.0, 7.0]], [[4.0, 0.0], [9.95, 0.05], [1.0, 3.0]]
    (axes,) = rules(NUMBERS, means, mass).axes_
    first, second = axes.collections
    assert first.get_segments()[0].tolist() == [[0.0, 1.0], [1.0, 2.0]]
    assert first.get_segments()[1].tolist() == [[1.0, 2.0], [3.0, 3.0]]
    share = np.array([1.0, 0.995, 0.25])
    widths = THIN + (WIDE - THIN) * share
    np.testing.assert_allclose(first.get_linewidths(), (widths[:-1] + widths[1:]) / 2)
    assert LEAST > 0.05 / 10
    assert all(np.isnan(path.vertices).any() for path in second.get_paths())  # nothing is drawn
    np.testing.assert_allclose(first.get_colors()[0, :3], RED)
    np.testing.assert_allclose(second.get_colors()[0, :3], BLUE)


def test_dots_of_experts_are_as_large_as_they_act():
    seen = np.array([0.3, 0.6])
    display = rules(NAMES, [[1.0, 9.0], [2.0, 8.0]], [[3.0, 1.0], [1.0, 1.0]], seen=seen)
    (axes,) = display.axes_
    first, second = axes.collections
    assert first.get_offsets().tolist() == [[0.0, 1.0], [1.0, 2.0]]
    for dots, share in ((first, [0.75, 0.5]), (second, [0.25, 0.5])):
        widths = THIN + (WIDE - THIN) * np.array(share)
        np.testing.assert_allclose(dots.get_sizes(), 8 * widths**2)
    assert axes.lines[0].get_xydata().tolist() == [[0.0, 0.3], [1.0, 0.6]]  # of the class


def test_targets_have_the_colours_of_the_experts_that_explain_them():
    targets = Targets(np.array([0, 2]), np.array([5.0, 6.0]), np.array([[1.0, 0.0], [0.25, 0.75]]))
    display = rules(NUMBERS, np.ones((3, 2)), np.ones((3, 2)), targets=targets)
    dots = display.axes_[0].collections[0]
    assert dots.get_offsets().tolist() == [[0.0, 5.0], [3.0, 6.0]]
    np.testing.assert_allclose(dots.get_facecolors()[:, :3], [RED, 0.25 * RED + 0.75 * BLUE])


# The gate.


SHARES = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])


def test_shares_along_numbers_are_stacked():
    panel = Along(NUMBERS, SHARES, np.ones(3), 0.25)
    (axes,) = GateDisplay(panels=[panel], expert_names=["low", "high"]).plot().axes_
    assert axes.get_title() == "tells 0.25 nats"
    bottoms = np.zeros(3)
    for area, share in zip(axes.collections, SHARES.T, strict=True):
        edges = area.get_paths()[0].vertices
        for place, bottom, height in zip(NUMBERS.places, bottoms, share, strict=True):
            ends = edges[edges[:, 0] == place, 1]
            np.testing.assert_allclose([ends.min(), ends.max()], [bottom, bottom + height])
        bottoms = bottoms + share


def test_shares_of_categories_are_stacked():
    panel = Along(NAMES, SHARES[:2], np.ones(2), 0.25)
    (axes,) = GateDisplay(panels=[panel], expert_names=["low", "high"]).plot().axes_
    bars = [[bar.get_y(), bar.get_height()] for bar in axes.patches]
    np.testing.assert_allclose(bars, [[0, 0.2], [0, 0.5], [0.2, 0.8], [0.5, 0.5]])


def test_axes_of_a_map_are_its_columns():
    """Rows whose number is missing in one of them are left out."""
    X = np.column_stack([np.arange(8.0), np.arange(8.0) ** 2, np.arange(8) % 2])
    X[2, 0] = X[5, 1] = np.nan
    display = GateDisplay.from_estimator(Halves().fit(X), X, columns=[("x0", "x1")])
    (axes,) = display.axes_
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x0", "x1")
    left = np.delete(X, [2, 5], axis=0)
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), left[:, :2])


def test_a_column_may_be_counted_from_the_end():
    X = np.column_stack([np.arange(8.0), np.arange(8) % 2])
    display = GateDisplay.from_estimator(Halves().fit(X), X, columns=[-1])
    assert display.panels[0].column.name == "x1"
    assert display.panels[0].shares.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("n_axes", [1, 3])
def test_there_is_one_axes_for_each_panel(n_axes):
    X = np.column_stack([np.arange(8.0), np.arange(8) % 2])
    _, axes = plt.subplots(1, n_axes)
    with pytest.raises(ValueError, match=f"ax holds {n_axes} axes, and there are 2 panels"):
        GateDisplay.from_estimator(Halves().fit(X), X, columns=[0, 1], ax=axes)


# Categories.


def test_rows_are_in_the_bands_of_their_categories():
    kinds = pd.CategoricalDtype(["mid", "high", "low"], ordered=True)
    values = ["low", "mid", "high", "low"]
    column = Table(pd.DataFrame({"kind": pd.Series(values, dtype=kinds)}), np.ones(4)).column(
        "kind"
    )
    assert column.labels == ["mid", "high", "low"]
    assert [column.labels[band] for band in column.band] == values


def test_of_many_categories_the_heaviest_have_bands():
    names = [f"shop {k:02d}" for k in range(MOST_CATEGORIES + 5)]
    weight = np.arange(1.0, len(names) + 1)
    column = Table(pd.DataFrame({"shop": names}), weight).column("shop")
    assert column.labels == [*names[5:], "others"]
    assert column.band.tolist() == [MOST_CATEGORIES] * 5 + list(range(MOST_CATEGORIES))
