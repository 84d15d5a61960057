"""The conversation in a span that follows the OpenInference conventions (Arize Phoenix and others)."""

from __future__ import annotations

from typing import Final

from promptlabel.records import JsonValue
from promptlabel.traces.otel import indexed
from promptlabel.traces.parts import JsonObject, message

CONSUMED: Final = ("llm.input_messages", "llm.output_messages", "input.value", "output.value")
_WHOLE_INTERACTIONS: Final = {"AGENT", "CHAIN"}


def conversation(attributes: JsonObject, *, is_root: bool) -> JsonObject:
    """``{"messages"}`` of a model call, else ``{"input", "output"}``, else nothing.

    Chains and agents count where they are the root of their trace; tools, retrievers and the like never do.
    """
    span_kind = attributes.get("openinference.span.kind")
    if span_kind != "LLM" and not (is_root and span_kind in _WHOLE_INTERACTIONS):
        return {}
    sides = ("llm.input_messages", "llm.output_messages")
    messages = [_message(item) for side in sides for item in indexed(attributes, side)]
    if messages:
        return {"messages": messages}
    values = {side: attributes.get(f"{side}.value") for side in ("input", "output")}
    return {side: value for side, value in values.items() if value is not None}


def _message(item: JsonObject) -> JsonObject:
    return message(item.get("message.role", "assistant"), _content(item))


def _content(item: JsonObject) -> JsonValue:
    content = item.get("message.content")
    if content is not None:
        return content
    parts = [part.get("message_content.text") for part in indexed(item, "message.contents")]
    calls = indexed(item, "message.tool_calls")
    return [part for part in parts if part is not None] or calls or None
