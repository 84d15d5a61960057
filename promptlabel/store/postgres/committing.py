"""Commits that are made once, whatever happens to the connection, and by none but who may still write."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import UUID

import psycopg

from promptlabel.errors import StoreError
from promptlabel.store.contract import Tenure
from promptlabel.store.journal import START, Position
from promptlabel.store.postgres.session import (
    PATIENCE,
    Address,
    Connection,
    connect,
    is_lost,
)
from promptlabel.store.postgres.sql import query

T = TypeVar("T")

FORGETTING: Final = 7_030_816_205
"""The number of the advisory lock that who forgets holds alone, and all who write about traces hold together."""

_PAUSE: Final = 0.1


class StaleWriterError(StoreError):
    """Another process has taken over what this one was doing; nothing more of this one is stored."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A transaction under way; `batch` grows from commit to commit of all processes."""

    connection: Connection
    batch: int


def this_process() -> str:
    """Who we are, for others to read."""
    return f"{socket.gethostname()}, process {os.getpid()}"


@dataclass(slots=True)
class Committer:
    """Commits of one journal's process: each moves the journal's position and proves that the process may write.

    Attributes:
        batch: how many commits of this journal are in the store.
        position: how far its journal is.
    """

    address: Address
    journal: UUID
    patience: float = PATIENCE
    tenures: dict[str, Tenure] = field(default_factory=dict)
    token: int = 0
    batch: int = 0
    position: Position = START
    _connection: Connection | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self) -> None:
        """Nothing; whoever wrote with this journal before is refused from now on."""
        parameters = {"journal": self.journal, "owner": this_process()}
        token, batch, *position = self._only("begin_journal", parameters) or (0, 0, 0, 0)
        self.token, self.batch, self.position = token, batch, Position(*position)

    def write(self, work: Callable[[Commit], T], position: Position) -> T:
        """What the work returned, once it is durable; done again where the connection is lost before.

        Raises:
            StaleWriterError: if another process has taken over.
            StoreError: if the database does not come back in time.
        """
        deadline = time.monotonic() + self.patience
        while True:
            try:
                with self._lock:
                    return self._written(work, position)
            except psycopg.Error as error:
                if not is_lost(error) or time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE)

    def close(self) -> None:
        """Nothing; the connection is closed."""
        if self._connection is not None:
            self._connection.close()

    def _written(self, work: Callable[[Commit], T], position: Position) -> T:
        batch, done = self.batch + 1, []
        try:
            with self._session().transaction():
                commit = Commit(self._session(), self._advanced(batch, position))
                for tenure in self.tenures.values():
                    self._prove(tenure)
                write_about_traces(self._session())
                done.append(work(commit))
        except psycopg.Error as error:
            if not (done and is_lost(error) and self._has_committed(batch)):
                raise
        self.batch, self.position = batch, position
        return done[0]

    def _advanced(self, batch: int, position: Position) -> int:
        """The number of the commit among those of all processes."""
        segment, offset = position
        moved = self._only(
            "advance_journal",
            {"batch": batch, "segment": segment, "position": offset, **self._whose()},
        )
        if moved is None:
            raise StaleWriterError(
                f"another process writes with the journal of {this_process()}: what this one had is in the journal"
                " and safe; stop one of the two"
            )
        return int(moved[0])

    def _prove(self, tenure: Tenure) -> None:
        if self._only("check_tenure", {"name": tenure.name, "token": tenure.token}) is None:
            raise StaleWriterError(
                f"{owner_of(self._session(), tenure.name)} has taken over '{tenure.name}' from {this_process()},"
                " which was silent for too long; paid answers are in the journal and safe: run this again"
            )

    def _has_committed(self, batch: int) -> bool:
        """Whether a commit whose confirmation was lost had been made."""
        found = self._only("journal_batch", self._whose())
        return found is not None and int(found[0]) >= batch

    def _whose(self) -> dict[str, object]:
        return {"journal": self.journal, "token": self.token}

    def _only(self, name: str, parameters: dict[str, object]) -> tuple[Any, ...] | None:
        return self._session().execute(query(name), parameters).fetchone()

    def _session(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.address, patience=self.patience)
        return self._connection


def write_about_traces(connection: Connection) -> None:
    """Nothing; until the transaction ends nobody forgets, and what was forgotten before is seen to be."""
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", [FORGETTING])


def owner_of(connection: Connection, name: str) -> str:
    """Who holds the tenure."""
    found = connection.execute(query("tenure_owner"), {"name": name}).fetchone()
    return str(found[0]) if found else "nobody"
