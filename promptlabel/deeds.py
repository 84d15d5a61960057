"""What people did that others may have to answer for, each entry sealed with the hash of the one before.

Whoever may write to a store can write its whole history anew. A seal that was kept elsewhere gives that away, and so
does any single entry that was changed, taken out or put in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import orjson

from promptlabel.records import JsonValue

Via: TypeAlias = Literal["page", "cli"]

DONE: Final = "done"
REFUSED: Final = "refused"
BEGINNING: Final = ""
"""What stands for the seal of the entry before the first."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that somebody did, or was refused.

    Attributes:
        at: when, with its zone.
        person: the name they work under; empty where nobody knows.
        via: at a page or at a prompt.
        host: the address the browser came from, or ``USER@MACHINE`` of the process.
        verb: what they did, in the words of the command line or the page.
        task: on which task, where it is about one.
        outcome: ``done``, ``refused``, or ``failed`` with the kind of error.
        details: versions, counts, names of files; never anything of a trace.
    """

    at: datetime
    person: str
    via: Via
    host: str
    verb: str
    task: str | None = None
    outcome: str = DONE
    details: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A deed as the store keeps it: its number, from 1, and the seal over it and all that came before."""

    number: int
    deed: Deed
    seal: str


def sealed(before: Entry | None, deed: Deed) -> Entry:
    """The entry that follows `before`, or the first."""
    number, seal = (before.number, before.seal) if before else (0, BEGINNING)
    return Entry(number + 1, deed, _seal(seal, number + 1, deed))


def first_broken(entries: Iterable[Entry]) -> Entry | None:
    """The first entry that does not follow from those before it, None where all do."""
    before: Entry | None = None
    for entry in entries:
        if entry != sealed(before, entry.deed):
            return entry
        before = entry
    return None


def _seal(before: str, number: int, deed: Deed) -> str:
    """64 hexadecimal digits: SHA-256 over canonical JSON."""
    moment = deed.at.astimezone(UTC).isoformat(timespec="microseconds")
    content = [
        before, number, moment, deed.person, deed.via, deed.host, deed.verb, deed.task, deed.outcome,
        dict(deed.details),
    ]  # fmt: skip
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
