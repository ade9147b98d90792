"""Where each expert acts: gate probabilities along columns, and in the plane of two."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from .._numeric import Array
from .._rows import take_rows
from .._table_checks import check_weight
from ._asked import mixture_within
from ._canvas import colors_of, name_experts
from ._columns import Column, Table
from ._display import Display

# Columns that are shown unless others are asked for, and points of a map.
N_COLUMNS, MOST_POINTS = 2, 2000


@dataclass(frozen=True, eq=False)
class Along:
    """Gate probabilities along a column.

    `shares` (B, K) are the means of probabilities in its bands, `mass` (B,) the weight of the rows
    of each band, and `information` says, in nats, how much the band tells about who acts.
    """

    column: Column
    shares: Array
    mass: Array
    information: float

    def draw(self, axes: Any, colors: Array) -> None:
        """Stacked areas along numbers, stacked bars for categories."""
        column, tops = self.column, np.cumsum(self.shares, axis=1)
        is_line = column.labels is None and len(column.places) > 1
        for share, top, color in zip(self.shares.T, tops.T, colors, strict=True):
            if is_line:
                axes.fill_between(column.places, top - share, top, color=color, lw=0)
            else:
                axes.bar(column.places, share, bottom=top - share, color=color)
        axes.set(ylim=(0, 1), ylabel="gate probability")
        axes.set_title(f"tells {self.information:.2f} nats", fontsize="medium")
        axes.margins(x=0)
        column.name_axis(axes.xaxis)


@dataclass(frozen=True, eq=False)
class Map:
    """Rows in the plane of two columns, with the gate's probabilities (m, K)."""

    columns: tuple[Column, Column]
    rows: NDArray[np.intp]
    proba: Array

    def draw(self, axes: Any, colors: Array) -> None:
        """Points whose colours are mixed from those of the experts."""
        x, y = (column.values[self.rows] for column in self.columns)
        axes.scatter(x, y, s=9, c=np.clip(self.proba @ colors, 0, 1), lw=0)
        for column, axis in zip(self.columns, (axes.xaxis, axes.yaxis), strict=True):
            column.name_axis(axis)


class GateDisplay(Display):
    """Where each expert acts: the gate's probabilities along columns of a table.

    A panel for each column has the mean probability of each expert, stacked, in bands of equally
    many rows or in each category. A panel for two columns has rows in their plane, whose colours
    are mixed from those of the experts by their probabilities. Rows whose number is missing are
    left out of a panel. Make it with :meth:`from_estimator`.

    Parameters
    ----------
    panels : list
        What is shown, column by column or for pairs of columns.
    expert_names : list of str
        Names of the experts.

    Attributes
    ----------
    panels : list
        As given. For one column, `shares` of shape (n_bands, n_experts) are the mean probabilities,
        `mass` of shape (n_bands,) the weights of the bands, and `information` is what the column
        tells about who acts, in nats. For two, `proba` of shape (n_points, n_experts) holds the
        probabilities of the rows shown.
    axes_ : list of matplotlib Axes
        The axes that it is drawn on, one for each panel.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    ExpertsDisplay : What the experts say along columns.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import MixtureOfExpertsRegressor
    >>> from sklearn_moe.inspection import GateDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(300, 2))
    >>> y = np.where(X[:, 0] > 0, X[:, 1], -X[:, 1]) + 0.1 * rng.normal(size=300)
    >>> mixture = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    >>> display = GateDisplay.from_estimator(mixture, X)
    >>> [axes.get_xlabel() for axes in display.axes_]
    ['x0', 'x1', 'x0']
    >>> print(f"{display.panels[0].information:.1f} nats of {np.log(2):.1f}")
    0.6 nats of 0.7
    """

    def __init__(self, *, panels: list[Along | Map], expert_names: list[str]) -> None:
        self.panels = panels
        self.expert_names = expert_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        columns: Any = None,
        sample_weight: Any = None,
        ax: Any = None,
    ) -> GateDisplay:
        """Ask the gate of a fitted mixture, and draw what it says.

        Parameters
        ----------
        estimator : estimator
            Fitted mixture, a pipeline that ends in one, a search over one, or an automatic mixture,
            of which the best one is shown.
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows as the estimator takes them. Columns are named and scaled as they are here.
        columns : str, int or list, default=None
            Names or positions of columns; in a list, a tuple of two asks for a map. By default the
            two that tell most about who acts, and their map.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        ax : matplotlib Axes or array of them, default=None
            Where to draw, one for each panel; by default a new figure.

        Returns
        -------
        display : GateDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `estimator` is no mixture, or `ax` are no Axes.
        ValueError
            If `X` has no such column, or `ax` is of another length.
        ImportError
            If matplotlib is not installed.
        """
        weight = check_weight(sample_weight, X)
        rows = np.flatnonzero(weight)
        X, weight = take_rows(X, rows), weight[rows]
        mixture, Z = mixture_within(estimator, X)
        table, proba = Table(X, weight), mixture.gate_proba(Z)
        if columns is None:
            panels = _most_telling(table, proba, weight)
        else:
            panels = [_panel(table, one, proba, weight) for one in table.wanted(columns)]
        return cls(panels=panels, expert_names=list(mixture.expert_names_)).plot(ax=ax)

    @property
    def _n_panels(self) -> int:
        return len(self.panels)

    def _draw(self) -> None:
        colors = colors_of(len(self.expert_names))
        for panel, axes in zip(self.panels, self.axes_, strict=True):
            panel.draw(axes, colors)
        name_experts(self.axes_[0], self.expert_names, colors)


def _most_telling(table: Table, proba: Array, weight: Array) -> list[Along | Map]:
    """The columns that tell most about who acts, and the map of the first two."""
    found = [_along(table.column(name), proba, weight) for name in table.values]
    found.sort(key=lambda along: -along.information)
    best = found[:N_COLUMNS]
    maps = [_map((a.column, b.column), proba) for a, b in combinations(best, 2)]
    return [*best, *maps]


def _panel(table: Table, wanted: Any, proba: Array, weight: Array) -> Along | Map:
    if isinstance(wanted, tuple) and len(wanted) == 2:
        first, second = (table.column(table.chosen(one)) for one in wanted)
        return _map((first, second), proba)
    return _along(table.column(table.chosen(wanted)), proba, weight)


def _along(column: Column, proba: Array, weight: Array) -> Along:
    shares, masses = column.means(proba, weight)
    mass = masses[:, 0]
    parts = mass / max(mass.sum(), np.finfo(float).tiny)  # a column without a value has no bands
    information = entr(parts @ shares).sum() - parts @ entr(shares).sum(axis=-1)
    return Along(column, shares, mass, max(float(information), 0.0))


def _map(columns: tuple[Column, Column], proba: Array) -> Map:
    first, second = columns
    known = np.flatnonzero((first.band >= 0) & (second.band >= 0))
    rows = known[np.linspace(0, len(known) - 1, min(len(known), MOST_POINTS)).astype(int)]
    return Map(columns, rows, proba[rows])
