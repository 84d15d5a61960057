"""A review budget shared among lanes: a random audit that never fails, and lanes that rank by a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.routing.sampling import Floats, Mask, inclusion_probability, random_sample

AUDIT: Final = "audit"
UNCERTAIN: Final = "uncertain"
CONFLICT: Final = "conflict"
RARE: Final = "rare"
NEW: Final = "new"
ACTIVE: Final = "active"
REFRESH: Final = "refresh"
ASKED_FOR: Final = (ACTIVE, REFRESH)
"""Lanes that `queue` does not fill: what `audit --draw` and `freeze --refresh` put into it, until it is decided."""

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lane:
    """Traces ranked by one score; `scores` is ``[n]``, and what is not above zero is not in the lane.

    Attributes:
        weight: turns in the merged ranking, relative to the other lanes.
    """

    name: str
    scores: Floats
    weight: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """The lanes merged: rows in order, and the lane that brought each (index into the lanes)."""

    rows: Indices
    lanes: Indices


@dataclass(frozen=True, slots=True)
class Budget:
    """How many of all traces people review, and the share of all traces that chance alone chooses."""

    size: int
    rate: float

    @classmethod
    def of(cls, population: int, share: float, audit: float) -> Budget:
        """`share` of the population, at least one, of which the part `audit` is drawn at random."""
        return cls(size=min(population, max(1, round(share * population))), rate=share * audit)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The picks in order of presentation, all ``[k]``: row, lane name, inclusion probability."""

    rows: Indices
    lanes: tuple[str, ...]
    probability: Floats


def merge(lanes: Sequence[Lane], ties: Floats) -> Ranking:
    """One ranking of all traces that are in a lane; lanes take turns by weight, a trace comes once.

    Equal scores are ordered by `ties`, permanent numbers other than those the random sample is drawn
    by: a rank must tell nothing of that draw, or the inclusion probabilities would be wrong.
    """
    turns = np.stack([_turns(lane, ties) for lane in lanes])
    lane_of = turns.argmin(axis=0)
    turn = turns.min(axis=0)
    rows = np.lexsort((ties, lane_of, turn))
    rows = rows[np.isfinite(turn[rows])]
    return Ranking(rows, lane_of[rows])


def choose(ranking: Ranking, names: Sequence[str], numbers: Floats, budget: Budget, decided: Mask) -> Chosen:
    """The traces to review: the random sample, then the ranking until the budget is reached.

    Traces that are `decided` count against the budget and are not chosen again. They have the first ranks,
    but for those of the random sample, which have none: else the ranks of the others would follow the draw.
    Who is in the random sample depends on its own number alone: re-runs, new posteriors and new
    traces leave the audit as it was. Audit picks come in order of their numbers, so that those
    reviewed at any moment are a smaller random sample, and are spread evenly among the others.
    """
    sample = random_sample(numbers, budget.rate)
    order = np.concatenate([np.flatnonzero(decided & ~sample), ranking.rows[~decided[ranking.rows]]])
    ranked = order[~sample[order]][: max(0, budget.size - int(sample.sum()))]
    audit = np.flatnonzero(sample & ~decided)
    audit = audit[np.argsort(numbers[audit])]
    scored = ranked[~decided[ranked]]
    rows, is_audit = _spread(audit, scored)
    return Chosen(
        rows=rows,
        lanes=_lane_names(rows, is_audit, ranking, names),
        probability=inclusion_probability(
            _ranks(order, len(numbers))[rows], len(numbers), budget.size, budget.rate
        ),
    )


def _turns(lane: Lane, ties: Floats) -> Floats:
    """When each trace has its turn in the lane; infinity for those that are not in it."""
    turns = np.full(len(lane.scores), np.inf)
    candidates = np.flatnonzero(lane.scores > 0)
    best_first = candidates[np.lexsort((ties[candidates], -lane.scores[candidates]))]
    turns[best_first] = np.arange(1, len(best_first) + 1) / lane.weight
    return turns


def _ranks(order: Indices, population: int) -> Floats:
    ranks = np.full(population, np.inf)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks


def _spread(audit: Indices, scored: Indices) -> tuple[Indices, Mask]:
    when = np.concatenate([_evenly(len(audit)), _evenly(len(scored))])
    order = np.argsort(when, kind="stable")
    return np.concatenate([audit, scored])[order], (order < len(audit))


def _evenly(count: int) -> Floats:
    times: Floats = (np.arange(count) + 0.5) / max(count, 1)
    return times


def _lane_names(rows: Indices, is_audit: Mask, ranking: Ranking, names: Sequence[str]) -> tuple[str, ...]:
    place = np.full(max(rows.max(initial=-1), ranking.rows.max(initial=-1)) + 1, -1)
    place[ranking.rows] = ranking.lanes
    return tuple(
        AUDIT if random else names[lane]
        for lane, random in zip(place[rows].tolist(), is_audit.tolist(), strict=True)
    )
