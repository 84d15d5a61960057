"""Review events and ingested gold in; one label a trace that people agree on, with its provenance, out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from promptlabel.records import Gold, ReviewEvent

ADJUDICATOR: Final = "adjudicator"
"""The reviewer whose label settles a conflict between the others."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The label people gave a trace; the only thing that may be called gold.

    Attributes:
        reviewers: who gave it, in order of their names.
        blind: whether every one of them decided before seeing any vote.
        at: when the last of them decided.
        lane: the lane that chose the trace for review, None for ingested gold.
        probability: the trace's inclusion probability in that queue.
    """

    trace_id: str
    label: str
    reviewers: tuple[str, ...]
    blind: bool
    at: datetime
    lane: str | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """A trace on which reviewers differ; `labels` is reviewer -> label."""

    trace_id: str
    labels: Mapping[str, str]


def decide(events: Sequence[ReviewEvent], gold: Sequence[Gold] = ()) -> tuple[Decision, ...]:
    """The decisions of one task, in order of first opinion; traces in conflict or without a label have none.

    A reviewer's later label wins over their earlier one, an undo takes an event back, skips and flags
    never count. Where reviewers differ, only a label by `ADJUDICATOR` settles the trace.
    """
    opinions = _opinions_by_trace(events, gold)
    return tuple(_decision(given) for given in opinions.values() if _agreed(given))


def conflicts(events: Sequence[ReviewEvent], gold: Sequence[Gold] = ()) -> tuple[Conflict, ...]:
    """The traces of one task on which reviewers differ and nobody has adjudicated."""
    opinions = _opinions_by_trace(events, gold)
    return tuple(
        Conflict(trace_id, {opinion.reviewer: opinion.label for opinion in given})
        for trace_id, given in opinions.items()
        if not _agreed(given)
    )


def blind_labels(events: Sequence[ReviewEvent], gold: Sequence[Gold] = ()) -> tuple[Gold, ...]:
    """The last label of each reviewer on each trace, where it was given before seeing any vote."""
    opinions = _opinions_by_trace(events, gold).values()
    return tuple(opinion for given in opinions for opinion in given if opinion.blind)


def standing(events: Iterable[ReviewEvent]) -> dict[tuple[str, str], list[ReviewEvent]]:
    """(trace, reviewer) -> that reviewer's events on the trace that no undo took back, oldest first."""
    kept: dict[tuple[str, str], list[ReviewEvent]] = {}
    for event in events:
        own = kept.setdefault((event.trace_id, event.reviewer), [])
        if event.action == "undo":
            take_back(own, event.undoes)
        else:
            own.append(event)
    return kept


def take_back(own: list[ReviewEvent], event_id: str | None) -> ReviewEvent | None:
    """The event removed from `own`: the named one, or the last where none is named."""
    for index in reversed(range(len(own))):
        if event_id in (None, own[index].event_id):
            return own.pop(index)
    return None


def _opinions_by_trace(events: Sequence[ReviewEvent], gold: Sequence[Gold]) -> dict[str, list[Gold]]:
    latest: dict[tuple[str, str], Gold] = {}
    for opinion in [*gold, *_labels(events)]:
        key = (opinion.trace_id, opinion.reviewer)
        if key not in latest or opinion.timestamp >= latest[key].timestamp:
            latest[key] = opinion
    by_trace: dict[str, list[Gold]] = {}
    for opinion in latest.values():
        by_trace.setdefault(opinion.trace_id, []).append(opinion)
    return by_trace


def _labels(events: Sequence[ReviewEvent]) -> list[Gold]:
    last = [own[-1] for own in standing(events).values() if own]
    return [_as_gold(event, event.label) for event in last if event.label is not None]


def _as_gold(event: ReviewEvent, label: str) -> Gold:
    blind = event.blind and event.action != "change"
    return Gold(
        event.trace_id, event.task, label, event.reviewer, event.at, blind, event.lane, event.probability
    )


def _agreed(opinions: Sequence[Gold]) -> bool:
    labels = {opinion.label for opinion in opinions}
    return len(labels) == 1 or any(opinion.reviewer == ADJUDICATOR for opinion in opinions)


def _decision(opinions: Sequence[Gold]) -> Decision:
    settled = [opinion for opinion in opinions if opinion.reviewer == ADJUDICATOR] or opinions
    routed = next((opinion for opinion in opinions if opinion.lane is not None), opinions[0])
    return Decision(
        trace_id=opinions[0].trace_id,
        label=settled[0].label,
        reviewers=tuple(sorted(opinion.reviewer for opinion in opinions)),
        blind=all(opinion.blind for opinion in opinions),
        at=max(opinion.timestamp for opinion in opinions),
        lane=routed.lane,
        probability=routed.probability,
    )
