"""Which traces to review next so that an eval set comes to look like recent production fastest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from promptlabel.flywheel.drift import jensen_shannon
from promptlabel.flywheel.topics import Topics
from promptlabel.records import Trace
from promptlabel.routing.sampling import permanent_numbers

Floats = npt.NDArray[np.float64]
Cell: TypeAlias = tuple[str, ...]

DRAWS: Final = 20
NO_TOPIC: Final = "none"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Reviews wanted of one cell: its category and topic, how many, of how many traces that could be reviewed."""

    category: str
    topic: str
    reviews: int
    available: int


@dataclass(frozen=True, slots=True)
class Refresh:
    """The reviews that bring the set closest to recent production.

    Attributes:
        trace_ids: the traces to review, drawn at random within each cell.
        probability: with which each was drawn from its cell.
        wanted: the cells, most reviews first.
        before: divergence of categories and topics from recent traces, in bits.
        after: what it would be after these reviews.
        at_random: what it would be after as many reviews of recent traces drawn at random.
    """

    trace_ids: tuple[str, ...]
    probability: tuple[float, ...]
    wanted: tuple[Wanted, ...]
    before: float
    after: float
    at_random: float


def propose_refresh(
    cases: Sequence[Trace],
    recent: Sequence[Trace],
    undecided: Sequence[Trace],
    reviews: int,
    topics: Topics | None,
    rng: np.random.Generator,
) -> Refresh:
    """Up to `reviews` of the undecided traces, one after the other where each closes most of the divergence.

    Args:
        cases: the traces of the set.
        recent: what it should look like.
        undecided: the traces that could be reviewed.
        reviews: how many reviews there are.
        topics: the topics of all of these, None to look at categories alone.
        rng: for the comparison with a random choice.
    """
    gauge = _Gauge.of(cases, recent, topics)
    cells: dict[Cell, list[str]] = {}
    numbers = permanent_numbers([trace.trace_id for trace in undecided], "refresh")
    for place in np.argsort(numbers, kind="stable").tolist():
        cells.setdefault(gauge.cell(undecided[place]), []).append(undecided[place].trace_id)
    taken = _greedy(gauge, cells, min(reviews, len(undecided)))
    chosen = [
        (name, number / len(cells[cell])) for cell, number in taken.items() for name in cells[cell][:number]
    ]
    return Refresh(
        trace_ids=tuple(name for name, _ in chosen),
        probability=tuple(probability for _, probability in chosen),
        wanted=tuple(
            Wanted(cell[0], cell[1], number, len(cells[cell])) for cell, number in taken.most_common()
        ),
        before=gauge.divergence({}),
        after=gauge.divergence(taken),
        at_random=_at_random(gauge, undecided, len(chosen), rng),
    )


@dataclass(frozen=True, slots=True)
class _Gauge:
    """Counts of cases and of recent traces, by category and by topic."""

    topics: Topics | None
    held: tuple[Counter[str], ...]
    goal: tuple[Counter[str], ...]

    @classmethod
    def of(cls, cases: Sequence[Trace], recent: Sequence[Trace], topics: Topics | None) -> _Gauge:
        empty = cls(topics, (), ())
        held, goal = ([empty.cell(trace) for trace in traces] for traces in (cases, recent))
        sides = range(2 if topics else 1)
        return cls(
            topics,
            tuple(Counter(cell[side] for cell in held) for side in sides),
            tuple(Counter(cell[side] for cell in goal) for side in sides),
        )

    def cell(self, trace: Trace) -> Cell:
        topic = self.topics.topic_of.get(trace.trace_id, NO_TOPIC) if self.topics else NO_TOPIC
        return trace.category or "none", topic

    def divergence(self, added: Mapping[Cell, int]) -> float:
        """Of the set with so many more cases of each cell."""
        total = 0.0
        for side, (held, goal) in enumerate(zip(self.held, self.goal, strict=True)):
            counts = held.copy()
            for cell, number in added.items():
                counts[cell[side]] += number
            total += _divergence(counts, goal)
        return total


def _divergence(counts: Counter[str], goal: Counter[str]) -> float:
    kinds = sorted(counts.keys() | goal.keys())
    first, second = (np.array([[side[kind] for kind in kinds]]) for side in (counts, goal))
    if not first.sum() or not second.sum():
        return 0.0 if not second.sum() else 1.0
    return float(jensen_shannon(first, second)[0])


def _greedy(gauge: _Gauge, cells: Mapping[Cell, Sequence[str]], reviews: int) -> Counter[Cell]:
    taken: Counter[Cell] = Counter()
    counts = [held.copy() for held in gauge.held]
    for _ in range(reviews):
        open_ = [cell for cell, names in cells.items() if taken[cell] < len(names)]
        after = [
            {kind: _with_one(held, goal, kind) for kind in {cell[side] for cell in open_}}
            for side, (held, goal) in enumerate(zip(counts, gauge.goal, strict=True))
        ]
        best = min(open_, key=lambda cell: (sum(side[cell[i]] for i, side in enumerate(after)), cell))
        taken[best] += 1
        for side, held in enumerate(counts):
            held[best[side]] += 1
    return taken


def _with_one(held: Counter[str], goal: Counter[str], kind: str) -> float:
    more = held.copy()
    more[kind] += 1
    return _divergence(more, goal)


def _at_random(gauge: _Gauge, undecided: Sequence[Trace], reviews: int, rng: np.random.Generator) -> float:
    found = []
    for _ in range(DRAWS):
        rows = rng.permutation(len(undecided))[:reviews].tolist()
        found.append(gauge.divergence(Counter(gauge.cell(undecided[row]) for row in rows)))
    return float(np.mean(found))
