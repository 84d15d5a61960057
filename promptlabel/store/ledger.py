"""One row a commit: how many rows, a hash of their keys, and the hash of the row before.

Most of what a damaged file loses it loses silently; sums that no longer match the tables, or a commit
that the journal knows and the ledger does not, give it away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import duckdb

from promptlabel.records import digest
from promptlabel.store.journal import Entry, Position
from promptlabel.store.sql import query

COUNTED: Final = ("traces", "events", "gold", "votes", "attempts", "reviews")
"""Tables whose rows the ledger counts; the rest follows from them."""

_OTHER = "other"


@dataclass(frozen=True, slots=True)
class Sum:
    """Rows, the exclusive or of their keys' hashes, and how many of them are in no journal."""

    rows: int
    keys: int
    unjournaled: int


@dataclass(slots=True)
class Commit:
    """A transaction under way; what is done on `connection` becomes durable with the ledger row."""

    connection: duckdb.DuckDBPyConnection
    batch: int
    position: Position
    sums: dict[str, Sum] = field(default_factory=dict)

    def count_added(self, relation: str) -> int:
        """The number of rows with this commit's batch, which the ledger will state."""
        self.sums[relation] = total(self.connection, relation, since=self.batch)
        return self.sums[relation].rows

    def count_dropped(self, relation: str, dropped: Sum) -> None:
        """Nothing; the ledger will state that these rows went."""
        self.sums[relation] = Sum(-dropped.rows, dropped.keys, -dropped.unjournaled)

    def entry(self) -> Entry:
        """What the journal says of the commit once it is done."""
        again = {relation: total.unjournaled for relation, total in self.sums.items() if total.unjournaled > 0}
        return {"kind": "commit", "batch": self.batch, "unjournaled": again}


@dataclass(slots=True)
class Ledger:
    """The end of the ledger: the last batch, its chain, and the journal's position at its commit."""

    batch: int = 0
    chain: str = ""
    position: Position = Position(0, 0)

    @classmethod
    def load(cls, connection: duckdb.DuckDBPyConnection) -> Ledger:
        """The ledger's end as stored."""
        last = connection.execute(query("last_ledger_row")).fetchone()
        return cls(last[0], last[1], Position(last[2], last[3])) if last else cls()

    @contextmanager
    def commit(self, connection: duckdb.DuckDBPyConnection, position: Position) -> Iterator[Commit]:
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
        for relation, row in sorted((commit.sums or {_OTHER: Sum(0, 0, 0)}).items()):
            chain = link(chain, commit.batch, relation, row)
            commit.connection.execute(
                query("insert_ledger_row"),
                [commit.batch, relation, row.rows, row.keys, row.unjournaled, *commit.position, chain],
            )
        return chain


def link(chain: str, batch: int, relation: str, row: Sum) -> str:
    """The chain's next value."""
    return digest([chain, batch, relation, row.rows, str(row.keys), row.unjournaled])


def total(connection: duckdb.DuckDBPyConnection, relation: str, *, since: int = 0) -> Sum:
    """The sum of a counted table's rows of batch `since` and later."""
    return Sum(*connection.execute(query(f"sum_{relation}"), [since]).fetchone())


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.rollback()
    except duckdb.Error:
        return  # a transaction that a fatal error ended has nothing left to roll back
