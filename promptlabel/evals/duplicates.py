"""Which traces hold the same text, whatever their ids, letter case and spacing."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from promptlabel.records import Message, Trace, digest
from promptlabel.rules.prompt import PromptRule


def normalized(text: str) -> str:
    """The text in Unicode form NFKC, without letter case, its runs of white space single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def fingerprints(trace: Trace) -> frozenset[str]:
    """Digests of the trace's normalised text, with and without the names of its roles.

    Two traces hold the same text when their sets meet: an example that quotes a whole transcript
    as its input still meets the trace it was copied from.
    """
    contents = " ".join(turn.content for turn in trace.turns)
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


def example_texts(rules: Iterable[PromptRule]) -> Iterator[tuple[Trace, str]]:
    """Each example of the rules as a trace, with words that say where it stands."""
    for rule in rules:
        for number, example in enumerate(rule.spec.examples, start=1):
            messages = tuple(Message(turn.role, turn.content) for turn in example.messages)
            trace = Trace("", input=example.input, output=example.output, messages=messages)
            yield trace, f"example {number} of rule {rule.name}"
