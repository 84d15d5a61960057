"""Exports of spans (OTLP JSON, one span a line, or Phoenix's flat rows) as traces of the interface.

OTLP exports of logs count as spans too: the events of a span, where an SDK sends them as log records.

One trace is made of each outermost span with a conversation in its export: of an agent's span rather than of the
model calls under it. A root span gives the trace its own trace id, any other ``<trace id>:<span id>``. All
attributes that are not the conversation itself are kept under `metadata`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from promptlabel.records import JsonValue
from promptlabel.traces import openinference, otel
from promptlabel.traces.parts import JsonObject, mapping, objects

_FLAT: Final = "attributes."
_CONSUMED: Final = otel.CONSUMED + openinference.CONSUMED


@dataclass(frozen=True, slots=True)
class _Span:
    trace_id: str
    span_id: str
    parent_id: str | None
    start: JsonValue
    attributes: JsonObject
    events: Sequence[otel.SpanEvent]


def recognises(row: JsonObject) -> bool:
    """Whether the object is an OTLP export or a span."""
    is_otlp = "resourceSpans" in row or "resourceLogs" in row
    return is_otlp or "context.trace_id" in row or ("context" in row and "attributes" in row)


def records(row: JsonObject) -> list[JsonObject]:
    """Traces of the interface from an OTLP export or a span.

    Raises:
        KeyError: when a span lacks its ids.
        TypeError: when messages are not a list of objects.
    """
    spans = list(_spans(row))
    conversations = {span.span_id: found for span in spans if (found := _conversation(span))}
    parents = {span.span_id: span.parent_id for span in spans}
    return [
        _record(span, conversations[span.span_id])
        for span in spans
        if span.span_id in conversations and conversations.keys().isdisjoint(_ancestors(span, parents))
    ]


def _conversation(span: _Span) -> JsonObject:
    is_root = span.parent_id is None
    return otel.conversation(span.attributes, span.events) or openinference.conversation(
        span.attributes, is_root=is_root
    )


def _ancestors(span: _Span, parents: Mapping[str, str | None]) -> set[str]:
    found: set[str] = set()
    parent = span.parent_id
    while parent is not None and parent not in found:
        found.add(parent)
        parent = parents.get(parent)
    return found


def _record(span: _Span, conversation: JsonObject) -> JsonObject:
    return {
        "trace_id": span.trace_id if span.parent_id is None else f"{span.trace_id}:{span.span_id}",
        "timestamp": span.start,
        "session_id": _first(span.attributes, otel.SESSION),
        "user_id": _first(span.attributes, otel.USER),
        "metadata": {name: value for name, value in span.attributes.items() if not _is_consumed(name)},
        **conversation,
    }


def _first(attributes: JsonObject, names: Sequence[str]) -> JsonValue:
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)


def _is_consumed(name: str) -> bool:
    return any(name == known or name.startswith(f"{known}.") for known in _CONSUMED)


def _spans(row: JsonObject) -> Iterator[_Span]:
    if "resourceSpans" in row:
        for resource in objects(row["resourceSpans"]):
            for scope in objects(resource.get("scopeSpans")):
                yield from map(_otlp_span, objects(scope.get("spans")))
    elif "resourceLogs" in row:
        yield from _spans_of_logs(row["resourceLogs"])
    else:
        yield _logged_span(row)


def _otlp_span(span: JsonObject) -> _Span:
    return _Span(
        trace_id=_identifier(span["traceId"]) or "",
        span_id=_identifier(span["spanId"]) or "",
        parent_id=_identifier(span.get("parentSpanId")),
        start=_number(span.get("startTimeUnixNano")),
        attributes=_otlp_attributes(span),
        events=[(str(event.get("name")), _otlp_attributes(event)) for event in objects(span.get("events"))],
    )


def _spans_of_logs(resources: JsonValue) -> Iterator[_Span]:
    """A span for each that has events for generative AI among the log records; other records are passed over."""
    of_span: dict[tuple[str, str], list[JsonObject]] = {}
    for resource in objects(resources):
        for scope in objects(resource.get("scopeLogs")):
            for record in objects(scope.get("logRecords")):
                if _event_name(record).startswith("gen_ai."):
                    ids = (_identifier(record["traceId"]) or "", _identifier(record["spanId"]) or "")
                    of_span.setdefault(ids, []).append(record)
    return (_span_of_logs(*ids, same) for ids, same in of_span.items())


def _span_of_logs(trace_id: str, span_id: str, records: Sequence[JsonObject]) -> _Span:
    attributes = [_otlp_attributes(record) for record in records]
    bodies = [mapping(_otlp_value(mapping(record.get("body")))) for record in records]
    merged = {name: value for found in attributes for name, value in found.items()}
    events = [
        (_event_name(record), {**found, **body})
        for record, found, body in zip(records, attributes, bodies, strict=True)
    ]
    start = _number(records[0].get("timeUnixNano") or records[0].get("observedTimeUnixNano"))
    # Records do not say whether their span is the root, and a trace may hold several: none takes the trace's id.
    return _Span(trace_id, span_id, parent_id=trace_id, start=start, attributes=merged, events=events)


def _event_name(record: JsonObject) -> str:
    return str(record.get("eventName") or _otlp_attributes(record).get("event.name") or "")


def _logged_span(row: JsonObject) -> _Span:
    context = mapping(row.get("context"))
    flat = {name.removeprefix(_FLAT): value for name, value in row.items() if name.startswith(_FLAT)}
    attributes = {**flat, **mapping(row.get("attributes"))}
    span_kind = row.get("span_kind")
    return _Span(
        trace_id=_identifier(context["trace_id"] if context else row["context.trace_id"]) or "",
        span_id=_identifier(context["span_id"] if context else row["context.span_id"]) or "",
        parent_id=_identifier(row.get("parent_id", row.get("parent_span_id"))),
        start=row.get("start_time"),
        attributes=attributes if span_kind is None else {"openinference.span.kind": span_kind, **attributes},
        events=[
            (str(event.get("name")), mapping(event.get("attributes"))) for event in objects(row.get("events"))
        ],
    )


def _identifier(value: JsonValue) -> str | None:
    text = "" if value is None else str(value).removeprefix("0x")
    return text if text.strip("0") else None


def _otlp_attributes(holder: JsonObject) -> JsonObject:
    return {
        str(item["key"]): _otlp_value(mapping(item.get("value")))
        for item in objects(holder.get("attributes"))
    }


def _otlp_value(value: JsonObject) -> JsonValue:
    if "arrayValue" in value:
        return [_otlp_value(item) for item in objects(mapping(value["arrayValue"]).get("values"))]
    if "kvlistValue" in value:
        return {
            str(item["key"]): _otlp_value(mapping(item.get("value")))
            for item in objects(mapping(value["kvlistValue"]).get("values"))
        }
    if "intValue" in value:
        return _number(value["intValue"])
    return next(iter(value.values()), None)


def _number(value: JsonValue) -> JsonValue:
    return int(value) if isinstance(value, str) else value
