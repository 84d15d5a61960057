"""Chat messages and their contents in the usual shapes of other tools, as messages of the interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import orjson

from promptlabel.records import JsonValue

JsonObject: TypeAlias = Mapping[str, JsonValue]


def text_of(content: JsonValue) -> str:
    """The text of a content: its parts one a line; what is not text (a tool call, an image) stays as JSON."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, Sequence):
        return "\n".join(map(text_of, content))
    if isinstance(content, Mapping):
        for key in ("text", "content"):
            if isinstance(content.get(key), (str, list)):
                return text_of(content[key])
    return orjson.dumps(content).decode()


def message(role: JsonValue, content: JsonValue) -> JsonObject:
    """A message of the interface."""
    return {"role": role, "content": text_of(content)}


def chat(logged: JsonValue) -> list[JsonObject]:
    """Messages of the interface from a list of ``{role, content}`` or OpenTelemetry's ``{role, parts}``.

    Raises:
        TypeError: when it is not a list of objects.
        KeyError: when a message has no role.
    """
    if not is_chat(logged):
        raise TypeError("messages that are not a list of objects")
    return [message(item["role"], _content(item)) for item in objects(logged)]


def is_chat(logged: JsonValue) -> bool:
    """Whether this is a list of objects, as chats are logged, and not empty."""
    return bool(logged) and isinstance(logged, list) and all(isinstance(item, Mapping) for item in logged)


def objects(value: JsonValue) -> list[JsonObject]:
    """The objects of a list; none where it is something else."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def mapping(value: JsonValue) -> JsonObject:
    """The object; an empty one where it is something else."""
    return value if isinstance(value, Mapping) else {}


def opened(value: JsonValue) -> JsonValue:
    """What a text that holds a JSON list or object says; any other value as it is."""
    if not isinstance(value, str) or not value.startswith(("[", "{")):
        return value
    try:
        content: JsonValue = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    return content


def _content(item: JsonObject) -> JsonValue:
    content = item.get("parts", item.get("content"))
    return item.get("tool_calls") if content is None else content
