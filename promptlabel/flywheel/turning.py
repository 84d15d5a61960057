"""How well the wheel turns: from production into evals and training, and how fast people keep up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from promptlabel.evals.intervals import Z95, Estimate, wilson
from promptlabel.evals.periods import month
from promptlabel.evals.versions import EvalVersion
from promptlabel.records import Pick, Trace
from promptlabel.routing.lanes import CONFLICT, NEW, RARE, UNCERTAIN

EDGES: Final = (UNCERTAIN, CONFLICT, RARE, NEW)
"""Lanes of the queue that pick what is hard, rare or new."""

WEEKS: Final = 12
RECENT_WEEKS: Final = 4


@dataclass(frozen=True, slots=True)
class EdgeCases:
    """Last month's edge cases, and the share of them that this month's training data hold.

    Attributes:
        lanes: the share by the lane that picked them.
        missing: why there is no share, where there is none.
    """

    month: str | None = None
    cases: int = 0
    share: Estimate | None = None
    lanes: Mapping[str, Estimate] = field(default_factory=dict)
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Week:
    """How many traces of a week's traffic were to be reviewed, and how many people decided in it."""

    start: str
    queued: float
    decided: int


@dataclass(frozen=True, slots=True)
class Flow:
    """The queue's inflow and drain; `weeks_left` is what the recent pace needs for all that waits."""

    weeks: tuple[Week, ...]
    weeks_left: float | None


@dataclass(frozen=True, slots=True)
class Refused:
    """How many traces a guard kept out, why, of which verb, and when that was last asked."""

    verb: str
    reason: str
    traces: int
    day: str


def median_estimate(values: Sequence[float]) -> Estimate | None:
    """The median, its interval between order statistics (David & Nagaraja 2003, normal ranks); None without values."""
    if not values:
        return None
    ranked, reach = np.sort(values), Z95 * len(values) ** 0.5 / 2
    low = max(int(np.floor(len(values) / 2 - reach)), 0)
    high = min(int(np.ceil(len(values) / 2 + reach)), len(values) - 1)
    return Estimate(float(np.median(ranked)), float(ranked[low]), float(ranked[high]))


def lag_days(version: EvalVersion) -> Estimate | None:
    """The median days from a trace's time to its decision, over the cases that are new in the version."""
    waits = [
        (case.as_of - case.trace.timestamp) / timedelta(days=1)
        for case in version.cases
        if case.since == version.version and case.trace.timestamp
    ]
    return median_estimate([max(wait, 0.0) for wait in waits])


def edge_cases(picks: Iterable[Pick], production: Iterable[Trace], trained: Collection[str]) -> EdgeCases:
    """Last month's edge cases among the picks: the month before that of the newest trace.

    Args:
        picks: all that was ever queued.
        production: all traces; their months are what counts.
        trained: ids of what was exported for training.
    """
    month_of = {trace.trace_id: month(trace) for trace in production if trace.timestamp}
    if not month_of:
        return EdgeCases(missing="No trace has a time, so there is no last month.")
    last = _month_before(max(month_of.values()))
    edges = {
        pick.trace_id: pick.lane
        for pick in picks
        if pick.lane in EDGES and month_of.get(pick.trace_id) == last
    }
    if not edges:
        return EdgeCases(last, missing=f"The queue picked no edge case of {last}.")
    if not trained:
        return EdgeCases(
            last, len(edges), missing=f"{len(edges)} edge cases of {last}; nothing was exported for training."
        )
    found, all_of = Counter(lane for name, lane in edges.items() if name in trained), Counter(edges.values())
    return EdgeCases(
        last,
        len(edges),
        wilson(found.total(), len(edges)),
        {lane: wilson(found[lane], number) for lane, number in sorted(all_of.items())},
    )


def flow(times: Iterable[datetime], decided: Iterable[datetime], share: float, waiting: int) -> Flow | None:
    """Inflow and drain of the last twelve weeks in which anything came or was decided; None without any.

    Args:
        times: when traces happened.
        decided: when people decided one.
        share: of traffic that is reviewed.
        waiting: how many wait now.
    """
    queued, done = Counter(map(_monday, times)), Counter(map(_monday, decided))
    starts = sorted(queued.keys() | done.keys())[-WEEKS:]
    if not starts:
        return None
    pace = sum(done[start] for start in starts[-RECENT_WEEKS:]) / min(RECENT_WEEKS, len(starts))
    return Flow(
        tuple(Week(start, share * queued[start], done[start]) for start in starts),
        waiting / pace if pace else None,
    )


def cost_of_useful(usd: float, labelled: int, accuracy: Estimate | None) -> Estimate | None:
    """Dollars a label that is right has cost, its interval that of the accuracy; None where no label is known right."""
    if accuracy is None or not labelled or accuracy.low <= 0:
        return None
    return Estimate(*(usd / (labelled * share) for share in (accuracy.estimate, accuracy.high, accuracy.low)))


def _monday(moment: datetime) -> str:
    return f"{moment - timedelta(days=moment.weekday()):%Y-%m-%d}"


def _month_before(name: str) -> str:
    year, number = map(int, name.split("-"))
    return f"{year - 1}-12" if number == 1 else f"{year}-{number - 1:02}"
