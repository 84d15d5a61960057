"""One row a commit: how many rows, a hash of their keys, and the hash of the row before.

Most of what a damaged file loses it loses silently; sums that no longer match the tables, or a commit
that the journal knows and the ledger does not, give it away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import duckdb

from promptlabel.records import digest
from promptlabel.store.connection import Connection, only
from promptlabel.store.journal import START, Entry, Position
from promptlabel.store.sql import query

COUNTED: Final = ("traces", "events", "gold", "votes", "attempts", "reviews", "deeds")
"""Tables whose rows the ledger counts; the rest follows from them."""

_OTHER = "other"


@dataclass(frozen=True, slots=True)
class Sum:
    """Rows, the exclusive or of their keys' hashes, and how many of them are in no journal."""

    rows: int
    keys: int
    unjournaled: int

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.rows + other.rows, self.keys ^ other.keys, self.unjournaled + other.unjournaled)

    def __neg__(self) -> Sum:
        return Sum(-self.rows, self.keys, -self.unjournaled)


NOTHING: Final = Sum(0, 0, 0)


@dataclass(slots=True)
class Commit:
    """A transaction under way; what is done on `connection` becomes durable with the ledger row.

    Attributes:
        anew: the ledger starts again with this commit, whose sums are those of the whole tables.
    """

    connection: Connection
    batch: int
    position: Position
    added: dict[str, Sum] = field(default_factory=dict)
    dropped: dict[str, Sum] = field(default_factory=dict)
    anew: bool = False

    def count_added(self, relation: str) -> int:
        """The number of rows with this commit's batch, which the ledger will state."""
        self.added[relation] = total(self.connection, relation, since=self.batch)
        return self.added[relation].rows

    def count_dropped(self, relation: str, dropped: Sum) -> None:
        """Nothing; the ledger will state that these rows went."""
        self.dropped[relation] = self.dropped.get(relation, NOTHING) + dropped

    def sums(self) -> dict[str, Sum]:
        """What the ledger will state, by table."""
        return {
            relation: self.added.get(relation, NOTHING) + -self.dropped.get(relation, NOTHING)
            for relation in sorted(self.added.keys() | self.dropped.keys())
        }

    def entry(self, chain: str) -> Entry:
        """What the journal says of the commit once it is done, with the ledger's chain after it."""
        again = {relation: row.unjournaled for relation, row in self.sums().items() if row.unjournaled > 0}
        return {
            "kind": "commit",
            "batch": self.batch,
            "chain": chain,
            "unjournaled": again,
            "anew": self.anew,
        }


@dataclass(slots=True)
class Ledger:
    """The end of the ledger: the last batch, its chain, and the journal's position at its commit."""

    batch: int = 0
    chain: str = ""
    position: Position = START

    @classmethod
    def load(cls, connection: Connection) -> Ledger:
        """The ledger's end as stored."""
        last = only(connection, query("last_ledger_row"))
        return cls(last[0], last[1], Position(last[2], last[3])) if last else cls()

    @contextmanager
    def commit(self, connection: Connection, position: Position) -> Iterator[Commit]:
        """A transaction that is committed with its ledger rows, or rolled back on any exception."""
        connection.begin()
        try:
            commit = Commit(connection, self.batch + 1, position)
            yield commit
            chain = self._write(commit)
            connection.commit()
        except BaseException:
            _roll_back(connection)
            raise
        self.batch, self.chain, self.position = commit.batch, chain, position

    def _write(self, commit: Commit) -> str:
        chain = self.chain
        for relation, row in (commit.sums() or {_OTHER: NOTHING}).items():
            chain = link(chain, commit.batch, relation, row)
            commit.connection.execute(
                query("insert_ledger_row"),
                [commit.batch, relation, row.rows, row.keys, row.unjournaled, *commit.position, chain],
            )
        return chain


def link(chain: str, batch: int, relation: str, row: Sum) -> str:
    """The chain's next value."""
    return digest([chain, batch, relation, row.rows, str(row.keys), row.unjournaled])


def total(connection: Connection, relation: str, *, since: int = 0) -> Sum:
    """The sum of a counted table's rows of batch `since` and later."""
    return sum_of(connection, f"sum_{relation}", [since])


def sum_of(connection: Connection, name: str, parameters: Sequence[object] = ()) -> Sum:
    """The sum that the query of that name computes."""
    return Sum(*(only(connection, query(name), parameters) or (0, 0, 0)))


def _roll_back(connection: Connection) -> None:
    try:
        connection.rollback()
    except duckdb.Error:
        return  # a transaction that a fatal error ended has nothing left to roll back
