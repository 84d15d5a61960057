"""A connection to the store's file, which one process owns, and errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from promptlabel.errors import StoreError, StoreHeldError

Row = tuple[Any, ...]
"""One row of a table, its values in the order of the columns."""

_HOLDER = re.compile(r"Conflicting lock is held in .*\(PID (\d+)\)")
_ROWS_A_FETCH = 2048

_CONFIGURATION = {
    "enable_external_access": "false",
    "lock_configuration": "true",
    "preserve_insertion_order": "false",
    "checkpoint_threshold": "64MB",
}


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """A connection to the file, made if need be; SQL on it can reach no other file.

    Raises:
        StoreHeldError: while another process has the file open.
        StoreError: if the file is damaged or cannot be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return duckdb.connect(str(path), config=_CONFIGURATION)
    except (duckdb.Error, OSError) as error:
        if "Could not set lock" in str(error):
            holder = _HOLDER.search(str(error))
            raise StoreHeldError(str(path), int(holder[1]) if holder else None) from error
        raise StoreError(
            f"{path} cannot be opened: {_first_line(error)}; `promptlabel doctor --repair` mends it"
        ) from error


def stream(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any] | None = None
) -> Iterator[Row]:
    """The rows of a query, fetched as they are taken, on a cursor of its own."""
    with connection.cursor() as cursor, store_errors():
        cursor.execute(sql, parameters)
        while rows := cursor.fetchmany(_ROWS_A_FETCH):
            yield from rows


def append(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Row]) -> None:
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


def store_error(cause: BaseException) -> StoreError:
    """The cause as a StoreError: a full disk and a broken store are told apart."""
    if isinstance(cause, StoreError):
        return cause
    if "No space left" in str(cause):
        return StoreError(
            "the disk is full: nothing acknowledged is lost; free some space and run this again"
            f" ({_first_line(cause)})"
        )
    return StoreError(
        f"the store failed: {_first_line(cause)}; nothing acknowledged is lost: run this again,"
        " and `promptlabel doctor` if it fails again"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
