"""Writing of review events."""

from __future__ import annotations

from promptlabel.store.connection import Row, count
from promptlabel.store.ledger import Commit
from promptlabel.store.sql import query


def insert_review(commit: Commit, row: Row) -> bool:
    """Whether the event was new."""
    changed = count(commit.connection, query("insert_review"), [*row, commit.batch])
    commit.count_added("reviews")
    return bool(changed)
