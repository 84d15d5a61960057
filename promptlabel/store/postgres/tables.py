"""Rows into the tables of the shared store, as parts of a commit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

from psycopg import sql

from promptlabel.deeds import Deed, Entry, sealed
from promptlabel.records import JsonValue, Pick, RegisteredRule
from promptlabel.store import forgetting_tables
from promptlabel.store.connection import Row
from promptlabel.store.contract import Added, LeaseRequest, PosteriorTable
from promptlabel.store.forgetting_tables import is_forgotten, refuse
from promptlabel.store.forgettings import Forgetting
from promptlabel.store.people_tables import TRACE_ID
from promptlabel.store.postgres.committing import FORGETTING, Commit
from promptlabel.store.postgres.session import Connection
from promptlabel.store.postgres.sql import numbered, query
from promptlabel.store.postgres.text import escaped
from promptlabel.store.replay import Changes
from promptlabel.store.rows import entry_from, entry_row, pick_row, rule_row, to_json, to_utc
from promptlabel.store.trace_tables import conflicts_refused
from promptlabel.store.vote_tables import one_a_key

INGEST: Final = 7_030_816_202
"""The number of the advisory lock around what arrives from production, so that its commits are in their order."""
REVIEWS: Final = 7_030_816_203
"""The number of the advisory lock around decisions, so that their order of arrival is that of their commits."""

DEEDS: Final = 7_030_816_209
"""The number of the advisory lock around the history, so that every entry is sealed after the last."""

RESULTS: Final = 7_030_816_204
"""The number of the advisory lock around what is replaced as a whole: rules, fits, queues."""

_CLEAR: Final = "DELETE FROM {table}"
_HALF: Final = 1 << 63
_TRACE_ID: Final = 1


def place_of(trace_id: str) -> int:
    """The trace's place in the order of votes, as the database's `md5_number_lower` computes it."""
    return (
        int.from_bytes(hashlib.md5(escaped(trace_id).encode(), usedforsecurity=False).digest()[8:], "little")
        - _HALF
    )


def stage(connection: Connection, table: str, rows: Iterable[Row]) -> None:
    """Nothing; the rows are in the temporary table of that name until the transaction ends."""
    connection.execute(query(f"stage_{table}"))
    copy(connection, table, rows)


def copy(connection: Connection, table: str, rows: Iterable[Row], columns: Sequence[str] = ()) -> None:
    """Nothing; the rows are in the table, their values in the order of the columns (without names, the table's)."""
    named = (
        sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Identifier, columns))) if columns else sql.SQL("")
    )
    target = sql.SQL("COPY {} {} FROM STDIN").format(sql.Identifier(table), named)
    with connection.cursor() as cursor, cursor.copy(target) as copied:
        for row in rows:
            copied.write_row(row)


def lock(connection: Connection, number: int) -> None:
    """Nothing; until the transaction ends no other process is past this point."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [number])


class Shared:
    """Statements on a connection to the shared store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, name: str, *values: object) -> int:
        """See `Statements.run`."""
        return self._connection.execute(query(name), numbered(values)).rowcount

    def rows(self, name: str) -> list[Row]:
        """See `Statements.rows`."""
        return self._connection.execute(query(name)).fetchall()

    def stage(self, table: str, rows: Sequence[Row]) -> None:
        """See `Statements.stage`."""
        self._connection.execute(query(f"stage_{table}"))
        self.execute(_CLEAR.format(table=table))
        copy(self._connection, table, rows)

    def execute(self, statement: str) -> int:
        """See `Statements.execute`."""
        return self._connection.execute(statement.encode()).rowcount


def forget(connection: Connection, forgetting: Forgetting) -> dict[str, int]:
    """See `Store.forget`; nobody else writes about traces until the transaction ends."""
    lock(connection, FORGETTING)
    return forgetting_tables.forget(Shared(connection), forgetting, also=("review_leases",))


def insert_votes(commit: Commit, rows: Sequence[Row]) -> None:
    """Nothing; new votes are in, and usable ones stand where failed ones stood."""
    if rows:
        placed = [(*row, place_of(row[_TRACE_ID])) for row in one_a_key(rows)]
        stage(commit.connection, "arriving_votes", placed)
        refuse(Shared(commit.connection), "arriving_votes")
        run(commit, "insert_votes", commit.batch)


def insert_attempts(commit: Commit, rows: Sequence[Row]) -> None:
    """Nothing; the attempts are in."""
    copy(commit.connection, "attempts", [(*row, commit.batch) for row in rows])


def replace_votes(commit: Commit, rows: Sequence[Row]) -> None:
    """Nothing; status, label, confidence and distribution of these keys are those of the rows."""
    stage(commit.connection, "replacing_votes", {row[0]: row for row in rows}.values())
    run(commit, "replace_votes")


def drop_failed(commit: Commit, keys: Sequence[str]) -> int:
    """The number of votes with these keys that were malformed or failed and are gone."""
    stage(commit.connection, "dropping_votes", [(key,) for key in keys])
    return run(commit, "drop_votes")


def insert_review(commit: Commit, row: Row) -> bool:
    """Whether the event was new, and its trace is not forgotten."""
    if is_forgotten(Shared(commit.connection), row[TRACE_ID]):
        return False
    lock(commit.connection, REVIEWS)
    new = run(commit, "insert_review", *row, commit.batch)
    _, trace_id, task, reviewer, *_ = row
    run(commit, "end_review_lease", task, trace_id, reviewer)
    return bool(new)


def insert_deed(commit: Commit, deed: Deed) -> Entry:
    """The entry, sealed after the last one."""
    lock(commit.connection, DEEDS)
    last = commit.connection.execute(query("last_deed")).fetchone()
    entry = sealed(entry_from(last) if last else None, deed)
    copy(commit.connection, "deeds", [(*entry_row(entry), commit.batch)])
    return entry


CHANGES: Final = Changes(insert_votes, insert_attempts, insert_review, replace_votes, drop_failed)


def insert_arrived(commit: Commit, relation: str, arrived: int) -> Added:
    """Counts of new and present rows among the `arrived` ones that are staged.

    Raises:
        InputError: for ids that are stored, or repeat, with other content.
    """
    lock(commit.connection, INGEST)
    forgotten = refuse(Shared(commit.connection), f"arriving_{relation}")
    if relation != "events":
        found = commit.connection.execute(query(f"conflicting_{relation}")).fetchall()
        conflicts_refused(relation, [str(key) for (key,) in found])
    added = run(commit, f"insert_{relation}", commit.batch)
    return Added(added, arrived - added - forgotten, forgotten)


def insert_signals(commit: Commit, rows: Sequence[Row], batch: int) -> None:
    """Nothing; the signals replace those stored for their traces, as they were known at that batch.

    Votes that took no request may rest on the signals they replace: they go, and are cast anew at no cost.
    """
    last = {row[0]: row for row in rows}.values()
    stage(commit.connection, "arriving_signals", [(*row, place_of(row[0])) for row in last])
    refuse(Shared(commit.connection), "arriving_signals")
    run(commit, "drop_stale_votes")
    run(commit, "insert_signals", batch)


def register(commit: Commit, task: str, rules: Sequence[RegisteredRule]) -> None:
    """Nothing; the task's rules are these."""
    lock(commit.connection, RESULTS)
    run(commit, "delete_rules", task)
    copy(commit.connection, "rules", [rule_row(position, rule) for position, rule in enumerate(rules)])


def save_fit(commit: Commit, table: PosteriorTable) -> None:
    """Nothing; the task's last fit is this one."""
    lock(commit.connection, RESULTS)
    run(commit, "delete_posteriors", table.task)
    rows = zip(table.trace_ids, table.probs, strict=True)
    copy(
        commit.connection,
        "posteriors",
        ((table.task, place, trace_id, probs.tolist()) for place, (trace_id, probs) in enumerate(rows)),
    )
    refuse(Shared(commit.connection), "posteriors")
    report = to_json(dict(table.report))
    run(commit, "insert_fit", table.task, list(table.labels), to_utc(table.fitted_at), table.chosen, report)


def save_picks(commit: Commit, task: str, picks: Sequence[Pick]) -> None:
    """Nothing; undecided picks are replaced by these, decided ones stay."""
    lock(commit.connection, RESULTS)
    stage(commit.connection, "arriving_picks", [pick_row(*item) for item in enumerate(picks)])
    refuse(Shared(commit.connection), "arriving_picks")
    run(commit, "delete_undecided_picks", task)
    commit.connection.execute(query("insert_picks"), {"task": task})


def save_value(commit: Commit, name: str, value: JsonValue) -> None:
    """Nothing; the named value is kept."""
    run(commit, "save_state", name, to_json(value))


def lease(connection: Connection, asked: LeaseRequest) -> list[str]:
    """The traces that the reviewer now has; what another process is just leasing is passed over."""
    who = {"task": asked.task, "reviewer": asked.reviewer, "count": asked.count, "seconds": asked.seconds}
    with connection.transaction():
        wanted = {**who, "ids": list(asked.wanted), "places": list(asked.wanted.values())}
        free = connection.execute(query("lock_picks"), wanted).fetchall()
        locked = {**who, "ids": [name for name, _ in free], "places": [places for _, places in free]}
        granted = {name for (name,) in connection.execute(query("lease_picks"), locked)}
    return [name for name in asked.wanted if name in granted]


def run(commit: Commit, name: str, *values: Any) -> int:
    """The number of rows that the statement changed."""
    return commit.connection.execute(query(name), numbered(values)).rowcount
