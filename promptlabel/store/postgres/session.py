"""Connections to the shared store, and errors that say what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict

from promptlabel.errors import Fault, InputError, StoreError
from promptlabel.settings import CONFIGURATION_FILE
from promptlabel.store.postgres.text import hold_any_text

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

OLDEST_SERVER: Final = 150_000
PATIENCE: Final = 60.0
"""Seconds that a store, once open, waits for its database to come back: a restart after a crash takes 6 to 9."""
_CONNECT_SECONDS: Final = 10
_PAUSE: Final = 0.2
_RESTARTING: Final = ("starting up", "shutting down", "recovery mode", "not yet accepting")
_DOWN: Final = ("refused", "reset by peer", "closed the connection", "No such file", "terminating connection")
_OPTIONS: Final = (
    "-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c client_encoding=UTF8"
    # All rows of a cursor are read: a plan that is quick for the first of them may be quadratic for the rest.
    " -c cursor_tuple_fraction=1"
)

_LOST: Final = (psycopg.OperationalError, psycopg.InterfaceError)


class UnreachableError(StoreError):
    """The server does not answer."""


class LostConnectionError(StoreError):
    """The connection broke under way; what was not committed is not in the store."""


class Address:
    """Where a shared store is, and how to say so without its password.

    Raises:
        InputError: if the text is no PostgreSQL address.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._parts = conninfo_to_dict(text)
            int(self._parts.get("port") or 0)
        except (psycopg.Error, ValueError) as error:
            message = f"{str(error).strip()}; write postgresql://USER@HOST:PORT/DATABASE"
            raise InputError(Fault(message, file=CONFIGURATION_FILE, key="store")) from error

    def __str__(self) -> str:
        user, host, port, database = (self._parts.get(key) for key in ("user", "host", "port", "dbname"))
        who = f"{user}@" if user else ""
        return f"postgresql://{who}{host or 'localhost'}{f':{port}' if port else ''}/{database or user or ''}"

    @property
    def options(self) -> str:
        """The server options of every session: those of the address, and how values are written."""
        return f"{self._parts.get('options') or ''} {_OPTIONS}".strip()


def connect(
    address: Address,
    *,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Connection:
    """A connection; while the database restarts, it is waited for.

    Raises:
        InputError: if user, password or database are not what the server knows.
        StoreError: if the server cannot be reached in time, or is too old.
    """
    started = clock()
    while True:
        try:
            return _connected(address)
        except psycopg.Error as error:
            if clock() - started >= _wait_for(error, patience):
                _refused(address, error)
        sleep(_PAUSE)


@contextmanager
def postgres_errors() -> Iterator[None]:
    """A context in which PostgreSQL's errors become a StoreError that says what to do."""
    try:
        yield
    except psycopg.Error as error:
        raise store_error(error) from error


def store_error(cause: BaseException) -> StoreError:
    """The cause as a StoreError: a full disk, a lost connection and anything else are told apart."""
    if isinstance(cause, StoreError):
        return cause
    first_line = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    if isinstance(cause, psycopg.errors.DiskFull) or "No space left" in str(cause):
        return StoreError(
            f"the disk is full: nothing acknowledged is lost; free some space and run this again ({first_line})"
        )
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return StoreError(f"the database refuses: {first_line}; grant the user CREATE on its schema")
    if isinstance(cause, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        return StoreError(f"the store is not what promptlabel made: {first_line}; restore a backup")
    if is_lost(cause):
        return LostConnectionError(
            f"the connection to the database was lost: {first_line}; nothing acknowledged is lost: run this again"
        )
    return StoreError(f"the store failed: {first_line}; nothing acknowledged is lost: run this again")


def is_lost(cause: BaseException) -> bool:
    """Whether the connection is gone, or what it was doing was undone for a reason that passes."""
    passing = psycopg.errors.SerializationFailure | psycopg.errors.DeadlockDetected
    if isinstance(cause, psycopg.errors.DiskFull):
        return False
    return isinstance(cause, LostConnectionError | passing | _LOST[0] | _LOST[1])


def _connected(address: Address) -> Connection:
    connection = psycopg.connect(
        address.text, autocommit=True, connect_timeout=_CONNECT_SECONDS, options=address.options,
        fallback_application_name="promptlabel",
    )  # fmt: skip
    hold_any_text(connection)
    info = connection.info
    encoding = info.parameter_status("server_encoding")
    if info.server_version >= OLDEST_SERVER and encoding == "UTF8":
        return connection
    connection.close()
    version = info.server_version // 10_000
    if version * 10_000 < OLDEST_SERVER:
        raise StoreError(f"{address} is PostgreSQL {version}: promptlabel needs 15 or newer")
    raise StoreError(f"{address} holds text as {encoding}: make a database with ENCODING 'UTF8'")


def _wait_for(error: psycopg.Error, patience: float) -> float:
    """Seconds that whoever gets the error should go on trying: long while the server says that it restarts."""
    text = str(error)
    if any(word in text for word in _RESTARTING):
        return max(patience, PATIENCE)
    return patience if any(word in text for word in _DOWN) else 0.0


def _refused(address: Address, error: psycopg.Error) -> NoReturn:
    first_line = str(error).strip().splitlines()[0]
    remedy = _remedy(str(error))
    if remedy:
        message = f"{address}: {first_line}; {remedy}"
        raise InputError(Fault(message, file=CONFIGURATION_FILE, key="store")) from error
    raise UnreachableError(
        f"{address} cannot be reached: {first_line}; start the database, or correct `store` in {CONFIGURATION_FILE}"
    ) from error


def _remedy(text: str) -> str | None:
    if "password" in text:
        return "give the right one in ~/.pgpass or PGPASSWORD"
    if "role" in text and "does not exist" in text:
        return "make the user (createuser), or name another"
    if "database" in text and "does not exist" in text:
        return "make it (createdb), or name another"
    if "pg_hba.conf" in text:
        return "let this machine in (pg_hba.conf on the server)"
    if "could not translate host name" in text or "failed to resolve host" in text:
        return "correct the host"
    return None
