"""Who may see which trace now: a deterministic state machine of leases and review events, without I/O."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from promptlabel.records import ReviewEvent
from promptlabel.review.adjudication import SHOWN, take_back

LEASE = timedelta(minutes=10)
_ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who leases items: a reviewer, in one of their browser tabs."""

    reviewer: str
    tab: str = ""


@dataclass(frozen=True, slots=True)
class _Lease:
    holder: Holder
    until: datetime


class ReviewQueue:
    """The review queue of one task.

    An item is open to a reviewer who has not acted on it, while nobody has flagged it and fewer than
    its number of reviewers have labelled or lease it. All times are arguments, so that the same
    calls give the same state.

    Args:
        items: in the order in which they are handed out.
        reviewers_per_item: how many people label an item.
        shared: the items that so many people label, all others having one; all items where it is None.
        lease: how long an item is kept for whoever has it.
    """

    def __init__(
        self,
        items: Iterable[str],
        *,
        reviewers_per_item: int = 1,
        shared: Container[str] | None = None,
        lease: timedelta = LEASE,
    ) -> None:
        self._items = list(dict.fromkeys(items))
        self._position = {item: index for index, item in enumerate(self._items)}
        self._reviewers_per_item = reviewers_per_item
        self._shared = shared
        self._lease = lease
        self._leases: dict[str, dict[str, _Lease]] = {}
        self._events: dict[str, dict[str, list[ReviewEvent]]] = {}
        self._acted: dict[str, set[str]] = {}
        self._excluded: dict[str, set[str]] = {}
        self._closed: set[str] = set()
        self._start: dict[str, int] = {}

    def __contains__(self, item: object) -> bool:
        return item in self._position

    def __len__(self) -> int:
        return len(self._items)

    def take(self, holder: Holder, count: int, now: datetime, have: Sequence[str] = ()) -> list[str]:
        """Up to `count` items to review next, leased to the holder; leases on what it `have`s are renewed.

        First come items this tab leases already, then free ones in queue order. Only when there are none
        come those that another tab of the same reviewer leases: that tab may be gone.
        """
        self._expire(now)
        for item in have:
            if item in self._position and self._is_open(item, holder.reviewer):
                self._grant(item, holder, now)
        known = set(have)
        items = list(islice(self._available(holder, known, self._is_free_for_tab), count))
        if not items and not have:
            items = list(islice(self._available(holder, known, self._is_free_for_reviewer), count))
        for item in items:
            self._grant(item, holder, now)
        return items

    def is_open(self, item: str) -> bool:
        """Whether somebody may still be asked about the item."""
        return item in self._position and item not in self._closed

    def give_way(self, items: Iterable[str], holder: Holder, until: datetime) -> None:
        """Nothing; others than this queue knows have these items, and nobody here is asked about them until then."""
        for item in items:
            leases = self._leases.setdefault(item, {})
            leases.pop(holder.reviewer, None)
            leases |= {f"{_ELSEWHERE} {seat}": _Lease(Holder(""), until) for seat in range(self.seats(item))}

    def restore(self, item: str, holder: Holder, until: datetime) -> None:
        """Nothing; the holder leases the item until then, as before this queue was made."""
        if self.is_open(item):
            self._leases.setdefault(item, {})[holder.reviewer] = _Lease(holder, until)

    def held(self, holder: Holder, now: datetime) -> list[str]:
        """The items that the holder leases, in queue order."""
        self._expire(now)
        leased = [item for item, leases in self._leases.items() if holder.reviewer in leases]
        return self._in_order(item for item in leased if self._is_free_for_tab(item, holder))

    def inherit(self, former: ReviewQueue) -> None:
        """Nothing; who leases an item of the former queue, which this one takes the place of, leases it still."""
        self._leases = {item: held for item, held in former._leases.items() if item in self._position}

    def exclude(self, item: str, reviewer: str) -> None:
        """Nothing; the reviewer is never asked about the item."""
        self._excluded.setdefault(reviewer, set()).add(item)

    def apply(self, event: ReviewEvent) -> None:
        """Nothing; the event is part of the state from now on. Events of unknown items change nothing."""
        if event.trace_id not in self._position or event.action in SHOWN:
            return
        own = self._events.setdefault(event.trace_id, {}).setdefault(event.reviewer, [])
        if event.action == "undo":
            take_back(own, event.undoes)
        else:
            own.append(event)
        self._leases.get(event.trace_id, {}).pop(event.reviewer, None)
        self._update(event.trace_id, event.reviewer)

    def standing(self, item: str, reviewer: str) -> Sequence[ReviewEvent]:
        """The reviewer's events on the item that no undo took back, oldest first."""
        return self._events.get(item, {}).get(reviewer, ())

    def remaining(self, reviewer: str) -> int:
        """The number of items the reviewer could still be asked about, leased ones included."""
        acted = self._acted.get(reviewer, set())
        return len(self._items) - len(self._closed) - len(acted - self._closed)

    def _available(
        self, holder: Holder, known: set[str], free: Callable[[str, Holder], bool]
    ) -> Iterator[str]:
        leased = [item for item, leases in self._leases.items() if holder.reviewer in leases]
        mine = self._in_order(item for item in leased if free(item, holder))
        yield from (item for item in mine if item not in known)
        yield from (
            item
            for item in self._open_items(holder.reviewer)
            if item not in known and item not in leased and self._has_room(item, holder.reviewer)
        )

    def _in_order(self, items: Iterable[str]) -> list[str]:
        return sorted(items, key=self._position.__getitem__)

    def _open_items(self, reviewer: str) -> Iterator[str]:
        """Open items in order; what lies before the first of them is not looked at again."""
        start, moving = self._start.get(reviewer, 0), True
        for index in range(start, len(self._items)):
            item = self._items[index]
            if self._is_open(item, reviewer):
                moving = False
                yield item
            elif moving:
                self._start[reviewer] = index + 1

    def _is_open(self, item: str, reviewer: str) -> bool:
        done = item in self._closed or item in self._acted.get(reviewer, ())
        return not done and item not in self._excluded.get(reviewer, ())

    def seats(self, item: str) -> int:
        """How many people label the item."""
        return self._reviewers_per_item if self._shared is None or item in self._shared else 1

    def _has_room(self, item: str, reviewer: str) -> bool:
        leases = self._leases.get(item, {})
        others = sum(1 for other in leases if other != reviewer)
        return self._labelled(item) + others < self.seats(item)

    def _is_free_for_tab(self, item: str, holder: Holder) -> bool:
        return self._leases[item][holder.reviewer].holder == holder

    def _is_free_for_reviewer(self, item: str, holder: Holder) -> bool:
        return holder.reviewer in self._leases[item]

    def _labelled(self, item: str) -> int:
        given = self._events.get(item, {}).values()
        return sum(1 for own in given if own and own[-1].label is not None)

    def _grant(self, item: str, holder: Holder, now: datetime) -> None:
        if self._has_room(item, holder.reviewer):
            self._leases.setdefault(item, {})[holder.reviewer] = _Lease(holder, now + self._lease)

    def _expire(self, now: datetime) -> None:
        for item in list(self._leases):
            held = {who: lease for who, lease in self._leases[item].items() if lease.until > now}
            if held:
                self._leases[item] = held
            else:
                del self._leases[item]

    def _update(self, item: str, reviewer: str) -> None:
        acted = self._acted.setdefault(reviewer, set())
        (acted.add if self._events[item][reviewer] else acted.discard)(item)
        if self._is_finished(item):
            self._closed.add(item)
        else:
            self._closed.discard(item)
            self._reopen(item)

    def _is_finished(self, item: str) -> bool:
        flagged = any(own and own[-1].action == "flag" for own in self._events[item].values())
        return flagged or self._labelled(item) >= self.seats(item)

    def _reopen(self, item: str) -> None:
        position = self._position[item]
        for reviewer, start in self._start.items():
            self._start[reviewer] = min(start, position)
