"""Logged calls of chat interfaces, ``{request, response}``, as NVIDIA's flywheel and many proxies keep them."""

from __future__ import annotations

from typing import Final

from promptlabel.records import JsonValue, digest
from promptlabel.traces.parts import JsonObject, chat, mapping, message, objects, opened

_ELSEWHERE: Final = {"trace_id", "timestamp", "request", "response", "client_id", "workload_id"}


def recognises(row: JsonObject) -> bool:
    """Whether the object holds a request and its response."""
    return "request" in row and "response" in row


def records(row: JsonObject) -> list[JsonObject]:
    """One trace: the workload is its category, the client its user.

    Its id is that of the row, else of the response; where neither has one, the digest of the row.

    Raises:
        TypeError: when the messages are not a list of objects.
        KeyError: when there are none.
    """
    request, response = mapping(opened(row["request"])), mapping(opened(row["response"]))
    others = {key: value for key, value in row.items() if key not in _ELSEWHERE}
    model = response.get("model", request.get("model"))
    return [
        {
            "trace_id": row.get("trace_id") or response.get("id") or digest(row),
            "timestamp": row.get("timestamp") or response.get("created"),
            "messages": [*chat(request["messages"]), *_replies(response)],
            "category": row.get("workload_id"),
            "user_id": row.get("client_id"),
            "metadata": {**others, **({"model": model} if model is not None else {})},
        }
    ]


def _replies(response: JsonObject) -> list[JsonObject]:
    choices = [mapping(choice.get("message")) for choice in objects(response.get("choices"))[:1]]
    if choices:
        return chat([{"role": "assistant", **choice} for choice in choices])
    content: JsonValue = response.get("content")
    return [] if content is None else [message(response.get("role", "assistant"), content)]
