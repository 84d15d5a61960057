"""Rows of another home into the embedded store's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from promptlabel.store import people_tables, signal_tables, trace_tables, vote_tables
from promptlabel.store.connection import Row, append
from promptlabel.store.ledger import Commit
from promptlabel.store.sql import query
from promptlabel.store.staging import stage

Load = Callable[..., object]
"""Takes a commit, and `rows`."""


def _staged(relation: str, insert: Callable[[Commit], object]) -> Load:
    def load(commit: Commit, rows: Sequence[Row]) -> None:
        stage(commit.connection, f"arriving_{relation}", rows)
        insert(commit)

    return load


def _appended(relation: str) -> Load:
    return lambda commit, rows: append(commit.connection, relation, rows)


def _each(name: str) -> Load:
    return lambda commit, rows: [commit.connection.execute(query(name), row) for row in rows]


def _reviews(commit: Commit, rows: Sequence[Row]) -> None:
    for row in rows:
        people_tables.insert_review(commit, row)


LOADS: Final[Mapping[str, Load]] = {
    "traces": _staged("traces", trace_tables.insert_traces),
    "events": _staged("events", trace_tables.insert_events),
    "signals": signal_tables.insert_signals,
    "rules": _appended("rules"),
    "cast_votes": vote_tables.insert_votes,
    "attempts": vote_tables.insert_attempts,
    "gold": _staged("gold", trace_tables.insert_gold),
    "reviews": _reviews,
    "deeds": people_tables.insert_entries,
    "fits": _each("insert_fit"),
    "posteriors": _appended("posteriors"),
    "picks": _appended("picks"),
    "states": _each("save_state"),
    "forgettings": _appended("forgettings"),
    "forgotten": _appended("forgotten"),
}
"""How each relation is loaded, by its name in `moving.RELATIONS`."""
