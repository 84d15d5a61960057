"""Traces, events and gold in the project's own form, one JSON object each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from promptlabel.records import Event, Gold, JsonValue, Message, Trace
from promptlabel.traces.fields import LONGEST_TEXT, Fields
from promptlabel.traces.parts import text_of

Record: TypeAlias = Trace | Event | Gold

TRACE_KEYS: Final = frozenset(
    {"trace_id", "timestamp", "input", "output", "messages", "category", "session_id", "user_id", "metadata"}
)
EVENT_KEYS: Final = frozenset({"trace_id", "timestamp", "event", "value", "metadata"})
GOLD_KEYS: Final = frozenset(
    {"trace_id", "task", "label", "reviewer", "timestamp", "blind", "lane", "probability"}
)


def record_of(fields: Fields) -> Record:
    """The trace, event or gold the fields hold, told apart by their keys; sound when nothing is `wrong`."""
    keys = fields.record.keys()
    if "event" in keys:
        return event_of(fields)
    return gold_of(fields) if "label" in keys and "task" in keys else trace_of(fields)


def trace_of(fields: Fields) -> Trace:
    """The trace; keys of its own that the interface does not know are kept under `metadata`."""
    trace = Trace(
        trace_id=fields.name("trace_id"),
        timestamp=fields.moment("timestamp"),
        input=fields.text("input"),
        output=fields.text("output"),
        messages=_messages(fields),
        category=fields.text("category"),
        session_id=fields.text("session_id"),
        user_id=fields.text("user_id"),
        metadata=_metadata(fields, TRACE_KEYS),
    )
    if not fields.wrong:
        fields.wrong += _content_faults(trace)
    return trace


def event_of(fields: Fields) -> Event:
    """The event; keys of its own that the interface does not know are kept under `metadata`."""
    return Event(
        trace_id=fields.name("trace_id"),
        timestamp=_required_moment(fields),
        event=fields.name("event"),
        value=fields.data("value"),
        metadata=_metadata(fields, EVENT_KEYS),
    )


def gold_of(fields: Fields) -> Gold:
    """The label a person gave; unknown keys are wrong."""
    known = {key for key, _ in fields.wrong}
    unknown = fields.others(GOLD_KEYS)
    fields.wrong += [(key, "unknown key of gold") for key in unknown if key not in known]
    return Gold(
        trace_id=fields.name("trace_id"),
        task=fields.name("task"),
        label=fields.name("label"),
        reviewer=fields.name("reviewer"),
        timestamp=_required_moment(fields),
        blind=_blind(fields),
        lane=fields.text("lane"),
        probability=fields.number("probability"),
    )
