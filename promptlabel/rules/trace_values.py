"""A trace as plain data, without secrets: templates and expressions never meet an object of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from promptlabel.records import JsonValue, Message, Trace
from promptlabel.redaction import redacted
from promptlabel.rules.choices import Inputs
from promptlabel.rules.parts import text_of
from promptlabel.rules.spec import Example
from promptlabel.rules.template import PromptTemplate

EXAMPLE_ID: Final = "example"


def read_fields(trace: Trace, fields: Sequence[str]) -> dict[str, JsonValue]:
    """The fields of those names, what looks like a secret taken out."""
    return {name: _FIELDS[name](trace) for name in fields}


def all_fields(trace: Trace, template: PromptTemplate, inputs: Inputs) -> dict[str, JsonValue]:
    """The variables that an expression over the trace names."""
    values: dict[str, JsonValue] = {"trace": read_fields(trace, template.trace_fields)}
    if "text" in template.variables:
        values["text"] = redacted(text_of(trace, inputs))
    if "signals" in template.variables:
        values["signals"] = dict(trace.signals)
    return values


def example_trace(example: Example) -> Trace:
    """An example of a rule as a trace."""
    return Trace(
        trace_id=EXAMPLE_ID,
        input=example.input,
        output=example.output,
        messages=tuple(Message(message.role, message.content) for message in example.messages),
        category=example.category,
        metadata=example.metadata,
        outputs=example.outputs,
    )


_FIELDS: Final[Mapping[str, Callable[[Trace], JsonValue]]] = {
    "trace_id": lambda trace: trace.trace_id,
    "input": lambda trace: redacted(trace.input or ""),
    "output": lambda trace: redacted(trace.output or ""),
    "first": lambda trace: redacted(next(iter(trace.outputs), "")),
    "second": lambda trace: redacted(next(iter(trace.outputs[1:]), "")),
    "messages": lambda trace: [_message(message) for message in trace.messages],
    "transcript": lambda trace: redacted(trace.transcript),
    "category": lambda trace: trace.category or "",
    "metadata": lambda trace: _plain(trace.metadata),
}


def _message(message: Message) -> dict[str, JsonValue]:
    timestamp = message.timestamp.isoformat() if message.timestamp else ""
    return {"role": message.role, "content": redacted(message.content), "timestamp": timestamp}


def _plain(value: object) -> JsonValue:
    """A copy made of dicts, lists and scalars; anything else becomes text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return redacted(value)
    return value if value is None or type(value) in (bool, int, float) else str(value)  # type: ignore[return-value]
