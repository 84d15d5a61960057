"""Typed fields out of a JSON object; everything that is wrong with them is gathered, not only the first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from promptlabel.errors import nearest
from promptlabel.records import JsonValue

LONGEST_NAME: Final = 512
LONGEST_TEXT: Final = 5_000_000
"""Characters one record may hold: more is no text for a prompt, and is refused."""

DEEPEST: Final = 64

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""From which magnitude on an epoch number counts nano-, micro- and milliseconds."""


class Fields:
    """The fields of one JSON object, each checked when it is taken.

    Attributes:
        wrong: (key, what is wrong and what would be right) for each fault so far; once there is one, the
            values taken are stand-ins.
    """

    __slots__ = ("record", "wrong")

    def __init__(self, record: Mapping[str, JsonValue]) -> None:
        self.record = record
        self.wrong: list[tuple[str, str]] = []

    def text(self, key: str) -> str | None:
        """The text under `key`, or None where there is none."""
        value = self.record.get(key)
        if value is None or (isinstance(value, str) and "\0" not in value):
            return value
        self.wrong.append((key, _text_fault(value)))
        return None

    def name(self, key: str) -> str:
        """The text under `key`, which must be there and be neither empty nor longer than 512 characters."""
        value = self.text(key)
        if value and len(value) <= LONGEST_NAME:
            return value
        if value:
            self.wrong.append((key, f"must have at most {LONGEST_NAME} characters, has {len(value)}"))
        elif not isinstance(self.record.get(key), (bool, int, float, list, dict)) and value is None:
            self.wrong.append((key, "is required" + _misspelling(key, tuple(self.record))))
        elif value == "":
            self.wrong.append((key, "must not be empty"))
        return ""

    def moment(self, key: str) -> datetime | None:
        """The time under `key` in UTC: ISO 8601, or seconds or milliseconds since 1970."""
        value = self.record.get(key)
        if value is None:
            return None
        try:
            return _moment(value)
        except (ValueError, OverflowError):
            example = "ISO 8601 such as 2026-01-31T09:30:00Z, or seconds or milliseconds since 1970"
            self.wrong.append((key, f"must be a time ({example}), is {value!r:.60}"))
            return None

    def mapping(self, key: str) -> dict[str, JsonValue]:
        """The object under `key`, empty where there is none."""
        value = self.record.get(key)
        if value is None:
            return {}
        if isinstance(value, dict):
            self.wrong += [(key, fault) for fault in _data_faults(value)]
            return value
        self.wrong.append((key, f"must be an object, is {_kind(value)}"))
        return {}

    def number(self, key: str) -> float | None:
        """The number under `key`, or None where there is none."""
        value = self.record.get(key)
        if value is None:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        self.wrong.append((key, f"must be a number, is {_kind(value)}"))
        return None

    def data(self, key: str) -> JsonValue:
        """Whatever lies under `key`."""
        value = self.record.get(key)
        self.wrong += [(key, fault) for fault in _data_faults(value)]
        return value

    def others(self, known: frozenset[str]) -> dict[str, JsonValue]:
        """The fields whose keys are not `known`; one that looks misspelt is wrong."""
        if self.record.keys() <= known:
            return {}
        unknown = {key: value for key, value in self.record.items() if key not in known}
        self.wrong += [(key, "unknown key" + near) for key in unknown if (near := _misspelling(key, tuple(sorted(known))))]
        self.wrong += [(key, fault) for key, value in unknown.items() for fault in _data_faults(value)]
        return unknown


@lru_cache(maxsize=4096)
def _misspelling(key: str, names: tuple[str, ...]) -> str:
    hint = nearest(key, names)
    return hint if "did you mean" in hint else ""


def _text_fault(value: JsonValue) -> str:
    if isinstance(value, str):
        return "holds a NUL character, which no text can hold (remove it)"
    return f"must be text, is {_kind(value)}"


def _kind(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return "text"
    return "an object" if isinstance(value, Mapping) else "a list"


def _moment(value: JsonValue) -> datetime:
    if isinstance(value, str):
        if value.isdecimal() and len(value) != len("20260131"):
            return _since_epoch(float(value))
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(value)
    return _since_epoch(value)


def _since_epoch(number: float) -> datetime:
    unit = next((unit for least, unit in _UNITS if abs(number) >= least), 1)
    return _EPOCH + timedelta(seconds=number / unit)


def _data_faults(value: JsonValue) -> list[str]:
    if value is None or isinstance(value, (bool, int, float)):
        return []
    level: list[JsonValue] = [value]
    for _ in range(DEEPEST):
        if any(isinstance(item, str) and "\0" in item for item in level):
            return ["holds a NUL character, which no text can hold (remove it)"]
        level = [part for item in level for part in _parts(item)]
        if not level:
            return []
    return [f"is nested deeper than {DEEPEST} levels"]


def _parts(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []
