"""The text of a message's content, whichever of the usual shapes it was logged in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from promptlabel.records import JsonValue


def text_of(content: JsonValue) -> str:
    """The text: of parts (OpenAI, Anthropic, OpenTelemetry) one a line; what is not text stays as JSON."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, Mapping):
        return _text_of_part(content)
    if isinstance(content, Sequence):
        return "\n".join(map(text_of, content))
    return _as_json(content)


def _text_of_part(part: Mapping[str, JsonValue]) -> str:
    for key in ("text", "content"):
        value = part.get(key)
        if isinstance(value, str):
            return value
    return _as_json(part)


def _as_json(value: JsonValue) -> str:
    return orjson.dumps(value).decode()


def message(role: JsonValue, content: JsonValue, calls: JsonValue = None) -> dict[str, JsonValue]:
    """A message of the interface; tool calls stand in for content that is not there."""
    return {"role": role, "content": text_of(calls if content is None else content)}


def messages(logged: JsonValue) -> list[JsonValue]:
    """Messages of the interface from a chat in the format of OpenAI, of Anthropic, or with OpenTelemetry's parts.

    Raises:
        TypeError: when it is not a list of objects.
        KeyError: when a message has no role.
    """
    if not isinstance(logged, Sequence) or isinstance(logged, str):
        raise TypeError(f"messages must be a list, are {type(logged).__name__}")
    return [_message(item) for item in logged]


def _message(logged: JsonValue) -> dict[str, JsonValue]:
    if not isinstance(logged, Mapping):
        raise TypeError(f"a message must be an object, is {type(logged).__name__}")
    content = logged.get("parts", logged.get("content"))
    return message(logged["role"], content, logged.get("tool_calls"))
