"""What a rule reads of a trace, and which of its examples are worked examples: words, or a mapping of one key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema

from promptlabel.errors import nearest

PARTS: Final = ("input", "output", "transcript", "category", "first", "second")
"""Fields of a trace that are text, by which `inputs` may name them; `metadata.KEY` is another."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """A part of a trace: `way` is the word or key in the file, ``fields`` for a list; `argument` its number, role or names."""

    way: Literal["transcript", "last_turn", "last_turns", "last_turn_of", "last_tokens", "fields"]
    argument: int | str | tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Shots:
    """Which examples are worked examples; `number` where they are chosen from."""

    way: Literal["auto", "none", "fixed", "balanced", "nearest"] = "auto"
    number: int = 0


DEFAULT_SHOTS: Final = 4
"""Worked examples where a rule says how they are chosen, and not how many."""

_POSITIVE: Final[dict[str, Any]] = {"type": "integer", "minimum": 1}
_INPUTS_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [
        {"enum": ["transcript", "last_turn"]},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        *(
            {"type": "object", "properties": {key: kind}, "required": [key], "additionalProperties": False}
            for key, kind in (
                ("last_turns", _POSITIVE),
                ("last_turn_of", {"type": "string"}),
                ("last_tokens", _POSITIVE),
            )
        ),
    ]
}
_SHOTS_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [
        {"enum": ["auto", "none", "fixed", "balanced", "nearest"]},
        *(
            {
                "type": "object",
                "properties": {key: _POSITIVE},
                "required": [key],
                "additionalProperties": False,
            }
            for key in ("balanced", "nearest")
        ),
    ]
}


def _as_inputs(value: object) -> object:
    """The part of a trace that a word, a list of fields or a mapping of one key names."""
    if isinstance(value, Inputs):
        return value
    if isinstance(value, list) and value:
        return Inputs("fields", tuple(_known_part(name) for name in value))
    if value in ("transcript", "last_turn"):
        return Inputs(value)
    key, argument = _single(value, ("last_turns", "last_turn_of", "last_tokens"), ("transcript", "last_turn"))
    return Inputs(key, _text(argument, key) if key == "last_turn_of" else _count(argument, key))  # type: ignore[arg-type]


def _as_shots(value: object) -> object:
    """The choice of worked examples that a word or a mapping of one key names."""
    if isinstance(value, Shots):
        return value
    if value in ("auto", "none", "fixed"):
        return Shots(value)
    if value in ("balanced", "nearest"):
        return Shots(value, DEFAULT_SHOTS)
    key, argument = _single(value, ("balanced", "nearest"), ("auto", "none", "fixed", "balanced", "nearest"))
    return Shots(key, _count(argument, key))  # type: ignore[arg-type]


def _single(value: object, keys: Sequence[str], words: Sequence[str]) -> tuple[str, object]:
    """Key and value of a mapping of one known key."""
    if isinstance(value, Mapping) and len(value) == 1:
        key, argument = next(iter(value.items()))
        if key in keys:
            return key, argument
        raise ValueError(f"'{key}' is unknown{nearest(str(key), keys)}")
    if isinstance(value, str):
        message = f"'{value}' is unknown{nearest(value, (*words, *keys))}"
        raise ValueError(message)  # noqa: TRY004  (pydantic reports ValueError)
    raise ValueError(f"should be one of {', '.join(words)}, or one of {', '.join(keys)} with its value")


def _count(value: object, key: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError(f"`{key}` should be a whole number from 1, not {value!r}")


def _text(value: object, key: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError(f"`{key}` should be text, not {value!r}")


def _known_part(name: object) -> str:
    if isinstance(name, str) and (name in PARTS or name.startswith("metadata.")):
        return name
    raise ValueError(f"a trace has no text '{name}'{nearest(str(name), (*PARTS, 'metadata.KEY'))}")


InputsChoice: TypeAlias = Annotated[Inputs, BeforeValidator(_as_inputs), WithJsonSchema(_INPUTS_SCHEMA)]
ShotsChoice: TypeAlias = Annotated[Shots, BeforeValidator(_as_shots), WithJsonSchema(_SHOTS_SCHEMA)]
