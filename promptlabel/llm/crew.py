"""Workers that can be stopped where they wait, and cut off where they wait for the model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager

Worker = asyncio.Task[None]


class Crew:
    """Tasks that do the same work until there is none; the first exception of one ends all."""

    def __init__(self) -> None:
        self.stopped = False
        self._workers: list[Worker] = []
        self._waiting: set[Worker | None] = set()
        self._asking: set[Worker | None] = set()

    async def run(self, number: int, work: Callable[[], Awaitable[None]]) -> None:
        """Nothing, once all have ended.

        Raises:
            Exception: the first that a worker raised; the others are then cancelled.
        """
        self._workers = [asyncio.create_task(self._until_stopped(work)) for _ in range(number)]
        try:
            done, _ = await asyncio.wait(self._workers, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()
        finally:
            self._cancel(self._workers)
            await asyncio.gather(*self._workers, return_exceptions=True)

    def stop(self, grace: float) -> None:
        """Nothing; those who wait go home now, those who ask the model have `grace` seconds."""
        self.stopped = True
        self._cancel(self._waiting)
        asyncio.get_running_loop().call_later(grace, self._cut)

    def leave_if_stopped(self) -> None:
        """Nothing; ends the calling worker after a stop."""
        if self.stopped:
            raise asyncio.CancelledError

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Marks a wait that a stop may end."""
        self.leave_if_stopped()
        worker = asyncio.current_task()
        self._waiting.add(worker)
        try:
            yield
        finally:
            self._waiting.discard(worker)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Marks a wait for the model, which ends with the grace after a stop."""
        worker = asyncio.current_task()
        self._asking.add(worker)
        try:
            yield
        finally:
            self._asking.discard(worker)

    async def _until_stopped(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except asyncio.CancelledError:
            if not self.stopped:
                raise

    def _cut(self) -> None:
        self._cancel(self._asking)

    def _cancel(self, workers: Iterable[Worker | None]) -> None:
        current = asyncio.current_task()
        for worker in tuple(workers):
            if worker is not None and worker is not current:
                worker.cancel()
