"""Review events and ingested gold in; one label a trace that people agree on, with its provenance, out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from promptlabel.label_sets import same_set
from promptlabel.records import Gold, ReviewEvent

ADJUDICATOR: Final = "adjudicator"
"""The reviewer of ingested gold whose label settles a conflict between the others."""

PROBE: Final = "probe"
"""The lane of decisions on traces whose label was known: they tell of the reviewer, and are never gold."""

SHOWN: Final = ("suggest", "told")
"""Actions that record what the server showed, and no opinion of the reviewer."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The label people gave a trace; the only thing that may be called gold.

    Attributes:
        reviewers: who gave it, in order of their names.
        blind: whether everyone on whose word it rests decided before seeing any vote.
        at: when the last of them decided.
        lane: the lane that chose the trace for review, None for ingested gold.
        probability: the trace's inclusion probability in that queue.
        adjudicator: who settled it where reviewers differed, else None.
    """

    trace_id: str
    label: str
    reviewers: tuple[str, ...]
    blind: bool
    at: datetime
    lane: str | None
    probability: float | None
    adjudicator: str | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """A trace on which reviewers differ; `labels` is reviewer -> label."""

    trace_id: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Opinion:
    given: Gold
    settles: bool


def decide(events: Sequence[ReviewEvent], gold: Sequence[Gold] = ()) -> tuple[Decision, ...]:
    """The decisions of one task, in order of first opinion; traces in conflict or without a label have none.

    A reviewer's later label wins over their earlier one, an undo takes an event back, skips and flags
    never count, nor do decisions on probes. Where reviewers differ, only an adjudication settles the trace.
    """
    opinions = _opinions_by_trace(events, gold)
    return tuple(_decision(given) for given in opinions.values() if _agreed(given))


def conflicts(events: Sequence[ReviewEvent], gold: Sequence[Gold] = ()) -> tuple[Conflict, ...]:
    """The traces of one task on which reviewers differ and nobody has adjudicated."""
    opinions = _opinions_by_trace(events, gold)
    return tuple(
        Conflict(trace_id, {opinion.given.reviewer: opinion.given.label for opinion in given})
        for trace_id, given in opinions.items()
        if not _agreed(given)
    )


def blind_labels(events: Sequence[ReviewEvent], gold: Sequence[Gold] = ()) -> tuple[Gold, ...]:
    """The last label of each reviewer on each trace, where it was given before seeing any vote or other label."""
    opinions = _opinions_by_trace(events, gold).values()
    return tuple(one.given for given in opinions for one in given if one.given.blind and not one.settles)


def standing(events: Iterable[ReviewEvent]) -> dict[tuple[str, str], list[ReviewEvent]]:
    """(trace, reviewer) -> that reviewer's events on the trace that no undo took back, oldest first."""
    kept: dict[tuple[str, str], list[ReviewEvent]] = {}
    for event in events:
        if event.action in SHOWN:
            continue
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


def _opinions_by_trace(events: Sequence[ReviewEvent], gold: Sequence[Gold]) -> dict[str, list[_Opinion]]:
    latest: dict[tuple[str, str], _Opinion] = {}
    ingested = [_Opinion(given, given.reviewer == ADJUDICATOR) for given in gold]
    for opinion in [*ingested, *_labels(events)]:
        key = (opinion.given.trace_id, opinion.given.reviewer)
        if key not in latest or opinion.given.timestamp >= latest[key].given.timestamp:
            latest[key] = opinion
    by_trace: dict[str, list[_Opinion]] = {}
    for opinion in latest.values():
        by_trace.setdefault(opinion.given.trace_id, []).append(opinion)
    return by_trace


def _labels(events: Sequence[ReviewEvent]) -> list[_Opinion]:
    last = [own[-1] for own in standing(events).values() if own]
    return [_opinion(event, event.label) for event in last if event.label is not None and event.lane != PROBE]


def _opinion(event: ReviewEvent, label: str) -> _Opinion:
    blind = event.blind and event.action != "change"
    given = Gold(
        event.trace_id, event.task, label, event.reviewer, event.at, blind, event.lane, event.probability
    )
    return _Opinion(given, event.action == "adjudicate" or event.reviewer == ADJUDICATOR)


def _agreed(opinions: Sequence[_Opinion]) -> bool:
    labels = {same_set(opinion.given.label) for opinion in opinions}
    return len(labels) == 1 or any(opinion.settles for opinion in opinions)


def _decision(opinions: Sequence[_Opinion]) -> Decision:
    """What the opinions amount to; of several that settle, the last does."""
    given = [opinion.given for opinion in opinions]
    settling = max(
        (opinion.given for opinion in opinions if opinion.settles),
        key=lambda one: one.timestamp,
        default=None,
    )
    basis = given if settling is None else [settling]
    routed = next((one for one in given if one.lane is not None), given[0])
    return Decision(
        trace_id=given[0].trace_id,
        label=basis[0].label,
        reviewers=tuple(sorted(one.reviewer for one in given)),
        blind=all(one.blind for one in basis),
        at=max(one.timestamp for one in given),
        lane=routed.lane,
        probability=routed.probability,
        adjudicator=None if settling is None else settling.reviewer,
    )
