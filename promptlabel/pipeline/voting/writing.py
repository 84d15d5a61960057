"""Hands votes to the store, and tells whoever watches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from promptlabel.pipeline.voting.progress import Progress
from promptlabel.records import Attempt, Status, Vote
from promptlabel.store.connection import Row
from promptlabel.store.contract import Store
from promptlabel.store.rows import statuses


class VoteWriter:
    """Takes votes as they are cast; `counts` says how many of each status."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self.counts: dict[Status, int] = {"vote": 0, "abstain": 0, "malformed": 0, "error": 0}
        self._store = store
        self.progress = progress
        self._votes: list[Vote] = []
        self._attempts: list[Attempt] = []
        self._written: asyncio.Future[None] | None = None

    def write(self, votes: Sequence[Vote]) -> None:
        """Nothing; votes that cost nothing are with the store, and outlive this process.

        Raises:
            StoreError: the store cannot take them, or could not take what was written before.
        """
        self._store.add_votes(votes)
        for vote in votes:
            self._count(vote)

    def write_packed(self, packed: Sequence[Row]) -> None:
        """As `write`, of votes that another process has packed."""
        self._store.add_packed_votes(packed)
        self.written_elsewhere(statuses(packed))

    def written_elsewhere(self, counts: Mapping[Status, int]) -> None:
        """Nothing; these votes of code rules are with the store already."""
        for status, count in counts.items():
            self.counts[status] += count
        self.progress.cast_elsewhere(sum(counts.values()))

    async def put(self, vote: Vote | None, attempts: Sequence[Attempt] = ()) -> None:
        """As `write`, together with whatever else is put before the event loop comes round.

        The caller goes on when it is written, so that no more is ever at stake than is in flight.
        """
        self._attempts.extend(attempts)
        if vote is not None:
            self._votes.append(vote)
            self._count(vote)
        if self._written is None:
            loop = asyncio.get_running_loop()
            self._written = loop.create_future()
            loop.call_soon(self._write_all, self._written)
        await self._written

    def settle(self) -> None:
        """Nothing, once everything that was written is on the disk."""
        self._store.settle()

    def _count(self, vote: Vote) -> None:
        self.counts[vote.status] += 1
        self.progress.cast(vote)

    def _write_all(self, written: asyncio.Future[None]) -> None:
        votes, attempts = self._votes, self._attempts
        self._votes, self._attempts, self._written = [], [], None
        try:
            self._store.add_votes(votes, attempts)
        except Exception as error:  # noqa: BLE001 - it is raised to everybody who waits
            if not written.done():
                written.set_exception(error)
        else:
            if not written.done():
                written.set_result(None)


class CommittedVoteWriter(VoteWriter):
    """Tells its callers to go on only when the store has what they put, so that this machine may be lost with its disk."""

    async def put(self, vote: Vote | None, attempts: Sequence[Attempt] = ()) -> None:
        """See `VoteWriter.put`."""
        await super().put(vote, attempts)
        await asyncio.to_thread(self.settle)
