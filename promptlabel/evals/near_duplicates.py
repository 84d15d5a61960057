"""Texts that are nearly the same: MinHash finds the candidates, the Jaccard similarity of their n-grams decides.

Texts that hold different numbers are never near duplicates: "3 + 4" and "3 + 5" are two questions, and so are two
requests that a template made of two orders. Nor are texts of less than `SHORT` characters: in "yes, please" and
"no, please" the few n-grams say too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NEAR: Final = 0.6
"""Texts whose n-grams overlap at least so far are near duplicates."""
SHORT: Final = 24
N_GRAM: Final = 4
BANDS: Final = 24
ROWS: Final = 4
"""24 bands of 4 hashes find 96 % of the pairs with similarity .6, 99.9 % from .7 on, and all from .8 on."""
SLACK: Final = 0.2
"""How far below the threshold a pair's estimated similarity may lie for it to be looked at: four standard errors."""
CROWD: Final = 16
"""Indexed texts of one bucket that are looked at: of a hundred copies of one text, a few are enough to find it."""
CHUNK: Final = 150_000
"""Characters hashed at once: what fits into a core's cache."""

PAIRS_AT_ONCE: Final = 1 << 14
"""Pairs whose signatures are compared at once: 12 MB of them."""

_RANDOM: Final = np.random.default_rng(20_111)
_FACTORS: Final = _RANDOM.integers(1 << 32, size=BANDS * ROWS, dtype=np.uint32) | np.uint32(1)
_SHIFTS: Final = _RANDOM.integers(1 << 32, size=BANDS * ROWS, dtype=np.uint32)
_MIXERS: Final = _RANDOM.integers(1 << 64, size=ROWS, dtype=np.uint64) | np.uint64(1)
_NUMBER: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Near duplicates, all ``[p]``: row of the index, row of the other texts, their Jaccard similarity."""

    indexed: Indices
    other: Indices
    similarity: Floats


class NearIndex:
    """Texts prepared to be found by what is nearly the same; keep the smaller side here and stream the larger."""

    def __init__(self, texts: Sequence[str], threshold: float = NEAR) -> None:
        self._texts = texts
        self._threshold = threshold
        self._long = _are_long(texts)
        self._signatures = signatures(texts)
        keys = _band_keys(texts, self._signatures)
        self._order = np.argsort(keys, axis=0, kind="stable")
        self._keys = np.take_along_axis(keys, self._order, axis=0)

    def pairs(self, texts: Sequence[str]) -> Pairs:
        """Every indexed text with every given one that is near it, in order of index row and other row."""
        found = [self._pairs(texts[start:stop], start) for start, stop in chunks(texts)]
        parts = [np.concatenate(part) for part in zip(*found, strict=True)] if found else [np.zeros(0)] * 3
        order = np.lexsort((parts[1], parts[0]))
        indexed, other, similarity = (part[order] for part in parts)
        return Pairs(indexed.astype(np.int64), other.astype(np.int64), similarity)

    def _pairs(self, texts: Sequence[str], offset: int) -> tuple[Indices, Indices, Floats]:
        others = signatures(texts)
        indexed, other = self._candidates(_band_keys(texts, others))
        alike = self._estimated(indexed, others, other)
        kept = (alike >= self._threshold - SLACK) & self._long[indexed] & _are_long(texts)[other]
        indexed, other = indexed[kept], other[kept]
        grams = {row: n_grams(texts[row]) for row in set(other.tolist())}
        similarity = self._similarities(indexed, [grams[row] for row in other.tolist()])
        near = similarity >= self._threshold
        return indexed[near], other[near] + offset, similarity[near]

    def _estimated(self, indexed: Indices, others: Hashes, other: Indices) -> Floats:
        """The share of places in which the signatures of each pair agree."""
        found = np.empty(len(indexed))
        for first in range(0, len(found), PAIRS_AT_ONCE):
            some = slice(first, first + PAIRS_AT_ONCE)
            found[some] = (self._signatures[indexed[some]] == others[other[some]]).mean(axis=1)
        return found

    def _similarities(self, indexed: Indices, others: Sequence[frozenset[str]]) -> Floats:
        """The Jaccard similarity of each indexed text and the n-grams beside it; no text is cut up twice."""
        found, last, own = np.zeros(len(indexed)), -1, frozenset[str]()
        for place in np.argsort(indexed, kind="stable").tolist():
            if indexed[place] != last:
                last = int(indexed[place])
                own = n_grams(self._texts[last])
            found[place] = jaccard(own, others[place])
        return found

    def _candidates(self, keys: Keys) -> tuple[Indices, Indices]:
        """Index rows and other rows that share a band, each pair once."""
        found: list[Indices] = [np.zeros(0, dtype=np.int64)]
        for band in range(BANDS):
            own, order, wanted = self._keys[:, band], self._order[:, band], keys[:, band]
            first = np.searchsorted(own, wanted)
            present = (
                np.flatnonzero(own[np.minimum(first, len(own) - 1)] == wanted) if len(own) else first[:0]
            )
            counts = np.minimum(np.searchsorted(own, wanted[present], side="right") - first[present], CROWD)
            steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            indexed = order[np.repeat(first[present], counts) + steps]
            found.append(np.repeat(present, counts) * len(own) + indexed)
        pair = np.unique(np.concatenate(found))
        size = max(len(self._order), 1)
        return pair % size, pair // size


def n_grams(text: str) -> frozenset[str]:
    """The text's character n-grams; a shorter text is one n-gram."""
    return frozenset(text[i : i + N_GRAM] for i in range(max(len(text) - N_GRAM + 1, 1)))


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """The share of the n-grams of both that are in each (Jaccard 1901)."""
    both = len(first & second)
    return both / (len(first) + len(second) - both)


def _are_long(texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    return np.array([len(text) >= SHORT for text in texts], dtype=bool)


def signatures(texts: Sequence[str]) -> Hashes:
    """MinHash signatures of the texts' character n-grams (Broder 1997), uint32 ``[n, 96]``.

    Two texts agree in each place with probability equal to their Jaccard similarity.
    """
    signed = np.empty((len(texts), BANDS * ROWS), dtype=np.uint32)
    for start, stop in chunks(texts):
        hashed, starts = _hashed(texts[start:stop])
        for place, (factor, shift) in enumerate(zip(_FACTORS, _SHIFTS, strict=True)):
            signed[start:stop, place] = np.minimum.reduceat(hashed * factor + shift, starts)
    return signed


def chunks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Bounds of consecutive texts that hold about `CHUNK` characters together, one text at least."""
    start = size = 0
    for position, text in enumerate(texts):
        size += max(len(text), N_GRAM)
        if size >= CHUNK or position == len(texts) - 1:
            yield start, position + 1
            start, size = position + 1, 0


def _hashed(texts: Sequence[str]) -> tuple[Hashes, Indices]:
    """A hash for every n-gram of every text in turn, and where each text's begin."""
    padded = [text.ljust(N_GRAM, "\0") for text in texts]
    lengths = np.array([len(text) for text in padded])
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    size = len(codes) - N_GRAM + 1
    hashed = np.zeros(size, dtype=np.uint32)
    for place in range(N_GRAM):
        hashed = _scrambled(hashed ^ codes[place : place + size])
    counts = lengths - N_GRAM + 1
    within = np.ones(len(codes), dtype=bool)
    for last in range(1, N_GRAM):
        within[np.cumsum(lengths) - last] = False
    return hashed[within[:size]], np.cumsum(counts) - counts


def _scrambled(values: Hashes) -> Hashes:
    """A bijective mix of 32 bits (Wellons 2018, lowbias32)."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x7FEB352D)
    values = (values ^ (values >> np.uint32(15))) * np.uint32(0x846CA68B)
    return np.asarray(values ^ (values >> np.uint32(16)), dtype=np.uint32)


def _band_keys(texts: Sequence[str], signed: Hashes) -> Keys:
    """One 64-bit key for each band of each signature, ``[n, 24]``, no two alike for texts of different numbers."""
    numbers = np.array([_numbers(text) for text in texts], dtype=np.uint64)
    return np.asarray(
        (signed.reshape(-1, BANDS, ROWS) * _MIXERS).sum(axis=2, dtype=np.uint64) ^ numbers[:, None]
    )


def _numbers(text: str) -> int:
    """A 64-bit hash of the text's numbers in order, 0 without any."""
    found = _NUMBER.findall(text)
    return int.from_bytes(blake2b(" ".join(found).encode(), digest_size=8).digest()) if found else 0
