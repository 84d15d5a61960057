"""A store lent to other processes: its methods, called through a socket that its owner alone can open.

One request after another goes over a connection: the method and its arguments, pickled, and what came of it. Rows
that stream in or out follow in portions, each asked for. A client that dies leaves nothing half done, and one whose
server dies hears of it: what was answered is as durable as the store makes it.
"""

from __future__ import annotations

import os
import pickle
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from promptlabel.errors import PromptlabelError, StoreError
from promptlabel.store.contract import Store

SOCKET: Final = "store.sock"
STREAMED_IN: Final = frozenset({"add_traces", "add_events", "add_gold", "add_signals"})
STREAMED_OUT: Final = frozenset({"traces", "events", "pending", "votes", "deeds"})
METHODS: Final = frozenset(
    name for name in vars(Store) if not name.startswith("_") and name not in ("close", "squeezed", "hold")
)
"""What may be called; a lent store is closed by its owner and keeps the memory it has, and holds are a process's own."""

MORE, END, ABORT, ROWS, RESULT, ERROR = "more", "end", "abort", "rows", "result", "error"
PORTION: Final = 512
_LONGEST_ADDRESS: Final = 100
_Item = TypeVar("_Item")

Changed = Callable[[str, tuple[Any, ...]], None]


class StoreServer:
    """Lends the store through a socket in the folder, readable by this user alone, until it is closed.

    Args:
        store: what is lent; its owner goes on using it.
        folder: where the socket is.
        changed: told each method that another process has called, and its arguments, once it is done.
    """

    def __init__(self, store: Store, folder: Path, changed: Changed | None = None) -> None:
        self._store, self._changed = store, changed
        self._path = folder / SOCKET
        self._listener = _listening(self._path)
        self._serving: dict[threading.Thread, _Client] = {}
        self._closing = False
        threading.Thread(target=self._accept, name="promptlabel-lending", daemon=True).start()

    def close(self) -> None:
        """Nothing; requests that are being served are finished, and no other is."""
        self._closing = True
        for path in {self._path, self._path.resolve()}:
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread, client in list(self._serving.items()):
            with client.busy:
                client.hang_up()
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closing:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            if not _is_own(accepted):
                accepted.close()
                continue
            client = _Client(accepted)
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._serving[thread] = client
            thread.start()

    def _serve(self, client: _Client) -> None:
        """Nothing; requests of one client are answered until it is gone."""
        with suppress(EOFError, OSError), client.connection as connection:
            while connection.poll(None):
                with client.busy:
                    self._answer(connection, *connection.recv())
        client.end.close()
        self._serving.pop(threading.current_thread(), None)

    def _answer(self, connection: Connection, method: str, arguments: tuple[Any, ...], named: Any) -> None:
        try:
            result = self._called(connection, method, arguments, named)
        except (EOFError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever went wrong is the caller's to know
            connection.send((ERROR, _portable(error)))
            return
        connection.send((RESULT, result))
        if self._changed:
            self._changed(method, arguments)

    def _called(self, connection: Connection, method: str, arguments: tuple[Any, ...], named: Any) -> Any:
        if method not in METHODS:
            raise StoreError(f"a store has no {method}")
        if method in STREAMED_IN:
            return _with_rows(connection, getattr(self._store, method))
        result = getattr(self._store, method)(*arguments, **named)
        if method not in STREAMED_OUT:
            return result
        for rows in portions(result):
            connection.send((ROWS, rows))
            if connection.recv() != MORE:
                break
        return None


class _Client:
    """Another process at the end of a socket; `busy` is held while a request of its is served."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.connection = Connection(os.dup(end.fileno()))
        self.busy = threading.Lock()

    def hang_up(self) -> None:
        """Nothing; whoever waits for a request hears that none will come."""
        with suppress(OSError):
            self.end.shutdown(socket.SHUT_RDWR)


class _AbortedError(Exception):
    """The client's rows ended in an error of its own."""


def _with_rows(connection: Connection, method: Callable[[Iterator[Any]], Any]) -> Any:
    """What the method made of the rows that the client sends; all of them are read, whatever becomes of them."""
    rows = _received(connection)
    try:
        return method(rows)
    except _AbortedError:
        return None
    finally:
        with suppress(_AbortedError):
            for _ in rows:
                pass


def _received(connection: Connection) -> Iterator[Any]:
    while (message := connection.recv())[0] == ROWS:
        yield from message[1]
    if message[0] == ABORT:
        raise _AbortedError


def portions(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """The items, some hundreds at a time."""
    ahead = iter(items)
    while rows := list(islice(ahead, PORTION)):
        yield rows


def _portable(error: Exception) -> Exception:
    """The error, or where it cannot travel, one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - any reason is reason enough
        return StoreError(str(error))
    return error if isinstance(error, PromptlabelError | ValueError | TypeError) else StoreError(repr(error))


def _listening(path: Path) -> socket.socket:
    """A socket at the path, which nobody but this user can open; where the path is too long, the path leads to it.

    The caller holds the store, so that a socket that is there already is a dead process's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    place = path
    if len(os.fsencode(path)) > _LONGEST_ADDRESS:
        place = Path(tempfile.mkdtemp(prefix="promptlabel-")) / SOCKET
        path.symlink_to(place)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(place))
    place.chmod(0o600)
    listener.listen(64)
    return listener


def _is_own(accepted: socket.socket) -> bool:
    """Whether the process at the other end is this user's, where the system tells."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    told = accepted.getsockopt(socket.SOL_SOCKET, option, 12)
    return int.from_bytes(told[4:8], "little") == os.getuid()
