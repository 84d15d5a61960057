"""Places in a foreign log's rows: dotted paths such as ``choices.0.text``, or a fixed text after ``=``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

import orjson
from pydantic import Field

from promptlabel.records import JsonValue
from promptlabel.traces.parts import mapping, opened

Place: TypeAlias = Annotated[str, Field(min_length=1)]
"""A dotted path, or ``=`` and a fixed text; with ``?`` at its end no row need have it."""


def found(holder: JsonValue, place: str | None) -> JsonValue:
    """What is at the place, or None; a key with dots in it goes first, JSON written as text is looked into."""
    if place is None:
        return None
    return place[1:] if place.startswith("=") else _at(holder, path_of(place))


def path_of(place: str) -> str:
    """The place without the mark that says it may be missing."""
    return place.removesuffix("?")


def must_be_somewhere(place: str) -> bool:
    """Whether a mapping is wrong when no row has the place."""
    return not place.startswith("=") and not place.endswith("?")


def as_text(value: JsonValue) -> JsonValue:
    """Numbers as text, since ids and categories are often numbers in other logs; any other value as it is."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def as_scalar(value: JsonValue) -> JsonValue:
    """The number or truth value that a text says in JSON, as cells of CSV do; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        said: JsonValue = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    return said if isinstance(said, (bool, int, float)) else value


def _at(holder: JsonValue, path: str) -> JsonValue:
    holder = opened(holder)
    if isinstance(holder, Mapping) and path in holder:
        return holder[path]
    head, _, rest = path.partition(".")
    inner = _item(holder, head) if isinstance(holder, list) else mapping(holder).get(head)
    if not rest:
        return inner if isinstance(holder, list) else None
    return None if inner is None else _at(inner, rest)


def _item(items: list[JsonValue], number: str) -> JsonValue:
    return items[int(number)] if number.isdecimal() and int(number) < len(items) else None
