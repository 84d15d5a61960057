"""Writing of review events, and of what else people did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from promptlabel.deeds import Deed, Entry, sealed
from promptlabel.store.connection import Row, append, count, only
from promptlabel.store.entries import REVIEW_COLUMNS
from promptlabel.store.forgetting_tables import Embedded, is_forgotten
from promptlabel.store.ledger import Commit
from promptlabel.store.rows import entry_from, entry_row
from promptlabel.store.sql import query

TRACE_ID: Final = REVIEW_COLUMNS.index("trace_id")


def insert_review(commit: Commit, row: Row) -> bool:
    """Whether the event was new, and its trace is not forgotten."""
    if is_forgotten(Embedded(commit.connection), row[TRACE_ID]):
        return False
    changed = count(commit.connection, query("insert_review"), [*row, commit.batch])
    commit.count_added("reviews")
    return bool(changed)


def insert_deed(commit: Commit, deed: Deed) -> Entry:
    """The entry, sealed after the last one."""
    last = only(commit.connection, query("last_deed"))
    entry = sealed(entry_from(last) if last else None, deed)
    insert_entries(commit, [entry_row(entry)])
    return entry


def insert_entries(commit: Commit, rows: Sequence[Row]) -> None:
    """Nothing; the entries are in, as they were sealed."""
    append(commit.connection, "deeds", [(*row, commit.batch) for row in rows])
    commit.count_added("deeds")
