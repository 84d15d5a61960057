"""Traces whose label is known, mixed unmarked into what reviewers get, and suggestions that are wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from promptlabel.records import ReviewEvent
from promptlabel.review.adjudication import PROBE, Decision
from promptlabel.review.queue import Holder, ReviewQueue

Chance = Callable[[], float]
"""A random number in 0..1, a new one each time."""

_ANYBODY: Final = 1_000_000


def known_labels(decisions: Iterable[Decision]) -> dict[str, Decision]:
    """The decisions that may test others: blind, and of a second person, an adjudicator or gold that was brought."""
    return {
        decision.trace_id: decision
        for decision in decisions
        if decision.blind
        and (len(decision.reviewers) > 1 or decision.adjudicator is not None or decision.lane is None)
    }


class Probes:
    """The probes of one task: whoever has not labelled such a trace may get it, unmarked, once.

    Args:
        known: what people agree on, by trace id; in the order in which they are handed out.
        review: the review queue; what is still open there is no probe.
        events: what was done so far; who has done anything about a trace does not get it as a probe.
        share: how many of the traces a reviewer gets are probes.
        chance: decides which.
    """

    def __init__(
        self,
        known: Mapping[str, Decision],
        review: ReviewQueue,
        events: Iterable[ReviewEvent],
        share: float,
        chance: Chance,
    ) -> None:
        closed = {name: one for name, one in known.items() if not review.is_open(name)}
        self._known = closed if share else {}
        self._review, self._share, self._chance = review, share, chance
        self._given: set[tuple[str, str]] = set()
        self._queue = ReviewQueue(self._known, reviewers_per_item=_ANYBODY)
        self._real: set[tuple[str, str]] = set()
        for decision in self._known.values():
            for reviewer in decision.reviewers:
                self._exclude(reviewer, decision.trace_id)
        for event in events:
            self.apply(event)

    def label(self, reviewer: str, trace_id: str | None) -> str | None:
        """The known label, where the trace is a probe for this reviewer, else None.

        A trace that an undo has opened for review again is a probe only for those who had it as one.
        """
        decision = self._known.get(trace_id or "")
        if decision is None or (reviewer, decision.trace_id) in self._real:
            return None
        is_given = (reviewer, decision.trace_id) in self._given
        return decision.label if is_given or not self._review.is_open(decision.trace_id) else None

    def mixed(self, holder: Holder, items: Sequence[str], now: datetime, have: Sequence[str]) -> list[str]:
        """The items and, at places that chance chooses, probes leased to the holder.

        What this tab leases already comes again, however few items there are; new ones come for items alone.
        """
        leased = self._queue.held(holder, now)
        fresh = sum(self._chance() < self._share for _ in items)
        probes = self._queue.take(holder, fresh, now, [*have, *leased])
        mixed = list(items)
        self._given.update((holder.reviewer, probe) for probe in probes)
        for probe in [*(probe for probe in leased if probe not in have), *probes]:
            mixed.insert(int(self._chance() * (len(mixed) + 1)), probe)
        return mixed

    def leased(self, holder: Holder, now: datetime) -> int:
        """How many probes the holder has and has not decided."""
        return len(self._queue.held(holder, now))

    def standing(self, trace_id: str, reviewer: str) -> Sequence[ReviewEvent]:
        """The reviewer's events on the probe that no undo took back, oldest first."""
        return self._queue.standing(trace_id, reviewer)

    def inherit(self, former: Probes) -> None:
        """Nothing; leases on the former probes that are still some go on."""
        self._queue.inherit(former._queue)
        self._given |= former._given

    def apply(self, event: ReviewEvent) -> None:
        """Nothing; the event has happened."""
        if event.lane == PROBE:
            self._given.add((event.reviewer, event.trace_id))
            self._queue.apply(event)
        else:
            self._exclude(event.reviewer, event.trace_id)

    def _exclude(self, reviewer: str, trace_id: str) -> None:
        self._real.add((reviewer, trace_id))
        self._queue.exclude(trace_id, reviewer)


def wrong_suggestion(posterior: Mapping[str, float], known: str) -> str:
    """The label to suggest instead of the known one: the likeliest of the others, so that it is worth a thought."""
    return max((label for label in posterior if label != known), key=posterior.__getitem__)
