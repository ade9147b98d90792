"""Where pictures are drawn: matplotlib, which is imported when the first one is, and its axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._numeric import Array

# Largest numbers of experts: for a legend, and for a colour of their own.
MOST_NAMED, MOST_COLORS = 12, 10


def pyplot() -> Any:
    """matplotlib.pyplot.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "To draw a display, matplotlib is needed: pip install matplotlib."
        ) from error
    return plt


def axes_for(ax: Any, n_panels: int) -> list[Any]:
    """As many axes: the user's, or those of a new figure, side by side.

    Raises
    ------
    TypeError
        If the user's are not Axes.
    ValueError
        If there are more or fewer than panels.
    """
    if ax is None:
        size = (4.2 * n_panels, 3.6)
        _, ax = pyplot().subplots(1, n_panels, figsize=size, layout="constrained")
    axes = list(np.atleast_1d(np.asarray(ax, dtype=object)).ravel())
    if not all(hasattr(each, "fill_between") and each.name != "3d" for each in axes):
        raise TypeError(f"ax={ax!r} must be flat matplotlib Axes, or None for new ones.")
    if len(axes) != n_panels:
        raise ValueError(
            f"ax holds {len(axes)} axes, and there are {n_panels} panels to draw. Pass as many, or "
            "None for a figure of its own."
        )
    return axes


def colors_of(n_experts: int) -> Array:
    """Red, green and blue (K, 3) of each expert."""
    plt = pyplot()
    if n_experts <= MOST_COLORS:
        return np.array(plt.colormaps["tab10"].colors[:n_experts])
    return plt.colormaps["turbo"](np.linspace(0.05, 0.95, n_experts))[:, :3]


def name_experts(axes: Any, names: list[str], colors: Array) -> None:
    """A legend of the experts, if it has room for them."""
    if len(names) <= MOST_NAMED:
        patch = pyplot().matplotlib.patches.Patch
        patches = [patch(color=c, label=plain(n)) for n, c in zip(names, colors, strict=True)]
        axes.legend(handles=patches, fontsize="small")


def plain(text: Any) -> str:
    """The user's text as it is: matplotlib would read mathematics between dollars."""
    return str(text).replace("$", r"\$")


def line_of_widths(axes: Any, x: Array, y: Array, width: Array, color: Array) -> None:
    """A line (B,) whose width in points differs along it."""
    collections = pyplot().matplotlib.collections
    points = np.column_stack([x, y])
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    line = collections.LineCollection(
        pieces, linewidths=(width[:-1] + width[1:]) / 2, colors=[color], capstyle="round", zorder=3
    )
    axes.add_collection(line)
    axes.autoscale_view()
