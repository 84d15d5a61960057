"""Headline figures by cycle, and this cycle beside the one before; a cycle is a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

from promptlabel.evals.intervals import Estimate

Unit: TypeAlias = Literal["share", "days", "seconds", "usd", "count", "votes"]
Verdict: TypeAlias = Literal["better", "worse", "changed", "no change beyond chance", ""]

KEPT: Final = 24
"""Cycles that are remembered; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure of a cycle; `low` and `high` are None for what is counted and not estimated.

    Attributes:
        wanted: which way is better, None where neither is.
    """

    name: str
    title: str
    unit: Unit
    estimate: float
    low: float | None = None
    high: float | None = None
    wanted: Literal["up", "down"] | None = None

    @classmethod
    def of(
        cls, name: str, title: str, unit: Unit, found: Estimate, wanted: Literal["up", "down"]
    ) -> Headline:
        """The headline of an estimate."""
        return cls(name, title, unit, found.estimate, found.low, found.high, wanted)


@dataclass(frozen=True, slots=True)
class Cycle:
    """The headlines of one fit; `name` is when that was, and tells cycles apart."""

    name: str
    headlines: tuple[Headline, ...]

    def headline(self, name: str) -> Headline | None:
        """The headline of that name, None where the cycle has none."""
        return next((one for one in self.headlines if one.name == name), None)

    @classmethod
    def read(cls, record: Any) -> Cycle:
        """The cycle of its JSON object."""
        return cls(record["name"], tuple(Headline(**one) for one in record["headlines"]))

    def record(self) -> dict[str, Any]:
        """The cycle as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Row:
    """A figure now, and what it was the cycle before."""

    now: Headline
    before: Headline | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Point:
    """A figure of one cycle in a chart of all."""

    cycle: str
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cycles:
    """All cycles that are known, oldest first, the present one last; none before the first fit."""

    known: tuple[Cycle, ...] = ()

    @property
    def now(self) -> Cycle | None:
        """The present cycle."""
        return self.known[-1] if self.known else None

    @property
    def before(self) -> Cycle | None:
        """The cycle before the present one, None in the first."""
        return self.known[-2] if len(self.known) > 1 else None

    @property
    def rows(self) -> tuple[Row, ...]:
        """Each of the present figures beside what it was."""
        return tuple(
            Row(one, was := self.before.headline(one.name) if self.before else None, verdict(was, one))
            for one in (self.now.headlines if self.now else ())
        )

    def course(self, name: str) -> tuple[Point, ...]:
        """A figure with its interval over the cycles that have it."""
        found = [(cycle.name[:10], cycle.headline(name)) for cycle in self.known]
        return tuple(
            Point(cycle, one.estimate, one.low, one.high)
            for cycle, one in found
            if one is not None and one.low is not None and one.high is not None
        )

    def followed_by(self, cycle: Cycle) -> Cycles:
        """These and the cycle; one of its name, which it corrects, goes."""
        others = [one for one in self.known if one.name != cycle.name]
        return Cycles((*others, cycle)[-KEPT:])


def verdict(before: Headline | None, now: Headline) -> Verdict:
    """What a figure did since the cycle before: a change is one where the two intervals do not meet."""
    if before is None or before.low is None or before.high is None or now.low is None or now.high is None:
        return ""
    if now.low <= before.high and before.low <= now.high:
        return "no change beyond chance"
    if now.wanted is None:
        return "changed"
    return "better" if (now.estimate > before.estimate) == (now.wanted == "up") else "worse"


def read_cycles(records: Any) -> Cycles:
    """The cycles of their JSON list; none where there is no list."""
    return Cycles(tuple(map(Cycle.read, records))) if isinstance(records, Sequence) else Cycles()
