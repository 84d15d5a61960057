"""One task's part of the reviewers' desk: its queue, its probes and what was done, over one store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, NamedTuple

from promptlabel.errors import InputError
from promptlabel.pipeline.fitting.tables import known_label
from promptlabel.pipeline.reviewing.lease_file import Lease, LeaseFile
from promptlabel.pipeline.reviewing.other_pages import OtherPages
from promptlabel.pipeline.reviewing.revealing import Opinions, Reveal
from promptlabel.records import Pick, ReviewAction, ReviewEvent, Trace
from promptlabel.review.adjudication import PROBE, Conflict, conflicts, decide
from promptlabel.review.history import History
from promptlabel.review.probes import Chance, Probes, known_labels
from promptlabel.review.queue import LEASE, Holder, ReviewQueue
from promptlabel.routing.sampling import permanent_numbers
from promptlabel.rules.loading import Task
from promptlabel.settings import Review
from promptlabel.store.contract import SharedQueue, Store

Outcome = Literal["stored", "repeated", "superfluous"]


@dataclass(frozen=True, slots=True)
class Submission:
    """What a reviewer did, as their browser sends it; `trace_id` may be None for an undo of whatever was last."""

    event_id: str
    action: ReviewAction
    trace_id: str | None = None
    label: str | None = None
    seconds: float | None = None
    undoes: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a submission: stored now, stored before, or superfluous because it would change nothing.

    Attributes:
        told: wrong suggestions shown earlier, which the reviewer now hears were wrong on purpose.
    """

    event_id: str
    outcome: Outcome
    trace_id: str | None
    told: tuple[WrongSuggestion, ...] = ()


@dataclass(frozen=True, slots=True)
class WrongSuggestion:
    """A label suggested on purpose although another one is known to be right."""

    trace_id: str
    suggested: str
    known: str


@dataclass(frozen=True, slots=True)
class Progress:
    """One reviewer's traces of a task, counted."""

    labelled: int
    skipped: int
    flagged: int
    left: int


class Mixing(NamedTuple):
    """How many people decide a trace and what is mixed in to test them, and what draws where."""

    review: Review
    chance: Chance


class TaskDesk:
    """The queue of one task over one store; may be used from many threads."""

    def __init__(
        self,
        store: Store,
        task: Task,
        clock: Callable[[], datetime],
        mixing: Mixing,
        leases: LeaseFile | None = None,
    ) -> None:
        self._store, self._task, self._clock = store, task, clock
        self._review, self._chance = mixing
        self._leases = leases
        self._lock = threading.Lock()
        self._others = OtherPages(store, task.name) if isinstance(store, SharedQueue) else None
        self._history = History(self._others.hear() if self._others else store.reviews(task.name))
        self._take_queue(store.queue(task.name), Opinions(store, task.name))
        for lease in leases.found if leases else ():
            if lease.task == task.name:
                self._queue.restore(lease.trace_id, lease.holder, lease.until)

    def refresh(self) -> None:
        """Nothing; the queue is the one stored now, and who leases a trace of it leases it still."""
        picks, opinions = self._store.queue(self._task.name), Opinions(self._store, self._task.name)
        with self._lock:
            self._history = History(self._store.reviews(self._task.name))
            queue, probes = self._queue, self._probes
            self._take_queue(picks, opinions)
            self._queue.inherit(queue)
            self._probes.inherit(probes)

    def next_items(self, holder: Holder, count: int, have: Sequence[str]) -> list[Trace]:
        """See `ReviewDesk.next_items`."""
        with self._lock:
            self._hear()
            now = self._clock()
            ids = self._probes.mixed(holder, self._taken(holder, count, now, have), now, have)
        found = {trace.trace_id: trace for trace in self._store.traces(ids)} if ids else {}
        return [found[trace_id] for trace_id in ids]

    def submit(self, reviewer: str, submission: Submission) -> Receipt:
        """See `ReviewDesk.submit`."""
        with self._lock:
            self._hear()
            if submission.event_id in self._history:
                return Receipt(submission.event_id, "repeated", submission.trace_id)
            event = self._event(reviewer, submission)
            if event is None:
                return Receipt(submission.event_id, "superfluous", submission.trace_id)
            new = self._store.add_review(event)
            self._remember(event)
            told = self._told(event)
            self._maybe_suggest(event)
        return Receipt(event.event_id, "stored" if new else "repeated", event.trace_id, told)

    def reveal(self, reviewer: str, trace_id: str) -> Reveal | None:
        """See `ReviewDesk.reveal`."""
        with self._lock:
            own = self._standing(trace_id, reviewer)
            label = own[-1].label if own else None
            known = self._probes.label(reviewer, trace_id)
            suggested = next(
                (one.label for one in self._history.untold(reviewer) if one.trace_id == trace_id), None
            )
        if label is None:
            return None
        reason = self._picks[trace_id].reason if known is None else None
        return self._opinions.reveal(trace_id, label, reason, known, suggested)

    def trace(self, reviewer: str, trace_id: str) -> Trace | None:
        """See `ReviewDesk.trace`."""
        if trace_id not in self._picks and self._probes.label(reviewer, trace_id) is None:
            return None
        return next(iter(self._store.traces([trace_id])), None)

    def progress(self, reviewer: str, tab: str = "") -> Progress:
        """See `ReviewDesk.progress`."""
        with self._lock:
            actions = [
                own[-1].action
                for trace_id in self._history.acted_on(reviewer)
                if (own := self._standing(trace_id, reviewer))
            ]
            left = self._queue.remaining(reviewer)
            left += self._probes.leased(Holder(reviewer, tab), self._clock())
        skipped, flagged = actions.count("skip"), actions.count("flag")
        return Progress(len(actions) - skipped - flagged, skipped, flagged, left)

    def disputed(self, most: int, have: Sequence[str] = ()) -> tuple[list[tuple[Trace, Conflict]], int]:
        """See `ReviewDesk.disputed`."""
        with self._lock:
            open_ones = {conflict.trace_id: conflict for conflict in self._conflicts()}
        wanted = [trace_id for trace_id in open_ones if trace_id not in have][:most]
        traces = {trace.trace_id: trace for trace in self._store.traces(wanted)} if wanted else {}
        return [(traces[trace_id], open_ones[trace_id]) for trace_id in wanted], len(open_ones)

    def _hear(self) -> None:
        """Nothing; what other pages on the same store took is part of the history."""
        for event in self._others.hear() if self._others else ():
            if event.event_id not in self._history:
                self._remember(event)

    def _taken(self, holder: Holder, count: int, now: datetime, have: Sequence[str]) -> list[str]:
        take = partial(self._queue.take, holder, count, now, have)
        taken = self._others.agreed(take, self._queue, holder, now, have) if self._others else take()
        if self._leases:
            kept = (name for name in (*have, *taken) if self._queue.is_open(name))
            self._leases.write([Lease(self._task.name, name, holder, now + LEASE) for name in kept])
        return taken

    def _take_queue(self, picks: Sequence[Pick], opinions: Opinions) -> None:
        name, events = self._task.name, self._history.events
        gold = self._store.gold(name)
        self._picks = {pick.trace_id: pick for pick in picks}
        self._opinions = opinions
        self._queue = ReviewQueue(
            _to_review(self._picks, {label.trace_id for label in gold}, events),
            reviewers_per_item=self._review.reviewers,
            shared=_shared(self._picks, name, self._review),
        )
        for event in events:
            if event.lane != PROBE:
                self._queue.apply(event)
        known = known_labels(decide(events, gold))
        self._probes = Probes(known, self._queue, events, self._review.probes, self._chance)

    def _standing(self, trace_id: str, reviewer: str) -> Sequence[ReviewEvent]:
        is_probe = self._probes.label(reviewer, trace_id) is not None
        return (self._probes if is_probe else self._queue).standing(trace_id, reviewer)

    def _event(self, reviewer: str, submission: Submission) -> ReviewEvent | None:
        """The event to store, or None where the submission would change nothing."""
        is_undo = submission.action == "undo"
        undone = self._history.undoable(reviewer, submission.undoes) if is_undo else None
        trace_id = undone.trace_id if undone else submission.trace_id
        if is_undo and undone is None:
            return None
        lane, probability = self._lane(reviewer, trace_id)
        if trace_id is None or not self._changes_something(reviewer, trace_id, submission):
            return None
        return ReviewEvent(
            event_id=submission.event_id,
            trace_id=trace_id,
            task=self._task.name,
            reviewer=reviewer,
            action=submission.action,
            at=self._clock(),
            label=self._label(submission),
            blind=submission.action != "change" and not self._history.is_informed(reviewer, trace_id),
            seconds=submission.seconds,
            lane=lane,
            probability=probability,
            undoes=undone.event_id if undone else None,
        )

    def _lane(self, reviewer: str, trace_id: str | None) -> tuple[str, float | None]:
        """The lane that asked this reviewer about the trace, and the trace's inclusion probability."""
        if self._probes.label(reviewer, trace_id) is not None:
            return PROBE, None
        pick = self._picks.get(trace_id or "")
        if pick is None:
            raise InputError(f"trace {trace_id} is not in the queue of task {self._task.name}")
        return pick.lane, pick.probability

    def _label(self, submission: Submission) -> str | None:
        if submission.action not in ("label", "change", "adjudicate"):
            return None
        label = known_label(self._task, submission.label or "")
        if label is None:
            raise InputError(f"task {self._task.name} has no label {submission.label}")
        return label

    def _changes_something(self, reviewer: str, trace_id: str, submission: Submission) -> bool:
        own = self._standing(trace_id, reviewer)
        if submission.action == "undo":
            return bool(own)
        if submission.action == "adjudicate":
            return any(conflict.trace_id == trace_id for conflict in self._conflicts())
        if submission.action == "change":
            return bool(own) and own[-1].label not in (None, submission.label)
        return not own

    def _conflicts(self) -> tuple[Conflict, ...]:
        found = conflicts(self._history.events, self._store.gold(self._task.name))
        return tuple(conflict for conflict in found if conflict.trace_id in self._picks)

    def _remember(self, event: ReviewEvent) -> None:
        self._history.add(event)
        self._probes.apply(event)
        if event.lane != PROBE:
            self._queue.apply(event)

    def _maybe_suggest(self, event: ReviewEvent) -> None:
        """Nothing; by chance, after a right decision on a probe, the reviewer will see a wrong suggestion."""
        known = self._probes.label(event.reviewer, event.trace_id)
        if (
            event.action != "label"
            or not event.blind
            or known != event.label
            or self._review.suggestions == 0
        ):
            return
        wrong = self._opinions.wrong_label(event.trace_id, known) if known is not None else None
        if wrong is not None and self._chance() < self._review.suggestions / self._review.probes:
            self._show(event, "suggest", wrong, f"{event.event_id}/suggestion", None)

    def _told(self, event: ReviewEvent) -> tuple[WrongSuggestion, ...]:
        """The wrong suggestions that the reviewer has followed or left behind, and hears of now."""
        told = [
            one
            for one in self._history.untold(event.reviewer)
            if one.trace_id != event.trace_id or event.action == "change"
        ]
        for one in told:
            self._show(one, "told", None, f"{one.event_id}/told", one.event_id)
        return tuple(
            WrongSuggestion(
                one.trace_id, one.label or "", self._probes.label(one.reviewer, one.trace_id) or ""
            )
            for one in told
        )

    def _show(
        self, about: ReviewEvent, action: ReviewAction, label: str | None, event_id: str, undoes: str | None
    ) -> None:
        event = ReviewEvent(
            event_id=event_id,
            trace_id=about.trace_id,
            task=self._task.name,
            reviewer=about.reviewer,
            action=action,
            at=self._clock(),
            label=label,
            blind=False,
            lane=PROBE,
            undoes=undoes,
        )
        self._store.add_review(event)
        self._history.add(event)


def _to_review(picks: Mapping[str, Pick], gold: set[str], events: Sequence[ReviewEvent]) -> list[str]:
    """The queued traces, but for those that have a label from elsewhere and were never shown for review here."""
    elsewhere = gold - {event.trace_id for event in events if event.lane != PROBE}
    return [trace_id for trace_id in picks if trace_id not in elsewhere]


def _shared(picks: Mapping[str, Pick], task: str, review: Review) -> frozenset[str] | None:
    """The traces that several people review: drawn by chance, the same in every run; None where all are."""
    if review.share >= 1:
        return None
    numbers = permanent_numbers(list(picks), f"reviewers of {task}")
    chosen = (numbers < review.share).tolist()
    return frozenset(trace_id for trace_id, taken in zip(picks, chosen, strict=True) if taken)
