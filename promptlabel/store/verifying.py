"""What the store, its ledger and the journal say of one another, and how they are brought to agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final
from uuid import UUID

from promptlabel.store.connection import Connection, Row, stream
from promptlabel.store.entries import (
    REPLACEMENT_COLUMNS,
    VOTE_COLUMNS,
    replacement_entry,
    review_entry,
    vote_entries,
)
from promptlabel.store.journal import Line, encode, read
from promptlabel.store.ledger import COUNTED, NOTHING, Commit, Ledger, Sum, link, total
from promptlabel.store.migrations import migrate
from promptlabel.store.replay import apply
from promptlabel.store.rows import chunks
from promptlabel.store.sql import query

JOURNALED: Final = ("votes", "attempts", "reviews")
"""Tables that the journal alone can rebuild."""

_LINES_A_CHUNK = 5000
_REPLACED: Final = tuple(VOTE_COLUMNS.index(name) for name in REPLACEMENT_COLUMNS)


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found; all empty in a sound store.

    Attributes:
        damaged: journal lines whose checksum does not match.
        broken: batches whose ledger rows do not follow from those before, or from what the journal says.
        unbalanced: table -> rows it has too many, negative for too few; 0 where only their keys differ.
        lost: table -> rows of lost commits that no journal has; they must be ingested or voted again.
        store_lacks: table -> rows that the journal has.
        journal_lacks: table -> rows that the store has.
    """

    damaged: tuple[Line, ...]
    broken: tuple[int, ...]
    unbalanced: Mapping[str, int]
    lost: Mapping[str, int]
    store_lacks: Mapping[str, int]
    journal_lacks: Mapping[str, int]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not any(
            (self.damaged, self.broken, self.unbalanced, self.lost, self.store_lacks, self.journal_lacks)
        )


def verify(connection: Connection, journal: Path) -> Verification:
    """Everything read and recomputed: ledger, sums, checksums, and the journal replayed beside the store."""
    connection.execute(query("read_everything")).fetchall()
    with _replayed(connection, journal):
        store_lacks = {table: _count(connection, f"{table}_store_lacks") for table in JOURNALED}
        journal_lacks = {table: _count(connection, f"{table}_journal_lacks") for table in JOURNALED}
    return Verification(
        damaged=tuple(line for line in read(journal) if line.entry is None),
        broken=tuple(_broken_batches(connection, journal)),
        unbalanced=dict(_unbalanced(connection)),
        lost={relation: int(rows) for relation, rows in stream(connection, query("lost_rows"))},
        store_lacks={table: rows for table, rows in store_lacks.items() if rows},
        journal_lacks={table: rows for table, rows in journal_lacks.items() if rows},
    )


def lines_that_lack(connection: Connection, journal: Path) -> list[bytes]:
    """Journal lines for what the store has and the journal has not."""
    with _replayed(connection, journal):
        rows = {table: list(stream(connection, query(f"{table}_journal_lacks"))) for table in JOURNALED}
    votes = [_with_hex(row) for row in rows["votes"]]
    attempts = [_with_hex(row) for row in rows["attempts"]]
    replacements = (tuple(row[column] for column in _REPLACED) for row in votes)
    entries = [
        *vote_entries(votes, attempts),
        *map(replacement_entry, replacements),
        *map(review_entry, rows["reviews"]),
    ]
    return list(map(encode, entries))


def rebuild(commit: Commit, journal: Path) -> None:
    """Nothing; what the journal can give is exactly what it gives, and the ledger starts anew from the tables."""
    for table in JOURNALED:
        commit.connection.execute(query(f"delete_journaled_{table}"))
    entries = (line.entry for line in read(journal) if line.entry is not None)
    for chunk in chunks(entries, _LINES_A_CHUNK):
        apply(commit, chunk)
    commit.connection.execute(query("delete_ledger"))
    commit.connection.execute(query("delete_losses"))
    commit.anew = True
    commit.dropped.clear()
    commit.added.update({table: total(commit.connection, table) for table in COUNTED})


@contextmanager
def _replayed(connection: Connection, journal: Path) -> Iterator[None]:
    """A context with a database `replayed`: a store made from the journal's intact lines alone."""
    connection.execute(query("attach_replayed"))
    try:
        with connection.cursor() as cursor:
            cursor.execute(query("use_replayed"))
            migrate(cursor)
            _replay_all(cursor, journal)
        yield
    finally:
        connection.execute(query("detach_replayed"))


def _replay_all(connection: Connection, journal: Path) -> None:
    ledger = Ledger()
    for chunk in chunks(read(journal), _LINES_A_CHUNK):
        with ledger.commit(connection, chunk[-1].end) as commit:
            apply(commit, (line.entry for line in chunk if line.entry is not None))


def _broken_batches(connection: Connection, journal: Path) -> Iterator[int]:
    chains: dict[int, str] = {}
    previous: str | None = None
    rows = stream(connection, query("ledger"))
    for batch, group in groupby(rows, lambda row: row[0]):
        for _, relation, *numbers, chain in group:
            if chain != link(previous or "", batch, relation, Sum(*numbers)) and (
                previous is not None or batch == 1
            ):
                yield batch
            previous = chains[batch] = chain
    for line in read(journal):
        if line.entry and line.entry["kind"] == "commit":
            batch = line.entry["batch"]
            if chains.get(batch, line.entry["chain"]) != line.entry["chain"]:
                yield batch


def _unbalanced(connection: Connection) -> Iterator[tuple[str, int]]:
    stated = {
        relation: Sum(rows, keys, 0) for relation, rows, keys in stream(connection, query("ledger_sums"))
    }
    for table in COUNTED:
        found, claim = total(connection, table), stated.get(table, NOTHING)
        if (found.rows, found.keys) != (claim.rows, claim.keys):
            yield table, found.rows - claim.rows


def _count(connection: Connection, name: str) -> int:
    return sum(1 for _ in stream(connection, query(name)))


def _with_hex(row: Row) -> Row:
    return tuple(value.hex if isinstance(value, UUID) else value for value in row)
