"""Reads on connections of their own, tried again while the database restarts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg

from promptlabel.errors import StoreError
from promptlabel.store.connection import Row
from promptlabel.store.postgres.session import Address, Connection, connect, is_lost, postgres_errors
from promptlabel.store.postgres.sql import query

T = TypeVar("T")

_ROWS_A_FETCH: Final = 2048
_PAUSE: Final = 0.1


class Readers:
    """Connections for reading; each is used by one thread at a time."""

    def __init__(self, address: Address, patience: float) -> None:
        self._address = address
        self._patience = patience
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """A connection for as long as the block lasts; errors in it become a StoreError."""
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            connection = self._idle.pop() if self._idle else None
        if connection is None or connection.closed:
            connection = connect(self._address, patience=self._patience)
        try:
            with postgres_errors():
                yield connection
        finally:
            self._give_back(connection)

    def rows(self, name: str, parameters: Mapping[str, object]) -> list[Row]:
        """All rows of a query."""
        return self.patiently(lambda connection: connection.execute(query(name), parameters).fetchall())

    def stream(self, name: str, parameters: Mapping[str, object]) -> Iterator[Row]:
        """The rows of a query of any size, fetched as they are taken.

        Raises:
            StoreError: where the connection is lost on the way: rows that were taken may have changed since.
        """
        return self.stream_of(query(name), parameters)

    def stream_of(self, statement: bytes, parameters: Mapping[str, object] | None = None) -> Iterator[Row]:
        """As `stream`, of a statement."""
        with (
            self.session() as connection,
            connection.transaction(),
            connection.cursor("promptlabel") as cursor,
        ):
            cursor.itersize = _ROWS_A_FETCH
            yield from cursor.execute(statement, parameters)

    def patiently(self, work: Callable[[Connection], T]) -> T:
        """What the work returns; done again where the connection is lost."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                with self.session() as connection:
                    return work(connection)
            except StoreError as error:
                if not is_lost(error) or time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE)

    def close(self) -> None:
        """Nothing; idle connections are closed, and those in use when they are given back."""
        with self._lock:
            self._closed = True
            for connection in self._idle:
                connection.close()

    def _give_back(self, connection: Connection) -> None:
        broken = connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            if broken or self._closed:
                connection.close()
            else:
                self._idle.append(connection)


def only(rows: list[Row]) -> Any:
    """The first value of the first row, None where there is none."""
    return rows[0][0] if rows else None
