"""Writing and reading of review events and gold."""

from __future__ import annotations

from collections.abc import Sequence

from promptlabel.records import Gold, ReviewEvent
from promptlabel.store.connection import Connection, Row, count, stream
from promptlabel.store.ledger import Commit
from promptlabel.store.rows import gold_from, review_from
from promptlabel.store.sql import query


def insert_review(commit: Commit, row: Row) -> bool:
    """Whether the event was new."""
    changed = count(commit.connection, query("insert_review"), [*row, commit.batch])
    commit.count_added("reviews")
    return bool(changed)


def read_reviews(connection: Connection, task: str) -> Sequence[ReviewEvent]:
    """The task's events in order of arrival."""
    return [review_from(row) for row in stream(connection, query("reviews"), {"task": task})]


def read_gold(connection: Connection, task: str) -> Sequence[Gold]:
    """The task's ingested labels, by trace id and time."""
    return [gold_from(row) for row in stream(connection, query("gold"), {"task": task})]
