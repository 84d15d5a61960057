"""Who works on a project, and what each may do at its pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

Role: TypeAlias = Literal["expert", "reviewer", "maintainer"]
Right: TypeAlias = Literal["review", "write rules", "adjudicate", "invite", "see history"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
RIGHTS: Final[Mapping[Right, frozenset[Role]]] = {
    "review": frozenset(ROLES),
    "write rules": frozenset({"expert"}),
    "adjudicate": frozenset({"maintainer"}),
    "invite": frozenset({"maintainer"}),
    "see history": frozenset({"maintainer"}),
}
"""Which roles may do what; whoever has the project's files or its database may do all of it at a prompt."""

LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Person:
    """Someone at a page, and what they are to the project."""

    name: str
    roles: frozenset[Role] = frozenset({"reviewer"})

    def may(self, right: Right) -> bool:
        """Whether one of the person's roles has the right."""
        return bool(self.roles & RIGHTS[right])

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(sorted(self.roles))})"


def clean_name(name: str) -> str | None:
    """The person's name without surrounding blanks; None when it is empty, too long or not printable."""
    name = " ".join(name.split())
    return name if name and len(name) <= LONGEST_NAME and name.isprintable() else None
