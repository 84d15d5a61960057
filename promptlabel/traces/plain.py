"""Traces, events, gold and reviews in the project's own form, one JSON object each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, TypeAlias

from promptlabel.records import ORDER, Event, Gold, JsonValue, Message, ReviewEvent, Trace
from promptlabel.traces.fields import Fields, kind
from promptlabel.traces.parts import text_of

Record: TypeAlias = Trace | Event | Gold | ReviewEvent

LONGEST_TRACE: Final = 5_000_000
"""Characters one trace may hold: more fits no prompt, and is refused."""

TRACE_KEYS: Final = frozenset(
    [
        "trace_id",
        "timestamp",
        "input",
        "output",
        "outputs",
        "messages",
        "category",
        "session_id",
        "user_id",
        "metadata",
    ]
)
EVENT_KEYS: Final = frozenset({"trace_id", "timestamp", "event", "value", "metadata"})
GOLD_KEYS: Final = frozenset(
    {"trace_id", "task", "label", "reviewer", "timestamp", "blind", "lane", "probability"}
)
REVIEW_KEYS: Final = frozenset(
    {"event_id", "trace_id", "task", "action", "label", "reviewer", "timestamp", "seconds", "blind"}
)
UNDATED: Final = datetime.min.replace(tzinfo=UTC)
"""When a review was made whose time its tool does not tell."""


def record_of(fields: Fields) -> Record:
    """The trace, event, gold or review that the fields hold, told apart by their keys."""
    if "event" in fields.record:
        return event_of(fields)
    if "event_id" in fields.record:
        return review_of(fields)
    is_gold = "label" in fields.record and "task" in fields.record
    return gold_of(fields) if is_gold else trace_of(fields)


def trace_of(fields: Fields) -> Trace:
    """The trace; what the interface has no key for is kept under `metadata`, whose own keys come first."""
    trace = Trace(
        trace_id=fields.name("trace_id"),
        timestamp=fields.moment("timestamp"),
        input=fields.text("input"),
        output=fields.text("output"),
        outputs=_outputs(fields),
        messages=_messages(fields),
        category=fields.text("category"),
        session_id=fields.text("session_id"),
        user_id=fields.text("user_id"),
        metadata=_metadata(fields, TRACE_KEYS),
    )
    _check_content(trace, fields)
    return trace


def event_of(fields: Fields) -> Event:
    """The event; what the interface has no key for is kept under `metadata`, whose own keys come first."""
    return Event(
        trace_id=fields.name("trace_id"),
        timestamp=fields.required_moment("timestamp"),
        event=fields.name("event"),
        value=fields.data("value"),
        metadata=_metadata(fields, EVENT_KEYS),
    )


def gold_of(fields: Fields) -> Gold:
    """The label a person gave; unknown keys are wrong, since gold has nowhere to keep them."""
    fields.refuse_others(GOLD_KEYS)
    return Gold(
        trace_id=fields.name("trace_id"),
        task=fields.name("task"),
        label=fields.name("label"),
        reviewer=fields.name("reviewer"),
        timestamp=fields.required_moment("timestamp"),
        blind=fields.truth("blind", default=True),
        lane=fields.text("lane"),
        probability=fields.number("probability"),
    )


def review_of(fields: Fields) -> ReviewEvent:
    """What a reviewer did elsewhere: a label or a skip, keyed by `event_id`."""
    fields.refuse_others(REVIEW_KEYS)
    action = fields.name("action")
    if action not in ("label", "skip"):
        fields.wrong.append(("action", f"must be label or skip, is {action!r:.60}"))
    return ReviewEvent(
        event_id=fields.name("event_id"),
        trace_id=fields.name("trace_id"),
        task=fields.name("task"),
        reviewer=fields.name("reviewer"),
        action="label" if action == "label" else "skip",
        at=fields.moment("timestamp") or UNDATED,
        label=fields.name("label") if action == "label" else None,
        blind=fields.truth("blind", default=False),
        seconds=fields.number("seconds"),
    )


def _metadata(fields: Fields, known: frozenset[str]) -> dict[str, JsonValue]:
    others = fields.others(known)
    metadata = fields.mapping("metadata") if "metadata" in fields.record else {}
    return {**others, **metadata} if others else metadata


def _outputs(fields: Fields) -> tuple[str, ...]:
    """The two outputs to compare, none where there is no such key."""
    logged = fields.record.get("outputs")
    if logged in (None, []):
        return ()
    if not isinstance(logged, list) or len(logged) != len(ORDER):
        fields.wrong.append(
            ("outputs", "must be a list of two texts: two outputs of one input, to be compared")
        )
        return ()
    inner = Fields({f"outputs[{place}]": text for place, text in enumerate(logged)})
    texts = tuple(inner.text(key) for key in inner.record)
    fields.wrong += inner.wrong
    return tuple(text or "" for text in texts)


def _messages(fields: Fields) -> tuple[Message, ...]:
    logged = fields.record.get("messages")
    if logged is None:
        return ()
    if not isinstance(logged, list):
        fields.wrong.append(("messages", f"must be a list of messages, is {kind(logged)}"))
        return ()
    return tuple([_message(fields, position, item) for position, item in enumerate(logged)])


def _message(fields: Fields, position: int, logged: JsonValue) -> Message:
    if not isinstance(logged, dict):
        fields.wrong.append((f"messages[{position}]", f"must be an object, is {kind(logged)}"))
        return Message("", "")
    inner = Fields(logged)
    message = Message(inner.name("role"), _content(inner), inner.moment("timestamp"))
    if inner.wrong:
        fields.wrong += [(f"messages[{position}].{key}", fault) for key, fault in inner.wrong]
    return message


def _content(fields: Fields) -> str:
    content = fields.record.get("content")
    if isinstance(content, str):
        return fields.text("content") or ""
    if content is not None and not isinstance(content, list):
        fields.wrong.append(("content", f"must be text or a list of parts, is {kind(content)}"))
        return ""
    parts = fields.data("content") or fields.data("tool_calls")
    if content is None and parts is None:
        fields.wrong.append(("content", "is required"))
    return "" if fields.wrong else text_of(parts)


def _check_content(trace: Trace, fields: Fields) -> None:
    if all(fields.record.get(key) in (None, []) for key in ("input", "output", "outputs", "messages")):
        fields.wrong.append(("input", "one of input, output and messages is required"))
    texts = [trace.input or "", trace.output or "", *trace.outputs]
    size = sum(map(len, texts)) + sum([len(item.content) for item in trace.messages])
    if size >= LONGEST_TRACE:
        fields.wrong.append(("input", f"the trace holds {size:,} characters; the limit is {LONGEST_TRACE:,}"))
