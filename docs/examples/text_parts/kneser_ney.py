"""Counts of sequences, smoothed: what every language model has to beat."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Tokens = NDArray[np.int64]
Floats = NDArray[np.floating]


# Of each sequence a part of its count is taken away and given to what the
# shorter context says, where a sequence counts once for each token that it has been seen after.
def discounts(counts: Tokens) -> Floats:
    """What is taken from each count: Chen and Goodman's discounts for 1, 2, and 3 or more."""
    n_seen = np.maximum(np.bincount(np.minimum(counts, 5), minlength=6)[1:5], 1)
    often = np.arange(1, 4)
    taken = often - (often + 1) * n_seen[1:] / n_seen[:3] * n_seen[0] / (n_seen[0] + 2 * n_seen[1])
    return np.clip(taken, 0.05, often - 0.05)[np.minimum(counts, 3) - 1]


@dataclass
class KneserNey:
    """Interpolated modified Kneser-Ney counts of sequences of up to `order` tokens.

    Each level holds sequences, as numbers in order, with what they are left; and contexts, with
    the part that they pass on.
    """

    order: int
    n_tokens: int

    def fit(self, tokens: Tokens) -> "KneserNey":
        """Count sequences: the longest as they are, shorter ones by what comes before them."""
        longest = self._numbers(sliding_window_view(tokens, self.order), self.order)
        found, counts = np.unique(longest, return_counts=True)
        self.levels = [self._level(found, counts)]
        for length in range(self.order - 1, 0, -1):
            found, counts = np.unique(found % self.n_tokens**length, return_counts=True)
            self.levels.insert(0, self._level(found, counts))
        return self

    def _numbers(self, sequences: Tokens, length: int) -> Tokens:
        """One number for the last `length` tokens of each sequence."""
        return sequences[:, -length:] @ self.n_tokens ** np.arange(length)[::-1]

    def _level(self, found: Tokens, counts: Tokens) -> tuple[Tokens, Floats, Tokens, Floats]:
        contexts, which = np.unique(found // self.n_tokens, return_inverse=True)
        total, taken = np.bincount(which, counts), discounts(counts)
        return found, (counts - taken) / total[which], contexts, np.bincount(which, taken) / total

    def proba_of(self, contexts: Tokens, following: Tokens) -> Floats:
        """Probability (n,) of the token that follows each context."""
        sequences = np.column_stack([contexts, following])
        proba = np.full(len(following), 1.0 / self.n_tokens)
        for length, (found, kept, known, passed) in enumerate(self.levels, 1):
            numbers = self._numbers(sequences, length)
            own = look_up(found, kept, numbers, 0.0)
            proba = own + look_up(known, passed, numbers // self.n_tokens, 1.0) * proba
        return proba

    def proba(self, contexts: Tokens) -> Floats:
        """Probabilities (n, n_tokens) of the next token."""
        following = np.tile(np.arange(self.n_tokens), len(contexts))
        said = self.proba_of(np.repeat(contexts, self.n_tokens, axis=0), following)
        return said.reshape(len(contexts), self.n_tokens)

    def sizes(self) -> tuple[int, int]:
        """Numbers held, and those that are looked up for a token."""
        return sum(len(kept) + len(passed) for _, kept, _, passed in self.levels), 2 * self.order


def look_up(keys: Tokens, values: Floats, wanted: Tokens, missing: float) -> Floats:
    """The values of sorted keys; `missing` where there is none."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], missing)
