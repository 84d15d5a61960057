"""How far a frozen set trails production, and the reviews that would close the distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from promptlabel.flywheel.drift import Freshness, freshness, within
from promptlabel.flywheel.refresh import Refresh, propose_refresh
from promptlabel.flywheel.topics import Topics, topics_of
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Pick, Trace
from promptlabel.routing.lanes import REFRESH
from promptlabel.routing.sampling import permanent_numbers
from promptlabel.rules.loading import Task

SAMPLE: Final = 4_000
"""Recent traces, and as many earlier ones, that a set is compared with; a random sample where there are more."""
SEED: Final = 0
"""Null distributions are drawn by the same numbers every time, so that a store gives the same figures twice."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A set's traces beside a sample of production, and the topics of both."""

    cases: tuple[Trace, ...]
    production: tuple[Trace, ...]
    topics: Topics | None
    window: timedelta

    @property
    def freshness(self) -> Freshness:
        """How far the set trails production."""
        return freshness(self.cases, self.production, np.random.default_rng(SEED), self.topics, self.window)

    @property
    def recent(self) -> list[Trace]:
        """The sampled traces within the window."""
        newest = max((trace.timestamp for trace in self.production if trace.timestamp), default=None)
        return [trace for trace in self.production if within(trace, newest, self.window)]


def beside_production(workspace: Workspace, cases: Sequence[Trace]) -> Beside:
    """The set beside a random sample of recent and of earlier traces."""
    window = timedelta(days=workspace.project.settings.evals.window_days)
    moments = {trace.trace_id: trace.timestamp for trace in workspace.store.traces()}
    newest = max((moment for moment in moments.values() if moment), default=None)
    recent = [
        name for name, moment in moments.items() if newest is None or (moment and moment > newest - window)
    ]
    earlier = list(moments.keys() - set(recent))
    chosen = [*_sample(recent), *_sample(sorted(earlier))]
    production = tuple(workspace.store.traces(chosen))
    return Beside(tuple(cases), production, topics_of([*cases, *production]), window)


def refresh(workspace: Workspace, task: Task, beside: Beside, reviews: int) -> Refresh:
    """The recent traces whose review closes the distance fastest; nobody has decided them yet."""
    store = workspace.store
    decided = {event.trace_id for event in store.reviews(task.name)} | {
        one.trace_id for one in store.gold(task.name)
    }
    recent = beside.recent
    undecided = [trace for trace in recent if trace.trace_id not in decided]
    return propose_refresh(
        beside.cases, recent, undecided, reviews, beside.topics, np.random.default_rng(SEED)
    )


def put_refresh_into_queue(workspace: Workspace, task: Task, proposed: Refresh) -> int:
    """The number of proposed traces that now wait in the queue's lane `refresh`, beside what waits already."""
    waiting = workspace.store.queue(task.name, undecided=True)
    known = {pick.trace_id for pick in waiting}
    picks = [
        Pick(name, task.name, REFRESH, 1.0, probability, "recent traffic that the eval set lacks")
        for name, probability in zip(proposed.trace_ids, proposed.probability, strict=True)
        if name not in known
    ]
    workspace.store.save_queue(task.name, [*picks, *waiting])
    return len(picks)


def _sample(names: Sequence[str]) -> list[str]:
    numbers = permanent_numbers(names, "freshness")
    return [names[row] for row in np.argsort(numbers, kind="stable")[:SAMPLE].tolist()]
