"""The reviewers' desk: hands out traces blind, stores what people decide, and only then shows what the rules say."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from promptlabel.pipeline.reviewing.lease_file import NAME, LeaseFile
from promptlabel.pipeline.reviewing.revealing import Reveal
from promptlabel.pipeline.reviewing.task_desk import Mixing, Progress, Receipt, Submission, TaskDesk
from promptlabel.records import Trace
from promptlabel.review.adjudication import Conflict
from promptlabel.review.probes import Chance
from promptlabel.review.queue import Holder
from promptlabel.rules.loading import Task
from promptlabel.settings import Review
from promptlabel.store.contract import Store

_CHANCE: Final[Chance] = random.SystemRandom().random


class ReviewDesk:
    """The review queues of several tasks over one store; may be used from many threads.

    Args:
        store: where queue, votes and decisions are.
        tasks: what is reviewed.
        clock: the time now.
        review: how many people decide a trace, and what is mixed in to test them.
        chance: draws where that is mixed in.
        folder: where leases are kept, so that they outlive a kill; without one they are forgotten.
    """

    def __init__(
        self,
        store: Store,
        tasks: Sequence[Task],
        clock: Callable[[], datetime],
        *,
        review: Review = Review(),  # noqa: B008 - frozen
        chance: Chance = _CHANCE,
        folder: Path | None = None,
    ) -> None:
        self.tasks = {task.name: task for task in tasks}
        mixing, leases = Mixing(review, chance), LeaseFile(folder / NAME, clock()) if folder else None
        self._desks = {task.name: TaskDesk(store, task, clock, mixing, leases) for task in tasks}

    def refresh(self, task: str) -> None:
        """Nothing; the task's queue is the one stored now."""
        if task in self._desks:
            self._desks[task].refresh()

    def next_items(self, task: str, holder: Holder, count: int, have: Sequence[str] = ()) -> list[Trace]:
        """Up to `count` traces for the holder to review next, beside those they `have`, and probes between them."""
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

    def trace(self, task: str, reviewer: str, trace_id: str) -> Trace | None:
        """The trace of that id, where this reviewer may be asked about it, or None."""
        return self._desks[task].trace(reviewer, trace_id)

    def progress(self, task: str, reviewer: str, tab: str = "") -> Progress:
        """How far the reviewer is."""
        return self._desks[task].progress(reviewer, tab)

    def disputed(
        self, task: str, most: int, have: Sequence[str] = ()
    ) -> tuple[list[tuple[Trace, Conflict]], int]:
        """Traces on which reviewers differ with what each said, beside those the page has, and how many there are."""
        return self._desks[task].disputed(most, have)
