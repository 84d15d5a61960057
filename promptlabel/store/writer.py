"""The one thread that writes: it takes what waits as a group, journals it, and commits it once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

import duckdb

from promptlabel.errors import StoreError
from promptlabel.store.connection import Connection, Row, store_error, store_errors
from promptlabel.store.journal import Journal, encode
from promptlabel.store.ledger import Commit, Ledger

Insert = Callable[[Commit, Sequence[Row]], None]
Step = Callable[[Commit], object]

ROWS_A_COMMIT: Final = 10_000


@dataclass(eq=False, slots=True)
class Work:
    """What one caller wants written: journal lines first, then rows, then a step of its own.

    Attributes:
        rows: rows by the function that inserts them; those of a whole group are inserted in one call.
        connection: where the step must run, for its temporary tables; such work is committed alone.
        urgent: goes before all that is not.
    """

    lines: Sequence[bytes] = ()
    rows: Mapping[Insert, Sequence[Row]] = field(default_factory=dict)
    step: Step | None = None
    connection: Connection | None = None
    urgent: bool = False
    done: Future[object] = field(default_factory=Future)

    @property
    def size(self) -> int:
        """The number of rows that come with the work."""
        return sum(map(len, self.rows.values()))


class Writer:
    """The writing thread of one store; when it dies, every later call fails at once with the cause."""

    def __init__(self, connection: Connection, journal: Journal, ledger: Ledger) -> None:
        self._connection = connection
        self._journal = journal
        self._ledger = ledger
        self._waiting: deque[Work] = deque()
        self._urgent: deque[Work] = deque()
        self._group: list[Work] = []
        self._changed = threading.Condition()
        self._closing = False
        self._cause: StoreError | None = None
        self._thread = threading.Thread(target=self._run, name="promptlabel-writer", daemon=True)
        self._thread.start()

    def do(self, work: Work) -> object:
        """What the work's step returned, once all of the work is durable.

        Raises:
            StoreError: if the writer is dead or dies before the work is done, or the database refuses it.
        """
        with self._changed:
            self.check()
            (self._urgent if work.urgent else self._waiting).append(work)
            self._changed.notify()
        with store_errors():
            return work.done.result()

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
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while group := self._take():
                self._write(group)
        except BaseException as error:  # noqa: BLE001 - whatever killed the writer must reach every caller
            self._die(store_error(error))

    def _take(self) -> list[Work]:
        with self._changed:
            self._changed.wait_for(lambda: self._urgent or self._waiting or self._closing)
            self._group = _take_all(self._urgent) or _take_some(self._waiting)
            return self._group

    def _write(self, group: list[Work]) -> None:
        lines = [line for work in group for line in work.lines]
        if lines:
            self._journal.append(lines)
            self._journal.sync()
        try:
            results = self._commit(group)
        except (duckdb.FatalException, duckdb.IOException):
            raise
        except Exception as error:  # noqa: BLE001 - one work's fault is that caller's, not the writer's end
            self._write_each(group, error)
        else:
            for work, result in zip(group, results, strict=True):
                work.done.set_result(result)

    def _write_each(self, group: list[Work], error: Exception) -> None:
        if len(group) == 1:
            group[0].done.set_exception(error)
            return
        for work in group:
            work.lines = ()  # they are in the journal already
            self._write([work])

    def _commit(self, group: list[Work]) -> list[object]:
        connection = group[0].connection or self._connection
        with self._ledger.commit(connection, self._journal.position) as commit:
            for insert, rows in _merge(group).items():
                insert(commit, rows)
            results = [work.step(commit) if work.step else None for work in group]
        self._journal.append([encode(commit.entry(self._ledger.chain))])
        return results

    def _die(self, cause: StoreError) -> None:
        with self._changed:
            self._cause = cause
            unfinished = [*self._group, *self._urgent, *self._waiting]
        for work in unfinished:
            if not work.done.done():
                work.done.set_exception(cause)


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


def _merge(group: list[Work]) -> dict[Insert, list[Row]]:
    merged: dict[Insert, list[Row]] = {}
    for work in group:
        for insert, rows in work.rows.items():
            merged.setdefault(insert, []).extend(rows)
    return merged
