"""A connection to the store's file, which one process owns, and errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from promptlabel.errors import StoreDamagedError, StoreError, StoreHeldError

Connection: TypeAlias = duckdb.DuckDBPyConnection

Row: TypeAlias = tuple[Any, ...]
"""One row of a table, its values in the order of the columns."""

_HOLDER = re.compile(r"Conflicting lock is held in .*\(PID (\d+)\)")
_ROWS_A_FETCH = 2048
_DAMAGE = (duckdb.IOException, duckdb.FatalException, duckdb.SerializationException, duckdb.InternalException)

_CONFIGURATION = {
    "enable_external_access": "false",
    "lock_configuration": "true",
    "preserve_insertion_order": "false",
    "checkpoint_threshold": "64MB",
    "memory_limit": "2GB",
}

_LEAN = {"lock_configuration": "false", "threads": "1"}
_SQUEEZED = "64MB"


def connect(path: Path, *, lean: bool = False) -> Connection:
    """A connection to the file, made if need be; SQL on it can reach no other file.

    A lean one can be `squeezed`, and does all its work in one thread.

    Raises:
        StoreHeldError: while another process has the file open.
        StoreDamagedError: if the file does not hold what was written to it.
        StoreError: if it cannot be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return duckdb.connect(str(path), config=_CONFIGURATION | (_LEAN if lean else {}))
    except (duckdb.Error, OSError) as error:
        if "Could not set lock" in str(error):
            holder = _HOLDER.search(str(error))
            raise StoreHeldError(str(path), int(holder[1]) if holder else None) from error
        raise store_error(error, otherwise=StoreDamagedError) from error


@contextmanager
def squeezed(connection: Connection) -> Iterator[None]:
    """A context in which the database keeps little in memory; what cannot do with that little fails."""
    connection.execute(f"SET memory_limit = '{_SQUEEZED}'")
    try:
        yield
    finally:
        connection.execute("RESET memory_limit")


def stream(connection: Connection, sql: str, parameters: dict[str, Any] | None = None) -> Iterator[Row]:
    """The rows of a query, fetched as they are taken, on a cursor of its own."""
    with connection.cursor() as cursor, store_errors():
        cursor.execute(sql, parameters)
        while rows := cursor.fetchmany(_ROWS_A_FETCH):
            yield from rows


def only(connection: Connection, sql: str, parameters: Sequence[object] = ()) -> Row | None:
    """The only row of a query, or None; no result is left open, which would block the connection."""
    rows = connection.execute(sql, parameters).fetchall()
    return rows[0] if rows else None


def count(connection: Connection, sql: str, parameters: Sequence[object] = ()) -> int:
    """The number that a query returns, or that a statement says it changed."""
    return int(connection.execute(sql, parameters).fetchall()[0][0])


def append(connection: Connection, table: str, rows: Sequence[Row]) -> None:
    """Nothing; the rows are in the table."""
    appender = connection.appender(table)
    appender.append_rows(rows)
    appender.flush()


@contextmanager
def store_errors() -> Iterator[None]:
    """A context in which DuckDB's errors become a StoreError that says what to do."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise store_error(error) from error


def store_error(cause: BaseException, otherwise: type[StoreError] = StoreError) -> StoreError:
    """The cause as a StoreError: a full disk, a damaged file and anything else are told apart."""
    if isinstance(cause, StoreError):
        return cause
    first_line = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    if "No space left" in str(cause):
        return StoreError(
            f"the disk is full: nothing acknowledged is lost; free some space and run this again ({first_line})"
        )
    if isinstance(cause, OSError) or "Permission denied" in str(cause):
        return StoreError(f"the store cannot be read or written: {first_line}")
    if isinstance(cause, _DAMAGE) or "Corrupt" in first_line or otherwise is StoreDamagedError:
        return StoreDamagedError(
            f"the store is damaged: {first_line}; `promptlabel doctor --repair` mends it"
        )
    return StoreError(f"the store failed: {first_line}; nothing acknowledged is lost: run this again")
