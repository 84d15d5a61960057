"""A store that another process holds, used through the socket by which that process lends it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from promptlabel.errors import StoreError
from promptlabel.store.holding import held
from promptlabel.store.sharing import (
    ABORT,
    END,
    ERROR,
    METHODS,
    MORE,
    ROWS,
    SOCKET,
    STREAMED_IN,
    STREAMED_OUT,
    portions,
)

_GONE = "the process that held the store has ended: nothing acknowledged is lost; run this again"


class BorrowedStore:
    """A `Store` whose every method is called in the process that holds it; may be used from many threads.

    Raises:
        ConnectionError, FileNotFoundError: while no process lends the store of that folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = os.path.realpath(folder / SOCKET)
        self._idle = [_connected(self._path)]
        self._lock = threading.Lock()
        self._closed = False

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method not in METHODS:
            raise AttributeError(method)
        if method in STREAMED_IN:
            return lambda rows: self._send_rows(method, rows)
        if method in STREAMED_OUT:
            return lambda *arguments, **named: self._rows(method, arguments, named)
        return lambda *arguments, **named: self._call(method, arguments, named)

    def hold(self, name: str) -> AbstractContextManager[None]:
        """See `Store.hold`; it ends with this process, not with the one that lends."""
        return held(self._folder, name)

    def squeezed(self) -> AbstractContextManager[None]:
        """See `Store.squeezed`; the memory is the other process's."""
        return nullcontext()

    def close(self) -> None:
        """See `Store.close`; the other process goes on holding the file. Closing again does nothing."""
        if self._closed:
            return
        with suppress(StoreError):
            self._call("settle", (), {})
        self._closed = True
        for connection in self._idle:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        with self._connection() as connection:
            connection.send((method, arguments, named))
            return _result(connection.recv())

    def _rows(self, method: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Iterator[Any]:
        with self._connection() as connection:
            connection.send((method, arguments, named))
            while (message := connection.recv())[0] == ROWS:
                try:
                    yield from message[1]
                except GeneratorExit:
                    connection.send(END)
                    connection.recv()
                    raise
                connection.send(MORE)
            _result(message)

    def _send_rows(self, method: str, rows: Iterable[Any]) -> Any:
        with self._connection() as connection:
            connection.send((method, (), {}))
            try:
                for some in portions(rows):
                    connection.send((ROWS, some))
            except BaseException:
                connection.send((ABORT,))
                connection.recv()
                raise
            connection.send((END,))
            return _result(connection.recv())

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """A connection that nobody else uses meanwhile; it is kept for later unless it has failed.

        Raises:
            StoreError: when the other process has ended, or this store is closed.
        """
        if self._closed:
            raise StoreError("the store is closed")
        try:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            connection = connection or _connected(self._path)
            yield connection
        except (EOFError, OSError) as error:
            raise StoreError(_GONE) from error
        with self._lock:
            self._idle.append(connection)


def _connected(path: str) -> Connection:
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        end.connect(path)
    except OSError:
        end.close()
        raise
    return Connection(end.detach())


def _result(message: tuple[str, Any]) -> Any:
    kind, value = message
    if kind == ERROR:
        raise value
    return value
