"""A mixture distribution in the manner of skpro. The one file that imports it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

try:
    from skpro.distributions.base import BaseDistribution
except ImportError as error:
    raise ImportError("to_skpro needs skpro: pip install skpro.") from error

from .._numeric import Array


class SkproMixture(BaseDistribution):
    """The marginals of a `MixtureDistribution` as a distribution of skpro, (n, n_outputs).

    That of a single number without an index and columns is a scalar one, of shape ().
    """

    _tags = {
        "capabilities:exact": ["mean", "var", "pdf", "log_pdf", "pmf", "log_pmf", "cdf", "ppf"],
        "capabilities:approx": ["energy", "pdfnorm"],
        "distr:measuretype": "continuous",
        "distr:paramtype": "parametric",
        "broadcast_init": "off",
    }

    def __init__(self, mixture: Any, index: Any = None, columns: Any = None):
        self.mixture = mixture
        n_samples, _, n_outputs = mixture.means.shape
        if index is not None or columns is not None or (n_samples, n_outputs) != (1, 1):
            index = pd.RangeIndex(n_samples) if index is None else index
            columns = pd.RangeIndex(n_outputs) if columns is None else columns
        super().__init__(index=index, columns=columns)
        if mixture.is_discrete:
            self.set_tags(**{"distr:measuretype": "discrete"})

    def _mean(self) -> Array:
        return self._table(self.mixture.mean())

    def _var(self) -> Array:
        return self._table(self.mixture.var())

    def _log_pdf(self, x: Array) -> Array:
        return self._each(lambda part, at: part.logpdf(at), x)

    def _pdf(self, x: Array) -> Array:
        return np.exp(self._log_pdf(x))

    _log_pmf, _pmf = _log_pdf, _pdf

    def _cdf(self, x: Array) -> Array:
        return self._each(lambda part, at: part.cdf(at), x)

    def _ppf(self, p: Array) -> Array:
        return self._each(lambda part, level: part.ppf_by_row(level), p)

    def _each(self, function: Callable[[Any, Array], Array], x: Array) -> Array:
        """A function of each output's own distribution and column, in the shape of this one."""
        columns = np.reshape(x, (len(self.mixture), -1)).T
        found = [function(self._output([j]), column) for j, column in enumerate(columns)]
        return self._table(np.column_stack(found))

    def _output(self, columns: Any) -> Any:
        mixture = self.mixture
        shape = () if len(columns) == 1 else (len(columns),)
        means, law = mixture.means[..., columns], mixture.law[..., columns, :]
        family = mixture.family.of_outputs(columns)
        return replace(mixture, family=family, means=means, law=law, target_shape=shape)

    def _table(self, values: Array) -> Array:
        return values.reshape(self.shape)

    def _iloc(self, rowidx: Any = None, colidx: Any = None) -> SkproMixture:
        if np.ndim(rowidx) == np.ndim(colidx) == 0 and None not in (rowidx, colidx):
            return self._iat(rowidx, colidx)
        rows, columns = _places(self.index, rowidx), _places(self.columns, colidx)
        part = self._output(columns)[rows]
        return SkproMixture(part, self.index.take(rows), self.columns.take(columns))

    def _iat(self, rowidx: Any = None, colidx: Any = None) -> SkproMixture:
        return SkproMixture(self._output([colidx])[[rowidx]])


def _places(index: pd.Index, chosen: Any) -> Array:
    """Numbers of the rows or columns that are chosen by numbers, a mask, a slice; all for None."""
    return np.atleast_1d(np.arange(len(index))[slice(None) if chosen is None else chosen])
