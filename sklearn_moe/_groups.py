"""Labels of groups, whose rows belong together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length

from ._design import no_value


def checked_groups(groups: Any, X: Any) -> Any:
    """Labels (n,) of groups, one for each row of `X`, if there are any; a column is one, too."""
    if groups is None:
        return None
    shape = np.shape(groups)
    if len(shape) != 1 and shape[1:] != (1,):
        raise ValueError(
            f"groups has shape {shape}, and should be (n_samples,): one label for each row. Pass "
            "one column, or one label made of several."
        )
    check_consistent_length(X, groups)
    groups = groups if len(shape) == 1 else np.asarray(groups).ravel()
    # An array made of a list could hold the word "nan" in place of a gap.
    labels = np.asarray(groups, dtype=object if isinstance(groups, list | tuple) else None)
    if _has_gaps(labels):
        raise ValueError(
            "groups holds rows without a label (None or NaN). Give each a group, if need be one of "
            "its own."
        )
    return groups


def _has_gaps(labels: NDArray) -> bool:
    if labels.dtype.kind in "fmM":
        return bool((labels != labels).any())  # NaN, NaT
    unclear = labels.dtype == object
    return unclear and any(no_value(type(label)) or label != label for label in labels)


def numbered(groups: Any) -> NDArray[np.intp]:
    """The number of each row's group."""
    try:
        return np.unique(groups, return_inverse=True)[1]
    except TypeError as error:
        raise ValueError(
            f"groups must hold labels of one kind, numbers or strings: {error}"
        ) from error
