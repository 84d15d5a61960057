"""Rows of another home into the shared store's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from promptlabel.store.connection import Row
from promptlabel.store.moving import RELATIONS
from promptlabel.store.postgres import tables
from promptlabel.store.postgres.committing import Commit

_TRACE_ID: Final = {
    relation: columns.index("trace_id")
    for relation, columns in RELATIONS.items()
    if relation in ("traces", "events", "signals", "cast_votes")
}
"""Relations that keep the place of a row's trace, and where its id is."""
_IN_BATCHES: Final = ("traces", "events", "signals", "cast_votes", "attempts", "gold", "reviews", "deeds")


def load(commit: Commit, relation: str, rows: Iterable[Row]) -> None:
    """Nothing; the rows are in the relation."""
    columns = [*RELATIONS[relation], *(name for name, _ in _extra(relation))]
    extra = [value for _, value in _extra(relation)]
    completed = ((*row, *(value(commit, row) for value in extra)) for row in rows)
    tables.copy(commit.connection, relation, completed, columns)


def _extra(relation: str) -> Iterator[tuple[str, Callable[[Commit, Row], int]]]:
    """The columns that the home adds, each with its value."""
    if relation in _TRACE_ID:
        at = _TRACE_ID[relation]
        yield "place", lambda _, row: tables.place_of(row[at])
    if relation in _IN_BATCHES:
        yield "batch", lambda commit, _: commit.batch
