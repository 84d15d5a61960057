"""Rows of a Langfuse trace export, and the scores in them, as traces and events of the interface."""

from __future__ import annotations

from typing import Final

from promptlabel.records import JsonValue
from promptlabel.traces.parts import JsonObject, chat, is_chat, mapping, message, objects, opened, text_of

_MARKS: Final = {"sessionId", "userId", "projectId", "observations", "bookmarked", "htmlPath", "environment"}
_ELSEWHERE: Final = {"id", "timestamp", "input", "output", "userId", "sessionId", "metadata", "scores"}


def recognises(row: JsonObject) -> bool:
    """Whether the object is a trace as Langfuse exports it."""
    return "id" in row and "trace_id" not in row and not _MARKS.isdisjoint(row)


def records(row: JsonObject) -> list[JsonObject]:
    """A trace, its category Langfuse's name of the trace, and one event a score, named as the score is."""
    others = {key: value for key, value in row.items() if key not in _ELSEWHERE and value is not None}
    trace = {
        "trace_id": row["id"],
        "timestamp": row.get("timestamp"),
        "category": row.get("name"),
        "session_id": row.get("sessionId"),
        "user_id": row.get("userId"),
        "metadata": {**others, **_metadata(opened(row.get("metadata")))},
        **_conversation(opened(row.get("input")), opened(row.get("output"))),
    }
    return [trace, *(_event(row, score) for score in objects(row.get("scores")))]


def _metadata(value: JsonValue) -> JsonObject:
    return {} if value is None else mapping(value) or {"metadata": value}


def _conversation(sent: JsonValue, received: JsonValue) -> JsonObject:
    asked = mapping(sent).get("messages", sent)
    if not is_chat(asked):
        texts = {"input": sent, "output": received}
        return {side: text_of(value) for side, value in texts.items() if value is not None}
    answered = received if is_chat(received) else [{"role": "assistant", **mapping(received)}]
    if isinstance(received, str):
        answered = [message("assistant", received)]
    return {"messages": chat(asked) + (chat(answered) if received is not None else [])}


def _event(row: JsonObject, score: JsonObject) -> JsonObject:
    value = score.get("stringValue") or score.get("value")
    details = {key: score[key] for key in ("source", "comment", "id") if score.get(key) is not None}
    return {
        "trace_id": row["id"],
        "timestamp": score.get("timestamp", row.get("timestamp")),
        "event": score["name"],
        "value": value,
        "metadata": details,
    }
