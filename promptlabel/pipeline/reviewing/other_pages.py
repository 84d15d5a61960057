"""Review pages of other processes on the same store: what they decide is heard of, and traces are leased there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from promptlabel.records import ReviewEvent
from promptlabel.review.queue import LEASE, Holder, ReviewQueue
from promptlabel.store.contract import LeaseRequest, SharedQueue

_ROUNDS: Final = 20
"""How often traces are looked for where other pages have some: the rest is looked for at the next request."""
_GIVEN_WAY: Final = timedelta(seconds=30)
"""How long a trace that another page has is not asked for again."""


class OtherPages:
    """The other pages of a task."""

    def __init__(self, store: SharedQueue, task: str) -> None:
        self._store = store
        self._task = task
        self._heard = 0

    def hear(self) -> Sequence[ReviewEvent]:
        """The events since this was last called, this page's own among them."""
        events, self._heard = self._store.reviews_since(self._task, self._heard)
        return events

    def agreed(
        self,
        take: Callable[[], list[str]],
        queue: ReviewQueue,
        holder: Holder,
        now: datetime,
        have: Sequence[str],
    ) -> list[str]:
        """What the queue gives the holder and no other page has; leases on what the holder `have`s are renewed."""
        agreed: list[str] = []
        for _ in range(_ROUNDS):
            taken = take()
            wanted = {item: queue.seats(item) for item in (*have, *taken) if item in queue}
            asked = LeaseRequest(self._task, holder.reviewer, wanted, len(wanted), LEASE.total_seconds())
            granted = set(self._store.lease(asked))
            agreed = [item for item in taken if item in granted]
            if len(agreed) == len(taken):
                break
            queue.give_way((item for item in taken if item not in granted), holder, now + _GIVEN_WAY)
        return agreed
