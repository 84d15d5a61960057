"""Which traces hold the same text, whatever their ids, letter case and spacing."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from promptlabel.records import Trace, digest


def normalized(text: str) -> str:
    """The text in Unicode form NFKC, without letter case, its runs of white space single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def fingerprints(trace: Trace) -> frozenset[str]:
    """Digests of the trace's normalised text, with and without the names of its roles.

    Two traces hold the same text when their sets meet: an example that quotes a whole transcript
    as its input still meets the trace it was copied from.
    """
    contents = " ".join(content for _, content in trace.turns)
    return frozenset(digest(normalized(text)) for text in (contents, trace.transcript))


class TextIndex:
    """Texts seen so far, each with the words that say where."""

    def __init__(self, seen: Iterable[tuple[Trace, str]] = ()) -> None:
        self._places: dict[str, str] = {}
        for trace, place in seen:
            self.add(trace, place)

    def add(self, trace: Trace, place: str) -> None:
        """Nothing; the trace's text is known from now on, at the first place it was seen."""
        for fingerprint in fingerprints(trace):
            self._places.setdefault(fingerprint, place)

    def find(self, trace: Trace) -> str | None:
        """Where the trace's text was seen, or None."""
        found = (self._places.get(fingerprint) for fingerprint in sorted(fingerprints(trace)))
        return next((place for place in found if place is not None), None)


def example_traces(examples: Mapping[str, Iterable[tuple[str | None, str | None]]]) -> list[tuple[Trace, str]]:
    """The (input, output) examples of each named rule as traces, each with words that say where it stands."""
    return [
        (Trace(trace_id="", input=given, output=answer), f"example {number} of rule {rule}")
        for rule, pairs in examples.items()
        for number, (given, answer) in enumerate(pairs, start=1)
    ]
