"""Everything a store holds, relation by relation, in a form that is the same in every home."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import orjson

from promptlabel.store.connection import Row
from promptlabel.store.entries import ATTEMPT_COLUMNS, REVIEW_COLUMNS, VOTE_COLUMNS

RELATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "traces": ("trace_id", "timestamp", "category", "session_id", "user_id", "content_hash", "record"),
    "events": ("key", "trace_id", "timestamp", "event", "value", "metadata"),
    "signals": ("trace_id", "signals"),
    "rules": ("task", "position", "rule", "kind", "model", "rule_hash", "model_hash"),
    "cast_votes": VOTE_COLUMNS,
    "attempts": ATTEMPT_COLUMNS,
    "gold": ("trace_id", "task", "label", "reviewer", "timestamp", "blind", "lane", "probability"),
    "reviews": REVIEW_COLUMNS,
    "deeds": ("entry", "timestamp", "person", "via", "host", "verb", "task", "outcome", "details", "seal"),
    "fits": ("task", "labels", "fitted_at", "chosen", "report"),
    "posteriors": ("task", "position", "trace_id", "probs"),
    "picks": ("task", "position", "trace_id", "lane", "score", "probability", "reason", "parts"),
    "states": ("name", "value"),
    "forgettings": ("key", "since", "salt", "remembered", "erased", "traces"),
    "forgotten": ("mark", "forgetting", "salt", "since", "remembered"),
}
"""The columns of every relation; how a home keeps them apart from these is its own business."""

_ORDERED: Final = {"reviews": "arrival", "deeds": "entry"}
"""Relations whose order says something, and the column that has it."""
_BITS: Final = 256


class Movable(Protocol):
    """A store that can give everything it holds, and take everything another holds."""

    def dump(self, relation: str) -> Iterator[Row]:
        """The rows of a relation, their values in the order of `RELATIONS`."""
        ...

    def load(self, relation: str, rows: Iterable[Row]) -> None:
        """Nothing; the rows are in the relation, durably. Signals that arrive before their traces count as stale."""
        ...

    def traces_with_new_events(self) -> Iterable[str]:
        """See `Store.traces_with_new_events`."""
        ...


@dataclass(frozen=True, slots=True)
class Print:
    """How many rows a relation has, and a digest of them, whatever their order unless that says something."""

    rows: int
    digest: str


def select(relation: str) -> str:
    """The query for all rows of a relation."""
    columns, order = ", ".join(RELATIONS[relation]), _ORDERED.get(relation)
    return f"SELECT {columns} FROM {relation}{f' ORDER BY {order}' if order else ''}"  # noqa: S608 - names above


def fingerprints(store: Movable) -> dict[str, Print]:
    """The fingerprint of each relation: the sum of the SHA-256 of its rows as JSON, modulo 2**256."""
    return {relation: _fingerprint(relation, store.dump(relation)) for relation in RELATIONS}


def carry(source: Movable, target: Movable) -> None:
    """Nothing; the empty target holds what the source holds, and the same signals are stale."""
    stale = set(source.traces_with_new_events())
    target.load("signals", (row for row in source.dump("signals") if row[0] in stale))
    for relation in RELATIONS:
        rows = source.dump(relation)
        target.load(relation, (row for row in rows if row[0] not in stale) if relation == "signals" else rows)


def _fingerprint(relation: str, rows: Iterable[Row]) -> Print:
    count = total = 0
    for count, row in enumerate(rows, start=1):
        content = orjson.dumps((count, *row) if relation in _ORDERED else row)
        total += int.from_bytes(hashlib.sha256(content).digest(), "big")
    return Print(count, f"{total % (1 << _BITS):064x}")
