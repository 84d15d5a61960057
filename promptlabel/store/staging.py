"""Rows in a temporary table, from where they go on into the store's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from promptlabel.store.connection import Connection, Row, append
from promptlabel.store.rows import chunks
from promptlabel.store.sql import query

_ROWS_A_CHUNK: Final = 5000


def stage(connection: Connection, table: str, rows: Iterable[Row]) -> None:
    """Nothing; the rows are in the temporary table of that name, made anew on this connection."""
    connection.execute(query(f"stage_{table}"))
    for chunk in chunks(rows, _ROWS_A_CHUNK):
        append(connection, table, chunk)
