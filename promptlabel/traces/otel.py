"""The conversation in a span that follows OpenTelemetry's conventions for generative AI.

Read are ``gen_ai.input.messages``, ``gen_ai.output.messages`` and ``gen_ai.system_instructions`` (1.37 on), on the
span or on its event ``gen_ai.client.inference.operation.details``; span events ``gen_ai.<role>.message`` and ``gen_ai.choice`` (up to 1.36); span events ``gen_ai.content.prompt`` and
``gen_ai.content.completion`` (up to 1.27); and OpenLLMetry's ``gen_ai.prompt.N.*``, ``gen_ai.completion.N.*``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from promptlabel.records import JsonValue
from promptlabel.traces.parts import JsonObject, chat, is_chat, mapping, message, opened

SpanEvent: TypeAlias = tuple[str, JsonObject]

DETAILS: Final = "gen_ai.client.inference.operation.details"
"""The event that holds what a span's attributes may hold."""

SESSION: Final = ("gen_ai.conversation.id", "session.id")
USER: Final = ("user.id", "enduser.id")
CONSUMED: Final = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
    "gen_ai.prompt", "gen_ai.completion", *SESSION, *USER,
)  # fmt: skip
"""Attributes, with those indexed below them, that the trace holds elsewhere than in its metadata."""


def conversation(attributes: JsonObject, events: Sequence[SpanEvent]) -> JsonObject:
    """``{"messages": [...]}``, or nothing where the span holds none."""
    found = _from_attributes(attributes) or _from_indexed(attributes) or _from_events(events)
    return {"messages": found} if found else {}


def indexed(attributes: JsonObject, prefix: str) -> list[JsonObject]:
    """The items of a list that was flattened to ``prefix.N.key`` (or left a list), each ``{key: value}``."""
    whole = opened(attributes.get(prefix))
    if isinstance(whole, list):
        return [mapping(item) for item in whole]
    items: dict[int, dict[str, JsonValue]] = {}
    for name, value in attributes.items():
        number, _, key = name.removeprefix(f"{prefix}.").partition(".")
        if name.startswith(f"{prefix}.") and number.isdecimal():
            items.setdefault(int(number), {})[key] = value
    return [items[number] for number in sorted(items)]


def _from_attributes(attributes: JsonObject) -> list[JsonObject]:
    system = opened(attributes.get("gen_ai.system_instructions"))
    told = [message("system", system)] if system else []
    sides = [opened(attributes.get(f"gen_ai.{side}.messages")) for side in ("input", "output")]
    said = [item for side in sides if side for item in chat(side)]
    return told + said if said else []


def _from_indexed(attributes: JsonObject) -> list[JsonObject]:
    items = indexed(attributes, "gen_ai.prompt") + indexed(attributes, "gen_ai.completion")
    return [message(item.get("role", "assistant"), opened(item.get("content"))) for item in items]


def _from_events(events: Sequence[SpanEvent]) -> list[JsonObject]:
    for name, attributes in events:
        if name == DETAILS:
            return _from_attributes(attributes)
    return [item for name, attributes in events for item in _from_event(name, attributes)]


def _from_event(name: str, attributes: JsonObject) -> list[JsonObject]:
    if name == "gen_ai.content.prompt":
        return _prompt("user", attributes.get("gen_ai.prompt"))
    if name == "gen_ai.content.completion":
        return _prompt("assistant", attributes.get("gen_ai.completion"))
    body = mapping(opened(attributes.get("gen_ai.event.content"))) or attributes
    if name == "gen_ai.choice":
        choice = mapping(opened(body.get("message"))) or body
        return [message(choice.get("role", "assistant"), choice.get("content", choice.get("tool_calls")))]
    if name.startswith("gen_ai.") and name.endswith(".message"):
        role = name.removeprefix("gen_ai.").removesuffix(".message")
        return [message(body.get("role", role), body.get("content", body.get("tool_calls")))]
    return []


def _prompt(role: str, logged: JsonValue) -> list[JsonObject]:
    content = opened(logged)
    return chat(content) if is_chat(content) else [message(role, content)]
