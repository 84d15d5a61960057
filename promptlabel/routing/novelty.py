"""What traces say that a reference hardly says: words that are new beyond chance, and who uses most of them."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LEVEL: Final = 0.01
TIMES_MORE: Final = 3.0
FEWEST_TRACES: Final = 5
FEWEST_OF_REFERENCE: Final = 20
"""With fewer traces to compare with, nothing is called new."""
SMOOTHING: Final = 5.0
"""Old words of average weight, added to every trace, so that one new word in two makes no trace the newest."""
TOLD: Final = 3
LONGEST: Final = 20_000
"""Characters of a text that are read."""
TRACES_AT_ONCE: Final = 1 << 18
"""Traces whose words are looked at together, so that a pass over all of them takes little memory."""

_WORD: Final = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class Words:
    """The distinct words of each of n traces, 4 bytes each: those of trace i are ``ids[starts[i]:starts[i + 1]]``."""

    ids: npt.NDArray[np.uint32]
    starts: Indices
    names: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Words:
        """The words of the texts, without letter case; numbers and words of fewer than three letters are none."""
        known: dict[str, int] = {}
        ids, starts = array("I"), array("q", [0])
        for text in texts:
            found = dict.fromkeys(_WORD.findall(text[:LONGEST].casefold()))
            ids.extend(known.setdefault(word, len(known)) for word in found)
            starts.append(len(ids))
        return cls(np.frombuffer(ids, dtype=np.uint32), np.frombuffer(starts, dtype=np.int64), tuple(known))

    def in_traces(self, chosen: Mask) -> Indices:
        """How many of the chosen traces have each word."""
        counts = np.zeros(len(self.names), dtype=np.int64)
        for traces, ids, rows in self._parts():
            counts += np.bincount(ids[chosen[traces][rows]], minlength=len(counts))
        return counts

    def sums(self, values: Floats) -> Floats:
        """The sum of its words' values for each trace, ``[n]``."""
        found = np.empty(len(self.starts) - 1)
        for traces, ids, rows in self._parts():
            found[traces] = np.bincount(rows, weights=values[ids], minlength=traces.stop - traces.start)
        return found

    def _parts(self) -> Iterator[tuple[slice, npt.NDArray[np.uint32], Indices]]:
        """Some traces, their words, and the place of each word's trace among them."""
        total = len(self.starts) - 1
        for first in range(0, total, TRACES_AT_ONCE):
            traces = slice(first, min(first + TRACES_AT_ONCE, total))
            starts = self.starts[traces.start : traces.stop + 1]
            yield (
                traces,
                self.ids[starts[0] : starts[-1]],
                np.repeat(np.arange(len(starts) - 1), np.diff(starts)),
            )


@dataclass(frozen=True, slots=True)
class Novelty:
    """How new each trace is, ``[n]`` in 0..1, and what each word adds to it, ``[words]``, 0 for one that is not new."""

    scores: Floats
    weights: Floats
    words: Words

    def told(self, row: int) -> tuple[str, ...]:
        """The most telling new words of one trace."""
        own = self.words.ids[self.words.starts[row] : self.words.starts[row + 1]]
        own = own[self.weights[own] > 0]
        most = own[np.argsort(-self.weights[own], kind="stable")]
        return tuple(self.words.names[word] for word in most[:TOLD].tolist())


def novelty(words: Words, reference: Mask, among: Mask) -> Novelty:
    """How new traces are beside a reference: the share of their words that are new, a few old ones added.

    Words count by their inverse document frequency (Sparck Jones 1972). A word is new when traces outside the reference have it `TIMES_MORE` times as often as those in it, and
    chance would leave so few of its traces in the reference less than once in a hundred times (binomial).

    Args:
        words: of all traces.
        reference: bool ``[n]``, what is known.
        among: bool ``[n]``, what is compared with it; all other traces, and the reference, score 0.
    """
    others = among & ~reference
    if reference.sum() < FEWEST_OF_REFERENCE or not others.any():
        return Novelty(np.zeros(len(reference)), np.zeros(len(words.names)), words)
    inside, outside = words.in_traces(reference), words.in_traces(others)
    telling = np.log1p(len(reference) / np.maximum(inside + outside, 1))
    weights = telling * _new_words(inside, outside, reference.sum(), others.sum())
    new, all_ = words.sums(weights), words.sums(telling)
    usual = float(all_.sum()) / len(words.ids) if len(words.ids) else 1.0
    return Novelty(np.where(others, new / (all_ + SMOOTHING * usual), 0.0), weights, words)


def _new_words(inside: Indices, outside: Indices, reference: int, others: int) -> Mask:
    from scipy.stats import binom

    often = outside * reference >= TIMES_MORE * (inside + 0.5) * others
    new: Mask = often & (outside >= FEWEST_TRACES)
    both = inside[new] + outside[new]
    new[new] = binom.cdf(inside[new], both, reference / (reference + others)) < LEVEL
    return new
