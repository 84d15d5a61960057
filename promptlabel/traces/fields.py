"""Typed fields out of a JSON object; everything that is wrong with them is gathered, not only the first."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from promptlabel.errors import nearest
from promptlabel.records import JsonValue

LONGEST_NAME: Final = 512
DEEPEST: Final = 64

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""From which magnitude on an epoch number counts nano-, micro- and milliseconds."""

_LIKENESS_OF_A_MISPRINT: Final = 0.85
_NUL: Final = "holds a NUL character, which no text can hold (remove it)"
_TIME: Final = "ISO 8601 such as 2026-01-31T09:30:00Z, or seconds or milliseconds since 1970"


class Fields:
    """The fields of one JSON object, each checked when it is taken.

    Attributes:
        wrong: (key, what is wrong and what would be right) for each fault so far; once there is one, the
            values taken may be stand-ins.
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
        self.wrong.append((key, _NUL if isinstance(value, str) else f"must be text, is {kind(value)}"))
        return None

    def name(self, key: str) -> str:
        """The text under `key`, which must be there, of 1 to 512 characters."""
        value = self.text(key)
        if value and len(value) <= LONGEST_NAME:
            return value
        if value is not None:
            self.wrong.append((key, f"must have 1 to {LONGEST_NAME} characters, has {len(value)}"))
        elif self.record.get(key) is None:
            self.wrong.append((key, "is required"))
        return ""

    def moment(self, key: str) -> datetime | None:
        """The time under `key` in UTC: ISO 8601 (without a zone it is UTC already) or an epoch number."""
        value = self.record.get(key)
        if value is None:
            return None
        try:
            return _moment(value)
        except (ValueError, OverflowError):
            self.wrong.append((key, f"must be a time ({_TIME}), is {value!r:.60}"))
            return None

    def required_moment(self, key: str) -> datetime:
        """The time under `key`, which must be there."""
        if self.record.get(key) is None:
            self.wrong.append((key, "is required"))
        return self.moment(key) or EPOCH

    def number(self, key: str) -> float | None:
        """The number under `key`, or None where there is none."""
        value = self.record.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if value is not None:
            self.wrong.append((key, f"must be a number, is {kind(value)}"))
        return None

    def truth(self, key: str, default: bool) -> bool:
        """The truth value under `key`, or the default where there is none."""
        value = self.record.get(key)
        if value is not None and not isinstance(value, bool):
            self.wrong.append((key, f"must be true or false, is {kind(value)}"))
        return value if isinstance(value, bool) else default

    def mapping(self, key: str) -> dict[str, JsonValue]:
        """The object under `key`, empty where there is none."""
        value = self.data(key)
        if value is not None and not isinstance(value, dict):
            self.wrong.append((key, f"must be an object, is {kind(value)}"))
        return value if isinstance(value, dict) else {}

    def data(self, key: str) -> JsonValue:
        """Whatever lies under `key`, if every store can hold it."""
        value = self.record.get(key)
        fault = _fault_in_data(value)
        if fault:
            self.wrong.append((key, fault))
        return value

    def others(self, known: frozenset[str]) -> dict[str, JsonValue]:
        """The fields whose keys are not `known`; a key that looks like a misprint of a known one is wrong."""
        if self.record.keys() <= known:
            return {}
        unknown = {key: self.data(key) for key in self.record if key not in known}
        self.wrong += [(key, f"unknown key{hint}") for key in unknown if (hint := _misprint(key, known))]
        return unknown

    def refuse_others(self, known: frozenset[str]) -> None:
        """Nothing; each key that is not `known` is wrong."""
        self.wrong += [(key, f"unknown key{nearest(key, known)}") for key in self.record if key not in known]


def kind(value: JsonValue) -> str:
    """What sort of JSON value this is, in words for a person."""
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return "text"
    return "an object" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else "null"


@lru_cache(maxsize=4096)
def _misprint(key: str, known: frozenset[str]) -> str:
    match = difflib.get_close_matches(key.lower(), sorted(known), n=1, cutoff=_LIKENESS_OF_A_MISPRINT)
    return f" (did you mean '{match[0]}'?)" if match else ""


def _moment(value: JsonValue) -> datetime:
    if isinstance(value, str):
        return _since_epoch(float(value)) if _is_epoch(value) else _in_utc(datetime.fromisoformat(value))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(value)
    return _since_epoch(value)


def _is_epoch(text: str) -> bool:
    return len(text) > len("20260131") and text.replace(".", "", 1).isdecimal()


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _since_epoch(number: float) -> datetime:
    unit = next((unit for least, unit in _UNITS if abs(number) >= least), 1.0)
    return EPOCH + timedelta(seconds=number / unit)


def _fault_in_data(value: JsonValue) -> str | None:
    level: list[JsonValue] = [value]
    for _ in range(DEEPEST):
        if any(isinstance(item, str) and "\0" in item for item in level):
            return _NUL
        level = [part for item in level for part in _parts(item)]
        if not level:
            return None
    return f"is nested deeper than {DEEPEST} levels"


def _parts(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []
