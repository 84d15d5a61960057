"""The one thread that writes: what waits is in the journal already; it syncs that and commits many rows at once."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import duckdb

from promptlabel.errors import StoreError
from promptlabel.store.connection import Connection, Row, store_error, store_errors
from promptlabel.store.journal import START, Journal, Position, encode
from promptlabel.store.ledger import Ledger

Insert = Callable[[Any, Sequence[Row]], None]
"""Inserts rows as part of a commit, whose type is the home's."""
Step = Callable[[Any], object]

ROWS_A_COMMIT: Final = 8192
MOST_ROWS_WAITING: Final = 8192
LINGER: Final = 1.0
"""Seconds that rows wait for company while nobody waits for them: a commit costs as much as a thousand rows."""


@dataclass(eq=False, slots=True)
class Work:
    """What one caller wants written: journal lines first, then rows, then a step of its own.

    Attributes:
        rows: rows by the function that inserts them; those of a whole group are inserted in one call.
        connection: where the step must run, for its temporary tables; such work is committed alone.
        urgent: goes before all that is not.
        done: what the caller waits for; None where nobody waits.
        start, end: the journal's positions around the lines.
    """

    lines: Sequence[bytes] = ()
    rows: Mapping[Insert, Sequence[Row]] = field(default_factory=dict)
    step: Step | None = None
    connection: Connection | None = None
    urgent: bool = False
    done: Future[object] | None = None
    start: Position = START
    end: Position = START

    @property
    def size(self) -> int:
        """The number of rows that come with the work."""
        return sum(map(len, self.rows.values()))


class Writer(ABC):
    """The writing thread of one store; when it dies, every later call fails at once with the cause.

    A line is in the journal, where it outlives the process, when its work gets in line.

    Args:
        committed: the journal's position up to which the store has what it says.
        linger: seconds that work waits for company while nobody waits for it.

    Attributes:
        fatal: errors after which the database takes nothing more; other errors are those of one work.
    """

    fatal: ClassVar[tuple[type[BaseException], ...]] = (duckdb.FatalException, duckdb.IOException)

    def __init__(self, journal: Journal, committed: Position, linger: float = LINGER) -> None:
        self._journal = journal
        self._linger = linger
        self._waiting: deque[Work] = deque()
        self._urgent: deque[Work] = deque()
        self._group: list[Work] = []
        self._rows_waiting = 0
        self._awaited = 0
        self._committed_up_to = committed
        self._changed = threading.Condition()
        self._closing = False
        self._cause: StoreError | None = None
        self._thread = threading.Thread(target=self._run, name="promptlabel-writer", daemon=True)
        self._thread.start()

    def put(self, work: Work) -> None:
        """Nothing, once the lines are in the journal; waits while many rows are in line.

        Raises:
            StoreError: if the writer is dead, or the journal cannot be written.
        """
        with self._changed:
            self._line_up(work)
            while self._rows_waiting > MOST_ROWS_WAITING and not self._cause:
                self._changed.wait()

    def do(self, work: Work) -> object:
        """What the work's step returned, once all of the work is durable.

        Raises:
            StoreError: if the writer is dead or dies before the work is done, or the database refuses it.
        """
        work.done = Future()
        with self._changed:
            self._awaited += 1
            self._line_up(work)
            self._changed.notify_all()
        with self.errors():
            return work.done.result()

    def settle(self) -> None:
        """Nothing, once all that was put before is committed.

        Raises:
            StoreError: if the writer is dead or dies first.
        """
        self.check()
        if self._waiting or self._group:
            self.do(Work())

    def check(self) -> None:
        """Nothing while the writer lives.

        Raises:
            StoreError: with the cause of its death, or because the store is closed.
        """
        if self._cause:
            raise type(self._cause)(str(self._cause)) from self._cause
        if self._closing:
            raise StoreError("the store is closed")

    def close(self) -> None:
        """Nothing; what waited is written and the thread has ended."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _line_up(self, work: Work) -> None:
        """Nothing; the work is in line and its lines are in the journal, both in the same order."""
        self.check()
        work.start = self._journal.position
        try:
            self._journal.append(work.lines)
        except OSError as error:
            self._die(error)
            self.check()
        work.lines, work.end = (), self._journal.position
        rows_before, self._rows_waiting = self._rows_waiting, self._rows_waiting + work.size
        if not (self._waiting or self._urgent) or rows_before < ROWS_A_COMMIT <= self._rows_waiting:
            self._changed.notify_all()
        (self._urgent if work.urgent else self._waiting).append(work)

    def _run(self) -> None:
        try:
            while self._take():
                self._write(self._group, self._committed_up_to)
                self._finish()
        except BaseException as error:  # noqa: BLE001 - whatever killed the writer must reach every caller
            with self._changed:
                self._die(error)

    def _take(self) -> bool:
        """Whether there is a group to write now."""
        with self._changed:
            self._changed.wait_for(lambda: self._urgent or self._waiting or self._closing)
            self._changed.wait_for(self._is_time, self._linger)
            self._group = _take_all(self._urgent) or _take_some(self._waiting)
            self._rows_waiting -= sum(work.size for work in self._group)
            self._awaited -= sum(work.done is not None for work in self._group)
            self._committed_up_to = self._waiting[0].start if self._waiting else self._journal.position
            return bool(self._group)

    def _is_time(self) -> bool:
        return bool(self._awaited or self._closing or self._rows_waiting >= ROWS_A_COMMIT)

    def _finish(self) -> None:
        with self._changed:
            self._group = []
            self._changed.notify_all()

    def _write(self, group: list[Work], position: Position) -> None:
        if any(work.start != work.end for work in group):
            self._journal.sync()
        try:
            results = self._committed(group, position)
        except self.fatal:
            raise
        except Exception as error:  # noqa: BLE001 - one work's fault is that caller's, not the writer's end
            self._write_each(group, position, error)
        else:
            for work, result in zip(group, results, strict=True):
                if work.done:
                    work.done.set_result(result)

    def _write_each(self, group: list[Work], position: Position, error: Exception) -> None:
        if len(group) > 1:
            for work in group:
                self._write([work], min(position, work.end))
        elif group[0].done:
            group[0].done.set_exception(error)
        else:
            raise error

    def _committed(self, group: Sequence[Work], position: Position) -> list[object]:
        if not any(work.rows or work.step for work in group):
            return [None] * len(group)
        return self.commit(group, position)

    @abstractmethod
    def commit(self, group: Sequence[Work], position: Position) -> list[object]:
        """What the steps of the group returned, once all of it is durable with the journal's position."""

    @abstractmethod
    def errors(self) -> AbstractContextManager[None]:
        """A context in which the database's errors become a StoreError that says what to do."""

    def _die(self, error: BaseException) -> None:
        cause = self._cause = self._told(error)
        for work in (*self._group, *self._urgent, *self._waiting):
            if work.done and not work.done.done():
                work.done.set_exception(cause)
        self._changed.notify_all()

    def _told(self, error: BaseException) -> StoreError:
        translated: Future[None] = Future()
        translated.set_exception(error)
        try:
            with self.errors():
                translated.result()
        except StoreError as told:
            return told
        except BaseException as untold:  # noqa: BLE001 - whatever killed the writer must reach every caller
            return store_error(untold)
        raise AssertionError("an error was raised")


def _take_all(waiting: deque[Work]) -> list[Work]:
    group = list(waiting)
    waiting.clear()
    return group


def _take_some(waiting: deque[Work]) -> list[Work]:
    group: list[Work] = []
    rows = 0
    while waiting and rows < ROWS_A_COMMIT and not (group and (waiting[0].connection or group[0].connection)):
        group.append(waiting.popleft())
        rows += group[-1].size
    return group


def _merge(group: Sequence[Work]) -> dict[Insert, list[Row]]:
    merged: dict[Insert, list[Row]] = {}
    for work in group:
        for insert, rows in work.rows.items():
            merged.setdefault(insert, []).extend(rows)
    return merged


def apply(group: Sequence[Work], commit: object) -> list[object]:
    """What the steps of the group returned; its rows are part of the commit."""
    for insert, rows in _merge(group).items():
        insert(commit, rows)
    return [work.step(commit) if work.step else None for work in group]


class DuckDBWriter(Writer):
    """The writer of an embedded store, whose commits are chained in its ledger and noted in the journal."""

    def __init__(
        self, connection: Connection, journal: Journal, ledger: Ledger, linger: float = LINGER
    ) -> None:
        self._connection = connection
        self._ledger = ledger
        super().__init__(journal, ledger.position, linger)

    def commit(self, group: Sequence[Work], position: Position) -> list[object]:
        """See `Writer.commit`."""
        connection = group[0].connection or self._connection
        with self._ledger.commit(connection, position) as commit:
            results = apply(group, commit)
        with self._changed:
            self._journal.append([encode(commit.entry(self._ledger.chain))])
        return results

    def errors(self) -> AbstractContextManager[None]:
        """See `Writer.errors`."""
        return store_errors()
