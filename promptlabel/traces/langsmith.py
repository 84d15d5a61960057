"""Runs as LangSmith exports them, and the feedback on them, as traces and events of the interface.

Fields are those of LangSmith's run data format, from its API (JSON) or its bulk export (Parquet, where inputs,
outputs and extra are JSON written as text).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from promptlabel.records import JsonValue
from promptlabel.traces.parts import JsonObject, chat, is_chat, mapping, message, objects, opened, text_of

_ROLES: Final[Mapping[str, str]] = {
    "human": "user", "ai": "assistant", "HumanMessage": "user", "AIMessage": "assistant",
    "HumanMessageChunk": "user", "AIMessageChunk": "assistant", "SystemMessage": "system", "ToolMessage": "tool",
}  # fmt: skip
_THREADS: Final = ("session_id", "thread_id", "conversation_id")
"""Keys of a run's metadata that name its conversation; the run's own `session_id` is its project."""

_ELSEWHERE: Final = {"id", "trace_id", "start_time", "inputs", "outputs", "extra"}
_BULKY: Final = {
    "events",
    "serialized",
    "inputs_preview",
    "outputs_preview",
    "child_run_ids",
    "parent_run_ids",
}


def recognises(row: JsonObject) -> bool:
    """Whether the object is a run, or feedback on one."""
    return ("run_type" in row and "inputs" in row) or _is_feedback(row)


def records(row: JsonObject) -> list[JsonObject]:
    """One trace of a root run or a model call, none of other runs; one event of feedback.

    A root run gives the trace its own id, any other ``<trace id>:<run id>``. The aggregates in `feedback_stats`
    have no time, so they are metadata, no events.

    Raises:
        KeyError: when there is no id, or feedback has no time.
        TypeError: when messages are not a list of objects.
    """
    if _is_feedback(row):
        return [_event(row)]
    is_trace = _is_root(row) or row["run_type"] == "llm"
    return [_trace(row)] if is_trace else []


def _is_feedback(row: JsonObject) -> bool:
    return "run_id" in row and "key" in row and ("score" in row or "value" in row)


def _is_root(run: JsonObject) -> bool:
    return run.get("trace_id", run["id"]) == run["id"] or not (
        run.get("parent_run_id") or run.get("parent_run_ids") or "trace_id" in run
    )


def _name(trace_id: JsonValue, run_id: JsonValue) -> JsonValue:
    return run_id if trace_id in (None, run_id) else f"{trace_id}:{run_id}"


def _trace(run: JsonObject) -> JsonObject:
    extra = mapping(opened(run.get("extra")))
    given = mapping(extra.get("metadata"))
    left_out = _ELSEWHERE | _BULKY
    others = {key: value for key, value in run.items() if key not in left_out and value is not None}
    return {
        "trace_id": _name(run.get("trace_id"), run["id"]),
        "timestamp": run.get("start_time"),
        "category": run.get("name"),
        "session_id": next((given[key] for key in _THREADS if given.get(key)), None),
        "user_id": given.get("user_id"),
        "metadata": {**others, **given},
        **_conversation(mapping(opened(run.get("inputs"))), mapping(opened(run.get("outputs")))),
    }


def _event(feedback: JsonObject) -> JsonObject:
    details = {key: feedback[key] for key in ("comment", "id", "correction") if feedback.get(key) is not None}
    value = feedback.get("value") if feedback.get("score") is None else feedback["score"]
    return {
        "trace_id": _name(feedback.get("trace_id"), feedback["run_id"]),
        "timestamp": feedback["created_at"],
        "event": feedback["key"],
        "value": value,
        "metadata": details,
    }


def _conversation(inputs: JsonObject, outputs: JsonObject) -> JsonObject:
    asked, answered = _messages(inputs.get("messages")), _answers(outputs)
    if not asked:
        texts = {"input": _only_text(inputs), "output": _only_text(outputs)}
        return {side: text for side, text in texts.items() if text is not None}
    repeats = answered[: len(asked)] == asked
    return {"messages": answered if repeats else asked + answered}


def _answers(outputs: JsonObject) -> list[JsonObject]:
    """The messages of a chat model, of a LangChain generation, of OpenAI's choices, or of a graph's state."""
    for key in ("generations", "choices"):
        candidates = objects(_flat(outputs.get(key)))
        if candidates:
            first = candidates[0]
            return _messages([first["message"]]) if "message" in first else _assistant(first)
    if "messages" in outputs:
        return _messages(outputs["messages"])
    if "role" in outputs or "lc" in outputs:
        return _messages([outputs])
    return _assistant(outputs)


def _assistant(said: JsonObject) -> list[JsonObject]:
    text = _only_text(said)
    return [] if text is None else [message("assistant", text)]


def _messages(logged: JsonValue) -> list[JsonObject]:
    listed = _flat(opened(logged))
    return chat([_unwrapped(item) for item in objects(listed)]) if is_chat(listed) else []


def _flat(logged: JsonValue) -> JsonValue:
    """The first of several batches of messages; LangChain wraps even one in a list."""
    return logged[0] if isinstance(logged, list) and logged and isinstance(logged[0], list) else logged


def _unwrapped(item: JsonObject) -> JsonObject:
    """A message with its role, out of LangChain's ``{lc, id, kwargs}`` where it is written so."""
    inner = mapping(item.get("kwargs")) or mapping(item.get("data")) or item
    path = item.get("id")
    class_name = path[-1] if isinstance(path, list) and path else None
    role = inner.get("role") or class_name or inner.get("type") or item.get("type") or "user"
    return {**inner, "role": _ROLES.get(str(role), role)}


def _only_text(values: JsonObject) -> str | None:
    """The one value where there is only one, else all of them as JSON; None where there are none."""
    if not values:
        return None
    return text_of(next(iter(values.values())) if len(values) == 1 else values)
