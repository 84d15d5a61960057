"""Signals of traces: those given, and those that are out of date computed anew in SQL where the traces lie.

The queries in ``queries/signals/`` say what the pure functions of `promptlabel.traces` say, which are their oracle. Each
fills a temporary table of its own, for some of the outdated traces and the others of their sessions and persons; the
last one puts the signals of the outdated ones together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from promptlabel.store.connection import Connection, Row, count
from promptlabel.store.forgetting_tables import Embedded, refuse
from promptlabel.store.ledger import Commit, sum_of
from promptlabel.store.sql import query
from promptlabel.store.staging import stage

TRACES_AT_ONCE: Final = 200_000
"""Outdated traces whose texts and events are taken apart at once: what bounds the memory that many of them take."""

STAGES: Final = (
    "involved",
    "conversations",
    "sessions",
    "events",
    "reactions",
    "edits",
    "requests",
    "arriving",
)


def stage_outdated(connection: Connection) -> int:
    """The number of traces in `outdated`: events came, or a trace of their session or person did."""
    return count(connection, query("signals/outdated"))


def stage_signals(connection: Connection) -> int:
    """The number of traces whose signals were out of date; they are in `arriving_signals`, computed anew."""
    outdated = stage_outdated(connection)
    if outdated:
        connection.execute(query("signals/macros"))
        connection.execute(query("stage_arriving_signals"))
        parts = -(-outdated // TRACES_AT_ONCE)
        for part in range(parts):
            connection.execute(query("signals/due"), {"parts": parts, "part": part})
            for stage_of_part in STAGES:
                connection.execute(query(f"signals/{stage_of_part}"))
    return outdated


def insert_signals(commit: Commit, rows: Sequence[Row]) -> None:
    """Nothing; the signals replace those stored for their traces."""
    stage(commit.connection, "arriving_signals", dict(rows).items())
    refuse(Embedded(commit.connection), "arriving_signals")
    replace_signals(commit)


def replace_signals(commit: Commit) -> None:
    """Nothing; what is in `arriving_signals` replaces the signals stored for its traces.

    Votes that took no request may rest on the signals they replace: they go, and are cast anew at no cost.
    """
    commit.connection.execute(query("stage_stale_votes"))
    stale = sum_of(commit.connection, "sum_stale_votes")
    if stale.rows:
        commit.connection.execute(query("drop_stale_votes"))
        commit.count_dropped("votes", stale)
    commit.connection.execute(query("insert_signals"), [commit.batch])
