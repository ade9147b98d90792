"""Whether intervals hold as many targets as they promise."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._numeric import Array, effective_rows
from .._table_checks import check_weight
from ..metrics._distributions import observed_coverage
from ._asked import model_within
from ._display import Display

LEVELS = np.linspace(0.05, 0.95, 19)


class CalibrationDisplay(Display):
    """How many targets the central intervals of predicted distributions hold, and should hold.

    Below the diagonal, distributions are too narrow; above it, too wide. At each coverage, true
    distributions would lie within the grey band nineteen times out of twenty. Make it with
    :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    nominal : ndarray of shape (n_levels,)
        Coverage that is promised.
    observed : ndarray of shape (n_levels, n_outputs)
        Share of the targets inside.
    n_rows : float
        Number of rows that the weights are worth (Kish, 1965): as many as there are if all weigh
        the same, fewer if they differ. It sets the width of the grey band, which is that of chance.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The axes that it is drawn on: one.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    sklearn_moe.metrics.calibration_error : The mean distance from the diagonal.
    sklearn.calibration.CalibrationDisplay : The same for probabilities of classes.

    References
    ----------
    T. Gneiting, F. Balabdaoui and A. E. Raftery, "Probabilistic forecasts, calibration and
    sharpness", Journal of the Royal Statistical Society B 69(2), 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_moe import MixtureOfExpertsRegressor
    >>> from sklearn_moe.inspection import CalibrationDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(600, 2))
    >>> y = np.where(X[:, 0] > 0, X[:, 1], -X[:, 1]) + 0.1 * rng.normal(size=600)
    >>> mixture = MixtureOfExpertsRegressor(random_state=0).fit(X[:300], y[:300])
    >>> display = CalibrationDisplay.from_estimator(mixture, X[300:], y[300:])
    >>> bool(np.abs(display.observed[:, 0] - display.nominal).max() < 0.1)
    True
    """

    def __init__(self, *, nominal: Array, observed: Array, n_rows: float) -> None:
        self.nominal = nominal
        self.observed = observed
        self.n_rows = n_rows

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, sample_weight: Any = None, ax: Any = None
    ) -> CalibrationDisplay:
        """Predict distributions of rows that are held out, and draw how they fare.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor with `predict_dist`, a pipeline that ends in one, or a search over one.
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_features)
            Rows that the estimator has not learnt from.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : CalibrationDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `estimator` predicts no distributions.
        ImportError
            If matplotlib is not installed.
        """
        model, rows = model_within(estimator, X)
        if not hasattr(model, "predict_dist"):
            raise TypeError(
                f"estimator={estimator!r} has no predict_dist. Pass a mixture for real targets; "
                "for labels, scikit-learn has a CalibrationDisplay."
            )
        dist = model.predict_dist(rows)
        return cls.from_predictions(y, dist, sample_weight=sample_weight, ax=ax)

    @classmethod
    def from_predictions(
        cls, y_true: Any, dist: Any, *, sample_weight: Any = None, ax: Any = None
    ) -> CalibrationDisplay:
        """Draw how predicted distributions fare.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        dist : distribution
            Predicted laws of the rows, as :func:`sklearn_moe.metrics.pit_values` takes them.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : CalibrationDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If shapes do not agree, or a target is not finite.
        ImportError
            If matplotlib is not installed.
        """
        weight = check_weight(sample_weight, y_true)
        observed = observed_coverage(y_true, dist, LEVELS, weight).reshape(len(LEVELS), -1)
        display = cls(nominal=LEVELS, observed=observed, n_rows=effective_rows(weight))
        return display.plot(ax=ax)

    def _draw(self) -> None:
        (axes,) = self.axes_
        room = 1.96 * np.sqrt(self.nominal * (1 - self.nominal) / self.n_rows)
        axes.fill_between(self.nominal, self.nominal - room, self.nominal + room, color="0.9", lw=0)
        axes.plot([0, 1], [0, 1], color="0.6", lw=0.8)
        for place, observed in enumerate(self.observed.T):
            axes.plot(self.nominal, observed, ".-", label=f"output {place}")
        axes.set(xlabel="coverage promised", ylabel="targets inside", xlim=(0, 1), ylim=(0, 1))
        if self.observed.shape[1] > 1:
            axes.legend(fontsize="small")
