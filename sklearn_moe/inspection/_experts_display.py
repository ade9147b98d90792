"""What each expert says where it acts, along columns."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils.validation import check_consistent_length

from .._numeric import Array
from .._rows import n_rows, take_rows
from .._table_checks import check_weight
from ._asked import mixture_within
from ._canvas import colors_of, line_of_widths, name_experts, plain
from ._columns import Column, Table
from ._display import Display

# Columns that are shown unless others are asked for, and rows whose targets are.
N_COLUMNS, MOST_POINTS = 2, 1000
# Widths of a line, in points, where its expert hardly acts, and where it alone does; and the least
# share of a band for which a line is drawn.
THIN, WIDE, LEAST = 0.5, 4.5, 0.01


@dataclass(frozen=True, eq=False)
class Rules:
    """What experts say along a column.

    `means` (B, K) are the mean predictions of each for the rows of a band, weighted by the gate's
    probabilities, whose sums are `mass` (B, K). For labels, `seen` (B,) are the shares of the
    class.
    """

    column: Column
    means: Array
    mass: Array
    seen: Array | None = None

    def draw(self, axes: Any, colors: Array) -> None:
        """Lines along numbers, dots for categories."""
        column, share = self.column, self.mass / self.mass.sum(axis=1, keepdims=True)
        means, widths = np.where(share < LEAST, np.nan, self.means), THIN + (WIDE - THIN) * share
        for values, width, color in zip(means.T, widths.T, colors, strict=True):
            if column.labels is None:
                line_of_widths(axes, column.places, values, width, color)
            else:
                axes.scatter(column.places, values, s=8 * width**2, color=color, zorder=3)
        if self.seen is not None:
            axes.plot(column.places, self.seen, "k.", zorder=4)
        column.name_axis(axes.xaxis)

    @property
    def spread(self) -> float:
        """How far predictions move along the column, on the scale of a variance."""
        means, mass = np.nan_to_num(self.means), self.mass
        center = (mass * means).sum(axis=0) / np.maximum(mass.sum(axis=0), np.finfo(float).tiny)
        return float((mass * (means - center) ** 2).sum())


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets (m,) of some rows (m,), and the responsibilities (m, K) of the experts for them."""

    rows: NDArray[np.intp]
    values: Array
    resp: Array

    def draw(self, axes: Any, column: Column, colors: Array) -> None:
        """Dots in the colours of the experts that explain them."""
        color = np.clip(self.resp @ colors, 0, 1)
        axes.scatter(column.values[self.rows], self.values, s=6, c=color, alpha=0.35, lw=0)


class ExpertsDisplay(Display):
    """What each expert says along columns of a table, where it acts.

    A panel for each column has a line for each expert: in bands of equally many rows, or in each
    category, the mean of what it says, weighted by the gate's probabilities. The more an expert
    acts, the wider is its line. Targets are dots in the colours of the experts that explain them;
    for labels, black dots are the shares of the class. Other columns that vary along with this one
    have a part in the lines: they describe the rows, and do not say what a change would lead to.
    Make it with :meth:`from_estimator`.

    Parameters
    ----------
    panels : list
        What is shown, column by column.
    expert_names : list of str
        Names of the experts.
    says : str
        What the experts predict, as the panels name it.
    targets : object, default=None
        Rows that are shown with their targets.

    Attributes
    ----------
    panels : list
        As given; `means` of shape (n_bands, n_experts) are what the experts say, `mass` of shape
        (n_bands, n_experts) the weight with which they act.
    axes_ : list of matplotlib Axes
        The axes that it is drawn on, one for each panel.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    GateDisplay : Where the experts act.
    sklearn.inspection.PartialDependenceDisplay : How predictions follow a column.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import MixtureOfExpertsRegressor
    >>> from sklearn_moe.inspection import ExpertsDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(300, 2))
    >>> y = np.where(X[:, 0] > 0, X[:, 1], -X[:, 1]) + 0.1 * rng.normal(size=300)
    >>> mixture = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    >>> display = ExpertsDisplay.from_estimator(mixture, X, y, columns=["x1"])
    >>> display.panels[0].means[[0, -1]].round(1)
    array([[-0.9,  0.9],
           [ 0.9, -0.9]])
    """

    def __init__(
        self,
        *,
        panels: list[Rules],
        expert_names: list[str],
        says: str,
        targets: Targets | None = None,
    ) -> None:
        self.panels = panels
        self.expert_names = expert_names
        self.says = says
        self.targets = targets

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        columns: Any = None,
        target: Any = None,
        sample_weight: Any = None,
        ax: Any = None,
    ) -> ExpertsDisplay:
        """Ask the experts of a fitted mixture, and draw what they say.

        Parameters
        ----------
        estimator : estimator
            Fitted mixture, a pipeline that ends in one, a search over one, or an automatic mixture,
            of which the best one is shown.
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows as the estimator takes them. Columns are named and scaled as they are here.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their targets, to be shown as well.
        columns : str, int or list, default=None
            Names or positions of columns; by default the two along which predictions vary most.
        target : label or int, default=None
            Class whose probability is shown, by default the last one; or position of the output, if
            there are several, by default the first.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        ax : matplotlib Axes or array of them, default=None
            Where to draw, one for each panel; by default a new figure.

        Returns
        -------
        display : ExpertsDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `estimator` is no mixture, or `ax` are no Axes.
        ValueError
            If `X` has no such column, `target` is unknown, or `ax` is of another length.
        ImportError
            If matplotlib is not installed.
        """
        check_consistent_length(X, y)
        weight = check_weight(sample_weight, X)
        rows = np.flatnonzero(weight)
        X, y, weight = take_rows(X, rows), take_rows(y, rows), weight[rows]
        (mixture, Z), table = mixture_within(estimator, X), Table(X, weight)
        predicted, place, says = _predicted(mixture, Z, target)
        acting = weight[:, None] * mixture.gate_proba(Z)
        is_class = is_classifier(mixture)
        seen = np.ravel(y) == place if is_class and y is not None else None
        shown = list(table.values)
        if columns is not None:
            shown = [table.chosen(name) for name in table.wanted(columns)]
        panels = [_rules(table.column(name), predicted, acting, seen, weight) for name in shown]
        if columns is None:
            panels = sorted(panels, key=lambda rules: -rules.spread)[:N_COLUMNS]
        targets = None if is_class or y is None else _targets(mixture, Z, y, place)
        names = list(mixture.expert_names_)
        return cls(panels=panels, expert_names=names, says=says, targets=targets).plot(ax=ax)

    @property
    def _n_panels(self) -> int:
        return len(self.panels)

    def _draw(self) -> None:
        colors = colors_of(len(self.expert_names))
        for rules, axes in zip(self.panels, self.axes_, strict=True):
            if self.targets is not None:
                self.targets.draw(axes, rules.column, colors)
            rules.draw(axes, colors)
            axes.set_ylabel(plain(self.says))
        name_experts(self.axes_[0], self.expert_names, colors)


def _predicted(mixture: Any, Z: Any, target: Any) -> tuple[Array, Any, str]:
    """What each expert says of each row (n, K), which class or output that is, and its name."""
    predicted = mixture.predict_experts(Z)
    if is_classifier(mixture):
        classes = list(mixture.classes_)
        label = classes[-1] if target is None else target
        if np.ndim(label) or label not in classes:
            known = mixture.classes_.tolist()
            raise ValueError(f"target={target!r} is no class; those of the mixture are {known}.")
        place = classes.index(label)
        return predicted[:, :, place], label, f"probability of {classes[place]}"
    place, n_outputs = 0 if target is None else target, np.size(predicted[0, 0])
    is_position = isinstance(place, Integral) and not isinstance(place, bool)
    if not is_position or place not in range(n_outputs):
        raise ValueError(f"target={target!r} is no position among {n_outputs} outputs.")
    if predicted.ndim == 2:
        return predicted, None, "prediction"
    return predicted[:, :, place], place, f"prediction of output {place}"


def _rules(
    column: Column, predicted: Array, acting: Array, seen: NDArray | None, weight: Array
) -> Rules:
    means, mass = column.means(predicted, acting)
    shares = None if seen is None else column.means(seen[:, None].astype(float), weight)[0][:, 0]
    return Rules(column, means, mass, shares)


def _targets(mixture: Any, Z: Any, y: Any, place: int | None) -> Targets:
    rows = np.unique(np.linspace(0, n_rows(Z) - 1, min(n_rows(Z), MOST_POINTS)).astype(int))
    y = take_rows(y, rows)
    resp = mixture.responsibilities(take_rows(Z, rows), y)
    values = np.asarray(y, dtype=float).reshape(len(rows), -1)[:, place or 0]
    return Targets(rows, values, resp)
