"""Where labels come from, over as many cycles as there were, and which of them are a model's own, come back to it.

A label is recycled where it rests on a vote of the model that is to be trained, of another model of its family, or of
a model that was trained on such labels. Training on recycled labels loses what the data are about (Shumailov et al.
2024); what people decided, and models that do not descend from the one trained, do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

OWN = "the model being trained"


@dataclass(frozen=True, slots=True)
class Origin:
    """A model whose votes stand behind labels.

    Attributes:
        trained_on: names of the exports it was trained on.
    """

    model: str
    family: str
    trained_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Students:
    """What is to be trained: models by name, and their families."""

    models: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()

    @classmethod
    def of(cls, origins: Iterable[Origin]) -> Self:
        """These models as students."""
        known = tuple(origins)
        return cls(frozenset(one.model for one in known), frozenset(one.family for one in known))

    def __bool__(self) -> bool:
        return bool(self.models)


@dataclass(frozen=True)
class ExportRecord:
    """One training export, as it is remembered.

    Attributes:
        name: its path in the project, ``@`` and the digest of its rows.
        at: when it was written, ISO 8601.
        students: the models it was written for.
        origins: the models whose votes stand behind its labels.
        human: rows that a person decided without having seen a vote.
        refused: reason -> how many rows.
        set_aside: rule and model -> the chain for which its votes were left out.
        figures: of its texts and labels: `distinct_pairs` and `effective_texts` (see `training.diversity`), and
            `label_delay_days`, the median time from a trace to its label.
    """

    name: str
    path: str
    at: str
    tasks: tuple[str, ...]
    students: tuple[str, ...]
    origins: tuple[Origin, ...]
    rows: int
    human: int
    refused: Mapping[str, int] = field(default_factory=dict)
    set_aside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def human_share(self) -> float:
        """The share of rows that people decided, 0 of none."""
        return self.human / self.rows if self.rows else 0.0

    def record(self) -> dict[str, Any]:
        """The record as a JSON object."""
        return asdict(self) | {"human_share": self.human_share}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """The record of a JSON object that `record` made.

        Raises:
            KeyError, TypeError: for anything else.
        """
        origins = tuple(
            Origin(one["model"], one["family"], tuple(one["trained_on"])) for one in record["origins"]
        )
        return cls(
            name=record["name"],
            path=record["path"],
            at=record["at"],
            tasks=tuple(record["tasks"]),
            students=tuple(record["students"]),
            origins=origins,
            rows=record["rows"],
            human=record["human"],
            refused=dict(record["refused"]),
            set_aside={rule: tuple(chain) for rule, chain in record["set_aside"].items()},
            figures=dict(record.get("figures", {})),
        )


def chain_to(
    students: Students, origin: Origin, exports: Mapping[str, ExportRecord]
) -> tuple[str, ...] | None:
    """The shortest chain from a model's votes back to what is to be trained, None where there is none.

    Args:
        students: what is to be trained.
        origin: the model that voted.
        exports: name -> record, of all exports that models were trained on.
    """
    waiting: list[tuple[Origin, tuple[str, ...]]] = [(origin, (f"vote of {origin.model}",))]
    seen: set[str] = set()
    while waiting:
        model, steps = waiting.pop(0)
        found = _kinship(students, model)
        if found:
            return (*steps, found)
        waiting += [
            (behind, (*steps, f"trained on {name}", f"votes of {behind.model} in it"))
            for name, behind in _behind(model, exports, seen)
        ]
    return None


def _kinship(students: Students, model: Origin) -> str | None:
    if model.model in students.models:
        return OWN
    if model.family in students.families:
        return f"of the family {model.family}, as {OWN}"
    return None


def _behind(
    model: Origin, exports: Mapping[str, ExportRecord], seen: set[str]
) -> Iterator[tuple[str, Origin]]:
    for name in model.trained_on:
        if name in exports and name not in seen:
            seen.add(name)
            yield from ((name, behind) for behind in exports[name].origins)


def missing_reviews(rows: int, human: int, floor: float) -> int:
    """How many of the other rows people must decide until their share is `floor`, 0 where it is already."""
    return max(-int(-floor * rows // 1) - human, 0)


def shares_over_cycles(exports: Sequence[ExportRecord]) -> list[dict[str, Any]]:
    """For each export, oldest first: its name, when, rows, human share, how many were refused, its figures."""
    return [
        {
            "export": one.name,
            "at": one.at,
            "rows": one.rows,
            "human_share": one.human_share,
            "refused": sum(one.refused.values()),
            **one.figures,
        }
        for one in sorted(exports, key=lambda one: one.at)
    ]
