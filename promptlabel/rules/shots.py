"""Which of a rule's examples become worked examples of a question."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

_WORD: Final = re.compile(r"\w+")


def balanced(labels: Sequence[str], number: int) -> list[int]:
    """Places of up to `number` examples, taken from the labels in turns, in the order of the file."""
    rounds: Counter[str] = Counter()
    turn = []
    for place, label in enumerate(labels):
        turn.append((rounds[label], place))
        rounds[label] += 1
    return sorted(place for _, place in sorted(turn)[:number])


@dataclass(frozen=True)
class Neighbours:
    """Texts among which the most similar are looked for: cosine of word counts, rare words weighing more."""

    texts: Sequence[str]

    def nearest(self, text: str, number: int) -> list[int]:
        """Places of up to `number` texts, the most similar last; the first of equals is nearer."""
        wanted = _counts(text)
        similar = [(self._similarity(wanted, counts), -place) for place, counts in enumerate(self._counted)]
        return [-place for _, place in sorted(similar, reverse=True)[:number]][::-1]

    @cached_property
    def _counted(self) -> list[Counter[str]]:
        return [_counts(text) for text in self.texts]

    @cached_property
    def _weights(self) -> dict[str, float]:
        """Smoothed inverse document frequency."""
        holding = Counter(word for counts in self._counted for word in counts)
        return {word: 1 + math.log((1 + len(self.texts)) / (1 + number)) for word, number in holding.items()}

    def _similarity(self, left: Counter[str], right: Counter[str]) -> float:
        shared = math.fsum(
            left[word] * right[word] * self._weights[word] ** 2 for word in left if word in right
        )
        return shared / (self._length(left) * self._length(right) or 1.0)

    def _length(self, counts: Counter[str]) -> float:
        return math.sqrt(
            math.fsum((number * self._weights.get(word, 1.0)) ** 2 for word, number in counts.items())
        )


def _counts(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))
