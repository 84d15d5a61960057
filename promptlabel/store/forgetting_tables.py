"""Everything about forgotten traces out of the tables, and nothing about them in again; the same in every home."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from promptlabel.store.connection import Connection, Row
from promptlabel.store.forgettings import Forgetting
from promptlabel.store.ledger import COUNTED, Commit, total
from promptlabel.store.rows import from_json, to_json, to_utc
from promptlabel.store.sql import query
from promptlabel.store.staging import stage

Json: TypeAlias = Any

RELATIONS: Final = ("traces", "events", "signals", "votes", "gold", "reviews", "posteriors", "picks")
"""What holds something about a trace, besides small named values and the reports of fits."""


class Statements(Protocol):
    """How a home runs the named queries of a transaction."""

    def run(self, name: str, *values: object) -> int:
        """The number of rows that the statement changed."""
        ...

    def rows(self, name: str) -> list[Row]:
        """The rows of the query."""
        ...

    def stage(self, table: str, rows: Sequence[Row]) -> None:
        """Nothing; the rows are in the temporary table of that name."""
        ...

    def execute(self, statement: str) -> int:
        """The number of rows that the statement changed."""
        ...


class Embedded:
    """Statements on a connection to the embedded store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, name: str, *values: object) -> int:
        """See `Statements.run`."""
        return int(self._connection.execute(query(name), values).fetchall()[0][0])

    def rows(self, name: str) -> list[Row]:
        """See `Statements.rows`."""
        found: list[Row] = self._connection.execute(query(name)).fetchall()
        return found

    def stage(self, table: str, rows: Sequence[Row]) -> None:
        """See `Statements.stage`."""
        stage(self._connection, table, rows)

    def execute(self, statement: str) -> int:
        """See `Statements.execute`."""
        return int(self._connection.execute(statement).fetchall()[0][0])


def forget_embedded(commit: Commit, forgetting: Forgetting) -> dict[str, int]:
    """See `Store.forget`; the ledger states what went."""
    before = {relation: total(commit.connection, relation) for relation in COUNTED}
    gone = forget(Embedded(commit.connection), forgetting)
    if gone:
        for relation in COUNTED:
            commit.count_dropped(relation, before[relation] + -total(commit.connection, relation))
    return gone


def forget(home: Statements, forgetting: Forgetting, *, also: Collection[str] = ()) -> dict[str, int]:
    """See `Store.forget`; `also` are the home's own relations."""
    key, salt, at = forgetting.key, forgetting.salt, to_utc(forgetting.at)
    if not home.run("insert_forgetting", key, at, salt, forgetting.remembered, forgetting.remembered):
        return {}
    home.stage("arriving_marks", [(mark,) for mark in forgetting.marks])
    home.run("drop_earlier_marks", at)
    home.run("insert_marks", key, salt, at, forgetting.remembered)
    gone = {} if forgetting.remembered else _forget_marked(home, key, salt, at, also)
    if not gone:
        home.run("mark_erased", key)
    return gone


def refuse(home: Statements, table: str) -> int:
    """The number of rows taken out of the staged table because they are about traces that are forgotten."""
    if not home.rows("has_forgotten")[0][0]:
        return 0
    if table == "arriving_traces":
        home.run("mark_arriving")
    return home.execute(_REFUSE.format(table=table))


def is_forgotten(home: Statements, trace_id: str) -> bool:
    """Whether the trace is forgotten."""
    if not home.rows("has_forgotten")[0][0]:
        return False
    home.stage("leaving", [(trace_id,)])
    return bool(home.execute(_REFUSE.format(table="leaving")))


_REFUSE: Final = """
    DELETE FROM {table} WHERE trace_id IN (
        SELECT trace_id
        FROM (SELECT DISTINCT trace_id FROM {table}) AS asked CROSS JOIN (SELECT DISTINCT salt FROM forgettings) AS salts
        WHERE mark_of(salts.salt, 'trace', trace_id) IN (SELECT mark FROM forgotten WHERE NOT remembered))
"""


def _forget_marked(
    home: Statements, key: str, salt: str, at: object, also: Collection[str]
) -> dict[str, int]:
    home.stage("leaving", ())
    if not home.run("find_leaving", key, salt):
        return {}
    home.run("mark_leaving", key, salt, at)
    home.run("settle_attempts")
    gone = {relation: home.run(f"forget_{relation}") for relation in (*RELATIONS, *also)}
    home.run("count_forgotten", key, gone["traces"])
    _prune_values(home, {name for (name,) in home.rows("leaving")})
    return {relation: rows for relation, rows in gone.items() if rows}


def _prune_values(home: Statements, names: Collection[str]) -> None:
    """Nothing; small named values and the reports of fits name these traces no more."""
    for source, save in (("states", "save_state"), ("fit_reports", "save_fit_report")):
        for name, text in home.rows(source):
            value = from_json(text)
            kept = without(value, names)
            if kept != value:
                home.run(save, name, to_json(kept))


def without(value: Json, names: Collection[str]) -> Json:
    """The JSON value without the entries of lists and objects that are, or directly hold, one of the names."""
    if isinstance(value, list):
        return [without(item, names) for item in value if not _is_about(item, names)]
    if isinstance(value, Mapping):
        return {
            key: without(item, names)
            for key, item in value.items()
            if key not in names and not (isinstance(item, str) and item in names)
        }
    return value


def _is_about(item: Json, names: Collection[str]) -> bool:
    if isinstance(item, str):
        return item in names
    if isinstance(item, Mapping):
        item = list(item.values())
    return isinstance(item, list) and any(isinstance(one, str) and one in names for one in item)
