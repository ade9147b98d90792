"""What all displays have in common: they are drawn when they are made, and again if asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

from ._canvas import axes_for


class Display(ABC):
    """Base of the displays; not for use."""

    axes_: list[Any]
    figure_: Any

    @property
    def _n_panels(self) -> int:
        return 1

    @abstractmethod
    def _draw(self) -> None:
        """Draw on `axes_`, of which there is one for each panel."""

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            Where to draw, one for each panel; by default a new figure.

        Returns
        -------
        display : Display
            The display itself.

        Raises
        ------
        TypeError
            If `ax` are no Axes.
        ValueError
            If `ax` is not one for each panel.
        ImportError
            If matplotlib is not installed.
        """
        self.axes_ = axes_for(ax, self._n_panels)
        self.figure_ = self.axes_[0].figure
        self._draw()
        return self
