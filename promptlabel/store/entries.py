"""Rows as journal entries, and back: an entry holds its row as an object, by the names of the columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from promptlabel.store.connection import Row
from promptlabel.store.journal import Entry
from promptlabel.store.rows import to_json

VOTE_COLUMNS: Final = (
    "key", "trace_id", "task", "rule_hash", "model_hash", "status", "label", "confidence", "distribution",
    "sample", "request", "raw", "cause", "rationale",
)  # fmt: skip
REPLACEMENT_COLUMNS: Final = ("key", "status", "label", "confidence", "distribution")
ATTEMPT_COLUMNS: Final = (
    "request", "task", "rule", "model", "timestamp", "seconds", "cause", "input_tokens", "output_tokens",
    "cached_tokens", "usd",
)  # fmt: skip
REVIEW_COLUMNS: Final = (
    "event_id", "trace_id", "task", "reviewer", "action", "timestamp", "label", "blind", "seconds", "lane",
    "probability", "undoes",
)  # fmt: skip

_JSON_COLUMNS: Final = frozenset({"distribution", "raw"})
_REQUEST: Final = VOTE_COLUMNS.index("request")
_RAW: Final = VOTE_COLUMNS.index("raw")


def vote_entries(votes: Sequence[Row], attempts: Sequence[Row]) -> Iterator[Entry]:
    """Journal entries: each model-made vote with the attempts for it, then the attempts that gave no vote."""
    waiting: dict[str, list[Entry]] = {}
    for attempt in attempts:
        waiting.setdefault(attempt[0], []).append(dict(zip(ATTEMPT_COLUMNS, attempt, strict=True)))
    for row in votes:
        if row[_REQUEST] is not None or row[_RAW] is not None:
            yield {
                "kind": "vote",
                "vote": _fields(VOTE_COLUMNS, row),
                "attempts": waiting.pop(row[_REQUEST], ()),
            }
    rest = [attempt for some in waiting.values() for attempt in some]
    if rest:
        yield {"kind": "attempts", "attempts": rest}


def replacement_entry(row: Row) -> Entry:
    """The journal entry of a row of `replacing_votes`."""
    return {"kind": "replace", "vote": _fields(REPLACEMENT_COLUMNS, row)}


def drop_entry(keys: Sequence[str]) -> Entry:
    """The journal entry for failed votes taken out of the way."""
    return {"kind": "drop", "keys": keys}


def review_entry(row: Row) -> Entry:
    """The journal entry of a row of `reviews`."""
    return {"kind": "review", "review": dict(zip(REVIEW_COLUMNS, row, strict=True))}


def row_of(fields: Mapping[str, Any]) -> Row:
    """The row that a journal entry's object was made of."""
    return tuple(
        to_json(value) if name in _JSON_COLUMNS and value is not None else value
        for name, value in fields.items()
    )


def _fields(columns: Sequence[str], row: Row) -> Entry:
    fields = dict(zip(columns, row, strict=True))
    for name in _JSON_COLUMNS:
        if fields.get(name) is not None:
            fields[name] = orjson.Fragment(fields[name])
    return fields
