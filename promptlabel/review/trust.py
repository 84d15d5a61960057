"""What the events of a reviewer say of the reviewer: speed, known labels, wrong suggestions followed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from promptlabel.records import ReviewEvent
from promptlabel.review.adjudication import PROBE, Decision
from promptlabel.review.agreement import first_blind_labels

FAST: Final = 2.0
"""Seconds below which nobody has read a trace."""


@dataclass(frozen=True, slots=True)
class ReviewerCounts:
    """What one reviewer did, counted.

    Attributes:
        labelled, skipped, flagged: their events, those taken back included.
        seconds: the median time for a label, None where no browser told.
        timed, fast: labels whose time is known, and those given in less than `FAST` seconds.
        changed: labels changed after the votes were seen.
        probes, probes_right: blind labels on traces whose label was known, and those that agree with it.
        suggested, followed: wrong suggestions shown on purpose, and those that the reviewer changed to.
        confusion: settled label -> what the reviewer said blind -> how often; where the label was known, or
            somebody else has adjudicated.
    """

    reviewer: str
    labelled: int
    skipped: int
    flagged: int
    seconds: float | None
    timed: int
    fast: int
    changed: int
    probes: int
    probes_right: int
    suggested: int
    followed: int
    confusion: Mapping[str, Mapping[str, int]]


def reviewer_counts(
    events: Sequence[ReviewEvent], decisions: Sequence[Decision]
) -> tuple[ReviewerCounts, ...]:
    """The counts of everyone who did anything, by name; `decisions` are what was settled of the same task."""
    settled = {decision.trace_id: decision for decision in decisions}
    own: dict[str, list[ReviewEvent]] = {}
    for event in events:
        own.setdefault(event.reviewer, []).append(event)
    return tuple(_counts(reviewer, own[reviewer], settled) for reviewer in sorted(own))


def _counts(reviewer: str, events: Sequence[ReviewEvent], settled: Mapping[str, Decision]) -> ReviewerCounts:
    actions = Counter(event.action for event in events)
    times = [event.seconds for event in events if event.action == "label" and event.seconds is not None]
    blind = first_blind_labels(events)
    probes = [event for event in blind if event.lane == PROBE and event.trace_id in settled]
    suggested = {event.trace_id: event.label for event in events if event.action == "suggest"}
    changes = {(event.trace_id, event.label) for event in events if event.action == "change"}
    return ReviewerCounts(
        reviewer=reviewer,
        labelled=actions["label"],
        skipped=actions["skip"],
        flagged=actions["flag"],
        seconds=median(times) if times else None,
        timed=len(times),
        fast=sum(seconds < FAST for seconds in times),
        changed=actions["change"],
        probes=len(probes),
        probes_right=sum(event.label == settled[event.trace_id].label for event in probes),
        suggested=len(suggested),
        followed=len(changes & set(suggested.items())),
        confusion=_confusion(blind, settled),
    )


def _confusion(
    blind: Sequence[ReviewEvent], settled: Mapping[str, Decision]
) -> Mapping[str, Mapping[str, int]]:
    found: dict[str, Counter[str]] = {}
    for event in blind:
        decision = settled.get(event.trace_id)
        if decision is not None and _is_settled_by_others(event, decision):
            found.setdefault(decision.label, Counter())[event.label or ""] += 1
    return found


def _is_settled_by_others(event: ReviewEvent, decision: Decision) -> bool:
    return event.lane == PROBE or decision.adjudicator not in (None, event.reviewer)
