"""Sets of labels as one text, for tasks where several labels may apply: ``refund, billing``, or ``none``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

NONE: Final = "none"
"""The set without labels; no label may be called so where several may apply."""

SEPARATOR: Final = ","

ASK_ONE: Final = "Answer with one of these labels"
ASK_SET: Final = (
    f"Answer with all of these labels that apply, in this order and with commas between them, or with {NONE}"
)
"""What a model is told before labels are listed, of how many of them to answer with."""


def set_name(members: Iterable[str], labels: Sequence[str]) -> str:
    """The one name of a set: its members in the order of the task's labels; others come last, in their own order."""
    found = dict.fromkeys(members)
    known = [label for label in labels if label in found]
    return f"{SEPARATOR} ".join([*known, *(label for label in found if label not in labels)]) or NONE


def set_members(name: str) -> tuple[str, ...]:
    """The labels that a set's name lists, as written."""
    parts = [part.strip() for part in name.split(SEPARATOR)]
    return () if parts == [NONE] else tuple(part for part in parts if part)


def same_set(name: str) -> frozenset[str]:
    """What the names of one set have in common, in whatever order they list it."""
    return frozenset(set_members(name))


def applying(shares: Mapping[str, float]) -> tuple[str, ...]:
    """The labels that are likelier to apply than not."""
    return tuple(label for label, share in shares.items() if share > 0.5)
