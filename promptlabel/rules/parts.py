"""The part of a trace that a rule reads, as one text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from promptlabel.records import Message, Trace
from promptlabel.rules.choices import Inputs

_TOKEN: Final = re.compile(r"\w{1,6}|[^\w\s]")
"""About a token of most models' vocabularies: six letters, or a sign. The same for every model, so that what a rule
reads does not change with the model that is asked."""


def text_of(trace: Trace, inputs: Inputs) -> str:
    """The text of the part: turns as ``role: content`` lines, one turn alone as its content, fields under their names."""
    match inputs.way, inputs.argument:
        case "last_turn", _:
            return _last(trace.turns)
        case "last_turns", int(number):
            return "\n".join(f"{turn.role}: {turn.content}" for turn in trace.turns[-number:])
        case "last_turn_of", str(role):
            return _last([turn for turn in trace.turns if turn.role == role])
        case "last_tokens", int(number):
            return last_tokens(trace.transcript, number)
        case "fields", tuple(names):
            return _fields(trace, names)
    return trace.transcript


def last_tokens(text: str, number: int) -> str:
    """The end of the text, of so many tokens: up to six letters or digits each, or one sign."""
    starts = [found.start() for found in _TOKEN.finditer(text)]
    return text if len(starts) <= number else text[starts[-number] :]


def _last(turns: Sequence[Message]) -> str:
    return turns[-1].content if turns else ""


_FIELDS: Final[Mapping[str, Callable[[Trace], str]]] = {
    "input": lambda trace: trace.input or "",
    "output": lambda trace: trace.output or "",
    "first": lambda trace: next(iter(trace.outputs), ""),
    "second": lambda trace: next(iter(trace.outputs[1:]), ""),
    "transcript": lambda trace: trace.transcript,
    "category": lambda trace: trace.category or "",
}


def _fields(trace: Trace, names: Sequence[str]) -> str:
    """The fields under their names; one field as it is."""
    values = {name: _field(trace, name) for name in names}
    if len(values) == 1:
        return next(iter(values.values()))
    return "\n".join(f"{name}: {value}" for name, value in values.items())


def _field(trace: Trace, name: str) -> str:
    if name in _FIELDS:
        return _FIELDS[name](trace)
    value = trace.metadata.get(name.removeprefix("metadata."))
    return "" if value is None else str(value)
