"""The text, its tokens and their vectors."""

import re
import zlib
from dataclasses import dataclass
from pydoc_data.topics import topics
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD

Tokens = NDArray[np.int64]
Floats = NDArray[np.floating]
N_BYTES = 256


# Whole topics are held out, chosen by a hash: nothing that is learned has seen them, not even the
# tokens.
def read_topics(share: float = 1.0) -> tuple[str, str]:
    """The first `share` of the training topics, and of those held out."""
    parts: tuple[list[str], list[str]] = ([], [])
    for name in sorted(topics):
        parts[zlib.crc32(name.encode()) % 10 == 0].append(topics[name])
    train, heldout = ("\n\n".join(part) for part in parts)
    return train[: round(share * len(train))], heldout[: round(share * len(heldout))]


# Byte pairs: the two neighbours that are seen together most often become one token, again and
# again. As all begins with bytes, every text can be written, and read back as it was.
PIECES = re.compile(r" ?\w+| ?[^\w\s]+|\s+(?!\S)|\s+")


def to_bytes(text: str) -> tuple[Tokens, NDArray[np.bool_]]:
    """The bytes of a text, and where pieces (words, marks, space) begin: no token spans two."""
    pieces = [piece.encode() for piece in PIECES.findall(text)]
    begins = np.zeros(sum(map(len, pieces)), dtype=bool)
    begins[np.cumsum([0, *map(len, pieces)])[:-1]] = True
    return np.frombuffer(b"".join(pieces), np.uint8).astype(np.int64), begins


def merge(
    tokens: Tokens, begins: NDArray[np.bool_], pair: tuple[int, int], new: int
) -> tuple[Tokens, NDArray[np.bool_]]:
    """The tokens with each `pair` within a piece replaced by `new`."""
    found = (tokens[:-1] == pair[0]) & (tokens[1:] == pair[1]) & ~begins[1:]
    places = np.flatnonzero(found)
    if pair[0] == pair[1]:  # of aaa only the first two
        run = places - np.arange(len(places))
        places = places[(np.arange(len(places)) - np.searchsorted(run, run)) % 2 == 0]
    merged, kept = tokens.copy(), np.ones(len(tokens), dtype=bool)
    merged[places], kept[places + 1] = new, False
    return merged[kept], begins[kept]


@dataclass(frozen=True)
class BytePairs:
    """A tokeniser: token 256 + i stands for the pair of tokens ``merges[i]``."""

    merges: list[tuple[int, int]]

    @classmethod
    def learn(cls, text: str, n_merges: int) -> "BytePairs":
        """The tokeniser whose merges are the text's most frequent pairs, while there are any."""
        merges, size, (tokens, begins) = [], N_BYTES + n_merges, to_bytes(text)
        for new in range(N_BYTES, size):
            pairs = (tokens[:-1] * size + tokens[1:])[~begins[1:]]
            if not pairs.size:
                break
            left, right = divmod(int(np.bincount(pairs).argmax()), size)
            merges.append((left, right))
            tokens, begins = merge(tokens, begins, merges[-1], new)
        return cls(merges)

    @property
    def spellings(self) -> list[bytes]:
        """The bytes of each token."""
        spelled = [bytes([byte]) for byte in range(N_BYTES)]
        for left, right in self.merges:
            spelled.append(spelled[left] + spelled[right])
        return spelled

    def encode(self, text: str) -> Tokens:
        """The tokens of a text: the merges, in the order in which they were learned."""
        tokens, begins = to_bytes(text)
        for new, pair in enumerate(self.merges, N_BYTES):
            tokens, begins = merge(tokens, begins, pair, new)
        return tokens

    def decode(self, tokens: Any) -> str:
        """The text of tokens; bytes that make no letter are shown as such."""
        spelled = self.spellings
        return b"".join(spelled[token] for token in tokens).decode(errors="replace")


def embed(tokens: Tokens, n_tokens: int, width: int, reach: int = 3) -> Floats:
    """Vectors (n_tokens, width) that say what tokens stand near: those of its PPMI matrix.

    That is the log of how much oftener than by chance two tokens meet, if it is positive. As the
    text has them, vectors have mean zero and variance one.
    """
    met = []
    for lag in range(1, reach + 1):
        pairs = tokens[:-lag] * n_tokens + tokens[lag:]
        counts = np.bincount(pairs, minlength=n_tokens**2).reshape(n_tokens, n_tokens)
        met += [counts, counts.T]
    seen = np.hstack(met).astype(float)
    chance = seen.sum(axis=1, keepdims=True) * seen.sum(axis=0) / seen.sum()
    ratio = np.divide(seen, chance, out=np.ones_like(seen), where=seen > 0)
    vectors = TruncatedSVD(width, random_state=0).fit_transform(np.log(np.maximum(ratio, 1.0)))
    often = np.bincount(tokens, minlength=n_tokens) / len(tokens)
    vectors -= often @ vectors
    return (vectors / np.sqrt(often @ vectors**2)).astype(np.float32)
