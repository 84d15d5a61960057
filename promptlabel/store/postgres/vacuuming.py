"""The shared store's tables written anew, so that deleted rows leave no bytes in the server's files."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import sql

from promptlabel.store.forgetting_tables import RELATIONS
from promptlabel.store.postgres.session import Connection

_NAMES: Final = {"votes": "cast_votes"}
_REWRITTEN: Final = (
    *(_NAMES.get(name, name) for name in RELATIONS),
    "attempts",
    "states",
    "fits",
    "review_leases",
)
_STATISTICS: Final = "pg_catalog.pg_statistic"
"""What the planner knows of columns: it keeps values of rows, of deleted ones too until the table is analysed again."""


def erase(connection: Connection) -> None:
    """Nothing; tables and statistics hold live rows only, and what was forgotten counts as erased.

    The server's write-ahead log, its archive and its backups keep older bytes until they are recycled. A user who
    does not own the database cannot rewrite the statistics, and one who may not make a checkpoint waits for the
    server's own before the files of the old tables go.
    """
    for table in _REWRITTEN:
        connection.execute(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(sql.Identifier(table)))
    for statement in (f"VACUUM (FULL) {_STATISTICS}", "CHECKPOINT"):
        try:
            connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            continue
    connection.execute("UPDATE forgettings SET erased = TRUE")
