"""Which traces hold the same text or nearly the same, whatever their ids, letter case and spacing."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

import numpy as np

from promptlabel.evals.near_duplicates import NearIndex
from promptlabel.records import Message, Trace
from promptlabel.redaction import redacted
from promptlabel.rules.prompt import PromptRule

Item = TypeVar("Item")

SHOWN: Final = 200
"""Characters of a duplicate's text that are kept to be shown."""
BATCH: Final = 4_096
"""Traces of a stream that are compared at once."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a trace repeats: where that stands, how alike they are (1 for the same text), and both texts' beginnings."""

    place: str
    similarity: float
    text: str
    other: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """A text that is known, and the words that say where it stands."""

    place: str
    text: str


def normalized(text: str) -> str:
    """The text in Unicode form NFKC, without letter case, its runs of white space single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def contents(trace: Trace) -> str:
    """The trace's normalised text without the names of its roles."""
    return normalized(redacted(" ".join(turn.content for turn in trace.turns)))


class TextIndex:
    """Texts seen so far, each with the words that say where; find what repeats them."""

    def __init__(self, seen: Iterable[tuple[Trace, str]] = ()) -> None:
        self._same: dict[str, _Seen] = {}
        self._rows: list[_Seen] = []
        for trace, place in seen:
            known = _Seen(place, contents(trace))
            self._rows.append(known)
            self._same.setdefault(known.text, known)
            self._same.setdefault(normalized(redacted(trace.transcript)), known)
        self._near = NearIndex([row.text for row in self._rows])

    def find(self, traces: Sequence[Trace]) -> list[Match | None]:
        """What each trace repeats: the first same text, else the most alike of the near duplicates, else None.

        The same means equal after normalising, with or without the names of the roles: an example that quotes a
        whole transcript as its input still meets the trace it was copied from.
        """
        texts = [contents(trace) for trace in traces]
        return [
            self._same_as(trace, text) or near
            for trace, text, near in zip(traces, texts, self._nearest(texts), strict=True)
        ]

    def _same_as(self, trace: Trace, text: str) -> Match | None:
        seen = self._same.get(text) or self._same.get(normalized(redacted(trace.transcript)))
        return _match(seen, 1.0, text) if seen else None

    def _nearest(self, texts: Sequence[str]) -> list[Match | None]:
        pairs = self._near.pairs(texts)
        found: list[Match | None] = [None] * len(texts)
        for place in np.argsort(pairs.similarity, kind="stable").tolist():
            other = int(pairs.other[place])
            seen = self._rows[int(pairs.indexed[place])]
            found[other] = _match(seen, float(pairs.similarity[place]), texts[other])
        return found


def repeated_in(traces: Sequence[Trace], stream: Iterable[tuple[Trace, str]]) -> dict[str, Match]:
    """Trace id -> what repeats it in the stream, for those that something repeats; the stream may be long."""
    index = TextIndex((trace, trace.trace_id) for trace in traces)
    found: dict[str, Match] = {}
    for batch in batches(stream):
        for (_, place), match in zip(batch, index.find([trace for trace, _ in batch]), strict=True):
            if match is not None and match.similarity > _similarity(found.get(match.place)):
                found[match.place] = Match(place, match.similarity, match.other, match.text)
    return found


def repeats_of_earlier(traces: Sequence[Trace]) -> dict[int, Match]:
    """Position -> the earlier trace it repeats; what repeats only such a repeat is none itself."""
    texts = [contents(trace) for trace in traces]
    repeats: dict[int, Match] = {}
    for later, first, similarity in sorted([*_same_pairs(texts), *_near_pairs(texts)]):
        if first not in repeats and later not in repeats:
            seen = _Seen(f"trace {traces[first].trace_id}, decided earlier", texts[first])
            repeats[later] = _match(seen, similarity, texts[later])
    return repeats


def _same_pairs(texts: Sequence[str]) -> Iterator[tuple[int, int, float]]:
    first: dict[str, int] = {}
    for place, text in enumerate(texts):
        if first.setdefault(text, place) != place:
            yield place, first[text], 1.0


def _near_pairs(texts: Sequence[str]) -> Iterator[tuple[int, int, float]]:
    pairs = NearIndex(texts).pairs(texts)
    for first, later, similarity in zip(
        pairs.indexed.tolist(), pairs.other.tolist(), pairs.similarity.tolist(), strict=True
    ):
        if first < later:
            yield later, first, similarity


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The items in lists of `BATCH`, as many as are compared at once."""
    waiting = iter(items)
    while batch := list(islice(waiting, BATCH)):
        yield batch


def example_texts(rules: Iterable[PromptRule]) -> Iterator[tuple[Trace, str]]:
    """Each example of the rules as a trace, with words that say where it stands."""
    for rule in rules:
        for number, example in enumerate(rule.spec.examples, start=1):
            messages = tuple(Message(turn.role, turn.content) for turn in example.messages)
            trace = Trace("", input=example.input, output=example.output, messages=messages)
            yield trace, f"example {number} of rule {rule.name}"


def _match(seen: _Seen, similarity: float, text: str) -> Match:
    return Match(seen.place, similarity, text[:SHOWN], seen.text[:SHOWN])


def _similarity(match: Match | None) -> float:
    return match.similarity if match else 0.0
