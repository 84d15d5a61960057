"""Writes votes in groups from a thread, while the event loop goes on asking."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from promptlabel.pipeline.progress import Progress
from promptlabel.records import Attempt, Status, Vote
from promptlabel.store.contract import Store

_COMPANY: Final = 0.005
"""Seconds that the first vote of a group waits for others: one fsync then serves them all."""

_MOST_WAITING: Final = 4096
"""Votes in line that cost nothing and can be cast again."""

PAID_IN_LINE: Final = 64
"""Paid answers in line, at most: a process that is killed loses these and what is in flight, and no more."""


class VoteWriter:
    """Votes in line for the store, at most `paid` of them paid for; `counts` says how many of each status were put."""

    def __init__(self, store: Store, progress: Progress, paid: int = PAID_IN_LINE) -> None:
        self.counts: dict[Status, int] = {"vote": 0, "abstain": 0, "malformed": 0, "error": 0}
        self._store = store
        self._progress = progress
        self._most_paid = paid
        self._votes: list[Vote] = []
        self._attempts: list[Attempt] = []
        self._flushing: asyncio.Task[None] | None = None

    async def put(self, vote: Vote | None, attempts: Sequence[Attempt] = ()) -> None:
        """Nothing, once vote and attempts are in line; waits while the store is far behind.

        Raises:
            StoreError: the store could not take what was put before.
        """
        self._attempts.extend(attempts)
        if vote is not None:
            self._votes.append(vote)
            self.counts[vote.status] += 1
            self._progress.cast(vote, sum(attempt.usd for attempt in attempts))
        if self._flushing is None or self._flushing.done():
            self._flush_soon()
        elif len(self._votes) > _MOST_WAITING or len(self._attempts) >= self._most_paid:
            await self._flushing

    async def close(self) -> None:
        """Nothing, once everything that was put is durable."""
        if self._flushing:
            await self._flushing
        await self._flush()

    def _flush_soon(self) -> None:
        if self._flushing:
            self._flushing.result()
        self._flushing = asyncio.create_task(self._flush_in_company())

    async def _flush_in_company(self) -> None:
        while self._votes or self._attempts:
            await asyncio.sleep(_COMPANY)
            await self._flush()

    async def _flush(self) -> None:
        votes, self._votes = self._votes, []
        attempts, self._attempts = self._attempts, []
        if votes or attempts:
            await asyncio.to_thread(self._store.add_votes, votes, attempts)
