"""Workers that can be stopped where they wait, and cut off where they wait for the model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar

Worker = asyncio.Task[None]


_here: ContextVar[Worker | None] = ContextVar("worker", default=None)
"""The worker that runs now; asking asyncio for it at every mark costs a twentieth of a request."""


class Mark:
    """The workers that are inside a ``with`` of this mark now."""

    def __init__(self) -> None:
        self.workers: set[Worker | None] = set()

    def __enter__(self) -> None:
        self.workers.add(_here.get())

    def __exit__(self, *error: object) -> None:
        self.workers.discard(_here.get())


class Crew:
    """Tasks that do the same work until there is none; the first exception of one ends all.

    Attributes:
        waiting: marks a wait that a stop ends at once.
        asking: marks a wait for the model, which a stop ends after its grace.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._workers: list[Worker] = []
        self.waiting = Mark()
        self.asking = Mark()

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
        self._cancel(self.waiting.workers)
        asyncio.get_running_loop().call_later(grace, self._cut)

    def leave_if_stopped(self) -> None:
        """Nothing; ends the calling worker after a stop."""
        if self.stopped:
            raise asyncio.CancelledError

    async def _until_stopped(self, work: Callable[[], Awaitable[None]]) -> None:
        _here.set(asyncio.current_task())
        try:
            await work()
        except asyncio.CancelledError:
            if not self.stopped:
                raise

    def _cut(self) -> None:
        self._cancel(self.asking.workers)

    def _cancel(self, workers: Iterable[Worker | None]) -> None:
        current = asyncio.current_task()
        for worker in tuple(workers):
            if worker is not None and worker is not current:
                worker.cancel()
