"""How a fit went: what EM came to after each iteration."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._em import DIGITS
from .._numeric import Array
from ._asked import mixture_within
from ._display import Display


class ConvergenceDisplay(Display):
    """What EM came to after each iteration, by the rows of the fit and by unseen ones.

    A gap that widens says that the experts learn their rows by heart. Make it with
    :meth:`from_estimator`.

    Parameters
    ----------
    bounds : ndarray of shape (n_iter,)
        Bound after each iteration.
    heldout : ndarray of shape (n_witnessed,)
        Mean log density of unseen rows after each iteration with witnesses, the first
        `n_witnessed`; empty where there were none.
    gain : float, default=nan
        What the mixture gains over one expert, in nats.
    gain_stderr : float, default=nan
        The standard error of the gain.

    Attributes
    ----------
    best_iter : int
        The iteration that was kept, counted from 1.
    axes_ : list of matplotlib Axes
        The axes that it is drawn on: one.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import MixtureOfExpertsRegressor
    >>> from sklearn_moe.inspection import ConvergenceDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(300, 2))
    >>> y = np.where(X[:, 0] > 0, X[:, 1], -X[:, 1]) + 0.1 * rng.normal(size=300)
    >>> display = ConvergenceDisplay.from_estimator(
    ...     MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    ... )
    >>> display.best_iter == len(display.bounds)
    True
    """

    def __init__(
        self, *, bounds: Array, heldout: Array, gain: float = np.nan, gain_stderr: float = np.nan
    ) -> None:
        self.bounds = bounds
        self.heldout = heldout
        self.gain = gain
        self.gain_stderr = gain_stderr

    @property
    def best_iter(self) -> int:
        """The iteration that was kept, counted from 1."""
        n_witnessed = len(self.heldout)
        if 0 < n_witnessed < len(self.bounds):  # the fit has followed a witness
            return n_witnessed + _kept(self.bounds[n_witnessed:])
        return _kept(self.heldout if n_witnessed else self.bounds)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> ConvergenceDisplay:
        """Draw what is known of the fit of a mixture.

        Parameters
        ----------
        estimator : estimator
            Fitted mixture, a pipeline that ends in one, a search over one, or an automatic mixture,
            of which the best one is shown.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : ConvergenceDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `estimator` is no mixture, or `ax` are no Axes.
        ImportError
            If matplotlib is not installed.
        """
        mixture, _ = mixture_within(estimator)
        return cls(
            bounds=np.array(mixture.lower_bounds_),
            heldout=np.array(mixture.heldout_log_probs_),
            gain=mixture.gain_,
            gain_stderr=mixture.gain_stderr_,
        ).plot(ax=ax)

    def _draw(self) -> None:
        (axes,) = self.axes_
        iterations = np.arange(1, len(self.bounds) + 1)
        axes.plot(iterations, self.bounds, ".-", label="bound")
        if len(self.heldout):
            axes.plot(iterations[: len(self.heldout)], self.heldout, ".-", label="unseen rows")
        axes.axvline(self.best_iter, color="0.7", lw=0.8, zorder=0, label="kept")
        axes.set(xlabel="iteration", ylabel="nats per row")
        if np.isfinite(self.gain):
            text = f"gain {self.gain:.2f} ± {self.gain_stderr:.2f} nats over one expert"
            axes.set_title(text, fontsize="medium")
        axes.legend(fontsize="small")


def _kept(scores: Array) -> int:
    """The iteration of the highest score, counted from 1; the first, if level but for rounding."""
    return int(np.argmax(np.round(scores, DIGITS))) + 1
