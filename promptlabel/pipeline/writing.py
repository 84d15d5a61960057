"""Hands votes to the store, and tells whoever watches."""

from __future__ import annotations

from collections.abc import Sequence

from promptlabel.pipeline.progress import Progress
from promptlabel.records import Attempt, Status, Vote
from promptlabel.store.contract import Store


class VoteWriter:
    """Takes votes as they are cast; `counts` says how many of each status."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self.counts: dict[Status, int] = {"vote": 0, "abstain": 0, "malformed": 0, "error": 0}
        self._store = store
        self.progress = progress

    def put(self, votes: Sequence[Vote], attempts: Sequence[Attempt] = ()) -> None:
        """Nothing; votes and attempts are with the store, and outlive this process.

        Raises:
            StoreError: the store cannot take them, or could not take what was put before.
        """
        self._store.add_votes(votes, attempts)
        for vote in votes:
            self.counts[vote.status] += 1
            self.progress.cast(vote)
