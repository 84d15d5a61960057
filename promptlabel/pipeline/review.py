"""The reviewers' desk: hands out traces blind, stores what people decide, and only then shows what the rules say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from promptlabel.errors import InputError
from promptlabel.records import Pick, ReviewAction, ReviewEvent, Trace
from promptlabel.review.queue import Holder, ReviewQueue
from promptlabel.rules.loading import Task
from promptlabel.store.contract import Store

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
    """What became of a submission: stored now, stored before, or superfluous because it would change nothing."""

    event_id: str
    outcome: Outcome
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class RuleOpinion:
    """What one rule says of a trace."""

    rule: str
    kind: str
    model: str
    status: str
    label: str | None
    confidence: float | None
    rationale: str | None


@dataclass(frozen=True, slots=True)
class Reveal:
    """What a reviewer sees of a trace once they have decided it; `posterior` is None before the first fit."""

    trace_id: str
    label: str
    votes: tuple[RuleOpinion, ...]
    posterior: Mapping[str, float] | None
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """One reviewer's traces of a task, counted."""

    labelled: int
    skipped: int
    flagged: int
    left: int


class ReviewDesk:
    """The review queues of several tasks over one store; may be used from many threads."""

    def __init__(
        self,
        store: Store,
        tasks: Sequence[Task],
        clock: Callable[[], datetime],
        *,
        reviewers_per_item: int = 1,
    ) -> None:
        self.tasks = {task.name: task for task in tasks}
        self._desks = {task.name: _TaskDesk(store, task, clock, reviewers_per_item) for task in tasks}

    def next_items(self, task: str, holder: Holder, count: int, have: Sequence[str] = ()) -> list[Trace]:
        """Up to `count` traces for the holder to review next, beside those they `have`."""
        return self._desks[task].next_items(holder, count, have)

    def submit(self, task: str, reviewer: str, submission: Submission) -> Receipt:
        """What became of the submission; it is durable when this returns.

        Raises:
            InputError: when the trace is not in the queue or the label is not one of the task's.
        """
        return self._desks[task].submit(reviewer, submission)

    def reveal(self, task: str, reviewer: str, trace_id: str) -> Reveal | None:
        """What the rules say of the trace; None unless this reviewer's own label stands."""
        return self._desks[task].reveal(reviewer, trace_id)

    def trace(self, task: str, trace_id: str) -> Trace | None:
        """The queued trace of that id, or None."""
        return self._desks[task].trace(trace_id)

    def progress(self, task: str, reviewer: str) -> Progress:
        """How far the reviewer is."""
        return self._desks[task].progress(reviewer)


class _TaskDesk:
    def __init__(
        self, store: Store, task: Task, clock: Callable[[], datetime], reviewers_per_item: int
    ) -> None:
        self._store, self._task, self._clock = store, task, clock
        self._lock = threading.Lock()
        self._picks: dict[str, Pick] = {pick.trace_id: pick for pick in store.queue(task.name)}
        events = store.reviews(task.name)
        self._queue = ReviewQueue(
            _to_review(store, task.name, self._picks, events), reviewers_per_item=reviewers_per_item
        )
        self._posteriors = _posteriors_of(store, task.name, self._picks)
        self._known: set[str] = set()
        self._informed: set[tuple[str, str]] = set()
        self._history: dict[str, dict[str, ReviewEvent]] = {}
        for event in events:
            self._remember(event)

    def next_items(self, holder: Holder, count: int, have: Sequence[str]) -> list[Trace]:
        with self._lock:
            ids = self._queue.take(holder, count, self._clock(), have)
        found = {trace.trace_id: trace for trace in self._store.traces(ids)} if ids else {}
        return [found[trace_id] for trace_id in ids]

    def submit(self, reviewer: str, submission: Submission) -> Receipt:
        with self._lock:
            if submission.event_id in self._known:
                return Receipt(submission.event_id, "repeated", submission.trace_id)
            event = self._event(reviewer, submission)
            if event is None:
                return Receipt(submission.event_id, "superfluous", submission.trace_id)
            new = self._store.add_review(event)
            self._remember(event)
        return Receipt(event.event_id, "stored" if new else "repeated", event.trace_id)

    def reveal(self, reviewer: str, trace_id: str) -> Reveal | None:
        with self._lock:
            own = self._queue.standing(trace_id, reviewer)
            label = own[-1].label if own else None
        if label is None:
            return None
        votes = self._store.votes(self._task.name, trace_ids=[trace_id])
        return Reveal(
            trace_id=trace_id,
            label=label,
            votes=tuple(
                RuleOpinion(r.rule, r.kind, r.model, v.status, v.label, v.confidence, v.rationale)
                for r, v in votes
            ),
            posterior=self._posteriors.get(trace_id),
            reason=self._picks[trace_id].reason,
        )

    def trace(self, trace_id: str) -> Trace | None:
        if trace_id not in self._picks:
            return None
        return next(iter(self._store.traces([trace_id])), None)

    def progress(self, reviewer: str) -> Progress:
        with self._lock:
            actions = [
                own[-1].action
                for trace_id in {event.trace_id for event in self._history.get(reviewer, {}).values()}
                if (own := self._queue.standing(trace_id, reviewer))
            ]
            left = self._queue.remaining(reviewer)
        skipped, flagged = actions.count("skip"), actions.count("flag")
        return Progress(len(actions) - skipped - flagged, skipped, flagged, left)

    def _event(self, reviewer: str, submission: Submission) -> ReviewEvent | None:
        """The event to store, or None where the submission would change nothing."""
        undone = self._undone(reviewer, submission) if submission.action == "undo" else None
        trace_id = undone.trace_id if undone else submission.trace_id
        if submission.action == "undo" and undone is None:
            return None
        pick = self._picks.get(trace_id or "")
        if pick is None:
            raise InputError(f"trace {trace_id} is not in the queue of task {self._task.name}")
        if not self._changes_something(reviewer, pick.trace_id, submission):
            return None
        return ReviewEvent(
            event_id=submission.event_id,
            trace_id=pick.trace_id,
            task=self._task.name,
            reviewer=reviewer,
            action=submission.action,
            at=self._clock(),
            label=self._label(submission),
            blind=submission.action != "change" and (reviewer, pick.trace_id) not in self._informed,
            seconds=submission.seconds,
            lane=pick.lane,
            probability=pick.probability,
            undoes=undone.event_id if undone else None,
        )

    def _label(self, submission: Submission) -> str | None:
        if submission.action not in ("label", "change"):
            return None
        if submission.label not in self._task.labels:
            raise InputError(f"task {self._task.name} has no label {submission.label}")
        return submission.label

    def _changes_something(self, reviewer: str, trace_id: str, submission: Submission) -> bool:
        own = self._queue.standing(trace_id, reviewer)
        if submission.action == "undo":
            return bool(own)
        if submission.action == "change":
            return bool(own) and own[-1].label not in (None, submission.label)
        return not own

    def _undone(self, reviewer: str, submission: Submission) -> ReviewEvent | None:
        """The event that an undo takes back: the named one, or the reviewer's last that stands."""
        history = self._history.get(reviewer, {})
        if submission.undoes is not None:
            return history.get(submission.undoes)
        return next(reversed(history.values()), None)

    def _remember(self, event: ReviewEvent) -> None:
        self._known.add(event.event_id)
        self._queue.apply(event)
        history = self._history.setdefault(event.reviewer, {})
        if event.action == "undo":
            history.pop(event.undoes or "", None)
        else:
            history[event.event_id] = event
        if event.label is not None:
            self._informed.add((event.reviewer, event.trace_id))


def _to_review(
    store: Store, task: str, picks: Mapping[str, Pick], events: Sequence[ReviewEvent]
) -> list[str]:
    """The queued traces, but for those that have a label from elsewhere and were never shown here."""
    elsewhere = {gold.trace_id for gold in store.gold(task)} - {event.trace_id for event in events}
    return [trace_id for trace_id in picks if trace_id not in elsewhere]


def _posteriors_of(store: Store, task: str, trace_ids: Mapping[str, Pick]) -> dict[str, dict[str, float]]:
    table = store.posteriors(task)
    if table is None:
        return {}
    return {
        trace_id: dict(zip(table.labels, probs.tolist(), strict=True))
        for trace_id, probs in zip(table.trace_ids, table.probs, strict=True)
        if trace_id in trace_ids
    }
