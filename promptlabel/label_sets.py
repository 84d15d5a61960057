"""Sets of labels as one text, for tasks where several labels may apply: ``refund, billing``, or ``none``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

NONE: Final = "none"
"""The set without labels; no label may be called so where several may apply."""

SEPARATOR: Final = ","


def set_name(members: Iterable[str], labels: Sequence[str]) -> str:
    """The one name of a set: its members in the order of the task's labels; others come last, in their own order."""
    found = dict.fromkeys(members)
    known = [label for label in labels if label in found]
    return f"{SEPARATOR} ".join([*known, *(label for label in found if label not in labels)]) or NONE


def set_members(name: str) -> tuple[str, ...]:
    """The labels that a set's name lists, as written."""
    parts = [part.strip() for part in name.split(SEPARATOR)]
    return () if parts == [NONE] else tuple(part for part in parts if part)


def applying(shares: Mapping[str, float]) -> tuple[str, ...]:
    """The labels that are likelier to apply than not."""
    return tuple(label for label, share in shares.items() if share > 0.5)
