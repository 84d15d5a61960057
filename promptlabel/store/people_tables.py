"""Writing of review events."""

from __future__ import annotations

from typing import Final

from promptlabel.store.connection import Row, count
from promptlabel.store.entries import REVIEW_COLUMNS
from promptlabel.store.forgetting_tables import Embedded, is_forgotten
from promptlabel.store.ledger import Commit
from promptlabel.store.sql import query

TRACE_ID: Final = REVIEW_COLUMNS.index("trace_id")


def insert_review(commit: Commit, row: Row) -> bool:
    """Whether the event was new, and its trace is not forgotten."""
    if is_forgotten(Embedded(commit.connection), row[TRACE_ID]):
        return False
    changed = count(commit.connection, query("insert_review"), [*row, commit.batch])
    commit.count_added("reviews")
    return bool(changed)
